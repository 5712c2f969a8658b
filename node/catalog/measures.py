"""What the tables of a dataset measure together: the numbers that searches filter and sort by."""

import math
from collections.abc import Iterable
from typing import Any

from node.catalog.views import HitSummary
from protocol.limits import INTEGER_MAX
from protocol.records import Dataset, Sample, TableSummary

__all__ = ["measure", "measured_tables"]

NM_PER_UM = 1_000.0
# Which files of a sample speak for it: the same localizations often come as an original, as a
# rendition of it and as parts, and must not count twice.
_ROLES = ("table", "original", "rendition", "raw", "other")
_DIMENSION_TERMS = {"2d": 2, "3d": 3}


def measure(dataset: Dataset) -> HitSummary:
    """Return the summary over all samples; what nobody measured is None.

    A dataset without measured tables takes its dimension from its tags.
    """
    tables = measured_tables(dataset)
    files = [file for sample in dataset.samples for file in sample.files]
    dimensions = [table.dimension for table in tables]
    sides = [side for table in tables if (side := _shorter_side(table))]
    return HitSummary(
        localizations=_bounded(sum([table.rows for table in tables])) if tables else None,
        dimension=max(dimensions) if tables else _tagged_dimension(dataset),
        precision_nm=_mean([(table.uncertainty_nm, table.rows) for table in tables]),
        fov_um=max(sides, default=None),
        density_per_um2=_mean([(table.density_per_um2, table.rows) for table in tables]),
        **_estimates(tables),
        size=_bounded(sum([file.size for file in files])),
        files=len(files),
        samples=len(dataset.samples),
    )


def _estimates(tables: list[TableSummary]) -> dict[str, Any]:
    """Return what is estimated from neighbourhoods: means by rows, the longest's signature."""
    signed = [table for table in tables if table.signature is not None]
    nena = [(table.precision.precision_nm, table.rows) for table in tables if table.precision]
    drift = [(table.drift.drift_nm, table.rows) for table in tables if table.drift]
    resolution = [
        (table.resolution.resolution_nm, table.rows) for table in tables if table.resolution
    ]
    return {
        "nena_nm": _mean(nena),
        "resolution_nm": _mean(resolution),
        "drift_nm": _mean(drift),
        "localizations_per_frame": _mean(
            [(table.localizations_per_frame, table.rows) for table in tables]
        ),
        "signature": max(signed, key=lambda table: table.rows).signature if signed else None,
    }


def measured_tables(dataset: Dataset) -> list[TableSummary]:
    """Return the tables that speak for a dataset: each sample's from its first role with tables."""
    return [table for sample in dataset.samples for table in _tables(sample)]


def _tables(sample: Sample) -> Iterable[TableSummary]:
    measured = [file for file in sample.files if file.tables]
    if len(measured) == 1 and measured[0].role in _ROLES:
        return measured[0].tables
    for role in _ROLES:
        tables = [table for file in measured if file.role == role for table in file.tables]
        if tables:
            return tables
    return ()


def _tagged_dimension(dataset: Dataset) -> int | None:
    terms = {tag.term.lower() for tag in dataset.tags if tag.category == "dimension"}
    return max((_DIMENSION_TERMS[term] for term in terms & _DIMENSION_TERMS.keys()), default=None)


def _mean(weighted: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in weighted if value is not None and weight > 0]
    total = sum([weight for _, weight in known])
    return sum([value * (weight / total) for value, weight in known]) if known else None


def _shorter_side(table: TableSummary) -> float | None:
    x, y = table.bounds.get("x"), table.bounds.get("y")
    if x is None or y is None:
        return None
    side = min(x[1] - x[0], y[1] - y[0])
    return side / NM_PER_UM if math.isfinite(side) else None


def _bounded(number: int) -> int:
    # Sums of what strangers say still have to fit a column.
    return min(number, INTEGER_MAX)
