"""A bounded sample of a table's positions, and the field they lie in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smlmfmt.measures.rows import LENGTH_MAX_NM, Floats, is_nm, positions_nm

if TYPE_CHECKING:
    from smlmfmt.table import LocTable

__all__ = ["Field", "Positions", "densest", "field_of", "sample_positions"]

SEED = 1
SAMPLE_ROWS = 1 << 21
SIDE_LEAST_NM = 1e-3  # A smaller extent is one place.
INNER = (0.001, 0.999)
CELLS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Rows with a position: x and y in nm, shape (n,), and their frame, NaN where unknown.

    `frame` is None if the table has no frames.
    """

    x: Floats
    y: Floats
    frame: Floats | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A square: its corner of least x and y, and its side, in nm."""

    x_nm: float
    y_nm: float
    side_nm: float


def sample_positions(table: LocTable) -> Positions | None:
    """Return up to SAMPLE_ROWS rows with a position, drawn evenly over the table.

    All rows if there are no more than that; else one row, drawn with a fixed seed, out of each of
    SAMPLE_ROWS equal parts. Rows without a finite position within a kilometre are left out. None
    if x or y is missing or not in nm.
    """
    if not (is_nm(table, "x") and is_nm(table, "y")):
        return None
    rows: slice | np.ndarray[tuple[int], np.dtype[np.intp]] = slice(None)
    if len(table) > SAMPLE_ROWS:
        part = np.arange(SAMPLE_ROWS) + np.random.default_rng(SEED).random(SAMPLE_ROWS)
        rows = np.minimum(part * (len(table) / SAMPLE_ROWS), len(table) - 1).astype(np.intp)
    x, y = (positions_nm(table[axis][rows]) for axis in ("x", "y"))
    keep = ~(np.isnan(x) | np.isnan(y))
    frame = None
    if "frame" in table:
        frame = table["frame"][rows].astype(np.float64)[keep]
        frame = np.where(np.isfinite(frame), frame, np.nan)
    return Positions(x=x[keep], y=y[keep], frame=frame)


def field_of(positions: Positions) -> Field | None:
    """Return the square around all positions, or None if they lie at one place or there are none.

    If a few strays would shrink the rest to less than two thirds of it, it is the square around
    the inner 99.8 % along each axis.
    """
    if not positions.x.size:
        return None
    whole, inner = [], []
    for values in (positions.x, positions.y):
        whole.append((float(values.min()), float(values.max())))
        low, high = np.quantile(values, INNER)
        inner.append((float(low), float(high)))
    sides = [max(high - low for low, high in box) for box in (whole, inner)]
    is_strayed = sides[1] > 0 and sides[0] > 1.5 * sides[1]
    box, side = (inner, sides[1]) if is_strayed else (whole, sides[0])
    if not SIDE_LEAST_NM < side <= LENGTH_MAX_NM:
        return None
    # A hair wider than the box, so that the greatest position is inside.
    side *= 1 + 1e-9
    x_nm, y_nm = ((low + high - side) / 2 for low, high in box)
    return Field(x_nm=x_nm, y_nm=y_nm, side_nm=side)


def densest(field: Field, positions: Positions, *, side_nm: float) -> Field:
    """Return the square of this side within the field that holds the most positions.

    It is looked for in steps of 1/64 of the field. The field itself if it is no wider.
    """
    if side_nm >= field.side_nm:
        return field
    step = field.side_nm / CELLS
    cells = []
    for values, corner in ((positions.x, field.x_nm), (positions.y, field.y_nm)):
        cells.append(np.floor((values - corner) / step))
    inside = np.ones(positions.x.size, np.bool_)
    for cell in cells:
        inside &= (cell >= 0) & (cell < CELLS)
    index = (cells[1][inside] * CELLS + cells[0][inside]).astype(np.intp)
    counts = np.bincount(index, minlength=CELLS * CELLS).reshape(CELLS, CELLS)
    sums = np.zeros((CELLS + 1, CELLS + 1), np.int64)
    sums[1:, 1:] = counts.cumsum(axis=0).cumsum(axis=1)
    width = max(1, min(CELLS, int(side_nm / step)))
    held = sums[width:, width:] - sums[:-width, width:] - sums[width:, :-width]
    held = held + sums[:-width, :-width]
    row, column = np.unravel_index(int(held.argmax()), held.shape)
    middle_x, middle_y = ((int(cell) + width / 2) * step for cell in (column, row))
    return Field(
        x_nm=field.x_nm + middle_x - side_nm / 2,
        y_nm=field.y_nm + middle_y - side_nm / 2,
        side_nm=side_nm,
    )
