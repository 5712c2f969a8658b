"""What a pyramid file says about itself: its metadata, read as a stranger's and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import HeaderError
from smlmfmt.pyramid import layout
from smlmfmt.pyramid.encoding import BITS, LOG_BITS_MAX, Encoding, Scale
from smlmfmt.pyramid.layout import Column, Lane, codes_per_bin

__all__ = ["About", "Measured", "parse"]

NUMBER_MAX = 1e150
ROWS_MAX = 1 << 53
SIDE_LEAST = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Exact facts of one column, over all rows that have a position.

    Attributes:
        finite, missing, nonpositive: How many values are numbers, are not, and are 0 or less.
        low, high: The least and greatest number; None if there is none.
        first, codes_per_bin: Bin b counts the codes first + b * codes_per_bin and those after.
        histogram: int64, at most 256 bins.
        edges: float64, where the bins begin and the last ends, in the column's unit.
    """

    finite: int
    missing: int
    nonpositive: int
    low: float | None
    high: float | None
    first: int
    codes_per_bin: int
    histogram: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The metadata.

    Attributes:
        rows: Rows of the table; `placed` of them have a position and are in the tiles.
        origin, side, unit: The root cell: its least corner and its side.
        seed, rows_per_tile: What the tree was made with.
        planes: Words of 4 bytes per row in a tile without fine planes.
        fine_levels: Tiles of a lower level than this begin with fine planes.
        columns: The attributes; positions are not among them.
        measured: By column name, positions included.
    """

    name: str
    channel: str
    rows: int
    placed: int
    dimension: int
    origin: tuple[float, ...]
    side: float
    unit: str
    seed: int
    rows_per_tile: int
    planes: int
    fine_levels: int
    columns: tuple[Column, ...]
    measured: Mapping[str, Measured]

    @property
    def fine_planes(self) -> int:
        """How many planes the next 16 bits of the positions take."""
        return self.dimension - 1


def parse(text: bytes, *, what: str) -> About:
    """Read metadata.

    Raises:
        HeaderError: It is not JSON, or a field is missing, of the wrong type, out of range, or
            contradicts another.
    """
    fields = _Fields(_load(text, what), what)
    if fields.text("format", 20) != layout.FORMAT:
        fields.fail("format", f"must be {layout.FORMAT!r}")
    fields.whole("version", layout.VERSION, layout.VERSION)
    dimension = fields.whole("dimension", 2, 3)
    rows = fields.whole("rows", 0, ROWS_MAX)
    placed = fields.whole("placed", 0, rows)
    origin, side = fields.numbers("origin", dimension), fields.number("side", SIDE_LEAST)
    entries = list(fields.items("columns", dimension, dimension + layout.COLUMNS_MAX))
    measured: dict[str, Measured] = {}
    for axis, entry in enumerate(entries[:dimension]):
        name = entry.choice("name", (layout.AXES[axis],))
        measured[name] = _measured_position(entry, placed, origin=origin[axis], side=side)
        _check_lanes(entry, layout.POSITION_LANES[axis])
    bits = [entry.choice("bits", BITS) for entry in entries[dimension:]]
    lanes, planes = layout.lay_out(dimension, bits)
    columns = []
    for entry, found in zip(entries[dimension:], lanes, strict=True):
        name, encoding = entry.text("name", 200), _encoding(entry)
        if name in measured:
            entry.fail("name", f"{name!r} comes twice")
        measured[name] = _measured(entry, placed, encoding)
        _check_lanes(entry, found)
        columns.append(
            Column(name=name, unit=entry.text("unit", 40), encoding=encoding, lanes=found)
        )
    return About(
        name=fields.text("name", 200),
        channel=fields.text("channel", 200),
        rows=rows,
        placed=placed,
        dimension=dimension,
        origin=origin,
        side=side,
        unit=fields.text("unit", 40),
        seed=fields.whole("seed", 0, layout.SEED_MAX),
        rows_per_tile=fields.whole(
            "rows_per_tile", layout.ROWS_PER_TILE_MIN, layout.ROWS_PER_TILE_MAX
        ),
        planes=fields.whole("planes", planes, planes),
        fine_levels=fields.whole("fine_levels", 0, layout.FINE_LEVELS_MAX),
        columns=tuple(columns),
        measured=measured,
    )


def _encoding(entry: _Fields) -> Encoding:
    bits = entry.choice("bits", BITS)
    scale = cast("Scale", entry.choice("scale", ("linear", "log")))
    first = 2 if scale == "log" else 1
    if scale == "log" and bits > LOG_BITS_MAX:
        entry.fail("bits", f"a logarithm has 8 or 16, not {bits}")
    codes = entry.whole("codes", 1, 2**bits - first)
    lo = entry.number("lo", 5e-324 if scale == "log" else -NUMBER_MAX)
    hi = entry.number("hi", lo)
    if hi == lo and codes > 1:
        entry.fail("codes", "one value has one code")
    entry.whole("first", first, first)
    return Encoding(scale=scale, bits=bits, codes=codes, lo=lo, hi=hi)


def _measured(entry: _Fields, placed: int, encoding: Encoding) -> Measured:
    per_bin = codes_per_bin(encoding.codes)
    count = -(-encoding.codes // per_bin)
    # Borders lie half a code below a code, so they are no codes: extend the scale to them.
    index = np.minimum(np.arange(count + 1) * per_bin, encoding.codes) - 0.5
    edges = encoding.at(index)
    return _facts(entry, placed, first=encoding.first, codes=encoding.codes, edges=edges)


def _measured_position(entry: _Fields, placed: int, *, origin: float, side: float) -> Measured:
    entry.choice("scale", ("position",))
    first = entry.whole("first", 0, 2**32 - 1)
    codes = entry.whole("codes", 1, 2**32 - first)
    per_bin = codes_per_bin(codes)
    count = -(-codes // per_bin)
    index = np.minimum(np.arange(count + 1.0) * per_bin, codes)
    edges = origin + (first + index) * (side / 2**32)
    return _facts(entry, placed, first=first, codes=codes, edges=edges)


def _facts(
    entry: _Fields, placed: int, *, first: int, codes: int, edges: npt.NDArray[np.float64]
) -> Measured:
    finite = entry.whole("finite", 0, placed)
    nonpositive = entry.whole("nonpositive", 0, finite)
    missing = entry.whole("missing", placed - finite, placed - finite)
    histogram = entry.wholes("histogram", len(edges) - 1, placed)
    # Only a logarithm leaves values out of its bins: those that are not positive.
    counted = finite - (nonpositive if entry.text("scale", 20) == "log" else 0)
    if sum(histogram) != counted:
        entry.fail("histogram", f"adds up to {sum(histogram)}, not {counted}")
    low = entry.number("min", -NUMBER_MAX) if finite else None
    high = entry.number("max", low) if low is not None else None
    return Measured(
        finite=finite,
        missing=missing,
        nonpositive=nonpositive,
        low=low,
        high=high,
        first=first,
        codes_per_bin=codes_per_bin(codes),
        histogram=np.array(histogram, np.int64),
        edges=edges,
    )


def _check_lanes(entry: _Fields, expected: Sequence[Lane]) -> None:
    found = [
        Lane(
            plane=item.whole("plane", 0, 255),
            byte=item.whole("byte", 0, 3),
            size=item.whole("size", 1, 2),
            shift=item.whole("shift", 0, 24),
        )
        for item in entry.items("lanes", 1, 4)
    ]
    if found != list(expected):
        entry.fail("lanes", "are not where the columns' bits put them")


def _load(text: bytes, what: str) -> Mapping[str, Any]:
    def no_number(word: str) -> NoReturn:
        raise ValueError(f"{word} is not a JSON number")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key comes twice")
        return found

    try:
        found = json.loads(text.decode("utf-8"), parse_constant=no_number, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise HeaderError(f"{what}: the metadata is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise HeaderError(f"{what}: the metadata is not a JSON object")
    return found


@dataclass(frozen=True, slots=True)
class _Fields:
    """A JSON object whose fields are asked for by type and range."""

    data: Mapping[str, Any]
    what: str

    def fail(self, key: str, rule: str) -> NoReturn:
        raise HeaderError(f"{self.what}: metadata field {key!r} {rule}")

    def whole(self, key: str, low: int, high: int) -> int:
        return self._whole(key, self.data.get(key), low=low, high=high)

    def wholes(self, key: str, count: int, high: int) -> list[int]:
        return [
            self._whole(key, value, low=0, high=high) for value in self._list(key, count, count)
        ]

    def number(self, key: str, low: float) -> float:
        return self._number(key, self.data.get(key), low)

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        values = self._list(key, count, count)
        return tuple(self._number(key, value, -NUMBER_MAX) for value in values)

    def text(self, key: str, size_max: int) -> str:
        value = self.data.get(key)
        if not isinstance(value, str) or len(value) > size_max:
            self.fail(key, f"must be text of at most {size_max} letters")
        return value

    def choice(self, key: str, choices: Sequence[Any]) -> Any:
        value = self.data.get(key)
        if isinstance(value, bool) or value not in choices:
            self.fail(key, f"must be one of {', '.join(map(str, choices))}")
        return value

    def items(self, key: str, low: int, high: int) -> Iterator[_Fields]:
        for index, value in enumerate(self._list(key, low, high)):
            if not isinstance(value, dict):
                self.fail(key, "must hold objects")
            yield _Fields(value, f"{self.what}: {key}[{index}]")

    def _whole(self, key: str, value: object, *, low: int, high: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.fail(key, f"must be a whole number from {low} to {high}")
        return value

    def _number(self, key: str, value: object, low: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(key, "must be a number")
        if not low <= value <= NUMBER_MAX:
            self.fail(key, f"must be a number from {low} to {NUMBER_MAX}")
        found = float(value)
        assert math.isfinite(found)
        return found

    def _list(self, key: str, low: int, high: int) -> list[Any]:
        value = self.data.get(key)
        if not isinstance(value, list) or not low <= len(value) <= high:
            self.fail(key, f"must be a list of {low} to {high} entries")
        return value
