"""How a delimited file is laid out: from the line that names its columns to a table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.columns import ALIASES, LENGTHS, PIXEL_ENDS, ColumnName, in_nanometres, is_length
from smlmfmt.errors import HeaderError, UnitError
from smlmfmt.format import ReadOptions
from smlmfmt.table import Bundle, LocTable
from smlmfmt.text import Rows, Text, read_rows, row_warnings, split_line
from smlmfmt.text_cells import MISSING, SPECIAL, Dialect
from smlmfmt.text_labels import is_number

__all__ = [
    "COMMENT",
    "Header",
    "Layout",
    "arrange",
    "bundle_of",
    "checked",
    "mapped",
    "read_layout",
    "table_of",
]

COMMENT = "#"
SAMPLE_ROWS = 64
_NAMES_SHOWN = 32
_POSITIONS = ("x", "y", "z")
_PIXEL = "px"
# Columns that may hold names instead of numbers, besides those nobody knows.
_MAY_BE_TEXT = frozenset({"channel", "id", "column"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The line that names the columns.

    Attributes:
        sources: Its cells, one for each column.
        delimiter: What sets cells apart.
        first_line: Index of the first line of rows.
        comment: What comment lines begin with; "" if there are none.
        missing_is_nan: Whether an empty cell is NaN rather than an error.
        text: Our names of the columns that hold text in any case.
    """

    sources: tuple[str, ...]
    delimiter: str
    first_line: int
    comment: str = ""
    missing_is_nan: bool = True
    text: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What is known of a table before its rows are read.

    Attributes:
        names: Our name and the unit of each column; a column without a name is left out.
        first_line: Index of the first line of rows.
        pixel_sizes_nm: Camera pixel in nm by our column name, where the file tells it.
        metadata: What the head of the file says, as plain JSON values.
    """

    format_name: str
    names: tuple[ColumnName, ...]
    dialect: Dialect
    first_line: int
    frame_origin: int | None = None
    pixel_sizes_nm: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def arrange(
    text: Text,
    header: Header,
    names: Sequence[ColumnName],
    *,
    options: ReadOptions,
    format_name: str,
) -> Layout:
    """Return the layout of a table, its dialect taken from the first rows.

    Args:
        text: The file.
        header: Its header.
        names: Our name for each of the header's columns.
        options: As the caller gave them; `columns` wins over the names.
        format_name: Of the file.

    Raises:
        HeaderError: The caller maps columns that are not there.
    """
    sample = list(_sample(text, header))
    if sample and len(sample[0]) == len(names) + 1 and not sample[0][-1]:
        names = [*names, ColumnName("", "", "")]  # Every row ends with a delimiter.
    elif sample and len(sample[0]) == len(names) - 1 and not names[-1].source:
        names = names[:-1]  # Only the header does.
    names = _without_empty(names, sample)
    if options.columns:
        names = mapped(names, options)
    has_commas = header.delimiter != "," and _has_decimal_commas(sample)
    dialect = Dialect(
        delimiter=header.delimiter,
        comment=header.comment,
        decimal="," if has_commas else ".",
        missing_is_nan=header.missing_is_nan,
        text_columns=tuple(_text_columns(names, sample, known=header.text)),
    )
    commas = f"{options.name}: commas in numbers are taken as decimal points"
    return Layout(
        format_name=format_name,
        names=tuple(names),
        dialect=dialect,
        first_line=header.first_line,
        warnings=(commas,) if has_commas else (),
    )


def read_layout(text: Text, layout: Layout, options: ReadOptions) -> Bundle:
    """Return the table of a file whose layout is known.

    Raises:
        HeaderError: No column is x or y.
        RowError: A row is short, long or not numeric.
        UnitError: Positions are in pixels, and nobody gives the pixel size.
    """
    layout = checked(layout, options)
    rows = read_rows(
        text,
        first_line=layout.first_line,
        columns=len(layout.names),
        dialect=layout.dialect,
        on_error=options.on_error,
    )
    return bundle_of(layout, rows, options)


def checked(layout: Layout, options: ReadOptions) -> Layout:
    """Return the layout with lengths that must stay in pixels under names that say so.

    Raises:
        HeaderError: No column is x or y.
        UnitError: Positions have no unit of length, or are in pixels and nobody gives their size.
    """
    if not {"x", "y"} <= {name.name for name in layout.names}:
        sources = [name.source for name in layout.names[:_NAMES_SHOWN]]
        raise HeaderError(
            f"{options.name}: no column is x or y among {sources}; say which is which with"
            " columns={'x': ..., 'y': ...} (--column x=... on the command line)"
        )
    names, kept, notes = [], [], []
    for name in layout.names:
        if name.name in _POSITIONS:
            _check_position(name, layout, options)
        if name.name == "z" and _is_pixels(name):
            notes.append(f"{options.name}: z is taken to be in pixels of the size of x and y")
        if _is_pixels(name) and _pixel_size_nm(name, layout, options) is None:
            kept.append(name.source)
            # A name of ours promises nm.
            own = f"{name.name}_{_PIXEL}" if name.name in LENGTHS else name.name
            names.append(ColumnName(own, name.unit, name.source))
        else:
            names.append(name)
    if kept:
        notes.append(
            f"{options.name}: {', '.join(kept)} stay in camera pixels: the pixel size is not known"
            " (pixel_size_nm=, or --pixel-size on the command line)"
        )
    return replace(layout, names=tuple(names), warnings=(*layout.warnings, *notes))


def bundle_of(layout: Layout, rows: Rows, options: ReadOptions) -> Bundle:
    """Return the bundle of a checked layout's rows."""
    table, notes = table_of(layout, rows, options)
    warnings = (*layout.warnings, *notes, *row_warnings(rows, options.name))
    return Bundle(tables=(table,), format=layout.format_name, warnings=warnings)


