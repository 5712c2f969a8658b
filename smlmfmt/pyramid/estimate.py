"""What a part of a pyramid says of the whole: density on a grid of pixels, and how sure that is.

A cut is a set of nodes, each with its parent. The rows in its tiles are, in every place, a
Bernoulli sample whose probability is tau of the deepest node of the cut that covers the place. So
each row counts 1 / tau of that node (not of its own), and any sum is unbiased, even where cells of
different levels lie side by side (Horvitz and Thompson, J. Am. Stat. Assoc. 47:663, 1952).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import FormatError
from smlmfmt.pyramid.file import Pyramid
from smlmfmt.pyramid.layout import CONTINUES, FINE

__all__ = ["Cut", "Estimate", "Grid", "choose_cut", "estimate", "level_cut", "weights"]

Floats: TypeAlias = npt.NDArray[np.float64]
Cut: TypeAlias = npt.NDArray[np.bool_]

PIXELS_MAX = 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A field of pixels: its corner of least x and y, the side of a pixel, columns and rows."""

    x: float
    y: float
    pixel: float
    width: int
    height: int

    def __post_init__(self) -> None:
        is_sound = np.isfinite([self.x, self.y, self.pixel]).all() and self.pixel > 0
        if not is_sound or min(self.width, self.height) < 1:
            raise FormatError(f"not a grid of pixels: {self}")
        if self.width * self.height > PIXELS_MAX:
            raise FormatError(f"{self.width} x {self.height} pixels are more than {PIXELS_MAX}")

    def pixels(self, x: Floats, y: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Return the flat index, row by row of y, of the points inside, and which these are."""
        column, row = np.floor((x - self.x) / self.pixel), np.floor((y - self.y) / self.pixel)
        inside = (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height)
        return (row[inside] * self.width + column[inside]).astype(np.intp), inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Rows per pixel, shape (height, width), the estimate's variance, and how many rows it saw."""

    density: Floats
    variance: Floats
    rows: int


def level_cut(pyramid: Pyramid, level: int) -> Cut:
    """Return the cut of all nodes down to a level."""
    return np.asarray(pyramid.nodes["level"] <= level)


def choose_cut(pyramid: Pyramid, grid: Grid, *, rows_max: int, rows_per_pixel: float = 1.0) -> Cut:
    """Return the cut a viewer draws: the cells of the grid refined, those most in need first.

    A cell needs its children if fewer than `rows_per_pixel` of its rows per pixel of its area are
    in the cut so far. Its children come all together, as far as they touch the grid, until the
    tiles hold rows_max rows (the root's are always there).
    """
    nodes = pyramid.nodes
    inside = _touches(pyramid, grid)
    side = pyramid.about.side / 2.0 ** nodes["level"] / grid.pixel
    # How many pixels a row of the cell stands for: the cell's area over its rows shown.
    need = side**2 / np.maximum(nodes["tau"] * nodes["n_total"], 1)
    cut = np.zeros(len(nodes), np.bool_)
    cut[0] = True
    rows, heap = int(nodes["n"][0]), [(-float(need[0]), 0)]
    while heap:
        gap, node = heapq.heappop(heap)
        first = int(nodes["first_child"][node])
        children = np.arange(first, first + int(nodes["children"][node]).bit_count())
        children = children[inside[children]]
        if not children.size or -gap * rows_per_pixel <= 1:
            continue
        rows += int(nodes["n"][children].sum())
        if rows > rows_max:
            break
        cut[children] = True
        for child in children.tolist():
            heapq.heappush(heap, (-float(need[child]), child))
    return cut


def estimate(pyramid: Pyramid, grid: Grid, cut: Cut) -> Estimate:
    """Return how many rows of the table lie in each pixel, as estimated from the tiles of a cut.

    Args:
        pyramid: Open.
        grid: In the pyramid's unit.
        cut: bool, shape (nodes,).

    Returns:
        An unbiased estimate; exact (variance 0) where the cut reaches the leaves.

    Raises:
        FormatError: A node of the cut lacks its parent.
    """
    _check_cut(pyramid, cut)
    shown = _Shown(pyramid, cut)
    density, variance = np.zeros((2, grid.height * grid.width))
    rows = 0
    for node in np.flatnonzero(cut & _touches(pyramid, grid)).tolist():
        columns = pyramid.read(node)
        index, inside = grid.pixels(columns["x"], columns["y"])
        tau = shown.tau(node)[inside]
        density += np.bincount(index, 1 / tau, density.size)
        variance += np.bincount(index, (1 - tau) / tau**2, density.size)
        rows += index.size
    shape = (grid.height, grid.width)
    return Estimate(density=density.reshape(shape), variance=variance.reshape(shape), rows=rows)


def weights(pyramid: Pyramid, cut: Cut, node: int) -> Floats:
    """Return what each row of a node's tile counts under a cut: 1 / tau of the deepest cell."""
    _check_cut(pyramid, cut)
    return 1 / _Shown(pyramid, cut).tau(node)


class _Shown:
    """The tree of a cut alone."""

    def __init__(self, pyramid: Pyramid, cut: Cut) -> None:
        self._pyramid = pyramid
        nodes = pyramid.nodes
        self._child = np.full((len(nodes), 8), -1, np.int64)
        is_slab = np.zeros(len(nodes), np.bool_)
        is_slab[1:] = (nodes["flags"][nodes["parent"][1:]] & CONTINUES) > 0
        chosen = np.flatnonzero(cut & ~is_slab)[1:]
        octant = sum((nodes[f"i{axis}"][chosen] & 1) << bit for bit, axis in enumerate("xyz"))
        self._child[nodes["parent"][chosen], octant] = chosen
        self._tau = nodes["tau"].copy()
        # From the ends of the chains up: a cell is as deep as its last slab that is shown.
        for slab in np.flatnonzero(cut & is_slab)[::-1].tolist():
            self._tau[nodes["parent"][slab]] = self._tau[slab]
        self._chosen = np.concatenate([[0], chosen])

    def tau(self, node: int) -> Floats:
        """Return, for each row of the tile, tau of the deepest cell of the cut that covers it."""
        pyramid = self._pyramid
        places = pyramid.positions(node, pyramid.planes(node))
        at = np.full(places.shape[1], node, np.int64)
        going = np.arange(places.shape[1])
        last = 0 if pyramid.nodes["flags"][node] & FINE else 16
        for bit in range(31, last - 1, -1):
            if not going.size:
                break
            octant = sum(((codes[going] >> bit) & 1) << i for i, codes in enumerate(places))
            below = self._child[at[going], octant]
            going = going[below >= 0]
            at[going] = below[below >= 0]
        tau = self._tau[at]
        if going.size:
            tau[going] = self._mean_tau[at[going]]
        return np.asarray(tau)

    @cached_property
    def _mean_tau(self) -> Floats:
        """For rows of which no more is known than the cell: the harmonic mean over its rows.

        A coarse tile's positions tell cells apart down to 16 levels below it. Where the cut goes
        deeper still, the mean of 1 / tau over the cell's rows (which n_total gives exactly) keeps
        every sum unbiased.
        """
        nodes = self._pyramid.nodes
        rest = nodes["n_total"].astype(np.float64)
        weighted = np.zeros(len(nodes))
        for node in self._chosen[:0:-1].tolist():
            weighted[node] += rest[node] / self._tau[node]
            parent = nodes["parent"][node]
            weighted[parent] += weighted[node]
            rest[parent] -= nodes["n_total"][node]
        weighted[0] += rest[0] / self._tau[0]
        return np.asarray(nodes["n_total"] / np.maximum(weighted, 1e-300))


def _check_cut(pyramid: Pyramid, cut: Cut) -> None:
    nodes = pyramid.nodes
    if cut.shape != nodes.shape or not cut[0] or not cut[nodes["parent"][cut][1:]].all():
        raise FormatError("a cut has the root, and the parent of each of its nodes")


def _touches(pyramid: Pyramid, grid: Grid) -> npt.NDArray[np.bool_]:
    """Say which nodes' cells have a part, or an edge, in the grid."""
    nodes, about = pyramid.nodes, pyramid.about
    side = about.side / 2.0 ** nodes["level"]
    touches: Any = np.ones(len(nodes), np.bool_)
    size = (grid.width * grid.pixel, grid.height * grid.pixel)
    for axis, (start, extent) in enumerate(zip((grid.x, grid.y), size, strict=True)):
        low = about.origin[axis] + nodes[("ix", "iy")[axis]] * side
        touches = touches & (low <= start + extent) & (low + side >= start)
    return np.asarray(touches)
