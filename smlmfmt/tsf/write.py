"""A table as a tagged spot file, thousands of messages at a time."""

from __future__ import annotations

import struct
import warnings
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError, HeaderError, RowError, UnitError
from smlmfmt.format import WriteOptions
from smlmfmt.table import Bundle, LocTable
from smlmfmt.tsf.fields import (
    COUNTS,
    FWHM_OF_SIGMA,
    HEADER_SIZE,
    NANOMETRE_UNIT,
    ONE_AXIS,
    PHOTONS,
    SPOT,
    SPOT_THUNDERSTORM,
    TWO_AXES,
    TWO_AXES_AND_THETA,
    Field,
)
from smlmfmt.tsf.spot_list import encode_spot_list, encode_varint

__all__ = ["LeftOutWarning", "write_tsf"]

BLOCK_ROWS = 32_768
_FIXED32 = 5
_INT32 = np.iinfo(np.int32)
_FIELDS = {field.name: field for field in SPOT + SPOT_THUNDERSTORM}
# Our names for what a Spot calls otherwise; lengths are written in nm.
_NAMES = {"id": "molecule", "background_std": "bkgstd"}
_SAME = ("channel", "slice", "pos", "fluorophore_type", "cluster", "x", "y", "z", "intensity",
         "background", "theta", "flag", "x_original", "y_original", "z_original", "x_precision",
         "y_precision", "z_precision", "x_position", "y_position", "detections")  # fmt: skip
_LENGTHS = frozenset(
    ("x", "y", "z", "x_original", "y_original", "z_original", "x_precision", "y_precision",
     "z_precision", "uncertainty_xy", "uncertainty_z", "sigma", "sigma_x", "sigma_y")
)  # fmt: skip
_INTENSITIES = ("intensity", "background", "background_std")

Array = npt.NDArray[Any]


class LeftOutWarning(UserWarning):
    """A table has columns that the format it is written in cannot say."""


def write_tsf(
    file: BinaryIO,
    bundle: Bundle,
    options: WriteOptions,  # noqa: ARG001 - lengths are written in nm, numbers as they must be.
) -> None:
    """Write one table as a binary tagged spot file: nm, frames from 1, widths as FWHM, float32.

    Columns a Spot has no field for are left out, with a LeftOutWarning.

    Raises:
        FormatError: There is not exactly one table.
        HeaderError: It has no frame, x or y.
        RowError: Whole numbers are not whole, or beyond 32 bits.
        UnitError: A length is not in nm, or intensities are in several units.
    """
    if len(bundle.tables) != 1:
        raise FormatError(f"a tagged spot file holds one table, not {len(bundle.tables)}")
    table = bundle.tables[0]
    _check(table)
    columns = _columns(table)
    file.write(bytes(HEADER_SIZE))
    starts = range(0, len(table), BLOCK_ROWS)
    file.writelines(_messages(columns, start, start + BLOCK_ROWS) for start in starts)
    list_start = file.tell() - HEADER_SIZE
    file.write(encode_spot_list(_spot_list(table, columns)))
    file.seek(4)
    file.write(struct.pack(">q", list_start))
    file.seek(0, 2)


def _check(table: LocTable) -> None:
    missing = {"frame", "x", "y"} - set(table.columns)
    if missing:
        raise HeaderError(
            f"a tagged spot file needs frame, x and y of each spot; there is no"
            f" {' and no '.join(sorted(missing))}"
        )
    for name in _LENGTHS & set(table.columns):
        if table.units[name] not in ("nm", ""):
            raise UnitError(f"column {name!r} must be in nm, not {table.units[name]!r}")
    units = {table.units[name] for name in _INTENSITIES if name in table} - {""}
    if len(units) > 1:
        raise UnitError(f"intensities must have one unit, not {' and '.join(sorted(units))}")


def _columns(table: LocTable) -> dict[str, Array]:
    """Return what is to be written, by field name, in the order of the fields' numbers."""
    found: dict[str, Array] = {name: table[name] for name in _SAME if name in table}
    used = set(found) | {"frame"}
    found["frame"] = table["frame"] + (1 if table.frame_origin == 0 else 0)
    for name, field in _NAMES.items():
        if name in table:
            found[field] = table[name]
            used.add(name)
    used |= _add_widths(table, found) | _add_uncertainties(table, found)
    found.setdefault("molecule", np.arange(1, len(table) + 1))
    found.setdefault("channel", np.ones(len(table), np.int32))
    # A Spot must have an intensity; where nobody knows it, it is no number.
    found.setdefault("intensity", np.full(len(table), np.nan, np.float32))
    left_out = [name for name in table.columns if name not in used]
    if left_out:
        warnings.warn(
            f"a tagged spot file has no field for {', '.join(left_out)}; left out",
            LeftOutWarning,
            stacklevel=2,
        )
    fields = (_FIELDS[name] for name in sorted(found, key=lambda name: _FIELDS[name].tag))
    return {field.name: _typed(found[field.name], field) for field in fields}


