"""Which column of a strange table is what, guessed from names and values: for people to confirm."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smlmfmt.columns import canonical_names

__all__ = ["FoundColumn", "guess_columns"]

# Words of names that have an x in them and are no position.
OTHER_WORDS = frozenset(
    (
        "accuracy", "background", "bg", "box", "chi", "crlb", "drift", "err", "error", "fwhm",
        "grad", "gradient", "lp", "max", "min", "offset", "precision", "prec", "psf", "radius",
        "sd", "se", "sig", "sigma", "size", "snr", "std", "stddev", "unc", "uncertainty", "var",
        "variance", "velocity", "width",
    )
)  # fmt: skip
FRAME_WORDS = frozenset(
    ("frame", "frames", "framenumber", "frameno", "fr", "slice", "image", "img")
)
INTENSITY_STARTS = ("phot", "intens", "amplitude", "signal", "brightness", "counts")
UNCERTAINTY_WORDS = frozenset(
    ("precision", "prec", "uncertainty", "accuracy", "error", "err", "locprec", "crlb")
)
# A picture's columns count along x, its rows along y.
PAIRS = (("col", "row"), ("column", "row"), ("horizontal", "vertical"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundColumn:
    """A column of a table that nobody knows.

    Attributes:
        header: What the file calls it; None if the file gives no names.
        values: Its first cells, as text.
        is_numeric: Whether all of them are numbers.
    """

    header: str | None
    values: tuple[str, ...]
    is_numeric: bool


def guess_columns(columns: Sequence[FoundColumn]) -> dict[str, str | int]:
    """Return header (or 0-based number) by our name: x and y and what else is likely, or nothing.

    What the reader recognises by itself is left out.
    """
    headers = [column.header or "" for column in columns]
    if not all(headers):
        return _by_values(columns)
    usable = {
        index
        for index, column in enumerate(columns)
        if column.is_numeric and headers.count(headers[index]) == 1
    }
    best = max(_pairs(headers, usable), default=None)
    if best is None:
        return {}
    x, y = headers[-best[1]], headers[-best[2]]
    guess: dict[str, str | int] = {"x": x, "y": y}
    depths = _with_axis(x.lower(), "z")
    known = {column.name for column in canonical_names(headers)}
    for index in sorted(usable):
        header = headers[index]
        name = "z" if header.lower() in depths else _meaning(set(_words(header)))
        if name and name not in known and header not in (x, y):
            guess.setdefault(name, header)
    return guess


def _pairs(headers: Sequence[str], usable: set[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (score, -index of x, -index of y) of names that differ in x for y, or col for row.

    The indices are negative so that of equals the greatest is the first in the file.
    """
    for index in usable:
        name, words = headers[index].lower(), _words(headers[index])
        partners = _with_axis(name, "y") | {
            name.replace(first, second) for first, second in PAIRS if first in words
        }
        score = 3 if "x" in words else 2 if words and words[0].startswith("x") else 1
        if OTHER_WORDS & set(words):
            continue
        for other in usable - {index}:
            if headers[other].lower() in partners:
                yield score, -index, -other


def _with_axis(name: str, axis: str) -> set[str]:
    """Return the names that differ from this one in one x, made another axis."""
    places = [place.start() for place in re.finditer("x", name)]
    return {name[:place] + axis + name[place + 1 :] for place in places}


def _words(header: str) -> list[str]:
    """Return the words of a name in lower case: `PosX_nm` is pos, x, nm."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", header)
    return [word.lower() for word in re.split(r"[^A-Za-z]+", spaced) if word]


def _meaning(words: set[str]) -> str:
    if words & FRAME_WORDS:
        return "frame"
    if any(word.startswith(INTENSITY_STARTS) for word in words):
        return "intensity"
    if words & UNCERTAINTY_WORDS and not words & {"x", "y", "z"}:
        return "uncertainty_xy"
    return ""


def _by_values(columns: Sequence[FoundColumn]) -> dict[str, str | int]:
    """Guess without names: the first two columns with fractions are x and y."""
    places = [
        index
        for index, column in enumerate(columns)
        if column.is_numeric and any(set(value) & set(".,") for value in column.values)
    ]
    return dict(zip(("x", "y"), places, strict=False)) if len(places) >= 2 else {}
