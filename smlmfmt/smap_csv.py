"""SMAP's csv export of localizations: names as in SMAP's workspace, lengths in nm.

Frames are counted from 1. PSFxnm is the sigma of the fitted Gaussian; without PSFynm it is that of
both axes.

Source: jries/SMAP export_coordinates.m; python-microscopy PYME/IO/csv_flavours.py.
"""

from __future__ import annotations

from typing import BinaryIO

from smlmfmt.columns import LENGTHS, header_key
from smlmfmt.format import ReadOptions, WriteOptions
from smlmfmt.layout import Layout
from smlmfmt.stream import BundleStream
from smlmfmt.table import LocTable
from smlmfmt.text import Text, split_line
from smlmfmt.text_writing import check_positions, only_table, quoted, write_rows
from smlmfmt.vendor import Vendor, header_index

__all__ = ["FORMAT", "SMAP_CSV", "write_smap_csv"]

# SMAP's names by ours.
NAMES = {
    "frame": "frame",
    "x": "xnm",
    "y": "ynm",
    "z": "znm",
    "uncertainty_xy": "locprecnm",
    "uncertainty_z": "locprecznm",
    "x_precision": "xnmerr",
    "y_precision": "ynmerr",
    "z_precision": "znmerr",
    "intensity": "phot",
    "background": "bg",
    "sigma_x": "PSFxnm",
    "sigma_y": "PSFynm",
    "group_index": "groupindex",
    "number_in_group": "numberInGroup",
    "file_number": "filenumber",
}
# Other names that its fitters give the same things.
_ALSO = {
    "xerrnm": "x_precision",
    "yerrnm": "y_precision",
    "zerrnm": "z_precision",
    "locprecxnm": "x_precision",
    "locprecynm": "y_precision",
}
_PHOTONS = ("intensity", "background")


class _Smap(Vendor):
    """With a sigma of one or of two axes."""

    def lay_out(self, text: Text, options: ReadOptions) -> Layout:
        sources = split_line(text.lines[header_index(text)], self.delimiter)
        if "psfynm" in map(header_key, sources):
            return super().lay_out(text, options)
        return _SMAP_ROUND.lay_out(text, options)


def write_smap_csv(
    file: BinaryIO,
    stream: BundleStream,
    options: WriteOptions,  # noqa: ARG001 - decimal text is exact and in nm.
) -> None:
    """Write one table as its blocks come; frames are counted from 1.

    Raises:
        FormatError: There is not exactly one table.
        HeaderError: It has no x or no y.
        UnitError: A position is not in nm.
    """
    table = only_table(stream, "a csv of SMAP")
    head = table.head
    check_positions(head, "a csv of SMAP")
    write_rows(file, table, [_header(head, name) for name in head.columns], frame_origin=1)


def _header(table: LocTable, name: str) -> str:
    unit = table.units[name]
    expected = "nm" if name in LENGTHS else "photon" if name in _PHOTONS else ""
    is_round = name == "sigma" and not {"sigma_x", "sigma_y"} & set(table.columns)
    if unit in ("", expected or unit):
        name = "PSFxnm" if is_round else NAMES.get(name, name)
    return name if name.isidentifier() else quoted(name)


def _known() -> dict[str, tuple[str, str]]:
    units = dict.fromkeys(LENGTHS, "nm") | dict.fromkeys(_PHOTONS, "photon")
    names = {header_key(theirs): ours for ours, theirs in NAMES.items()} | _ALSO
    return {theirs: (ours, units.get(ours, "")) for theirs, ours in names.items()}


def _vendor(kind: type[Vendor], columns: dict[str, tuple[str, str]]) -> Vendor:
    return kind(
        name="smap-csv",
        title="SMAP table (csv)",
        suffixes=(".csv",),
        delimiter=",",
        telling=(frozenset({"xnm", "ynm"}),),
        columns=columns,
        frame_origin=1,
    )


_SMAP_ROUND = _vendor(Vendor, _known() | {"psfxnm": ("sigma", "nm")})
SMAP_CSV = _vendor(_Smap, _known())
FORMAT = SMAP_CSV.format(write_stream=write_smap_csv)
