"""What is measured about a localization table: rows, extent, frames, density, precision."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from smlmfmt.table import Column, LocTable

__all__ = ["ColumnSummary", "FrameRange", "Summary", "lateral_uncertainty", "summarize"]

BLOCK_ROWS = 1 << 18  # Scratch memory stays at a few MiB however long the table is.
FRAME_MAX = 2.0**53  # Beyond this a JSON reader may not keep the integer.


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSummary:
    """One column's name, unit, name in the file, and its finite values' min, max and mean."""

    name: str
    unit: str
    source: str
    min: float | None
    max: float | None
    mean: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {
            "name": self.name,
            "unit": self.unit,
            "source": self.source,
            "min": self.min,
            "max": self.max,
            "mean": self.mean,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRange:
    """The first and last frame that hold a localization; origin is 0, 1 or None (unknown)."""

    first: int
    last: int
    origin: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Measured facts of one table. None says that a fact cannot be known from the table.

    Attributes:
        rows: Localizations, non-finite ones included.
        bounds: (min, max) in nm of the finite values of x, y and, where there is one, z.
        dimension: 3 if z takes at least two different values, else 2.
        density_per_um2: Rows whose x and y are finite, divided by the area of the box from
            min to max of x and y, in 1/um^2: n / ((x_max - x_min) (y_max - y_min) 1e-6 /nm^2).
        uncertainty_nm: Median of the finite, positive lateral uncertainties in nm.
        non_finite: Values (cells) that are NaN or infinite; no other number counts them.
    """

    rows: int
    columns: tuple[ColumnSummary, ...]
    bounds: Mapping[str, tuple[float, float]]
    frames: FrameRange | None
    dimension: int
    density_per_um2: float | None
    uncertainty_nm: float | None
    non_finite: int

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as plain JSON values, as signed records carry it."""
        frames = self.frames
        return {
            "rows": self.rows,
            "columns": [column.as_dict() for column in self.columns],
            "bounds": {axis: list(limits) for axis, limits in self.bounds.items()},
            "frames": None
            if frames is None
            else {"first": frames.first, "last": frames.last, "origin": frames.origin},
            "dimension": self.dimension,
            "density_per_um2": self.density_per_um2,
            "uncertainty_nm": self.uncertainty_nm,
            "non_finite": self.non_finite,
        }


def summarize(table: LocTable) -> Summary:
    """Return what is measured about the table, reading each column in blocks.

    Minimum, maximum and mean are of the finite values as stored; sums are float64, whatever the
    column's type. The median is exact. Scratch memory does not grow with the table.
    """
    columns, non_finite = [], 0
    for name in table:
        column, skipped = _column(table, name)
        columns.append(column)
        non_finite += skipped
    by_name = {column.name: column for column in columns}
    bounds = _bounds(by_name)
    z_min, z_max = bounds.get("z", (0.0, 0.0))
    return Summary(
        rows=len(table),
        columns=tuple(columns),
        bounds=bounds,
        frames=_frames(by_name.get("frame"), table.frame_origin),
        dimension=3 if z_max > z_min else 2,
        density_per_um2=_density(table, bounds),
        uncertainty_nm=_uncertainty(table),
        non_finite=non_finite,
    )


def _blocks(column: Column) -> Iterator[Column]:
    for start in range(0, len(column), BLOCK_ROWS):
        yield column[start : start + BLOCK_ROWS]


def _finite(block: Column) -> Column:
    if block.dtype.kind != "f":
        return block
    keep = np.isfinite(block)
    return block if keep.all() else block[keep]


def _column(table: LocTable, name: str) -> tuple[ColumnSummary, int]:
    """Return the column's summary and how many of its values are not finite."""
    low, high, count = math.inf, -math.inf, 0
    sums = []
    for block in _blocks(table[name]):
        values = _finite(block)
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            with np.errstate(over="ignore", invalid="ignore"):  # Blocks near the greatest float.
                sums.append(float(values.sum(dtype=np.float64)))
            count += values.size
    mean = _mean(sums, count)
    summary = ColumnSummary(
        name=name,
        unit=table.units[name],
        source=table.source_names[name],
        min=low if count else None,
        max=high if count else None,
        mean=mean,
    )
    return summary, len(table) - count


