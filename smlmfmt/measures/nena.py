"""Localization precision from localizations that come again in the next frame (NeNA).

An emitter that shines on is localized twice, at distances that spread by the localization
precision alone. NeNA fits the distances from each localization to its nearest neighbour in the
next frame by

    p(d) = a1 d / (2 s^2) exp(-d^2 / (4 s^2)) + a2 N(d; dc, w) + a3 d

where s is the average precision along one axis, N a normal distribution for other emitters close
by, and a3 d for unrelated ones (Endesfelder et al., Histochem. Cell Biol. 141, 629 (2014)).

Whether localizations do come again, and at which scale, is told by a control that the paper does
not have: the same distances to the frames LAG_FRAMES before and after, when most emitters are
dark. What the next frame has more of are returns. Without a clear surplus (events linked to one
row each, as many programs do; emitters that shine throughout, as beads do) there is nothing to
fit, and the precision is unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from smlmfmt.measures.fit import least_squares
from smlmfmt.measures.neighbours import FrameNeighbours, Localizations
from smlmfmt.measures.rows import Floats, positions_nm, row_blocks
from smlmfmt.measures.sample import Field, Positions

if TYPE_CHECKING:
    from smlmfmt.table import LocTable

__all__ = ["Precision", "nearest_neighbour_precision"]

SEED = 1
ROWS_MAX = 1 << 19  # In the frames looked at.
WINDOWS = 8  # Spread over the movie, where the table is longer than that.
ASKED_MAX = 1 << 17
LAG_FRAMES = 50
LAG_FRAMES_MIN = 5
PAIRS_MIN = 100
SURPLUS_MIN = 6.0  # Standard deviations of the counts.
SURPLUS_PART = 0.1  # Of the counts.
FITTED_PART = 1 / 3  # Of the surplus; less, and its distances are not spread as errors are.
BINS = 100
FIT_SIGMAS = 10.0
MEDIAN_SIGMAS = 2 * math.sqrt(math.log(2))  # The median of d / (2 s^2) exp(-d^2 / (4 s^2)).


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """The average localization precision in nm along one axis, and how many returns gave it."""

    precision_nm: float
    pairs: int


def nearest_neighbour_precision(
    table: LocTable, positions: Positions, field: Field
) -> Precision | None:
    """Return the precision by NeNA, from at most ROWS_MAX rows in whole runs of frames.

    None without frames, where frames are not whole numbers, too few, or hold more than can be
    looked at, where localizations do not come again in the next frame more than by chance, or where
    the returns are not spread as errors are.
    """
    if positions.frame is None:
        return None
    windows = _windows(positions.frame, len(table))
    points = _select(table, windows)
    if points is None or points.x.size < 2 * PAIRS_MIN:
        return None
    frames = np.unique(points.frame).size
    spacing = field.side_nm / math.sqrt(points.x.size / frames)
    neighbours = FrameNeighbours(points, reach_nm=min(spacing, field.side_nm))
    first, last = _limits(points.frame, windows)
    lag = int(min(LAG_FRAMES, np.median(last - first) // 3))
    asked = np.flatnonzero((points.frame + lag <= last) & (points.frame - lag >= first))
    if lag < LAG_FRAMES_MIN or asked.size < PAIRS_MIN:
        return None
    asked = np.random.default_rng(SEED).permutation(asked)[:ASKED_MAX]
    near, after, before = (neighbours.distances(asked, lag=step) for step in (1, lag, -lag))
    answered = min(near.size, after.size, before.size)
    # Both sides together: where emitters bleach, frames thin out evenly from one to the other.
    near, control = near[:answered], np.concatenate([after[:answered], before[:answered]])
    returns = _returns(near, control)
    return None if returns is None else _fitted(near, returns)


def _windows(frame: Floats, rows: int) -> Floats:
    """Return runs of frames, shape (n, 2), half-open, that hold ROWS_MAX rows of the table."""
    known = frame[~np.isnan(frame)]
    if rows <= ROWS_MAX or not known.size:
        return np.array([[-np.inf, np.inf]])
    known = np.sort(known)
    part = ROWS_MAX / rows / 2
    middles = (np.arange(WINDOWS) + 0.5) / WINDOWS
    edges = np.stack([middles - part / WINDOWS, middles + part / WINDOWS], axis=1)
    found = np.floor(known[(edges * (known.size - 1)).astype(np.intp)])
    found[:, 1] = np.maximum(found[:, 1], found[:, 0] + 1) + 1
    return np.asarray(found)


def _select(table: LocTable, windows: Floats) -> Localizations | None:
    """Return the rows in the windows; None if they are over four times what was meant."""
    parts: list[tuple[Floats, Floats, npt.NDArray[np.int64]]] = []
    count = 0
    for block in row_blocks(len(table)):
        frame = table["frame"][block]
        if not _overlaps(frame, windows):
            continue
        frame = frame.astype(np.float64)
        keep = np.zeros(frame.size, np.bool_)
        for start, end in windows:
            keep |= (frame >= start) & (frame < end)
        # NaN is in no window; numbers beyond 2^53 and fractions count no frames.
        keep &= (np.abs(frame) <= 2.0**53) & (np.floor(frame) == frame)
        rows = np.flatnonzero(keep)
        x, y = (positions_nm(table[axis][block][rows]) for axis in ("x", "y"))
        known = ~(np.isnan(x) | np.isnan(y))
        parts.append((x[known], y[known], frame[rows][known].astype(np.int64)))
        count += parts[-1][0].size
        if count > 4 * ROWS_MAX:
            return None
    if not parts:
        return None
    x, y, frames = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Localizations(x=x, y=y, frame=frames)


def _overlaps(frame: npt.NDArray[np.generic], windows: Floats) -> bool:
    # Tables are mostly in order of frames, so that most blocks are passed over.
    low, high = float(frame.min()), float(frame.max())
    return not bool(np.all((windows[:, 1] <= low) | (windows[:, 0] > high)))


def _limits(
    frame: npt.NDArray[np.int64], windows: Floats
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return for each row the first and the last frame of its window."""
    index = np.searchsorted(windows[:, 0], frame, side="right") - 1
    starts = np.maximum(windows[:, 0], float(frame.min())).astype(np.int64)
    ends = np.minimum(windows[:, 1] - 1, float(frame.max())).astype(np.int64)
    return starts[index], ends[index]


