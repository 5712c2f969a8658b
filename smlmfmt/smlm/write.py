"""Writing .smlm in the one dialect that every known reader accepts.

All columns float32, one value each, units for all, offset x 0 and y 0, format version 0.2, DEFLATE,
the ShareLoc app's md5, and the manifest first so that it can be read from the first kilobytes.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import numpy as np

from smlmfmt import deflate
from smlmfmt.format import WriteOptions
from smlmfmt.smlm.describe import (
    HASHED_COLUMNS,
    ExactnessWarning,
    Part,
    image_members,
    manifest_bytes,
    manifest_of,
    parts_of,
)
from smlmfmt.smlm.spec import INDEX_KEY
from smlmfmt.smlm.zip import ZipWriter
from smlmfmt.table import Bundle

__all__ = ["HASHED_COLUMNS", "ExactnessWarning", "write_smlm"]

SEGMENT_SIZE = 4 << 20
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
    parts = parts_of(bundle.tables, exact=options.exact)
    images = image_members(bundle.images, taken={part.member for part in parts})
    manifest = manifest_of(bundle, parts, images)
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


def _write_table(writer: ZipWriter, file: BinaryIO, part: Part) -> None:
    """Write one table in segments of whole rows, compressed in threads, and complete its entry."""
    rows, layout = len(part.table), part.layout
    step = max(1, SEGMENT_SIZE // layout.row_size)
    member = writer.begin(part.member, size_max=rows * layout.row_size)
    sizes = []

    def compressed(start: int) -> deflate.Segment:
        end = min(start + step, rows)
        # A value beyond float32 becomes infinite; that is what the dialect can say of it.
        with np.errstate(over="ignore"):
            content = layout.interleave([column[start:end] for column in part.columns])
        return deflate.deflate_segment(content, is_last=end == rows)

    with ThreadPoolExecutor(1, thread_name_prefix="smlmfmt-hash") as pool:
        digest = pool.submit(_hash, part)
        for segment in deflate.in_threads(compressed, range(0, max(rows, 1), step)):
            file.write(segment.data)
            sizes.append(len(segment.data))
            member.crc = deflate.crc32_combined(member.crc, segment.crc, segment.size)
        part.entry["hash"] = digest.result()
    member.size, member.compressed_size = rows * layout.row_size, sum(sizes)
    writer.end(member)
    part.entry[INDEX_KEY] = {"rows": step, "sizes": sizes}


def _hash(part: Part) -> str:
    """Return the ShareLoc app's hash: md5 over frame, x and y as float32."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in HASHED_COLUMNS:
        if name in part.table:
            with np.errstate(over="ignore"):
                digest.update(np.ascontiguousarray(part.table[name], "<f4").data)
    return digest.hexdigest()


def _index_room(part: Part) -> int:
    step = max(1, SEGMENT_SIZE // part.layout.row_size)
    count = max(1, -(-len(part.table) // step))
    return _INDEX_ROOM + count * _SIZE_ROOM


def _stored(data: bytes) -> bytes:
    """Return a DEFLATE stream whose length depends on that of the data alone."""
    stream = zlib.compressobj(0, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()
