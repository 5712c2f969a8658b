import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smlmfmt
from smlmfmt import LocTable
from smlmfmt.measures import rows
from smlmfmt.summary import summarize

SHARED = Path(__file__).parents[3] / "shared" / "data"


def test_facts_of_a_small_table() -> None:
    table = LocTable(
        {
            "frame": np.array([1, 2, 5], np.int32),
            "x": np.array([0.0, 2000.0, 1000.0]),
            "y": np.array([500.0, 500.0, 1500.0]),
            "uncertainty_xy": np.array([5.0, 20.0, 9.0], np.float32),
        },
        units={"x": "nm", "y": "nm", "uncertainty_xy": "nm"},
        source_names={"x": "x [nm]"},
        frame_origin=1,
    )
    facts = table.summary()
    column = {"unit": "", "source": "frame", "min": 1, "max": 5, "mean": 8 / 3, "median": 2}
    x = {"unit": "nm", "source": "x [nm]", "min": 0, "max": 2000, "mean": 1000, "median": 1000}
    y = {"unit": "nm", "source": "y", "min": 500, "max": 1500, "mean": 2500 / 3, "median": 500}
    error = {"unit": "nm", "source": "uncertainty_xy", "min": 5, "max": 20}
    assert facts.as_dict() == {
        "rows": 3,
        "columns": [
            {"name": "frame", **column},
            {"name": "x", **x},
            {"name": "y", **y},
            {"name": "uncertainty_xy", **error, "mean": 34 / 3, "median": 9},
        ],
        "bounds": {"x": [0, 2000], "y": [500, 1500]},
        "field_of_view": {"width_nm": 2000, "height_nm": 1000, "depth_nm": None},
        "frames": {"first": 1, "last": 5, "origin": 1},
        "localizations_per_frame": 0.6,
        "dimension": 2,
        "density_per_um2": 1.5,
        "uncertainty_nm": 9.0,
        "precision": None,
        "resolution": None,
        "drift": None,
        "signature": None,
        "non_finite": 0,
    }


def test_non_finite_values_are_counted_and_left_out() -> None:
    table = LocTable({"x": [math.nan, 1.0, 3.0], "y": [0.0, math.inf, 2.0], "chi2": [math.nan] * 3})
    facts = summarize(table)
    assert facts.non_finite == 5
    assert facts.bounds == {"x": (1, 3), "y": (0, 2)}
    assert facts.columns[0].mean == 2
    assert (facts.columns[2].min, facts.columns[2].mean) == (None, None)
    # Only the last row has both x and y; the box is 2 nm x 2 nm.
    assert facts.density_per_um2 == pytest.approx(1 / 4e-6)


@pytest.mark.parametrize("columns", [{}, {"x": [], "y": []}, {"x": [1.0], "y": [math.nan]}])
def test_a_table_that_says_little_has_a_summary(columns: dict[str, list[float]]) -> None:
    facts = summarize(LocTable(columns))
    assert facts.density_per_um2 is None
    assert facts.uncertainty_nm is None
    assert facts.frames is None
    assert facts.localizations_per_frame is None
    found = (facts.precision, facts.resolution, facts.drift, facts.signature)
    assert found == (None, None, None, None)
    json.dumps(facts.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("z", "dimension"),
    [([0, 0, 0], 2), ([7.5, 7.5, 7.5], 2), ([math.nan, 3, math.nan], 2), ([0, 0, 1e-3], 3)],
)
def test_constant_z_is_two_dimensional(z: list[float], dimension: int) -> None:
    table = LocTable({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0], "z": z})
    assert summarize(table).dimension == dimension


def test_means_are_accumulated_in_double_precision() -> None:
    values = np.full(3_000_000, 16_777_217.0 / 3, np.float32)
    facts = summarize(LocTable({"intensity": values}))
    assert facts.columns[0].mean == float(values[0])


def test_numbers_that_overflow_are_unknown_rather_than_infinite() -> None:
    table = LocTable({"x": [1e308, 1.7e308, -1.7e308], "y": [1e308, -1.7e308, 0.0]})
    facts = summarize(table).as_dict()
    assert facts["density_per_um2"] is None
    assert facts["columns"][0]["max"] == 1.7e308
    json.dumps(facts, allow_nan=False)


def test_frames_beyond_exact_integers_are_unknown() -> None:
    assert summarize(LocTable({"frame": np.array([0, 2**60])})).frames is None


def test_uncertainty_comes_from_both_axes_when_there_is_no_lateral_one() -> None:
    table = LocTable({"x_precision": [3.0, 6.0, 0.0], "y_precision": [4.0, 8.0, 0.0]})
    # sqrt((9 + 16) / 2) and twice that; a row of zeros says nothing.
    assert summarize(table).uncertainty_nm == pytest.approx(1.5 * math.sqrt(12.5))


def test_pixels_are_not_taken_for_nanometres() -> None:
    units = {"x": "px", "y": "px", "uncertainty_xy": "px"}
    table = LocTable({"x": [0, 9], "y": [0, 9], "uncertainty_xy": [0.1, 0.1]}, units=units)
    facts = summarize(table)
    assert facts.density_per_um2 is None
    assert facts.uncertainty_nm is None
    assert facts.field_of_view is None


@given(
    values=st.lists(
        st.one_of(
            st.floats(1e-300, 1e300),
            st.sampled_from([math.nan, math.inf, -1.0, 0.0, 10.0, 5e-324]),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_the_median_is_exact(values: list[float]) -> None:
    usable = [v for v in values if math.isfinite(v) and v > 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BLOCK_ROWS", 7)
        found = summarize(LocTable({"uncertainty_xy": values})).uncertainty_nm
    assert found == (float(np.median(usable)) if usable else None)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    table = LocTable({"x": random.normal(size=1000), "y": random.normal(size=1000)})
    whole = summarize(table)
    monkeypatch.setattr(rows, "BLOCK_ROWS", 64)
    pieces = summarize(table)
    assert pieces.bounds == whole.bounds
    assert pieces.columns[0].mean == pytest.approx(whole.columns[0].mean, rel=1e-12)


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "app_colicoords_03_storm.smlm",
        "app_elyra.smlm",
        "app_rapidstorm.smlm",
        "eiffel_tower.smlm",
        "java_smlmio_storm_table.smlm",
        "locan_saved_elyra.smlm",
        "colicoords_03_storm.csv",
        "colicoords_storm_table.csv",
    ],
)
def test_sample_files_measure_as_peers_measured_them(name: str) -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared sample files are not here")
    truth = json.loads((SHARED / "truth.json").read_text(encoding="utf-8"))[name]
    truth = truth if "tables" in truth or "stats" in truth else truth["locan"]
    truth = truth["tables"][0] if "tables" in truth else truth
    facts = smlmfmt.read(SHARED / name).tables[0].summary()
    assert facts.rows == truth["rows"]
    expected = sorted(
        (stats["min"], stats["max"], stats["mean"]) for stats in truth["stats"].values()
    )
    measured = sorted((c.min, c.max, c.mean) for c in facts.columns)
    assert len(measured) == len(expected)
    for ours, theirs in zip(measured, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12)
