# ruff: noqa: PLR0913, PLR0917 - a kernel takes its arrays one by one.
"""The loops over rows, compiled by numba: each runs without the interpreter lock.

Every kernel has one signature (float64 in, uint32 out), so that each is compiled once and found in
the cache ever after, and computes with additions, multiplications, divisions and comparisons only,
which IEEE 754 fixes: the same input gives the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np

__all__ = [
    "assign",
    "count_cells",
    "encode_linear",
    "encode_log",
    "finish_tile",
    "kept_rows",
    "lay",
    "merge",
    "pack",
    "quantise",
    "survey",
    "tally",
]

P = ParamSpec("P")
R = TypeVar("R")
Array = Any  # A numpy array inside a kernel; its dtype is in the kernel's docstring.

VALUE_MAX = 1e150  # Beyond this a square overflows; no measured value lies there.
KEY_SHIFT = 42  # Leaves sign, exponent and ten bits of a float64 (also in encoding.log_steps).
RADIX_BITS = 11
RADIX = 1 << RADIX_BITS


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile when first called; keep the result on disk where there is a place for it."""
    try:
        jitted = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # Neither our folder nor the user's cache folder can be written.
        jitted = numba.njit(nogil=True)(function)
    return cast("Callable[P, R]", jitted)


@compiled
def kept_rows(axes: Array, limit: float, kept: Array) -> int:
    """Mark in kept (bool, (n,)) the rows whose axes (float64, (d, n)) are all a position."""
    count = 0
    for row in range(kept.size):
        good = True
        for axis in range(axes.shape[0]):
            good &= abs(axes[axis, row]) <= limit
        kept[row] = good
        count += good
    return count


@compiled
def survey(values: Array, found: Array) -> None:
    """Add values (float64) to found: finite, not positive, least, least positive, most, fraction.

    found (float64, (6,)) begins as 0, 0, inf, inf, -inf, 0; the last is 1 once a finite value is
    not whole.
    """
    finite, low, above, high = 0.0, found[2], found[3], found[4]
    nonpositive, fraction = 0.0, found[5]
    for value in values:
        if abs(value) <= VALUE_MAX:
            finite += 1.0
            low = min(low, value)
            high = max(high, value)
            if value <= 0:
                nonpositive += 1.0
            elif value < above:
                above = value
            if value != np.floor(value):
                fraction = 1.0
    found[0] += finite
    found[1] += nonpositive
    found[2], found[3], found[4], found[5] = low, above, high, fraction


@compiled
def quantise(values: Array, origin: float, scale: float, out: Array) -> None:
    """Write floor((values - origin) * scale), clipped to 32 bits, to out (uint32)."""
    for row in range(values.size):
        position = np.floor((values[row] - origin) * scale)
        out[row] = np.uint32(np.int64(min(max(position, 0.0), 4294967295.0)))


@compiled
def count_cells(
    places: Array, child: Array, slot: Array, depth: int, height: int, counts: Array
) -> None:
    """Count rows in the cells `depth` levels below the frontier.

    places: uint32, (d, n). child: int32, (nodes, 8). slot: int32, (nodes,), the frontier's number
    of a node or -1. counts: uint32, (frontier * height * width * width,), width = 2**depth.
    """
    width = 1 << depth
    has_z = places.shape[0] == 3
    for row in range(places.shape[1]):
        x, y = np.int64(places[0, row]), np.int64(places[1, row])
        z = np.int64(places[2, row]) if has_z else np.int64(0)
        node, level = np.int64(0), 0
        while node >= 0 and slot[node] < 0:
            bit = 31 - level
            octant = ((x >> bit) & 1) | (((y >> bit) & 1) << 1) | (((z >> bit) & 1) << 2)
            node = np.int64(child[node, octant])
            level += 1
        if node >= 0:
            down = 32 - level - depth
            mask = width - 1
            cell = np.int64(slot[node]) * height + ((z >> down) & mask)
            cell = (cell * width + ((y >> down) & mask)) * width + ((x >> down) & mask)
            counts[cell] += np.uint32(1)


