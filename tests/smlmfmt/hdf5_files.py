"""HDF5 files as the programs of the field write them, and as nobody should."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Build = Callable[[Any], object]
LOCS_DTYPE = [
    ("frame", "u4"), ("x", "f4"), ("y", "f4"), ("photons", "f4"), ("sx", "f4"), ("sy", "f4"),
    ("bg", "f4"), ("lpx", "f4"), ("lpy", "f4"),
]  # fmt: skip


def build(fill: Build, **options: Any) -> bytes:
    """Return the bytes of a file that `fill` fills."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        fill(file)
    return buffer.getvalue()


def locs(rows: int = 20, dtype: Any = LOCS_DTYPE) -> npt.NDArray[Any]:
    """Return rows of numbers between 0 and 30, a whole one in `frame`."""
    random = np.random.default_rng(0)
    values = np.zeros(rows, dtype)
    for name in values.dtype.names or ():
        values[name] = random.random(rows) * 30
    return values


def picasso(rows: int = 20, notes: str = '[{"Pixelsize": 130}]', **options: Any) -> bytes:
    def fill(file: Any) -> None:
        file.create_dataset("locs", data=locs(rows), **options)
        if notes:
            file["metadata"] = notes

    return build(fill)


def decode(rows: int = 20, *, unit: str = "px", size: Any = (100.0, 110.0), **data: Any) -> bytes:
    """Return what DECODE's save_h5 writes: what it does not know is declared empty."""
    random = np.random.default_rng(1)
    values: dict[str, Any] = {
        "xyz": random.random((rows, 3)).astype("f4"),
        "xyz_sig": h5py.Empty("f"),
        "xyz_cr": h5py.Empty("f"),
        "phot": random.random(rows).astype("f4"),
        "phot_cr": h5py.Empty("f"),
        "phot_sig": h5py.Empty("f"),
        "frame_ix": np.arange(rows),
        "id": np.full(rows, -1),
        "prob": random.random(rows).astype("f4"),
        "bg": random.random(rows).astype("f4"),
        "bg_cr": h5py.Empty("f"),
        "bg_sig": h5py.Empty("f"),
    } | data

    def fill(file: Any) -> None:
        meta = file.create_group("meta")
        meta.attrs["xy_unit"] = unit
        if size is not None:
            meta.attrs["px_size"] = np.array(size)
        file.create_group("decode").attrs["version"] = "0.10.0"
        group = file.create_group("data")
        for name, value in values.items():
            if value is not None:
                group.create_dataset(name, data=value)

    return build(fill)


def smap(rows: int = 200, **fields: Any) -> bytes:
    """Return what MATLAB writes of SMAP's saveloc: rows of shape (1, n) behind a user block."""
    random = np.random.default_rng(2)
    values: dict[str, Any] = {
        "xnm": random.random((1, rows)).astype("f4") * 1000,
        "ynm": random.random((1, rows)) * 1000,
        "frame": np.arange(1, rows + 1, dtype="f8")[None],
        "phot": random.random((1, rows)).astype("f4"),
        "filenumber": np.ones((1, rows), "f4"),
    } | fields

    def fill(file: Any) -> None:
        group = file.create_group("saveloc/loc")
        for name, value in values.items():
            packing = {"compression": "gzip", "shuffle": True, "chunks": (1, 64)}
            array = np.asarray(value)
            is_packed = array.ndim == 2 and array.shape[0] == 1 and array.size > 64
            group.create_dataset(name, data=array, **(packing if is_packed else {}))
        empty = group.create_dataset("nothing", data=np.array([0, 0], "u8"))
        empty.attrs["MATLAB_empty"] = np.uint8(1)
        file["saveloc/file/name"] = np.frombuffer(b"a.tif", np.uint8).astype("u2")[None]

    data = bytearray(build(fill, userblock_size=512))
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 ."
    data[: len(header)] = header
    return bytes(data)


def pyme_fits(rows: int = 50) -> bytes:
    """Return what PYME's analysis writes: nested fits, compressed by PyTables."""
    inner = [("A", "f4"), ("x0", "f4"), ("y0", "f4"), ("sigma", "f4"), ("background", "f4")]
    dtype = [("tIndex", "<i4"), ("fitResults", inner), ("fitError", inner), ("resultCode", "<i4"),
             ("slicesUsed", [("x", [("start", "<i4"), ("stop", "<i4")])])]  # fmt: skip
    values = np.zeros(rows, dtype)
    random = np.random.default_rng(3)
    for group in ("fitResults", "fitError"):
        for name, _ in inner:
            values[group][name] = random.random(rows)
    values["tIndex"] = np.arange(rows)

    def fill(file: Any) -> None:
        file.create_dataset("FitResults", data=values, compression="gzip", shuffle=True, chunks=16)
        file.create_group("MetaData").attrs["CLASS"] = np.bytes_("GROUP")

    return build(fill)


def endless() -> bytes:
    """Return a file on whose global heap libhdf5 never comes to an end.

    Walking a heap of variable-length strings, it steps by each object's size; here the last one,
    which stands for the free space, has none.
    """
    data = bytearray(picasso())
    heap = data.index(b"GCOL")
    at = heap + 16
    while int.from_bytes(data[at : at + 2], "little"):
        at += 16 + -(-int.from_bytes(data[at + 8 : at + 16], "little") // 8) * 8
    data[at + 8 : at + 16] = bytes(8)
    return bytes(data)
