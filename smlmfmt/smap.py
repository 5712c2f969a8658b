"""SMAP's localizations: a MATLAB file of version 7.3, which is HDF5 behind 512 bytes of text.

Each field of the struct saveloc.loc is a dataset of shape (1, n), in nm; frames count from 1.
Older files have the same struct in MATLAB's own older format.

Source: jries/SMAP load_smlV3.m, saveloc in export_coordinates.m and the fitters' field names.
"""

from __future__ import annotations

import math
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt import matlab
from smlmfmt.columnar import table_of_columns
from smlmfmt.errors import FormatError, HeaderError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.hdf5 import Dataset, Hdf5File, sniff
from smlmfmt.table import Bundle

__all__ = ["FORMAT", "read_smap"]

SAVELOC = "saveloc"
LOC = "/saveloc/loc"
XNM = "/saveloc/loc/xnm"
# Focus errs by the mismatch of refractive indices; old files hold the uncorrected z in um.
REFRACTIVE_MISMATCH = 1.25
NAMES = {
    "xnmerr": "x_precision",
    "ynmerr": "y_precision",
    "znmerr": "z_precision",
    "xerrnm": "x_precision",
    "yerrnm": "y_precision",
    "zerrnm": "z_precision",
    "locprecxnm": "x_precision",
    "locprecynm": "y_precision",
    "PSFxnm": "sigma_x",
    "PSFynm": "sigma_y",
    "xpix": "x_pixels",
    "ypix": "y_pixels",
    "PSFxpix": "sigma_x_pixels",
    "PSFypix": "sigma_y_pixels",
}
UNITS = {name: "nm" for name in NAMES if not name.endswith("pix")} | {
    "phot": "photon",
    "bg": "photon",
}


def read_smap(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the table of a SMAP file.

    Fields that are empty or have another length are left out and named in the warnings. The `z` of
    old files, in um and uncorrected, becomes z in nm as SMAP itself does it. Columns in pixels are
    left so without a pixel size: the same positions are there in nm.

    Raises:
        ArchiveError: The file is damaged.
        HeaderError: There is no field xnm of shape (1, n).
    """
    file.seek(0)
    is_old = matlab.is_mat(file.read(matlab.HEADER_SIZE))
    columns, left_out = (_of_level_5 if is_old else _of_hdf5)(file, options)
    units = UNITS | {name: "px" for name in columns if name.endswith("pix")}
    names = {name: own for name, own in NAMES.items() if name in columns}
    if "z" in columns:
        columns["z"] = columns["z"] * np.float32(1000 / REFRACTIVE_MISMATCH)
        columns.pop("znm", None)
        units["z"] = "nm"
    table = table_of_columns(
        columns,
        options=options,
        format_name="smap",
        units=units,
        names=names,
        pixel_size_nm=options.pixel_size_nm,
        keeps_pixels=True,
        frame_origin=1,
        metadata={"left_out": left_out} if left_out else {},
    )
    warnings = [f"{options.name}: fields without a value for each row: {', '.join(left_out)}"]
    return Bundle(tables=(table,), format="smap", warnings=tuple(warnings if left_out else ()))


def _of_hdf5(file: BinaryIO, options: ReadOptions) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
    """Return the fields with a value for each row, and the names of the others."""
    opened = Hdf5File(file, name=options.name)
    xnm = opened.dataset(XNM)
    rows = None if xnm is None else _rows(xnm)
    if rows is None:
        raise HeaderError(f"{options.name}: no field saveloc.loc.xnm of one row")
    columns: dict[str, npt.NDArray[Any]] = {}
    left_out = []
    for dataset in opened.datasets(LOC):
        name = dataset.path.rpartition("/")[2]
        if _is_empty(opened, dataset) or _rows(dataset) != rows:
            left_out.append(name)
        else:
            columns[name] = opened.read(dataset)[""].reshape(-1)
    return columns, left_out


def _of_level_5(
    file: BinaryIO, options: ReadOptions
) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
    saveloc = matlab.read_mat(file, name=options.name, variables=(SAVELOC,)).get(SAVELOC)
    fields = saveloc.get("loc") if isinstance(saveloc, dict) else None
    xnm = fields.get("xnm") if isinstance(fields, dict) else None
    if not isinstance(fields, dict) or not isinstance(xnm, np.ndarray):
        raise HeaderError(f"{options.name}: no field saveloc.loc.xnm of numbers")
    columns = {
        name: values.reshape(-1)
        for name, values in fields.items()
        if isinstance(values, np.ndarray)
        and values.shape in ((xnm.size, 1), (1, xnm.size), xnm.shape)
        and values.dtype.kind != "c"
    }
    return columns, [name for name in fields if name not in columns]


def _rows(dataset: Dataset) -> int | None:
    """Return the number of values of a vector, None for anything else."""
    shape = dataset.shape
    if dataset.names != ("",) or shape is None or len(shape) not in (1, 2):
        return None
    # MATLAB's (n, 1) is (1, n) in HDF5; an empty array has 0 in either place.
    return math.prod(shape) if len(shape) == 1 or min(shape) <= 1 else None


def _is_empty(opened: Hdf5File, dataset: Dataset) -> bool:
    """Say whether the values are the shape of an empty array instead, as MATLAB writes it."""
    return bool(opened.attributes(dataset.path).get("MATLAB_empty"))


def _is_smap(opened: Hdf5File) -> bool:
    xnm = opened.dataset(XNM)
    return xnm is not None and _rows(xnm) is not None


def _sniff(head: bytes, file: BinaryIO) -> bool:
    if matlab.is_mat(head):
        try:
            return SAVELOC in matlab.variable_names(file, name="file")
        except FormatError:
            return False
    return sniff(head, file, is_it=_is_smap, marks=(b"saveloc",))


FORMAT = Format(
    info=FormatInfo(
        name="smap",
        title="SMAP localizations (MATLAB 7.3 and older)",
        suffixes=(".mat",),
        reads=True,
        writes=False,
    ),
    media_type="application/x-matlab-data",
    sniff=_sniff,
    read=read_smap,
)
