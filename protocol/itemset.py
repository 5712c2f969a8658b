"""A sorted, unchanging set of (timestamp, id), ready to be compared range by range.

Items stand in the order of their timestamp, then of their id's bytes. Beside them stand the
running sums of their ids, so that the fingerprint of any range, however long, costs the same:
two look-ups, one subtraction, one hash. Everything works on many ranges at once, because the
cost of reconciling large sets in Python is the cost of doing anything one item at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from protocol.errors import LocalProtocolError
from protocol.varint import UINT64_MAX, encode_varints

ID_SIZE = 32
FINGERPRINT_SIZE = 16
INFINITY = UINT64_MAX  # As a timestamp: after every item. No item may carry it.

_LIMB_COUNT = 8  # A 256-bit sum is eight 32-bit limbs, the lowest first.
_LIMB_MASK = 0xFFFF_FFFF
_BLOCK_COUNT = 1 << 16  # Ranges hashed at once.


@dataclass(frozen=True, slots=True)
class Bounds:
    """Many places between items, each given by a timestamp and the first bytes of an id.

    Attributes:
        timestamps: uint64, (n,).
        lengths: How many bytes of the id are given, 0 to 32: intp, (n,).
        prefixes: Those bytes, zero behind them: uint8, (n, 32).
    """

    timestamps: NDArray[np.uint64]
    lengths: NDArray[np.intp]
    prefixes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.timestamps)

    def take(self, rows: NDArray[np.intp] | slice) -> "Bounds":
        """Return the bounds of those rows, in that order."""
        return Bounds(self.timestamps[rows], self.lengths[rows], self.prefixes[rows])

    def followed_by(self, other: "Bounds") -> "Bounds":
        """Return these bounds and then those of `other`."""
        return Bounds(
            np.concatenate((self.timestamps, other.timestamps)),
            np.concatenate((self.lengths, other.lengths)),
            np.concatenate((self.prefixes, other.prefixes)),
        )

    @classmethod
    def infinity(cls) -> Self:
        """Return the one bound behind every item."""
        return cls(
            np.array([INFINITY], np.uint64),
            np.zeros(1, np.intp),
            np.zeros((1, ID_SIZE), np.uint8),
        )


class ItemSet:
    """An immutable set of items in order. An item given twice is held once.

    Attributes:
        timestamps: uint64, (n,), ascending, read-only.
        ids: uint8, (n, 32), read-only; within one timestamp ascending.
    """

    __slots__ = ("_bytes", "_sums", "ids", "timestamps")

    def __init__(self, timestamps: NDArray[np.uint64], ids: NDArray[np.uint8]) -> None:
        """Take arrays that are sorted and without duplicates; `from_arrays` makes them so."""
        self.timestamps = timestamps
        self.ids = ids
        self._sums = _running_sums(ids)
        for array in (self.timestamps, self.ids, self._sums):
            array.flags.writeable = False
        self._bytes = self.ids.data.cast("B") if len(ids) else memoryview(b"")

    @classmethod
    def from_arrays(cls, timestamps: NDArray[np.uint64], ids: NDArray[np.uint8]) -> Self:
        """Sort items and drop duplicates. The arrays are copied.

        Args:
            timestamps: uint64, (n,), each below 2^64 - 1.
            ids: uint8, (n, 32).

        Raises:
            LocalProtocolError: A shape, dtype or timestamp is not as said.
        """
        if ids.dtype != np.uint8 or ids.shape != (len(timestamps), ID_SIZE):
            raise LocalProtocolError(f"ids must be uint8 of shape (n, 32), not {ids.shape}")
        if timestamps.dtype != np.uint64 or timestamps.ndim != 1:
            raise LocalProtocolError(f"timestamps must be uint64 (n,), not {timestamps.dtype}")
        if len(timestamps) and int(timestamps.max()) == INFINITY:
            raise LocalProtocolError("no item may have the timestamp 2^64 - 1: it means infinity")
        order = _order(timestamps, ids)
        timestamps, ids = timestamps[order], ids[order]
        same = (timestamps[1:] == timestamps[:-1]) & (ids[1:] == ids[:-1]).all(axis=1)
        if same.any():
            first = np.concatenate(([True], ~same))
            timestamps, ids = timestamps[first], ids[first]
        return cls(timestamps, ids)

    @classmethod
    def from_items(cls, items: Iterable[tuple[int, bytes]]) -> Self:
        """Sort (timestamp, id) pairs and drop duplicates.

        Raises:
            LocalProtocolError: An id is not 32 bytes, or a timestamp not in [0, 2^64 - 1).
        """
        pairs = list(items)
        for timestamp, item_id in pairs:
            if len(item_id) != ID_SIZE:
                raise LocalProtocolError(f"an id must be 32 bytes, not {len(item_id)}")
            if not 0 <= timestamp < INFINITY:
                raise LocalProtocolError(f"timestamp {timestamp} is not in [0, 2^64 - 1)")
        timestamps = np.array([timestamp for timestamp, _ in pairs], np.uint64)
        ids = np.frombuffer(b"".join(item_id for _, item_id in pairs), np.uint8)
        return cls.from_arrays(timestamps, ids.reshape(-1, ID_SIZE))

    def __len__(self) -> int:
        return len(self.timestamps)

    def id_bytes(self, start: int, end: int) -> memoryview:
        """Return the ids of [start, end), one after another, without copying them."""
        return self._bytes[start * ID_SIZE : end * ID_SIZE]

    def locate(self, bounds: Bounds) -> NDArray[np.intp]:
        """Return for each bound the index of the first item that is not before it: (m,)."""
        low = np.searchsorted(self.timestamps, bounds.timestamps, side="left")
        rows = np.flatnonzero(bounds.lengths)
        if len(rows):
            high = np.searchsorted(self.timestamps, bounds.timestamps[rows], side="right")
            low[rows] = self._locate_ids(low[rows], high, bounds.prefixes[rows])
        return low

    def _locate_ids(
        self, low: NDArray[np.intp], high: NDArray[np.intp], prefixes: NDArray[np.uint8]
    ) -> NDArray[np.intp]:
        # One binary search per row, all in step, over ids read as four big-endian words.
        words, wanted = self.ids.view(">u8"), prefixes.view(">u8")
        rows = np.arange(len(low))
        for _ in range(int((high - low).max(initial=0)).bit_length()):
            active = low < high
            middle = (low + high) // 2
            # A finished row looks at some item; its answer is not used.
            here = words[np.minimum(middle, len(words) - 1)]
            word = (here != wanted).argmax(axis=1)
            before = here[rows, word] < wanted[rows, word]
            low = np.where(active & before, middle + 1, low)
            high = np.where(active & ~before, middle, high)
        return low

    def bounds_before(self, indices: NDArray[np.intp]) -> Bounds:
        """Return the shortest bounds that divide item `index - 1` from item `index`.

        Args:
            indices: Each in [1, n): intp, (m,).
        """
        timestamps = self.timestamps[indices]
        lengths = np.zeros(len(indices), np.intp)
        prefixes = np.zeros((len(indices), ID_SIZE), np.uint8)
        tied = np.flatnonzero(timestamps == self.timestamps[indices - 1])
        if len(tied):
            ids = self.ids[indices[tied]]
            lengths[tied] = (ids != self.ids[indices[tied] - 1]).argmax(axis=1) + 1
            prefixes[tied] = np.where(np.arange(ID_SIZE) < lengths[tied, np.newaxis], ids, 0)
        return Bounds(timestamps, lengths, prefixes)

    def fingerprints(self, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return the fingerprints of the ranges [start, end): uint8, (m, 16).

        Source:
            Negentropy protocol v1, section "Fingerprint Algorithm": the first half of the
            SHA-256 over the sum of the ids, little-endian modulo 2^256, and their count.
        """
        hashes = np.zeros((len(starts), FINGERPRINT_SIZE), np.uint8)
        # In blocks, because what it takes to hash a range is twenty times its fingerprint.
        for at in range(0, len(starts), _BLOCK_COUNT):
            rows = slice(at, at + _BLOCK_COUNT)
            hashes[rows] = self._hash_block(starts[rows], ends[rows])
        return hashes

    def _hash_block(self, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> NDArray[np.uint8]:
        limbs = self._sums[ends].astype(np.int64) - self._sums[starts]
        for index in range(1, _LIMB_COUNT):
            limbs[:, index] += limbs[:, index - 1] >> 32  # Minus one where a limb borrows.
        sums = (limbs & _LIMB_MASK).astype("<u4").view(np.uint8)
        digits, written = encode_varints((ends - starts).astype(np.uint64))
        whole = np.concatenate((np.ones(sums.shape, np.bool_), written), axis=1)
        hashed = np.concatenate((sums, digits), axis=1)[whole].tobytes()
        edges = np.concatenate(([0], np.cumsum(whole.sum(axis=1)))).tolist()
        parts = [hashed[start:end] for start, end in pairwise(edges)]
        digests = b"".join([digest.digest() for digest in map(sha256, parts)])
        return np.frombuffer(digests, np.uint8).reshape(-1, 32)[:, :FINGERPRINT_SIZE]


def id_list(ids: bytes | memoryview) -> list[bytes]:
    """Return ids that stand one after another, each by itself."""
    items: list[bytes] = np.frombuffer(ids, f"V{ID_SIZE}").tolist()
    return items


def _order(timestamps: NDArray[np.uint64], ids: NDArray[np.uint8]) -> NDArray[np.intp]:
    words = np.ascontiguousarray(ids).view(">u8").astype(np.uint64)
    order = np.lexsort((words[:, 0], timestamps))
    first, at = words[order, 0], timestamps[order]
    if ((first[1:] == first[:-1]) & (at[1:] == at[:-1])).any():
        # The first eight bytes did not decide: a duplicate, or ids made to collide.
        order = np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0], timestamps))
    return order


def _running_sums(ids: NDArray[np.uint8]) -> NDArray[np.uint32]:
    # Row i is the sum of the first i ids modulo 2^256. A column of 32-bit limbs can be summed
    # in 64 bits without overflow; what is above 32 bits carries into the next column.
    sums = np.zeros((len(ids) + 1, _LIMB_COUNT), np.uint32)
    limbs = ids.view("<u4")
    carry = np.zeros(len(ids), np.uint64)
    for index in range(_LIMB_COUNT):
        column = np.cumsum(limbs[:, index], dtype=np.uint64)
        column += carry
        sums[1:, index] = (column & np.uint64(_LIMB_MASK)).astype(np.uint32)
        carry = column >> np.uint64(32)
    return sums
