"""ThunderSTORM's results table, the common tongue of localization software.

Source: zitmen/thunderstorm ImportExport/DLMImportExport.java, util/StringFormatting.java.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import BinaryIO

from smlmfmt.columns import canonical_name, canonical_names
from smlmfmt.errors import HeaderError
from smlmfmt.format import Format, FormatInfo, ReadOptions, WriteOptions
from smlmfmt.layout import Header, Layout, arrange, read_layout
from smlmfmt.stream import BundleStream, stream_of
from smlmfmt.table import Bundle, LocTable
from smlmfmt.text import Text, open_text, split_line
from smlmfmt.text_stream import by_blocks
from smlmfmt.text_writing import check_positions, only_table, quoted, write_rows
from smlmfmt.vendor import header_index, opened_head

__all__ = ["FORMAT", "FORMAT_XLS", "read_thunderstorm", "write_thunderstorm"]

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
    return read_layout(text, lay_out_thunderstorm(text, options, delimiter=delimiter), options)


def lay_out_thunderstorm(text: Text, options: ReadOptions, *, delimiter: str) -> Layout:
    """Return the layout of a ThunderSTORM file; errors as for `read_thunderstorm`."""
    index = header_index(text)
    sources = split_line(text.lines[index], delimiter)
    names = canonical_names(sources)
    doubled = sorted({source for source in sources if source and sources.count(source) > 1})
    is_named = options.columns or {"x", "y"} <= {name.name for name in names}
    if doubled or not is_named:
        raise HeaderError(f"{options.name}: want x [nm] and y [nm], each name once; got {sources}")
    header = Header(
        sources=tuple(sources), delimiter=delimiter, first_line=index + 1, missing_is_nan=False
    )
    chosen = "thunderstorm" if delimiter == "," else "thunderstorm-xls"
    layout = arrange(text, header, names, options=options, format_name=chosen)
    return replace(layout, frame_origin=1)


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
    table = only_table(stream, "a ThunderSTORM file")
    write_rows(file, table, _headers(table.head), delimiter=delimiter, frame_origin=1)


def _headers(table: LocTable) -> list[str]:
    check_positions(table, "a ThunderSTORM file")
    names = []
    for name in table.columns:
        unit = "nm" if name in ("x", "y", "z") else table.units[name]
        is_bare = name in ("id", "frame", "detections", "chi2") or not unit
        other = NAMES.get(name, name)
        names.append(quoted(other if is_bare else f"{other} [{unit}]"))
    return names


def _is_thunderstorm(head: bytes, _file: BinaryIO, *, delimiter: str) -> bool:
    if (text := opened_head(head)) is None:
        return False
    cells = split_line(text.lines[header_index(text)], delimiter)
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
