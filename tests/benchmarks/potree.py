"""Which points Potree shows at which level: the samplers of PotreeConverter 2, for comparison.

What they do, as published (PotreeConverter, Converter/include/sampler_poisson.h of 0a07493 and
sampler_random.h of 0050351; octree nodes of fewer than 10,000 points are leaves, spacing is the
cube's side / 128, halved per level): from the leaves up, a node takes points out of its children.
"poisson": in the order of their distance from the node's centre, those that are not nearer than the
spacing to one taken before. "random": per cell of 128^3 the first that comes within 0.7 of the
cell's half diagonal; all of a child with fewer than 100.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numba
import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]
Array: TypeAlias = Any

LEAF_POINTS = 10_000
GRID = 128
CHECKS_MAX = 10_000


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    return cast("Callable[..., None]", numba.njit(nogil=True)(function))


@compiled
def poisson(points: Array, distances: Array, spacing: float, accepted: Array) -> None:
    """Mark the accepted; points, (n, 3), are relative to the centre and ordered by distance."""
    taken = np.empty(len(points), np.int64)
    count = 0
    for candidate in range(len(points)):
        limit = (math.sqrt(distances[candidate]) - spacing) ** 2
        is_free, checks, other = True, 0, count - 1
        while other >= 0 and checks <= CHECKS_MAX:
            near = taken[other]
            if distances[near] < limit:
                break
            gap = 0.0
            for axis in range(3):
                gap += (points[near, axis] - points[candidate, axis]) ** 2
            if gap < spacing * spacing:
                is_free = False
                break
            checks += 1
            other -= 1
        if is_free:
            taken[count] = candidate
            count += 1
            accepted[candidate] = True


@compiled
def one_per_cell(places: Array, is_small: Array, used: Array, stamp: int, accepted: Array) -> None:
    """Mark the accepted; places, (n, 3), are 0 to 1 in the node."""
    for point in range(len(places)):
        cell, off = 0, 0.0
        for axis in range(3):
            at = places[point, axis] * GRID
            cell += min(max(int(at), 0), GRID - 1) * GRID**axis
            off += (2 * (at % 1.0) - 1) ** 2
        near = math.sqrt(off) < 0.7 * math.sqrt(3.0)
        if is_small[point] or (near and used[cell] < stamp):
            used[cell] = stamp
            accepted[point] = True


class Octree:
    """Levels of points under one of the samplers."""

    def __init__(self, points: Floats, method: str, seed: int = 0) -> None:
        self.points, self.method = points, method
        self.level = np.zeros(len(points), np.int64)
        self._low = points.min(axis=0)
        self._side = float(np.ptp(points, axis=0).max())
        self._used = np.zeros(GRID**3, np.int64)
        self._stamp = 0
        self._rng = np.random.default_rng(seed)
        self._node(np.arange(len(points)), self._low, 0)

    def _node(self, indices: Indices, low: Floats, level: int) -> Indices:
        """Give the points below a node their levels; return those that are its own so far."""
        side = self._side / 2**level
        if len(indices) < LEAF_POINTS or level > 20:
            self.level[indices] = level
            return self._rng.permutation(indices) if self.method == "random" else indices
        upper = self.points[indices] >= low + side / 2
        octant = upper @ np.array([4, 2, 1])
        children = []
        for number in range(8):
            part = indices[octant == number]
            if len(part):
                corner = low + side / 2 * np.array([number >> 2, (number >> 1) & 1, number & 1])
                children.append(self._node(part, corner, level + 1))
        own = np.concatenate(children)
        if self.method == "poisson":
            chosen = self._poisson(own, low + side / 2, self._side / GRID / 2**level)
        else:
            small = np.concatenate([np.full(len(part), len(part) < 100) for part in children])
            chosen = self._random(own, (self.points[own] - low) / side, small)
        self.level[chosen] = level
        return chosen

    def _poisson(self, own: Indices, centre: Floats, spacing: float) -> Indices:
        relative = self.points[own] - centre
        distances = (relative**2).sum(axis=1)
        order = np.argsort(distances)
        accepted = np.zeros(len(own), np.bool_)
        poisson(relative[order], distances[order], spacing, accepted)
        return own[order[accepted]]

    def _random(self, own: Indices, places: Floats, small: npt.NDArray[np.bool_]) -> Indices:
        self._stamp += 1
        accepted = np.zeros(len(own), np.bool_)
        one_per_cell(places, small, self._used, self._stamp, accepted)
        return own[accepted]
