import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from smlmfmt import LocTable
from smlmfmt.measures import medians, rows
from smlmfmt.measures.columns import measure_column
from smlmfmt.measures.medians import exact_median

TYPES = ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "f2", "f4", "f8"]


def median_of(values: np.ndarray) -> float | None:
    return exact_median(lambda some: rows.finite(values[some]), len(values))


def truth_of(values: np.ndarray) -> float | None:
    usable = rows.finite(values).astype(np.float64)
    return float(np.median(usable)) if usable.size else None


@given(
    values=st.sampled_from(TYPES).flatmap(
        lambda dtype: arrays.arrays(
            dtype,
            st.integers(0, 80),
            # Sums of two values near the greatest float have a median that numpy cannot give.
            elements={"min_value": -1e300, "max_value": 1e300} if dtype == "f8" else None,
        )
    ),
    sampled=st.sampled_from([3, 16, 1 << 16]),
    kept=st.sampled_from([0, 5, 1 << 22]),
)
def test_the_median_is_exact_however_it_is_found(
    values: np.ndarray, sampled: int, kept: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BLOCK_ROWS", 7)
        patch.setattr(medians, "SAMPLE_ROWS", sampled)
        patch.setattr(medians, "KEPT_MAX", kept)
        assert median_of(values) == truth_of(values)


@pytest.mark.parametrize(
    "values",
    [
        np.array([-0.0, 0.0]),
        np.array([math.nan, -math.inf, 5.0, math.inf]),
        np.array([-5e-324, 5e-324, -1e300, 1e300, -3.0]),
        np.repeat(np.array([1.0, 2.0]), [500, 500]),
        np.full(1000, 7, np.uint8),
        np.arange(100_001, dtype=np.int64)[::-1],
    ],
)
def test_counting_finds_what_sorting_finds(values: np.ndarray) -> None:
    expected = truth_of(values)
    assert median_of(values) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(medians, "_bracket", lambda *_: None)
        assert median_of(values) == expected


def test_the_median_of_huge_numbers_does_not_overflow() -> None:
    assert median_of(np.array([1.6e308, 1.7e308])) == pytest.approx(1.65e308)


def test_a_long_column_is_not_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).normal(1e5, 30, 700_001).astype(np.float32)
    monkeypatch.setattr(medians, "_counted", None)  # Not needed: the sample brackets the median.
    assert median_of(values) == float(np.median(values))


@given(values=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40))
def test_a_column_measures_its_finite_values(values: list[float]) -> None:
    column, skipped = measure_column(LocTable({"c": np.array(values, np.float64)}), "c")
    usable = [value for value in values if math.isfinite(value)]
    assert skipped == len(values) - len(usable)
    assert (column.min, column.max) == (min(usable, default=None), max(usable, default=None))
    assert (column.median is None) == (not usable)
    if column.median is not None:
        assert min(usable) <= column.median <= max(usable)
