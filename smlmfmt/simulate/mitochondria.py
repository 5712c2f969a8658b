"""The mitochondrial network, marked at its outer membrane."""

from __future__ import annotations

import numpy as np

from smlmfmt.simulate.geometry import Chains, Floats, Random, Sites, hard_core, worm_like_chains

__all__ = ["mitochondria"]

TRIED_PER_UM2 = 0.7
SITES_PER_UM2 = 750.0  # Of membrane.
CLUSTER_NM = 22.0
CLUSTER_SITES = 5.0
STEP_NM = 60.0
STEPS = 150


def mitochondria(random: Random, field_nm: float) -> Sites:
    """Return sites in small clusters on the membranes of branched, winding tubes.

    Source:
        Tubes of 0.3 to 0.6 um and Tom20 in clusters: Wurm et al., PNAS 108, 13546 (2011).
    """
    chains, lengths = _tubes(random, field_nm)
    tubes = len(lengths)
    radii = np.clip(random.normal(165, 28, tubes), 110, 240)
    area_um2 = 2 * np.pi * radii * (lengths + 2 * radii) * 1e-6
    clusters = random.poisson(area_um2 * SITES_PER_UM2 / CLUSTER_SITES)
    tube = np.repeat(np.arange(tubes), clusters)
    radius = radii[tube]
    along = random.random(len(tube)) * (lengths[tube] + 2 * radius) - radius
    angle = random.random(len(tube)) * 2 * np.pi
    copies = 1 + random.poisson(CLUSTER_SITES - 1, len(tube))
    tube, radius = np.repeat(tube, copies), np.repeat(radius, copies)
    along = np.repeat(along, copies) + random.normal(0, CLUSTER_NM, len(tube))
    angle = np.repeat(angle, copies) + random.normal(0, CLUSTER_NM, len(tube)) / radius
    return _membrane(chains, tube=tube, along=along, angle=angle, lengths=lengths, radius=radius)


def _tubes(random: Random, field_nm: float) -> tuple[Chains, Floats]:
    """Return the tubes' middle lines and lengths; a third start on another one as branches."""
    tried = max(4, random.poisson(TRIED_PER_UM2 * (field_nm / 1000) ** 2))
    starts = np.zeros((tried, 3))
    starts[:, :2] = random.uniform(-0.08, 1.08, (tried, 2)) * field_nm
    # No mitochondria in the nucleus, which lies at one corner of the field.
    nucleus = random.choice([0.05, 0.95], 2) * field_nm
    away = np.linalg.norm(starts[:, :2] - nucleus, axis=1) > 0.33 * field_nm
    starts = starts[away & hard_core(random, starts, 1000.0)]
    starts[:, 2] = random.normal(0, 130, len(starts))
    offset = starts[:, :2] - nucleus
    headings = np.arctan2(offset[:, 1], offset[:, 0]) + random.normal(0, 0.9, len(starts))
    shape = {"step_nm": STEP_NM, "curvature_per_um": 0.6, "memory_um": 1.3, "wave_nm": 90.0}
    main = worm_like_chains(random, starts=starts, headings=headings, steps=STEPS, **shape)
    lengths = np.clip(random.lognormal(8.3, 0.6, len(starts)), 500, (STEPS - 2) * STEP_NM)
    parents = np.flatnonzero(random.random(len(starts)) < 0.35)
    forks = lengths[parents] * random.uniform(0.25, 0.8, len(parents))
    fork_points, tangents = main.at(parents, forks)
    turns = random.choice([-1.0, 1.0], len(parents)) * random.uniform(0.8, 1.4, len(parents))
    branch_headings = np.arctan2(tangents[:, 1], tangents[:, 0]) + turns
    branches = worm_like_chains(
        random, starts=fork_points, headings=branch_headings, steps=STEPS, **shape
    )
    # A branch leaves its parent at the parent's height.
    branches.points[:, :, 2] += (fork_points[:, 2] - branches.points[:, 0, 2])[:, None]
    branch_lengths = np.clip(random.lognormal(7.4, 0.5, len(parents)), 500, 6000)
    points = np.concatenate([main.points, branches.points])
    return Chains(points=points, step_nm=STEP_NM), np.concatenate([lengths, branch_lengths])


def _membrane(  # noqa: PLR0913 - cylinder coordinates of sites on many tubes.
    chains: Chains,
    *,
    tube: np.ndarray[tuple[int], np.dtype[np.intp]],
    along: Floats,
    angle: Floats,
    lengths: Floats,
    radius: Floats,
) -> Sites:
    """Return sites on tubes with round ends; `along` runs from -radius to length + radius."""
    along = np.clip(along, -radius, lengths[tube] + radius)
    middle, tangents = chains.at(tube, np.clip(along, 0, lengths[tube]))
    beyond = along - np.clip(along, 0, lengths[tube])
    across = np.stack([-tangents[:, 1], tangents[:, 0], np.zeros(len(tube))], axis=1)
    across /= np.linalg.norm(across, axis=1)[:, None]
    up = np.cross(tangents, across)
    ring = across * np.cos(angle)[:, None] + up * np.sin(angle)[:, None]
    # Waists and swellings along each tube.
    swell = 1 + 0.13 * np.sin(along / 410 + tube * 1.7) + 0.08 * np.sin(along / 173 + tube)
    size = radius * swell
    share = np.clip(np.abs(beyond) / radius, 0, 1)
    outward = ring * np.sqrt(1 - share**2)[:, None]
    outward = outward + tangents * (np.sign(beyond) * share)[:, None]
    return Sites(positions=middle + outward * size[:, None], outward=outward)
