"""Clathrin-coated structures on the lower plasma membrane, from flat patches to vesicles."""

from __future__ import annotations

import numpy as np

from smlmfmt.simulate.geometry import Floats, Random, Sites, closed_outline, hard_core, rotated

__all__ = ["clathrin_pits"]

TRIED_PER_UM2 = 2.2
DISTANCE_MIN_NM = 230.0
SITES_PER_PIT = 240
HEIGHT_NM = -60.0  # The membrane lies a little under the focal plane.
CELL_PART = 0.62  # Radius of the cell's footprint, of the field's side.
LOOSE_PART = 0.12  # Sites in clusters too small to be a pit, of all.


def clathrin_pits(random: Random, field_nm: float) -> Sites:
    """Return sites on hollow caps of 100 to 180 nm, closed to different degrees.

    Source:
        Sochacki et al., Nature Nanotechnology 12, 1125 (2017); Mund et al., J. Cell Biol. 222,
        e202206038 (2023): curvature grows with the closing angle at nearly constant area.
    """
    tried = max(3, random.poisson(TRIED_PER_UM2 * (field_nm / 1000) ** 2))
    pits = np.zeros((tried, 3))
    pits[:, :2] = random.random((tried, 2)) * field_nm
    # The cell's edge crosses the field; pits keep off it.
    corner = random.choice([0.12, 0.88], 2) * field_nm
    center = np.append(corner + (field_nm / 2 - corner) * 0.45, 0)
    out = closed_outline(random, pits, center=center, radius=CELL_PART * field_nm)
    pits = pits[(out < 1) | (len(pits) < 12)]
    pits = pits[hard_core(random, pits, DISTANCE_MIN_NM)]
    count = len(pits)
    closing = np.radians(np.clip(random.normal(105, 32, count), 45, 165))
    area_nm2 = random.lognormal(np.log(52_000), 0.2, count)
    radius = np.sqrt(area_nm2 / (2 * np.pi * (1 - np.cos(closing))))
    # Uniform on a cap: the cosine of the polar angle is uniform.
    shape = (count, SITES_PER_PIT)
    cosine = 1 - random.random(shape) * (1 - np.cos(closing))[:, None]
    sine, turn = np.sqrt(1 - cosine**2), random.random(shape) * 2 * np.pi
    outward = np.stack([sine * np.cos(turn), sine * np.sin(turn), cosine], axis=-1)
    outward = rotated(
        outward,
        turn=np.zeros(count),
        tilt=np.abs(random.normal(0, 0.3, count)),
        toward=random.random(count) * 2 * np.pi,
    )
    # The rim stays on the membrane while the cap rises from it.
    pits[:, 2] = HEIGHT_NM + random.normal(0, 12, count) - radius * np.cos(closing)
    caps = (pits[:, None, :] + outward * radius[:, None, None]).reshape(-1, 3)
    loose = _loose(random, pits, count=round(LOOSE_PART * len(caps)), field_nm=field_nm)
    return Sites(
        positions=np.concatenate([caps, loose]),
        outward=np.concatenate([outward.reshape(-1, 3), np.zeros_like(loose)]),
    )


def _loose(random: Random, pits: Floats, *, count: int, field_nm: float) -> Floats:
    """Return sites of triskelia in twos and threes on the membrane around the pits."""
    clusters = max(1, count // 3)
    near = pits[random.integers(0, len(pits), clusters)]
    places = near + random.normal(0, 0.04, (clusters, 3)) * field_nm
    places[:, 2] = HEIGHT_NM
    return np.repeat(places, 3, axis=0) + random.normal(0, 12, (3 * clusters, 3))
