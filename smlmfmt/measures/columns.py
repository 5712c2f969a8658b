"""One column in four numbers: least, greatest, mean and median of its finite values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smlmfmt.measures.medians import exact_median
from smlmfmt.measures.rows import finite, row_blocks

if TYPE_CHECKING:
    from smlmfmt.table import LocTable

__all__ = ["ColumnSummary", "measure_column"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSummary:
    """One column's name, unit, name in the file, and facts about its finite values."""

    name: str
    unit: str
    source: str
    min: float | None
    max: float | None
    mean: float | None
    median: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {
            "name": self.name,
            "unit": self.unit,
            "source": self.source,
            "min": self.min,
            "max": self.max,
            "mean": self.mean,
            "median": self.median,
        }


def measure_column(table: LocTable, name: str) -> tuple[ColumnSummary, int]:
    """Return the column's summary and how many of its values are not finite.

    Sums are float64 whatever the column's type, added exactly (`math.fsum`) over blocks; the
    median is exact, the mean of the middle two for an even number of values.
    """
    column = table[name]
    low, high, count = math.inf, -math.inf, 0
    sums = []
    for block in row_blocks(len(column)):
        values = column[block]
        with np.errstate(over="ignore", invalid="ignore"):  # Blocks near the greatest float.
            total = float(values.sum(dtype=np.float64))
            if not math.isfinite(total):
                values = finite(values)
                total = float(values.sum(dtype=np.float64))
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            sums.append(total)
            count += values.size
    is_whole = count == len(column)
    median = exact_median(
        lambda rows: column[rows] if is_whole else finite(column[rows]), len(column)
    )
    summary = ColumnSummary(
        name=name,
        unit=table.units[name],
        source=table.source_names[name],
        min=low if count else None,
        max=high if count else None,
        mean=_mean(sums, count),
        median=median,
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
