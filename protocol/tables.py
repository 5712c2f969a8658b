"""What a `dataset` record says was measured about a localization table (protocol.md 4.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from protocol import limits
from protocol.blob import BlobRef, read_pyramid
from protocol.payload import Fields

__all__ = [
    "AXES",
    "SIGNATURE",
    "SPLITS",
    "ColumnSummary",
    "Drift",
    "Frames",
    "Precision",
    "Resolution",
    "TableSummary",
    "read_table",
]

AXES = frozenset({"x", "y", "z"})
SPLITS = frozenset({"frames", "rows"})
SIGNATURE = re.compile("[1-9][0-9]{0,2}:([0-9a-f]{2}){1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSummary:
    """One column as measured; None where no value was finite. `source` is the file's own name."""

    name: str
    unit: str
    source: str
    min: float | None
    max: float | None
    mean: float | None
    median: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The frames a table spans; `origin` is 0 or 1 where the file's counting is known."""

    first: int
    last: int
    origin: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Localization precision along one axis by nearest neighbours, from so many returns."""

    precision_nm: float
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Resolution by Fourier ring correlation: of which square, in which pixels, dealt how."""

    resolution_nm: float
    pixel_nm: float
    field_nm: float
    rows: int
    split: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Root mean square drift; under twice its uncertainty it cannot be told from none."""

    drift_nm: float
    uncertainty_nm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSummary:
    """What the node measured about one table. None is what is not known.

    Attributes:
        bounds: (min, max) in nm by axis x, y, z; an axis without finite values is absent.
        dimension: 2, or 3 where z varies.
        density_per_um2: Localizations per square micrometre of the bounds.
        uncertainty_nm: Median lateral uncertainty.
        signature: `version:hex`, by which similar structures are found.
        pyramid: The table at every zoom, for the viewer.
        non_finite: Cells that are NaN or infinite.
    """

    name: str
    channel: str = ""
    rows: int
    columns: tuple[ColumnSummary, ...]
    bounds: Mapping[str, tuple[float, float]]
    frames: Frames | None
    dimension: int
    density_per_um2: float | None
    uncertainty_nm: float | None
    localizations_per_frame: float | None = None
    precision: Precision | None = None
    resolution: Resolution | None = None
    drift: Drift | None = None
    signature: str | None = None
    pyramid: BlobRef | None = None
    non_finite: int

    @classmethod
    def from_dict(cls, value: Mapping[str, object]) -> TableSummary:
        """Read the JSON form, which is what `Summary.as_dict()` gives plus `name`, `channel`."""
        return read_table(Fields(dict(value), "table"))


def read_table(fields: Fields) -> TableSummary:
    """Read the fields of one table."""
    frames = fields.child("frames")
    precision, resolution, drift = map(fields.child, ("precision", "resolution", "drift"))
    return TableSummary(
        name=fields.line("name", length_max=limits.NAME_LENGTH_MAX, optional=True),
        channel=fields.line("channel", length_max=limits.NAME_LENGTH_MAX, optional=True),
        rows=fields.integer("rows"),
        columns=_columns(fields),
        bounds=_bounds(fields),
        frames=None if frames is None else _frames(frames),
        dimension=fields.integer("dimension", minimum=2, maximum=3),
        density_per_um2=fields.number_or_null("density_per_um2"),
        uncertainty_nm=fields.number_or_null("uncertainty_nm"),
        localizations_per_frame=fields.number_or_null("localizations_per_frame", optional=True),
        precision=None if precision is None else _precision(precision),
        resolution=None if resolution is None else _resolution(resolution),
        drift=None if drift is None else _drift(drift),
        signature=_signature(fields),
        pyramid=read_pyramid(fields),
        non_finite=fields.integer("non_finite"),
    )


def _columns(fields: Fields) -> tuple[ColumnSummary, ...]:
    items = fields.items("columns", count_max=limits.COLUMNS_MAX)
    return tuple(
        _column(Fields(item, f"{fields.path}.columns[{index}]")) for index, item in enumerate(items)
    )


def _column(fields: Fields) -> ColumnSummary:
    return ColumnSummary(
        name=fields.line("name", length_max=limits.NAME_LENGTH_MAX),
        unit=fields.line("unit", length_max=limits.TERM_LENGTH_MAX, optional=True),
        source=fields.line("source", length_max=limits.NAME_LENGTH_MAX, optional=True),
        min=fields.number_or_null("min"),
        max=fields.number_or_null("max"),
        mean=fields.number_or_null("mean"),
        median=fields.number_or_null("median", optional=True),
    )


def _frames(fields: Fields) -> Frames:
    origin = fields.number_or_null("origin")
    if origin not in {None, 0, 1}:
        fields.fail("origin", "0, 1 or null")
    bound = limits.INTEGER_MAX
    return Frames(
        first=fields.integer("first", minimum=-bound),
        last=fields.integer("last", minimum=-bound),
        origin=None if origin is None else int(origin),
    )


def _precision(fields: Fields) -> Precision:
    return Precision(precision_nm=_length(fields, "precision_nm"), pairs=fields.integer("pairs"))


def _resolution(fields: Fields) -> Resolution:
    return Resolution(
        resolution_nm=_length(fields, "resolution_nm"),
        pixel_nm=_length(fields, "pixel_nm"),
        field_nm=_length(fields, "field_nm"),
        rows=fields.integer("rows"),
        split=fields.choice("split", SPLITS),
        seed=fields.integer("seed"),
    )


def _drift(fields: Fields) -> Drift:
    return Drift(
        drift_nm=_length(fields, "drift_nm"), uncertainty_nm=_length(fields, "uncertainty_nm")
    )


def _length(fields: Fields, name: str) -> float:
    value = fields.number_or_null(name)
    if value is None or value < 0:
        fields.fail(name, "a number that is not negative")
    return value


def _signature(fields: Fields) -> str | None:
    if fields.is_null("signature"):
        return None
    return fields.matching("signature", SIGNATURE, "a version, a colon and 1 to 64 bytes in hex")


def _bounds(fields: Fields) -> dict[str, tuple[float, float]]:
    bounds: dict[str, tuple[float, float]] = {}
    for axis, pair in fields.mapping("bounds").items():
        if axis not in AXES or type(pair) is not list or len(pair) != 2:
            fields.fail("bounds", "[min, max] by axis x, y, z")
        if not all(type(value) is float or type(value) is int for value in pair):
            fields.fail("bounds", "[min, max] by axis x, y, z")
        bounds[axis] = (float(pair[0]), float(pair[1]))
    return bounds
