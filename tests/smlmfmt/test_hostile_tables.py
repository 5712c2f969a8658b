"""Whatever is in a table, it has a summary: no error, no warning, no NaN, in bounded time."""

import json
import time
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smlmfmt import LocTable
from smlmfmt.measures import frc, nena, sample, signature
from smlmfmt.summary import summarize

ROWS = 100_000
RANDOM = np.random.default_rng(7)
UNIT = RANDOM.random((2, ROWS))
FRAME = np.sort(RANDOM.integers(0, 1_000, ROWS))


def with_one(values: Any, value: float) -> Any:
    changed = np.array(values, np.float64)
    changed[-1] = value
    return changed


TABLES: dict[str, dict[str, Any]] = {
    "identical points": {"frame": FRAME, "x": np.full(ROWS, 5.0), "y": np.full(ROWS, 7.0)},
    "one nanometre": {"frame": FRAME, "x": UNIT[0], "y": UNIT[1]},
    "an outlier": {"frame": FRAME, "x": with_one(UNIT[0] * 1e4, 1e9), "y": UNIT[1] * 1e4},
    "a far outlier": {"frame": FRAME, "x": with_one(UNIT[0] * 1e4, 1e300), "y": UNIT[1] * 1e4},
    "all NaN": {"frame": FRAME * np.nan, "x": UNIT[0] * np.nan, "y": UNIT[1] * np.nan},
    "some infinite": {"frame": FRAME, "x": np.where(UNIT[0] < 0.3, np.inf, UNIT[1]), "y": UNIT[1]},
    "some frames NaN": {
        "frame": np.where(UNIT[0] < 0.3, np.nan, FRAME),
        "x": UNIT[0] * 1e4,
        "y": UNIT[1] * 1e4,
    },
    "frames out of order": {"frame": FRAME[::-1], "x": UNIT[0] * 1e4, "y": UNIT[1] * 1e4},
    "fractions of frames": {"frame": UNIT[0] * 1e3, "x": UNIT[0] * 1e4, "y": UNIT[1] * 1e4},
    "frames beyond count": {"frame": UNIT[0] * 1e300, "x": UNIT[0] * 1e4, "y": UNIT[1] * 1e4},
    "one frame": {"frame": FRAME * 0, "x": UNIT[0] * 1e4, "y": UNIT[1] * 1e4},
    "two crowded frames": {"frame": FRAME % 2, "x": UNIT[0], "y": UNIT[1]},
    "one crowd": {"frame": FRAME, "x": with_one(UNIT[0], 1e4), "y": with_one(UNIT[1], 1e4)},
    "a line": {"frame": FRAME, "x": UNIT[0] * 1e4, "y": UNIT[1] * 0},
    "a kilometre": {"frame": FRAME, "x": UNIT[0] * 1e12, "y": UNIT[1] * 1e12},
    "flags": {"frame": FRAME % 2 == 1, "x": UNIT[0] < 0.5, "y": UNIT[1] < 0.5},
    "no rows": {"frame": [], "x": [], "y": []},
    "one row": {"frame": [1], "x": [1.0], "y": [1.0]},
    "no columns": {},
    "no position": {"frame": FRAME, "intensity": UNIT[0]},
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frc, "SIZE_PX", 256)
    monkeypatch.setattr(signature, "SIZE_PX", 512)


def check(table: LocTable) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        facts = summarize(table).as_dict()
    return dict(json.loads(json.dumps(facts, allow_nan=False)))


@pytest.mark.parametrize("name", TABLES)
def test_it_is_measured_in_bounded_time(name: str) -> None:
    table = LocTable(TABLES[name])
    start = time.process_time()
    facts = check(table)
    assert time.process_time() - start < 10
    # None of these is a structure that was imaged well.
    assert facts["precision"] is None
    if name not in {"one crowd", "a far outlier"}:
        assert facts["resolution"] is None


def test_an_outlier_does_not_hide_the_rest() -> None:
    facts = check(LocTable(TABLES["an outlier"]))
    # The pattern is measured in the field that holds the rest: an even plane.
    values = bytes.fromhex(facts["signature"].partition(":")[2])
    assert all(abs(value - 128) < 16 for value in values)
    assert facts["field_of_view"]["width_nm"] > 9e8


def test_memory_does_not_grow_with_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "SAMPLE_ROWS", 1 << 14)
    monkeypatch.setattr(nena, "ROWS_MAX", 1 << 14)
    peaks = []
    for times in (2, 32):
        columns: dict[str, Any] = {
            name: np.repeat(FRAME, times) for name in ("frame", "a", "b", "c")
        }
        columns |= {axis: np.repeat(UNIT[0], times) * 1e4 for axis in ("x", "y")}
        table = LocTable(columns)
        tracemalloc.start()
        summarize(table)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The tables are 10 and 154 MB.
    assert peaks[1] < 1.2 * peaks[0] < 300e6


VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-5, 5).map(float),
    st.sampled_from([0.0, -0.0, 1e9, 1e-300, 1e300, 2.0**53, np.nan]),
)


@settings(max_examples=30, deadline=None)
@given(
    data=st.data(),
    rows=st.integers(0, 40),
    times=st.sampled_from([1, 50]),
    dtype=st.sampled_from(["f8", "f4", "f2"]),
)
def test_any_small_table_is_measured(
    data: st.DataObject, rows: int, times: int, dtype: str
) -> None:
    columns = {}
    for name in ("frame", "x", "y", "z", "uncertainty_xy"):
        values = data.draw(st.lists(VALUES, min_size=rows, max_size=rows))
        with np.errstate(over="ignore"):
            columns[name] = np.tile(np.array(values, np.float64), times).astype(dtype)
    facts = check(LocTable(columns))
    assert facts["rows"] == rows * times
    if facts["field_of_view"] is not None:
        assert facts["field_of_view"]["width_nm"] >= 0