@compiled
def assign(
    places: Array,
    first_row: int,
    rows: Array,
    seed: int,
    limit: Array,
    child: Array,
    chain: Array,
    slabs: Array,
    nodes: Array,
    counts: Array,
) -> None:
    """Find each row's node: the first on its way down whose limit is not below its hash.

    rows: int64, (n,), the rows' numbers less first_row, or empty if they are 0 to n - 1. limit:
    uint32, (nodes,). child: int32, (nodes, 8). chain: int64, (nodes, 3), for the head of a chain
    of slabs: its start in slabs, how many, and the step of their limits; a count of 0 elsewhere.
    nodes: int32 (n,), out. counts: int64, (nodes,), added to.
    """
    has_z = places.shape[0] == 3
    golden = np.uint64(0x9E3779B97F4A7C15)
    for index in range(places.shape[1]):
        row = first_row + (rows[index] if rows.size else index)
        # The output number `row` of the generator splitmix64 begun with the seed.
        h = np.uint64(seed) + (np.uint64(row) + np.uint64(1)) * golden
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        u = np.int64((h ^ (h >> np.uint64(31))) >> np.uint64(32))
        x, y = np.int64(places[0, index]), np.int64(places[1, index])
        z = np.int64(places[2, index]) if has_z else np.int64(0)
        node, bit = np.int64(0), 31
        while u > np.int64(limit[node]):
            if chain[node, 1] > 0:
                slab = (u - np.int64(limit[node]) - 1) // chain[node, 2]
                node = np.int64(slabs[chain[node, 0] + min(slab, chain[node, 1] - 1)])
                break
            octant = ((x >> bit) & 1) | (((y >> bit) & 1) << 1) | (((z >> bit) & 1) << 2)
            node = np.int64(child[node, octant])
            bit -= 1
        nodes[index] = node
        counts[node] += 1


@compiled
def encode_linear(
    values: Array,
    low: float,
    step: float,
    codes_count: int,
    part: float,
    bins: Array,
    codes: Array,
) -> None:
    """Write 1 + round((values - low) / step), 0 for a missing value, to codes (uint32).

    bins: int64, the histogram, added to; part: 1 / codes per bin.
    """
    for row in range(values.size):
        value = values[row]
        if abs(value) <= VALUE_MAX:
            index: Any = np.int64(np.rint((value - low) / step))
            index = min(max(index, 0), codes_count - 1)
            # Half a code from both borders, so that no rounding moves a code to the next bin.
            bins[np.int64((index + 0.5) * part)] += 1
            codes[row] = np.uint32(index + 1)
        else:
            codes[row] = np.uint32(0)


@compiled
def encode_log(
    values: Array,
    steps: Array,
    guess: Array,
    key: int,
    part: float,
    bins: Array,
    codes: Array,
) -> None:
    """Write 2 + how many steps (float64, rising) a value has reached to codes (uint32).

    0 is a missing value, 1 one that is not positive (in no bin). guess (int32) says how many steps
    are at or below each power of two's 1024th parts, the first of which has these bits: key.
    """
    bits = values.view(np.int64)
    for row in range(values.size):
        value = values[row]
        if not abs(value) <= VALUE_MAX:
            codes[row] = np.uint32(0)
            continue
        code = np.int64(1)
        if value > 0:
            near = min(max((bits[row] >> KEY_SHIFT) - key, 0), guess.size - 2)
            low, high = np.int64(guess[near]), np.int64(guess[near + 1])
            while low < high:
                middle = (low + high) >> 1
                if steps[middle] <= value:
                    low = middle + 1
                else:
                    high = middle
            code = 2 + low
            bins[np.int64((low + 0.5) * part)] += 1
        codes[row] = np.uint32(code)


@compiled
def tally(codes: Array, first: int, part: float, bins: Array) -> None:
    """Add codes (uint32) to a histogram (int64) of 1 / part codes per bin."""
    for row in range(codes.size):
        bins[np.int64((np.int64(codes[row]) - first + 0.5) * part)] += 1


@compiled
def lay(codes: Array, down: int, mask: int, up: int, words: Array) -> None:
    """Put bits of codes (uint32) into words (uint32): (codes >> down & mask) << up."""
    for row in range(codes.size):
        words[row] |= np.uint32(((np.int64(codes[row]) >> down) & mask) << up)


