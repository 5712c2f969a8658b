"""Interleaved rows of bytes to columns and back, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import RowError

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
    """Growing columns that take whole or broken rows and grant memory as bytes arrive.

    Args:
        layout: How the rows are laid out.
        rows: How many rows will come; not believed until they do.
        compressed_size: Size of the member in the file, which is a fact.
        what: File and table, for messages.
    """

    def __init__(self, layout: Layout, *, rows: int, compressed_size: int, what: str) -> None:
        self._layout = layout
        self._rows = rows
        self._what = what
        granted = max(GRANT_ROWS_MIN, GRANT_RATIO * compressed_size // layout.row_size)
        self._arrays = [
            np.empty(min(rows, granted), dtype.newbyteorder("=")) for dtype in layout.dtypes
        ]
        self._count = 0
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Append the rows in the next bytes; a broken last row waits for its end."""
        if self._rest:
            data = self._rest + data
        whole = len(data) // self._layout.row_size * self._layout.row_size
        self._rest = data[whole:]
        if whole:
            self.put(memoryview(data)[:whole], start=self._count)

    def put(self, rows: bytes | memoryview, *, start: int) -> None:
        """Copy whole rows to their place, which may not lie behind the promised end."""
        end = start + len(rows) // self._layout.row_size
        if end > self._rows:
            raise RowError(f"{self._what}: more rows than the {self._rows} the manifest promises")
        self._grow(end)
        step = max(1, BLOCK_SIZE // self._layout.row_size)
        views = self._layout.views(rows)
        for block in range(0, end - start, step):
            block_end = min(block + step, end - start)
            for array, view in zip(self._arrays, views, strict=True):
                array[start + block : start + block_end] = view[block:block_end]
        self._count = max(self._count, end)

    def finished(self) -> list[npt.NDArray[Any]]:
        """Return the columns once all promised rows are there.

        Raises:
            RowError: Fewer rows came than were promised, or the last one is broken.
        """
        if self._count != self._rows or self._rest:
            raise RowError(
                f"{self._what}: the manifest promises {self._rows} rows, the bytes hold"
                f" {self._count} and {len(self._rest)} B"
            )
        return self._arrays

    def _grow(self, rows: int) -> None:
        capacity = len(self._arrays[0])
        if rows <= capacity:
            return
        capacity = min(self._rows, max(rows, 2 * capacity))
        for index, array in enumerate(self._arrays):
            grown = np.empty(capacity, array.dtype)
            grown[: self._count] = array[: self._count]
            self._arrays[index] = grown


def transposed_columns(data: bytes, dtypes: Sequence[np.dtype[Any]]) -> Iterator[npt.NDArray[Any]]:
    """Yield the columns of a version 1 table: byte i of column c lies at i * columns + c."""
    matrix = np.frombuffer(data, np.uint8).reshape(-1, len(dtypes))
    for index, dtype in enumerate(dtypes):
        yield np.ascontiguousarray(matrix[:, index]).view(dtype)
