"""Files as streams of row blocks, so that no table need ever be whole in memory.

A format that can read or write its tables block by block does so through a BundleStream. One that
cannot is read whole and cut: what a caller gets is the same, only the memory differs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import HeaderError, RowError
from smlmfmt.memory import empty
from smlmfmt.table import Bundle, Image, LocTable

__all__ = [
    "BLOCK_ROWS",
    "BundleStream",
    "TableStream",
    "chosen",
    "gathered",
    "selected",
    "sliced",
    "stream_of",
]

BLOCK_ROWS = 262_144

Blocks = Callable[[int], Iterator[LocTable]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStream:
    """One table to be read block by block, while its file is open.

    Attributes:
        head: The table without rows: its columns, their types and units, what is said of it.
        rows_max: No more rows than this will come; for room in what is written.
        blocks: Gives the rows from the first on in blocks of as many rows as asked for, the last
            one shorter. FormatError on the way if the file is not what it should be.
        section: Gives rows [start, end) without reading all before them, if the format can.
            RowError if there are no such rows.
        whole: The table itself, where it is in memory already.
    """

    head: LocTable
    rows_max: int
    blocks: Blocks
    section: Callable[[int, int], LocTable] | None = None
    whole: LocTable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleStream:
    """What one file holds, its tables as streams; `warnings` grow as the rows are read."""

    tables: Sequence[TableStream]
    images: Sequence[Image] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""
    warnings: list[str] = field(default_factory=list)


def stream_of(bundle: Bundle) -> BundleStream:
    """Return tables that are in memory as streams."""
    tables = [
        TableStream(
            head=sliced(table, 0, 0),
            rows_max=len(table),
            blocks=partial(_blocks_of, table),
            section=partial(_section_of, table),
            whole=table,
        )
        for table in bundle.tables
    ]
    return BundleStream(
        tables=tables,
        images=bundle.images,
        manifest=bundle.manifest,
        format=bundle.format,
        warnings=list(bundle.warnings),
    )


def selected(stream: TableStream, only: Sequence[str]) -> TableStream:
    """Return a table of some of its columns, in the order asked for.

    Raises:
        HeaderError: The table has no such column.
    """
    names = chosen(stream.head.columns, only, what=f"table {stream.head.name!r}")
    section = stream.section

    def cut(start: int, end: int) -> LocTable:
        assert section is not None
        return _with_columns(section(start, end), names)

    return TableStream(
        head=_with_columns(stream.head, names),
        rows_max=stream.rows_max,
        blocks=lambda rows: (_with_columns(block, names) for block in stream.blocks(rows)),
        section=cut if section else None,
        whole=None if stream.whole is None else _with_columns(stream.whole, names),
    )


def chosen(columns: Collection[str], only: Sequence[str], *, what: str) -> list[str]:
    """Return the columns asked for, each once.

    Raises:
        HeaderError: There is no such column, or none is asked for.
    """
    names = [only] if isinstance(only, str) else list(dict.fromkeys(only))
    unknown = [name for name in names if name not in columns]
    if unknown or not names:
        raise HeaderError(
            f"{what}: only= names {', '.join(map(repr, unknown)) or 'no column'}; the columns are"
            f" {', '.join(columns)}"
        )
    return names


def gathered(stream: TableStream, *, start: int = 0, end: int | None = None) -> LocTable:
    """Return rows [start, end) of a stream as one table; all rows if no end is given.

    Raises:
        RowError: The table has no such rows.
        FormatError: The file is not what its format says it must be.
    """
    if start < 0 or (end is not None and end < start):
        raise RowError(f"rows must be (start, end) with 0 <= start <= end, got ({start}, {end})")
    if end is None and start == 0 and stream.whole is not None:
        return stream.whole
    if end is not None and stream.section is not None:
        return stream.section(start, end)
    columns = _Parts(stream.head)
    at, last = 0, stream.head
    for block in stream.blocks(BLOCK_ROWS):
        last = block
        low, high = max(0, start - at), len(block) if end is None else max(0, end - at)
        columns.append(block, low, high)
        at += len(block)
        if end is not None and at >= end:
            break
    if at < start or (end is not None and at < end):
        raise _no_rows(stream.head, (start, at if end is None else end), count=at)
    return _like(last, columns.joined())


def sliced(table: LocTable, start: int, end: int) -> LocTable:
    """Return rows [start, end) of a table with all it says about itself."""
    return _like(table, {name: table[name][start:end] for name in table.columns})


class _Parts:
    """Columns in parts, joined at the end, column by column: no more than one is there twice."""

    def __init__(self, head: LocTable) -> None:
        self._parts = {name: [head[name]] for name in head.columns}

    def append(self, block: LocTable, start: int, end: int) -> None:
        if start < min(end, len(block)):
            is_whole = start == 0 and end >= len(block)
            for name, parts in self._parts.items():
                # A part of a block must not keep the whole of it.
                values = block[name]
                parts.append(values if is_whole else values[start:end].copy())

    def joined(self) -> dict[str, npt.NDArray[Any]]:
        columns = {}
        for name in list(self._parts):
            # The head's type says nothing beside that of rows.
            parts = self._parts.pop(name)
            rows = parts[1:] or parts
            room = empty(sum(map(len, rows)), np.result_type(*rows))
            columns[name] = np.concatenate(rows, out=room)
        return columns


def _blocks_of(table: LocTable, rows: int) -> Iterator[LocTable]:
    for start in range(0, len(table), rows):
        yield sliced(table, start, start + rows)


def _section_of(table: LocTable, start: int, end: int) -> LocTable:
    if not 0 <= start <= end <= len(table):
        raise _no_rows(table, (start, end), count=len(table))
    return sliced(table, start, end)


def _no_rows(table: LocTable, wanted: tuple[int, int], *, count: int) -> RowError:
    start, end = wanted
    return RowError(f"table {table.name!r}: no rows {start} to {end}; there are {count}")


def _with_columns(table: LocTable, names: Sequence[str]) -> LocTable:
    return _like(table, {name: table[name] for name in names})


def _like(table: LocTable, columns: Mapping[str, npt.NDArray[Any]]) -> LocTable:
    """Return a table of other values with all that another one says about itself."""
    return LocTable(
        columns,
        table.units,
        name=table.name,
        channel=table.channel,
        frame_origin=table.frame_origin,
        source_names=table.source_names,
        metadata=table.metadata,
        format=table.format,
    )
