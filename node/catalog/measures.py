"""What the tables of a dataset measure together: the numbers that searches filter and sort by."""

import math
from collections.abc import Iterable

from node.catalog.views import HitSummary
from protocol.limits import INTEGER_MAX
from protocol.records import Dataset, File, Sample, TableSummary

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
    return HitSummary(
        localizations=_bounded(sum(table.rows for table in tables)) if tables else None,
        dimension=max((table.dimension for table in tables), default=_tagged_dimension(dataset)),
        precision_nm=_mean((table.uncertainty_nm, table.rows) for table in tables),
        fov_um=max((side for table in tables if (side := _shorter_side(table))), default=None),
        density_per_um2=_mean((table.density_per_um2, table.rows) for table in tables),
        size=_bounded(sum(file.size for file in files)),
        files=len(files),
        samples=len(dataset.samples),
    )


def measured_tables(dataset: Dataset) -> list[TableSummary]:
    """Return the tables that speak for a dataset: each sample's from its first role with tables."""
    return [table for sample in dataset.samples for table in _tables(sample)]


def _tables(sample: Sample) -> list[TableSummary]:
    for role in _ROLES:
        tables = [table for file in _with_role(sample.files, role) for table in file.tables]
        if tables:
            return tables
    return []


def _with_role(files: Iterable[File], role: str) -> Iterable[File]:
    return (file for file in files if file.role == role)


def _tagged_dimension(dataset: Dataset) -> int | None:
    terms = {tag.term.lower() for tag in dataset.tags if tag.category == "dimension"}
    return max((_DIMENSION_TERMS[term] for term in terms & _DIMENSION_TERMS.keys()), default=None)


def _mean(weighted: Iterable[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in weighted if value is not None and weight > 0]
    total = sum(weight for _, weight in known)
    return sum(value * (weight / total) for value, weight in known) if known else None


def _shorter_side(table: TableSummary) -> float | None:
    if not {"x", "y"} <= table.bounds.keys():
        return None
    side = min(table.bounds[axis][1] - table.bounds[axis][0] for axis in ("x", "y"))
    return side / NM_PER_UM if math.isfinite(side) else None


def _bounded(number: int) -> int:
    # Sums of what strangers say still have to fit a column.
    return min(number, INTEGER_MAX)
