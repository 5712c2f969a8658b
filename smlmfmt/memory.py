"""Memory that comes and goes by the megabyte."""

from __future__ import annotations

import functools

import numpy as np

__all__ = ["keep_freed_memory"]

# Just below the largest threshold that the GNU C library adapts to.
_LARGEST_KEPT = 31 << 20


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep pieces that are freed, for the next piece of about their size.

    The GNU C library gives every large piece back to the system at once and fetches it anew, page
    by page, until it has seen a larger one freed (mallopt(3), M_MMAP_THRESHOLD). Reading blocks
    takes a tenth more time for that; one piece that is never touched spares it.
    """
    np.empty(_LARGEST_KEPT, np.uint8)
