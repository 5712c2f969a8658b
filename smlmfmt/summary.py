"""What is measured about a localization table: rows, extent, frames, density, precision and more.

Each fact has a module of its own in `measures`, with its formula and source; docs/measures.md has
them together with their limits. Facts of single columns are exact and come of passes over blocks
of rows. Facts of neighbourhoods (precision, resolution, drift, signature) look at bounded parts of
the table, which are drawn with fixed seeds: the same table has the same summary everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smlmfmt.measures.columns import ColumnSummary, measure_column
from smlmfmt.measures.drift import Drift, remaining_drift
from smlmfmt.measures.frc import Resolution, fourier_ring_resolution
from smlmfmt.measures.medians import exact_median
from smlmfmt.measures.nena import Precision, nearest_neighbour_precision
from smlmfmt.measures.rows import Floats, Rows, is_nm, lateral_uncertainty, row_blocks
from smlmfmt.measures.sample import field_of, sample_positions
from smlmfmt.measures.signature import Signature, structure_signature

if TYPE_CHECKING:
    from smlmfmt.table import LocTable

__all__ = [
    "ColumnSummary",
    "FieldOfView",
    "FrameRange",
    "Summary",
    "lateral_uncertainty",
    "summarize",
]

FRAME_MAX = 2.0**53  # Beyond this a JSON reader may not keep the integer.
DIGITS = 5  # Of facts that are no better than that.


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRange:
    """The first and last frame that hold a localization; origin is 0, 1 or None (unknown)."""

    first: int
    last: int
    origin: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOfView:
    """The extent of the finite positions in nm; depth is 0 in a plane, None without z in nm."""

    width_nm: float
    height_nm: float
    depth_nm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Measured facts of one table. None says that a fact cannot be known from the table.

    Attributes:
        rows: Localizations, non-finite ones included.
        columns: Least, greatest, mean and median of each column's finite values.
        bounds: (min, max) in nm of the finite values of x, y and, where there is one, z.
        field_of_view: The sides of `bounds`: max - min of x, y and z.
        localizations_per_frame: Rows with a frame, divided by last - first + 1.
        dimension: 3 if z takes at least two different values, else 2.
        density_per_um2: Rows whose x and y are finite, divided by the area of the box from
            min to max of x and y, in 1/um^2: n / ((x_max - x_min) (y_max - y_min) 1e-6 /nm^2).
        uncertainty_nm: Median of the finite, positive lateral uncertainties in nm.
        precision: Localization precision by nearest neighbours in the next frame
            (`measures.nena`).
        resolution: By Fourier ring correlation (`measures.frc`).
        drift: That is still in the table (`measures.drift`).
        signature: Of the structure, to find similar ones by (`measures.signature`).
        non_finite: Values (cells) that are NaN or infinite; no other number counts them.
    """

    rows: int
    columns: tuple[ColumnSummary, ...]
    bounds: Mapping[str, tuple[float, float]]
    field_of_view: FieldOfView | None
    frames: FrameRange | None
    localizations_per_frame: float | None
    dimension: int
    density_per_um2: float | None
    uncertainty_nm: float | None
    precision: Precision | None
    resolution: Resolution | None
    drift: Drift | None
    signature: Signature | None
    non_finite: int

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as plain JSON values, as signed records carry it.

        Estimates are rounded to five digits: they are worth no more.
        """
        return {
            "rows": self.rows,
            "columns": [column.as_dict() for column in self.columns],
            "bounds": {axis: list(limits) for axis, limits in self.bounds.items()},
            "field_of_view": _plain(self.field_of_view, FieldOfView.__slots__),
            "frames": _plain(self.frames, FrameRange.__slots__),
            "localizations_per_frame": _rounded(self.localizations_per_frame),
            "dimension": self.dimension,
            "density_per_um2": self.density_per_um2,
            "uncertainty_nm": self.uncertainty_nm,
            "precision": _estimate(self.precision, Precision.__slots__),
            "resolution": _estimate(self.resolution, Resolution.__slots__),
            "drift": _estimate(self.drift, Drift.__slots__),
            "signature": None if self.signature is None else str(self.signature),
            "non_finite": self.non_finite,
        }


def _plain(value: object, names: tuple[str, ...] | str) -> dict[str, Any] | None:
    return None if value is None else {name: getattr(value, name) for name in names}


def _estimate(value: object, names: tuple[str, ...] | str) -> dict[str, Any] | None:
    plain = _plain(value, names)
    return plain and {
        name: _rounded(item) if isinstance(item, float) else item for name, item in plain.items()
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def summarize(table: LocTable) -> Summary:
    """Return what is measured about the table.

    Minimum, maximum, mean and median are of the finite values as stored. Scratch memory does not
    grow with the table: it is some 300 MB for the longest, and much less for short ones.
    """
    columns, non_finite = [], {}
    for name in table:
        column, skipped = measure_column(table, name)
        columns.append(column)
        non_finite[name] = skipped
    by_name = {column.name: column for column in columns}
    bounds = _bounds(by_name)
    frames = _frames(by_name.get("frame"), table.frame_origin)
    z_min, z_max = bounds.get("z", (0.0, 0.0))
    precision, resolution, drift, signature = _neighbourhoods(table)
    return Summary(
        rows=len(table),
        columns=tuple(columns),
        bounds=bounds,
        field_of_view=_field_of_view(table, bounds),
        frames=frames,
        localizations_per_frame=_per_frame(frames, len(table) - non_finite.get("frame", 0)),
        dimension=3 if z_max > z_min else 2,
        density_per_um2=_density(table, bounds, non_finite),
        uncertainty_nm=_uncertainty(table, by_name),
        precision=precision,
        resolution=resolution,
        drift=drift,
        signature=signature,
        non_finite=sum(non_finite.values()),
    )


def _neighbourhoods(
    table: LocTable,
) -> tuple[Precision | None, Resolution | None, Drift | None, Signature | None]:
    positions = sample_positions(table)
    field = None if positions is None else field_of(positions)
    if positions is None or field is None:
        return None, None, None, None
    precision = nearest_neighbour_precision(table, positions, field)
    resolution = fourier_ring_resolution(
        table, positions, field, precision_nm=precision.precision_nm if precision else None
    )
    drift = remaining_drift(positions, field)
    return precision, resolution, drift, structure_signature(positions, field)


def _bounds(columns: Mapping[str, ColumnSummary]) -> dict[str, tuple[float, float]]:
    bounds = {}
    for axis in ("x", "y", "z"):
        column = columns.get(axis)
        if column is not None and column.min is not None and column.max is not None:
            bounds[axis] = (column.min, column.max)
    return bounds


def _field_of_view(
    table: LocTable, bounds: Mapping[str, tuple[float, float]]
) -> FieldOfView | None:
    sides = {
        axis: high - low
        for axis, (low, high) in bounds.items()
        if is_nm(table, axis) and math.isfinite(high - low)
    }
    if not {"x", "y"} <= sides.keys():
        return None
    return FieldOfView(width_nm=sides["x"], height_nm=sides["y"], depth_nm=sides.get("z"))


def _frames(column: ColumnSummary | None, origin: int | None) -> FrameRange | None:
    if column is None or column.min is None or column.max is None:
        return None
    if max(abs(column.min), abs(column.max)) > FRAME_MAX:
        return None
    return FrameRange(first=math.floor(column.min), last=math.floor(column.max), origin=origin)


def _per_frame(frames: FrameRange | None, rows: int) -> float | None:
    return None if frames is None else rows / (frames.last - frames.first + 1)


def _density(
    table: LocTable, bounds: Mapping[str, tuple[float, float]], non_finite: Mapping[str, int]
) -> float | None:
    if not {"x", "y"} <= bounds.keys() or not (is_nm(table, "x") and is_nm(table, "y")):
        return None
    width_um, height_um = ((high - low) / 1000 for low, high in (bounds["x"], bounds["y"]))
    area_um2 = width_um * height_um
    if not 0 < area_um2 < math.inf:
        return None
    count = len(table)
    if non_finite["x"] or non_finite["y"]:
        x, y = table["x"], table["y"]
        count = sum(
            int(np.count_nonzero(np.isfinite(x[rows]) & np.isfinite(y[rows])))
            for rows in row_blocks(count)
        )
    density = count / area_um2
    return density if math.isfinite(density) else None


def _uncertainty(table: LocTable, columns: Mapping[str, ColumnSummary]) -> float | None:
    """Return the median lateral uncertainty, from uncertainty_xy or x_ and y_precision."""
    column = columns.get("uncertainty_xy")
    is_usable = column is not None and column.min is not None and column.min > 0
    if column is not None and is_usable and is_nm(table, column.name):
        return column.median  # All finite values count, so it is known already.

    def usable(rows: Rows) -> Floats:
        values = lateral_uncertainty(table, rows)
        if values is None:
            return np.zeros(0)
        return values[np.isfinite(values) & (values > 0)]

    return exact_median(usable, len(table))
