"""What one side has to say to the ranges that the other side sent, and how much of it fits.

Source: Negentropy protocol v1; the choices that the grammar leaves open (sixteen buckets, lists
below 32 items, what ends a frame) are those of the reference, hoytech/negentropy negentropy.h.
"""

import numpy as np
from numpy.typing import NDArray

from protocol.itemset import ID_SIZE, Bounds, ItemSet, id_list
from protocol.ranges import VERSION, Mode, Outgoing, Received

_FRAME_RESERVE = 200  # What a frame keeps free for the fingerprint of the rest.
_BUCKET_COUNT = 16
_LIST_COUNT = 2 * _BUCKET_COUNT  # Fewer items than this are listed rather than cut.
_BUCKETS_SIZE_MIN = _BUCKET_COUNT * 19  # Of each at least step, length, mode and fingerprint.

_Indices = NDArray[np.intp]


def opening(items: ItemSet) -> bytes:
    """Return the message that opens a conversation about the whole set."""
    everything = np.array([len(items)], np.intp)
    differing = np.array([True])
    spoken = _Spoken(items, Bounds.infinity(), everything, differing=differing, listed=~differing)
    return bytes([VERSION]) + spoken.outgoing().to_bytes(items)


class Answer:
    """One received message beside our own set."""

    def __init__(self, items: ItemSet, received: Received, *, lists_ids: bool) -> None:
        """Compare every fingerprint with ours.

        Args:
            items: Our own set.
            received: What the other side said.
            lists_ids: Answer lists with lists, as a responder does; an initiator does not.
        """
        self._items = items
        self._received = received
        ends = items.locate(received.bounds)
        rows = np.flatnonzero(received.modes == Mode.FINGERPRINT)
        ours = items.fingerprints(_starts(ends)[rows], ends[rows])
        differing = np.zeros(len(ends), np.bool_)
        differing[rows] = (ours != received.fingerprints(rows)).any(axis=1)
        listed = received.modes == Mode.ID_LIST
        listed &= lists_ids
        self._spoken = _Spoken(items, received.bounds, ends, differing=differing, listed=listed)

    def encode(self, frame_limit: int) -> tuple[bytes, int]:
        """Write the answer.

        Args:
            frame_limit: The size limit in bytes, 0 for none.

        Returns:
            The message, and how many of the received ranges it answers.
        """
        if not frame_limit:
            return bytes([VERSION]) + self._spoken.outgoing().to_bytes(self._items), len(
                self._spoken
            )
        room = frame_limit - _FRAME_RESERVE
        spoken = self._spoken.first(self._spoken.count_within(room))
        outgoing = spoken.outgoing()
        sizes_after = 1 + np.cumsum(outgoing.sizes())
        over = np.flatnonzero(sizes_after > room)
        if not len(over):
            return bytes([VERSION]) + outgoing.to_bytes(self._items), len(spoken)
        row = int(spoken.origins()[over[0]])
        return self._cut(spoken, outgoing, row=row, room=room), row + 1

    def _cut(self, spoken: "_Spoken", outgoing: Outgoing, *, row: int, room: int) -> bytes:
        # What was said up to this row, of a list as many ids as fit, a sum of all the rest.
        origins = spoken.origins()
        kept, rest = int(np.searchsorted(origins, row)), int(spoken.ends[row])
        if spoken.listed[row]:
            size = 1 + int(outgoing.sizes()[:kept].sum())
            fitting = int(spoken.starts[row]) + (room - size) // ID_SIZE + 1
            outgoing = outgoing.first(int(np.searchsorted(origins, row, side="right")))
            if fitting < rest:
                rest = fitting
                outgoing = outgoing.ending_at(self._items, rest)
        else:
            outgoing = outgoing.first(kept)
        remaining = Outgoing(
            Bounds.infinity(),
            np.array([Mode.FINGERPRINT], np.intp),
            np.array([rest], np.intp),
            np.array([len(self._items)], np.intp),
        )
        said = outgoing.to_bytes(self._items) + remaining.to_bytes(self._items)
        return bytes([VERSION]) + said

    def compare_lists(self, row_count: int) -> tuple[set[bytes], set[bytes]]:
        """Return the ids that only we hold, and those that only they hold, of all their lists.

        Args:
            row_count: How many of the received ranges to look at.
        """
        rows = np.flatnonzero(self._received.modes[:row_count] == Mode.ID_LIST)
        their_ids = self._received.ids(rows)
        their_counts = self._received.counts[rows].tolist()
        starts, ends = self._spoken.starts[rows].tolist(), self._spoken.ends[rows].tolist()
        have: set[bytes] = set()
        need: set[bytes] = set()
        done = 0
        for start, end, count in zip(starts, ends, their_counts, strict=True):
            ours = set(id_list(self._items.id_bytes(start, end)))
            theirs = set(their_ids[done : done + count])
            done += count
            have |= ours - theirs
            need |= theirs - ours
        return have, need


