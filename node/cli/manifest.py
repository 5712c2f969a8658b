"""What a file says about itself, as `info` shows it: nobody has checked it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["said_by"]

# Our word for it, and the keys that programs put it under.
_KEYS = {
    "Name": ("name",),
    "Description": ("description",),
    "Licence": ("license", "licence"),
    "Author": ("author", "authors"),
    "Cite as": ("citeAs", "citation"),
    "Sample": ("sample",),
    "Labelling": ("labeling", "labelling"),
    "Date": ("date",),
    "Tags": ("tags",),
}


def said_by(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields that a manifest fills in, by our words for them, in reading order."""
    said = {}
    for name, keys in _KEYS.items():
        texts = [_text(manifest.get(key)) for key in keys]
        if filled := next(filter(None, texts), ""):
            said[name] = filled
    return said


def _text(value: object) -> str:
    """Return a text, number or list of them on one line; anything else says nothing."""
    if isinstance(value, list):
        return ", ".join(filter(None, map(_text, value)))
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(str(value).split())
