"""QuickPALM particle tables, which ImageJ names .xls. Positions come in pixels and in nm.

The first column, whose header is a blank, numbers the rows; frames are counted from 1; the four
widths are half widths at half maximum in pixels.

Source: QuickPALM MyIO.java and MyFunctions.java (getParticle).
"""

from __future__ import annotations

from smlmfmt.vendor import Vendor

__all__ = ["FORMAT", "QUICKPALM"]

QUICKPALM = Vendor(
    name="quickpalm",
    title="QuickPALM particle table",
    suffixes=(".xls", ".txt"),
    delimiter="\t",
    telling=(frozenset({"x(px)", "y(px)", "x(nm)", "y(nm)", "framenumber"}),),
    columns={"": ("id", "")},
    frame_origin=1,
)
FORMAT = QUICKPALM.format()