def _add_widths(table: LocTable, found: dict[str, Array]) -> set[str]:
    if "sigma_x" in table and "sigma_y" in table:
        one, other = (table[name].astype(np.float64) for name in ("sigma_x", "sigma_y"))
        with np.errstate(divide="ignore", invalid="ignore"):
            found["width"] = np.sqrt(one * other) * FWHM_OF_SIGMA
            found["a"] = np.where(one == other, 1.0, one / other)
        return {"sigma_x", "sigma_y"}
    if "sigma" in table:
        found["width"] = table["sigma"].astype(np.float64) * FWHM_OF_SIGMA
        return {"sigma"}
    return set()


def _add_uncertainties(table: LocTable, found: dict[str, Array]) -> set[str]:
    used = set()
    if "uncertainty_xy" in table and not {"x_precision", "y_precision"} & found.keys():
        found["x_precision"] = found["y_precision"] = table["uncertainty_xy"]
        used.add("uncertainty_xy")
    if "uncertainty_z" in table and "z_precision" not in found:
        found["z_precision"] = table["uncertainty_z"]
        used.add("uncertainty_z")
    return used


def _typed(values: Array, field: Field) -> Array:
    if field.kind == "float":
        with np.errstate(over="ignore"):  # What float32 cannot say is infinite.
            return values.astype(np.float32)
    is_whole = values.dtype.kind in "biu" or bool(np.all(values == np.floor(values)))
    is_small = not len(values) or (values.min() >= _INT32.min and values.max() <= _INT32.max)
    if not is_whole or not is_small:
        raise RowError(f"{field.name} must be whole numbers of 32 bits in a tagged spot file")
    return values.astype(np.int32)


def _spot_list(table: LocTable, columns: dict[str, Array]) -> dict[str, Any]:
    values: dict[str, Any] = {
        "application_id": 1,
        "name": table.name,
        "nr_spots": len(table),
        "nr_channels": _highest(columns["channel"]),
        "nr_frames": _highest(columns["frame"]),
        "location_units": NANOMETRE_UNIT,
        "fit_mode": _fit_mode(columns),
    }
    unit = next((table.units[name] for name in _INTENSITIES if name in table), "")
    if unit in ("photon", "digital"):
        values["intensity_units"] = PHOTONS if unit == "photon" else COUNTS
    return values


def _fit_mode(columns: dict[str, Array]) -> int:
    if "a" not in columns:
        return ONE_AXIS
    return TWO_AXES_AND_THETA if "theta" in columns else TWO_AXES


def _highest(values: Array) -> int:
    return max(1, int(values.max())) if len(values) else 1


def _messages(columns: dict[str, Array], start: int, end: int) -> bytes:
    """Return the messages of some rows, each after its length.

    They are laid out in a table of bytes with room for the longest numbers, and a second table
    says which of its bytes count; taking those row by row makes the messages.
    """
    parts = [_field(_FIELDS[name], values[start:end]) for name, values in columns.items()]
    sizes = sum(is_used.sum(axis=1) for _, is_used in parts)
    parts.insert(0, _varints(np.asarray(sizes, np.int64)))
    data = np.concatenate([part for part, _ in parts], axis=1)
    is_used = np.concatenate([used for _, used in parts], axis=1)
    return bytes(data[is_used])


def _field(field: Field, values: Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    wire = _FIXED32 if field.kind == "float" else 0
    tag = encode_varint(field.tag << 3 | wire)
    if field.kind == "float":
        data = values.astype("<f4").view(np.uint8).reshape(-1, 4)
        is_used = np.ones(data.shape, dtype=bool)
    else:
        data, is_used = _varints(values.astype(np.int64))
    tags = np.broadcast_to(np.frombuffer(tag, np.uint8), (len(values), len(tag)))
    return (
        np.concatenate((tags, data), axis=1),
        np.concatenate((np.ones(tags.shape, dtype=bool), is_used), axis=1),
    )


def _varints(
    values: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    rest = values.view(np.uint64)
    size = max(1, -(-int(rest.max()).bit_length() // 7)) if len(rest) else 1
    data = np.empty((len(rest), size), np.uint8)
    is_used = np.empty((len(rest), size), dtype=bool)
    is_open = np.ones(len(rest), dtype=bool)
    for place in range(size):
        is_used[:, place] = is_open
        byte = (rest & np.uint64(0x7F)).astype(np.uint8)
        rest = rest >> np.uint64(7)
        is_open = rest > 0
        data[:, place] = byte | (is_open.astype(np.uint8) << 7)
    return data, is_used
