"""PYME's tables: PyTables files of localizations or raw fits, and their text with a "#" header.

A table of localizations has x, y, z and t; a table of fits has what they are made of, as nested
members. Lengths are in nm. Where frames count from is not said.

Source: python-microscopy PYME/IO/tabular.py (FitResultsSource, unNestNames: the short names that
PYME gives to nested members), PYME/IO/csv_flavours.py.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy.typing as npt

from smlmfmt.columnar import table_of_columns
from smlmfmt.delimited import row_warnings
from smlmfmt.errors import FormatError, HeaderError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.hdf5 import Dataset, Hdf5File, is_hdf5, sniff
from smlmfmt.table import Bundle, LocTable
from smlmfmt.text import open_text, read_rows, split_line
from smlmfmt.text_cells import Dialect

__all__ = ["FORMAT", "read_pyme"]

TABLES = ("/Localizations", "/FitResults")
# PYME's short names, and what they are short for: it is taken where the short one is absent.
NAMES = {
    "frame": ("t", "tIndex"),
    "x": ("x", "fitResults_x0"),
    "y": ("y", "fitResults_y0"),
    "z": ("z", "fitResults_z0"),
    "x_precision": ("error_x", "fitError_x0"),
    "y_precision": ("error_y", "fitError_y0"),
    "z_precision": ("error_z", "fitError_z0"),
    "sigma": ("sig", "fitResults_sigma"),
    "amplitude": ("A", "fitResults_A"),
    "intensity": ("nPhotons",),
}
_LENGTHS = ("x0", "y0", "z0", "sigma")
_LENGTH_NAMES = frozenset(
    ("x", "y", "z", "x_raw", "y_raw", "z_raw", "sig", "error_x", "error_y", "error_z")
) | {f"{group}_{name}" for group in ("fitResults", "fitError", "startParams") for name in _LENGTHS}


def read_pyme(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the table of a PYME file, HDF5 or text.

    Raises:
        ArchiveError: The HDF5 file is damaged.
        HeaderError: It has no table of localizations or fits with x and y.
        RowError: A row of text is short, long or not numeric.
    """
    file.seek(0)
    if not is_hdf5(file.read(4096)):
        return _read_text(file, options)
    opened = Hdf5File(file, name=options.name)
    found = _table(opened)
    if found is None:
        raise HeaderError(f"{options.name}: no table Localizations or FitResults with x and y")
    metadata = {"attributes": opened.attributes("/MetaData"), "table": found.path[1:]}
    table = _named(opened.read(found), options, metadata)
    warnings = []
    if found.left_out:
        warnings.append(f"{options.name}: no numbers, left out: {', '.join(found.left_out)}")
    return Bundle(tables=(table,), manifest=metadata, format="pyme", warnings=tuple(warnings))


def _read_text(file: BinaryIO, options: ReadOptions) -> Bundle:
    text = open_text(file, name=options.name)
    index = next(index for index, line in enumerate(text.lines) if line.strip())
    names = _header_names(text.lines[index])
    if not _are_pyme(names) or len(set(names)) != len(names):
        raise HeaderError(
            f"{options.name}: want a first line '# x, y, ...' of names, each once; got"
            f" {text.lines[index][:200]!r}"
        )
    dialect = Dialect(delimiter=",", comment="#")
    rows = read_rows(
        text,
        first_line=index + 1,
        columns=len(names),
        dialect=dialect,
        on_error=options.on_error,
    )
    columns: dict[str, npt.NDArray[Any]] = dict(zip(names, rows.columns, strict=True))
    rows.columns = []
    table = _named(columns, options, {})
    return Bundle(tables=(table,), format="pyme", warnings=tuple(row_warnings(rows, options.name)))


def _named(
    columns: dict[str, npt.NDArray[Any]], options: ReadOptions, metadata: dict[str, Any]
) -> LocTable:
    names = {
        next(source for source in sources if source in columns): name
        for name, sources in NAMES.items()
        if not columns.keys().isdisjoint(sources)
    }
    return table_of_columns(
        columns,
        options=options,
        format_name="pyme",
        units=dict.fromkeys(_LENGTH_NAMES, "nm"),
        names=names,
        metadata=metadata,
    )


def _table(opened: Hdf5File) -> Dataset | None:
    """Return the table of localizations, or else that of fits."""
    for path in TABLES:
        found = opened.dataset(path)
        if found is not None and found.shape is not None and len(found.shape) == 1:
            names = set(found.names)
            if not (names.isdisjoint(NAMES["x"]) or names.isdisjoint(NAMES["y"])):
                return found
    return None


def _header_names(line: str) -> list[str]:
    bare = line.strip()
    return split_line(bare.lstrip("# "), ",") if bare.startswith("#") else []


def _are_pyme(names: list[str]) -> bool:
    """Say whether x and y are there, and something that only PYME calls as it does."""
    is_of_pyme = any(name == "error_x" or name.startswith("fitResults_") for name in names)
    return {"x", "y"} <= set(names) and is_of_pyme


def _sniff(head: bytes, file: BinaryIO) -> bool:
    if is_hdf5(head):
        return sniff(
            head, file, is_it=lambda opened: _table(opened) is not None, marks=(b"Localizations",)
        )
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"#"):
        return False
    try:
        text = open_text(io.BytesIO(head), name="file")
    except FormatError:
        return False
    return _are_pyme(_header_names(next(line for line in text.lines if line.strip())))


FORMAT = Format(
    info=FormatInfo(
        name="pyme",
        title="PYME localizations (HDF5, or text with a # header)",
        suffixes=(".hdf", ".h5r"),
        reads=True,
        writes=False,
    ),
    media_type="application/x-hdf5",
    sniff=_sniff,
    read=read_pyme,
)
