"""MINFLUX recordings as Abberior's Imspector exports them: .npy, a ZIP of one, .mat and .json.

Source: bsse-scf/pyMINFLUX 00cd28a, reader/_reader.py, reader/_reader_v2.py (what the files
hold); jkfindeisen/minflux-analysis README (the .mat of Ostersehlt et al. 2022).
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt import matlab, npy
from smlmfmt.columns import canonical_names
from smlmfmt.documents import plain
from smlmfmt.errors import FormatError, HeaderError, RowError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.minflux.load import (
    fields_of_mat,
    from_json,
    from_mat,
    from_npy,
    from_zip,
    only_npy,
)
from smlmfmt.minflux.recording import ALL, LAST, MEASURED_CFR, Recording, select
from smlmfmt.smlm.archive import Archive
from smlmfmt.table import Bundle, LocTable

__all__ = ["FORMAT", "read_minflux", "table_of_fields", "z_warning"]

VECTOR_SIZE_MAX = 64
# Fields in metres: positions, and how far the beams were deflected.
_METRES = frozenset(
    ("loc", "lnc", "ext", "gvx", "gvy", "eox", "eoy", "dmz", "lcx", "lcy", "lcz")
)  # fmt: skip
_UNITS = {"tim": "s", "efo": "Hz", "efc": "Hz", "fbg": "Hz", "eco": "photon", "ecc": "photon"}
_AXES = ("x", "y", "z")
# Vectors whose elements have names of their own; lnc is loc before the correction for drift.
_VECTORS = {"loc": _AXES, "lnc": ("x_original", "y_original", "z_original")}

# The .mat of Ostersehlt et al. 2022: a struct, lengths in nm, its `id` that of the trace.
_STRUCT = "minflux"
_STRUCT_NAMES = {"pos": "loc", "id": "tid", "t": "tim"}
_STRUCT_UNITS = {"pos": "nm", "rpos": "nm", "t": "s", "dt": "s"}

_JSON_HEAD = re.compile(rb'\A(?:\xef\xbb\xbf)?\s*\[\s*\{\s*"')

Array = npt.NDArray[Any]


def read_minflux(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the positions of a MINFLUX recording: the last valid iteration of each, or others.

    Positions are in nm, those of a trace have the same `tid`. z is as the microscope measured
    it: it is not corrected for the mismatch of refractive indices.

    Raises:
        FormatError: The file is damaged or no recording, or has no such iteration.
    """
    variant = options.variant or LAST
    file.seek(0)
    head = file.read(npy.HEADER_SIZE_MAX)
    file.seek(0)
    if matlab.is_mat(head) and _STRUCT in matlab.variable_names(file, name=options.name):
        return _struct_bundle(file, options, variant)
    recording = _recording(file, head, options.name)
    selection = select(recording, variant, name=options.name)
    units = dict(_UNITS)
    fields = dict(selection.fields)
    for key in _METRES & fields.keys():
        if fields[key].dtype.kind == "f":
            dtype = np.promote_types(fields[key].dtype, np.float32)
            with np.errstate(over="ignore"):  # Damage may be beyond all numbers.
                fields[key] = np.multiply(fields[key], 1e9, dtype=dtype)
            units[key] = "nm"
    notes = selection.notes | {"variant": variant}
    sources = {MEASURED_CFR: "cfr"}
    table = table_of_fields(fields, units, options=options, notes=notes, sources=sources)
    warnings = (*selection.warnings, *z_warning(table))
    return Bundle(tables=(table,), format="minflux", warnings=warnings)


def table_of_fields(
    fields: dict[str, Array],
    units: dict[str, str],
    *,
    options: ReadOptions,
    notes: dict[str, Any],
    sources: dict[str, str],
) -> LocTable:
    """Return a table of fields of shape (n,) or (n, m); vectors become a column per element.

    Args:
        fields: Arrays by the field's name, lengths in nm.
        units: Unit by field.
        options: The file's name.
        notes: The table's metadata.
        sources: What the file calls a field, where it is called otherwise here.
    """
    labels: list[str] = []
    origins: list[str] = []
    columns: list[Array] = []
    for key, values in fields.items():
        for label, column in _elements(key, values, options.name):
            labels.append(label)
            origins.append(key)
            columns.append(column)
    names = [column.name for column in canonical_names(labels)]
    named = dict(zip(names, origins, strict=True))
    return LocTable(
        dict(zip(names, columns, strict=True)),
        {name: units.get(origin, "") for name, origin in named.items()},
        name=options.name,
        source_names={name: sources.get(origin, origin) for name, origin in named.items()},
        metadata=notes,
        format="minflux",
    )


