"""DECODE's emitter sets: positions in pixels or nm, with x and y swapped against the image.

A file holds the groups data (one dataset for each quantity, x, y and z together), meta (unit and
pixel size) and decode (its version). What DECODE did not compute is declared empty. Frames count
from 0. DECODE's x runs down the image, so that our x is its y, as in SMAP.

Source: TuragaLab/DECODE decode/utils/emitter_io.py save_h5, load_h5; decode/generic/emitter.py
(what ends in cr are Cramer-Rao variances); jries/SMAP shared/myfunctions/decodeh5ToLoc.m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy.typing as npt

from smlmfmt.columnar import table_of_columns
from smlmfmt.columns import in_nanometres
from smlmfmt.decode_write import AXES, EXTRA_GROUP, POSITIONS, write_decode
from smlmfmt.errors import HeaderError, UnitError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.hdf5 import Dataset, Hdf5File, sniff
from smlmfmt.table import Bundle

__all__ = ["FORMAT", "read_decode"]

XYZ = "/data/xyz"
CHANNEL_COUNT_MAX = 64
NAMES = {"phot": "intensity", "bg": "background", "frame_ix": "frame"}
UNITS = dict.fromkeys(("phot", "phot_sig", "bg", "bg_sig"), "photon")


@dataclass(slots=True)
class _Columns:
    """Columns under the file's names, with our names and units for them."""

    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def add(self, source: str, values: npt.NDArray[Any], *, name: str, unit: str) -> None:
        self.arrays[source], self.names[source], self.units[source] = values, name, unit


