"""NeNA and FRC beside Picasso's own, where it is installed (the `benchmark` extra)."""

from typing import Any

import numpy as np
import pytest

from smlmfmt import LocTable
from smlmfmt.measures.frc import fourier_ring_resolution
from smlmfmt.measures.nena import nearest_neighbour_precision
from smlmfmt.simulate import STRUCTURES, Experiment, simulate
from tests.smlmfmt.fields import blinking, changed, looked_at, taken

PIXEL_NM = 100.0
SIDE_NM = 2_500.0
postprocess = pytest.importorskip("picasso.postprocess")
pd = pytest.importorskip("pandas")


def for_picasso(table: LocTable, error: Any) -> tuple[Any, list[dict[str, Any]]]:
    x, y = ((table[axis] - table[axis].min()) / PIXEL_NM for axis in ("x", "y"))
    columns = {"frame": table["frame"].astype(np.uint32), "x": x, "y": y}
    columns |= dict.fromkeys(("lpx", "lpy"), np.full(len(table), error) / PIXEL_NM)
    sides = {"Width": int(x.max()) + 2, "Height": int(y.max()) + 2}
    about = {"Pixelsize": PIXEL_NM, "Frames": int(table["frame"].max()) + 1, **sides}
    return pd.DataFrame(columns), [about]


@pytest.mark.parametrize("precision_nm", [5.0, 10.0, 20.0])
def test_nena_agrees_on_one_known_precision(precision_nm: float) -> None:
    table = blinking(precision_nm=precision_nm, events=60_000, side_nm=20_000)
    found = nearest_neighbour_precision(table, *looked_at(table))
    assert found is not None
    theirs = postprocess.nena(*for_picasso(table, precision_nm))[1] * PIXEL_NM
    assert found.precision_nm == pytest.approx(precision_nm, rel=0.03)
    assert found.precision_nm == pytest.approx(theirs, rel=0.05)


def middle_of(table: LocTable) -> LocTable:
    """Return a square small enough for Picasso, which renders at half a precision per pixel."""
    inside = [np.abs(table[axis] - np.median(table[axis])) < SIDE_NM / 2 for axis in ("x", "y")]
    return taken(table, np.flatnonzero(inside[0] & inside[1]))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_both_agree_on_structures(structure: str) -> None:
    setup = Experiment(field_um=6.0)
    table = simulate(structure, seed=3, localizations=40_000, experiment=setup)
    locs, about = for_picasso(table, table["uncertainty_xy"])
    found = nearest_neighbour_precision(table, *looked_at(table))
    assert found is not None
    # Precisions differ from row to row; neither model says how.
    theirs = postprocess.nena(locs.copy(), about)[1] * PIXEL_NM
    assert found.precision_nm == pytest.approx(theirs, rel=0.2)
    # Picasso deals single rows.
    square = middle_of(table)
    rows = changed(square, frame=None)
    locs, about = for_picasso(square, square["uncertainty_xy"])
    side = SIDE_NM / PIXEL_NM
    resolution = fourier_ring_resolution(rows, *looked_at(rows), precision_nm=found.precision_nm)
    assert resolution is not None
    theirs = postprocess.frc(locs, about, ((0, 0), (side, side)))["resolution"]
    assert resolution.resolution_nm == pytest.approx(theirs, rel=0.1)
