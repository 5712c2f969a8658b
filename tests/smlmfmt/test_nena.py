import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smlmfmt import LocTable
from smlmfmt.measures import neighbours, nena
from smlmfmt.measures.neighbours import FrameNeighbours, Localizations
from smlmfmt.measures.nena import Precision, nearest_neighbour_precision
from tests.smlmfmt.fields import blinking, changed, in_order, looked_at, taken


def measured(table: LocTable) -> Precision | None:
    return nearest_neighbour_precision(table, *looked_at(table))


def known(table: LocTable) -> Precision:
    found = measured(table)
    assert found is not None
    return found


@pytest.mark.parametrize("precision_nm", [0.5, 3.0, 10.0, 25.0])
@pytest.mark.parametrize("events", [1_500, 20_000])
def test_a_known_precision_is_found(precision_nm: float, events: int) -> None:
    table = blinking(precision_nm=precision_nm, events=events, side_nm=20_000)
    assert known(table).precision_nm == pytest.approx(precision_nm, rel=0.1)


def test_a_long_table_is_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    table = blinking(precision_nm=8.0, events=40_000, side_nm=20_000)
    whole = known(table).precision_nm
    monkeypatch.setattr(nena, "ROWS_MAX", 20_000)
    found = known(table)
    assert found.pairs < 20_000
    assert found.precision_nm == pytest.approx(whole, rel=0.05)


@settings(max_examples=8)
@given(scale=st.floats(1e-2, 1e2))
def test_it_scales_with_the_coordinates(scale: float) -> None:
    table = blinking(precision_nm=10.0, events=2_000)
    scaled = changed(table, x=table["x"] * scale, y=table["y"] * scale)
    expected = known(table).precision_nm * scale
    assert known(scaled).precision_nm == pytest.approx(expected, rel=1e-3)


def test_the_order_of_rows_does_not_matter() -> None:
    table = blinking(precision_nm=10.0, events=4_000)
    mixed = taken(table, np.random.default_rng(2).permutation(len(table)))
    assert known(mixed).precision_nm == pytest.approx(known(table).precision_nm, rel=1e-2)


def test_frames_may_be_floats_and_anywhere() -> None:
    table = blinking(precision_nm=10.0, events=4_000)
    moved = changed(table, frame=table["frame"].astype(np.float32) - 500)
    assert measured(moved) == measured(table)


def test_linked_events_have_no_precision() -> None:
    """One row per event: nothing comes again, and neighbours are other emitters."""
    random = np.random.default_rng(4)
    places = random.random((60_000, 2)) * 10_000
    assert measured(in_order(places, random.integers(1, 601, 60_000))) is None


def test_bleaching_is_not_taken_for_returns() -> None:
    random = np.random.default_rng(4)
    frame = (600 * random.random(80_000) ** 3).astype(np.int64)
    assert measured(in_order(random.random((80_000, 2)) * 10_000, frame)) is None


def test_what_moves_alike_is_no_error() -> None:
    """The same places in every frame, 0.2 nm apart in one direction: motion, not noise."""
    frame = np.repeat(np.arange(300), 50)
    places = np.tile(np.random.default_rng(1).random((50, 2)) * 10_000, (300, 1))
    places[:, 0] += 0.2 * frame
    assert measured(in_order(places, frame)) is None


@pytest.mark.parametrize(
    "columns",
    [
        {"frame": None},
        {"frame": np.full(3_000, np.nan)},
        {"frame": np.zeros(3_000)},
        {"frame": np.arange(3_000) % 2},
        {"frame": np.arange(3_000) + 0.5},
        {"frame": np.arange(3_000) * 1e300},
    ],
)
def test_without_frames_that_count_there_is_none(columns: dict[str, object]) -> None:
    table = taken(blinking(precision_nm=10.0, events=2_000), slice(0, 3_000))
    assert measured(changed(table, **columns)) is None


def test_too_full_frames_are_refused_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nena, "ROWS_MAX", 1_000)
    random = np.random.default_rng(5)
    places = random.random((50_000, 2)) * 1_000
    assert measured(in_order(places, random.integers(0, 8, 50_000))) is None


def truth(points: Localizations, asked: np.ndarray, *, lag: int, reach: float) -> np.ndarray:
    found = np.full(asked.size, np.inf)
    for index, row in enumerate(asked):
        later = points.frame == points.frame[row] + lag
        apart = np.hypot(points.x[later] - points.x[row], points.y[later] - points.y[row])
        if apart.size and apart.min() <= reach:
            found[index] = apart.min()
    return found


@settings(max_examples=40)
@given(
    count=st.integers(1, 60),
    frames=st.integers(1, 6),
    reach=st.floats(0.1, 40),
    lag=st.sampled_from([1, 2, -1]),
    seed=st.integers(0, 10**6),
)
def test_neighbours_are_those_of_a_search_through_all(
    count: int, frames: int, reach: float, lag: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    points = Localizations(
        x=random.normal(0, 20, count),
        y=random.normal(0, 20, count) - 1e6,
        frame=random.integers(0, frames, count) * 3 // 2,
    )
    asked = np.arange(count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "CHUNK", 5)
        found = FrameNeighbours(points, reach_nm=reach).distances(asked, lag=lag)
    np.testing.assert_allclose(found, truth(points, asked, lag=lag, reach=reach), rtol=1e-9)


def test_a_crowd_is_searched_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "CANDIDATES_MAX", 10_000)
    random = np.random.default_rng(1)
    points = Localizations(
        x=random.random(2_000), y=random.random(2_000), frame=np.arange(2_000) % 2
    )
    found = FrameNeighbours(points, reach_nm=1.0).distances(np.arange(2_000), lag=1)
    assert found.size < 40
