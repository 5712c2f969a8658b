"""Any delimited table whose header names x and y, or for which the caller says which they are."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from smlmfmt.columns import (
    LATERAL_LENGTHS,
    LENGTHS,
    ColumnName,
    canonical_names,
    normal_unit,
)
from smlmfmt.errors import HeaderError
from smlmfmt.format import ColumnMapping, Format, FormatInfo, ReadOptions, WriteOptions
from smlmfmt.known_headers import known_header
from smlmfmt.layout import (
    COMMENT,
    Header,
    Layout,
    arrange,
    read_layout,
    table_of,
)
from smlmfmt.stream import BundleStream
from smlmfmt.table import Bundle, LocTable
from smlmfmt.text import (
    Text,
    guess_delimiter,
    open_text,
    read_rows,
    row_warnings,
    split_line,
)
from smlmfmt.text_cells import Dialect
from smlmfmt.text_labels import is_number
from smlmfmt.text_stream import by_blocks
from smlmfmt.text_writing import check_positions, of_bundles, only_table, quoted, write_rows
from smlmfmt.vendor import opened_head

__all__ = [
    "FORMAT",
    "columns_found",
    "lay_out_csv",
    "read_csv",
    "read_described",
    "row_warnings",
    "unknown_header",
    "write_csv",
]

HEAD_SIZE = 65_536
CELLS_SHOWN = 32
CELL_LENGTH_MAX = 60


def read_csv(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the table of a delimited text.

    Lengths without a unit are nm, or camera pixels if the caller gives a pixel size.

    Raises:
        HeaderError: No column is x or y, and the caller does not say which is.
        RowError: A row is short, long or not numeric.
        UnitError: Lengths are in pixels and the pixel size is not given.
    """
    text = open_text(file, name=options.name)
    return read_layout(text, lay_out_csv(text, options), options)


def lay_out_csv(text: Text, options: ReadOptions) -> Layout:
    """Return the layout of a delimited text; errors as for `read_csv`."""
    header = find_header(text, options)
    if header is None:
        raise HeaderError(f"{options.name}: {unknown_header(text, options.columns)}")
    known = known_header(header.sources)
    names = canonical_names(header.sources, known.columns if known else None)
    layout = arrange(text, header, names, options=options, format_name="csv")
    filled, warnings = _without_units(layout.names, options)
    comments = _comments(text, header)
    return replace(
        layout,
        names=tuple(filled),
        frame_origin=known.frame_origin if known else None,
        metadata={"comments": comments} if comments else {},
        warnings=(*layout.warnings, *warnings),
    )


def unknown_header(text: Text, columns: ColumnMapping | None = None) -> str:
    """Return what to say of a text without a header that names x and y, or the columns given."""
    wanted = ", ".join(repr(item) for item in (columns or {}).values())
    fault = f"no header line has the columns {wanted}" if wanted else "no header names x and y"
    line = next((line for line in text.lines if line.strip() and not _is_comment(line)), "")
    cells = split_line(line, guess_delimiter(line))
    if len(cells) < 2:
        return f"{fault}, nor are there columns to name, as in columns={{'x': ..., 'y': ...}}"
    shown = ", ".join(repr(cell[:CELL_LENGTH_MAX]) for cell in cells[:CELLS_SHOWN])
    more = f" and {len(cells) - CELLS_SHOWN} more" if len(cells) > CELLS_SHOWN else ""
    if all(map(is_number, cells)):
        return (
            f"there is no header, but {len(cells)} columns of numbers ({shown}{more}); say which is"
            " which by number, as in columns={'x': 0, 'y': 1} (--column x=0 --column y=1 on the"
            " command line)"
        )
    return (
        f"{fault}; the columns are {shown}{more}; say which is which, as in"
        f" columns={{'x': {cells[0]!r}, 'y': {cells[1]!r}}} (--column x=... --column y=... on the"
        " command line)"
    )


