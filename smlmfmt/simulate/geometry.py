"""Shapes that the structures of a cell are made of, as arrays of points in nm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "Chains",
    "Floats",
    "Random",
    "Sites",
    "closed_outline",
    "hard_core",
    "rotated",
    "smooth_noise",
    "worm_like_chains",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Random: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """Places a label can bind to.

    Attributes:
        positions: Shape (n, 3), nm; z = 0 is the focal plane.
        outward: Unit vectors away from the structure, shape (n, 3), where a label must stand; zero
            where it may stand anywhere around its site.
    """

    positions: Floats
    outward: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """Curves of equal numbers of steps: shape (chains, steps, 3), nm, one step apart."""

    points: Floats
    step_nm: float

    def at(self, chain: npt.NDArray[np.intp], along_nm: Floats) -> tuple[Floats, Floats]:
        """Return places and unit tangents on chains; beyond an end the tangent goes on."""
        last = self.points.shape[1] - 2
        place = along_nm / self.step_nm
        index = np.clip(place.astype(np.intp), 0, last)
        start, stop = self.points[chain, index], self.points[chain, index + 1]
        positions = start + (stop - start) * (place - index)[:, None]
        # Tangents of neighbouring steps are mixed, or a tube would break at every step.
        after = np.minimum(index + 1, last)
        bend = self.points[chain, after + 1] - self.points[chain, after] - (stop - start)
        tangents = stop - start + bend * np.clip(place - index, 0, 1)[:, None]
        return positions, tangents / np.linalg.norm(tangents, axis=1)[:, None]


def worm_like_chains(  # noqa: PLR0913 - a filament's shape has this many numbers.
    random: Random,
    *,
    starts: Floats,
    headings: Floats,
    steps: int,
    step_nm: float,
    curvature_per_um: float,
    memory_um: float,
    wave_nm: float,
) -> Chains:
    """Return smooth random curves in the plane, gently waving in z.

    The curvature is an Ornstein-Uhlenbeck process along the curve, so that filaments bend smoothly
    and keep a bend for a while, as stiff filaments under load in a cell do.

    Args:
        starts: Shape (n, 3), nm.
        headings: Shape (n,), radians.
        random: Where chance comes from.
        steps: Points per chain.
        step_nm: Distance of two points.
        curvature_per_um: Root mean square curvature.
        memory_um: Length over which the curvature is remembered.
        wave_nm: Standard deviation of z along a chain.
    """
    chains = len(starts)
    keep = np.exp(-step_nm / 1000 / memory_um)
    kicks = random.normal(size=(steps, chains)) * curvature_per_um * np.sqrt(1 - keep**2)
    bend = random.normal(size=chains) * curvature_per_um
    curvatures = np.empty((steps, chains))
    for index in range(steps):
        curvatures[index] = bend
        bend = keep * bend + kicks[index]
    angle = headings + np.cumsum(curvatures, axis=0) * step_nm / 1000
    points = np.empty((chains, steps, 3))
    points[:, :, 0] = starts[:, :1] + np.cumsum(np.cos(angle), axis=0).T * step_nm
    points[:, :, 1] = starts[:, 1:2] + np.cumsum(np.sin(angle), axis=0).T * step_nm
    length_um = steps * step_nm / 1000
    waves = smooth_noise(random, rows=chains, count=steps, knots=2 + round(length_um / 2.5))
    points[:, :, 2] = starts[:, 2:] + wave_nm * waves
    return Chains(points=points, step_nm=step_nm)


def smooth_noise(random: Random, *, rows: int, count: int, knots: int) -> Floats:
    """Return smooth random rows of mean 0 and standard deviation near 1, shape (rows, count)."""
    values = random.normal(size=(rows, knots + 1))
    at = np.linspace(0, knots - 1e-9, count)
    index = at.astype(np.intp)
    part = (1 - np.cos(np.pi * (at - index))) / 2
    return np.asarray(values[:, index] * (1 - part) + values[:, index + 1] * part)


def hard_core(random: Random, points: Floats, distance: float) -> npt.NDArray[np.bool_]:
    """Return which points to keep so that no two are closer: the Matern II process.

    Of two that are too close the one of later, random arrival goes, whether or not the other
    itself survives.
    """
    order = np.argsort(points[:, 0])
    sorted_points, arrival = points[order], random.random(len(points))
    keep = np.ones(len(points), np.bool_)
    for shift in range(1, len(points)):
        gap = sorted_points[shift:] - sorted_points[:-shift]
        if not (gap[:, 0] < distance).any():
            break
        close = np.square(gap[:, :2]).sum(axis=1) < distance**2
        later = arrival[shift:] > arrival[:-shift]
        keep[shift:] &= ~(close & later)
        keep[:-shift] &= ~(close & ~later)
    kept = np.empty_like(keep)
    kept[order] = keep
    return kept


def closed_outline(random: Random, points: Floats, *, center: Floats, radius: float) -> Floats:
    """Return each point's distance from the centre relative to a roundish, uneven outline's."""
    offset = points[:, :2] - center[:2]
    angle = np.arctan2(offset[:, 1], offset[:, 0])
    edge = np.full(len(points), radius)
    for wave in range(2, 6):
        size, phase = random.normal() * 0.11 / wave, random.random() * 2 * np.pi
        edge += radius * size * np.cos(wave * angle + phase)
    return np.asarray(np.linalg.norm(offset, axis=1) / edge)


def rotated(points: Floats, *, turn: Floats, tilt: Floats, toward: Floats) -> Floats:
    """Return points (n, k, 3) turned about z by turn (n,), then tilted towards a direction (n,)."""
    about = turn - toward
    x = points[..., 0] * np.cos(about)[:, None] - points[..., 1] * np.sin(about)[:, None]
    y = points[..., 0] * np.sin(about)[:, None] + points[..., 1] * np.cos(about)[:, None]
    cos_tilt, sin_tilt = np.cos(tilt)[:, None], np.sin(tilt)[:, None]
    x, z = x * cos_tilt + points[..., 2] * sin_tilt, points[..., 2] * cos_tilt - x * sin_tilt
    cos_to, sin_to = np.cos(toward)[:, None], np.sin(toward)[:, None]
    return np.stack([x * cos_to - y * sin_to, x * sin_to + y * cos_to, z], axis=-1)
