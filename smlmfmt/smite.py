"""Localizations of smite (MATLAB): a struct `SMD` in a .mat file of level 5.

Source: LidkeLab/smite, @SingleMoleculeData/SingleMoleculeData.m and its documentation
(smd-structure); JuliaSMLM/SMLMData.jl 69adc15, src/io/smite/loading.jl.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt import matlab
from smlmfmt.columns import in_nanometres
from smlmfmt.documents import plain
from smlmfmt.errors import FormatError, HeaderError, RowError, UnitError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.table import Bundle, LocTable

__all__ = ["FORMAT", "read_smite"]

VARIABLE = "SMD"
# Our name and the file's unit for each field that is a column.
_FIELDS = {
    "X": ("x", "px"), "Y": ("y", "px"), "Z": ("z", "um"),
    "X_SE": ("x_precision", "px"), "Y_SE": ("y_precision", "px"), "Z_SE": ("z_precision", "um"),
    "Photons": ("intensity", "photon"), "Photons_SE": ("intensity_precision", "photon"),
    "Bg": ("background", "photon"), "Bg_SE": ("background_precision", "photon"),
    "PSFSigma": ("sigma", "px"), "PSFSigmaX": ("sigma_x", "px"), "PSFSigmaY": ("sigma_y", "px"),
    "PSFSigma_SE": ("sigma_precision", "px"), "PSFSigmaX_SE": ("sigma_x_precision", "px"),
    "PSFSigmaY_SE": ("sigma_y_precision", "px"), "FrameNum": ("frame", ""),
    "DatasetNum": ("dataset", ""), "ConnectID": ("connect_id", ""),
    "XBoxCorner": ("x_box_corner", ""), "YBoxCorner": ("y_box_corner", ""),
    "PValue": ("p_value", ""), "LogLikelihood": ("log_likelihood", ""),
    "ThreshFlag": ("thresh_flag", ""), "NCombined": ("n_combined", ""),
}  # fmt: skip

Array = npt.NDArray[Any]


def read_smite(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the localizations of an SMD struct.

    Raises:
        ArchiveError: The file is damaged.
        HeaderError: There is no SMD struct, or it has no X, Y and FrameNum.
        RowError: Fields have different lengths.
        UnitError: The file does not know its pixel size, and the caller does not give it.
    """
    smd = matlab.read_mat(file, name=options.name, variables=(VARIABLE,)).get(VARIABLE)
    if not isinstance(smd, dict):
        raise HeaderError(f"{options.name}: no variable {VARIABLE!r} that is a single struct")
    found = _columns(smd, options.name)
    if not {"X", "Y", "FrameNum"} <= found.keys():
        raise HeaderError(f"{options.name}: {VARIABLE} must have X, Y and FrameNum of each row")
    columns: dict[str, Array] = {}
    units: dict[str, str] = {}
    for source, values in found.items():
        name, unit = _FIELDS[source]
        columns[name], units[name] = in_nanometres(
            values,
            unit,
            pixel_size_nm=_pixel_size(smd, options),
            what=f"{options.name}: {VARIABLE}.{source}",
        )
    table = LocTable(
        columns,
        units,
        name=options.name,
        frame_origin=1,
        source_names={_FIELDS[source][0]: source for source in found},
        metadata=plain(
            {key: value for key, value in smd.items() if key not in found}, name=options.name
        ),
        format="smite",
    )
    return Bundle(tables=(table,), format="smite")


def _columns(smd: dict[str, matlab.MatValue], name: str) -> dict[str, Array]:
    """Return the fields with a value for each row; empty ones were never fitted."""
    found = {}
    position = smd.get("X")
    count = position.size if isinstance(position, np.ndarray) else 0
    for source in _FIELDS:
        values = smd.get(source)
        if not isinstance(values, np.ndarray) or not (values.size or source in ("X", "Y")):
            continue
        if values.size != count:
            if source in ("X", "Y", "FrameNum"):
                raise RowError(f"{name}: {source} has {values.size} values, but X {count}")
            continue
        if values.dtype.kind == "c":
            # Standard errors of failed fits are roots of negative numbers.
            values = np.where(values.imag == 0, values.real, np.nan)
        found[source] = values.reshape(-1, order="F")
    if not count and "X" in found and "Y" in found:
        found.setdefault("FrameNum", np.empty(0))
    return found


def _pixel_size(smd: dict[str, matlab.MatValue], options: ReadOptions) -> float | None:
    """Return the pixel size in nm: the caller's, else the file's, which is in um."""
    if options.pixel_size_nm is not None:
        return options.pixel_size_nm
    value = smd.get("PixelSize")
    if not isinstance(value, np.ndarray) or value.size != 1 or value.dtype.kind not in "iuf":
        return None
    size = float(value.reshape(-1)[0])
    if not (np.isfinite(size) and size > 0):
        raise UnitError(f"{options.name}: {VARIABLE}.PixelSize is {size}; give pixel_size_nm")
    return size * 1e3


def _is_smite(head: bytes, file: BinaryIO) -> bool:
    if not matlab.is_mat(head):
        return False
    try:
        return VARIABLE in matlab.variable_names(file, name="file")
    except FormatError:
        return False


FORMAT = Format(
    info=FormatInfo(
        name="smite",
        title="smite localizations (SMD in mat)",
        suffixes=(".mat",),
        reads=True,
        writes=False,
    ),
    media_type="application/octet-stream",
    sniff=_is_smite,
    read=read_smite,
)
