import numpy as np
import pytest

from smlmfmt import LocTable
from smlmfmt.measures.drift import Drift, remaining_drift
from tests.smlmfmt.fields import changed, filaments, in_order, looked_at, taken


def measured(table: LocTable) -> Drift | None:
    return remaining_drift(*looked_at(table))


def known(table: LocTable) -> Drift:
    found = measured(table)
    assert found is not None
    return found


def drifted(table: LocTable, *, x_nm: float, y_nm: float) -> LocTable:
    """Add a drift that grows evenly over the 2000 frames to x_nm and y_nm."""
    part = table["frame"] / 2_000
    return changed(table, x=table["x"] + part * x_nm, y=table["y"] + part * y_nm)


@pytest.mark.parametrize("count", [20_000, 200_000])
@pytest.mark.parametrize("drift_nm", [(60.0, 0.0), (0.0, -150.0), (300.0, 300.0)])
def test_an_even_drift_is_measured(count: int, drift_nm: tuple[float, float]) -> None:
    table = drifted(filaments(count=count), x_nm=drift_nm[0], y_nm=drift_nm[1])
    found = known(table)
    # Spread of an even ramp, as ten steps show it.
    expected = np.hypot(*drift_nm) * np.sqrt((1 - 1 / 100) / 12)
    assert found.drift_nm == pytest.approx(expected, abs=3 * found.uncertainty_nm + 0.02 * expected)
    assert found.drift_nm > 2 * found.uncertainty_nm


@pytest.mark.parametrize("seed", range(6))
def test_no_drift_is_told_from_drift(seed: int) -> None:
    found = known(filaments(count=30_000, seed=seed))
    assert found.drift_nm <= 2 * found.uncertainty_nm
    assert found.uncertainty_nm < 10


def test_fewer_localizations_tell_less() -> None:
    many, few = (known(filaments(count=count)) for count in (200_000, 8_000))
    assert few.uncertainty_nm > many.uncertainty_nm


def test_the_order_of_rows_does_not_matter() -> None:
    table = drifted(filaments(count=20_000), x_nm=100, y_nm=50)
    mixed = taken(table, np.random.default_rng(2).permutation(len(table)))
    assert measured(mixed) == measured(table)


def test_it_does_not_hang_on_where_the_field_lies() -> None:
    table = drifted(filaments(count=20_000), x_nm=100, y_nm=50)
    moved = changed(table, x=table["x"] + 4e6, y=table["y"] - 7e5)
    assert known(moved).drift_nm == pytest.approx(known(table).drift_nm, rel=1e-3)


def test_where_there_is_nothing_to_follow_it_is_unknown() -> None:
    random = np.random.default_rng(1)
    even = in_order(random.random((50_000, 2)) * 8_000, random.integers(0, 900, 50_000))
    assert measured(even) is None
    table = filaments(count=20_000)
    assert measured(changed(table, frame=None)) is None
    assert measured(changed(table, frame=np.zeros(len(table)))) is None
    assert measured(changed(table, frame=np.arange(len(table)) % 4)) is None
    assert measured(taken(table, slice(0, 1_000))) is None
    assert measured(changed(table, x=table["x"] / 1e3, y=table["y"] / 1e3)) is None
