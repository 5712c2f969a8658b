"""The fields of a tagged spot file's messages: data, no code.

Source: Micro-Manager, "Tagged Spot File (tsf) format" (2013); zitmen/thunderstorm 514a925,
lib/tsf.proto; aherbert/gdsc-smlm 2fcce04, proto/tsf.proto.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "ABSENT_UNIT",
    "COUNTS",
    "FWHM_OF_SIGMA",
    "GDSC",
    "HEADER_SIZE",
    "LOCATION_UNITS",
    "NANOMETRE_UNIT",
    "ONE_AXIS",
    "PHOTONS",
    "PIXEL_UNIT",
    "SPOT",
    "SPOT_GDSC",
    "SPOT_LIST",
    "SPOT_THUNDERSTORM",
    "TWO_AXES",
    "TWO_AXES_AND_THETA",
    "Field",
    "spot_fields",
]

Kind = Literal["int32", "int64", "float", "double", "bool", "string", "message"]

# Full width at half maximum of a Gaussian of standard deviation 1: 2 sqrt(2 ln 2).
FWHM_OF_SIGMA = 2.3548200450309493

# int32 0, then int64 where the SpotList begins, less these 12 bytes; both big-endian.
HEADER_SIZE = 12

NANOMETRE_UNIT, MICROMETRE_UNIT, PIXEL_UNIT = 0, 1, 2
LOCATION_UNITS = {NANOMETRE_UNIT: "nm", MICROMETRE_UNIT: "um", PIXEL_UNIT: "px"}
COUNTS, PHOTONS = 0, 1
# A spot that says no unit has that of the SpotList.
ABSENT_UNIT = -1
ONE_AXIS, TWO_AXES, TWO_AXES_AND_THETA = 0, 1, 2
# Application ids. ThunderSTORM and the first Micro-Manager plugins call themselves 1, which is
# everybody's.
GDSC = 4


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message: its tag, name and type, and what a whole number is if it is absent."""

    tag: int
    name: str
    kind: Kind
    is_required: bool = False
    is_repeated: bool = False
    absent: int = 0


SPOT = (
    Field(1, "molecule", "int32", is_required=True),
    Field(2, "channel", "int32", is_required=True),
    Field(3, "frame", "int32", is_required=True),
    Field(4, "slice", "int32"),
    Field(5, "pos", "int32"),
    Field(19, "fluorophore_type", "int32"),
    Field(20, "cluster", "int32"),
    Field(17, "location_units", "int32", absent=ABSENT_UNIT),
    Field(7, "x", "float", is_required=True),
    Field(8, "y", "float", is_required=True),
    Field(9, "z", "float"),
    Field(18, "intensity_units", "int32", absent=ABSENT_UNIT),
    Field(10, "intensity", "float", is_required=True),
    Field(11, "background", "float"),
    Field(12, "width", "float"),
    Field(13, "a", "float"),
    Field(14, "theta", "float"),
    Field(6, "flag", "int32"),
    Field(101, "x_original", "float"),
    Field(102, "y_original", "float"),
    Field(103, "z_original", "float"),
    Field(104, "x_precision", "float"),
    Field(105, "y_precision", "float"),
    Field(106, "z_precision", "float"),
    Field(107, "x_position", "int32"),
    Field(108, "y_position", "int32"),
)
# Numbers above 1500 are each application's own, and mean different things in each.
SPOT_THUNDERSTORM = (
    Field(1845, "bkgstd", "float"),
    Field(1846, "detections", "int32"),
)
SPOT_GDSC = (
    Field(1500, "error", "double"),
    Field(1501, "noise", "float"),
    Field(1503, "end_frame", "int32"),
    Field(1504, "original_value", "float"),
    Field(1505, "parameter_deviation", "float", is_repeated=True),
    Field(1506, "mean_intensity", "float"),
)
SPOT_LIST = (
    Field(1, "application_id", "int32", is_required=True),
    Field(2, "name", "string"),
    Field(3, "filepath", "string"),
    Field(4, "uid", "int64"),
    Field(5, "nr_pixels_x", "int32"),
    Field(6, "nr_pixels_y", "int32"),
    Field(7, "pixel_size", "float"),
    Field(8, "nr_spots", "int64"),
    Field(17, "box_size", "int32"),
    Field(18, "nr_channels", "int32"),
    Field(19, "nr_frames", "int32"),
    Field(20, "nr_slices", "int32"),
    Field(21, "nr_pos", "int32"),
    Field(22, "location_units", "int32"),
    Field(23, "intensity_units", "int32"),
    Field(24, "fit_mode", "int32"),
    Field(25, "is_track", "bool"),
    Field(26, "fluorophore_types", "message", is_repeated=True),
    Field(27, "theta_units", "int32"),
    Field(28, "ecf", "double", is_repeated=True),
    Field(29, "roi", "message"),
    Field(30, "qe", "double", is_repeated=True),
    Field(1501, "source", "string"),
    Field(1502, "configuration", "string"),
    Field(1503, "gain", "double"),
    Field(1504, "exposure_time", "double"),
    Field(1505, "read_noise", "double"),
    Field(1506, "bias", "double"),
    Field(1509, "camera_type", "int32"),
    Field(1510, "psf", "string"),
)


def spot_fields(application: int) -> tuple[Field, ...]:
    """Return the fields of a Spot as an application writes them."""
    if application == GDSC:
        return SPOT + SPOT_GDSC
    return SPOT + SPOT_THUNDERSTORM if application == 1 else SPOT
