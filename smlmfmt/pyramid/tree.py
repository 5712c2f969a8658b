"""The tau-tree: which cells there are, and with which probability each holds a row.

Every row i has a hash u_i, uniform over 32 bits and independent of what the row says. A cell C with
N_C rows has a limit: that of its parent plus K/N_C of all hashes, or all of them (a leaf) if no
more than 1.5 K rows are expected to be left. A row is stored in the first cell on its way down
whose limit its hash does not exceed. So the tiles from the root down to C hold, of the rows in C,
exactly those with u_i <= limit_C: a Bernoulli sample of probability tau_C = (limit_C + 1) / 2**32.

Only cells with rows become nodes, in breadth-first order: the children of a node lie behind one
another, in the order of their octants. Cells end at LEVEL_MAX. Rows that still are too many there
(identical ones, say) go into a chain of nodes of that same cell, whose limits rise by equal steps:
a node "continues" in its one child.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import SizeLimitError
from smlmfmt.pyramid.layout import LEVEL_MAX, LIMIT_MAX, NODES_MAX

__all__ = ["Frontier", "Tree", "grow"]

Array: TypeAlias = npt.NDArray[Any]

LEAF_FACTOR = 1.5
CELLS_MAX = 1 << 22  # Cells counted at once: 16 MiB, which a processor's cache can hold.

NODE = np.dtype(
    [
        ("parent", np.int64),
        ("total", np.int64),
        ("limit", np.int64),
        ("ix", np.int64),
        ("iy", np.int64),
        ("iz", np.int64),
        ("level", np.int64),
        ("octant", np.int64),
        ("is_slab", np.bool_),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """Cells to look into: their slots by node (-1: not one), levels to go down, layers of z."""

    child: npt.NDArray[np.int32]
    slot: npt.NDArray[np.int32]
    count: int
    depth: int
    height: int

    @property
    def cells(self) -> int:
        """How many counters that takes."""
        return self.count * self.height << (2 * self.depth)


Count: TypeAlias = Callable[[Frontier], npt.NDArray[np.uint32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The nodes, breadth first.

    Attributes:
        nodes: Structured array of NODE; `parent` of the root is -1.
        child: Shape (nodes, 8): the node of each octant, or -1.
        chain: Shape (nodes, 3): for a node that continues and does not itself continue another:
            where its slabs start in `slabs`, how many, and the step of their limits. Else zeros.
        slabs: The nodes of all chains, chain after chain.
    """

    nodes: Array
    child: npt.NDArray[np.int32]
    chain: npt.NDArray[np.int64]
    slabs: npt.NDArray[np.int32]

    @property
    def limit(self) -> npt.NDArray[np.uint32]:
        """The limit of each node."""
        return np.ascontiguousarray(self.nodes["limit"].astype(np.uint32))


def grow(count: Count, *, total: int, rows_per_tile: int, dimension: int, z_top: int) -> Tree:
    """Return the tree of a set of rows.

    Args:
        count: Counts rows in the cells below a frontier: one reading of the input.
        total: Rows in all.
        rows_per_tile: K.
        dimension: 2 or 3.
        z_top: The highest z position, of 32 bits.

    Raises:
        SizeLimitError: That would be more than NODES_MAX nodes.
    """
    k = rows_per_tile
    root = np.zeros(1, NODE)
    root["parent"], root["total"] = -1, total
    root["limit"] = _limits(root["total"], np.array([-1]), k)
    layers, live = [root], np.flatnonzero(root["limit"] < LIMIT_MAX)
    base, level = 0, 0
    while live.size and level < LEVEL_MAX:
        depth, height = _reach(len(live), level, dimension=dimension, z_top=z_top)
        frontier = _frontier(layers, base + live, depth=depth, height=height)
        counts = count(frontier).reshape(len(live), height, 1 << depth, 1 << depth)
        sums = _sums(counts, depth)
        slots, local = np.arange(len(live)), np.zeros((3, len(live)), np.int64)
        for down in range(1, depth + 1):
            parents = base + live
            base += len(layers[-1])
            layer, slots, local = _children(
                layers[-1][live], parents, sums[down], slots=slots, local=local
            )
            layer["limit"] = _limits(layer["total"], _up(layers[-1], layer, base), k)
            layers.append(layer)
            _check(base + len(layer))
            live = np.flatnonzero(layer["limit"] < LIMIT_MAX)
            slots, local = slots[live], local[:, live]
            if not live.size:
                break
        level = int(layers[-1]["level"][0])
    return _finish(layers, live, base=base, k=k)


def _limits(total: Array, above: Array, k: int) -> Array:
    """Return the limits of cells from their rows and their parents' limits (-1 for the root)."""
    rest = total * ((LIMIT_MAX - above) / 2.0**32)
    steps = np.maximum(np.rint(k / np.maximum(total, 1) * 2.0**32), 1).astype(np.int64)
    is_leaf = (rest <= LEAF_FACTOR * k) | (above + steps >= LIMIT_MAX)
    return np.where(is_leaf, LIMIT_MAX, above + steps)


