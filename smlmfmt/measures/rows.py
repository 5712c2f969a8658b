"""A table read block by block: which values count, in which unit, at which rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from smlmfmt.table import LocTable

__all__ = [
    "LENGTH_MAX_NM",
    "Floats",
    "Indices",
    "Rows",
    "Values",
    "finite",
    "is_nm",
    "lateral_uncertainty",
    "positions_nm",
    "row_blocks",
]

Values: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.intp]
Rows: TypeAlias = slice | Indices

BLOCK_ROWS = 1 << 18  # Scratch memory stays at a few MiB however long the table is.
LENGTH_MAX_NM = 1e12  # Beyond a kilometre a coordinate is no position and is left out.


def row_blocks(count: int) -> Iterator[slice]:
    """Yield slices that cover rows 0 to count, each short enough to stay in the cache."""
    for start in range(0, count, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, count))


def finite(values: Values) -> Values:
    """Return the values that are neither NaN nor infinite; integers are returned as they are."""
    if values.dtype.kind != "f":
        return values
    keep = np.isfinite(values)
    return values if keep.all() else values[keep]


def is_nm(table: LocTable, name: str) -> bool:
    """Say whether the table has the column and its unit is nm, by name or by our convention."""
    # Lengths are nm by contract; a column that says otherwise (px) must not pass for nm.
    return name in table and table.units[name] in {"nm", ""}


def positions_nm(values: Values) -> Floats:
    """Return coordinates as float64, NaN where a value is no position."""
    floats = values.astype(np.float64)
    # Comparisons with NaN are false.
    return np.where(np.abs(floats) <= LENGTH_MAX_NM, floats, np.nan)


def lateral_uncertainty(table: LocTable, rows: Rows) -> Floats | None:
    """Return the lateral uncertainty in nm of these rows, or None if the table has none.

    It is `uncertainty_xy`, else the root of the mean variance of `x_precision` and `y_precision`
    (either alone if the other is missing). Values may be NaN, infinite or not positive, as stored.
    """
    names: tuple[str, ...] = ("uncertainty_xy",)
    if not is_nm(table, "uncertainty_xy"):
        names = tuple(n for n in ("x_precision", "y_precision") if is_nm(table, n))
    if not names:
        return None
    axes = [table[name][rows].astype(np.float64) for name in names]
    if len(axes) == 1:
        return axes[0]
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.sqrt((np.square(axes[0]) + np.square(axes[1])) / 2))
