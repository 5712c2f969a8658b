"""Nuclear pore complexes in the lower nuclear envelope, marked at Nup96."""

from __future__ import annotations

import numpy as np

from smlmfmt.simulate.geometry import Floats, Random, Sites, closed_outline, hard_core, rotated

__all__ = ["nuclear_pores"]

RADIUS_NM = 53.5
RING_DISTANCE_NM = 50.0
COPY_ANGLE = np.radians(12.0)  # Between the two copies of one corner and ring.
TWIST = np.radians(8.8)  # Between the two rings.
TRIED_PER_UM2 = 10.0
DISTANCE_MIN_NM = 145.0
NUCLEUS_PART = 0.44  # Of the field, where the field is large enough to show the whole nucleus.
WHOLE_NUCLEUS_UM = 12.0


def nuclear_pores(random: Random, field_nm: float) -> Sites:
    """Return the 32 copies of Nup96 of each pore: eight corners, two rings, two copies.

    Source:
        Thevathasan et al., Nature Methods 16, 1045 (2019): 107 nm ring diameter, rings 50 nm apart
        and twisted by 8.8 degrees; von Appen et al., Nature 526, 140 (2015).
    """
    tried = random.poisson(TRIED_PER_UM2 * (field_nm / 1000) ** 2)
    pores = np.zeros((tried, 3))
    pores[:, :2] = random.random((tried, 2)) * field_nm
    pores = pores[hard_core(random, pores, DISTANCE_MIN_NM)]
    center = np.full(3, field_nm / 2)
    toward = np.arctan2(*(pores[:, :2] - center[:2]).T[::-1])
    tilt = np.zeros(len(pores))
    if field_nm >= WHOLE_NUCLEUS_UM * 1000:
        out = closed_outline(random, pores, center=center, radius=NUCLEUS_PART * field_nm)
        # The envelope is flat on the glass and turns up at its rim, out of focus and on edge.
        pores[:, 2] = 450 * np.clip(out, 0, 1.2) ** 6
        tilt = np.arctan(1.2 * np.clip(out, 0, 1.2) ** 8)
        inside = out < 1.02
        pores, toward, tilt = pores[inside], toward[inside], tilt[inside]
    pores[:, 2] += random.normal(0, 15, len(pores))
    turn = random.random(len(pores)) * 2 * np.pi
    tilt = tilt + np.abs(random.normal(0, np.radians(5), len(pores)))
    sites = _pore() + random.normal(0, 1.5, (len(pores), 32, 3))
    sites = rotated(sites, turn=turn, tilt=tilt, toward=toward) + pores[:, None, :]
    positions = sites.reshape(-1, 3)
    return Sites(positions=positions, outward=np.zeros_like(positions))


def _pore() -> Floats:
    """Return one pore's 32 sites around its centre."""
    corner = np.arange(8)[:, None, None] * np.pi / 4
    ring = np.array([-0.5, 0.5])[None, :, None]
    copy = np.array([-0.5, 0.5])[None, None, :]
    angle = corner + ring * TWIST + copy * COPY_ANGLE
    height = np.broadcast_to(ring * RING_DISTANCE_NM, angle.shape)
    sites = np.stack([RADIUS_NM * np.cos(angle), RADIUS_NM * np.sin(angle), height], axis=-1)
    return sites.reshape(1, 32, 3)
