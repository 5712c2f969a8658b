"""Memory that comes and goes by the megabyte."""

from __future__ import annotations

import functools
import mmap
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["empty", "keep_freed_memory"]

# From this size on, an array has pages of its own.
_OWN_PAGES_MIN = 64 << 20

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


def empty(rows: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array of so many rows, to be filled from the front, its values undefined.

    NumPy asks Linux for huge pages. Where those are rare, because the memory is in use or in
    pieces, the system moves other pages about to make some, which for gigabytes takes longer than
    to read a file into them. Large arrays get plain pages here.

    Raises:
        MemoryError: The system has not so much.
    """
    kind = np.dtype(dtype)
    size = rows * kind.itemsize
    if size < _OWN_PAGES_MIN or sys.platform != "linux":
        return np.empty(rows, kind)
    try:
        # Private: a process that forks must not share what it goes on to write.
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"no memory for {size} B") from error
    return np.frombuffer(pages, kind, rows)