def table_of(layout: Layout, rows: Rows, options: ReadOptions) -> tuple[LocTable, list[str]]:
    """Return the table of a layout's rows, lengths in nm, and what is to be said of it."""
    columns: dict[str, npt.NDArray[np.float64]] = {}
    units: dict[str, str] = {}
    metadata, notes = dict(layout.metadata), []
    for index, (name, values) in enumerate(zip(layout.names, rows.columns, strict=True)):
        numbers, texts, note = _read_labels(rows, index, values)
        notes += [f"{options.name}: column {name.source!r} {note}"] if note else []
        if not name.name and numbers is not None and not np.isnan(numbers).all():
            notes.append(f"{options.name}: column {index} has no header and is left out")
        if numbers is None or not name.name:
            continue
        own = name.name
        columns[own], units[own] = _in_nanometres(numbers, name, layout=layout, options=options)
        if texts:
            metadata.setdefault("labels", {})[own] = texts
    trailer = _decoded(rows.trailer).strip()
    table = LocTable(
        columns,
        units,
        name=options.name,
        frame_origin=layout.frame_origin,
        source_names={name.name: name.source for name in layout.names if name.source},
        metadata=metadata | ({"trailer": trailer} if trailer else {}),
        format=layout.format_name,
    )
    return table, notes


def mapped(names: Sequence[ColumnName], options: ReadOptions) -> list[ColumnName]:
    """Return the names with the caller's mapping before them.

    Raises:
        HeaderError: The caller maps a column that is not there, or one twice.
    """
    found: dict[int, str] = {}
    for name, source in (options.columns or {}).items():
        index = _index(names, source)
        if index is None or index in found:
            there = ", ".join(repr(column.source) for column in names[:_NAMES_SHOWN])
            raise HeaderError(
                f"{options.name}: columns: {name!r}: no column {source!r} to map; there are {there}"
            )
        found[index] = name
    taken = set(found.values())
    result = []
    for index, column in enumerate(names):
        name = found.get(index) or column.name
        if index not in found and name in taken:
            name = f"{name}_{index}"
        result.append(ColumnName(name, column.unit, column.source))
    return result


def _index(names: Sequence[ColumnName], source: str | int) -> int | None:
    """Return the index of a column given by its header, or by its number."""
    sources = [name.source for name in names]
    if isinstance(source, str) and source in sources:
        return sources.index(source)
    number = int(source) if isinstance(source, int) or source.isdecimal() else -1
    return number if 0 <= number < len(names) else None


