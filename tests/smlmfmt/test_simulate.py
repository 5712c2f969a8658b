import math
from dataclasses import replace

import numpy as np
import pytest

from smlmfmt import FormatError
from smlmfmt.simulate import (
    CY3B_PAINT,
    MEOS2,
    STRUCTURES,
    Experiment,
    localization_precision,
    simulate,
)
from smlmfmt.simulate.geometry import hard_core, worm_like_chains
from smlmfmt.simulate.nuclear_pores import nuclear_pores

SMALL = Experiment(field_um=6)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("dimension", [2, 3])
def test_the_same_seed_gives_the_same_table(structure: str, dimension: int) -> None:
    setup = replace(SMALL, dimension=dimension)
    first, again, other = (
        simulate(structure, seed=seed, localizations=3_000, experiment=setup) for seed in (7, 7, 8)
    )
    assert len(first) == len(other) == 3_000
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["x"], other["x"])


@pytest.mark.parametrize("structure", STRUCTURES)
def test_tables_are_what_a_localization_program_writes(structure: str) -> None:
    table = simulate(
        structure, seed=1, localizations=20_000, experiment=replace(SMALL, dimension=3)
    )
    facts = table.summary()
    assert facts.dimension == 3
    assert facts.non_finite == 0
    assert table.frame_origin == 1
    assert facts.frames is not None
    assert facts.frames.first >= 1
    assert (np.diff(table["frame"]) >= 0).all()
    assert table.units["x"] == "nm"
    assert table.units["intensity"] == "photon"
    assert {"z", "sigma_x", "sigma_y", "background", "uncertainty_z"} <= set(table)
    assert (table["intensity"] > 0).all()
    for axis in ("x", "y"):
        assert table[axis].min() > -200
        assert table[axis].max() < 6_200


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_tiny_tables_are_made(structure: str, rows: int) -> None:
    assert len(simulate(structure, seed=3, localizations=rows, experiment=SMALL)) == rows


@pytest.mark.parametrize("structure", STRUCTURES)
def test_tiny_fields_are_made(structure: str) -> None:
    setup = Experiment(field_um=0.3, frames=5)
    table = simulate(structure, seed=3, localizations=500, experiment=setup)
    assert len(table) == 500
    assert table["frame"].max() <= 5


def test_unknown_structures_are_refused() -> None:
    with pytest.raises(FormatError, match="microtubules"):
        simulate("golgi", seed=1, localizations=10)


def test_precision_follows_the_published_formula() -> None:
    def precision(photons: float, background: float) -> float:
        values = [np.array([value]) for value in (photons, background, 130.0)]
        found = localization_precision(
            values[0], background=values[1], psf_nm=values[2], pixel_nm=100
        )
        return float(found[0])

    # Without background it is the PSF (with the pixel's own variance) over the root of N.
    assert precision(1000, 0) == pytest.approx(math.sqrt((130**2 + 100**2 / 12) / 1000))
    # By hand: s_a^2 = 17733.3, tau = 0.33427, var = 17.7333 (1 + 1.33708 + 0.53490) = 50.93.
    assert precision(1000, 30) == pytest.approx(7.137, abs=0.01)


def test_brighter_dyes_are_localized_better() -> None:
    medians = [
        simulate(
            "clathrin", seed=1, localizations=5_000, experiment=replace(SMALL, fluorophore=dye)
        )
        .summary()
        .uncertainty_nm
        or 0
        for dye in (CY3B_PAINT, MEOS2)
    ]
    assert medians[0] < 4
    assert 9 < medians[1] < 18


