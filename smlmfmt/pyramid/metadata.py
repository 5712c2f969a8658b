"""The metadata of a pyramid file as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.pyramid.layout import FORMAT, POSITION_LANES, VERSION, Column, Lane
from smlmfmt.pyramid.plan import Plan
from smlmfmt.pyramid.source import Source

__all__ = ["describe"]


def describe(source: Source, plan: Plan, bins: Sequence[npt.NDArray[np.int64]]) -> bytes:
    """Return the metadata, padded with blanks to whole words.

    Args:
        source: What was read.
        plan: What was decided.
        bins: Histograms of the axes, then of the columns.
    """
    columns = [_position(source, plan, axis) for axis in range(plan.dimension)]
    columns += [_attribute(column) for column in plan.columns]
    for column, counts in zip(columns, bins, strict=True):
        found = plan.surveys[column["name"]]
        has_values = found.finite > 0
        column["finite"], column["missing"] = found.finite, found.rows - found.finite
        column["nonpositive"] = found.nonpositive
        column["min"] = found.low if has_values else None
        column["max"] = found.high if has_values else None
        column["histogram"] = counts.tolist()
    document = {
        "format": FORMAT,
        "version": VERSION,
        "name": source.name,
        "channel": source.channel,
        "rows": source.rows,
        "placed": plan.placed,
        "dimension": plan.dimension,
        "origin": list(plan.cube.origin),
        "side": plan.cube.side,
        "unit": source.unit("x"),
        "seed": plan.seed,
        "rows_per_tile": plan.rows_per_tile,
        "planes": plan.planes,
        "fine_levels": plan.fine_levels,
        "columns": columns,
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    return text + b" " * (-len(text) % 4)


def _position(source: Source, plan: Plan, axis: int) -> dict[str, Any]:
    low, high = plan.cube.bounds[axis]
    first = plan.cube.place(low, axis)
    return {
        "name": plan.axes[axis],
        "unit": source.unit(plan.axes[axis]),
        "scale": "position",
        "bits": 32,
        "first": first,
        "codes": plan.cube.place(high, axis) - first + 1,
        "lo": plan.cube.origin[axis],
        "hi": plan.cube.origin[axis] + plan.cube.side,
        "error": plan.cube.side / 2**33,
        "lanes": [_lane(lane) for lane in POSITION_LANES[axis]],
    }


def _attribute(column: Column) -> dict[str, Any]:
    encoding = column.encoding
    return {
        "name": column.name,
        "unit": column.unit,
        "scale": encoding.scale,
        "bits": encoding.bits,
        "first": encoding.first,
        "codes": encoding.codes,
        "lo": encoding.lo,
        "hi": encoding.hi,
        "error": encoding.error,
        "lanes": [_lane(lane) for lane in column.lanes],
    }


def _lane(lane: Lane) -> dict[str, int]:
    return {"plane": lane.plane, "byte": lane.byte, "size": lane.size, "shift": lane.shift}
