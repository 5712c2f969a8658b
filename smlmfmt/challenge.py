"""Tables of the SMLM challenges: ground truth and submitted localizations, in nm and photons.

Source: TuragaLab/DECODE decode/utils/emitter_io.py (challenge_mapping); SMAP csv_challenge.txt.
"""

from __future__ import annotations

from dataclasses import replace

from smlmfmt.columns import ColumnName
from smlmfmt.errors import HeaderError
from smlmfmt.format import ReadOptions
from smlmfmt.layout import Header, Layout, arrange
from smlmfmt.text import Text, split_line
from smlmfmt.text_labels import is_number
from smlmfmt.vendor import Vendor, header_index

__all__ = ["CHALLENGE", "FORMAT"]

# What the columns of files without a header are, in their order.
_HEADERLESS = (
    ColumnName("id", "", "0"),
    ColumnName("frame", "", "1"),
    ColumnName("x", "nm", "2"),
    ColumnName("y", "nm", "3"),
    ColumnName("z", "nm", "4"),
    ColumnName("intensity", "photon", "5"),
)


class _Challenge(Vendor):
    """With the challenge's tables that have no header, read when the format is named."""

    def lay_out(self, text: Text, options: ReadOptions) -> Layout:
        index = header_index(text)
        cells = split_line(text.lines[index], self.delimiter)
        if not all(map(is_number, cells)):
            return super().lay_out(text, options)
        if len(cells) != len(_HEADERLESS):
            raise HeaderError(
                f"{options.name}: a {self.title} without a header has the 6 columns id, frame, x,"
                f" y, z, photons, not {len(cells)}; map them with columns={{'x': 0, ...}}"
            )
        sources = tuple(name.source for name in _HEADERLESS)
        header = Header(sources=sources, delimiter=self.delimiter, first_line=index)
        layout = arrange(text, header, _HEADERLESS, options=options, format_name=self.name)
        return replace(layout, frame_origin=self.frame_origin)


CHALLENGE = _Challenge(
    name="challenge",
    title="SMLM challenge table",
    suffixes=(".csv",),
    delimiter=",",
    telling=(frozenset({"xnano", "ynano"}),),
    columns={
        "xnano": ("x", "nm"),
        "ynano": ("y", "nm"),
        "znano": ("z", "nm"),
        "intensity": ("intensity", "photon"),
    },
    frame_origin=1,
)
FORMAT = CHALLENGE.format()
