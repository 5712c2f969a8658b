"""Writing what Picasso loads: one contiguous compound dataset, and the notes it asks for.

Source: jungmannlab/picasso picasso/io.py save_locs, load_locs, load_info; picasso/lib.py
ensure_sanity (0.11.3).
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError, HeaderError, UnitError
from smlmfmt.format import WriteOptions
from smlmfmt.smlm.write import ExactnessWarning
from smlmfmt.table import Bundle, LocTable

__all__ = ["PIXELS", "companions", "write_picasso"]

BLOCK_ROWS = 65_536
# Picasso's columns in camera pixels.
PIXELS = (
    "x", "y", "sx", "sy", "lpx", "lpy", "std_x", "std_y", "x_pick_rot", "y_pick_rot",
    "sx_unc", "sy_unc", "fitted_sigma", "fitted_sigma_x", "fitted_sigma_y",
)  # fmt: skip
# Picasso's columns in the order it writes them, and where they come from here: the first there is.
NAMES = {
    "frame": ("frame",),
    "x": ("x",),
    "y": ("y",),
    "photons": ("intensity",),
    "sx": ("sigma_x", "sigma"),
    "sy": ("sigma_y", "sigma"),
    "bg": ("background",),
    "lpx": ("x_precision", "uncertainty_xy"),
    "lpy": ("y_precision", "uncertainty_xy"),
    "z": ("z",),
    "lpz": ("z_precision", "uncertainty_z"),
    "chi_square": ("chi2",),
}
NANOMETRES = ("z", "lpz", "std_z")
_FRAME_MAX = (1 << 32) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One member of the dataset: its name there, its column here, its dtype, and what turns it."""

    name: str
    source: str
    dtype: np.dtype[Any]
    divisor: float = 1.0
    shift: int = 0


def write_picasso(file: BinaryIO, bundle: Bundle, options: WriteOptions) -> None:
    """Write one table as Picasso does, with the notes inside.

    Positions, widths and precisions become float32 in camera pixels, frames uint32 from 0; other
    columns keep their types and names. A single sigma or uncertainty stands for both directions.

    Args:
        file: Open for reading and writing, at its start.
        bundle: One table, lengths in nm.
        options: `pixel_size_nm`; if absent, the one that the table came with is taken.

    Raises:
        FormatError: There is not exactly one table.
        HeaderError: It has no x or y, or two columns would have one name.
        UnitError: The pixel size is not known, or a position is not in nm.
    """
    import h5py  # noqa: PLC0415 - heavy, and needed by few.

    table = _only_table(bundle)
    size = _pixel_size(table, options)
    members = _members(table, size)
    dtype = np.dtype([(member.name, member.dtype) for member in members])
    notes = _notes(table, bundle, size)
    _warn_of_losses(table)
    with h5py.File(file, "w") as opened:
        locs = opened.create_dataset("locs", (len(table),), dtype)
        for start in range(0, len(table), BLOCK_ROWS):
            end = min(start + BLOCK_ROWS, len(table))
            block = np.empty(end - start, dtype)
            for member in members:
                block[member.name] = _values(table, member, start=start, end=end)
            locs[start:end] = block
        opened.create_dataset("metadata", data=json.dumps(notes))


def companions(bundle: Bundle, options: WriteOptions) -> dict[str, bytes]:
    """Return the file that lies beside, by its suffix: the notes as YAML, for older Picassos.

    Raises:
        FormatError: As `write_picasso`.
    """
    import yaml  # noqa: PLC0415 - needed by few.

    table = _only_table(bundle)
    notes = _notes(table, bundle, _pixel_size(table, options))
    text = yaml.safe_dump_all(notes, default_flow_style=False)
    return {".yaml": text.encode()}


def _only_table(bundle: Bundle) -> LocTable:
    if len(bundle.tables) != 1:
        raise FormatError(f"a Picasso file holds one table, not {len(bundle.tables)}")
    table = bundle.tables[0]
    if not {"x", "y"} <= set(table.columns):
        raise HeaderError(f"a Picasso file needs x and y; there are {table.columns}")
    return table


def _pixel_size(table: LocTable, options: WriteOptions) -> float:
    # A .smlm file keeps what another format noted one level down.
    within = table.metadata.get("metadata")
    notes = [table.metadata, within if isinstance(within, Mapping) else {}]
    noted = (note.get("pixel_size_nm") for note in notes)
    sizes = [size for size in (options.pixel_size_nm, *noted) if size is not None]
    if not sizes:
        raise UnitError(
            "Picasso counts in camera pixels, and the table does not say how large they are: give"
            " the pixel size in nm (pixel_size_nm=, or --pixel-size on the command line)"
        )
    size = sizes[0]
    is_number = isinstance(size, int | float) and not isinstance(size, bool)
    if not (is_number and math.isfinite(size) and size > 0):
        raise UnitError(f"pixel_size_nm must be a positive number, got {size!r}")
    return float(size)


