"""What a manifest says of a table's columns, gathered block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BlockFacts", "Statistics", "block_facts"]

FLOAT32_WHOLE_MAX = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFacts:
    """Of one block with at least one row: per column, shape (columns,)."""

    rows: int
    minima: npt.NDArray[np.float64]
    maxima: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    is_uncountable: npt.NDArray[np.bool_]


def block_facts(columns: Sequence[npt.NDArray[Any]]) -> BlockFacts | None:
    """Return minimum, maximum and sum of each column, and whether float32 cannot count it.

    A column with NaN has NaN for all three. None for a block without rows.
    """
    if not columns or not len(columns[0]):
        return None
    with np.errstate(all="ignore"):
        minima = np.array([column.min() for column in columns], np.float64)
        maxima = np.array([column.max() for column in columns], np.float64)
        sums = np.array([column.sum(dtype=np.float64) for column in columns])
    beyond = [_is_uncountable(*item) for item in zip(columns, minima, maxima, strict=True)]
    return BlockFacts(
        rows=len(columns[0]),
        minima=minima,
        maxima=maxima,
        sums=sums,
        is_uncountable=np.array(beyond, np.bool_),
    )


class Statistics:
    """Minimum, maximum and mean of columns by header; None where no finite number says it."""

    def __init__(self, headers: Sequence[str]) -> None:
        self._headers = tuple(headers)
        self.rows = 0
        self._minima = np.full(len(headers), math.inf)
        self._maxima = np.full(len(headers), -math.inf)
        self._sums = np.zeros(len(headers))
        self._is_uncountable = np.zeros(len(headers), np.bool_)

    def add(self, facts: BlockFacts | None) -> None:
        """Count a block in."""
        if facts is None:
            return
        self.rows += facts.rows
        np.minimum(self._minima, facts.minima, out=self._minima)
        np.maximum(self._maxima, facts.maxima, out=self._maxima)
        with np.errstate(all="ignore"):
            self._sums += facts.sums
        self._is_uncountable |= facts.is_uncountable

    @property
    def uncountable(self) -> tuple[str, ...]:
        """The columns with finite values beyond what float32 counts exactly."""
        pairs = zip(self._headers, self._is_uncountable, strict=True)
        return tuple(header for header, is_beyond in pairs if is_beyond)

    def by_header(self) -> dict[str, dict[str, float | None]]:
        """Return `min`, `max` and `avg`, each by header."""
        means = self._sums / max(self.rows, 1)
        return {
            "min": self._said(self._minima),
            "max": self._said(self._maxima),
            "avg": self._said(means),
        }

    def _said(self, values: npt.NDArray[np.float64]) -> dict[str, float | None]:
        return {
            header: value if self.rows and math.isfinite(value) else None
            for header, value in zip(self._headers, values.tolist(), strict=True)
        }


def _is_uncountable(values: npt.NDArray[Any], low: float, high: float) -> bool:
    if math.isfinite(low) and math.isfinite(high):
        return max(-low, high) > FLOAT32_WHOLE_MAX
    wide = np.abs(values[np.isfinite(values)])
    return bool((wide > FLOAT32_WHOLE_MAX).any())
