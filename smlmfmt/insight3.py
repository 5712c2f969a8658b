"""Molecule lists of Insight3 and storm-analysis (.bin): 72 bytes for each localization.

Source: ZhuangLab/storm-analysis 021fee5, sa_library/i3dtype.py and readinsight3.py.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt.columns import in_nanometres
from smlmfmt.errors import ArchiveError, RowError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.table import Bundle, LocTable

__all__ = ["FORMAT", "read_insight3"]

METADATA_SIZE_MAX = 1 << 20
BLOCK_ROWS = 65_536

CORRECTED, RAW = "drift-corrected", "raw"

_HEADER = struct.Struct("<4s3i")
_MAGIC = b"M425"
_CLOSED = 6
_FLOATS = ("x", "y", "xc", "yc", "h", "a", "w", "phi", "ax", "bg", "i")
_WHOLES = ("c", "fi", "fr", "tl", "lk")
_ROW = np.dtype([*((name, "<f4") for name in _FLOATS), *((name, "<i4") for name in _WHOLES),
                 ("z", "<f4"), ("zc", "<f4")])  # fmt: skip
_NAMES = {"h": "height", "a": "intensity", "w": "sigma", "bg": "background", "c": "category",
          "fi": "iterations", "fr": "frame", "tl": "track_length", "lk": "link"}  # fmt: skip
_UNITS = {"x": "px", "y": "px", "xc": "px", "yc": "px", "z": "nm", "zc": "nm", "w": "nm",
          "a": "digital", "bg": "digital", "h": "digital"}  # fmt: skip
_POSITIONS = {
    CORRECTED: {"xc": "x", "yc": "y", "zc": "z", "x": "x_original", "y": "y_original",
                "z": "z_original"},
    RAW: {"xc": "x_corrected", "yc": "y_corrected", "zc": "z_corrected"},
}  # fmt: skip


def read_insight3(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return a molecule list, positions drift-corrected or (variant "raw") as fitted.

    Positions in the file are camera pixels, counted from 1 at the centre of the first one; z is
    in nm. The width is twice the standard deviation and becomes `sigma`.

    Raises:
        ArchiveError: The file is no molecule list, or its writer did not close it.
        RowError: There are fewer molecules than it says.
        UnitError: The caller does not give the pixel size.
    """
    variant = options.variant or CORRECTED
    count, notes = _header(file, options.name)
    rows = _rows(file, count, options.name)
    names = _NAMES | _POSITIONS[variant]
    columns: dict[str, npt.NDArray[Any]] = {}
    units: dict[str, str] = {}
    for source in _FLOATS + _WHOLES + ("z", "zc"):
        values = np.ascontiguousarray(rows[source])
        name = names.get(source, source)
        columns[name], units[name] = in_nanometres(
            values / np.float32(2) if source == "w" else values,
            _UNITS.get(source, ""),
            pixel_size_nm=options.pixel_size_nm,
            what=f"{options.name}: column {source!r}",
        )
    table = LocTable(
        columns,
        units,
        name=options.name,
        frame_origin=1,
        source_names={names.get(source, source): source for source in _ROW.names or ()},
        metadata=notes | _settings(file) | {"variant": variant},
        format="insight3",
    )
    return Bundle(tables=(table,), format="insight3")


def _header(file: BinaryIO, name: str) -> tuple[int, dict[str, Any]]:
    """Return the number of molecules and other facts; leave the file where the rows begin."""
    file.seek(0)
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or not head.startswith(_MAGIC):
        raise ArchiveError(f"{name}: no Insight3 molecule list")
    _, frames, status, count = _HEADER.unpack(head)
    if status != _CLOSED:
        raise ArchiveError(
            f"{name}: its status is {status}, not {_CLOSED}: the program that wrote it was"
            " interrupted; run its analysis again"
        )
    size = file.seek(0, 2)
    file.seek(_HEADER.size)
    there = (size - _HEADER.size) // _ROW.itemsize
    if not 0 <= count <= there:
        raise RowError(f"{name}: says it has {count} molecules, there is room for {there}")
    return count, {"frames": frames}


def _rows(file: BinaryIO, count: int, name: str) -> npt.NDArray[Any]:
    rows = np.empty(count, _ROW)
    for start in range(0, count, BLOCK_ROWS):
        end = min(count, start + BLOCK_ROWS)
        data = file.read((end - start) * _ROW.itemsize)
        if len(data) < (end - start) * _ROW.itemsize:
            raise RowError(f"{name}: the file ended while it was read")
        rows[start:end] = np.frombuffer(data, _ROW)
    return rows


def _settings(file: BinaryIO) -> dict[str, str]:
    """Return the XML that storm-analysis puts behind the rows (Insight3: lists by frame)."""
    text = file.read(METADATA_SIZE_MAX)[4:]
    return {"settings": text.decode("utf-8", "replace")} if text.startswith(b"<?xml") else {}


def _is_insight3(head: bytes, _file: BinaryIO) -> bool:
    return head.startswith(_MAGIC) and len(head) >= _HEADER.size


FORMAT = Format(
    info=FormatInfo(
        name="insight3",
        title="Insight3 molecule list (bin)",
        suffixes=(".bin",),
        reads=True,
        writes=False,
        variants=(CORRECTED, RAW),
    ),
    media_type="application/octet-stream",
    sniff=_is_insight3,
    read=read_insight3,
)