class _Spoken:
    # The received ranges and which of them we have something to say to: cut the differing ones,
    # list the listed ones. The arrays have a row for each range.

    def __init__(
        self,
        items: ItemSet,
        bounds: Bounds,
        ends: _Indices,
        *,
        differing: NDArray[np.bool_],
        listed: NDArray[np.bool_],
    ) -> None:
        self._items = items
        self.bounds = bounds
        self.starts, self.ends = _starts(ends), ends
        self.differing, self.listed = differing, listed
        self._cut = differing & (self.ends - self.starts >= _LIST_COUNT)
        spoken = differing | listed
        # A silence before something said is told as one skipped range; a last one is not.
        self._skips = spoken.copy()
        self._skips[:1] = False
        self._skips[1:] &= ~spoken[:-1]
        self._counts = np.where(self._cut, _BUCKET_COUNT, spoken.astype(np.intp)) + self._skips

    def __len__(self) -> int:
        return len(self.ends)

    def first(self, count: int) -> "_Spoken":
        rows = slice(count)
        return _Spoken(
            self._items,
            self.bounds.take(rows),
            self.ends[rows],
            differing=self.differing[rows],
            listed=self.listed[rows],
        )

    def origins(self) -> _Indices:
        """Return for each outgoing range the row that it answers."""
        return np.repeat(np.arange(len(self)), self._counts)

    def count_within(self, room: int) -> int:
        """Return a number of rows that surely fills the room, or all: what is behind is moot."""
        lists = 4 + ID_SIZE * (self.ends - self.starts)
        sizes = np.where(self._cut, _BUCKETS_SIZE_MIN, lists)
        sizes[~(self.differing | self.listed)] = 0
        return min(int(np.searchsorted(np.cumsum(sizes), room)) + 1, len(self))

    def outgoing(self) -> Outgoing:
        firsts = np.cumsum(self._counts) - self._counts
        total = int(self._counts.sum())
        modes = np.full(total, Mode.SKIP, np.intp)
        starts, ends, sources = (np.zeros(total, np.intp) for _ in range(3))
        skipped = np.flatnonzero(self._skips)
        sources[firsts[skipped]] = skipped - 1
        firsts += self._skips
        rows = np.flatnonzero((self.differing | self.listed) & ~self._cut)
        places = firsts[rows]
        modes[places] = Mode.ID_LIST
        sources[places], starts[places], ends[places] = rows, self.starts[rows], self.ends[rows]
        rows = np.flatnonzero(self._cut)
        edges = _edges(self.starts[rows], self.ends[rows])
        places = firsts[rows, np.newaxis] + np.arange(_BUCKET_COUNT)
        modes[places] = Mode.FINGERPRINT
        starts[places], ends[places] = edges[:, :-1], edges[:, 1:]
        inner = edges[:, 1:-1]
        sources[places[:, :-1]] = len(self) + np.arange(inner.size).reshape(inner.shape)
        sources[places[:, -1]] = rows
        bounds = self.bounds.followed_by(self._items.bounds_before(inner.reshape(-1)))
        return Outgoing(bounds.take(sources), modes, starts, ends)


def _starts(ends: _Indices) -> _Indices:
    return np.concatenate((np.zeros(1, np.intp), ends))[:-1]


def _edges(starts: _Indices, ends: _Indices) -> _Indices:
    # Where the buckets of each range begin, and the end: (n, 17). The first ones take the rest.
    counts = (ends - starts)[:, np.newaxis]
    sizes, rest = counts // _BUCKET_COUNT, counts % _BUCKET_COUNT
    bucket = np.arange(_BUCKET_COUNT + 1)
    edges: _Indices = starts[:, np.newaxis] + sizes * bucket + np.minimum(bucket, rest)
    return edges
