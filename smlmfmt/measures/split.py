"""Which half of the data a localization belongs to: runs of frames, or rows, dealt by a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from smlmfmt.measures.rows import Floats, Values

if TYPE_CHECKING:
    from smlmfmt.table import LocTable

__all__ = ["SEED", "Split", "time_edges"]

SEED = 1
RUNS = 50

Halves = npt.NDArray[np.intp]


class Split:
    """Deals localizations to two halves.

    With frames, the movie is cut into RUNS runs of equally many localizations and half of the
    runs, drawn by SEED, are the second half: an emitter that shines in consecutive frames is
    nearly always in one half. Without frames (or with fewer than there are runs) each row is
    drawn by itself.

    Args:
        frame: Frames of a sample of the rows, shape (n,), NaN where unknown; None if there are
            none.
    """

    def __init__(self, frame: Floats | None) -> None:
        edges = None if frame is None else time_edges(frame, RUNS)
        self._edges = edges
        self._half = np.random.default_rng(SEED).permutation(RUNS) % 2

    @property
    def by_frames(self) -> bool:
        """Whether frames decide; else rows do."""
        return self._edges is not None

    def halves(self, frame: Values) -> Halves:
        """Return 0 or 1 for each frame given; with `by_frames` only."""
        assert self._edges is not None
        return np.asarray(self._half[np.searchsorted(self._edges, frame, side="right")])

    def halves_of(self, table: LocTable, rows: slice) -> Halves:
        """Return 0 or 1 for each of the rows."""
        if self.by_frames:
            frame = table["frame"][rows].astype(np.float64)
            run = self._run(float(np.fmin.reduce(frame)), float(np.fmax.reduce(frame)))
            # In a table in order of frames most blocks lie within one run.
            return self.halves(frame) if run is None else np.full(frame.size, self._half[run])
        return drawn_halves(rows.stop - rows.start, seed=rows.start)

    def _run(self, first: float, last: float) -> int | None:
        assert self._edges is not None
        low, high = np.searchsorted(self._edges, [first, last], side="right")
        return int(low) if low == high else None


def drawn_halves(count: int, *, seed: int) -> Halves:
    """Return 0 or 1 for each of `count` rows, as the seed draws them."""
    return np.random.default_rng([SEED, seed]).integers(0, 2, count).astype(np.intp)


def time_edges(frame: Floats, runs: int) -> Floats | None:
    """Return the first frames of all runs but the first, so that runs hold equally many rows.

    None if the known frames are too few, or too unevenly filled, for every run to hold one.
    """
    known = np.sort(frame[~np.isnan(frame)])
    if known.size < 2 * runs:
        return None
    edges = known[np.arange(1, runs) * known.size // runs]
    is_rising = bool(np.all(np.diff(edges) > 0)) and edges[0] > known[0]
    return np.asarray(edges) if is_rising else None
