"""Numbers, sizes, lengths, moments and ids as people read them: few digits, SI units, thin spaces.

The exact value is always one hover or one `.json` away, so these round without regret.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

__all__ = [
    "THIN",
    "UNKNOWN",
    "format_age",
    "format_bound",
    "format_count",
    "format_date",
    "format_exact",
    "format_field",
    "format_iso",
    "format_length",
    "format_measure",
    "format_moment",
    "format_plural",
    "format_rate",
    "format_size",
    "shorten",
]

# A narrow space that never breaks a line between a number and its unit.
THIN = "\u202f"
UNKNOWN = "\u2013"
TIMES = "\u00d7"

_COUNT_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SIZE_STEPS = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_AGE_STEPS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_YEAR_MAX_S = 253_402_300_799


def format_exact(value: float | None) -> str:
    """Return an integer with its thousands set apart: `20 331`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{round(value):,}".replace(",", THIN)


def format_count(value: float | None) -> str:
    """Return a count at two to three digits: `412`, `17.4 k`, `1.2 M`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    # 9 999 stays as it is: four digits read faster than a rounded prefix.
    if abs(value) < 10_000:
        return format_exact(value)
    return _scale(value, _COUNT_STEPS, digits=2)


def format_rate(value: float | None) -> str:
    """Return how many per something: two to three digits, `0.042`, `2.4`, `41`, `1.2 k`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return format_count(value) if abs(value) >= 10 else f"{value:.2g}"


def format_size(size: int | None) -> str:
    """Return bytes at three digits: `512 B`, `1.34 GB`."""
    if size is None:
        return UNKNOWN
    if size < 1000:
        return f"{size}{THIN}B"
    return _scale(size, _SIZE_STEPS, digits=3)


def format_length(length_nm: float | None) -> str:
    """Return a length at two to three digits: `9.8 nm`, `41 µm`, `1.2 mm`."""
    if length_nm is None or not math.isfinite(length_nm):
        return UNKNOWN
    size = abs(length_nm)
    if size >= 1e6:
        return f"{_digits(length_nm / 1e6)}{THIN}mm"
    if size >= 1e3:
        return f"{_digits(length_nm / 1e3)}{THIN}µm"
    return f"{_digits(length_nm)}{THIN}nm"


def format_field(bounds: Mapping[str, Sequence[float]]) -> str:
    """Return a field of view, `41 x 38 µm`, with its depth where there is one.

    Args:
        bounds: `[min, max]` in nm for `x`, `y` and perhaps `z`.
    """
    spans = [high - low for low, high in bounds.values()]
    if len(spans) < 2 or not all(math.isfinite(span) for span in spans):
        return UNKNOWN
    scale, unit = (1e6, "mm") if min(spans[:2]) >= 1e6 else (1e3, "µm")
    if max(spans) < 1e3:
        scale, unit = 1.0, "nm"
    parts = [_digits(span / scale) for span in spans if span > 0 or span in spans[:2]]
    return f"{THIN}{TIMES}{THIN}".join(parts) + f"{THIN}{unit}"


def format_measure(value: float | None, unit: str = "") -> str:
    """Return a measured number at five digits with its unit as it stands: `812.42 photon`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = format_bound(value)
    return f"{text}{THIN}{unit}" if unit else text


def format_bound(value: float | None) -> str:
    """Return a measured number at five digits: `-12.5`, `25 600`, `1.2e-05`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == round(value) and abs(value) < 1e9:
        return format_exact(value).replace("-", "\u2212")
    if 1e-3 <= abs(value) < 1e6:
        decimals = max(0, 4 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{decimals}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return text.replace(",", THIN).replace("-", "\u2212")
    return f"{value:.4g}".replace("-", "\u2212")


def format_date(moment_s: float | None) -> str:
    """Return a day: `22 Nov 2026`."""
    if moment_s is None or not 0 <= moment_s <= _YEAR_MAX_S:
        return UNKNOWN
    day = datetime.fromtimestamp(moment_s, UTC)
    # Month names must not follow the server's locale.
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def format_moment(moment_s: float | None, now_s: float) -> str:
    """Return a moment in UTC: `14:02 UTC` if it is of today, else `22 Nov 2026, 14:02 UTC`."""
    if moment_s is None or not 0 <= moment_s <= _YEAR_MAX_S:
        return UNKNOWN
    moment = datetime.fromtimestamp(moment_s, UTC)
    if moment.date() == datetime.fromtimestamp(now_s, UTC).date():
        return f"{moment:%H:%M} UTC"
    return f"{format_date(moment_s)}, {moment:%H:%M} UTC"


def format_iso(moment_s: float | None) -> str:
    """Return a moment for machines: `2026-11-22T14:02:00Z`."""
    if moment_s is None or not 0 <= moment_s <= _YEAR_MAX_S:
        return ""
    return f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def format_age(seconds: float) -> str:
    """Return how long: `2 s`, `5 minutes`, `3 days`."""
    if seconds < 60:
        return f"{max(0, round(seconds))}{THIN}s"
    for step, word in _AGE_STEPS:
        if seconds >= step:
            return format_plural(int(seconds // step), word)
    raise AssertionError("every age of a minute or more has a step")


def format_plural(count: int, word: str, words: str = "") -> str:
    """Return a count with its noun: `1 copy`, `3 copies`."""
    return f"{format_exact(count)} {word if count == 1 else words or word + 's'}"


def shorten(digest: str) -> str:
    """Return the first 8 digits of an id."""
    return digest[:8]


def _digits(value: float) -> str:
    """Two or three digits: 9.8, 41, 128."""
    if value == 0:
        return "0"
    if abs(value) < 9.95:
        return f"{value:.1f}".removesuffix(".0") if abs(value) >= 0.1 else f"{value:.1g}"
    return f"{value:,.0f}".replace(",", THIN)


def _scale(value: float, steps: Sequence[tuple[float, str]], *, digits: int) -> str:
    """Return value in the largest unit it fills, at 2 or 3 digits below ten and 3 above."""
    for index, (step, unit) in enumerate(steps):
        # What rounds up to 1000 of one unit is 1 of the next.
        if abs(value) >= step * (0.9995 if index < len(steps) - 1 else 1):
            scaled = value / step
            decimals = digits - 1 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
            text = f"{scaled:.{decimals}f}"
            return f"{text.rstrip('0').rstrip('.') if '.' in text else text}{THIN}{unit}"
    raise AssertionError(f"{value} is below every unit")