def _returns(near: Floats, control: Floats) -> tuple[float, float] | None:
    """Return the scale s and the number of the returns among the distances, or None.

    The surplus of the next frame over the control, counted from distance 0 up, grows as long as
    there are returns; half of it is reached at the median of their distances.

    Args:
        near: Distances in nm to the next frame, shape (n,), infinite where beyond reach.
        control: The same to a frame before and to one after, shape (2 n,).
    """
    close = np.sort(near[np.isfinite(near)])
    if close.size < PAIRS_MIN:
        return None
    rank = np.arange(1, close.size + 1)
    chance = np.searchsorted(np.sort(control), close, side="right") / 2
    surplus = rank - chance
    best = int(surplus.argmax())
    least = max(SURPLUS_MIN * math.sqrt(rank[best] + chance[best]), SURPLUS_PART * rank[best])
    if surplus[best] < max(least, PAIRS_MIN):
        return None
    middle = float(close[int(np.argmax(surplus >= surplus[best] / 2))])
    return (middle / MEDIAN_SIGMAS, float(surplus[best])) if middle > 0 else None


def _fitted(near: Floats, returns: tuple[float, float]) -> Precision | None:
    """Fit NeNA's distribution to the distances up to FIT_SIGMAS times the returns' scale."""
    scale, count = returns
    near = near[near <= FIT_SIGMAS * scale] / scale
    heights, edges = np.histogram(near, bins=BINS, range=(0.0, FIT_SIGMAS))
    middles, width = (edges[1:] + edges[:-1]) / 2, FIT_SIGMAS / BINS
    weights = 1 / np.sqrt(heights + 1.0)

    def residuals(logs: Floats) -> Floats:
        a1, s, a2, beyond, spread, a3 = np.exp(logs)
        model = a1 * middles / (2 * s**2) * np.exp(-np.square(middles / s) / 4)
        # Other emitters are no returns: their distances centre beyond three precisions.
        offset = (middles - 3 * s - beyond) / spread
        model += a2 / (spread * math.sqrt(2 * math.pi)) * np.exp(-np.square(offset) / 2)
        model += a3 * middles
        return np.asarray((model * width - heights) * weights)

    total = float(heights.sum())
    slope = float(heights[-BINS // 5 :].sum()) / (width * float(middles[-BINS // 5 :].sum()))
    start = np.log([max(count, 1.0), 1.0, 0.05 * total, 2.0, 2.0, max(slope, 1e-3)])
    low = np.log([1.0, 0.2, 1e-3, 1e-3, 0.3, 1e-6])
    high = np.log([10 * total + 1, 4.0, 10 * total + 1, FIT_SIGMAS, FIT_SIGMAS, total + 1])
    found, _ = least_squares(residuals, start, low=low, high=high)
    a1, s = float(np.exp(found[0])), float(np.exp(found[1]))
    # At a limit the distribution is not that of returns.
    if not 0.25 < s < 3.5 or a1 < max(PAIRS_MIN / 2, FITTED_PART * count):
        return None
    return Precision(precision_nm=s * scale, pairs=round(a1))
