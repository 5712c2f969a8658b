"""Delimited text block by block, through the very readers that read it whole.

Theory of operation: a reader finds the header, calls `read_rows` once, and makes a table of what
it gets. Here `read_rows` is answered first with no rows, which gives the table's head, and then,
the reader being called again for each block, with the rows of that block. So all that a vendor's
module knows (names, units, quirks) holds for blocks as it does for whole files.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from smlmfmt.format import ReadOptions
from smlmfmt.stream import BundleStream, TableStream, stream_of
from smlmfmt.table import Bundle, LocTable
from smlmfmt.text import (
    TRAILER_SIZE_MAX,
    Columns,
    RowPlan,
    Rows,
    is_utf16,
    parsed_blocks,
    row_warnings,
)

__all__ = ["by_blocks"]

Read = Callable[[BinaryIO, ReadOptions], Bundle]


def by_blocks(read: Read) -> Callable[[BinaryIO, ReadOptions], BundleStream]:
    """Return the streaming counterpart of a reader of delimited text.

    Args:
        read: Calls `read_rows` on the file it is given and makes of each row one localization,
            whatever the other rows are.
    """

    def stream(file: BinaryIO, options: ReadOptions) -> BundleStream:
        return _stream(read, file, options)

    return stream


def _stream(read: Read, file: BinaryIO, options: ReadOptions) -> BundleStream:
    if is_utf16(file.read(2)):
        return stream_of(read(file, options))  # Has to be decoded whole; such files are small.
    tap = _Tap(file)
    bundle = read(cast("BinaryIO", tap), options)
    plan = tap.plan
    # What a column of text is, numbers or names, only the whole file tells.
    if plan is None or len(bundle.tables) != 1 or plan.dialect.text_columns:
        return stream_of(read(file, options))
    size = file.seek(0, io.SEEK_END) - plan.text.starts[plan.first_line]
    # Each cell takes a digit and what ends it.
    rows_max = size // (2 * plan.columns) + 1
    warnings = list(bundle.warnings)

    def blocks(count: int) -> Iterator[LocTable]:
        passed = Rows()
        for columns in _batches(parsed_blocks(plan, passed), min(count, rows_max)):
            tap.rows = Rows(columns=list(columns), trailer=tap.trailer)
            position = file.tell()
            block = read(cast("BinaryIO", tap), options)
            file.seek(position)
            warnings.extend(text for text in block.warnings if text not in warnings)
            yield block.tables[0]
        warnings.extend(row_warnings(passed, options.name))

    return BundleStream(
        tables=[TableStream(head=bundle.tables[0], rows_max=rows_max, blocks=blocks)],
        images=bundle.images,
        manifest=bundle.manifest,
        format=bundle.format,
        warnings=warnings,
    )


class _Tap(io.BufferedIOBase):
    """A text file whose rows `read_rows` gets from here."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.plan: RowPlan | None = None
        self.rows: Rows | None = None
        self.trailer = b""

    def hand_out(self, plan: RowPlan) -> Rows:
        """Answer `read_rows`."""
        if self.rows is not None:
            return self.rows
        self.plan = plan
        self.trailer = self._found_trailer()
        return Rows(columns=[np.empty(0) for _ in range(plan.columns)], trailer=self.trailer)

    def _found_trailer(self) -> bytes:
        size = self._file.seek(0, io.SEEK_END)
        self._file.seek(max(0, size - TRAILER_SIZE_MAX))
        return self._file.read().partition(b"\0")[2]

    def read(self, size: int | None = -1, /) -> bytes:
        return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _batches(parts: Iterator[Columns], count: int) -> Iterator[Columns]:
    """Yield contiguous columns of `count` rows each, the last ones shorter."""
    batch: list[npt.NDArray[np.float64]] = []
    filled = 0
    for part in parts:
        taken, rows = 0, len(part[0])
        while taken < rows:
            batch = batch or [np.empty(count) for _ in part]
            size = min(count - filled, rows - taken)
            for column, values in zip(batch, part, strict=True):
                column[filled : filled + size] = values[taken : taken + size]
            filled, taken = filled + size, taken + size
            if filled == count:
                yield batch
                batch, filled = [], 0
    if filled:
        yield [column[:filled] for column in batch]
