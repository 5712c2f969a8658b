"""Records of tiles in the making: block by block as they come, read again tile by tile."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError

__all__ = ["Group", "Spill"]

GROUP_WORDS = 1 << 22
Words: TypeAlias = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The records of the nodes `start` to `end`, as they lie in each block.

    Attributes:
        pieces: The blocks' runs, behind one another.
        bases: int64, shape (blocks,): where each block's run begins in pieces.
        starts: int64, shape (blocks, end - start + 1): where each node begins in its block's run.
    """

    start: int
    end: int
    pieces: Words
    bases: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]


class Spill:
    """Blocks of records, each sorted by node: in memory, or in a temporary file in `folder`."""

    def __init__(self, folder: Path | None) -> None:
        self._stack = ExitStack()
        self._file: BinaryIO | None = None
        if folder is not None:
            temporary = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the stack closes it.
            opened: Any = self._stack.enter_context(temporary)
            self._file = cast("BinaryIO", opened)
        self._blocks: list[Words] = []
        self._offsets: list[int] = [0]
        self._starts: list[Words] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.clear()
        self._stack.close()

    def add(self, records: Words, starts: Words) -> None:
        """Take the next block; starts, shape (nodes + 1,), says where each node's records begin."""
        self._starts.append(starts)
        if self._file is None:
            self._blocks.append(records)
        else:
            self._file.write(records.view(np.uint8).data)
            self._offsets.append(self._offsets[-1] + records.nbytes)

    def groups(self, sizes: npt.NDArray[np.int64]) -> Iterator[Group]:
        """Yield all nodes with their records, the first alone, then many at a time.

        Args:
            sizes: How many words of records each node has in all, shape (nodes,).
        """
        start = 0
        while start < len(sizes):
            end = start + 1
            words = int(sizes[start])
            while start and end < len(sizes) and words + sizes[end] <= GROUP_WORDS:
                words += int(sizes[end])
                end += 1
            yield self._group(start, end)
            start = end

    def _group(self, start: int, end: int) -> Group:
        runs = [self._read(block, start, end) for block in range(len(self._starts))]
        bases = np.cumsum([0, *(run.size for run in runs)], dtype=np.int64)[:-1]
        starts = np.array([s[start : end + 1] for s in self._starts], np.int64)
        starts = starts.reshape(-1, end - start + 1)
        starts -= starts[:, :1].copy()
        pieces = np.concatenate(runs) if runs else np.empty(0, np.uint32)
        return Group(start=start, end=end, pieces=pieces, bases=bases, starts=starts)

    def _read(self, block: int, start: int, end: int) -> Words:
        low, high = int(self._starts[block][start]), int(self._starts[block][end])
        if self._file is None:
            return self._blocks[block][low:high]
        self._file.seek(self._offsets[block] + 4 * low)
        data = self._file.read(4 * (high - low))
        if len(data) != 4 * (high - low):
            raise FormatError("the temporary file of a pyramid in the making was cut short")
        return np.frombuffer(data, np.uint32)