def z_warning(table: LocTable) -> list[str]:
    """Return what to say of z, if there is depth in it."""
    if "z" not in table or not len(table) or not np.ptp(table["z"]) > 0:
        return []
    text = "z is as measured, not corrected for the mismatch of refractive indices"
    return [f"{table.name}: {text}; 3D MINFLUX data are usually scaled by about 0.7"]


def _elements(key: str, values: Array, name: str) -> list[tuple[str, Array]]:
    if values.ndim == 1:
        return [(key, values)]
    flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
    count = flat.shape[1]
    if count > VECTOR_SIZE_MAX:
        raise RowError(f"{name}: {key} has {count} values in a row, at most {VECTOR_SIZE_MAX}")
    labels = list(_VECTORS.get(key, ()))[:count]
    if key == "dcr":
        labels = [key]  # The ratio of the first detector; the second has what is left of 1.
    elif not labels and count <= len(_AXES):
        labels = [f"{key}_{axis}" for axis in _AXES[:count]]
    labels += [f"{key}_{index}" for index in range(len(labels), count)]
    return [(label, flat[:, index]) for index, label in enumerate(labels)]


def _recording(file: BinaryIO, head: bytes, name: str) -> Recording:
    if matlab.is_mat(head):
        return from_mat(file, name=name)
    if head.startswith(b"PK"):
        return from_zip(file, name=name)
    if head.startswith(npy.MAGIC):
        return from_npy(file.read(), name=name)
    return from_json(file, name=name)


def _struct_bundle(file: BinaryIO, options: ReadOptions, variant: str) -> Bundle:
    if variant not in (LAST, ALL):
        raise FormatError(f"{options.name}: holds final positions only, no iteration {variant}")
    struct = matlab.read_mat(file, name=options.name, variables=(_STRUCT,))[_STRUCT]
    if not isinstance(struct, dict):
        raise HeaderError(f"{options.name}: variable {_STRUCT!r} must be a struct")
    found = fields_of_mat(struct)
    position = found.get("pos")
    if position is None or position.ndim != 2 or position.shape[1] not in (2, 3):
        raise HeaderError(f"{options.name}: {_STRUCT}.pos must have two or three columns")
    count = len(position)
    fields, units, sources = {}, {}, {}
    for key, values in found.items():
        name = _STRUCT_NAMES.get(key, key)
        if values.shape[0] == count:
            fields[name] = values[:, 0] if values.shape[1:] == (1,) else values
            units[name] = _STRUCT_UNITS.get(key, _UNITS.get(key, ""))
            sources[name] = key
    notes = plain({"meta": struct.get("meta")}, name=options.name)
    assert isinstance(notes, dict)
    table = table_of_fields(fields, units, options=options, notes=notes, sources=sources)
    return Bundle(tables=(table,), format="minflux", warnings=tuple(z_warning(table)))


def _is_minflux(head: bytes, file: BinaryIO) -> bool:
    try:
        if head.startswith(npy.MAGIC):
            return _is_recording(npy.parse_npy_header(head, name="file"))
        if head.startswith(b"PK"):
            return _is_zip(file)
        if matlab.is_mat(head):
            names = set(matlab.variable_names(file, name="file"))
            return _STRUCT in names or {"itr", "vld", "tid"} <= names
    except FormatError:
        return False
    found = _JSON_HEAD.match(head)
    return bool(found) and all(f'"{key}"'.encode() in head for key in ("itr", "loc", "tid"))


def _is_recording(header: npy.NpyHeader) -> bool:
    names = set(header.dtype.names or ())
    return "itr" in names and bool({"loc", "vld", "tid"} & names)


def _is_zip(file: BinaryIO) -> bool:
    archive = Archive(file, name="file")
    entry = only_npy(archive)
    if entry is None:
        return False
    first = next(archive.stream(entry), b"")
    return _is_recording(npy.parse_npy_header(first, name="file"))


FORMAT = Format(
    info=FormatInfo(
        name="minflux",
        title="MINFLUX recording (Abberior npy, mat, json)",
        suffixes=(".npy", ".mat", ".json", ".zip"),
        reads=True,
        writes=False,
        variants=(LAST, ALL),
        counts_variants=True,
    ),
    media_type="application/octet-stream",
    sniff=_is_minflux,
    read=read_minflux,
)
