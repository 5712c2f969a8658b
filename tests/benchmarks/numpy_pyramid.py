"""The pyramid's tree and tiles with numpy alone: counting and sorting instead of compiled loops.

It leaves out what costs extra (order within tiles, missing values, histograms), so that what it
takes is less than a whole build without numba would.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt.deflate import in_threads
from smlmfmt.pyramid.tree import Frontier, Tree, grow

Array: TypeAlias = npt.NDArray[Any]

BLOCK = 1 << 20
K = 1 << 14
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def build_sorting(columns: Mapping[str, Array], path: Path, dimension: int) -> None:
    """Write the tiles of a table, breadth first."""
    rows = len(columns["x"])
    axes = [columns[axis] for axis in ("x", "y", "z")[:dimension]]
    side = float(max(np.ptp(axis) for axis in axes))
    lows = [float(axis.min()) for axis in axes]
    slices = [slice(start, start + BLOCK) for start in range(0, rows, BLOCK)]

    def places(part: slice) -> list[Array]:
        scale = 2.0**32 / side
        found = [(axis[part].astype(np.float64) - low) * scale
                 for axis, low in zip(axes, lows, strict=True)]  # fmt: skip
        return [np.minimum(values, 2.0**32 - 1).astype(np.uint32) for values in found]

    def count(frontier: Frontier) -> Array:
        assert frontier.count == 1

        def work(part: slice) -> Array:
            depth = np.uint32(32 - frontier.depth)
            x, y, *z = (place >> depth for place in places(part))
            width = 1 << frontier.depth
            cell = ((z[0].astype(np.int64) if z else 0) * width + y) * width + x
            return np.bincount(cell, minlength=frontier.cells)

        total = np.zeros(frontier.cells, np.int64)
        for counts in in_threads(work, slices):
            total += counts
        return total.astype(np.uint32)

    z_top = int((float(axes[2].max()) - lows[2]) / side * 2**32) if dimension == 3 else 0
    tree = grow(count, total=rows, rows_per_tile=K, dimension=dimension, z_top=z_top)
    nodes = np.concatenate(list(in_threads(lambda part: _nodes(tree, places(part), part), slices)))
    order = np.argsort(nodes.astype(np.uint16), kind="stable")
    ends = np.cumsum(np.bincount(nodes, minlength=len(tree.nodes)))
    with path.open("wb") as file:
        for node, end in enumerate(ends.tolist()):
            part = order[ends[node - 1] if node else 0 : end]
            level = np.uint32(tree.nodes["level"][node])
            cell = [((axis[part].astype(np.float64) - low) * (2.0**32 / side)).astype(np.uint64)
                    for axis, low in zip(axes, lows, strict=True)]  # fmt: skip
            codes = [((place << level) >> np.uint64(16)).astype(np.uint16) for place in cell]
            file.write(np.stack(codes[:2], axis=1).tobytes())
            sigma, photons = (
                np.log(columns[name][part]) for name in ("uncertainty_xy", "intensity")
            )
            lane = [columns["frame"][part].astype(np.uint16), *codes[2:]]
            file.write(np.stack(lane, axis=1).tobytes())
            small = [(values * 20).astype(np.uint8) for values in (sigma, photons)]
            file.write(np.stack(small * (dimension - 1), axis=1).tobytes())


def _nodes(tree: Tree, places: list[Array], part: slice) -> Array:
    row = np.arange(part.start + 1, part.start + 1 + len(places[0]), dtype=np.uint64)
    h = row * GOLDEN
    h = (h ^ (h >> np.uint64(30))) * MIX[0]
    h = (h ^ (h >> np.uint64(27))) * MIX[1]
    u = (h ^ (h >> np.uint64(31))) >> np.uint64(32)
    limit = tree.limit
    at = np.zeros(len(u), np.int32)
    going = np.flatnonzero(u > limit[0])
    bit = 31
    while going.size:
        octant = sum(
            ((place[going] >> np.uint32(bit)) & 1) << axis for axis, place in enumerate(places)
        )
        at[going] = tree.child[at[going], octant]
        going = going[u[going] > limit[at[going]]]
        bit -= 1
    return at
