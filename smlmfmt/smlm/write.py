"""Writing .smlm in the one dialect that every known reader accepts.

All columns float32, one value each, units for all, offset x 0 and y 0, format version 0.2, DEFLATE,
the ShareLoc app's md5, and the manifest first so that it can be read from the first kilobytes.
Tables are taken block by block: what is written may be larger than the memory.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from smlmfmt import deflate
from smlmfmt.format import WriteOptions
from smlmfmt.memory import keep_freed_memory
from smlmfmt.smlm.describe import (
    ExactnessWarning,
    Part,
    complete,
    image_members,
    manifest_bytes,
    manifest_of,
    parts_of,
)
from smlmfmt.smlm.hashes import HASHED_COLUMNS, table_hash
from smlmfmt.smlm.spec import INDEX_KEY
from smlmfmt.smlm.statistics import BlockFacts, block_facts
from smlmfmt.smlm.zip import ZipWriter
from smlmfmt.stream import BundleStream, stream_of
from smlmfmt.table import Bundle, LocTable

__all__ = ["ExactnessWarning", "write_smlm", "write_smlm_stream"]

SEGMENT_SIZE = 4 << 20
COPY_SIZE = 1 << 20
# A segment's compressed size in the index: its digits and what sets them apart.
_SIZE_ROOM = len(str(2 * SEGMENT_SIZE)) + len(", ")
_INDEX_ROOM = len(', "": {"rows": , "sizes": []}') + len(INDEX_KEY) + 20


def write_smlm(file: BinaryIO, bundle: Bundle, options: WriteOptions) -> None:
    """Write tables, images and what the bundle's manifest says about them.

    Args:
        file: Seekable, at its start.
        bundle: Tables with x and y in nm.
        options: `exact` keeps float64 and whole-number columns instead of float32; the ShareLoc
            app and shareloc-utils then refuse the file (ExactnessWarning).

    Raises:
        HeaderError: A table has no x or no y, or two of its columns have the same header.
        UnitError: A position is not in nm.
    """
    write_smlm_stream(file, stream_of(bundle), options)


def write_smlm_stream(file: BinaryIO, stream: BundleStream, options: WriteOptions) -> None:
    """Write tables as their blocks come; otherwise as `write_smlm`.

    Raises:
        FormatError: As `write_smlm`, or as the stream raises on the way.
    """
    keep_freed_memory()
    parts = parts_of(stream.tables, exact=options.exact)
    images = image_members(stream.images, taken={part.member for part in parts})
    manifest = manifest_of(stream, parts, images)
    # Room for the manifest is kept in front and filled at the end, when all sizes are known.
    room = len(manifest_bytes(manifest)) + sum(_index_room(part) for part in parts)
    writer = ZipWriter(file)
    slot = writer.begin("manifest.json", size_max=room)
    slot_start = file.tell()
    file.write(_stored(b" " * room))
    for part in parts:
        _write_table(writer, file, part)
    for name, image in images:
        writer.add(name, image.data)
    hashes = "".join(entry["hash"] for entry in manifest["files"])
    manifest["hash"] = hashlib.md5(hashes.encode(), usedforsecurity=False).hexdigest()
    data = manifest_bytes(manifest).ljust(room)
    assert len(data) == room
    body = _stored(data)
    slot.crc, slot.size, slot.compressed_size = deflate.crc32(data), room, len(body)
    writer.end(slot)
    writer.close()
    file.seek(slot_start)
    file.write(body)
    file.seek(0, io.SEEK_END)


class _Packed(NamedTuple):
    """A block made ready in a thread."""

    segment: deflate.Segment
    facts: BlockFacts | None
    hashed: list[npt.NDArray[np.float32]]


def _write_table(writer: ZipWriter, file: BinaryIO, part: Part) -> None:
    """Write one table in segments of whole rows, compressed in threads, and complete its entry."""
    stream, layout = part.stream, part.layout
    step = _segment_rows(part)
    member = writer.begin(part.member, size_max=stream.rows_max * layout.row_size)
    sizes = []
    whole = stream.whole
    names = [name for name in HASHED_COLUMNS if whole is None and name in stream.head]

    def packed(item: tuple[LocTable, bool]) -> _Packed:
        block, is_last = item
        columns = [block[name] for name in block.columns]
        # A value beyond float32 becomes infinite; that is what the dialect can say of it.
        with np.errstate(over="ignore"):
            content = layout.interleave(columns)
            hashed = [np.ascontiguousarray(block[name], "<f4") for name in names]
        segment = deflate.deflate_segment(content, is_last=is_last)
        return _Packed(segment, block_facts(columns), hashed)

    with (
        ThreadPoolExecutor(1, thread_name_prefix="smlmfmt-hash") as pool,
        _OrderedHash(len(names), folder=_folder(file)) as ordered,
    ):
        digest = None if whole is None else pool.submit(table_hash, _hashed_columns(whole))
        for segment, facts, hashed in deflate.in_threads(packed, _to_the_last(part, step)):
            file.write(segment.data)
            sizes.append(len(segment.data))
            member.crc = deflate.crc32_combined(member.crc, segment.crc, segment.size)
            member.size += segment.size
            part.statistics.add(facts)
            ordered.add(hashed)
        found = ordered.hexdigest() if digest is None else digest.result()
    member.compressed_size = sum(sizes)
    writer.end(member)
    complete(part, digest=found, segments={"rows": step, "sizes": sizes})


def _to_the_last(part: Part, rows: int) -> Iterator[tuple[LocTable, bool]]:
    """Yield the blocks of a table, at least one, and whether each is the last."""
    blocks = part.stream.blocks(rows)
    block = next(blocks, part.stream.head)
    for following in blocks:
        yield block, False
        block = following
    yield block, True


def _hashed_columns(table: LocTable) -> dict[str, npt.NDArray[Any]]:
    return {name: table[name] for name in HASHED_COLUMNS if name in table}


class _OrderedHash:
    """The ShareLoc app's hash of columns that come side by side in blocks.

    It is taken over one column after the other; the second and third wait on disk for the first.
    """

    def __init__(self, columns: int, *, folder: str | None) -> None:
        import tempfile  # noqa: PLC0415 - only streams need it, and it brings a lot along.

        self._digest = hashlib.md5(usedforsecurity=False)
        self._waiting = [
            tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed when we are left.
            for _ in range(columns - 1)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._waiting:
            file.close()

    def add(self, columns: list[npt.NDArray[np.float32]]) -> None:
        """Take the next rows."""
        for index, column in enumerate(columns):
            if index == 0:
                self._digest.update(column.data.cast("B"))
            elif len(column):
                self._waiting[index - 1].write(column.data.cast("B"))

    def hexdigest(self) -> str:
        """Return the hash of all rows."""
        for file in self._waiting:
            file.seek(0)
            while data := file.read(COPY_SIZE):
                self._digest.update(data)
        return self._digest.hexdigest()


def _folder(file: BinaryIO) -> str | None:
    """Return where the file to be written lies, whose disk has room for it."""
    name = getattr(file, "name", None)
    return str(Path(name).resolve().parent) if isinstance(name, str) else None


def _segment_rows(part: Part) -> int:
    return max(1, SEGMENT_SIZE // part.layout.row_size)


def _index_room(part: Part) -> int:
    count = max(1, -(-part.stream.rows_max // _segment_rows(part)))
    return _INDEX_ROOM + count * _SIZE_ROOM


def _stored(data: bytes) -> bytes:
    """Return a DEFLATE stream whose length depends on that of the data alone."""
    stream = zlib.compressobj(0, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()