def _sample(text: Text, header: Header) -> Iterator[list[str]]:
    """Yield the cells of the first rows."""
    lines = (line for line in text.lines[header.first_line :] if line.strip())
    comment = header.comment
    rows = (line for line in lines if not (comment and line.lstrip().startswith(comment)))
    for line in itertools.islice(rows, SAMPLE_ROWS):
        yield split_line(line, header.delimiter)


def _without_empty(
    names: Sequence[ColumnName], sample: Sequence[Sequence[str]]
) -> list[ColumnName]:
    """Return the names with "" for columns without a header that hold nothing in the first rows."""
    return [
        name
        if name.source or any(index < len(row) and row[index] for row in sample)
        else ColumnName("", "", "")
        for index, name in enumerate(names)
    ]


def _has_decimal_commas(sample: Sequence[Sequence[str]]) -> bool:
    """Say whether numbers are written as German spreadsheets do, 1,5 for 1.5."""
    cells = [cell for row in sample for cell in row]
    numbers = [cell for cell in cells if is_number(cell.replace(",", ".", 1))]
    return any("," in cell for cell in numbers) and not any("." in cell for cell in numbers)


def _text_columns(
    names: Sequence[ColumnName], sample: Sequence[Sequence[str]], *, known: frozenset[str]
) -> Iterator[int]:
    """Yield the columns known to hold text, and those whose cells in the first rows all are text.

    In a column of measured values text is an error, of which the reader of rows will speak.
    """
    rows = [row for row in sample if len(row) == len(names)]
    for index, name in enumerate(names):
        cells = [row[index] for row in rows if row[index].encode() not in MISSING]
        is_text = bool(cells) and all(map(_is_text, cells))
        if name.name in known or (is_text and not _is_measured(name)):
            yield index


def _is_text(cell: str) -> bool:
    return not is_number(cell.replace(",", ".")) and cell.encode() not in SPECIAL


def _is_measured(name: ColumnName) -> bool:
    return bool(name.unit) or (name.name in ALIASES and name.name not in _MAY_BE_TEXT)


def _read_labels(
    rows: Rows, index: int, values: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64] | None, list[str], str]:
    """Return a column's numbers, its texts, and a note; None for a column that is left out."""
    if index not in rows.labels.texts:
        return values, [], ""
    texts = rows.labels.texts[index]
    if texts is None:
        return None, [], "holds too many different texts to be kept and is left out"
    numbers = rows.labels.as_numbers(index)
    if numbers is not None:
        return numbers[values.astype(np.intp)] if len(values) else values, [], ""
    return values, list(texts), "holds text: its values number the texts in metadata['labels']"


def _in_nanometres(
    values: npt.NDArray[np.float64], name: ColumnName, *, layout: Layout, options: ReadOptions
) -> tuple[npt.NDArray[Any], str]:
    pixel_size_nm = _pixel_size_nm(name, layout, options)
    is_open = pixel_size_nm is None and name.name not in _POSITIONS
    # What is called x_px stands beside the same in nm.
    if _is_pixels(name) and (is_open or name.name.endswith(PIXEL_ENDS)):
        return values, name.unit
    return in_nanometres(
        values,
        name.unit,
        pixel_size_nm=pixel_size_nm,
        what=f"{options.name}: column {name.source!r}",
    )


def _check_position(name: ColumnName, layout: Layout, options: ReadOptions) -> None:
    if not is_length(name.unit) or "^" in name.unit:
        raise UnitError(
            f"{options.name}: column {name.source!r} must have a unit of length,"
            f" not {name.unit or 'none'}"
        )
    _in_nanometres(np.empty(0), name, layout=layout, options=options)


def _pixel_size_nm(name: ColumnName, layout: Layout, options: ReadOptions) -> float | None:
    # Who gives a size knows better than a file, which may carry a program's default.
    if options.pixel_size_nm is not None:
        return options.pixel_size_nm
    return layout.pixel_sizes_nm.get(name.name)


def _is_pixels(name: ColumnName) -> bool:
    return name.unit.partition("^")[0] == _PIXEL


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