def _up(parents: Array, layer: Array, base: int) -> Array:
    return np.asarray(parents["limit"][layer["parent"] - (base - len(parents))])


def _check(count: int) -> None:
    if count > NODES_MAX:
        raise SizeLimitError(
            f"more than {NODES_MAX} tiles: give a larger rows_per_tile for so many rows"
        )


def _reach(count: int, level: int, *, dimension: int, z_top: int) -> tuple[int, int]:
    """Return how many levels to go down from so many cells, and how many layers of z that is."""
    best = (1, 1 if dimension == 2 else 2)
    for depth in range(1, LEVEL_MAX - level + 1):
        height = 1 if dimension == 2 else 1 << depth
        if dimension == 3 and level == 0:
            height = (z_top >> (32 - depth)) + 1  # Flat samples: no counters where nothing is.
        if depth > 1 and count * height << (2 * depth) > CELLS_MAX:
            break
        best = (depth, height)
    return best


def _frontier(layers: list[Array], live: Array, *, depth: int, height: int) -> Frontier:
    nodes = np.concatenate(layers)
    slot = np.full(len(nodes), -1, np.int32)
    slot[live] = np.arange(len(live))
    return Frontier(
        child=_child_table(nodes), slot=slot, count=len(live), depth=depth, height=height
    )


def _child_table(nodes: Array) -> npt.NDArray[np.int32]:
    child = np.full((len(nodes), 8), -1, np.int32)
    ids = np.arange(1, len(nodes))
    ids = ids[~nodes["is_slab"][1:]]
    child[nodes["parent"][ids], nodes["octant"][ids]] = ids
    return child


def _sums(counts: Array, depth: int) -> list[Array]:
    """Return the counts per level, from the frontier's own (0) to `depth` below it."""
    sums = [counts.astype(np.int64)]
    for _ in range(depth):
        below = sums[-1]
        if below.shape[1] > 1 and below.shape[1] % 2:
            below = np.pad(below, [(0, 0), (0, 1), (0, 0), (0, 0)])
        pairs = below[:, :, 0::2] + below[:, :, 1::2]
        quads = pairs[..., 0::2] + pairs[..., 1::2]
        sums.append(quads if quads.shape[1] == 1 else quads[:, 0::2] + quads[:, 1::2])
    return sums[::-1]


def _children(
    parents: Array, ids: Array, sums: Array, *, slots: Array, local: Array
) -> tuple[Array, Array, Array]:
    """Return the cells with rows below some nodes, and where those cells are in the counts."""
    octants = np.arange(8)
    bits = np.stack([octants & 1, (octants >> 1) & 1, octants >> 2])
    place = 2 * local[:, :, None] + bits[:, None, :]
    inside = place[2] < sums.shape[1]
    z = np.where(inside, place[2], 0)
    total = np.where(inside, sums[slots[:, None], z, place[1], place[0]], 0)
    parent, octant = np.nonzero(total)
    layer = np.zeros(len(parent), NODE)
    layer["parent"], layer["octant"] = ids[parent], octant
    layer["total"] = total[parent, octant]
    layer["level"] = parents["level"][parent] + 1
    for axis, name in enumerate(("ix", "iy", "iz")):
        layer[name] = 2 * parents[name][parent] + bits[axis][octant]
    return layer, slots[parent], place[:, parent, octant]


def _finish(layers: list[Array], live: Array, *, base: int, k: int) -> Tree:
    """Add the chains of slabs below the cells in `live`, which can be divided no more."""
    heads = base + live
    limits = layers[-1]["limit"][live]
    steps = np.maximum(np.rint(k / layers[-1]["total"][live] * 2.0**32), 1).astype(np.int64)
    while live.size:
        above = layers[-1][live]
        base += len(layers[-1])
        layer = above.copy()
        layer["parent"] = base - len(layers[-1]) + live
        layer["octant"], layer["is_slab"] = 0, True
        layer["limit"] = _limits(above["total"], above["limit"], k)
        layers.append(layer)
        _check(base + len(layer))
        live = np.flatnonzero(layer["limit"] < LIMIT_MAX)
    nodes = np.concatenate(layers)
    starts, slabs = _chains(nodes, heads)
    lengths = np.diff(starts)
    chain = np.zeros((len(nodes), 3), np.int64)
    chain[heads] = np.stack([starts[:-1], lengths, steps], axis=1)
    assert all(nodes["limit"][slabs[starts[:-1]]] >= np.minimum(limits + steps, LIMIT_MAX))
    return Tree(nodes=nodes, child=_child_table(nodes), chain=chain, slabs=slabs)


def _chains(nodes: Array, heads: Array) -> tuple[Array, npt.NDArray[np.int32]]:
    """Return where each chain's nodes start in the list of all, and that list."""
    head = np.arange(len(nodes))
    slabs = np.flatnonzero(nodes["is_slab"])
    for node in slabs:
        head[node] = head[nodes["parent"][node]]
    order = np.argsort(head[slabs], kind="stable")
    starts = np.searchsorted(head[slabs][order], np.append(heads, len(nodes)))
    return starts, slabs[order].astype(np.int32)
