"""The .smlm archive: localization tables and images in a ZIP file with a manifest.

Source: imodpasteur/smlm-file-format specification.md (2018-08), and the programs that write it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from smlmfmt.errors import FormatError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.smlm.archive import Archive
from smlmfmt.smlm.file import SmlmFile, StoredTable
from smlmfmt.smlm.images import read_images
from smlmfmt.smlm.spec import TableSpec
from smlmfmt.smlm.write import HASHED_COLUMNS, write_smlm
from smlmfmt.table import Bundle, LocTable

__all__ = ["FORMAT", "deviations", "iter_blocks", "read_rows", "read_smlm"]

BLOCK_ROWS = 262_144


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


def deviations(path: str | Path) -> list[str]:
    """Return why other programs may refuse a .smlm file; empty if it is in the common dialect.

    Raises:
        FormatError: It cannot be read at all.
    """
    with Path(path).open("rb") as file:
        # Pixels stay pixels here: a size of 1 nm keeps unit questions out of this one.
        opened = SmlmFile(file, ReadOptions(name=Path(path).name, pixel_size_nm=1.0))
        for spec in opened.manifest.tables:
            table = StoredTable(opened, spec).whole()
            _check_hash(opened, spec, table)
        return list(opened.manifest.deviations)


def iter_blocks(
    path: str | Path, *, table: int = 0, rows: int = BLOCK_ROWS, pixel_size_nm: float | None = None
) -> Iterator[LocTable]:
    """Yield a table in blocks of at most `rows` rows, holding little more than one in memory.

    Raises:
        FormatError: As `read_smlm`; damage to the bytes shows at the last block.
    """
    if rows < 1:
        raise FormatError(f"rows must be at least 1, got {rows}")
    with Path(path).open("rb") as file:
        options = ReadOptions(name=Path(path).name, pixel_size_nm=pixel_size_nm)
        yield from _stored(SmlmFile(file, options), table).blocks(rows)


def read_rows(
    path: str | Path,
    start: int,
    end: int,
    *,
    table: int = 0,
    pixel_size_nm: float | None = None,
) -> LocTable:
    """Return rows [start, end) of a table.

    Files written here carry an index, so that only the segments that hold the rows are
    inflated (the checksum of the whole cannot be checked then); others are read up to `end`.

    Raises:
        FormatError: As `read_smlm`, or the table has no such rows.
    """
    with Path(path).open("rb") as file:
        options = ReadOptions(name=Path(path).name, pixel_size_nm=pixel_size_nm)
        return _stored(SmlmFile(file, options), table).row_range(start, end)


def _stored(opened: SmlmFile, index: int) -> StoredTable:
    tables = opened.manifest.tables
    if not 0 <= index < len(tables):
        raise FormatError(f"{opened.archive.name}: no table {index}; there are {len(tables)}")
    return StoredTable(opened, tables[index])


def _check_hash(opened: SmlmFile, spec: TableSpec, table: LocTable) -> None:
    """Compare the md5 over frame, x and y as the ShareLoc app does."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in HASHED_COLUMNS:
        if name not in table:
            continue
        with np.errstate(over="ignore"):  # As in the app, what float32 cannot say is infinite.
            digest.update(np.ascontiguousarray(table[name], "<f4").data.cast("B"))
    if spec.entry.get("hash") != digest.hexdigest():
        opened.manifest.deviate(
            f"{spec.member}: hash is not the md5 of frame, x and y: the ShareLoc app reports damage"
        )


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
)
