"""The viewer's state: what is written is read again, and nothing that is sent breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.viewing.view_state import (
    Channel,
    Region,
    ViewState,
    format_state,
    parse_number,
    parse_state,
)
from protocol.blob import STATE
from smlmfmt.colormaps import COLORMAPS

numbers = st.floats(-1e12, 1e12, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-18)
numbers = numbers.map(lambda value: parse_number(f"{value:.12g}") or 0.0)
spans = st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair)))
gammas = st.floats(0.05, 20).map(lambda value: float(f"{value:.6g}")).filter(lambda v: v >= 0.05)
columns = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
channels = st.builds(
    Channel,
    contrast=st.none() | spans,
    gamma=st.none() | gammas,
    tint=st.none() | st.from_regex("[0-9a-f]{6}", fullmatch=True),
    is_visible=st.booleans(),
).filter(lambda look: look != Channel())
corners = st.tuples(numbers, numbers)
regions = st.builds(Region, shape=st.just("rect"), corners=st.tuples(corners, corners)) | st.builds(
    Region, shape=st.just("poly"), corners=st.lists(corners, min_size=3, max_size=9).map(tuple)
)
states = st.builds(
    ViewState,
    sample=st.integers(0, 999),
    at=st.none() | st.tuples(numbers, numbers) | st.tuples(numbers, numbers, numbers),
    nm=st.none() | st.sampled_from([0.001, 0.5, 20.0, 1e7]),
    rot=st.tuples(st.integers(-359, 359).map(float), st.integers(-180, 180).map(float)),
    mode=st.sampled_from(["density", "points", "gaussian"]),
    point_px=st.sampled_from([1.0, 2.5, 64.0]),
    by=st.just("") | columns,
    color_range=st.none() | spans,
    colormap=st.sampled_from(COLORMAPS),
    contrast=st.none() | spans,
    gamma=gammas,
    is_log=st.booleans(),
    is_locked=st.booleans(),
    channels=st.dictionaries(st.integers(0, 63), channels, max_size=3),
    filters=st.dictionaries(columns, spans, max_size=3),
    roi=st.none() | regions,
)


@given(states)
def test_a_state_that_was_written_is_read_as_it_was(state: ViewState) -> None:
    assert parse_state(format_state(state)) == state


@given(st.text(max_size=200))
def test_any_text_is_some_state(text: str) -> None:
    state = parse_state(text)
    assert parse_state(format_state(state)) == state


KEYS = ["s", "at", "nm", "rot", "m", "px", "by", "range", "map", "c", "g", "h0", "f.z", "roi"]


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.text("0123456789.,:-+einfa xrectpoly"))))
def test_any_values_of_known_keys_are_some_state(pairs: list[tuple[str, str]]) -> None:
    state = parse_state(pairs)
    assert parse_state(format_state(state)) == state


@pytest.mark.parametrize(
    "text",
    [
        "s=-1", "s=1e3", "at=1", "at=nan,2", "at=1,2,3,4", "nm=0", "nm=-5", "nm=inf", "m=other",
        "px=1e9", "range=5..1", "range=1", "map=../x", "c=..", "g=0", "log=2", "h64=,,ff0000,",
        "h0=,,red,", "f.=1..2", "roi=rect:1,2,3", "roi=poly:1,2,3,4", "roi=circle:1,2,3",
        "new=thing", "rot=1", "&" * 300, "at=" + "9" * 400 + ",1", "at=1_0,2", "at=\u0661,2",
    ],
)  # fmt: skip
def test_what_is_malformed_is_the_default(text: str) -> None:
    assert parse_state(text) == ViewState()


def test_the_whole_grammar() -> None:
    state = parse_state(
        "#v=1&s=2&at=4100,2050.5,-3&nm=2&rot=30,-45&m=gaussian&px=4&by=z&range=-300..300&map=ice"
        "&c=0..900&g=0.5&log=1&lock=1&h0=0..5,2,FF8800,1&h3=,,,0&f.uncertainty_xy=0..20"
        "&f.my+column=1..2&roi=rect:0,0,10,20"
    )
    assert state == ViewState(
        sample=2,
        at=(4100, 2050.5, -3),
        nm=2,
        rot=(30, -45),
        mode="gaussian",
        point_px=4,
        by="z",
        color_range=(-300, 300),
        colormap="ice",
        contrast=(0, 900),
        gamma=0.5,
        is_log=True,
        is_locked=True,
        channels={
            0: Channel(contrast=(0, 5), gamma=2, tint="ff8800"),
            3: Channel(is_visible=False),
        },
        filters={"uncertainty_xy": (0, 20), "my column": (1, 2)},
        roi=Region(shape="rect", corners=((0, 0), (10, 20))),
    )
    assert state.roi is not None
    assert state.roi.bounds == ((0, 10), (0, 20))
    assert STATE.fullmatch(format_state(state))
