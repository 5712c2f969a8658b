"""The state of the viewer as text: one grammar for the page's fragment, pictures and saved views.

Pairs as forms send them (`application/x-www-form-urlencoded`), described key by key in
docs/http.md. Whatever is malformed falls back to the default of its key, and keys that are not
known are left out: a link of a newer viewer still shows what this one understands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlencode

from smlmfmt.colormaps import COLORMAPS, DEFAULT

__all__ = ["MODES", "Channel", "Range", "Region", "ViewState", "format_state", "parse_state"]

Range: TypeAlias = tuple[float, float]
Pairs: TypeAlias = Iterable[tuple[str, str]]

MODES: Final = ("density", "points", "gaussian")
SIDES: Final = ("beside", "over")
NUMBER_MAX: Final = 1e12
SAMPLES_MAX: Final = 1_000
CHANNELS_MAX: Final = 64
FILTERS_MAX: Final = 32
CORNERS_MAX: Final = 1_000
STATE_SIZE_MAX: Final = 64 << 10
PAIRS_MAX: Final = 256
NM_LEAST: Final = 1e-3  # As the page's camera has it.
NM_MOST: Final = 1e7
POINT_PX_MOST: Final = 64.0
GAMMA_LEAST, GAMMA_MOST = 0.05, 20.0
_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,3})?", re.ASCII)
_COLOR = re.compile("[0-9a-fA-F]{6}")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_CHANNEL = re.compile("h(0|[1-9][0-9]?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """How one channel is shown; None is automatic. `tint` as six hex digits."""

    contrast: Range | None = None
    gamma: float | None = None
    tint: str | None = None
    is_visible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of the plane, in nm: `rect` by two opposite corners, `poly` by all of its corners."""

    shape: str
    corners: tuple[tuple[float, float], ...]

    @property
    def bounds(self) -> tuple[Range, Range]:
        """The least box around it: ((x, x), (y, y))."""
        x, y = zip(*self.corners, strict=True)
        return (min(x), max(x)), (min(y), max(y))


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewState:
    """What is looked at, and how; None is automatic.

    Attributes:
        sample: Its number in the dataset.
        at: The centre in nm, two or three numbers.
        nm: Nanometres of one CSS pixel.
        rot: Azimuth and elevation in degrees.
        by: The column that colours show; "" for brightness only.
        filters: By column, the range in which rows are kept.
    """

    sample: int = 0
    at: tuple[float, ...] | None = None
    nm: float | None = None
    rot: tuple[float, float] = (0.0, 0.0)
    mode: str = "density"
    point_px: float = 3.0
    by: str = ""
    color_range: Range | None = None
    colormap: str = DEFAULT
    contrast: Range | None = None
    gamma: float = 1.0
    is_log: bool = False
    is_locked: bool = False
    channels: Mapping[int, Channel] = field(default_factory=dict)
    filters: Mapping[str, Range] = field(default_factory=dict)
    roi: Region | None = None


def parse_state(state: str | Pairs) -> ViewState:
    """Return the state that a text, or pairs taken from one, describes. Never fails."""
    pairs = _pairs(state) if isinstance(state, str) else list(state)[:PAIRS_MAX]
    # Of a key that comes twice the last one counts, as in the page.
    said = dict(pairs)
    get = said.get
    return ViewState(
        sample=_index(get("s", ""), SAMPLES_MAX) or 0,
        at=_place(get("at", "")),
        nm=_within(get("nm", ""), NM_LEAST, NM_MOST),
        rot=_angles(get("rot", "")),
        mode=_one_of(get("m", ""), MODES),
        point_px=_within(get("px", ""), 1.0, POINT_PX_MOST) or 3.0,
        by=_name(get("by", "")),
        color_range=parse_span(get("range", "")),
        colormap=_one_of(get("map", ""), (DEFAULT, *COLORMAPS)),
        contrast=parse_span(get("c", "")),
        gamma=_within(get("g", ""), GAMMA_LEAST, GAMMA_MOST) or 1.0,
        is_log=get("log") == "1",
        is_locked=get("lock") == "1",
        channels=_channels(said),
        filters=_filters(said),
        roi=parse_region(get("roi", "")),
    )


