"""The terms of every dataset in one long list, counted at the speed of memory.

A dataset's terms stand together as a span. When they change, a new span is added and the old one
is given to row 0, which is never shown; too many of those are swept out.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mask", "Rows", "TagLists", "grown"]

Mask: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.int64]

_SWEEP_COUNT = 10_000
# Below this share of all rows it is cheaper to walk their spans than to walk all.
_WALK_SHARE = 3


class TagLists:
    """Spans of terms by row. Four bytes for each term and sixteen for each span."""

    def __init__(self) -> None:
        self._terms = np.zeros(0, np.int32)
        self._term_count = 0
        # Span 0 is the empty one of all rows without terms.
        self._row = np.zeros(1, np.int32)
        self._start = np.zeros(1, np.int64)
        self._size = np.zeros(1, np.int32)
        self._span_count = 1
        self._dead_count = 0
        self._span_of_row = np.zeros(1, np.int32)
        self._totals = np.zeros(1, np.int64)

    def put(self, row: int, terms: Sequence[int]) -> None:
        """Replace the terms of a row."""
        self._span_of_row = grown(self._span_of_row, row + 1)
        span = int(self._span_of_row[row])
        start, size = int(self._start[span]), int(self._size[span])
        before = self._terms[start : start + size].tolist()
        if before == list(terms):
            return
        self._totals = grown(self._totals, max(terms, default=0) + 1)
        for term in before:
            self._totals[term] -= 1
        for term in terms:
            self._totals[term] += 1
        if span:
            self._row[span] = 0
            self._dead_count += 1
        self._span_of_row[row] = self._add(row, terms) if terms else 0
        if self._dead_count > max(_SWEEP_COUNT, self._span_count // 2):
            self._sweep()

    def rows_with(self, term: int, *, count: int) -> Mask:
        """Return the rows that have a term, as (count,) booleans."""
        found = np.zeros(count, np.bool_)
        places = np.flatnonzero(self._terms[: self._term_count] == term)
        starts = self._start[: self._span_count]
        found[self._row[np.searchsorted(starts, places, side="right") - 1]] = True
        found[0] = False
        return found

    def totals(self) -> NDArray[np.int64]:
        """Return how many rows have each term, by the term's number."""
        return self._totals.copy()

    def count(self, rows: Rows, mask: Mask) -> NDArray[np.int64]:
        """Return how many of the rows have each term, by the term's number.

        Args:
            rows: Their numbers, (n,).
            mask: The same rows as booleans, row 0 not among them.
        """
        if len(rows) * 2 <= len(mask):
            return self._count(rows, mask)
        # Most rows: those that are not among them are fewer to count.
        others = ~mask
        others[0] = False
        counts = self.totals()
        without = self._count(np.flatnonzero(others), others)
        counts[: len(without)] -= without
        return counts

    def _count(self, rows: Rows, mask: Mask) -> NDArray[np.int64]:
        if len(rows) * _WALK_SHARE > len(mask):
            spans = slice(1, self._span_count)
            chosen = np.repeat(mask[self._row[spans]], self._size[spans])
            return np.bincount(self._terms[: self._term_count][chosen])
        spans_of = self._span_of_row[rows]
        starts, sizes = self._start[spans_of], self._size[spans_of].astype(np.int64)
        ends = np.cumsum(sizes)
        steps = np.arange(ends[-1] if len(ends) else 0)
        return np.bincount(self._terms[np.repeat(starts - ends + sizes, sizes) + steps])

    def _add(self, row: int, terms: Sequence[int]) -> int:
        start, end, span = self._term_count, self._term_count + len(terms), self._span_count
        self._terms = grown(self._terms, end)
        self._row = grown(self._row, span + 1)
        self._start = grown(self._start, span + 1)
        self._size = grown(self._size, span + 1)
        self._terms[start:end] = terms
        self._row[span], self._start[span], self._size[span] = row, start, len(terms)
        self._term_count, self._span_count = end, span + 1
        return span

    def _sweep(self) -> None:
        spans = slice(1, self._span_count)
        alive = self._row[spans] != 0
        self._terms = self._terms[: self._term_count][np.repeat(alive, self._size[spans])]
        self._row = np.append(np.int32(0), self._row[spans][alive])
        self._size = np.append(np.int32(0), self._size[spans][alive])
        self._start = np.cumsum(self._size, dtype=np.int64) - self._size
        self._term_count, self._span_count = len(self._terms), len(self._row)
        self._dead_count = 0
        self._span_of_row[:] = 0
        self._span_of_row[self._row] = np.arange(self._span_count, dtype=np.int32)
        self._span_of_row[0] = 0


def grown(array: NDArray[Any], count: int) -> NDArray[Any]:
    """Return an array with room for so many values: the same one, or a copy at least twice it."""
    if count <= len(array):
        return array
    bigger = np.zeros(max(count, 2 * len(array), 1024), array.dtype)
    bigger[: len(array)] = array
    return bigger
