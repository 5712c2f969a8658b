"""Our column names and units, and what others call them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import UnitError

__all__ = [
    "LATERAL_LENGTHS",
    "LENGTHS",
    "NANOMETRES",
    "PIXEL_ENDS",
    "ColumnName",
    "canonical_name",
    "canonical_names",
    "header_key",
    "in_nanometres",
    "is_length",
    "normal_unit",
]

# Canonical name -> what other programs call it, in lower case with "_" for anything else.
ALIASES: dict[str, tuple[str, ...]] = {
    "frame": ("first_frame", "frame_number", "frame_ix", "frame_idx", "frameid", "image_number",
              "imagenumber_0_0", "frames", "image_id"),
    "x": ("position_x", "x_position", "pos_x", "xpos", "x_coord", "position_0_0", "x0",
          "x_pos", "loc_x"),
    "y": ("position_y", "y_position", "pos_y", "ypos", "y_coord", "position_1_0", "y0",
          "y_pos", "loc_y"),
    "z": ("position_z", "z_position", "pos_z", "zpos", "z_coord", "position_2_0", "z0",
          "z_pos", "loc_z"),
    "intensity": ("photons", "phot", "photon", "number_photons", "photon_count", "photoncount",
                  "num_photons", "n_photons", "amplitude_0_0"),
    "background": ("bg", "offset", "local_background", "localbackground_0_0"),
    "background_std": ("bkgstd", "local_background_sigma", "background_sigma"),
    "uncertainty_xy": ("uncertainty", "precision", "locprec", "lateral_localization_accuracy",
                       "uncertainty_lateral", "precision_xy", "localization_precision"),
    "uncertainty_z": ("locprecz", "precision_z", "position_2_0_uncertainty"),
    "x_precision": ("precision_x", "uncertainty_x", "lpx", "x_std", "x_sig",
                    "position_0_0_uncertainty"),
    "y_precision": ("precision_y", "uncertainty_y", "lpy", "y_std", "y_sig",
                    "position_1_0_uncertainty"),
    "z_precision": ("lpz", "z_std", "z_sig"),
    "sigma": ("psf_sigma", "sig"),
    "sigma_x": ("sigma1", "psf_sigma_x", "sx", "sig_x"),
    "sigma_y": ("sigma2", "psf_sigma_y", "sy", "sig_y"),
    "channel": (),
    "id": ("original_index", "index", "ground_truth", "idx"),
    "time": ("t", "tim", "timestamp"),
    "chi2": ("chi_square", "chisq", "chi_squared", "fitresidues_0_0"),
    "detections": (),
}  # fmt: skip

UNIT_ALIASES: dict[str, tuple[str, ...]] = {
    "pm": ("picometer", "picometre"),
    "angstrom": ("å", "å", "angstroms"),
    "nm": ("nano", "nanometer", "nanometers", "nanometre", "nanometres"),
    "um": ("µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre"),
    "mm": ("millimeter", "millimetre"),
    "cm": ("centimeter", "centimetre"),
    "m": ("meter", "meters", "metre", "metres"),
    "px": ("pixel", "pixels", "pix"),
    "photon": ("photons", "ph"),
    "frame": ("frames",),
    "s": ("sec", "second", "seconds"),
    "ms": ("millisecond", "milliseconds"),
    "deg": ("degree", "degrees"),
    "rad": ("radian", "radians"),
    "digital": ("adu", "count", "counts", "a_d_count", "a/d count"),
    "a.u.": ("au",),
}

NANOMETRES = {"pm": 1e-3, "angstrom": 0.1, "nm": 1.0, "um": 1e3, "mm": 1e6, "cm": 1e7, "m": 1e9}
LATERAL_LENGTHS = frozenset(
    (
        "x",
        "y",
        "x_original",
        "y_original",
        "x_precision",
        "y_precision",
        "uncertainty_xy",
        "sigma",
        "sigma_x",
        "sigma_y",
    )
)
LENGTHS = LATERAL_LENGTHS | {"z", "uncertainty_z", "z_precision", "z_original"}

# A name that ends so is of a column that stays in pixels beside one in nm.
PIXEL_ENDS = ("_px", "_pixels")
# Units that may be part of a name whose brackets a program has replaced: "sigma_nm_", "x_px".
NAME_UNITS = ("nm", "um", "px", "pixel", "pixels", "photon", "photons", "digital", "deg", "rad")

_CANONICAL = {alias: name for name, aliases in ALIASES.items() for alias in (name, *aliases)}
_UNITS = {alias: unit for unit, aliases in UNIT_ALIASES.items() for alias in (unit, *aliases)}
_BRACKETS = re.compile(r"^(?P<name>.*?)[\s_]*[\[(](?P<unit>[^\])]*)[\])]\s*$")
_JOINED = re.compile(r"^(?P<name>[xyz]|locprecz?|psf[xyz])(?P<unit>nm|nano|um|px|pix)$")


@dataclass(frozen=True, slots=True)
class ColumnName:
    """Our name for a column, the unit its source name carries ("" if none), and that name."""

    name: str
    unit: str
    source: str


def normal_unit(text: str) -> str:
    """Return our spelling of a unit; an unknown one is returned stripped, "1" as "".

    A squared unit keeps its "^2": "µm^2" becomes "um^2".
    """
    unit = text.strip()
    base, caret, power = unit.partition("^")
    known = _UNITS.get(base.strip().lower())
    if known is None:
        return "" if unit == "1" else unit
    return known + caret + power


def canonical_name(source: str) -> ColumnName:
    """Return our name and the unit for one source name."""
    text = source.strip().strip('"').strip()
    unit = ""
    if bracketed := _BRACKETS.match(text):
        text, unit = bracketed["name"], normal_unit(bracketed["unit"])
    key = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    if key in _CANONICAL or unit:
        return ColumnName(_CANONICAL.get(key, key or "column"), unit, source)
    key, unit = _without_unit(key)
    return ColumnName(_CANONICAL.get(key, key or "column"), unit, source)


def canonical_names(
    sources: Sequence[str], known: Mapping[str, tuple[str, str]] | None = None
) -> list[ColumnName]:
    """Return a name for each source name, each name once.

    Of columns that would get the same name, one that a vendor is known for wins over others, the
    exact canonical name over an alias of it, metric units over pixels, and the first over the
    second; the others keep their own cleaned name, with a number behind it if need be.

    Args:
        sources: As the file names its columns.
        known: Our name and the unit ("": as the source name says) by `header_key`, for names that
            a vendor gives a meaning of its own.
    """
    found = [_known(source, known or {}) or canonical_name(source) for source in sources]
    best: dict[str, tuple[tuple[bool, ...], int]] = {}
    for index, column in enumerate(found):
        key = header_key(column.source)
        is_plain = _cleaned(column.source) == column.name
        rank = (key not in (known or {}), not is_plain, column.unit == "px")
        best[column.name] = min(best.get(column.name, (rank, index)), (rank, index))
    taken = set(best)
    numbers: dict[str, int] = {}  # The last one behind a name, so that many equals take no time.
    names = []
    for index, column in enumerate(found):
        if best[column.name][1] == index:
            names.append(column)
            continue
        own = _cleaned(column.source) or "column"
        if column.unit == "px" and not own.endswith(PIXEL_ENDS):
            own = f"{column.name}_px"
        name = own
        while name in taken:
            numbers[own] = numbers.get(own, 1) + 1
            name = f"{own}_{numbers[own]}"
        taken.add(name)
        names.append(ColumnName(name, column.unit, column.source))
    return names


def header_key(source: str) -> str:
    """Return a source name as vendors' names are compared: no case, no blanks, no quotes."""
    return re.sub(r"\s+", "", source.replace('"', "")).lower()


