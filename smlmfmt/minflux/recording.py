"""A MINFLUX recording, and which of its iterations a table shows.

A MINFLUX microscope finds a molecule in steps, each with a smaller pattern of light; what one
calls its position is that of the last step. Before Imspector 24.10 (m2410) a file has one row
per position with all its iterations inside; since then one row per iteration.

Source: bsse-scf/pyMINFLUX 00cd28a, reader/_reader.py, reader/_reader_v2.py, reader/util/_util.py;
field meanings: Eggeling-Lab-Microscope-Software/infoFLUX README.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError, HeaderError, RowError

__all__ = ["ALL", "LAST", "MEASURED_CFR", "Recording", "Selection", "select"]

LAST, ALL = "last", "all"
# What the column of the centre frequency ratio is called that was really measured.
MEASURED_CFR = "cfr_measured"

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The fields of a file, positions in metres.

    Attributes:
        rows: Fields with one value (or vector) per row, each of shape (n, ...).
        iterations: Fields with one value (or vector) per row and iteration, each of shape
            (n, k, ...); empty if every row is one iteration, its number in the field `itr`.
    """

    rows: Mapping[str, Array]
    iterations: Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a table shows of a recording.

    Attributes:
        fields: Fields by name, each of shape (rows, ...).
        notes: Facts for the table's metadata.
        warnings: What a user should know.
    """

    fields: dict[str, Array]
    notes: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def select(recording: Recording, variant: str, *, name: str) -> Selection:
    """Return the valid, localized rows of one iteration, or of all.

    Args:
        recording: The file's fields.
        variant: LAST (the last iteration in which anything was localized), ALL, or the number
            of an iteration, from 0.
        name: The file's name, for messages.

    Raises:
        FormatError: There is no such iteration.
        HeaderError: The fields that say where and whether something was localized are missing.
        RowError: Fields are of different lengths.
    """
    _check(recording, name)
    if recording.iterations:
        return _select_nested(recording, variant, name)
    return _select_flat(recording, variant, name)


def _select_nested(recording: Recording, variant: str, name: str) -> Selection:
    rows, iterations = recording.rows, recording.iterations
    count = iterations["loc"].shape[1]
    valid = _valid(rows, len(iterations["loc"]))
    is_there = _localized(iterations["loc"]) & valid[:, None]
    chosen = _iteration(variant, np.flatnonzero(is_there.any(axis=0)), count=count, name=name)
    if chosen is None:
        row, iteration = np.nonzero(is_there)
    else:
        row = np.flatnonzero(is_there[:, chosen])
        iteration = np.full(len(row), chosen)
    fields = {key: values[row] for key, values in rows.items()}
    fields |= {key: values[row, iteration] for key, values in iterations.items()}
    notes: dict[str, Any] = {"iterations": count}
    if chosen is not None:
        notes["iteration"] = chosen
        measured = _measured(iterations.get("cfr"), is_there, chosen)
        if measured is not None and measured != chosen:
            fields[MEASURED_CFR] = iterations["cfr"][row, measured]
            notes["cfr_iteration"] = measured
    kept = len(row) if chosen is None else int(valid.sum())
    warnings = _left_out(len(valid) - int(valid.sum()), kept - len(row), name)
    return Selection(fields=fields, notes=notes, warnings=warnings)


def _select_flat(recording: Recording, variant: str, name: str) -> Selection:
    rows = recording.rows
    number = rows["itr"]
    valid = _valid(rows, len(number))
    is_there = _localized(rows["loc"]) & valid
    there = np.unique(number[is_there])
    if len(there) and not 0 <= int(there[0]) <= int(there[-1]) < len(number):
        raise RowError(f"{name}: iterations numbered from {there[0]} to {there[-1]}")
    count = int(there[-1]) + 1 if len(there) else 0
    chosen = _iteration(variant, there, count=max(count, 1), name=name)
    row = np.flatnonzero(is_there if chosen is None else is_there & (number == chosen))
    fields = {key: values[row] for key, values in rows.items()}
    notes: dict[str, Any] = {"iterations": count}
    if chosen is not None:
        notes["iteration"] = chosen
        cfr = _measured_before(rows, is_there=is_there, chosen=chosen, row=row)
        if cfr is not None:
            fields[MEASURED_CFR], notes["cfr_iteration"] = cfr
    warnings = _left_out(int((~valid).sum()), int((valid & ~is_there).sum()), name)
    return Selection(fields=fields, notes=notes, warnings=warnings)


def _check(recording: Recording, name: str) -> None:
    fields = recording.iterations or recording.rows
    missing = {"loc", "itr"} - fields.keys()
    if missing:
        raise HeaderError(f"{name}: a MINFLUX recording must have {' and '.join(sorted(missing))}")
    loc = fields["loc"]
    places = 3 if recording.iterations else 2
    if loc.ndim != places or loc.shape[-1] not in (2, 3) or loc.dtype.kind != "f":
        raise HeaderError(f"{name}: loc must be coordinates in m, got {loc.dtype} {loc.shape}")
    if recording.iterations and not loc.shape[1]:
        raise HeaderError(f"{name}: a recording without iterations")
    if fields["itr"].ndim != places - 1 or fields["itr"].dtype.kind not in "iuf":
        raise HeaderError(f"{name}: itr must be the number of the iteration")
    for key, values in (*recording.rows.items(), *recording.iterations.items()):
        is_inner = key in recording.iterations
        if values.shape[: 1 + is_inner] != loc.shape[: 1 + is_inner]:
            raise RowError(f"{name}: {key} has shape {values.shape}, but loc {loc.shape}")


def _valid(rows: Mapping[str, Array], count: int) -> npt.NDArray[np.bool_]:
    valid = rows.get("vld")
    if valid is None or valid.ndim != 1:
        return np.ones(count, dtype=bool)
    return valid.astype(bool)


def _localized(loc: Array) -> npt.NDArray[np.bool_]:
    return np.isfinite(loc[..., 0]) & np.isfinite(loc[..., 1])


def _iteration(variant: str, there: Array, *, count: int, name: str) -> int | None:
    """Return the number of the iteration to show, or None for all."""
    if variant == ALL:
        return None
    if variant == LAST:
        return int(there[-1]) if len(there) else count - 1
    if int(variant) >= count:
        raise FormatError(
            f"{name}: no iteration {variant}; there are 0 to {count - 1} (variant={LAST!r},"
            f" {ALL!r} or one of these numbers)"
        )
    return int(variant)


def _measured(cfr: Array | None, is_there: Array, chosen: int) -> int | None:
    """Return the last iteration up to the chosen one in which the ratio was measured.

    Most sequences measure it only on the way; elsewhere the file says a constant below zero.
    """
    if cfr is None or cfr.ndim != 2:
        return None
    for iteration in range(chosen, -1, -1):
        if (cfr[is_there[:, chosen], iteration] > 0).any():
            return iteration
    return None


def _measured_before(
    rows: Mapping[str, Array], *, is_there: Array, chosen: int, row: Array
) -> tuple[Array, int] | None:
    """Return for each chosen row the ratio last measured in its trace, and in which iteration."""
    cfr, trace, number = rows.get("cfr"), rows.get("tid"), rows["itr"]
    if cfr is None or trace is None or cfr.ndim != 1 or trace.ndim != 1 or not len(row):
        return None
    is_measured = is_there & (cfr > 0) & (number <= chosen)
    if not is_measured.any():
        return None
    iteration = int(number[is_measured].max())
    if iteration == chosen:
        return None
    source = np.flatnonzero(is_there & (number == iteration))
    before = np.searchsorted(source, row, side="right") - 1
    found = source[np.maximum(before, 0)]
    is_same = (before >= 0) & (trace[found] == trace[row])
    values = np.where(is_same, cfr[found].astype(np.float64), np.nan)
    return values, iteration


def _left_out(invalid: int, unlocalized: int, name: str) -> list[str]:
    warnings = []
    if invalid:
        warnings.append(f"{name}: {invalid} rows that the file marks as not valid are left out")
    if unlocalized:
        warnings.append(f"{name}: {unlocalized} rows without a position are left out")
    return warnings
