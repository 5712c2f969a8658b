import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.web import quantities
from node.web.quantities import THIN

NOW = 1_795_392_000  # 23 Nov 2026, 00:00 UTC


def plain(text: str) -> str:
    return text.replace(THIN, " ").replace("\u00d7", "x").replace("\u2212", "-")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (412, "412"),
        (9_999, "9 999"),
        (17_361, "17.4 k"),
        (999_960, "1 M"),
        (1_234_567, "1.2 M"),
        (47_800_000, "47.8 M"),
        (None, "\u2013"),
        (math.nan, "\u2013"),
    ],
)
def test_counts_have_two_or_three_digits(value: float | None, text: str) -> None:
    assert plain(quantities.format_count(value)) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (999_999, "1 MB"), (1_340_000_000, "1.34 GB")],
)
def test_sizes_are_in_si_units(size: int, text: str) -> None:
    assert plain(quantities.format_size(size)) == text


@pytest.mark.parametrize(
    ("length_nm", "text"),
    [(9.84, "9.8 nm"), (9.96, "10 nm"), (128.4, "128 nm"), (41_000, "41 µm"), (1.2e6, "1.2 mm")],
)
def test_lengths_take_the_unit_that_keeps_them_short(length_nm: float, text: str) -> None:
    assert plain(quantities.format_length(length_nm)) == text


def test_field_of_view_shows_its_depth_only_where_there_is_one() -> None:
    flat = {"x": (0.0, 41_000.0), "y": (0.0, 38_000.0), "z": (0.0, 0.0)}
    assert plain(quantities.format_field(flat)) == "41 x 38 µm"
    assert plain(quantities.format_field(flat | {"z": (-300.0, 400.0)})) == "41 x 38 x 0.7 µm"
    assert quantities.format_field({}) == "\u2013"


@pytest.mark.parametrize(
    ("value", "text"),
    [(-12.5, "-12.5"), (25_600.0, "25 600"), (812.4231, "812.42"), (1.2e-5, "1.2e-05")],
)
def test_measured_bounds_keep_five_digits(value: float, text: str) -> None:
    assert plain(quantities.format_bound(value)) == text


def test_moments_of_today_are_told_by_the_clock_alone() -> None:
    assert quantities.format_moment(NOW + 50_520, NOW + 60_000) == "14:02 UTC"
    assert quantities.format_moment(NOW - 35_880, NOW) == "22 Nov 2026, 14:02 UTC"
    assert quantities.format_iso(NOW) == "2026-11-23T00:00:00Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (2, "2 s"), (59.9, "60 s"), (90, "1 minute"), (7_300, "2 hours")],
)
def test_ages_name_one_unit(seconds: float, text: str) -> None:
    assert plain(quantities.format_age(seconds)) == text


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers())
def test_no_number_is_too_strange_to_be_shown(value: float) -> None:
    for show in (quantities.format_bound, quantities.format_count, quantities.format_exact):
        assert show(value)
    assert quantities.format_length(value)
    assert quantities.format_date(value)
