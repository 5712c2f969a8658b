"""The microtubules of a flat, adherent cell."""

from __future__ import annotations

import numpy as np

from smlmfmt.simulate.geometry import Random, Sites, worm_like_chains

__all__ = ["microtubules"]

RADIUS_NM = 12.5
PROTOFILAMENTS = 13
FILAMENTS_PER_UM = 2.6  # Of the field's side.
SITES_PER_UM = 420.0  # Epitopes that an antibody reaches, along one filament.
STEP_NM = 50.0


def microtubules(random: Random, field_nm: float) -> Sites:
    """Return sites on the walls of hollow filaments, most of them from one organizing centre.

    Source:
        Radius 12.5 nm, 13 protofilaments: Nogales, Annu. Rev. Biochem. 69, 277 (2000). Bending on
        the scale of some 10 um in cells: Brangwynne et al., J. Cell Biol. 173, 733 (2006).
    """
    filaments = max(6, round(FILAMENTS_PER_UM * field_nm / 1000))
    side = random.random() * 2 * np.pi
    center = field_nm / 2 + 0.62 * field_nm * np.array([np.cos(side), np.sin(side)])
    aster = round(0.75 * filaments)
    starts = np.zeros((filaments, 3))
    starts[:, :2] = center + random.normal(0, 0.07 * field_nm, (filaments, 2))
    headings = side + np.pi + random.uniform(-1.1, 1.1, filaments)
    # The rest pass through, at any place and direction.
    starts[aster:, :2] = random.random((filaments - aster, 2)) * field_nm
    headings[aster:] = random.random(filaments - aster) * 2 * np.pi
    starts[:, 2] = random.normal(0, 140, filaments)
    steps = int(1.7 * field_nm / STEP_NM)
    chains = worm_like_chains(
        random,
        starts=starts,
        headings=headings,
        steps=steps,
        step_nm=STEP_NM,
        curvature_per_um=0.11,
        memory_um=3.5,
        wave_nm=70,
    )
    lengths = steps * STEP_NM * random.uniform(0.55, 1.0, filaments)
    counts = random.poisson(lengths / 1000 * SITES_PER_UM)
    chain = np.repeat(np.arange(filaments), counts)
    along = random.random(len(chain)) * lengths[chain]
    positions, tangents = chains.at(chain, along)
    # The lattice twists slowly, so that each protofilament comes up on every side.
    angle = random.integers(0, PROTOFILAMENTS, len(chain)) * (2 * np.pi / PROTOFILAMENTS)
    angle = angle + along / 1000
    across = np.stack([-tangents[:, 1], tangents[:, 0], np.zeros(len(chain))], axis=1)
    across /= np.linalg.norm(across, axis=1)[:, None]
    up = np.cross(tangents, across)
    outward = across * np.cos(angle)[:, None] + up * np.sin(angle)[:, None]
    return Sites(positions=positions + RADIUS_NM * outward, outward=outward)
