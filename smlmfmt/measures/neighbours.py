"""Distances to the nearest localization some frames later, by hashing positions to a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smlmfmt.measures.rows import Floats, Indices

__all__ = ["FrameNeighbours", "Localizations"]

CELL_BITS = 21  # Cells along one axis before the grid wraps; what wraps is told by its distance.
CELL_MASK = (1 << CELL_BITS) - 1
CANDIDATES_MAX = 1 << 25  # Distances computed in one search, over all points asked for.
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Localizations:
    """Positions in nm and their frame as whole numbers, each of shape (n,)."""

    x: Floats
    y: Floats
    frame: npt.NDArray[np.int64]


class FrameNeighbours:
    """Answers how far the nearest localization in a later frame is.

    Args:
        points: At least one, in at most 2^21 distinct frames.
        reach_nm: Distances beyond it are infinite.
    """

    def __init__(self, points: Localizations, *, reach_nm: float) -> None:
        self._reach_nm = reach_nm
        self._frames, rank = np.unique(points.frame, return_inverse=True)
        # Counted from the least, so that the grid wraps nowhere but in fields of 2^21 cells.
        axes = [np.floor((axis - axis.min()) / reach_nm) for axis in (points.x, points.y)]
        self._column, self._row = (axis.astype(np.int64) & CELL_MASK for axis in axes)
        keys = self._key(rank, self._row, self._column)
        order = np.argsort(keys, kind="stable")
        self._keys, self._order = keys[order], order
        self._points = points

    @staticmethod
    def _key(
        rank: npt.NDArray[np.int64], row: npt.NDArray[np.int64], column: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        return (rank << (2 * CELL_BITS)) | (row << CELL_BITS) | column

    def distances(self, asked: Indices, *, lag: int) -> Floats:
        """Return the distance in nm from each point to the nearest one `lag` frames later.

        Infinite where there is none within reach. If the points lie so close that there would be
        more than CANDIDATES_MAX candidates, only the first of the points asked for are answered,
        as many as the limit allows: ask in random order.
        """
        spans = self._spans(asked, lag)
        sizes = np.sum([high - low for low, high in spans], axis=0)
        answered = int(np.searchsorted(np.cumsum(sizes), CANDIDATES_MAX, side="right"))
        nearest = np.full(answered, np.inf)
        for low, high in spans:
            self._search(asked[:answered], low[:answered], high[:answered], nearest=nearest)
        return np.asarray(np.sqrt(nearest))

    def _spans(self, asked: Indices, lag: int) -> list[tuple[Indices, Indices]]:
        """Return for each of three rows of cells where its candidates begin and end in order."""
        wanted = self._points.frame[asked] + lag
        rank = np.searchsorted(self._frames, wanted).astype(np.int64)
        exists = rank < len(self._frames)
        exists[exists] = self._frames[rank[exists]] == wanted[exists]
        column = self._column[asked]
        left, right = np.maximum(column - 1, 0), np.minimum(column + 1, CELL_MASK)
        spans = []
        for step in (-1, 0, 1):
            row = (self._row[asked] + step) & CELL_MASK
            low = np.searchsorted(self._keys, self._key(rank, row, left))
            high = np.searchsorted(self._keys, self._key(rank, row, right), side="right")
            spans.append((low, np.where(exists, high, low)))
        return spans

    def _search(self, asked: Indices, low: Indices, high: Indices, *, nearest: Floats) -> None:
        """Lower `nearest`, squared distances, to what the candidates from low to high give."""
        some = np.flatnonzero(high > low)
        ends = np.cumsum(high[some] - low[some])
        start = 0
        while start < some.size:
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + CHUNK, side="right")))
            chosen = some[start:stop]
            counts = high[chosen] - low[chosen]
            begins = np.cumsum(counts) - counts
            places = np.arange(int(counts.sum())) + np.repeat(low[chosen] - begins, counts)
            candidates, points = self._order[places], np.repeat(asked[chosen], counts)
            squares = np.square(self._points.x[candidates] - self._points.x[points])
            squares += np.square(self._points.y[candidates] - self._points.y[points])
            squares[squares > self._reach_nm**2] = np.inf
            nearest[chosen] = np.minimum(nearest[chosen], np.minimum.reduceat(squares, begins))
            start = stop
