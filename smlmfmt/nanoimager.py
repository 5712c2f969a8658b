"""ONI Nanoimager tables. Channels and frames are counted from 0; z is 0 throughout 2D files.

Source: Locan locan_io/locdata/nanoimager_io.py and its sample file.
"""

from __future__ import annotations

from smlmfmt.vendor import Vendor

__all__ = ["FORMAT", "NANOIMAGER"]

NANOIMAGER = Vendor(
    name="nanoimager",
    title="ONI Nanoimager table",
    suffixes=(".csv",),
    delimiter=",",
    telling=(frozenset({"channel", "frame", "x(nm)", "y(nm)", "photons"}),),
    columns={"photons": ("intensity", "photon"), "background": ("background", "photon")},
    frame_origin=0,
)
FORMAT = NANOIMAGER.format()
