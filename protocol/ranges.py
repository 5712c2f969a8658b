"""Reading and writing what one side of a reconciliation says: a message is a list of ranges.

A message is a version byte and then ranges. A range is its upper bound, a mode and what the mode
calls for: nothing (skip), a fingerprint, or a list of ids. It begins where the one before it ends.
A bound is a timestamp, as its difference to the timestamp before it plus one (0: infinity), and
the first 0 to 32 bytes of an id.

Source: Negentropy protocol v1, section "Definitions"; docs/protocol.md, "Reconciliation".
"""

from array import array
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from protocol.errors import MalformedError, SizeLimitError
from protocol.itemset import (
    FINGERPRINT_SIZE,
    ID_SIZE,
    INFINITY,
    Bounds,
    ItemSet,
    id_list,
)
from protocol.varint import decode_varints, encode_varints, read_varint, varint_sizes

VERSION = 0x61  # Version 1; 0x60 to 0x6f are versions 0 to 15.
RANGE_COUNT_MAX = 1 << 20  # of one message: three bytes can make a range, which takes us 150.


class Mode(IntEnum):
    """What a range says of its items."""

    SKIP = 0
    FINGERPRINT = 1
    ID_LIST = 2


@dataclass(frozen=True, slots=True)
class Received:
    """The ranges of one message, as they lie in it.

    Attributes:
        message: The whole message.
        bounds: The upper bounds, never descending.
        modes: intp, (m,).
        offsets: Where the fingerprint or the ids begin in the message: intp, (m,).
        counts: How many ids follow; 0 if the mode is another: intp, (m,).
    """

    message: bytes
    bounds: Bounds
    modes: NDArray[np.intp]
    offsets: NDArray[np.intp]
    counts: NDArray[np.intp]

    @classmethod
    def from_message(cls, message: bytes) -> "Received":
        """Read all ranges of a message whose version byte has been looked at.

        Raises:
            MalformedError: Anything that the grammar does not allow.
            SizeLimitError: More than `RANGE_COUNT_MAX` ranges.
        """
        data = np.frombuffer(message, np.uint8)
        starts = np.frombuffer(_starts(message), np.int64).astype(np.intp, copy=False)
        steps, sizes = decode_varints(data, starts)
        prefixes = starts + sizes + 1
        lengths = data[prefixes - 1].astype(np.intp)
        modes = data[prefixes + lengths].astype(np.intp)
        offsets = prefixes + lengths + 1
        counts = np.zeros(len(starts), np.intp)
        lists = np.flatnonzero(modes == Mode.ID_LIST)
        list_counts, sizes = decode_varints(data, offsets[lists])
        counts[lists] = list_counts
        offsets[lists] += sizes
        timestamps = _timestamps(steps)
        _check_lengths(lengths, timestamps)
        bounds = Bounds(timestamps, lengths, _prefixes(data, prefixes, lengths))
        _check_order(bounds)
        return cls(message, bounds, modes, offsets, counts)

    def fingerprints(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return the fingerprints of these rows, whose mode must be that: uint8, (k, 16)."""
        data = np.frombuffer(self.message, np.uint8)
        places: NDArray[np.intp] = self.offsets[rows, np.newaxis] + np.arange(FINGERPRINT_SIZE)
        return data[places]

    def ids(self, rows: NDArray[np.intp]) -> list[bytes]:
        """Return the ids of these rows, those of each together."""
        spans = zip(self.offsets[rows].tolist(), self.counts[rows].tolist(), strict=True)
        lists = [self.message[start : start + ID_SIZE * count] for start, count in spans]
        return id_list(b"".join(lists))


def _starts(message: bytes) -> "array[int]":
    # Where each range begins. This loop does nothing else, because it is the one place where
    # Python looks at ranges one by one; when it ends well, every range lies inside the message.
    starts = array("q")
    add = starts.append
    skip, fingerprint, listing = (mode.value for mode in Mode)
    position, end = 1, len(message)
    try:
        while position < end:
            add(position)
            while message[position] >= 0x80:
                position += 1
            position += message[position + 1] + 3
            mode = message[position - 1]
            if mode == fingerprint:
                position += FINGERPRINT_SIZE
            elif mode == listing:
                count, position = read_varint(message, position)
                position += ID_SIZE * count
            elif mode != skip:
                raise MalformedError(f"range at byte {starts[-1]} has the unknown mode {mode}")
    except IndexError:
        position = end + 1
    if position > end:
        raise MalformedError(f"message of {end} bytes ends inside the range at byte {starts[-1]}")
    if len(starts) > RANGE_COUNT_MAX:
        raise SizeLimitError(f"{len(starts)} ranges in one message: at most {RANGE_COUNT_MAX}")
    return starts


def _timestamps(steps: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # The sums of the steps, each one too large; infinity from a step of 0, or an overflow, on.
    sums = np.cumsum(np.where(steps == 0, steps, steps - np.uint64(1)), dtype=np.uint64)
    infinite = steps == 0
    infinite[1:] |= sums[1:] < sums[:-1]
    return np.where(np.logical_or.accumulate(infinite), np.uint64(INFINITY), sums)


def _check_lengths(lengths: NDArray[np.intp], timestamps: NDArray[np.uint64]) -> None:
    broken = lengths > np.where(timestamps == np.uint64(INFINITY), 0, ID_SIZE)
    if broken.any():
        index = int(broken.argmax())
        raise MalformedError(f"bound {index} has an id prefix of {lengths[index]} bytes")


def _prefixes(
    data: NDArray[np.uint8], offsets: NDArray[np.intp], lengths: NDArray[np.intp]
) -> NDArray[np.uint8]:
    prefixes = np.zeros((len(offsets), ID_SIZE), np.uint8)
    rows = np.flatnonzero(lengths)
    if len(rows):
        column = np.arange(int(lengths.max()))
        # A short prefix near the end may look at bytes that are not there, only to drop them.
        places = np.minimum(offsets[rows, np.newaxis] + column, len(data) - 1)
        given = column < lengths[rows, np.newaxis]
        prefixes[rows, : len(column)] = np.where(given, data[places], 0)
    return prefixes


def _check_order(bounds: Bounds) -> None:
    tied = np.flatnonzero(
        (bounds.timestamps[1:] == bounds.timestamps[:-1]) & (bounds.timestamps[1:] != INFINITY)
    )
    words = bounds.prefixes.view(">u8")
    before, after = words[tied], words[tied + 1]
    word = (before != after).argmax(axis=1)
    rows = np.arange(len(tied))
    descending = before[rows, word] > after[rows, word]
    if descending.any():
        index = int(tied[descending.argmax()]) + 1
        raise MalformedError(f"range {index} ends before it begins: bounds must ascend")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The ranges of a message to be written, each over items [start, end) of our own set.

    Attributes:
        bounds: The upper bounds, ascending.
        modes, starts, ends: intp, (m,).
    """

    bounds: Bounds
    modes: NDArray[np.intp]
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.modes)

    def first(self, count: int) -> "Outgoing":
        """Return the first `count` ranges."""
        rows = slice(count)
        return Outgoing(
            self.bounds.take(rows), self.modes[rows], self.starts[rows], self.ends[rows]
        )

    def ending_at(self, items: ItemSet, end: int) -> "Outgoing":
        """Return these ranges, the last one shortened to end before item `end`."""
        last = len(self) - 1
        bound = Bounds(
            items.timestamps[end : end + 1], np.array([ID_SIZE], np.intp), items.ids[end : end + 1]
        )
        return Outgoing(
            self.bounds.take(slice(last)).followed_by(bound),
            self.modes,
            self.starts,
            np.append(self.ends[:last], end),
        )

    def sizes(self) -> NDArray[np.intp]:
        """Return how many bytes each range will take, without hashing anything: (m,)."""
        counts = self.ends - self.starts
        lists = varint_sizes(counts.astype(np.uint64)) + ID_SIZE * counts
        sizes = varint_sizes(_steps(self.bounds.timestamps)) + self.bounds.lengths + 2
        sizes += np.choose(self.modes, [0, FINGERPRINT_SIZE, lists])
        return sizes

    def to_bytes(self, items: ItemSet) -> bytes:
        """Write the ranges, one after another, without a version byte."""
        heads, written = self._heads(items)
        head = heads[written].tobytes()
        lists = np.flatnonzero((self.modes == Mode.ID_LIST) & (self.ends > self.starts))
        places = np.cumsum(written.sum(axis=1))[lists].tolist()
        pieces: list[bytes | memoryview] = []
        done = 0
        starts, ends = self.starts[lists].tolist(), self.ends[lists].tolist()
        for place, start, end in zip(places, starts, ends, strict=True):
            pieces += (head[done:place], items.id_bytes(start, end))
            done = place
        pieces.append(head[done:])
        return b"".join(pieces)

    def _heads(self, items: ItemSet) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        # Everything but the ids, a range in a row, and which bytes of the row are written.
        count = len(self)
        step, step_written = encode_varints(_steps(self.bounds.timestamps))
        width = int(self.bounds.lengths.max(initial=0))
        prefix_written = np.arange(width) < self.bounds.lengths[:, np.newaxis]
        tail = np.zeros((count, FINGERPRINT_SIZE), np.uint8)
        tail_written = np.zeros((count, FINGERPRINT_SIZE), np.bool_)
        rows = np.flatnonzero(self.modes == Mode.FINGERPRINT)
        tail[rows] = items.fingerprints(self.starts[rows], self.ends[rows])
        tail_written[rows] = True
        rows = np.flatnonzero(self.modes == Mode.ID_LIST)
        digits, written = encode_varints((self.ends - self.starts)[rows].astype(np.uint64))
        tail[rows, -digits.shape[1] :] = digits
        tail_written[rows, -digits.shape[1] :] = written
        one = np.ones((count, 1), np.bool_)
        lengths, modes = self.bounds.lengths[:, np.newaxis], self.modes[:, np.newaxis]
        return (
            np.concatenate(
                (
                    step,
                    lengths.astype(np.uint8),
                    self.bounds.prefixes[:, :width],
                    modes.astype(np.uint8),
                    tail,
                ),
                axis=1,
            ),
            np.concatenate((step_written, one, prefix_written, one, tail_written), axis=1),
        )


def _steps(timestamps: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # The difference to the timestamp before plus one; infinity is 0. Infinity comes last, so
    # that nothing finite ever follows it.
    one = np.uint64(1)
    return np.where(
        timestamps == np.uint64(INFINITY),
        np.uint64(0),
        np.diff(timestamps, prepend=np.uint64(0)) + one,
    )
