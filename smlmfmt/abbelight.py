"""Abbelight NEO tables: ThunderSTORM's headers with columns of their own for demixing.

Source: cleterrier/ChriSTORM Routines/F-TranslateAB-TS.js, which takes frames over into
ThunderSTORM's table unchanged; so they are counted from 1.
"""

from __future__ import annotations

from smlmfmt.vendor import Vendor

__all__ = ["ABBELIGHT", "FORMAT"]

_POSITIONS = frozenset({"x[nm]", "y[nm]"})

ABBELIGHT = Vendor(
    name="abbelight",
    title="Abbelight NEO table",
    suffixes=(".csv",),
    delimiter=",",
    telling=(_POSITIONS | {"amplitude[photon]"}, _POSITIONS | {"ratio_demixing"}),
    columns={"intdemixing[photon]": ("intensity_demixing", "photon")},
    frame_origin=1,
)
FORMAT = ABBELIGHT.format()
