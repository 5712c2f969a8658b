"""Interleaved rows of bytes to columns and back, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import RowError
from smlmfmt.memory import empty

__all__ = ["Columns", "Layout"]

# Rows are copied to columns in blocks that stay in the processor's cache.
BLOCK_SIZE = 512 << 10
# Room granted at once, as a multiple of the compressed bytes; more only as data arrives.
GRANT_RATIO = 8
GRANT_ROWS_MIN = 65_536


class Layout:
    """How one row's values lie behind one another.

    Args:
        dtypes: Little-endian dtype of each column.
        counts: Number of elements of each column.
    """

    def __init__(self, dtypes: Sequence[np.dtype[Any]], counts: Sequence[int]) -> None:
        # A column of several elements becomes several columns.
        self.dtypes = [
            dtype for dtype, count in zip(dtypes, counts, strict=True) for _ in range(count)
        ]
        self.row_size = sum(dtype.itemsize for dtype in self.dtypes)
        starts = np.cumsum([0, *(dtype.itemsize for dtype in self.dtypes)])[:-1]
        self._record = np.dtype(
            {
                "names": [f"f{index}" for index in range(len(self.dtypes))],
                "formats": self.dtypes,
                "offsets": [int(start) for start in starts],
                "itemsize": self.row_size,
            }
        )
        self._is_uniform = len(set(self.dtypes)) == 1

    def views(self, rows: bytes | memoryview) -> list[npt.NDArray[Any]]:
        """Return strided views of the columns of whole rows."""
        if self._is_uniform:
            matrix = np.frombuffer(rows, self.dtypes[0]).reshape(-1, len(self.dtypes))
            return [matrix[:, index] for index in range(len(self.dtypes))]
        records = np.frombuffer(rows, self._record)
        return [records[name] for name in self._record.names or ()]

    def interleave(self, columns: Sequence[npt.NDArray[Any]]) -> bytes | memoryview:
        """Return the rows of equally long columns as bytes; values are cast to the dtypes."""
        rows = len(columns[0])
        if self._is_uniform:
            matrix = np.empty((rows, len(columns)), self.dtypes[0])
            step = max(1, BLOCK_SIZE // self.row_size)
            for start in range(0, rows, step):
                for index, column in enumerate(columns):
                    matrix[start : start + step, index] = column[start : start + step]
            return matrix.data.cast("B") if rows else b""
        records = np.empty(rows, self._record)
        for name, column in zip(self._record.names or (), columns, strict=True):
            records[name] = column
        return records.tobytes()


class Columns:
    """Columns to be filled with rows, granted memory as the bytes of the rows arrive.

    Args:
        layout: How the rows are laid out.
        rows: How many rows will come; not believed until they do.
        compressed_size: Size of the member in the file, which is a fact.
        what: File and table, for messages.
        wanted: Indices of the columns to be filled.
    """

    def __init__(
        self, layout: Layout, *, rows: int, compressed_size: int, what: str, wanted: Sequence[int]
    ) -> None:
        self._layout = layout
        self._rows = rows
        self._what = what
        self.wanted = tuple(wanted)
        granted = max(GRANT_ROWS_MIN, GRANT_RATIO * compressed_size // layout.row_size)
        self.arrays = [
            empty(min(rows, granted), layout.dtypes[index].newbyteorder("="))
            for index in self.wanted
        ]

    @property
    def is_whole(self) -> bool:
        """Whether room for all rows is granted, so that spans may be filled in threads."""
        return len(self.arrays[0]) == self._rows

    def span(self, start: int = 0, end: int | None = None) -> Span:
        """Return rows [start, end) to be filled; all rows if no end is given."""
        end = self._rows if end is None else end
        return Span(self, self._layout, (start, end), what=self._what)

    def grow(self, rows: int, *, filled: int) -> None:
        """Grant room for so many rows, of which the first `filled` are kept."""
        capacity = len(self.arrays[0])
        if rows <= capacity:
            return
        capacity = min(self._rows, max(rows, 2 * capacity))
        for index, array in enumerate(self.arrays):
            grown = empty(capacity, array.dtype)
            grown[:filled] = array[:filled]
            self.arrays[index] = grown


class Span:
    """Rows [start, end) of columns, filled from the front with whole or broken rows."""

    def __init__(
        self, columns: Columns, layout: Layout, rows: tuple[int, int], *, what: str
    ) -> None:
        self._columns = columns
        self._layout = layout
        self._start, self._end = rows
        self._at = self._start
        self._what = what
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Append the rows in the next bytes; a broken last row waits for its end."""
        if self._rest:
            data = self._rest + data
        whole = len(data) // self._layout.row_size * self._layout.row_size
        self._rest = data[whole:]
        if whole:
            self._put(memoryview(data)[:whole])

    def finish(self) -> None:
        """Check that all promised rows came.

        Raises:
            RowError: Fewer came, or the last one is broken.
        """
        if self._at != self._end or self._rest:
            raise RowError(
                f"{self._what}: {self._end - self._start} rows promised, the bytes hold"
                f" {self._at - self._start} and {len(self._rest)} B"
            )

    def _put(self, rows: memoryview) -> None:
        row_size = self._layout.row_size
        end = self._at + len(rows) // row_size
        if end > self._end:
            raise RowError(f"{self._what}: more rows than the manifest promises")
        self._columns.grow(end, filled=self._at)
        step = max(1, BLOCK_SIZE // row_size) * row_size
        for start in range(0, len(rows), step):
            views = self._layout.views(rows[start : start + step])
            block_end = self._at + len(views[0])
            for array, index in zip(self._columns.arrays, self._columns.wanted, strict=True):
                array[self._at : block_end] = views[index]
            self._at = block_end


def transposed_columns(data: bytes, dtypes: Sequence[np.dtype[Any]]) -> Iterator[npt.NDArray[Any]]:
    """Yield the columns of a version 1 table: byte i of column c lies at i * columns + c."""
    matrix = np.frombuffer(data, np.uint8).reshape(-1, len(dtypes))
    for index, dtype in enumerate(dtypes):
        yield np.ascontiguousarray(matrix[:, index]).view(dtype)