def format_state(state: ViewState) -> str:
    """Return the shortest text that `parse_state` reads as this state."""
    default = ViewState()
    pairs: list[tuple[str, str]] = [("v", "1")]

    def say(key: str, value: str, *, if_other: bool) -> None:
        if if_other:
            pairs.append((key, value))

    say("s", str(state.sample), if_other=state.sample != 0)
    say("at", _join(state.at or ()), if_other=state.at is not None)
    say("nm", _number(state.nm or 0), if_other=state.nm is not None)
    say("rot", _join(state.rot), if_other=state.rot != default.rot)
    say("m", state.mode, if_other=state.mode != default.mode)
    say("px", _number(state.point_px), if_other=state.point_px != default.point_px)
    say("by", state.by, if_other=state.by != "")
    say("range", _span(state.color_range), if_other=state.color_range is not None)
    say("map", state.colormap, if_other=state.colormap != DEFAULT)
    say("c", _span(state.contrast), if_other=state.contrast is not None)
    say("g", _number(state.gamma), if_other=state.gamma != 1.0)
    say("log", "1", if_other=state.is_log)
    say("lock", "1", if_other=state.is_locked)
    pairs += [(f"h{number}", _channel(look)) for number, look in sorted(state.channels.items())]
    pairs += [(f"f.{name}", _span(span)) for name, span in sorted(state.filters.items())]
    if state.roi is not None:
        corners = _join([value for corner in state.roi.corners for value in corner])
        pairs.append(("roi", f"{state.roi.shape}:{corners}"))
    return urlencode(pairs, safe=",:")


def parse_span(text: str) -> Range | None:
    """Return the numbers of `lo..hi`, None if it is no range."""
    low, dots, high = text.partition("..")
    found = parse_number(low), parse_number(high)
    if not dots or found[0] is None or found[1] is None or found[0] > found[1]:
        return None
    return found[0], found[1]


def parse_region(text: str) -> Region | None:
    """Return the region of `rect:x0,y0,x1,y1` or `poly:x0,y0,...`, None if it is none."""
    shape, _, numbers = text.partition(":")
    values = parse_numbers(numbers, most=2 * CORNERS_MAX)
    if values is None or len(values) % 2:
        return None
    corners = tuple(zip(values[::2], values[1::2], strict=True))
    if (shape == "rect" and len(corners) == 2) or (shape == "poly" and len(corners) >= 3):
        return Region(shape=shape, corners=corners)
    return None


def parse_number(text: str) -> float | None:
    """Return a decimal number within what a position may be, None for anything else."""
    if len(text) > 60 or _NUMBER.fullmatch(text) is None:
        return None
    value = float(text)
    return value + 0.0 if abs(value) <= NUMBER_MAX else None


def parse_numbers(text: str, *, most: int) -> tuple[float, ...] | None:
    """Return numbers with commas between them, None if any is none or there are too many."""
    parts = text.split(",", most)
    values = [parse_number(part) for part in parts]
    if len(parts) > most or any(value is None for value in values):
        return None
    return tuple([value for value in values if value is not None])


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            text[:STATE_SIZE_MAX].lstrip("#?"), keep_blank_values=True, max_num_fields=PAIRS_MAX
        )
    except ValueError:  # More pairs than any state has.
        return []


def _channels(said: Mapping[str, str]) -> dict[int, Channel]:
    found = {}
    for key, text in said.items():
        match = _CHANNEL.fullmatch(key)
        if match and int(match[1]) < CHANNELS_MAX:
            look = _parse_channel(text)
            if look != Channel():
                found[int(match[1])] = look
    return found


def _parse_channel(text: str) -> Channel:
    contrast, gamma, tint, visible, *_ = [*text.split(","), "", "", "", ""]
    return Channel(
        contrast=parse_span(contrast),
        gamma=_within(gamma, GAMMA_LEAST, GAMMA_MOST),
        tint=tint.lower() if _COLOR.fullmatch(tint) else None,
        is_visible=visible != "0",
    )


def _filters(said: Mapping[str, str]) -> dict[str, Range]:
    found: dict[str, Range] = {}
    for key, text in said.items():
        name, span = _name(key[2:]) if key.startswith("f.") else "", parse_span(text)
        if name and span is not None and len(found) < FILTERS_MAX:
            found[name] = span
    return found


def _place(text: str) -> tuple[float, ...] | None:
    values = parse_numbers(text, most=3)
    return values if values is not None and len(values) >= 2 else None


def _angles(text: str) -> tuple[float, float]:
    values = parse_numbers(text, most=2)
    if values is None or len(values) != 2:
        return (0.0, 0.0)
    return (math.fmod(values[0], 360.0), min(max(values[1], -180.0), 180.0))


def _index(text: str, end: int) -> int | None:
    is_number = text.isascii() and text.isdecimal() and len(text) < 9
    return int(text) if is_number and int(text) < end else None


def _within(text: str, least: float, most: float) -> float | None:
    value = parse_number(text)
    return value if value is not None and least <= value <= most else None


def _one_of(text: str, choices: tuple[str, ...]) -> str:
    return text if text in choices else choices[0]


def _name(text: str) -> str:
    return text if _NAME.fullmatch(text) else ""


def _channel(look: Channel) -> str:
    parts = [
        _span(look.contrast),
        "" if look.gamma is None else _number(look.gamma),
        look.tint or "",
        "" if look.is_visible else "0",
    ]
    return ",".join(parts)


def _span(span: Range | None) -> str:
    return "" if span is None else f"{_number(span[0])}..{_number(span[1])}"


def _join(values: Iterable[float]) -> str:
    return ",".join(map(_number, values))


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
