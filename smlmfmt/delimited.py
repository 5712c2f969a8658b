"""Any delimited table whose header names x and y, or for which the caller says which they are."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt.columns import (
    LATERAL_LENGTHS,
    LENGTHS,
    ColumnName,
    canonical_names,
    in_nanometres,
    normal_unit,
)
from smlmfmt.errors import FormatError, HeaderError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.table import Bundle, LocTable
from smlmfmt.text import (
    Rows,
    Text,
    guess_delimiter,
    is_utf16,
    open_text,
    read_rows,
    row_warnings,
    split_line,
)
from smlmfmt.text_cells import Dialect
from smlmfmt.text_stream import by_blocks

__all__ = ["FORMAT", "Header", "read_csv", "read_described", "row_warnings", "table_of"]

COMMENT = "#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the lines before the rows say: names, dialect, and where the rows begin."""

    names: tuple[str, ...]
    dialect: Dialect
    first_line: int


def read_csv(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the table of a delimited text.

    Lengths without a unit are nm, or camera pixels if the caller gives a pixel size.

    Raises:
        HeaderError: No column is x or y, and the caller does not say which is.
        RowError: A row is short, long or not numeric.
        UnitError: Lengths are in pixels and the pixel size is not given.
    """
    text = open_text(file, name=options.name)
    header = find_header(text, options)
    if header is None:
        raise HeaderError(
            f"{options.name}: no header line names x and y; say which column is what, as in"
            " columns={'x': 'header or number', 'y': ...}"
        )
    rows = read_rows(
        text,
        first_line=header.first_line,
        columns=len(header.names),
        dialect=header.dialect,
        on_error=options.on_error,
    )
    names, warnings = _without_units(_names(header.names, options), options)
    table = table_of(names, rows, options=options, format_name="csv")
    return Bundle(
        tables=(table,), format="csv", warnings=(*warnings, *row_warnings(rows, options.name))
    )


def table_of(
    names: Sequence[ColumnName],
    rows: Rows,
    *,
    options: ReadOptions,
    format_name: str,
    frame_origin: int | None = None,
) -> LocTable:
    """Return the table of named columns, lengths in nm. A column without a name is left out."""
    columns: dict[str, npt.NDArray[np.float64]] = {}
    units: dict[str, str] = {}
    for name, values in zip(names, rows.columns, strict=True):
        if not name.source:
            continue
        columns[name.name], units[name.name] = in_nanometres(
            values,
            name.unit,
            pixel_size_nm=options.pixel_size_nm,
            what=f"{options.name}: column {name.source!r}",
        )
    trailer = rows.trailer.decode("utf-8" if _is_utf8(rows.trailer) else "latin-1").strip()
    return LocTable(
        columns,
        units,
        name=options.name,
        frame_origin=frame_origin,
        source_names={name.name: name.source for name in names},
        metadata={"trailer": trailer} if trailer else {},
        format=format_name,
    )


def find_header(text: Text, options: ReadOptions) -> Header | None:
    """Return the header: the first line that is no comment, or a comment that names x and y."""
    for index, line in enumerate(text.lines):
        bare = line.strip()
        if not bare:
            continue
        is_comment = bare.startswith(COMMENT)
        candidate = bare.lstrip(COMMENT + " ") if is_comment else line
        delimiter = guess_delimiter(candidate)
        names = tuple(split_line(candidate, delimiter))
        if _names_columns(names, options):
            return _header(text, index, names=names, delimiter=delimiter)
        if not is_comment:
            if not _is_numbered(options):
                return None
            return _headerless(text, index, cells=names, delimiter=delimiter)
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
    header = _described_header(text, layout, what)
    renamed = _transformed(header.names, layout.get("header_transform"))
    names = canonical_names(renamed)
    units = layout.get("units")
    sources = [name or str(index) for index, name in enumerate(header.names)]
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
        columns=len(header.names),
        dialect=header.dialect,
        on_error=options.on_error,
    )
    table = table_of(full, rows, options=options, format_name="smlm")
    return table, row_warnings(rows, what)


def normal_unit_of(source: str, name: str) -> str:
    """Return the unit a source name carries, else nm for x, y and z."""
    unit = canonical_names([source])[0].unit
    return unit or ("nm" if name in LENGTHS else "")


def _described_header(text: Text, layout: Mapping[str, Any], what: str) -> Header:
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
    return Header(names=names, dialect=dialect, first_line=row + 1)


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


def _header(text: Text, index: int, *, names: tuple[str, ...], delimiter: str) -> Header:
    following = next((line for line in text.lines[index + 1 :] if line.strip()), "")
    # German Excel: cells set apart by ";", decimals by ",".
    is_comma = delimiter in ";\t" and "," in following and "." not in following
    dialect = Dialect(
        delimiter=delimiter,
        comment=COMMENT,
        decimal="," if is_comma else ".",
        missing_is_nan=True,
    )
    return Header(names=names, dialect=dialect, first_line=index + 1)


def _is_numbered(options: ReadOptions) -> bool:
    """Say whether the caller names all columns by number."""
    wanted = (options.columns or {}).values()
    return bool(wanted) and all(isinstance(source, int) for source in wanted)


def _headerless(text: Text, index: int, *, cells: tuple[str, ...], delimiter: str) -> Header:
    """Return a header of column numbers; a line of words is passed over."""
    is_data = all(_is_number(cell) for cell in cells)
    names = tuple(str(number) for number in range(len(cells))) if is_data else cells
    header = _header(text, index, names=names, delimiter=delimiter)
    first_line = index if is_data else index + 1
    return Header(names=names, dialect=header.dialect, first_line=first_line)


def _names_columns(names: Sequence[str], options: ReadOptions) -> bool:
    if len(names) < 2 or all(_is_number(name) for name in names):
        return False
    if options.columns:
        wanted = [source for source in options.columns.values() if isinstance(source, str)]
        return bool(wanted) and set(wanted) <= set(names)
    return {"x", "y"} <= {column.name for column in canonical_names(names)}


def _names(sources: Sequence[str], options: ReadOptions) -> list[ColumnName]:
    """Return our names, the caller's mapping before what the headers suggest."""
    mapping = options.columns or {}
    mapped: dict[int, str] = {}
    for name, source in mapping.items():
        index = source if isinstance(source, int) else _index(sources, source)
        if not 0 <= index < len(sources) or index in mapped:
            raise HeaderError(f"{options.name}: columns: {name!r}: no column {source!r} to map")
        mapped[index] = name
    if mapping and not {"x", "y"} <= mapping.keys():
        found = {column.name for column in canonical_names(sources)} | set(mapping)
        if not {"x", "y"} <= found:
            raise HeaderError(f"{options.name}: columns must say which columns are x and y")
    own = canonical_names(sources)
    taken = set(mapped.values())
    names = []
    for index, column in enumerate(own):
        name = mapped.get(index) or column.name
        if index not in mapped and name in taken:
            name = f"{name}_{index}"
        names.append(ColumnName(name, column.unit, column.source))
    return names


def _index(sources: Sequence[str], wanted: str) -> int:
    return list(sources).index(wanted) if wanted in sources else -1


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
    bare = [name.source for name in names if name.name in ("x", "y", "z") and not name.unit]
    if not bare:
        return filled, []
    taken = "nm" if lateral == "nm" else "camera pixels (z as nm)"
    return filled, [f"{options.name}: {', '.join(bare)} carry no unit; taken as {taken}"]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_csv(head: bytes, _file: BinaryIO) -> bool:
    if b"\0" in head.lstrip().partition(b"\n")[0] and not is_utf16(head):
        return False
    try:
        return find_header(open_text(io.BytesIO(head), name="file"), ReadOptions()) is not None
    except FormatError:
        return False


FORMAT = Format(
    info=FormatInfo(
        name="csv",
        title="Delimited text that names x and y",
        suffixes=(".csv", ".txt", ".tsv"),
        reads=True,
        writes=False,
    ),
    media_type="text/csv",
    sniff=_is_csv,
    read=read_csv,
    stream=by_blocks(read_csv),
)
