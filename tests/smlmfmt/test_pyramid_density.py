"""What is shown is what is there: the density of every cut, also of levels side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smlmfmt
from smlmfmt import LocTable, pyramid
from smlmfmt.simulate import simulate
from tests.smlmfmt.pyramids import (
    Slope,
    Variance,
    build,
    grid_of,
    mean_slope,
    random_cut,
    slope_of,
    true_density,
)

TOLERANCE = 0.02
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
# Rows per tile and pixel in nm, chosen so that a few thousand rows still make several levels.
SAMPLES = {
    "colicoords_03_storm.csv": (256, 500.0),
    "eiffel_tower.smlm": (256, None),
    "pyme_test_csv.csv": (128, None),
    "pyminflux_Fig2_U2OS_Tom70-Dreiklang_ATP5B_AB_Minflux3D.csv": (256, None),
}


def slopes_of(
    table: LocTable, path: Path, *, rows_per_tile: int, pixel: float, seeds: range
) -> tuple[dict[str, Slope], list[float]]:
    """Return the mean slope over seeds of each cut, and how many standard errors totals are off."""
    grid = grid_of(table, pixel)
    true = true_density(table, grid)
    found: dict[str, list[Slope]] = {}
    totals = []
    for seed in seeds:
        build(table, path, rows_per_tile=rows_per_tile, seed=seed)
        with pyramid.open(path) as opened:
            rng, variances = np.random.default_rng(seed), Variance(opened, grid)
            levels = range(int(opened.nodes["level"].max()))
            cuts = {f"level {level}": pyramid.level_cut(opened, level) for level in levels}
            cuts |= {f"mixed {part}": random_cut(opened, rng, part) for part in (0.4, 0.7, 0.9)}
            corner = pyramid.Grid(
                x=grid.x, y=grid.y, pixel=pixel / 8, width=4 * grid.width, height=4 * grid.height
            )
            cuts["zoomed"] = pyramid.choose_cut(opened, corner, rows_max=12 * rows_per_tile)
            for name, cut in cuts.items():
                shown = pyramid.estimate(opened, grid, cut)
                variance = variances.under(cut)
                found.setdefault(name, []).append(slope_of(true, shown.density, variance))
                if variance.sum():
                    gap = shown.density.sum() - len(table)
                    totals.append(float(gap / np.sqrt(variance.sum())))
    return {name: mean_slope(slopes) for name, slopes in found.items()}, totals


@pytest.mark.parametrize("structure", ["microtubules", "nuclear_pores", "mitochondria"])
def test_shown_density_is_true_density_at_every_cut(structure: str, tmp_path: Path) -> None:
    table = simulate(structure, seed=1, localizations=500_000)
    slopes, totals = slopes_of(
        table, tmp_path / "a.pyramid", rows_per_tile=8192, pixel=200.0, seeds=range(6)
    )
    for name, found in slopes.items():
        # The tolerance is at least three standard errors, as they follow from the counts.
        assert found.error < TOLERANCE / 3, name
        assert abs(found.slope - 1) <= TOLERANCE, name
    assert max(map(abs, totals)) <= 4  # Of some 50: 3 is passed once in 8 tests of this kind.
    assert np.mean(np.abs(totals) <= 3) >= 0.95
    assert abs(np.mean(totals)) <= 1


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared sample files are not here")
@pytest.mark.parametrize("name", SAMPLES)
def test_shown_density_is_true_density_of_real_samples(name: str, tmp_path: Path) -> None:
    table = smlmfmt.read(SHARED / name).tables[0]
    rows_per_tile, pixel = SAMPLES[name]
    if pixel is None:
        extent = max(float(np.ptp(table[axis])) for axis in ("x", "y"))
        pixel = extent / 60
    slopes, totals = slopes_of(
        table, tmp_path / "a.pyramid", rows_per_tile=rows_per_tile, pixel=pixel, seeds=range(16)
    )
    for cut, found in slopes.items():
        # So few rows tell the slope only to `error`, a standard error that follows from how many
        # rows each group shows; it is no more than a few times the tolerance itself.
        assert found.error <= 2 * TOLERANCE, cut
        assert abs(found.slope - 1) <= TOLERANCE + 3 * found.error, cut
    assert abs(np.mean(totals)) <= 1
    assert np.mean(np.abs(totals) <= 3) >= 0.97