def columns_found(file: BinaryIO) -> str:
    """Return what to say of a file that is of no known format; "" if it is no text."""
    file.seek(0)
    text = opened_head(file.read(HEAD_SIZE))
    if text is None or not text.lines[0].replace("\t", " ").isprintable():
        return ""
    return unknown_header(text)


def find_header(text: Text, options: ReadOptions) -> Header | None:
    """Return the header: the first line that is no comment, or a comment that names x and y."""
    for index, line in enumerate(text.lines):
        bare = line.strip()
        if not bare:
            continue
        is_comment = _is_comment(line)
        candidate = bare.lstrip(COMMENT + " ") if is_comment else line
        delimiter = guess_delimiter(candidate)
        names = tuple(split_line(candidate, delimiter))
        if _names_columns(names, options):
            return _header(names, delimiter, first_line=index + 1)
        if not is_comment:
            if not _is_numbered(options):
                return None
            return _headerless(index, cells=names, delimiter=delimiter)
    return None


def read_described(
    data: bytes, layout: Mapping[str, Any], *, options: ReadOptions, what: str
) -> tuple[LocTable, list[str]]:
    """Return a table kept as text inside an archive, as its format object describes it.

    Args:
        data: The text.
        layout: Keys delimiter, comments, header_row, header_transform, units.
        options: As the caller of the archive's reader gave them.
        what: File and table, for messages.

    Raises:
        FormatError: As `read_csv`.
    """
    text = open_text(io.BytesIO(data), name=what)
    header, dialect = _described_header(text, layout, what)
    renamed = _transformed(header.sources, layout.get("header_transform"))
    names = canonical_names(renamed)
    units = layout.get("units")
    sources = [name or str(index) for index, name in enumerate(header.sources)]
    given = {
        source: normal_unit(unit)
        for source, unit in (zip(sources, units, strict=False) if isinstance(units, list) else ())
        if isinstance(unit, str)
    }
    full = [
        ColumnName(
            name.name,
            given.get(source) or name.unit or normal_unit_of(source, name.name),
            source,
        )
        for name, source in zip(names, sources, strict=True)
    ]
    rows = read_rows(
        text,
        first_line=header.first_line,
        columns=len(full),
        dialect=dialect,
        on_error=options.on_error,
    )
    told = Layout(
        format_name="smlm", names=tuple(full), dialect=dialect, first_line=header.first_line
    )
    table, _ = table_of(told, rows, replace(options, name=what))
    return table, row_warnings(rows, what)


def normal_unit_of(source: str, name: str) -> str:
    """Return the unit a source name carries, else nm for x, y and z."""
    unit = canonical_names([source])[0].unit
    return unit or ("nm" if name in LENGTHS else "")


def _described_header(text: Text, layout: Mapping[str, Any], what: str) -> tuple[Header, Dialect]:
    row = layout.get("header_row", 0)
    comment = layout.get("comments")
    comment = comment if isinstance(comment, str) else ""
    if isinstance(row, bool) or not isinstance(row, int) or not -1 <= row < len(text.lines):
        raise HeaderError(f"{what}: header_row must be -1 or the number of a line, got {row!r}")
    shown = row if row >= 0 else _first_data_line(text, comment)
    line = text.lines[shown]
    delimiter = layout.get("delimiter")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or not delimiter.isascii():
        delimiter = guess_delimiter(line)
    if comment and line.startswith(comment):
        line = line[len(comment) :]
    names = tuple(split_line(line, delimiter))
    if row < 0:
        names = tuple(str(index) for index in range(len(names)))
    dialect = Dialect(delimiter=delimiter, comment=comment, missing_is_nan=True)
    return Header(sources=names, delimiter=delimiter, first_line=row + 1), dialect


def _first_data_line(text: Text, comment: str) -> int:
    for index, line in enumerate(text.lines):
        if line.strip() and not (comment and line.startswith(comment)):
            return index
    return 0


def _transformed(names: Sequence[str], transform: object) -> list[str]:
    """Rename headers by name or by index, as a format object's header_transform says."""
    rules = transform if isinstance(transform, dict) else {}
    renamed = []
    for index, name in enumerate(names):
        target = rules.get(name, rules.get(str(index)))
        renamed.append(target if isinstance(target, str) and target else name)
    return renamed


