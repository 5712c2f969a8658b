"""What a .smlm manifest is found to say: tables, images, and the values it says it with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smlmfmt.errors import HeaderError

__all__ = [
    "INDEX_KEY",
    "ImageSpec",
    "Manifest",
    "Segments",
    "TableSpec",
    "integer",
    "member_name",
    "number",
    "plain_text",
    "short",
]

# Our own key of a file entry: where independent segments of whole rows start.
INDEX_KEY = "segments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Independent segments of a member: rows in each but the last, and compressed sizes."""

    rows: int
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """One table: where it is and how its bytes are to be read.

    Attributes:
        rows: Number of rows, None if the manifest does not say.
        counts: Elements per row of each column (the product of its shape).
        is_transposed: Whether this is format version 1, whose bytes are transposed.
        text: The format object of a table kept as text, else None.
    """

    member: str
    name: str
    channel: str
    rows: int | None
    headers: tuple[str, ...]
    dtypes: tuple[np.dtype[Any], ...]
    counts: tuple[int, ...]
    units: tuple[str, ...]
    offsets: Mapping[str, float]
    is_transposed: bool
    text: Mapping[str, Any] | None
    segments: Segments | None
    entry: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """One picture; `dtype` and `layout` only for raw arrays.

    Attributes:
        shape: Sizes; None among those of a raw array for the one that its bytes decide.
        layout: What the format object says of a raw array, as it says it.
    """

    member: str
    channel: str
    media_type: str
    shape: tuple[int | None, ...] | None
    dtype: str
    layout: Mapping[str, Any]
    entry: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Manifest:
    """The manifest as plain JSON (no NaN), what it describes, and how it strays."""

    plain: dict[str, Any]
    tables: list[TableSpec] = field(default_factory=list)
    images: list[ImageSpec] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def deviate(self, text: str) -> None:
        """Put down a deviation, once."""
        if text not in self.deviations:
            self.deviations.append(text)


def integer(value: object, *, where: str, high: int = 1 << 53) -> int:
    """Return a count that may have been written as a number or as text.

    Raises:
        HeaderError: It is not a whole number in [0, high].
    """
    count: float | int | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        count = value
    elif isinstance(value, str) and len(value) < 32:
        try:
            count = float(value)
        except ValueError:
            count = None
    if count is None or (isinstance(count, float) and not count.is_integer()):
        raise HeaderError(f"{where} must be a whole number, got {short(value)}")
    if not 0 <= count <= high:
        raise HeaderError(f"{where} must lie in 0 to {high}, got {short(value)}")
    return int(count)


def number(value: object) -> float | None:
    """Return a finite number that may have been written as text, else None."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def member_name(name: str) -> str:
    """Return the member a manifest means by a name, which may begin with "./"."""
    return name.replace("\\", "/").removeprefix("./")


def plain_text(value: object) -> str:
    """Return a text, and nothing for anything else."""
    return value if isinstance(value, str) else ""


def short(value: object) -> str:
    """Return a value for a message."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
