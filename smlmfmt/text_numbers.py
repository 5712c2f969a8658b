"""Columns of numbers to the shortest decimal text that reads back as the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["format_column"]

_WHOLE_MAX = 1 << 53
_DECIMALS_MAX = 7
_WORDS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def format_column(values: npt.NDArray[Any]) -> list[str]:
    """Return one text per value; NaN and Infinity as Java writes them.

    Args:
        values: Shape (n,), integer or floating. A float32 is written so that it reads back as
            the same float32.
    """
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if values.dtype.kind != "f":
        return [str(value) for value in values.tolist()]
    if _is_whole(values):
        return [str(value) for value in values.astype(np.int64).tolist()]
    wide = values if values.dtype == np.float64 else _rounded(values)
    texts = [repr(value) for value in wide.tolist()]
    for index in np.flatnonzero(~np.isfinite(wide) | (np.trunc(wide) == wide)).tolist():
        texts[index] = _plain(texts[index])
    return texts


def _is_whole(values: npt.NDArray[Any]) -> bool:
    # A zero with a sign keeps it only as "-0.0".
    if not np.isfinite(values).all() or np.signbit(values[values == 0]).any():
        return False
    wide = values.astype(np.float64, copy=False)
    return bool((np.abs(wide) < _WHOLE_MAX).all() and (np.trunc(wide) == wide).all())


def _rounded(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return float64 values of few decimals that are the same in the narrower type."""
    wide = values.astype(np.float64)
    found = wide.copy()
    open_ = np.flatnonzero(np.isfinite(wide))
    for decimals in range(_DECIMALS_MAX + 1):
        if not len(open_):
            break
        tried = np.round(wide[open_], decimals)
        fits = tried.astype(values.dtype) == values[open_]
        found[open_[fits]] = tried[fits]
        open_ = open_[~fits]
    # The few that are left (very small or very precise) by themselves.
    for index in open_.tolist():
        found[index] = float(str(values[index]))
    return found


def _plain(text: str) -> str:
    if text.endswith(".0") and text != "-0.0":
        return text[:-2]
    return _WORDS.get(text, text)
