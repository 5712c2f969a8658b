"""Writing an emitter set as DECODE does, in nm.

Source: TuragaLab/DECODE decode/utils/emitter_io.py save_h5; decode/generic/emitter.py (what is
taken for quantities that are not given).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, takewhile
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError, HeaderError, RowError, UnitError
from smlmfmt.format import WriteOptions
from smlmfmt.table import Bundle, LocTable

__all__ = ["AXES", "EXTRA_GROUP", "POSITIONS", "write_decode"]

# DECODE knows a fixed set of quantities and fails on others in its own groups. Its name sorts
# behind those, because SMAP takes the groups by their number.
EXTRA_GROUP = "/smlmfmt"
# DECODE's columns of our x, y and z.
AXES = (1, 0, 2)
# Where positions and their precisions go: our columns, and the power of their unit.
POSITIONS = {
    "xyz": (("x", "y", "z"), 1),
    "xyz_sig": (("x_precision", "y_precision", "z_precision"), 1),
    "xyz_cr": (("x_cr", "y_cr", "z_cr"), 2),
}
# What stands in for a missing column.
STAND_INS = {
    "x_precision": "uncertainty_xy",
    "y_precision": "uncertainty_xy",
    "z_precision": "uncertainty_z",
}
# DECODE's other quantities: our name, and whether DECODE declares it empty when there is none.
QUANTITIES = {
    "phot": ("intensity", False),
    "phot_cr": ("phot_cr", True),
    "phot_sig": ("phot_sig", True),
    "bg": ("background", False),
    "bg_cr": ("bg_cr", True),
    "bg_sig": ("bg_sig", True),
}
_WHOLE_MAX = 1 << 53


def write_decode(
    file: BinaryIO,
    bundle: Bundle,
    options: WriteOptions,
) -> None:
    """Write one table as a DECODE emitter set, positions in nm.

    Positions and what belongs to them become float32, frames count from 0, a table without z is
    given z 0. As in DECODE, an id that is not known is -1, a probability 1, photons and background
    NaN. Columns that DECODE has no place for go to a group of ours, which it does not look at.

    Args:
        file: Open for reading and writing, at its start.
        bundle: One table, lengths in nm.
        options: `pixel_size_nm` is noted if it is given.

    Raises:
        FormatError: There is not exactly one table.
        HeaderError: It has no x, y or frame.
        RowError: A frame or an id is no whole number.
        UnitError: A position is not in nm.
    """
    import h5py  # noqa: PLC0415 - heavy, and needed by few.

    if len(bundle.tables) != 1:
        raise FormatError(f"a DECODE file holds one table, not {len(bundle.tables)}")
    table = bundle.tables[0]
    if not {"x", "y", "frame"} <= set(table.columns):
        raise HeaderError(f"a DECODE file needs x, y and frame; there are {table.columns}")
    arrays, used = _quantities(table)
    size = options.pixel_size_nm or table.metadata.get("pixel_size_nm")
    with h5py.File(file, "w") as opened:
        meta = opened.create_group("meta")
        meta.attrs["xy_unit"] = "nm"
        if isinstance(size, int | float):
            meta.attrs["px_size"] = np.array([size, size], np.float64)
        opened.create_group("decode").attrs["version"] = "smlmfmt"
        group = opened.create_group("data")
        for name, values in arrays.items():
            group.create_dataset(name, data=h5py.Empty("f") if values is None else values)
        extras = [name for name in table.columns if name not in used]
        for number, name in enumerate(extras):
            extra = opened.create_dataset(f"{EXTRA_GROUP}/{number}", data=_plain(table[name]))
            extra.attrs["name"], extra.attrs["unit"] = name, table.units[name]


def _quantities(table: LocTable) -> tuple[dict[str, npt.NDArray[Any] | None], set[str]]:
    """Return DECODE's datasets, None for one that is declared empty, and our columns in them."""
    arrays: dict[str, npt.NDArray[Any] | None] = {}
    used = {"frame", "id", "prob"}
    for quantity, (names, power) in POSITIONS.items():
        sources = [_source(table, name) for name in names]
        arrays[quantity] = _positions(table, sources, power=power, is_needed=quantity == "xyz")
        used.update(source for source in sources if source)
    for quantity, (name, is_optional) in QUANTITIES.items():
        arrays[quantity], sources = _channels(table, name, is_optional=is_optional)
        used.update(sources)
    shift = 1 if table.frame_origin == 1 else 0
    arrays["frame_ix"] = _whole(table, "frame") - shift
    arrays["id"] = _whole(table, "id") if "id" in table else np.full(len(table), -1)
    prob = table["prob"] if "prob" in table else np.ones(len(table))
    arrays["prob"] = _single(prob)
    return arrays, used


def _source(table: LocTable, name: str) -> str:
    """Return the column that a quantity comes from, "" if there is none."""
    return next((own for own in (name, STAND_INS.get(name, "")) if own and own in table), "")


def _positions(
    table: LocTable, sources: Sequence[str], *, power: int, is_needed: bool
) -> npt.NDArray[np.float32] | None:
    """Return shape (n, 3) in DECODE's order of axes, None if nothing is known."""
    wanted = ("nm", "") if power == 1 else ("nm^2", "")
    for source in sources:
        if source and table.units[source] not in wanted:
            unit = table.units[source]
            raise UnitError(f"column {source!r} must be in {wanted[0]}, not {unit!r}")
    if not is_needed and not any(sources):
        return None
    values = np.full((len(table), 3), 0.0 if is_needed else np.nan, np.float32)
    for source, axis in zip(sources, AXES, strict=True):
        if source:
            with np.errstate(over="ignore"):  # What float32 cannot say is infinite.
                values[:, axis] = table[source]
    return values


def _channels(
    table: LocTable, name: str, *, is_optional: bool
) -> tuple[npt.NDArray[np.float32] | None, list[str]]:
    """Return a quantity of one channel, shape (n,), or of several, shape (n, channels)."""
    if name in table:
        return _single(table[name]), [name]
    numbered = (f"{name}_{number}" for number in count())
    sources = list(takewhile(lambda source: source in table, numbered))
    if sources:
        return np.stack([_single(table[source]) for source in sources], axis=1), sources
    return (None if is_optional else np.full(len(table), np.nan, np.float32)), []


def _whole(table: LocTable, name: str) -> npt.NDArray[np.int64]:
    values = table[name]
    if values.dtype.kind == "f":
        is_whole = np.isfinite(values) & (values == np.floor(values)) & (abs(values) <= _WHOLE_MAX)
        if not is_whole.all():
            row = int(np.argmin(is_whole))
            raise RowError(
                f"column {name!r}: row {row}: DECODE takes whole numbers, not {values[row]}"
            )
    return values.astype(np.int64)


def _single(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):  # What float32 cannot say is infinite.
        return values.astype(np.float32)


def _plain(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(np.uint8) if values.dtype.kind == "b" else values