def read_decode(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the table of a DECODE emitter set.

    A quantity of several channels becomes a column for each: intensity_0, intensity_1.

    Raises:
        ArchiveError: The HDF5 file is damaged.
        HeaderError: There is no dataset data/xyz of three columns.
        UnitError: Positions are in pixels of unknown size, or in an unknown unit.
    """
    opened = Hdf5File(file, name=options.name)
    xyz = opened.dataset(XYZ)
    if xyz is None or not _is_positions(xyz):
        raise HeaderError(f"{options.name}: no dataset data/xyz of numbers of shape (n, 3)")
    assert xyz.shape is not None
    meta, version = opened.attributes("/meta"), opened.attributes("/decode")
    scale = _scale(meta, options)
    columns, warnings = _Columns(), []
    datasets = [dataset for dataset in opened.datasets("/data") if dataset.shape is not None]
    # Positions come first, whatever the alphabet says.
    for dataset in sorted(datasets, key=lambda dataset: dataset.path != XYZ):
        if _is_by_row(dataset, xyz.shape[0]):
            _add(columns, dataset, opened.read(dataset)[""], scale=scale)
        else:
            warnings.append(f"{options.name}: {dataset.path}: no row per emitter; left out")
    _add_extras(columns, opened, xyz.shape[0])
    table = table_of_columns(
        columns.arrays,
        options=options,
        format_name="decode",
        units=columns.units,
        names=columns.names,
        frame_origin=0,
        metadata={"meta": meta, "decode": version, **_noted_pixel_size(meta, options)},
    )
    manifest = {"meta": meta, "decode": version}
    return Bundle(tables=(table,), manifest=manifest, format="decode", warnings=tuple(warnings))


def _is_positions(dataset: Dataset) -> bool:
    shape = dataset.shape
    return dataset.names == ("",) and shape is not None and len(shape) == 2 and shape[1] == 3


def _is_by_row(dataset: Dataset, rows: int) -> bool:
    """Say whether a dataset has one number, or a few, for each of so many rows."""
    shape = dataset.shape or ()
    is_flat = len(shape) == 1 or (len(shape) == 2 and 0 < shape[1] <= CHANNEL_COUNT_MAX)
    return dataset.names == ("",) and is_flat and shape[0] == rows


def _add(
    columns: _Columns, dataset: Dataset, values: npt.NDArray[Any], *, scale: tuple[float, float]
) -> None:
    quantity = dataset.path.rpartition("/")[2]
    if quantity in POSITIONS and values.ndim == 2 and values.shape[1] == 3:
        names, power = POSITIONS[quantity]
        for name, index, size in zip(names, AXES, (*scale, 1.0), strict=True):
            part, unit = values[:, index].copy(), "nm" if power == 1 else "nm^2"
            if size != 1.0:
                pixels = unit.replace("nm", "px")
                part, unit = in_nanometres(part, pixels, pixel_size_nm=size, what=dataset.path)
            columns.add(f"{quantity}[:, {index}]", part, name=name, unit=unit)
        return
    name, unit = NAMES.get(quantity, quantity), UNITS.get(quantity, "")
    if values.ndim == 1:
        columns.add(quantity, values, name=name, unit=unit)
        return
    for index in range(values.shape[1]):
        part = values[:, index].copy()
        columns.add(f"{quantity}[:, {index}]", part, name=f"{name}_{index}", unit=unit)


def _add_extras(columns: _Columns, opened: Hdf5File, rows: int) -> None:
    """Add the columns for which DECODE has no place; other programs do not see them."""
    for dataset in opened.datasets(EXTRA_GROUP):
        about = opened.attributes(dataset.path)
        name, unit = about.get("name"), about.get("unit", "")
        if isinstance(name, str) and dataset.names == ("",) and dataset.shape == (rows,):
            columns.add(dataset.path, opened.read(dataset)[""], name=name, unit=str(unit))


def _scale(meta: dict[str, Any], options: ReadOptions) -> tuple[float, float]:
    """Return nm per unit of our x and of our y."""
    unit = meta.get("xy_unit")
    if unit == "nm":
        return 1.0, 1.0
    if unit not in (None, "px"):
        raise UnitError(f"{options.name}: meta: xy_unit must be 'px' or 'nm', got {unit!r}")
    if options.pixel_size_nm is not None:
        return options.pixel_size_nm, options.pixel_size_nm
    sizes = _sizes(meta)
    if sizes is None:
        raise UnitError(
            f"{options.name}: positions are in camera pixels and meta has no px_size: give the"
            " pixel size in nm (pixel_size_nm=, or --pixel-size on the command line)"
        )
    return sizes[1], sizes[0]


def _sizes(meta: dict[str, Any]) -> tuple[float, float] | None:
    """Return the pixel size in nm along DECODE's own axes."""
    sizes = meta.get("px_size")
    if not isinstance(sizes, list) or len(sizes) != 2:
        return None
    if not all(isinstance(size, int | float) and size > 0 for size in sizes):
        return None
    return (float(sizes[0]), float(sizes[1])) if all(map(math.isfinite, sizes)) else None


def _noted_pixel_size(meta: dict[str, Any], options: ReadOptions) -> dict[str, float]:
    """Return what a writer may take as the size of a pixel: one that is as wide as high."""
    if options.pixel_size_nm is not None:
        return {"pixel_size_nm": options.pixel_size_nm}
    sizes = _sizes(meta)
    return {"pixel_size_nm": sizes[0]} if sizes is not None and sizes[0] == sizes[1] else {}


def _is_decode(opened: Hdf5File) -> bool:
    xyz = opened.dataset(XYZ)
    return xyz is not None and _is_positions(xyz) and opened.dataset("/data/frame_ix") is not None


def _sniff(head: bytes, file: BinaryIO) -> bool:
    return sniff(head, file, is_it=_is_decode, marks=(b"xyz", b"frame_ix"))


FORMAT = Format(
    info=FormatInfo(
        name="decode",
        title="DECODE emitters (HDF5)",
        suffixes=(".h5",),
        reads=True,
        writes=True,
    ),
    media_type="application/x-hdf5",
    sniff=_sniff,
    read=read_decode,
    write=write_decode,
)
