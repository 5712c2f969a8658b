"""Localizations that Locan saved: an ASDF file with the columns' names and one array.

Source: super-resolution/Locan 71bdbff, locan_io/locdata/asdf_io.py.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

import numpy as np

from smlmfmt.asdf import MAGIC, AsdfFile
from smlmfmt.columns import LENGTHS, canonical_names, in_nanometres
from smlmfmt.documents import plain
from smlmfmt.errors import FormatError, HeaderError, SizeLimitError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.table import Bundle, LocTable

__all__ = ["FORMAT", "read_locan"]

COLUMN_COUNT_MAX = 4096


def read_locan(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the table of an .asdf file of Locan; lengths are nm.

    Raises:
        ArchiveError: The file is damaged or cut short.
        HeaderError: It has no columns, or not one row of numbers for them.
        SizeLimitError: It asks for more than a reader grants.
    """
    asdf = AsdfFile(file, name=options.name)
    sources = asdf.tree.get("columns")
    if not isinstance(sources, list) or not all(isinstance(name, str) for name in sources):
        raise HeaderError(f"{options.name}: 'columns' must be a list of names")
    if len(sources) > COLUMN_COUNT_MAX:
        raise SizeLimitError(f"{options.name}: {len(sources)} columns, {COLUMN_COUNT_MAX} allowed")
    data = asdf.array(asdf.tree.get("data"), where="data")
    if not data.size:
        data = np.empty((0, len(sources)), data.dtype)
    if data.ndim != 2 or data.shape[1] != len(sources):
        raise HeaderError(f"{options.name}: data of shape {data.shape} for {len(sources)} columns")
    columns: dict[str, Any] = {}
    units: dict[str, str] = {}
    names = canonical_names(sources)
    for index, name in enumerate(names):
        columns[name.name], units[name.name] = in_nanometres(
            np.ascontiguousarray(data[:, index]),
            name.unit or ("nm" if name.name in LENGTHS else ""),
            pixel_size_nm=options.pixel_size_nm,
            what=f"{options.name}: column {name.source!r}",
        )
    table = LocTable(
        columns,
        units,
        name=options.name,
        source_names={name.name: name.source for name in names},
        metadata=_metadata(asdf.tree, options.name),
        format="locan",
    )
    return Bundle(tables=(table,), format="locan")


def _metadata(tree: dict[str, Any], name: str) -> dict[str, Any]:
    """Return Locan's properties, and its own metadata, which is JSON in a text."""
    meta = tree.get("meta")
    if isinstance(meta, str):
        try:
            meta = json.loads(meta, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            meta = str(meta)
    found: dict[str, Any] = plain({"properties": tree.get("properties"), "meta": meta}, name=name)
    return found


def _is_locan(head: bytes, file: BinaryIO) -> bool:
    if not head.startswith(MAGIC):
        return False
    try:
        return {"columns", "data"} <= AsdfFile(file, name="file").tree.keys()
    except FormatError:
        return False


FORMAT = Format(
    info=FormatInfo(
        name="locan",
        title="Locan localizations (asdf)",
        suffixes=(".asdf",),
        reads=True,
        writes=False,
    ),
    media_type="application/octet-stream",
    sniff=_is_locan,
    read=read_locan,
)
