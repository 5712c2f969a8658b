"""DECODE's emitters as csv: two lines of JSON, then a pandas table.

DECODE's x is the row of the image and its y the column, so the two are exchanged here, and so are
its pixel sizes, which may differ. z is in nm whatever x and y are in. Frames are counted from 0.
Columns `_sig` are standard deviations, `_cr` Cramer-Rao bounds of the variance.

Source: TuragaLab/DECODE decode/utils/emitter_io.py (save_csv), decode/generic/emitter.py; SMAP
decodeh5ToLoc.m for the exchange of x and y.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from smlmfmt.columns import canonical_names, header_key
from smlmfmt.errors import HeaderError, UnitError
from smlmfmt.format import ReadOptions
from smlmfmt.layout import COMMENT, Header, Layout, arrange
from smlmfmt.text import Text, split_line
from smlmfmt.vendor import Vendor, header_index

__all__ = ["DECODE_CSV", "FORMAT"]

_MAGIC = "# DECODE"
# Our name and unit of what lies along no axis of the image; the rest keep their names.
_FIXED = {
    "z": ("z", "nm"),
    "z_sig": ("z_precision", "nm"),
    "z_cr": ("z_cr", "nm^2"),
    "phot": ("intensity", "photon"),
    "phot_sig": ("phot_sig", "photon"),
    "bg": ("background", "photon"),
    "bg_sig": ("bg_sig", "photon"),
}


class _Decode(Vendor):
    """With the lines of JSON above the header."""

    def fits(self, text: Text) -> bool:
        return text.lines[header_index(text)].startswith(_MAGIC) or super().fits(text)

    def lay_out(self, text: Text, options: ReadOptions) -> Layout:
        index = header_index(text)
        while index < len(text.lines) - 1 and text.lines[index].startswith(COMMENT):
            index += 1
        sources = split_line(text.lines[index], self.delimiter)
        if not self.fits(text) or not {"x", "y"} <= set(map(header_key, sources)):
            raise HeaderError(f"{options.name}: no header of {self.title}; got {sources[:32]}")
        metadata = _metadata(text, index, options)
        header = Header(
            sources=tuple(sources),
            delimiter=self.delimiter,
            first_line=index + 1,
            comment=COMMENT,
        )
        emitters = metadata.get("emitters", {})
        unit = _unit(emitters.get("xy_unit") or _unit_column(text, header), options)
        names = canonical_names(sources, _FIXED | _exchanged(unit))
        layout = arrange(text, header, names, options=options, format_name=self.name)
        sizes = _pixel_sizes(emitters, options) if unit == "px" else {}
        return replace(
            layout, frame_origin=self.frame_origin, pixel_sizes_nm=sizes, metadata=metadata
        )


def _exchanged(unit: str) -> dict[str, tuple[str, str]]:
    """Return our names of the columns along the axes, x for y and y for x."""
    names = {}
    for source, axis in (("x", "y"), ("y", "x")):
        names[source] = (axis, unit)
        names[f"{source}_sig"] = (f"{axis}_precision", unit)
        names[f"{source}_cr"] = (f"{axis}_cr", f"{unit}^2")
    return names


def _metadata(text: Text, end: int, options: ReadOptions) -> dict[str, Any]:
    """Return the JSON objects above the header: `decode` (the program), `emitters` (the units)."""
    found = []
    for line in text.lines[:end]:
        body = line.strip(COMMENT + " ")
        if not body.startswith("{"):
            continue
        try:
            value = json.loads(body, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            raise HeaderError(f"{options.name}: a line above the header is no JSON: {error}") from (
                error
            )
        found.append(value)
    return dict(zip(("decode", "emitters"), found, strict=False))


def _unit_column(text: Text, header: Header) -> str:
    """Return what older files say in a column of their own, "" if there is none."""
    if "xy_unit" not in header.sources or len(text.lines) <= header.first_line:
        return ""
    cells = split_line(text.lines[header.first_line], header.delimiter)
    column = header.sources.index("xy_unit")
    return cells[column] if column < len(cells) else ""


def _unit(found: object, options: ReadOptions) -> str:
    """Return the unit of x and y."""
    if found in ("px", "nm"):
        return str(found)
    if found:
        raise UnitError(f"{options.name}: xy_unit must be px or nm, got {found!r}")
    if options.pixel_size_nm is None:
        raise UnitError(
            f"{options.name}: nothing says whether x and y are in pixels; if they are, give the"
            " pixel size in nm (pixel_size_nm=, or --pixel-size on the command line)"
        )
    return "px"


def _pixel_sizes(emitters: Mapping[str, Any], options: ReadOptions) -> dict[str, float]:
    """Return the pixel size in nm by our column names; {} if the file does not tell."""
    sizes = emitters.get("px_size")
    if sizes is None:
        return {}
    if not (isinstance(sizes, list) and len(sizes) == 2 and all(map(_is_size, sizes))):
        raise UnitError(f"{options.name}: px_size must be two positive numbers, got {sizes!r}")
    along_x, along_y = float(sizes[1]), float(sizes[0])
    ends = ("", "_precision", "_cr")
    return {f"x{end}": along_x for end in ends} | {f"y{end}": along_y for end in ends}


def _is_size(value: object) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return is_real and math.isfinite(float(value)) and float(value) > 0  # type: ignore[arg-type]
    except OverflowError:
        return False


DECODE_CSV = _Decode(
    name="decode-csv",
    title="DECODE emitters (csv)",
    suffixes=(".csv",),
    delimiter=",",
    telling=(frozenset({"x", "y", "frame_ix", "phot"}),),
    frame_origin=0,
)
FORMAT = DECODE_CSV.format()
