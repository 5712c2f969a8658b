"""pyMINFLUX's tables: its own .pmx (HDF5), and text `tid,t,x,y,z` as papers publish it.

A .pmx keeps what was exported by the microscope beside the table that pyMINFLUX shows; the table
is read, which has z scaled and rows filtered as its user chose.

Source: bsse-scf/pyMINFLUX 2b6038c, writer/_pmx_writer.py, reader/_pmx_reader.py; test/data (the
csv of Ostersehlt et al. 2022).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt.columns import canonical_names
from smlmfmt.documents import plain
from smlmfmt.errors import FormatError, HeaderError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.hdf5 import Hdf5File, is_hdf5, sniff
from smlmfmt.table import Bundle, LocTable
from smlmfmt.text import Text, open_text, read_rows, split_line
from smlmfmt.text_cells import Dialect

__all__ = ["FORMAT", "read_pyminflux"]

TABLE = "/paraview/dataframe"
PARAMETERS = "/parameters"
PARAMETER_SIZE_MAX = 64
VERSIONS = ("1.0", "2.0", "3.0")

_UNITS = {"x": "nm", "y": "nm", "z": "nm", "t": "s", "tim": "s", "efo": "Hz", "fbg": "Hz",
          "eco": "photon"}  # fmt: skip
# What pandas calls the types of columns, which the file has as one array of float64.
_TYPES = frozenset(
    f"{kind}{size}" for kind in ("int", "uint", "float") for size in (8, 16, 32, 64)
) - {"float8"}
_TRACE = "tid"
_TIMES = {"t", "tim"}
_HEAD_SIZE = 4096


def read_pyminflux(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the table of a .pmx file or of a csv: positions in nm, times in s, traces by `tid`.

    Raises:
        ArchiveError: The .pmx file is damaged.
        HeaderError: The table does not name tid, x and y, or a name twice; or the .pmx file is of
            another version than VERSIONS.
        RowError: A row of text is short, long or not numeric.
    """
    file.seek(0)
    if is_hdf5(file.read(_HEAD_SIZE)):
        return _read_pmx(file, options)
    text = open_text(file, name=options.name)
    index, sources = _header(text)
    if not _names_traces(sources) or len(set(sources)) != len(sources):
        raise HeaderError(f"{options.name}: want tid, t, x and y, each name once; got {sources}")
    rows = read_rows(
        text,
        first_line=index + 1,
        columns=len(sources),
        dialect=Dialect(delimiter=","),
        on_error=options.on_error,
    )
    table = _table(sources, rows.columns, options=options, metadata={})
    skipped = f"{options.name}: {rows.skipped} bad rows skipped; the first: {rows.first_bad}"
    return Bundle(tables=(table,), format="pyminflux", warnings=(skipped,) if rows.skipped else ())


def _read_pmx(file: BinaryIO, options: ReadOptions) -> Bundle:
    opened = Hdf5File(file, name=options.name)
    version = opened.attributes("/").get("file_version")
    dataset = opened.dataset(TABLE)
    if version not in VERSIONS or dataset is None:
        raise HeaderError(
            f"{options.name}: no .pmx file of version {', '.join(VERSIONS)}; its version is"
            f" {version!r}"
        )
    about = opened.attributes(TABLE)
    sources, types = about.get("column_names"), about.get("column_types")
    is_table = dataset.names == ("",) and dataset.shape is not None and len(dataset.shape) == 2
    if not is_table or not isinstance(sources, list) or not isinstance(types, list):
        raise HeaderError(f"{options.name}: {TABLE} must be a table with column_names and _types")
    values = opened.read(dataset)[""]
    sources = [str(source) for source in sources]
    wanted = {_TRACE, "x", "y"} <= set(sources) and len(set(sources)) == len(sources)
    if not wanted or len(sources) != values.shape[1] or len(types) != len(sources):
        raise HeaderError(f"{options.name}: {TABLE} has {values.shape[1]} columns named {sources}")
    columns = [
        _typed(np.ascontiguousarray(values[:, index]), str(kind))
        for index, kind in enumerate(types)
    ]
    metadata = {"file_version": version, "parameters": _parameters(opened)}
    table = _table(sources, columns, options=options, metadata=metadata)
    return Bundle(tables=(table,), format="pyminflux")


def _typed(values: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
    """Return a column in the type it had, if it can have it."""
    if kind not in _TYPES:
        return values
    with np.errstate(invalid="ignore", over="ignore"):
        typed = values.astype(kind)
    if typed.dtype.kind == "f" or np.array_equal(typed, values):
        return typed
    return values


def _parameters(opened: Hdf5File) -> dict[str, Any]:
    """Return what pyMINFLUX was set to: how z was scaled, what was filtered out."""
    found: dict[str, Any] = opened.attributes(PARAMETERS)
    for dataset in opened.datasets(PARAMETERS):
        if dataset.names == ("",) and 0 < dataset.count <= PARAMETER_SIZE_MAX:
            found[dataset.path.rpartition("/")[2]] = opened.read(dataset)[""]
    values: dict[str, Any] = plain(found, name=opened.name)
    return values


def _table(
    sources: Sequence[str],
    columns: Sequence[npt.NDArray[Any]],
    *,
    options: ReadOptions,
    metadata: dict[str, Any],
) -> LocTable:  # fmt: skip
    names = canonical_names(sources)
    return LocTable(
        {name.name: values for name, values in zip(names, columns, strict=True)},
        {name.name: _UNITS.get(name.source, "") for name in names},
        name=options.name,
        source_names={name.name: name.source for name in names},
        metadata=metadata,
        format="pyminflux",
    )


def _header(text: Text) -> tuple[int, list[str]]:
    index = next(index for index, line in enumerate(text.lines) if line.strip())
    return index, split_line(text.lines[index], ",")


def _names_traces(sources: list[str]) -> bool:
    return {_TRACE, "x", "y"} <= set(sources) and not _TIMES.isdisjoint(sources)


def _is_pmx(opened: Hdf5File) -> bool:
    return "file_version" in opened.attributes("/") and opened.dataset(TABLE) is not None


def _is_pyminflux(head: bytes, file: BinaryIO) -> bool:
    if is_hdf5(head):
        return sniff(head, file, is_it=_is_pmx, marks=(b"paraview\0", b"file_version\0"))
    if _TRACE.encode() not in head.partition(b"\n")[0]:
        return False
    try:
        return _names_traces(_header(open_text(io.BytesIO(head), name="file"))[1])
    except FormatError:
        return False


FORMAT = Format(
    info=FormatInfo(
        name="pyminflux",
        title="pyMINFLUX table (pmx, csv)",
        suffixes=(".pmx", ".csv"),
        reads=True,
        writes=False,
    ),
    media_type="application/octet-stream",
    sniff=_is_pyminflux,
    read=read_pyminflux,
)
