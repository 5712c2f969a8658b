"""The .smlm archive: localization tables and images in a ZIP file with a manifest.

Source: imodpasteur/smlm-file-format specification.md (2018-08), and the programs that write it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from smlmfmt.errors import FormatError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.smlm.archive import Archive
from smlmfmt.smlm.file import SmlmFile
from smlmfmt.smlm.hashes import StatedHash, stated_hashes
from smlmfmt.smlm.images import read_images
from smlmfmt.smlm.write import write_smlm, write_smlm_stream
from smlmfmt.stream import BundleStream
from smlmfmt.table import Bundle

__all__ = ["FORMAT", "StatedHash", "deviations", "hashes", "read_smlm", "stream_smlm"]


def read_smlm(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the tables and images of a .smlm file, however its writer strayed.

    Raises:
        ArchiveError: The archive is damaged or breaks the rules of ZIP.
        HeaderError: The manifest does not say how to read a table.
        RowError: A table has other rows than promised.
        SizeLimitError: The archive asks for more than a reader grants.
        UnitError: Lengths are in pixels and the pixel size is not given.
    """
    opened = SmlmFile(file, options)
    tables = tuple(opened.tables())
    images = tuple(read_images(opened.archive, opened.manifest, folder=opened.folder))
    return Bundle(
        tables=tables,
        images=images,
        manifest=opened.manifest.plain,
        format="smlm",
        warnings=tuple(opened.manifest.warnings),
    )


def stream_smlm(file: BinaryIO, options: ReadOptions) -> BundleStream:
    """Return the tables of a .smlm file as streams; text and version 1 tables are read whole.

    Files written here carry an index, so that a section inflates only the segments that hold its
    rows (the checksum of the whole cannot be checked then); others are inflated up to its end.

    Raises:
        FormatError: As `read_smlm`; damage to the bytes shows at the last block.
    """
    opened = SmlmFile(file, options)
    return BundleStream(
        tables=tuple(opened.streams()),
        images=tuple(read_images(opened.archive, opened.manifest, folder=opened.folder)),
        manifest=opened.manifest.plain,
        format="smlm",
        warnings=opened.manifest.warnings,
    )


def deviations(path: str | Path) -> list[str]:
    """Return why other programs may refuse a .smlm file; empty if it is in the common dialect.

    Raises:
        FormatError: It cannot be read at all.
    """
    with _opened(path) as opened:
        tables = {spec.member for spec in opened.manifest.tables}
        for found in stated_hashes(opened):
            if found.name in tables and not found.agrees:
                opened.manifest.deviate(
                    f"{found.name}: hash is not the md5 of frame, x and y: the ShareLoc app"
                    " reports damage"
                )
        return list(opened.manifest.deviations)


def hashes(path: str | Path) -> list[StatedHash]:
    """Return the md5 sums that a .smlm file states, and whether they are those of its data.

    Raises:
        FormatError: It cannot be read at all.
    """
    with _opened(path) as opened:
        return list(stated_hashes(opened))


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[SmlmFile]:
    with Path(path).open("rb") as file:
        # Pixels stay pixels here: a size of 1 nm keeps unit questions out of this one.
        yield SmlmFile(file, ReadOptions(name=Path(path).name, pixel_size_nm=1.0))


def _is_smlm(head: bytes, file: BinaryIO) -> bool:
    if not head.startswith((b"PK\3\4", b"PK\5\6")):
        return False
    try:
        names = Archive(file, name="file").entries
    except FormatError:
        # Cut short or damaged: reading it as what it was says what is wrong with it.
        first_name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        return b"manifest.json" in head or first_name.endswith(b".bin")
    return any(name == "manifest.json" or name.endswith("/manifest.json") for name in names)


FORMAT = Format(
    info=FormatInfo(
        name="smlm",
        title="SMLM archive (ShareLoc)",
        suffixes=(".smlm",),
        reads=True,
        writes=True,
    ),
    media_type="application/smlm",
    sniff=_is_smlm,
    read=read_smlm,
    write=write_smlm,
    stream=stream_smlm,
    write_stream=write_smlm_stream,
)
