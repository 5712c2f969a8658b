"""Nikon N-STORM tables of molecules, as NIS-Elements exports them.

Positions come raw (X), corrected for drift (Xc), for the chromatic shift of their channel (Xw), or
for both (Xwc). What is corrected for both is read by default: it is what NIS-Elements itself draws,
and channels only lie upon each other there. Frames are counted from 1 and name the first of Length
frames; the first version has names of channels, the fifth other columns in another order.

Picasso 0.11 exports a table for NIS whose values stand under the wrong headers (sigma under
Channel, background under Width, photons under BG, frame under Length, channel under Area, length
under Frame): they are told by their range and put right.

Source: aherbert/gdsc-smlm PeakResultsReader.java; cleterrier/ChriSTORM F-TranslateNS2-TS.js,
F-NStxtTranslate.js; picasso/io.py (export_txt_nis).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from smlmfmt.columns import canonical_names, header_key
from smlmfmt.errors import HeaderError
from smlmfmt.format import Format, ReadOptions
from smlmfmt.layout import Header, Layout, arrange, read_layout
from smlmfmt.table import Bundle, LocTable
from smlmfmt.text import Text, open_text, split_line
from smlmfmt.text_labels import is_number
from smlmfmt.vendor import Vendor, header_index

__all__ = ["FORMAT", "NSTORM"]

# What is appended to X, Y and Z, by the name of the variant; the default first.
_SUFFIXES = {"warped-drift-corrected": "wc", "drift-corrected": "c", "warped": "w", "raw": ""}
# Whose z to take where a file has fewer versions of z than of x and y.
_Z_SUFFIXES = {"wc": ("wc", "c", ""), "c": ("c", ""), "w": ("w", ""), "": ("",)}
_NIS = ("x", "y", "channel", "width", "bg", "length", "area", "frame")
_NIS_COLUMNS = frozenset(_NIS) - {"x", "y"}
_KNOWN = {
    "channelname": ("channel", ""),
    "channel": ("channel", ""),
    "frame": ("frame", ""),
    "height": ("height", "digital"),
    "width": ("width", "nm"),
    "ax": ("axis_ratio", ""),
    "bg": ("background", "digital"),
    "length": ("detections", ""),
    "photons": ("intensity", "photon"),
    "laterallocalizationaccuracy": ("uncertainty_xy", "nm"),
}
# Our name and unit for what Picasso writes under each of our names, in all rows.
_PICASSO = {
    "channel": ("sigma_x", "nm"),
    "width": ("background", "photon"),
    "background": ("intensity", "photon"),
    "detections": ("frame", ""),
    "intensity": ("channel", ""),
    "frame": ("detections", ""),
}


class _NStorm(Vendor):
    """With a choice of positions, and a check of what stands under the headers of NIS."""

    def format(self, **_: object) -> Format:
        plain = super().format()
        # What stands under the headers of NIS only the whole table tells.
        return replace(plain, info=replace(plain.info, variants=tuple(_SUFFIXES)), stream=None)

    def read(self, file: BinaryIO, options: ReadOptions) -> Bundle:
        text = open_text(file, name=options.name)
        bundle = read_layout(text, self.lay_out(text, options), options)
        if not _is_nis(split_line(text.lines[header_index(text)], self.delimiter)):
            return bundle
        return _checked(bundle, options)

    def fits(self, text: Text) -> bool:
        sources = split_line(text.lines[header_index(text)], self.delimiter)
        return super().fits(text) or _is_nis(sources)

    def lay_out(self, text: Text, options: ReadOptions) -> Layout:
        index = header_index(text)
        sources = split_line(text.lines[index], self.delimiter)
        if not self.fits(text):
            raise HeaderError(f"{options.name}: no header of {self.title}; got {sources[:32]}")
        suffix, notes = _suffix(sources, options)
        first_line = index + 1
        if _is_words(text, first_line, self.delimiter):
            notes.append(f"{options.name}: line {first_line + 1} is no row and is passed over")
            first_line += 1
        header = Header(
            sources=tuple(sources),
            delimiter=self.delimiter,
            first_line=first_line,
            text=self.text,
        )
        names = canonical_names(sources, _KNOWN | _positions(sources, suffix) | _area(sources))
        layout = arrange(text, header, names, options=options, format_name=self.name)
        return replace(layout, frame_origin=self.frame_origin, warnings=(*layout.warnings, *notes))


def _keys(sources: Sequence[str]) -> list[str]:
    return [header_key(source) for source in sources]


def _is_nis(sources: Sequence[str]) -> bool:
    return tuple(key for key in _keys(sources) if key != "z") == _NIS


def _suffix(sources: Sequence[str], options: ReadOptions) -> tuple[str, list[str]]:
    """Return the suffix of the positions to read, and what is to be said of the choice."""
    keys = set(_keys(sources))
    there = [name for name, end in _SUFFIXES.items() if {f"x{end}", f"y{end}"} <= keys]
    wanted = options.variant
    if wanted is not None and wanted not in there:
        raise HeaderError(
            f"{options.name}: the file has no positions {wanted!r}; there are {', '.join(there)}"
        )
    chosen = wanted or there[0]
    if wanted or chosen == next(iter(_SUFFIXES)) or len(there) == 1:
        return _SUFFIXES[chosen], []
    return _SUFFIXES[chosen], [f"{options.name}: positions are the {chosen} ones, for want of more"]


def _positions(sources: Sequence[str], suffix: str) -> dict[str, tuple[str, str]]:
    """Return our names of all versions of the positions."""
    keys = set(_keys(sources))
    z_suffix = next((end for end in _Z_SUFFIXES[suffix] if f"z{end}" in keys), "")
    names = {}
    for axis, chosen in (("x", suffix), ("y", suffix), ("z", z_suffix)):
        for variant, end in _SUFFIXES.items():
            other = f"{axis}_{variant.replace('-', '_')}"
            names[axis + end] = (axis if end == chosen else other, "nm")
    return names


def _area(sources: Sequence[str]) -> dict[str, tuple[str, str]]:
    # The volume under the fitted peak in camera counts; later files have photons besides.
    has_photons = "photons" in _keys(sources)
    return {"area": ("area" if has_photons else "intensity", "digital")}


def _is_words(text: Text, index: int, delimiter: str) -> bool:
    """Say whether a line has the shape of text throughout."""
    line = text.lines[index] if index < len(text.lines) else ""
    return bool(line.strip()) and not any(map(is_number, split_line(line, delimiter)))


def _checked(bundle: Bundle, options: ReadOptions) -> Bundle:
    """Return the table, its columns put right if Picasso wrote them.

    Raises:
        HeaderError: The values can be neither NIS-Elements' nor Picasso's.
    """
    table = bundle.tables[0]
    if (
        options.columns
        or not len(table)
        or _is_plausible(table, frame="frame", length="detections")
    ):
        return bundle
    is_shifted = (table["frame"] == 1).all() and (table["intensity"] == 1).all()
    if not is_shifted or not _is_plausible(table, frame="detections", length="frame"):
        raise HeaderError(
            f"{options.name}: what stands under Channel, Frame and Length cannot be channels,"
            " frames and lengths; read it as csv and say which column is what, as in"
            " columns={'x': 'X', 'y': 'Y', 'frame': ...}"
        )
    names = {name: _PICASSO.get(name, (name, table.units[name])) for name in table}
    fixed = LocTable(
        {new: table[old] for old, (new, _) in names.items()},
        dict(names.values()),
        name=table.name,
        frame_origin=table.frame_origin,
        source_names={new: table.source_names[old] for old, (new, _) in names.items()},
        metadata=table.metadata,
        format=table.format,
    )
    note = (
        f"{options.name}: written by Picasso, whose values stand under the wrong headers:"
        " Channel is read as sigma, Width as background, BG as photons, Length as frame, Area as"
        " channel, Frame as length"
    )
    return replace(bundle, tables=(fixed,), warnings=(*bundle.warnings, note))


def _is_plausible(table: LocTable, *, frame: str, length: str) -> bool:
    """Say whether columns can be what they are called: whole numbers from 1, an area above 1."""
    counts = [table[frame], table[length]]
    is_counted = all(bool((values >= 1).all() and (values % 1 == 0).all()) for values in counts)
    if frame != "frame":
        return is_counted
    is_channel = bool((np.abs(table["channel"]) < 256).all() and (table["channel"] % 1 == 0).all())
    return is_counted and is_channel and not (table["intensity"] == 1).all()


NSTORM = _NStorm(
    name="nstorm",
    title="Nikon N-STORM table",
    suffixes=(".txt",),
    delimiter="\t",
    telling=(
        frozenset({"channelname", "x", "y", "frame"}),
        frozenset({"id", "x", "y", "laterallocalizationaccuracy", "frame"}),
    ),
    columns=_KNOWN,
    frame_origin=1,
    text=frozenset({"channel"}),
)
FORMAT = NSTORM.format()
