"""What was measured of each table's quality, in words: precision, resolution, drift, density."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from node.web.quantities import UNKNOWN, format_exact, format_length, format_rate
from protocol.records import Drift, File, Precision, Resolution, Sample, TableSummary
from smlmfmt.summary import Summary

__all__ = ["Measure", "QualityRow", "format_drift", "quality_facts", "quality_rows"]

CLEAR = 2.0  # Times its uncertainty: a drift under that cannot be told from none.


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One cell: a number as people read it, and how it was found."""

    value: str
    exact: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRow:
    """One table's name and its measures, in the order of the page's columns."""

    name: str
    measures: tuple[Measure, ...]


def quality_rows(samples: Iterable[Sample], *, rows_max: int) -> list[QualityRow]:
    """Return a row for each measured table of the samples, renditions left out."""
    found: list[QualityRow] = []
    for sample in samples:
        for file in sample.files:
            if file.role != "rendition":
                found += [_row(sample, file, table) for table in file.tables]
            if len(found) >= rows_max:
                return found[:rows_max]
    return found


def format_drift(drift_nm: float, uncertainty_nm: float) -> str:
    """Return a drift, or that none is seen above what could be."""
    if drift_nm < CLEAR * uncertainty_nm:
        return f"none above {format_length(CLEAR * uncertainty_nm)}"
    return f"{format_length(drift_nm)} \u00b1 {format_length(uncertainty_nm)}"


def quality_facts(summary: Summary) -> dict[str, str | None]:
    """Return the same facts of one table by name, None where unknown."""
    per_frame, density = summary.localizations_per_frame, summary.density_per_um2
    precision, resolution, drift = summary.precision, summary.resolution, summary.drift
    return {
        "Per frame": format_rate(per_frame) if per_frame else None,
        "Density": f"{format_rate(density)} per um^2" if density else None,
        "Median uncertainty": format_length(summary.uncertainty_nm)
        if summary.uncertainty_nm
        else None,
        "Precision (NeNA)": format_length(precision.precision_nm) if precision else None,
        "Resolution (FRC)": format_length(resolution.resolution_nm) if resolution else None,
        "Drift": format_drift(drift.drift_nm, drift.uncertainty_nm) if drift else None,
    }


def _row(sample: Sample, file: File, table: TableSummary) -> QualityRow:
    name = table.name if table.name and len(file.tables) > 1 else file.name
    return QualityRow(
        name=f"{sample.name}: {name}" if sample.name else name,
        measures=(
            Measure(value=format_length(table.uncertainty_nm), exact=_exact(table.uncertainty_nm)),
            _precision(table.precision),
            _resolution(table.resolution),
            _drift(table.drift),
            Measure(value=format_rate(table.localizations_per_frame)),
            Measure(value=format_rate(table.density_per_um2)),
        ),
    )


def _exact(length_nm: float | None) -> str:
    return "" if length_nm is None else f"{length_nm:.5g} nm"


def _precision(precision: Precision | None) -> Measure:
    if precision is None:
        return Measure(value=UNKNOWN)
    return Measure(
        value=format_length(precision.precision_nm),
        exact=f"{_exact(precision.precision_nm)}, from {format_exact(precision.pairs)} pairs "
        "in consecutive frames",
    )


def _resolution(resolution: Resolution | None) -> Measure:
    if resolution is None:
        return Measure(value=UNKNOWN)
    return Measure(
        value=format_length(resolution.resolution_nm),
        exact=f"{_exact(resolution.resolution_nm)}, in a square of "
        f"{format_length(resolution.field_nm)} with {format_exact(resolution.rows)} localizations, "
        f"dealt by {resolution.split} with seed {resolution.seed}",
    )


def _drift(drift: Drift | None) -> Measure:
    if drift is None:
        return Measure(value=UNKNOWN)
    return Measure(
        value=format_drift(drift.drift_nm, drift.uncertainty_nm),
        exact=f"{_exact(drift.drift_nm)} root mean square, \u00b1 {_exact(drift.uncertainty_nm)}",
    )
