"""ThunderSTORM's results table, the common tongue of localization software.

Source: zitmen/thunderstorm ImportExport/DLMImportExport.java, util/StringFormatting.java.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

import numpy as np

from smlmfmt.columns import canonical_name, canonical_names, is_length
from smlmfmt.deflate import in_threads
from smlmfmt.delimited import table_of
from smlmfmt.errors import FormatError, HeaderError, UnitError
from smlmfmt.format import Format, FormatInfo, ReadOptions, WriteOptions
from smlmfmt.stream import BundleStream, stream_of
from smlmfmt.table import Bundle, LocTable
from smlmfmt.text import Text, open_text, read_rows, row_warnings, split_line
from smlmfmt.text_cells import Dialect
from smlmfmt.text_numbers import format_rows
from smlmfmt.text_stream import by_blocks

__all__ = ["FORMAT", "FORMAT_XLS", "read_thunderstorm", "write_thunderstorm"]

BLOCK_ROWS = 65_536
# Our names that ThunderSTORM calls otherwise.
NAMES = {
    "background": "offset",
    "background_std": "bkgstd",
    "sigma_x": "sigma1",
    "sigma_y": "sigma2",
}


def read_thunderstorm(file: BinaryIO, options: ReadOptions, *, delimiter: str = ",") -> Bundle:
    """Return the table of a ThunderSTORM file.

    Columns may come in any order; the header may have been re-saved by a spreadsheet.

    Raises:
        HeaderError: x or y is missing, or a name comes twice.
        RowError: A row is short, long or not numeric. (ThunderSTORM itself skips such rows.)
        UnitError: x or y is no length, or in pixels and the pixel size is not given.
    """
    text = open_text(file, name=options.name)
    index = _header_line(text)
    sources = split_line(text.lines[index], delimiter)
    names = canonical_names(sources)
    doubled = sorted({source for source in sources if sources.count(source) > 1})
    if doubled or not {"x", "y"} <= {name.name for name in names}:
        raise HeaderError(f"{options.name}: want x [nm] and y [nm], each name once; got {sources}")
    for name in names:
        if name.name in ("x", "y", "z") and not is_length(name.unit):
            raise UnitError(f"{options.name}: column {name.source!r} must have a unit of length")
    rows = read_rows(
        text,
        first_line=index + 1,
        columns=len(names),
        dialect=Dialect(delimiter=delimiter),
        on_error=options.on_error,
    )
    chosen = "thunderstorm" if delimiter == "," else "thunderstorm-xls"
    table = table_of(names, rows, options=options, format_name=chosen, frame_origin=1)
    return Bundle(tables=(table,), format=chosen, warnings=tuple(row_warnings(rows, options.name)))


def write_thunderstorm(
    file: BinaryIO, bundle: Bundle, options: WriteOptions, *, delimiter: str = ","
) -> None:
    """Write one table so that reading it gives the same numbers.

    Frames are counted from 1, as ThunderSTORM does; x, y and z must be in nm.

    Raises:
        FormatError: There is not exactly one table.
        HeaderError: It has no x or no y.
        UnitError: A position is not in nm.
    """
    write_thunderstorm_stream(file, stream_of(bundle), options, delimiter=delimiter)


def write_thunderstorm_stream(
    file: BinaryIO,
    stream: BundleStream,
    options: WriteOptions,  # noqa: ARG001 - decimal text is exact and in nm.
    *,
    delimiter: str = ",",
) -> None:
    """Write one table as its blocks come; otherwise as `write_thunderstorm`.

    Raises:
        FormatError: As `write_thunderstorm`, or as the stream raises on the way.
    """
    if len(stream.tables) != 1:
        raise FormatError(f"a ThunderSTORM file holds one table, not {len(stream.tables)}")
    table = stream.tables[0]
    names = _headers(table.head)
    file.write((delimiter.join(f'"{name}"' for name in names) + "\n").encode())

    def formatted(block: LocTable) -> bytes:
        return format_rows(list(_columns(block)), delimiter=delimiter)

    file.writelines(in_threads(formatted, table.blocks(BLOCK_ROWS)))


def _header_line(text: Text) -> int:
    return next(index for index, line in enumerate(text.lines) if line.strip())


def _headers(table: LocTable) -> list[str]:
    if not {"x", "y"} <= set(table.columns):
        raise HeaderError(f"a ThunderSTORM file needs x and y; there are {table.columns}")
    names = []
    for name in table.columns:
        unit = table.units[name]
        if name in ("x", "y", "z") and unit not in ("nm", ""):
            raise UnitError(f"column {name!r} must be in nm, not {unit!r}")
        unit = "nm" if name in ("x", "y", "z") else unit
        is_bare = name in ("id", "frame", "detections", "chi2") or not unit
        other = NAMES.get(name, name)
        names.append(other if is_bare else f"{other} [{unit}]")
    return names


def _columns(table: LocTable) -> Iterator[np.ndarray[tuple[int], np.dtype[np.number]]]:
    for name in table.columns:
        is_from_zero = name == "frame" and table.frame_origin == 0
        yield table[name] + 1 if is_from_zero else table[name]


def _is_thunderstorm(head: bytes, _file: BinaryIO, *, delimiter: str) -> bool:
    if b" [" not in head:
        return False
    try:
        text = open_text(io.BytesIO(head), name="file")
    except FormatError:
        return False
    cells = split_line(text.lines[_header_line(text)], delimiter)
    found = {column.name for column in map(canonical_name, cells) if "[" in column.source}
    # Other programs name positions more fully, as in "Position X [nm]".
    plain = {cell[0].lower() for cell in cells if cell[1:].lstrip().startswith("[")}
    return {"x", "y"} <= found & plain


def _format(name: str, title: str, *, suffix: str, delimiter: str) -> Format:
    info = FormatInfo(name=name, title=title, suffixes=(suffix,), reads=True, writes=True)
    return Format(
        info=info,
        media_type="text/csv" if delimiter == "," else "text/tab-separated-values",
        sniff=partial(_is_thunderstorm, delimiter=delimiter),
        read=partial(read_thunderstorm, delimiter=delimiter),
        write=partial(write_thunderstorm, delimiter=delimiter),
        stream=by_blocks(partial(read_thunderstorm, delimiter=delimiter)),
        write_stream=partial(write_thunderstorm_stream, delimiter=delimiter),
    )


FORMAT = _format("thunderstorm", "ThunderSTORM table (csv)", suffix=".csv", delimiter=",")
FORMAT_XLS = _format(
    "thunderstorm-xls", "ThunderSTORM table (tab-separated)", suffix=".xls", delimiter="\t"
)
