import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smlmfmt import LocTable
from smlmfmt.measures import frc
from smlmfmt.measures.frc import Resolution, fourier_ring_resolution, ring_correlation
from tests.smlmfmt.fields import changed, filaments, in_order, looked_at, taken


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frc, "SIZE_PX", 512)


def measured(table: LocTable, precision_nm: float | None = None) -> Resolution | None:
    return fourier_ring_resolution(table, *looked_at(table), precision_nm=precision_nm)


def known(table: LocTable, precision_nm: float | None = None) -> Resolution:
    found = measured(table, precision_nm)
    assert found is not None
    return found


def test_the_expected_crossing_is_found() -> None:
    """N points at random places, m localizations of each in each half, with error s.

    The cross spectrum is N m^2 e, its norm N (m^2 e + m), with e = exp(-(2 pi q s)^2).
    """
    random, m, sigma = np.random.default_rng(1), 8, 15.0
    points = np.repeat(random.random((3_000, 2)) * 5_000, 2 * m, axis=0)
    places = points + random.normal(0, sigma, points.shape)
    table = in_order(places, random.integers(0, 1_000, len(places)))
    # m e / (m e + 1) = 1 / 7, so e = 1 / (6 m).
    q = np.sqrt(np.log(6 * m)) / (2 * np.pi * sigma)
    assert known(table).resolution_nm == pytest.approx(1 / q, rel=0.05)


def test_more_error_and_fewer_localizations_resolve_less() -> None:
    sharp = known(filaments(count=60_000, precision_nm=5)).resolution_nm
    blurred = known(filaments(count=60_000, precision_nm=20)).resolution_nm
    sparse = known(filaments(count=6_000, precision_nm=5)).resolution_nm
    assert sharp < blurred
    assert sharp < sparse


def test_how_it_was_found_is_said() -> None:
    table = filaments(count=60_000)
    found = known(table)
    assert (found.split, found.seed) == ("frames", 1)
    assert found.pixel_nm == pytest.approx(found.field_nm / 512)
    assert found.resolution_nm >= frc.PIXELS_MIN * found.pixel_nm
    assert found.rows <= len(table)
    # Small pixels, so a smaller field than all.
    assert found.field_nm < np.ptp(table["x"])
    without = known(changed(table, frame=None))
    assert without.split == "rows"
    assert without.resolution_nm == pytest.approx(found.resolution_nm, rel=0.1)


def test_knowing_the_precision_only_saves_looking() -> None:
    table = filaments(count=60_000)
    assert known(table, 8.0).resolution_nm == pytest.approx(known(table).resolution_nm, rel=0.1)


@settings(max_examples=5)
@given(power=st.integers(-6, 6))
def test_it_scales_with_the_coordinates(power: int) -> None:
    table, scale = filaments(count=20_000), 2.0**power
    scaled = changed(table, x=table["x"] * scale, y=table["y"] * scale)
    expected = known(table).resolution_nm * scale
    assert known(scaled).resolution_nm == pytest.approx(expected, rel=1e-3)


def test_the_order_of_rows_does_not_matter() -> None:
    table = filaments(count=20_000)
    mixed = taken(table, np.random.default_rng(2).permutation(len(table)))
    assert known(mixed) == known(table)


@pytest.mark.parametrize("count", [300, 30_000, 300_000])
def test_an_even_field_has_no_resolution(count: int) -> None:
    random = np.random.default_rng(count)
    table = in_order(random.random((count, 2)) * 8_000, random.integers(0, 900, count))
    assert measured(table) is None
    assert measured(changed(table, frame=None)) is None


def test_an_emitter_that_shines_on_is_not_in_both_halves() -> None:
    """Six rows per event in consecutive frames: dealing rows sees structure where there is none."""
    random = np.random.default_rng(3)
    first = np.sort(random.integers(0, 3_000, 4_000))
    frame = np.repeat(first, 6) + np.tile(np.arange(6), 4_000)
    places = np.repeat(random.random((4_000, 2)) * 8_000, 6, axis=0)
    places += random.normal(0, 8, places.shape)
    table = in_order(places, frame)
    by_rows = known(changed(table, frame=None)).resolution_nm
    assert by_rows < 40
    by_frames = measured(table)
    # A few events lie across the border of two runs.
    assert by_frames is None or by_frames.resolution_nm > 1.5 * by_rows


def test_equal_images_agree_and_unlike_ones_do_not() -> None:
    image = np.random.default_rng(1).poisson(3.0, (128, 128)).astype(np.float32)
    curve, sizes = ring_correlation(image, image)
    np.testing.assert_allclose(curve, 1, atol=1e-5)
    # All ring sizes together, but for the corners, are the half plane counted twice.
    assert sizes.sum() == pytest.approx(np.pi * 63.5**2, rel=0.01)
    other = np.random.default_rng(2).poisson(3.0, (128, 128)).astype(np.float32)
    curve, sizes = ring_correlation(image, other)
    assert abs(np.average(curve[5:], weights=sizes[5:])) < 0.05
    curve, _ = ring_correlation(image, np.zeros_like(image))
    assert not curve.any()