def _header(names: tuple[str, ...], delimiter: str, *, first_line: int) -> Header:
    return Header(sources=names, delimiter=delimiter, first_line=first_line, comment=COMMENT)


def _comments(text: Text, header: Header) -> list[str]:
    """Return the comments above the rows, but for one that is the header."""
    above = [
        line.strip(f"{COMMENT} ") for line in text.lines[: header.first_line] if _is_comment(line)
    ]
    is_header = above and tuple(split_line(above[-1], header.delimiter)) == header.sources
    return above[:-1] if is_header else above


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(COMMENT)


def _is_numbered(options: ReadOptions) -> bool:
    """Say whether the caller names all columns by number."""
    wanted = (options.columns or {}).values()
    return bool(wanted) and all(isinstance(item, int) or item.isdecimal() for item in wanted)


def _headerless(index: int, *, cells: tuple[str, ...], delimiter: str) -> Header:
    """Return a header of column numbers; a line of words is passed over."""
    is_data = all(map(is_number, cells))
    names = tuple(str(number) for number in range(len(cells))) if is_data else cells
    return _header(names, delimiter, first_line=index if is_data else index + 1)


def _names_columns(names: Sequence[str], options: ReadOptions) -> bool:
    if len(names) < 2 or all(map(is_number, names)):
        return False
    if options.columns:
        given = options.columns.values()
        wanted = {item for item in given if isinstance(item, str) and not item.isdecimal()}
        return bool(wanted) and wanted <= set(names)
    return {"x", "y"} <= {column.name for column in canonical_names(names)}


def _without_units(
    names: Sequence[ColumnName], options: ReadOptions
) -> tuple[list[ColumnName], list[str]]:
    """Give lengths that name no unit one, and say so."""
    lateral = "nm" if options.pixel_size_nm is None else "px"
    filled = []
    for name in names:
        # Programs that count x and y in pixels have z in nm all the same.
        default = lateral if name.name in LATERAL_LENGTHS else "nm"
        is_bare = name.name in LENGTHS and not name.unit
        filled.append(ColumnName(name.name, default, name.source) if is_bare else name)
    bare = [name.source for name in names if name.name in LENGTHS and not name.unit]
    if not bare:
        return filled, []
    taken = "nm" if lateral == "nm" else "camera pixels (z as nm)"
    return filled, [f"{options.name}: {', '.join(bare)} carry no unit; taken as {taken}"]


def _is_csv(head: bytes, _file: BinaryIO) -> bool:
    text = opened_head(head)
    return text is not None and find_header(text, ReadOptions()) is not None


def write_csv(
    file: BinaryIO,
    stream: BundleStream,
    options: WriteOptions,  # noqa: ARG001 - decimal text is exact and in nm.
) -> None:
    """Write one table as its blocks come, its columns as it calls them, frames as it counts.

    Raises:
        FormatError: There is not exactly one table.
        HeaderError: It has no x or no y.
        UnitError: A position is not in nm.
    """
    table = only_table(stream, "a csv")
    head = table.head
    check_positions(head, "a csv")
    write_rows(file, table, [_written_header(head, name) for name in head.columns])


def _written_header(table: LocTable, name: str) -> str:
    # Round brackets: with square ones it would pass for ThunderSTORM's, who counts from 1.
    unit = table.units[name] or ("nm" if name in ("x", "y", "z") else "")
    header = f"{name} ({unit})" if unit else name
    is_plain = header.isprintable() and not set(header) & set(',;"') and header[0] != COMMENT
    return header if is_plain else quoted(header)


FORMAT = Format(
    info=FormatInfo(
        name="csv",
        title="Delimited text that names x and y",
        suffixes=(".csv", ".txt"),
        reads=True,
        writes=True,
    ),
    media_type="text/csv",
    sniff=_is_csv,
    read=read_csv,
    write=of_bundles(write_csv),
    stream=by_blocks(read_csv),
    write_stream=write_csv,
)