@compiled
def pack(
    places: Array,
    nodes: Array,
    level: Array,
    fine_nodes: int,
    words: Array,
    start: Array,
    out: Array,
) -> None:
    """Write each row's record to out (uint32), the records of a node behind one another.

    start (int64, (nodes,)) is where each node's next record begins, in words. A record is the fine
    words, if the node is below fine_nodes, then the row's words (uint32, (planes, n)), to which
    the position's codes are added.
    """
    has_z = places.shape[0] == 3
    for row in range(nodes.size):
        node = nodes[row]
        up = np.int64(level[node])
        at = start[node]
        x = (np.int64(places[0, row]) << up) & 0xFFFFFFFF
        y = (np.int64(places[1, row]) << up) & 0xFFFFFFFF
        z = (np.int64(places[2, row]) << up) & 0xFFFFFFFF if has_z else np.int64(0)
        if node < fine_nodes:
            out[at] = np.uint32((x & 0xFFFF) | ((y & 0xFFFF) << 16))
            at += 1
            if has_z:
                out[at] = np.uint32(z & 0xFFFF)
                at += 1
        out[at] = np.uint32((x >> 16) | ((y >> 16) << 16))
        for plane in range(1, words.shape[0]):
            word = words[plane, row]
            if has_z and plane == 1:
                word |= np.uint32(z >> 16)
            out[at + plane] = word
        start[node] = at + words.shape[0]


@compiled
def merge(pieces: Array, bases: Array, starts: Array, out: Array) -> None:
    """Bring the records of each node together: block after block, in the order of the rows.

    pieces: uint32, the runs of all blocks. bases: int64, (blocks,), where each block's run begins.
    starts: int64, (blocks, nodes + 1), where each node begins in its block's run.
    """
    at = 0
    for node in range(starts.shape[1] - 1):
        for block in range(starts.shape[0]):
            base = bases[block]
            for word in range(base + starts[block, node], base + starts[block, node + 1]):
                out[at] = pieces[word]
                at += 1


@compiled
def spread(value: int, step: int) -> int:
    """Return 16 bits `step` (2 or 3) places apart."""
    if step == 2:
        value = (value | (value << 8)) & 0x00FF00FF
        value = (value | (value << 4)) & 0x0F0F0F0F
        value = (value | (value << 2)) & 0x33333333
        return (value | (value << 1)) & 0x55555555
    value = (value | (value << 16)) & 0x0000FF0000FF
    value = (value | (value << 8)) & 0x00F00F00F00F
    value = (value | (value << 4)) & 0x0C30C30C30C3
    return (value | (value << 2)) & 0x249249249249


@compiled
def finish_tile(records: Array, width: int, fine: int, has_z: bool, out: Array) -> None:  # noqa: FBT001
    """Order a tile's records along the Morton curve, equals as they come, and split the planes.

    records: uint32, (n * width,). fine: how many of the width words are fine. out: the same size.
    """
    n = records.size // width
    keys, order = np.empty((2, n), np.int64), np.empty((2, n), np.int64)
    top = np.int64(0)
    for row in range(n):
        word: Any = np.int64(records[row * width + fine])
        step = 3 if has_z else 2
        key = spread(word & 0xFFFF, step) | (spread(word >> 16, step) << 1)
        if has_z:
            z: Any = np.int64(records[row * width + fine + 1]) & 0xFFFF
            key |= spread(z, 3) << 2
        keys[0, row], order[0, row] = key, row
        top |= key
    now, shift = 0, 0
    counts = np.zeros(RADIX + 1, np.int64)
    while top >> shift:
        counts[:] = 0
        for row in range(n):
            counts[((keys[now, row] >> shift) & (RADIX - 1)) + 1] += 1
        for digit in range(RADIX):
            counts[digit + 1] += counts[digit]
        for row in range(n):
            digit = (keys[now, row] >> shift) & (RADIX - 1)
            keys[1 - now, counts[digit]] = keys[now, row]
            order[1 - now, counts[digit]] = order[now, row]
            counts[digit] += 1
        now, shift = 1 - now, shift + RADIX_BITS
    for plane in range(width):
        for row in range(n):
            out[plane * n + row] = records[order[now, row] * width + plane]
