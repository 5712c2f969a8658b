"""Columns of numbers to the shortest decimal text that reads back as the same numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["format_column", "format_rows"]

# Fewer rows are written before the fast writer is imported.
FAST_ROWS_MIN = 16_384
# Between these, and at 0, Arrow writes the same shortest text as we do. (Whole numbers beyond what
# float32 counts are shorter for it than they are.)
_PLAIN_MIN = 1e-4
_PLAIN_MAX = {np.dtype(np.float32): float(1 << 24), np.dtype(np.float64): 1e10}

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


def format_rows(columns: Sequence[npt.NDArray[Any]], *, delimiter: str) -> bytes:
    """Return equally long columns as lines of text, each number as `format_column` writes it.

    Args:
        columns: At least one, each of shape (n,), integer or floating.
        delimiter: What sets numbers apart, one character.
    """
    if len(columns[0]) >= FAST_ROWS_MIN and all(map(_is_plain, columns)):
        return _arrow_rows(columns, delimiter)
    texts = [format_column(values) for values in columns]
    return "".join(f"{delimiter.join(row)}\n" for row in zip(*texts, strict=True)).encode()


def _is_plain(values: npt.NDArray[Any]) -> bool:
    if values.dtype.kind in "iu":
        return True
    high = _PLAIN_MAX.get(values.dtype)
    if high is None:
        return False
    sizes = np.abs(values)
    is_plain = (sizes >= _PLAIN_MIN) & (sizes < high)
    if not is_plain.all():
        is_plain |= (values == 0) & ~np.signbit(values)
    return bool(is_plain.all())


def _arrow_rows(columns: Sequence[npt.NDArray[Any]], delimiter: str) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - takes longer to import than small files to write.
    from pyarrow import csv  # noqa: PLC0415 - as above.

    found = io.BytesIO()
    table = pa.table({str(index): values for index, values in enumerate(columns)})
    csv.write_csv(table, found, csv.WriteOptions(include_header=False, delimiter=delimiter))
    return found.getvalue()


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
