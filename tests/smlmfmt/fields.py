"""Tables with known truth for the tests of what is measured."""

from typing import Any

import numpy as np

from smlmfmt import LocTable
from smlmfmt.measures.sample import Field, Positions, field_of, sample_positions


def blinking(
    *,
    precision_nm: float,
    events: int,
    seed: int = 1,
    side_nm: float = 10_000.0,
    mean_on: float = 3,
) -> LocTable:
    """Emitters at random places, each on for some frames once, localized with one precision."""
    random = np.random.default_rng(seed)
    length = random.geometric(1 / mean_on, events)
    event = np.repeat(np.arange(events), length)
    first = random.integers(1, max(events // 10, 2), events)
    frame = first[event] + np.arange(event.size) - np.repeat(np.cumsum(length) - length, length)
    places = random.random((events, 2)) * side_nm
    return in_order(places[event] + random.normal(0, precision_nm, (event.size, 2)), frame)


def filaments(
    *, count: int, seed: int = 1, side_nm: float = 8_000.0, precision_nm: float = 8.0
) -> LocTable:
    """Localizations along 40 straight lines, each in a frame of its own choice."""
    random = np.random.default_rng(seed)
    line = random.integers(0, 40, count)
    start, angle = random.random((40, 2)) * side_nm, random.random(40) * np.pi
    along = (random.random(count) - 0.5) * side_nm
    way = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    places = start[line] + along[:, None] * way[line]
    places += random.normal(0, precision_nm, (count, 2))
    return in_order(places, random.integers(1, 2001, count))


def in_order(places: Any, frame: Any) -> LocTable:
    order = np.argsort(frame, kind="stable")
    columns = {"frame": frame[order], "x": places[order, 0], "y": places[order, 1]}
    return LocTable(columns, units={"x": "nm", "y": "nm"}, frame_origin=1)


def changed(table: LocTable, **columns: Any) -> LocTable:
    """Return the table with columns replaced, or added; None leaves one out."""
    found = {name: table[name] for name in table} | columns
    kept = {name: values for name, values in found.items() if values is not None}
    return LocTable(kept, units={"x": "nm", "y": "nm"})


def taken(table: LocTable, rows: Any) -> LocTable:
    """Return some rows of a table, in the order asked for."""
    columns = {name: table[name][rows] for name in table}
    return LocTable(columns, units=table.units, frame_origin=table.frame_origin)


def looked_at(table: LocTable) -> tuple[Positions, Field]:
    positions = sample_positions(table)
    assert positions is not None
    field = field_of(positions)
    assert field is not None
    return positions, field
