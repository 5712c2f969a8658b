"""Arrays with pages of their own are arrays like others."""

from __future__ import annotations

import numpy as np
import pytest

from smlmfmt import LocTable, memory


@pytest.mark.parametrize("rows", [0, 1, 1000, 9_000_000])
def test_room_is_an_array_like_any_other(rows: int) -> None:
    array = memory.empty(rows, np.float64)
    assert array.shape == (rows,)
    assert array.dtype == np.float64
    assert array.flags.c_contiguous
    array[:] = 1.5
    part = array[: rows // 2]
    table = LocTable({"x": array, "y": array})
    assert np.shares_memory(table["x"], array) or not rows
    del array, table
    assert (part == 1.5).all()


def test_what_the_system_cannot_give_is_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        memory.empty(1 << 60, np.float32)
