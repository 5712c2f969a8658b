"""Zeiss ELYRA (ZEN) tables of localizations, as text and as csv.

Latin-1, CRLF; what the microscope says of itself follows the rows behind a NUL byte. Frames are
counted from 1.

Source: Locan locan_io/locdata/elyra_io.py; python-microscopy PYME/IO/csv_flavours.py;
imodpasteur/ShareLoc.XYZ supported_text_formats.
"""

from __future__ import annotations

from smlmfmt.vendor import Vendor

__all__ = ["FORMAT", "FORMAT_CSV", "ZEISS_CSV", "ZEISS_TXT"]

_COLUMNS = {"numberphotons": ("intensity", "photon")}
_POSITIONS = frozenset({"positionx[nm]", "positiony[nm]"})

ZEISS_TXT = Vendor(
    name="zeiss-txt",
    title="Zeiss ELYRA table (txt)",
    suffixes=(".txt",),
    delimiter="\t",
    telling=(_POSITIONS,),
    columns=_COLUMNS,
    frame_origin=1,
)
# Written under a German locale, its numbers have decimal commas.
ZEISS_CSV = Vendor(
    name="zeiss-csv",
    title="Zeiss ELYRA table (csv)",
    suffixes=(".csv",),
    delimiter=";",
    telling=(_POSITIONS, frozenset({"x[nm]", "y[nm]", "firstframe"})),
    columns=_COLUMNS,
    frame_origin=1,
)
FORMAT = ZEISS_TXT.format()
FORMAT_CSV = ZEISS_CSV.format()
