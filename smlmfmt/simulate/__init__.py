"""Make localization tables with the structure and the physics of real ones.

A structure places the sites that labels bind to; an experiment labels some of them, lets them
blink, counts their photons and localizes them as well as the photons allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from smlmfmt.errors import FormatError
from smlmfmt.simulate.acquisition import acquire, localization_precision
from smlmfmt.simulate.clathrin import clathrin_pits
from smlmfmt.simulate.experiment import (
    ALEXA_647,
    CY3B_PAINT,
    MEOS2,
    SILICON_RHODAMINE,
    Experiment,
    Fluorophore,
)
from smlmfmt.simulate.geometry import Random, Sites
from smlmfmt.simulate.microtubules import microtubules
from smlmfmt.simulate.mitochondria import mitochondria
from smlmfmt.simulate.nuclear_pores import nuclear_pores
from smlmfmt.table import LocTable

__all__ = [
    "ALEXA_647",
    "CY3B_PAINT",
    "MEOS2",
    "SILICON_RHODAMINE",
    "STRUCTURES",
    "Experiment",
    "Fluorophore",
    "localization_precision",
    "simulate",
]

STRUCTURES: Mapping[str, Callable[[Random, float], Sites]] = MappingProxyType(
    {
        "nuclear_pores": nuclear_pores,
        "microtubules": microtubules,
        "mitochondria": mitochondria,
        "clathrin": clathrin_pits,
    }
)
DEFAULTS: Mapping[str, Experiment] = MappingProxyType(
    {
        "nuclear_pores": Experiment(linkage_nm=4.0, labelling=0.6),
        "microtubules": Experiment(linkage_nm=12.0, labelling=0.5),
        "mitochondria": Experiment(linkage_nm=10.0, dimension=3),
        "clathrin": Experiment(linkage_nm=10.0),
    }
)


def simulate(
    structure: str, *, seed: int, localizations: int, experiment: Experiment | None = None
) -> LocTable:
    """Return a table of exactly this many localizations; the same seed gives the same table.

    Args:
        structure: One of STRUCTURES.
        seed: Not negative.
        localizations: Rows, zero or more.
        experiment: Field, dye and labelling; None takes what is usual for the structure.

    Returns:
        Columns frame (from 1), x, y, z if the experiment is in 3D, sigma (sigma_x, sigma_y),
        intensity, background, uncertainty_xy (and uncertainty_z); lengths in nm.

    Raises:
        FormatError: There is no such structure.
    """
    try:
        place = STRUCTURES[structure]
    except KeyError:
        known = ", ".join(STRUCTURES)
        raise FormatError(f"no structure {structure!r} to simulate; there are {known}") from None
    setup = experiment or DEFAULTS[structure]
    random = np.random.default_rng(seed)
    sites = place(random, setup.field_um * 1000)
    table = acquire(sites, random, localizations=localizations, experiment=setup)
    table.name = structure
    table.metadata = {"simulated": True, "structure": structure, "seed": seed}
    return table
