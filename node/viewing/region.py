"""The rows of a region, counted or written as a file: exact values, from the file itself.

Runs in a worker process and goes through the table block by block, so memory follows the block and
the format that is written, not the table.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import smlmfmt
from node.errors import InputError
from node.viewing.view_state import Range, Region
from smlmfmt.errors import FormatError
from smlmfmt.files import replaced
from smlmfmt.format import FormatInfo, ReadOptions, WriteOptions
from smlmfmt.registry import format_to_write, opened_stream, write_whole
from smlmfmt.stream import BLOCK_ROWS, BundleStream, TableStream, gathered
from smlmfmt.table import Bundle, LocTable

__all__ = ["Cutting", "count_rows", "is_inside", "write_rows", "written_formats"]

Mask: TypeAlias = npt.NDArray[np.bool_]
Column: TypeAlias = npt.NDArray[Any]

GATHERED_ROWS_MAX = 20_000_000  # Of formats that cannot be written block by block.


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """What to take from where.

    Attributes:
        source: A file whose bytes were verified; `format` is its format.
        table: The table's number in there.
        rows: How many rows the record says it has; another number is another reading of the file.
        region: In the plane; None takes all.
        filters: By column, the range in which rows are kept.
        target, to_format: What to write.
    """

    source: Path
    format: str
    table: int
    rows: int
    region: Region | None = None
    filters: Mapping[str, Range] = field(default_factory=dict)
    target: Path = Path()
    to_format: str = ""


def written_formats() -> list[FormatInfo]:
    """Return the formats in which a region is written: those of one file, without one beside it."""
    return [
        item
        for item in smlmfmt.formats()
        if item.writes and format_to_write(Path(), item.name).companions is None
    ]


def count_rows(task: Cutting) -> int:
    """Return how many rows lie in the region, exactly.

    Raises:
        InputError: The file cannot be read as the record says, or a filter names no column of it.
    """
    wanted = list(dict.fromkeys([*("xy" if task.region else ""), *task.filters]))
    try:
        with opened_stream(task.source, format=task.format, options=ReadOptions()) as (stream, _):
            table = _table(stream, task)
            _check_columns(table.head, wanted)
            seen, kept = 0, 0
            for block in table.blocks(BLOCK_ROWS):
                seen += len(block)
                kept += int(np.count_nonzero(_mask(block, task)))
    except FormatError as error:
        raise InputError(f"the rows cannot be counted: {error}") from error
    _check_rows(seen, task)
    return kept


def write_rows(task: Cutting) -> int:
    """Write the rows of the region to a file of one table; return how many there are.

    Raises:
        InputError: As count_rows, or the format cannot hold them.
    """
    kept = 0
    seen = 0

    def blocks(table: TableStream, rows: int) -> Iterator[LocTable]:
        nonlocal kept, seen
        for block in table.blocks(rows):
            seen += len(block)
            found = _chosen(block, _mask(block, task))
            kept += len(found)
            if kept > rows_max:
                raise InputError(
                    f"more than {rows_max} rows are in the region, which is what can be written as "
                    f"{task.to_format} at once; take a smaller one, or smlm or thunderstorm"
                )
            yield found

    try:
        chosen = format_to_write(task.target, task.to_format)
        rows_max = GATHERED_ROWS_MAX if chosen.write_stream is None else task.rows
        with opened_stream(task.source, format=task.format, options=ReadOptions()) as (stream, _):
            table = _table(stream, task)
            _check_columns(table.head, [*("xy" if task.region else ""), *task.filters])
            part = TableStream(
                head=table.head,
                rows_max=table.rows_max,
                blocks=lambda rows: blocks(table, rows),
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # What a format cannot hold stands in the docs.
                if chosen.write_stream is None:
                    bundle = Bundle(tables=(gathered(part),))
                    write_whole(task.target, bundle, chosen, options=WriteOptions())
                else:
                    with replaced(task.target) as file:
                        chosen.write_stream(file, BundleStream(tables=[part]), WriteOptions())
    except FormatError as error:
        raise InputError(f"the rows cannot be written as {task.to_format}: {error}") from error
    _check_rows(seen, task)
    return kept


def is_inside(region: Region, x: Column, y: Column) -> Mask:
    """Say which points lie in a region; borders of a rectangle belong to it.

    A polygon that crosses itself has inside what an odd number of its edges separates from
    infinity, as the page draws it.
    """
    (x_min, x_max), (y_min, y_max) = region.bounds
    inside = (x >= x_min) & (x <= x_max) & (y >= y_min) & (y <= y_max)
    if region.shape == "rect" or not inside.any():
        return np.asarray(inside)
    index = np.flatnonzero(inside)
    px, py = x[index].astype(np.float64), y[index].astype(np.float64)
    odd = np.zeros(index.size, np.bool_)
    corners = region.corners
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if ay == by:
            continue
        between = (py >= min(ay, by)) & (py < max(ay, by))
        odd ^= between & (px < ax + (py - ay) * ((bx - ax) / (by - ay)))
    found = np.zeros(len(x), np.bool_)
    found[index] = odd
    return found


def _mask(block: LocTable, task: Cutting) -> Mask:
    keep = np.ones(len(block), np.bool_)
    for name, (low, high) in task.filters.items():
        values: npt.NDArray[Any] = block[name]
        keep &= (values >= low) & (values <= high)
    if task.region is not None:
        keep &= is_inside(task.region, block["x"], block["y"])
    return keep


def _chosen(block: LocTable, mask: Mask) -> LocTable:
    return LocTable(
        {name: block[name][mask] for name in block.columns},
        block.units,
        name=block.name,
        channel=block.channel,
        frame_origin=block.frame_origin,
        source_names=block.source_names,
        metadata=block.metadata,
        format=block.format,
    )


def _table(stream: BundleStream, task: Cutting) -> TableStream:
    if task.table >= len(stream.tables):
        raise InputError(f"the file has {len(stream.tables)} tables, not a table {task.table + 1}")
    return stream.tables[task.table]


def _check_columns(head: LocTable, names: list[str]) -> None:
    missing = [name for name in names if name not in head]
    if missing:
        raise InputError(
            f"the table has no column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(head.columns)}"
        )


def _check_rows(seen: int, task: Cutting) -> None:
    if seen != task.rows:
        raise InputError(
            f"the file has {seen} rows as it is read here, and {task.rows} as its record says; "
            "download it instead"
        )