def _known(source: str, known: Mapping[str, tuple[str, str]]) -> ColumnName | None:
    if (entry := known.get(header_key(source))) is None:
        return None
    name, unit = entry
    return ColumnName(name, unit or canonical_name(source).unit, source)


def is_length(unit: str) -> bool:
    """Say whether a unit is a length or an area that can be brought to nm or nm^2."""
    base = unit.partition("^")[0]
    return base in NANOMETRES or base == "px"


def in_nanometres(
    values: npt.NDArray[Any], unit: str, *, pixel_size_nm: float | None, what: str
) -> tuple[npt.NDArray[Any], str]:
    """Bring a length (or area) to nm; other units are left alone.

    Args:
        values: Shape (n,), in `unit`.
        unit: As `normal_unit` spells it.
        pixel_size_nm: Camera pixel in nm, needed for "px".
        what: File and column, for the message.

    Returns:
        The values and their unit; floating values keep their dtype, integers become float64.

    Raises:
        UnitError: The unit is pixels and the pixel size is not known or not positive.
    """
    base, caret, power = unit.partition("^")
    if not is_length(unit) or power not in ("", "2"):
        return values, unit
    scale = _pixel_size(pixel_size_nm, what) if base == "px" else NANOMETRES[base]
    if scale == 1.0:
        return values, unit
    scale = scale**2 if power else scale
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # Infinities and NaN are data.
        return np.multiply(values, scale, dtype=dtype), "nm" + caret + power


def _pixel_size(pixel_size_nm: float | None, what: str) -> float:
    if pixel_size_nm is None:
        raise UnitError(
            f"{what} is in camera pixels: give the pixel size in nm"
            " (pixel_size_nm=, or --pixel-size on the command line)"
        )
    if not (np.isfinite(pixel_size_nm) and pixel_size_nm > 0):
        raise UnitError(f"{what}: pixel_size_nm must be a positive number, got {pixel_size_nm}")
    return float(pixel_size_nm)


def _cleaned(source: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", source.strip().strip('"').lower()).strip("_")


def _without_unit(key: str) -> tuple[str, str]:
    if joined := _JOINED.match(key):
        return joined["name"], normal_unit(joined["unit"])
    base, underscore, last = key.rpartition("_")
    if underscore and last in NAME_UNITS:
        return base, normal_unit(last)
    return key, ""