def _mean(sums: list[float], count: int) -> float | None:
    # Values near 1.8e308 may overflow the sum; then no float64 mean exists to report.
    if not count or not all(map(math.isfinite, sums)):
        return None
    try:
        return math.fsum(sums) / count
    except OverflowError:
        return None


def _bounds(columns: Mapping[str, ColumnSummary]) -> dict[str, tuple[float, float]]:
    bounds = {}
    for axis in ("x", "y", "z"):
        column = columns.get(axis)
        if column is not None and column.min is not None and column.max is not None:
            bounds[axis] = (column.min, column.max)
    return bounds


def _frames(column: ColumnSummary | None, origin: int | None) -> FrameRange | None:
    if column is None or column.min is None or column.max is None:
        return None
    if max(abs(column.min), abs(column.max)) > FRAME_MAX:
        return None
    return FrameRange(first=math.floor(column.min), last=math.floor(column.max), origin=origin)


def _is_nm(table: LocTable, name: str) -> bool:
    # Lengths are nm by contract; a column that says otherwise (px) must not pass for nm.
    return name in table and table.units[name] in {"nm", ""}


def _density(table: LocTable, bounds: Mapping[str, tuple[float, float]]) -> float | None:
    if not {"x", "y"} <= bounds.keys() or not (_is_nm(table, "x") and _is_nm(table, "y")):
        return None
    width_um, height_um = ((high - low) / 1000 for low, high in (bounds["x"], bounds["y"]))
    area_um2 = width_um * height_um
    if not 0 < area_um2 < math.inf:
        return None
    pairs = zip(_blocks(table["x"]), _blocks(table["y"]), strict=True)
    count = sum(int(np.count_nonzero(np.isfinite(x) & np.isfinite(y))) for x, y in pairs)
    density = count / area_um2
    return density if math.isfinite(density) else None


def lateral_uncertainty(table: LocTable, rows: slice) -> npt.NDArray[np.float64] | None:
    """Return the lateral uncertainty in nm of these rows, or None if the table has none.

    It is `uncertainty_xy`, else the root of the mean variance of `x_precision` and `y_precision`
    (either alone if the other is missing). Values may be NaN, infinite or not positive, as stored.
    """
    names: tuple[str, ...] = ("uncertainty_xy",)
    if not _is_nm(table, "uncertainty_xy"):
        names = tuple(n for n in ("x_precision", "y_precision") if _is_nm(table, n))
    if not names:
        return None
    axes = [table[name][rows].astype(np.float64) for name in names]
    if len(axes) == 1:
        return axes[0]
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.sqrt((np.square(axes[0]) + np.square(axes[1])) / 2))


class _Uncertainties:
    """The finite, positive lateral uncertainties of a table, block by block."""

    def __init__(self, table: LocTable) -> None:
        self._table = table

    def __iter__(self) -> Iterator[npt.NDArray[np.float64]]:
        for start in range(0, len(self._table), BLOCK_ROWS):
            values = lateral_uncertainty(self._table, slice(start, start + BLOCK_ROWS))
            if values is None:
                return
            yield values[np.isfinite(values) & (values > 0)]


def _uncertainty(table: LocTable) -> float | None:
    """Return the median lateral uncertainty, from uncertainty_xy or x_ and y_precision."""
    values = _Uncertainties(table)
    count = sum(block.size for block in values)
    if not count:
        return None
    upper = _ranked(values, count // 2)
    return upper if count % 2 else (_ranked(values, count // 2 - 1) + upper) / 2


def _ranked(values: _Uncertainties, rank: int) -> float:
    """Return the value of this rank (0 is the smallest) without sorting or keeping the values.

    Positive floats sort as their bits do, so the bits are found 16 at a time by counting.
    """
    found = 0
    for shift in (48, 32, 16, 0):
        counts = np.zeros(1 << 16, np.int64)
        for block in values:
            bits = block.view(np.uint64)
            if shift < 48:
                bits = bits[bits >> np.uint64(shift + 16) == np.uint64(found)]
            digits = (bits >> np.uint64(shift)) & np.uint64(0xFFFF)
            counts += np.bincount(digits.astype(np.intp), minlength=1 << 16)
        until = np.cumsum(counts)
        digit = int(np.searchsorted(until, rank, side="right"))
        rank -= int(until[digit] - counts[digit])
        found = (found << 16) | digit
    return float(np.array([found], np.uint64).view(np.float64)[0])