def test_pores_have_two_rings_of_eight_corners() -> None:
    sites = nuclear_pores(np.random.default_rng(5), 4_000).positions.reshape(-1, 32, 3)
    relative = sites - sites.mean(axis=1, keepdims=True)
    radii = np.linalg.norm(relative[..., :2], axis=2)
    assert radii.mean() == pytest.approx(53.5, abs=1.5)
    heights = relative[..., 2].reshape(-1, 8, 2, 2).mean(axis=(1, 3))
    assert np.abs(heights[:, 1] - heights[:, 0]).mean() == pytest.approx(50, abs=1.5)
    # Turned back by their eightfold mean phase, the corners stand 45 degrees apart.
    angle = np.arctan2(relative[..., 1], relative[..., 0])
    phase = np.exp(8j * angle).mean(axis=1)
    assert np.abs(phase).mean() > 0.5
    for fold in (5, 6, 7):
        assert np.abs(np.exp(1j * fold * angle).mean(axis=1)).mean() < 0.1


def test_blinks_scatter_as_their_uncertainty_says() -> None:
    # One pore's worth of sites, no drift: an event's frames share a place, so the difference of
    # its two localizations, over the root of their variances, is a standard normal.
    setup = Experiment(field_um=40, drift_nm=0, unspecific=0, frames=100_000, labelling=0.1)
    table = simulate("nuclear_pores", seed=2, localizations=60_000, experiment=setup)
    order = np.lexsort((table["frame"], np.round(table["y"] / 400), np.round(table["x"] / 400)))
    x, y, frame = (table[name][order].astype(float) for name in ("x", "y", "frame"))
    near = (np.diff(frame) == 1) & (np.hypot(np.diff(x), np.diff(y)) < 100)
    variance = table["uncertainty_xy"][order].astype(float) ** 2
    scaled = np.diff(x)[near] / np.sqrt(variance[1:] + variance[:-1])[near]
    assert near.sum() > 5_000
    assert scaled.std() == pytest.approx(1, abs=0.05)


def test_events_last_a_geometric_number_of_frames() -> None:
    setup = replace(SMALL, fluorophore=replace(MEOS2, on_frames=1.0))
    single = simulate("clathrin", seed=1, localizations=4_000, experiment=setup)
    assert len(np.unique(single["frame"])) > 1_000


def test_all_light_may_be_unspecific() -> None:
    setup = Experiment(field_um=10, labelling=0.0)
    table = simulate("microtubules", seed=1, localizations=20_000, experiment=setup)
    counts, _, _ = np.histogram2d(table["x"], table["y"], bins=5, range=[[0, 1e4], [0, 1e4]])
    assert counts.std() / counts.mean() < 0.12


def test_structures_are_far_from_uniform() -> None:
    for structure in STRUCTURES:
        setup = Experiment(field_um=10)
        table = simulate(structure, seed=1, localizations=50_000, experiment=setup)
        bins = np.histogram2d(table["x"], table["y"], bins=200, range=[[0, 1e4], [0, 1e4]])[0]
        # A Poisson process would have a variance equal to its mean.
        assert bins.var() / bins.mean() > 3, structure


def test_no_two_points_of_a_hard_core_process_are_near() -> None:
    random = np.random.default_rng(1)
    points = np.append(random.random((2_000, 2)) * 1_000, np.zeros((2_000, 1)), axis=1)
    kept = points[hard_core(random, points, 20.0)]
    assert len(kept) > 200
    gaps = np.linalg.norm(kept[:, None] - kept[None], axis=2) + np.eye(len(kept)) * 1e9
    assert gaps.min() >= 20


def test_chains_run_at_constant_speed() -> None:
    random = np.random.default_rng(1)
    chains = worm_like_chains(
        random,
        starts=np.zeros((3, 3)),
        headings=np.zeros(3),
        steps=100,
        step_nm=50,
        curvature_per_um=0.3,
        memory_um=2,
        wave_nm=0,
    )
    lengths = np.linalg.norm(np.diff(chains.points, axis=1), axis=2)
    np.testing.assert_allclose(lengths, 50)
    places, tangents = chains.at(np.array([0, 2]), np.array([0.0, 4_000.0]))
    np.testing.assert_allclose(places[0], chains.points[0, 0])
    np.testing.assert_allclose(np.linalg.norm(tangents, axis=1), 1)
