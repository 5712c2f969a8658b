"""TrackMate's tables of spots: four lines of headers (keys, names, short names, units).

Older versions write the keys alone, and then nothing tells whether positions are in micrometres or
in pixels. Frames are counted from 0; spots outside of any track have no TRACK_ID.

Source: headers of files that TrackMate 6 and 7 wrote, as quoted in public scripts that read them.
"""

from __future__ import annotations

import re
from dataclasses import replace

from smlmfmt.columns import ColumnName, canonical_names, header_key, normal_unit
from smlmfmt.errors import HeaderError, UnitError
from smlmfmt.format import ReadOptions
from smlmfmt.layout import Header, Layout, arrange
from smlmfmt.text import Text, guess_delimiter, split_line
from smlmfmt.text_labels import is_number
from smlmfmt.vendor import Vendor, header_index

__all__ = ["FORMAT", "TRACKMATE"]

_HEADER_LINES_MAX = 4
_LENGTHS = ("x", "y", "z", "radius")
_UNIT = re.compile(r"\((?P<unit>[^()]*)\)")


class _TrackMate(Vendor):
    """With the lines of names and units below the keys."""

    def fits(self, text: Text) -> bool:
        line = text.lines[header_index(text)]
        keys = {header_key(source) for source in split_line(line, guess_delimiter(line))}
        return any(telling <= keys for telling in self.telling)

    def lay_out(self, text: Text, options: ReadOptions) -> Layout:
        index = header_index(text)
        delimiter = guess_delimiter(text.lines[index])
        sources = split_line(text.lines[index], delimiter)
        if not self.fits(text):
            raise HeaderError(f"{options.name}: no header of a {self.title}; got {sources[:32]}")
        first_line, units = _units(text, index, sources)
        header = Header(
            sources=tuple(sources),
            delimiter=delimiter,
            first_line=first_line,
            text=self.text,
        )
        names = [
            _with_unit(name, unit, options)
            for name, unit in zip(canonical_names(sources, self.columns), units, strict=True)
        ]
        layout = arrange(text, header, names, options=options, format_name=self.name)
        return replace(layout, frame_origin=self.frame_origin)


def _units(text: Text, index: int, sources: list[str]) -> tuple[int, list[str]]:
    """Return the first line of rows, and the unit of each column as the line of units says."""
    delimiter = guess_delimiter(text.lines[index])
    x = [header_key(source) for source in sources].index("position_x")
    units = [""] * len(sources)
    first_line = index + 1
    for line in text.lines[index + 1 : index + _HEADER_LINES_MAX]:
        cells = split_line(line, delimiter)
        if len(cells) <= x or is_number(cells[x]):
            break
        first_line += 1
        if len(cells) == len(sources) and _UNIT.fullmatch(cells[x]):
            found = [_UNIT.fullmatch(cell) for cell in cells]
            units = [normal_unit(match["unit"]) if match else "" for match in found]
    return first_line, units


def _with_unit(name: ColumnName, unit: str, options: ReadOptions) -> ColumnName:
    if name.name in _LENGTHS and not unit:
        if options.pixel_size_nm is None:
            raise UnitError(
                f"{options.name}: without TrackMate's line of units {name.source} may be in pixels"
                " or in micrometres; give the nm of one unit as the pixel size (pixel_size_nm=, or"
                " --pixel-size on the command line)"
            )
        unit = "px"
    is_named_after_itself = unit == name.name  # "(quality)"
    return name if is_named_after_itself else ColumnName(name.name, unit, name.source)


_KEYS = frozenset({"position_x", "position_y", "frame"})

TRACKMATE = _TrackMate(
    name="trackmate",
    title="TrackMate table of spots",
    suffixes=(".csv",),
    delimiter=",",
    telling=(_KEYS | {"position_t"}, _KEYS | {"track_id", "quality"}),
    columns={"position_t": ("time", "")},
    frame_origin=0,
    text=frozenset({"label"}),
)
FORMAT = TRACKMATE.format()