def _members(table: LocTable, size: float) -> list[_Member]:
    members = []
    used: set[str] = set()
    for name, sources in NAMES.items():
        source = next((source for source in sources if source in table), None)
        if source is not None:
            used.add(source)
            members.append(_member(table, name, source=source, size=size))
    members += [
        _member(table, name, source=name, size=size) for name in table.columns if name not in used
    ]
    names = [member.name for member in members]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise HeaderError(f"two columns would be called {doubled[0]!r} in Picasso; rename one")
    if not all(name and "\0" not in name for name in names):
        raise HeaderError("a column without a name cannot be written")
    return members


def _member(table: LocTable, name: str, *, source: str, size: float) -> _Member:
    values, unit = table[source], table.units[source]
    if name == "frame":
        shift = 1 if table.frame_origin == 1 else 0
        return _Member(name=name, source=source, dtype=_frame_dtype(values, shift), shift=shift)
    if name in ("x", "y", "z") and unit not in ("nm", ""):
        raise UnitError(f"column {source!r} must be in nm, not {unit!r}")
    divisor = 1.0
    if name in PIXELS and unit in ("nm", ""):
        divisor = size
    elif name in ("area", "convexhull") and unit == "nm^2":
        divisor = size**2
    is_single = name in NAMES or name in PIXELS or name in NANOMETRES or divisor != 1.0
    dtype = np.dtype(np.float32) if is_single else _kept_dtype(values.dtype)
    return _Member(name=name, source=source, dtype=dtype, divisor=divisor)


def _frame_dtype(values: npt.NDArray[Any], shift: int) -> np.dtype[Any]:
    """Return uint32, or float32 where frames are no whole numbers, as in molecular maps."""
    if not len(values):
        return np.dtype(np.uint32)
    low, high = float(values.min()), float(values.max())
    is_whole = values.dtype.kind in "biu" or bool((values == np.floor(values)).all())
    is_counted = low - shift >= 0 and high - shift <= _FRAME_MAX
    return np.dtype(np.uint32 if is_whole and is_counted else np.float32)


def _kept_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _values(table: LocTable, member: _Member, *, start: int, end: int) -> npt.NDArray[Any]:
    values = table[member.source][start:end]
    if member.shift:
        values = values.astype(np.float64 if values.dtype.kind == "f" else np.int64) - member.shift
    if member.divisor != 1.0:
        values = np.divide(values, member.divisor, dtype=np.float64)
    with np.errstate(over="ignore"):  # What float32 cannot say is infinite.
        return values.astype(member.dtype)


def _warn_of_losses(table: LocTable) -> None:
    """Say that Picasso will show fewer rows than are written, if it will."""
    is_shown = np.ones(len(table), bool)
    for name in table.columns:
        values = table[name]
        if values.dtype.kind == "f":
            is_shown &= np.isfinite(values)
        if name in ("x", "y"):
            is_shown &= values >= 0
    hidden = len(table) - int(is_shown.sum())
    if hidden:
        warnings.warn(
            f"Picasso leaves out {hidden} of {len(table)} rows when it loads them: x or y is"
            " negative, or a value is no finite number",
            ExactnessWarning,
            stacklevel=5,
        )


def _notes(table: LocTable, bundle: Bundle, size: float) -> list[dict[str, Any]]:
    """Return the documents that came with the table, and what Picasso needs and they lack.

    Picasso looks for each key from the last document to the first.
    """
    given = table.metadata.get("documents") or bundle.manifest.get("documents")
    documents = [
        dict(document)
        for document in (given if isinstance(given, list | tuple) else ())
        if isinstance(document, Mapping)
    ]
    needed: dict[str, Any] = {
        "Width": _extent(table, "x", size),
        "Height": _extent(table, "y", size),
        "Frames": _frame_count(table),
    }
    last = {
        key: least for key, least in needed.items() if not _is_enough(_noted(documents, key), least)
    }
    if _noted(documents, "Pixelsize") != size:
        last["Pixelsize"] = size
    if last:
        documents.append({"Generated by": "Locmesh smlmfmt", **last})
    return documents


def _noted(documents: Sequence[Mapping[str, Any]], key: str) -> Any:
    return next((document[key] for document in reversed(documents) if document.get(key)), None)


def _is_enough(value: Any, least: int) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= least


def _extent(table: LocTable, name: str, size: float) -> int:
    """Return how many pixels the camera must have had at least; Picasso drops what lies beyond."""
    values = table[name]
    finite = values[np.isfinite(values)]
    return int(max(0.0, float(finite.max()) / size)) + 1 if len(finite) else 1


def _frame_count(table: LocTable) -> int:
    if "frame" not in table or not len(table):
        return 1
    values = table["frame"]
    finite = values[np.isfinite(values)]
    return max(1, int(finite.max()) + (table.frame_origin != 1)) if len(finite) else 1
