"""Tables for pyramids, what must hold of every pyramid, and the slope of shown on true density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt import LocTable, pyramid

Floats: TypeAlias = npt.NDArray[np.float64]
GOLDEN, MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


def hashes(rows: npt.NDArray[Any], seed: int) -> npt.NDArray[np.int64]:
    """The upper halves of splitmix64's outputs, as docs/pyramid.md says, in Python's integers."""
    found = []
    for row in rows.tolist():
        h = (seed + (int(row) + 1) * GOLDEN) & MASK
        h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & MASK
        found.append((h ^ (h >> 31)) >> 32)
    return np.array(found, np.int64)


def numbered(columns: dict[str, Any], **more: Any) -> LocTable:
    """A table whose column `id` says which row is which."""
    rows = len(columns["x"])
    return LocTable({**columns, "id": np.arange(rows)}, {"x": "nm", "y": "nm"}, **more)


def check(table: LocTable, opened: pyramid.Pyramid) -> None:
    """Check all that a pyramid promises, against the table; its column `id` must be carried."""
    about, nodes = opened.about, opened.nodes
    axes = ("x", "y", "z")[: about.dimension]
    truth = np.stack([table[axis].astype(np.float64) for axis in axes])
    placed = (np.abs(truth) <= 1e12).all(axis=0)
    tiles = [opened.read(node) for node in range(len(nodes))]
    ids = [tile["id"].astype(np.int64) for tile in tiles]
    np.testing.assert_array_equal(np.sort(np.concatenate(ids)), np.flatnonzero(placed))
    assert about.placed == placed.sum()
    assert about.rows == len(table)
    u = np.full(len(table), -1, np.int64)
    u[placed] = hashes(np.flatnonzero(placed), about.seed)
    scale = 2.0**32 / about.side
    origin = np.array(about.origin)[:, None]
    q = np.clip(np.floor((np.where(placed, truth, origin) - origin) * scale), 0, 2**32 - 1)
    q = q.astype(np.int64)
    path: list[set[int]] = []
    for node, entry in enumerate(nodes):
        above = path[entry["parent"]] if node else set()
        path.append(above | set(ids[node].tolist()))
        cell = placed.copy()
        for axis, places in zip(axes, q, strict=True):
            cell &= places >> (32 - int(entry["level"])) == entry[f"i{axis}"]
        assert cell.sum() == entry["n_total"]
        # The tiles from the root to here hold exactly the cell's rows up to the limit.
        expected = set(np.flatnonzero(cell & (u <= entry["limit"])).tolist())
        assert path[node] & set(np.flatnonzero(cell).tolist()) == expected
        known = 32 if entry["level"] < about.fine_levels else min(32, entry["level"] + 16)
        step = about.side / 2.0**known
        for axis, values in zip(axes, truth, strict=True):
            slack = 4 * np.spacing(np.abs(values[ids[node]]) + about.side)
            assert (np.abs(tiles[node][axis] - values[ids[node]]) <= step / 2 + slack).all()
    for column in about.columns:
        for found, rows in zip(tiles, ids, strict=True):
            check_values(table[column.name][rows].astype(np.float64), found[column.name], column)
        check_facts(table[column.name][placed].astype(np.float64), column, about)


def check_values(truth: Floats, found: Floats, column: pyramid.Column) -> None:
    encoding = column.encoding
    missing = ~(np.abs(truth) <= 1e150)
    np.testing.assert_array_equal(np.isnan(found), missing)
    truth, found = truth[~missing], found[~missing]
    if encoding.scale == "log":
        assert (found[truth <= 0] == 0).all()
        truth, found = truth[truth > 0], found[truth > 0]
        assert (np.abs(found / truth - 1) <= encoding.error * (1 + 1e-9) + 1e-13).all()
    elif encoding.error == 0:
        np.testing.assert_array_equal(found, truth)
    else:
        slack = 8 * np.spacing(np.abs(truth))
        assert (np.abs(found - truth) <= encoding.error + slack).all()


def check_facts(truth: Floats, column: pyramid.Column, about: pyramid.About) -> None:
    facts, encoding = about.measured[column.name], column.encoding
    finite = truth[np.abs(truth) <= 1e150]
    assert (facts.finite, facts.missing) == (finite.size, truth.size - finite.size)
    assert facts.nonpositive == (finite <= 0).sum()
    if finite.size:
        assert (facts.low, facts.high) == (finite.min(), finite.max())
    assert len(facts.histogram) <= 256
    counted = finite[finite > 0] if encoding.scale == "log" else finite
    assert facts.histogram.sum() == counted.size
    if encoding.error == 0:
        np.testing.assert_array_equal(np.histogram(counted, facts.edges)[0], facts.histogram)
    else:
        # A value on a border may lie on either side of it.
        below = np.searchsorted(np.sort(counted), facts.edges * (1 - 1e-12) - 1e-300)
        above = np.searchsorted(np.sort(counted), facts.edges * (1 + 1e-12) + 1e-300, side="right")
        total = np.concatenate([[0], np.cumsum(facts.histogram)])
        assert (np.minimum(below, above) <= total + 1)[1:-1].all()
        assert (total <= np.maximum(below, above) + 1)[1:-1].all()


def build(table: LocTable | pyramid.RowBlocks, path: Path, **options: Any) -> bytes:
    columns = options.pop("columns", None)
    pyramid.build(table, path, columns=columns, options=pyramid.Options(**options))
    return path.read_bytes()


def random_cut(opened: pyramid.Pyramid, rng: np.random.Generator, part: float) -> pyramid.Cut:
    """A cut in which each node has its children with this probability: levels side by side."""
    nodes = opened.nodes
    divided = rng.random(len(nodes)) < part
    divided[0] = True
    cut = np.ones(len(nodes), np.bool_)
    for node in range(1, len(nodes)):
        parent = nodes["parent"][node]
        cut[node] = cut[parent] and divided[parent]
    return cut


def grid_of(table: LocTable, pixel: float) -> pyramid.Grid:
    low, high = ([float(f(table[axis])) for axis in ("x", "y")] for f in (np.min, np.max))
    width, height = (int((b - a) / pixel) + 1 for a, b in zip(low, high, strict=True))
    return pyramid.Grid(x=low[0], y=low[1], pixel=pixel, width=width, height=height)


def true_density(table: LocTable, grid: pyramid.Grid) -> Floats:
    x, y = (table[axis].astype(np.float64) for axis in ("x", "y"))
    index, _ = grid.pixels(x, y)
    counts = np.bincount(index, minlength=grid.width * grid.height)
    return counts.reshape(grid.height, grid.width).astype(np.float64)


class Variance:
    """The variance of the estimates of a pyramid, from all its rows: the sum of (1 - tau) / tau."""

    def __init__(self, opened: pyramid.Pyramid, grid: pyramid.Grid) -> None:
        self._opened, self._grid = opened, grid
        tiles = (opened.read(node) for node in range(len(opened.nodes)))
        self._places = [grid.pixels(tile["x"], tile["y"]) for tile in tiles]

    def under(self, cut: pyramid.Cut) -> Floats:
        nodes = self._opened.nodes
        variance = np.zeros(self._grid.width * self._grid.height)
        tau_above = nodes["tau"].copy()
        for node, (index, inside) in enumerate(self._places):
            if cut[node]:
                tau = 1 / pyramid.weights(self._opened, cut, node)[inside]
            else:
                tau_above[node] = tau_above[nodes["parent"][node]]
                tau = np.full(index.size, tau_above[node])
            np.add.at(variance, index, (1 - tau) / tau)
        return variance.reshape(self._grid.height, self._grid.width)


@dataclass(frozen=True, slots=True)
class Slope:
    """How shown density grows with true density, as a power; 1 if it is shown as it is."""

    slope: float
    error: float


def slope_of(true: Floats, shown: Floats, variance: Floats, *, groups: int = 20) -> Slope:
    """Fit shown = a * true**slope over groups of pixels of rising true density.

    Fitted to the means themselves (a log-linear model whose variance grows with the mean, as
    counts' does): an unbiased estimate's logarithm is not unbiased but low by half the relative
    variance, which matters where a group shows few rows.
    """
    filled = true.ravel() > 0
    order = np.argsort(true.ravel()[filled], kind="stable")
    parts = [part for part in np.array_split(order, groups) if part.size]
    x = np.log([true.ravel()[filled][part].mean() for part in parts])
    y = np.array([shown.ravel()[filled][part].mean() for part in parts])
    v = np.array([variance.ravel()[filled][part].sum() / part.size**2 for part in parts])
    dispersion = np.maximum(v, 1e-18 * np.exp(x).max() ** 2) / np.exp(x)
    beta = np.array([np.log(y.mean()) - np.log(np.exp(x).mean()), 1.0])
    design = np.stack([np.ones_like(x), x], axis=1)
    information = np.eye(2)
    for _ in range(50):
        mu = np.exp(design @ beta)
        information = design.T @ (design * (mu / dispersion)[:, None])
        beta = beta + np.linalg.solve(information, design.T @ ((y - mu) / dispersion))
    return Slope(float(beta[1]), float(np.sqrt(np.linalg.inv(information)[1, 1])))


def mean_slope(slopes: Sequence[Slope]) -> Slope:
    """The mean of independent slopes, and its standard error."""
    mean = float(np.mean([s.slope for s in slopes]))
    return Slope(mean, float(np.sqrt(np.sum([s.error**2 for s in slopes])) / len(slopes)))
