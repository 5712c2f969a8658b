"""The rows to build a pyramid of, block by block: a table's, or those of a stream read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import HeaderError, RowError
from smlmfmt.summary import lateral_uncertainty
from smlmfmt.table import LocTable

__all__ = ["Block", "RowBlocks", "Source"]

BLOCK_ROWS = 1 << 19
LENGTH_MAX_NM = 1e12  # Beyond a kilometre a coordinate is no position (as in smlmfmt.raster).

Columns: TypeAlias = Mapping[str, npt.NDArray[Any]]
Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowBlocks:
    """A table that is read in blocks, several times, and never held as a whole.

    Attributes:
        read: Gives the blocks from the first row on at each call, the same each time: arrays of
            equal length by column name, every block with the same columns.
        units: Unit by column name.
    """

    read: Callable[[], Iterable[Columns]]
    units: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Rows with a position.

    Attributes:
        first_row: The number of the first row of the stretch they come from.
        rows: Their numbers less first_row; empty if all rows of the stretch have a position.
        axes: float64, shape (dimension, n).
        columns: float64, shape (n,), by name.
    """

    first_row: int
    rows: npt.NDArray[np.int64]
    axes: Floats
    columns: Mapping[str, Floats]


class Source:
    """Rows of a table or a stream, made float64 a block at a time.

    Raises:
        HeaderError: There is no x or no y.
        RowError: A stream's blocks do not fit together, or differ from one reading to the next.
    """

    def __init__(self, table: LocTable | RowBlocks) -> None:
        self._table = table
        self.name, self.channel = table.name[:200], table.channel[:200]
        self._rows: int | None = None
        if isinstance(table, LocTable):
            self.names: tuple[str, ...] = table.columns
            sigma = lateral_uncertainty(table, slice(0, 0))
            self._has_sigma = "uncertainty_xy" not in table and sigma is not None
        else:
            self.names = tuple(next(iter(table.read()), {"x": None, "y": None}))
            self._has_sigma = False
        if self._has_sigma:
            self.names += ("uncertainty_xy",)
        if not {"x", "y"} <= set(self.names):
            have = ", ".join(self.names) or "none"
            raise HeaderError(
                f"{self.name or 'table'}: a pyramid needs columns x and y, got {have}"
            )

    def unit(self, name: str) -> str:
        """Return the unit of a column, "" if it is not known."""
        if name == "uncertainty_xy" and self._has_sigma:
            return "nm"
        return self._table.units.get(name, "")[:40]

    def blocks(
        self, axes: tuple[str, ...], names: Iterable[str] = ()
    ) -> Iterator[Callable[[], Block]]:
        """Yield, in order, calls that each make one block; they may be called in threads.

        Args:
            axes: The columns that make a position.
            names: The other columns wanted.
        """
        wanted = tuple(dict.fromkeys(names))
        row = 0
        for columns, size in self._stretches():

            def make(columns: Callable[[str], npt.NDArray[Any]] = columns, row: int = row) -> Block:
                return _block(columns, axes, wanted, first_row=row)

            yield make
            row += size
        if self._rows is None:
            self._rows = row
        if row != self._rows:
            raise RowError(f"{self.name}: {self._rows} rows in one reading, {row} in the next")

    @property
    def rows(self) -> int:
        """How many rows there are; known once they have been read."""
        assert self._rows is not None
        return self._rows

    def _stretches(self) -> Iterator[tuple[Callable[[str], npt.NDArray[Any]], int]]:
        if isinstance(self._table, LocTable):
            for start in range(0, len(self._table), BLOCK_ROWS):
                rows = slice(start, min(start + BLOCK_ROWS, len(self._table)))
                yield self._column(self._table, rows), rows.stop - start
            return
        for block in self._table.read():
            arrays = {name: np.asarray(block[name]) for name in self.names if name in block}
            sizes = {array.shape for array in arrays.values()}
            is_numeric = all(array.dtype.kind in "biuf" for array in arrays.values())
            if len(arrays) != len(self.names) or len(sizes) != 1 or not is_numeric:
                wanted = ", ".join(self.names)
                raise RowError(f"{self.name}: a block needs {wanted}: numbers, equally many")
            (shape,) = sizes
            if len(shape) != 1:
                raise RowError(f"{self.name}: a block's columns must be one-dimensional")
            for start in range(0, shape[0], BLOCK_ROWS):
                rows = slice(start, min(start + BLOCK_ROWS, shape[0]))
                yield self._part(arrays, rows), rows.stop - start

    def _column(self, table: LocTable, rows: slice) -> Callable[[str], npt.NDArray[Any]]:
        def get(name: str) -> npt.NDArray[Any]:
            if name == "uncertainty_xy" and self._has_sigma:
                sigma = lateral_uncertainty(table, rows)
                assert sigma is not None
                return sigma
            return table[name][rows]

        return get

    def _part(self, arrays: Columns, rows: slice) -> Callable[[str], npt.NDArray[Any]]:
        return lambda name: arrays[name][rows]


def _block(
    column: Callable[[str], npt.NDArray[Any]],
    axes: tuple[str, ...],
    names: tuple[str, ...],
    *,
    first_row: int,
) -> Block:
    from smlmfmt.pyramid.kernels import kept_rows  # noqa: PLC0415 - numba is slow to import.

    places = np.stack([column(axis).astype(np.float64, copy=False) for axis in axes])
    kept = np.empty(places.shape[1], np.bool_)
    is_whole = kept_rows(places, LENGTH_MAX_NM, kept) == len(kept)
    columns = {name: np.ascontiguousarray(column(name), np.float64) for name in names}
    if is_whole:
        rows = np.empty(0, np.int64)
    else:
        rows = np.flatnonzero(kept).astype(np.int64)
        places = np.ascontiguousarray(places[:, kept])
        columns = {name: values[kept] for name, values in columns.items()}
    return Block(first_row=first_row, rows=rows, axes=places, columns=columns)
