"""A table from a file's own columns: our names for them, and lengths in nm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from smlmfmt.columns import ColumnName, canonical_names, in_nanometres
from smlmfmt.errors import HeaderError
from smlmfmt.format import ReadOptions
from smlmfmt.table import LocTable

__all__ = ["table_of_columns"]


def table_of_columns(  # noqa: PLR0913 - what a format knows of its columns.
    columns: dict[str, npt.NDArray[Any]],
    *,
    options: ReadOptions,
    format_name: str,
    units: Mapping[str, str],
    names: Mapping[str, str] | None = None,
    pixel_size_nm: float | None = None,
    keeps_pixels: bool = False,
    frame_origin: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> LocTable:
    """Return the table of columns that a file holds under its own names.

    Args:
        columns: Arrays of shape (n,) by the file's name; emptied on the way, so that no column is
            held twice.
        options: What the caller said; its `name` is the table's.
        format_name: The table's format.
        units: The unit that the format gives a column, by the file's name; others have the one
            that their name says, or none.
        names: What is called otherwise here than `smlmfmt.columns` would: our name by theirs.
        pixel_size_nm: Camera pixel in nm, for columns in "px".
        keeps_pixels: Whether these stay as they are if it is not known; else that is an error.
        frame_origin: From what the format counts frames.
        metadata: What else the file says about the table.

    Raises:
        HeaderError: There is no x or no y.
        UnitError: Lengths are in pixels and the pixel size is not known.
    """
    given = dict(names or {})
    sources = list(columns)
    found = canonical_names([given.get(source, source) for source in sources])
    named = [
        ColumnName(own.name, own.unit, source) for own, source in zip(found, sources, strict=True)
    ]
    if not {"x", "y"} <= {column.name for column in named}:
        raise HeaderError(f"{options.name}: no columns x and y; there are {', '.join(sources)}")
    arrays: dict[str, npt.NDArray[Any]] = {}
    own_units: dict[str, str] = {}
    for column in named:
        values, unit = columns.pop(column.source), units.get(column.source, column.unit)
        if not (keeps_pixels and pixel_size_nm is None and unit.startswith("px")):
            values, unit = in_nanometres(
                values,
                unit,
                pixel_size_nm=pixel_size_nm,
                what=f"{options.name}: column {column.source!r}",
            )
        arrays[column.name], own_units[column.name] = values, unit
    return LocTable(
        arrays,
        own_units,
        name=options.name,
        frame_origin=frame_origin,
        source_names={column.name: column.source for column in named},
        metadata=metadata,
        format=format_name,
    )
