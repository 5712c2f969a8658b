from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smlmfmt.columns import canonical_name, canonical_names, in_nanometres, normal_unit
from smlmfmt.errors import UnitError


@pytest.mark.parametrize(
    ("source", "name", "unit"),
    [
        ("x [nm]", "x", "nm"),
        ("x  [nm]", "x", "nm"),
        ("X (nm)", "x", "nm"),
        ("X (px)", "x", "px"),
        ("xnm", "x", "nm"),
        ("znm", "z", "nm"),
        ("locprecnm", "uncertainty_xy", "nm"),
        ("locpreczpix", "uncertainty_z", "px"),
        ("xnano", "x", "nm"),
        ("Position X [nm]", "x", "nm"),
        ("position_x", "x", ""),
        ("y [µm]", "y", "um"),
        ("y [um]", "y", "um"),
        ("x [pixel]", "x", "px"),
        ("uncertainty_xy_nm_", "uncertainty_xy", "nm"),
        ("uncertainty [nm]", "uncertainty_xy", "nm"),
        ("sigma_nm_", "sigma", "nm"),
        ("sigma1 [nm]", "sigma_x", "nm"),
        ("sigma2 [nm]", "sigma_y", "nm"),
        ("intensity_photon_", "intensity", "photon"),
        ("Number Photons", "intensity", ""),
        ("offset [photon]", "background", "photon"),
        ("bkgstd [photon]", "background_std", "photon"),
        ("Precision [nm]", "uncertainty_xy", "nm"),
        ("First Frame", "frame", ""),
        ("Index", "id", ""),
        ("Chi square", "chi2", ""),
        ("Number Frames", "number_frames", ""),
        ('"id"', "id", ""),
        ("X precision (nm)", "x_precision", "nm"),
        ("z_rel [nm^2]", "z_rel", "nm^2"),
        ("Frames Missing", "frames_missing", ""),
        ("cluster label", "cluster_label", ""),
        ("", "column", ""),
        ("[nm]", "column", "nm"),
        ("£", "column", ""),
    ],
)
def test_names_and_units(source: str, name: str, unit: str) -> None:
    found = canonical_name(source)
    assert (found.name, found.unit, found.source) == (name, unit, source)


def test_the_exact_name_wins_over_an_alias() -> None:
    names = canonical_names(["position_x", "x", "x0", "X [nm]"])
    assert [column.name for column in names] == ["position_x", "x", "x0", "x_nm"]


@given(st.lists(st.text(max_size=8), max_size=12))
def test_every_name_comes_once(sources: list[str]) -> None:
    names = [column.name for column in canonical_names(sources)]
    assert len(set(names)) == len(names) == len(sources)
    assert all(name.isidentifier() or name[0].isdigit() for name in names)


def test_units_in_our_spelling() -> None:
    assert [normal_unit(text) for text in (" nm ", "1", "µm^2", "Photons", "a.u.", "odd")] == [
        "nm", "", "um^2", "photon", "a.u.", "odd",
    ]  # fmt: skip


def test_lengths_and_areas_to_nm() -> None:
    values = np.array([1, 2], np.int16)
    scaled, unit = in_nanometres(values, "um", pixel_size_nm=None, what="x")
    assert (scaled.tolist(), unit, scaled.dtype.name) == ([1000, 2000], "nm", "float64")
    scaled, unit = in_nanometres(np.ones(1, np.float32), "px^2", pixel_size_nm=100, what="x")
    assert (scaled.tolist(), unit, scaled.dtype.name) == ([10000], "nm^2", "float32")
    kept, unit = in_nanometres(values, "photon", pixel_size_nm=None, what="x")
    assert (kept is values, unit) == (True, "photon")


@pytest.mark.parametrize("size", [None, 0, -1, float("nan"), float("inf")])
def test_pixels_need_a_size(size: float | None) -> None:
    with pytest.raises(UnitError, match=r"a\.csv: x"):
        in_nanometres(np.ones(1), "px", pixel_size_nm=size, what="a.csv: x")


def test_very_many_equal_names_take_no_time() -> None:
    started = time.process_time()
    names = [column.name for column in canonical_names(["x", "a_2"] + ["a", "x"] * 15_000)]
    assert len(set(names)) == len(names) == 30_002
    assert names[:5] == ["x", "a_2", "a", "x_2", "a_3"]
    assert time.process_time() - started < 10
