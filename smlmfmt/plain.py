"""Values from foreign files as plain JSON, for a table's metadata."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["plain"]

ARRAY_SIZE_MAX = 64
DEPTH_MAX = 32
TEXT_SIZE_MAX = 1 << 20


def plain(value: object, *, depth: int = 0) -> Any:
    """Return a value as JSON can say it: NaN as null, a large array as its shape, else as text.

    Args:
        value: Numbers, texts, arrays, and dictionaries and lists of them. What is nested deeper
            than DEPTH_MAX becomes "...".
        depth: How deep the value itself is nested.
    """
    if depth > DEPTH_MAX:
        return "..."
    if isinstance(value, dict):
        return {_text(str(key)): plain(item, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth=depth + 1) for item in value]
    if isinstance(value, np.ndarray):
        return _array(value)
    return _single(value.item() if isinstance(value, np.generic) else value)


def _single(value: object) -> bool | float | str | None:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return _text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def _array(values: np.ndarray[Any, Any]) -> Any:
    if values.dtype.names is not None or values.dtype.hasobject or values.size > ARRAY_SIZE_MAX:
        return f"{values.dtype} array of shape {values.shape}"
    return plain(values.reshape(-1)[0] if values.size == 1 else np.squeeze(values).tolist())


def _text(text: str) -> str:
    return text[:TEXT_SIZE_MAX].encode("utf-8", "replace").decode("utf-8")
