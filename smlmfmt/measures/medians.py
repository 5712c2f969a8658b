"""The exact median of a long column, in bounded memory.

A seeded sample brackets the median tightly; one pass then counts what lies below the bracket and
keeps what lies inside, among which the median is picked (Floyd and Rivest, CACM 18, 165 (1975),
without keeping the rest). Where the sample misled, or too much lies inside, the median is found
from its bits by counting, which no data can mislead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smlmfmt.measures.rows import Rows, Values, row_blocks

__all__ = ["exact_median"]

SEED = 1
SAMPLE_ROWS = 1 << 16
SPREAD = 5.0  # Standard deviations of the sample median's rank on each side of the bracket.
KEPT_MAX = 1 << 22  # Values kept inside the bracket: 32 MiB.

Source = Callable[[Rows], Values]


@dataclass(frozen=True, slots=True)
class _Bracket:
    """How many values are below `low`, equal to it, inside, and equal to `high`."""

    low: float
    high: float
    below: int
    at_low: int
    inside: Values
    at_high: int

    def ranked(self, rank: int) -> float | None:
        """Return the value of this rank (0 is the smallest), or None if it is outside."""
        rank -= self.below
        if rank < 0:
            return None
        if rank < self.at_low:
            return self.low
        rank -= self.at_low
        if rank < self.inside.size:
            return float(np.partition(self.inside, rank)[rank])
        return self.high if rank - self.inside.size < self.at_high else None


def exact_median(source: Source, rows: int) -> float | None:
    """Return the median of the usable values, the mean of the middle two if they are even.

    Args:
        source: Gives the usable (finite) values at the rows asked for, fewer or none; always the
            same values for the same rows.
        rows: How many rows there are.

    Returns:
        The median, or None if no value is usable.
    """
    count = sum(source(block).size for block in row_blocks(rows))
    if not count:
        return None
    ranks = ((count - 1) // 2, count // 2)
    bracket = _bracket(source, rows)
    found = [None if bracket is None else bracket.ranked(rank) for rank in ranks]
    low, high = (
        _counted(source, rows, rank) if value is None else value
        for rank, value in zip(ranks, found, strict=True)
    )
    middle = (low + high) / 2
    return middle if math.isfinite(middle) else low / 2 + high / 2


def _bracket(source: Source, rows: int) -> _Bracket | None:
    """Return what a pass finds around the sample's median; None if too much lies inside."""
    if rows > SAMPLE_ROWS:
        random = np.random.default_rng(SEED)
        sample = source(np.sort(random.integers(0, rows, SAMPLE_ROWS)).astype(np.intp))
    else:
        sample = source(slice(0, rows))
    if not sample.size:
        return None
    sample = np.sort(sample)
    reach = math.ceil(SPREAD * math.sqrt(sample.size) / 2)
    middle, last = sample.size // 2, sample.size - 1
    # Values of the column's own type compare exactly and fast.
    low, high = sample[max(0, middle - reach)], sample[min(last, middle + reach)]
    below, at_low, at_high, kept = 0, 0, 0, 0
    inside: list[Values] = [sample[:0]]
    for block in row_blocks(rows):
        values = source(block)
        over = values > low
        below += int(np.count_nonzero(values < low))
        at_low += int(np.count_nonzero(values == low))
        if high > low:
            at_high += int(np.count_nonzero(values == high))
            inside.append(values[over & (values < high)])
            kept += inside[-1].size
        if kept > KEPT_MAX:
            return None
    return _Bracket(float(low), float(high), below, at_low, np.concatenate(inside), at_high)


def _counted(source: Source, rows: int, rank: int) -> float:
    """Return the value of this rank without sorting or keeping the values.

    Floats, with their bits turned about, sort as integers do, so the bits are found 16 at a time
    by counting.
    """
    found = 0
    for shift in (48, 32, 16, 0):
        counts = np.zeros(1 << 16, np.int64)
        for bits in _sortable(source, rows):
            if shift < 48:
                bits = bits[bits >> np.uint64(shift + 16) == np.uint64(found)]  # noqa: PLW2901
            digits = (bits >> np.uint64(shift)) & np.uint64(0xFFFF)
            counts += np.bincount(digits.astype(np.intp), minlength=1 << 16)
        until = np.cumsum(counts)
        digit = int(np.searchsorted(until, rank, side="right"))
        rank -= int(until[digit] - counts[digit])
        found = (found << 16) | digit
    turned = found ^ (1 << 63) if found >> 63 else found ^ (2**64 - 1)
    return float(np.array([turned], np.uint64).view(np.float64)[0])


def _sortable(source: Source, rows: int) -> Iterator[npt.NDArray[np.uint64]]:
    """Yield bits that rise with the values: negative ones inverted, others with the sign set."""
    for block in row_blocks(rows):
        # Adding 0 turns -0 into 0, which equals it.
        bits = (source(block).astype(np.float64) + 0.0).view(np.uint64)
        negative = bits >> np.uint64(63) == 1
        yield np.where(negative, ~bits, bits | np.uint64(1 << 63))
