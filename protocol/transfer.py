"""Which piece of a blob to ask of whom next, and what to believe of what comes.

Theory of operation. A blob is cut into pieces of a length that follows from its size alone, so
that all nodes cut alike. First one source is asked for the layer of the blob's Merkle tree, the
hashes of all pieces. It is compared with the root, which stands in a signed record; from then on
every piece can be checked by itself, whoever sent it. A blob of one piece needs no layer: the
root is the piece's hash.

A `Download` holds no socket, no file and no clock. Its owner calls `poll(now_ms)` and sends what
it returns, hands every answer to `receive_layer` or `receive_piece`, every failure to `fail`, and
sleeps until something arrives or until `wake_ms`. When `receive_piece` returns True the owner
writes the piece to its place and only then saves `bitmap`: started again with that bitmap, a
download goes on where it was. `recheck` takes a stored piece back if the disk lost it.

What is believed of a source, and until when:

- A source that sends a wrong layer or piece is *banned* for this blob, for good. What it still
  owes is asked of others. Pieces verified before stay: they are right, whoever sent them.
- A source that fails or misses a deadline is *resting*: it is asked again after a pause that
  doubles each time, with twice the patience, and is unproven until it delivers. A late answer
  is as good as any. After `FAILURE_COUNT_MAX` failures in a row it is *dropped*, until
  somebody adds it again.
- A source is *unproven* until it delivers. Unproven ones are asked for one piece at a time, and
  all of them together for at most `UNPROVEN_MAX`, so that a crowd of silent strangers cannot keep
  the proven ones waiting.
- Among the usable ones the piece goes to the source that should deliver it first, by what it
  delivered so far; a source that failed this very piece comes last.

Pieces are asked for in order, at most `INFLIGHT_SOURCE_MAX` of one source and `INFLIGHT_MAX` in
all, which bounds the memory of whoever collects the answers. `done` and `exhausted` (no source
left to ask) end a download. The same calls with the same seed give the same requests.
"""

from dataclasses import dataclass, field
from hashlib import sha256

from protocol.dataset import BlobRef
from protocol.errors import LocalProtocolError, MalformedError, RemoteProtocolError
from protocol.merkle import (
    DIGEST_SIZE,
    EMPTY_ROOT,
    piece_count,
    piece_hash,
    piece_length_for,
    piece_span,
    verify_layer,
)

__all__ = ["Download", "LayerRequest", "PieceRequest", "Request"]

INFLIGHT_SOURCE_MAX = 4
INFLIGHT_MAX = 16
UNPROVEN_MAX = 8
FAILURE_COUNT_MAX = 6  # in a row, before a source is dropped
PATIENCE_MS = 15_000  # for the first byte
RATE_MIN = 64  # bytes a millisecond; a slower source is late
PAUSE_MS = 1_000  # after a first failure
RATE_WEIGHT = 0.3  # of the newest measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRequest:
    """Ask `source` for the blob's layer of `piece_length`, `size` bytes of it."""

    source: str
    piece_length: int
    size: int
    deadline_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceRequest:
    """Ask `source` for the bytes [start, end) of the blob: the piece `index`."""

    source: str
    index: int
    start: int
    end: int
    deadline_ms: int


Request = LayerRequest | PieceRequest


@dataclass(slots=True)
class _Source:
    name: str
    rank: bytes  # Decides between equals.
    # By index, with the moment of asking and the deadline.
    inflight: dict[int, tuple[int, int]] = field(default_factory=dict)
    # Moments of asking and sizes of what came since the last poll, which will know the time.
    delivered: list[tuple[int, int]] = field(default_factory=list)
    is_proven: bool = False
    failure_count: int = 0
    rests_until_ms: int = 0
    ms_per_byte: float = 0.0  # Nothing known: try it.

    def measure(self, now_ms: int) -> None:
        for asked_ms, size in self.delivered:
            ms_per_byte = (now_ms - asked_ms) / size
            known = self.ms_per_byte or ms_per_byte
            self.ms_per_byte = known + RATE_WEIGHT * (ms_per_byte - known)
        self.delivered.clear()


_LAYER = -1  # In place of a piece's index.


class Download:
    """One blob, from many sources, some of which fail or lie.

    Attributes:
        blob: What is wanted.
        piece_length, piece_count: How it is cut.
        banned: Sources that sent wrong bytes, and which.
        dropped: Sources that failed too often, and how they did last.
        bytes_verified: How many bytes of the blob are known to be right.
    """

    def __init__(
        self,
        blob: BlobRef,
        *,
        have: bytes = b"",
        pieces: range | None = None,
        seed: bytes = b"",
    ) -> None:
        """Prepare a download.

        Args:
            blob: The name, size and Merkle root, from a signed record.
            have: The `bitmap` of a download begun before; empty for a new one.
            pieces: The pieces that are wanted, in the order in which they are; default all.
            seed: Which of equally good sources comes first.

        Raises:
            LocalProtocolError: The bitmap or the pieces are not those of this blob.
            MalformedError: The blob is empty and its root is not that of an empty blob.
        """
        self.blob = blob
        self.piece_length = piece_length_for(blob.size)
        self.piece_count = piece_count(blob.size, self.piece_length)
        self.banned: dict[str, str] = {}
        self.dropped: dict[str, str] = {}
        self.bytes_verified = 0
        self._seed = seed
        self._root = bytes.fromhex(blob.merkle_root)
        self._sources: dict[str, _Source] = {}
        self._failed_by: dict[int, set[str]] = {}
        self._layer = self._root if self.piece_count <= 1 else b""
        if self.piece_count == 0 and self._root != EMPTY_ROOT:
            raise MalformedError(f"blob {blob.sha256} is empty, but its Merkle root is not")
        wanted = range(self.piece_count) if pieces is None else pieces
        if wanted and not (min(wanted) >= 0 and max(wanted) < self.piece_count):
            raise LocalProtocolError(f"{wanted} of a blob of {self.piece_count} pieces")
        self._verified = self._parse_bitmap(have)
        self.bytes_verified = sum(self._piece_size(index) for index in self._verified)
        # In the order wanted; a dict, because pieces come and go.
        self._missing = {index: None for index in wanted if index not in self._verified}

    def _parse_bitmap(self, bitmap: bytes) -> set[int]:
        if not bitmap:
            return set()
        held = int.from_bytes(bitmap, "little")
        if len(bitmap) != -(-self.piece_count // 8) or held >> self.piece_count:
            raise LocalProtocolError(
                f"bitmap of {len(bitmap)} bytes for a blob of {self.piece_count} pieces"
            )
        return {index for index in range(self.piece_count) if held >> index & 1}

    @property
    def bitmap(self) -> bytes:
        """One bit for each piece, the lowest first: set if it is verified."""
        held = sum(1 << index for index in self._verified)
        return held.to_bytes(-(-self.piece_count // 8), "little")

    @property
    def layer(self) -> bytes:
        """The verified layer, or nothing as long as none has come."""
        return self._layer

    @property
    def done(self) -> bool:
        """Every wanted piece is verified."""
        return not self._missing

    @property
    def exhausted(self) -> bool:
        """Something is missing, and there is nobody left to ask."""
        return not self.done and not self._sources

    def add_source(self, source: str) -> None:
        """Ask this source too. A dropped one gets a new chance, a banned one does not."""
        if source not in self.banned and source not in self._sources:
            self.dropped.pop(source, None)
            rank = sha256(self._seed + source.encode()).digest()
            self._sources[source] = _Source(source, rank)

    def remove_source(self, source: str) -> None:
        """Ask this source nothing more; what it owes is asked of others."""
        self._sources.pop(source, None)

    def wake_ms(self, now_ms: int) -> int | None:
        """Return when `poll` may have something new though nothing came; None: never."""
        if self.done:
            return None
        sources = self._sources.values()
        moments = [deadline_ms for s in sources for _, deadline_ms in s.inflight.values()]
        moments += [s.rests_until_ms for s in sources if s.rests_until_ms > now_ms]
        return min(moments, default=None)

    def poll(self, now_ms: int) -> list[Request]:
        """Return what to send now; requests past their deadlines are given up first."""
        for known in self._sources.values():
            known.measure(now_ms)
        self._expire(now_ms)
        if self.done:
            return []
        if not self._layer:
            return self._poll_layer(now_ms)
        asked = {index for source in self._sources.values() for index in source.inflight}
        requests: list[Request] = []
        for index in [index for index in self._missing if index not in asked]:
            if len(asked) + len(requests) >= INFLIGHT_MAX:
                break
            source = self._choose(index, now_ms)
            if source is None:
                break
            requests.append(self._ask_piece(source, index, now_ms))
        return requests

    def _poll_layer(self, now_ms: int) -> list[Request]:
        if any(_LAYER in source.inflight for source in self._sources.values()):
            return []
        source = self._choose(_LAYER, now_ms)
        if source is None:
            return []
        size = DIGEST_SIZE * self.piece_count
        deadline_ms = self._ask(source, _LAYER, size, now_ms=now_ms)
        return [
            LayerRequest(
                source=source.name,
                piece_length=self.piece_length,
                size=size,
                deadline_ms=deadline_ms,
            )
        ]

    def _choose(self, index: int, now_ms: int) -> _Source | None:
        failed_by = self._failed_by.get(index, set())
        unproven_count = sum(
            len(source.inflight) for source in self._sources.values() if not source.is_proven
        )
        usable = [
            source
            for source in self._sources.values()
            if source.rests_until_ms <= now_ms
            and (
                len(source.inflight) < INFLIGHT_SOURCE_MAX
                if source.is_proven
                else not source.inflight and unproven_count < UNPROVEN_MAX
            )
        ]
        # The sooner it should be through with this and what it owes, the better.
        return min(
            usable,
            key=lambda s: (s.name in failed_by, s.ms_per_byte * (len(s.inflight) + 1), s.rank),
            default=None,
        )

    def _ask_piece(self, source: _Source, index: int, now_ms: int) -> PieceRequest:
        start, end = piece_span(index, size=self.blob.size, piece_length=self.piece_length)
        deadline_ms = self._ask(source, index, end - start, now_ms=now_ms)
        return PieceRequest(
            source=source.name, index=index, start=start, end=end, deadline_ms=deadline_ms
        )

    def _ask(self, source: _Source, index: int, size: int, *, now_ms: int) -> int:
        patience_ms = PATIENCE_MS + size // RATE_MIN
        deadline_ms = now_ms + (patience_ms << source.failure_count)
        source.inflight[index] = (now_ms, deadline_ms)
        return deadline_ms

    def _expire(self, now_ms: int) -> None:
        for source in list(self._sources.values()):
            late = [index for index, (_, end_ms) in source.inflight.items() if end_ms <= now_ms]
            for index in late:
                waited_ms = now_ms - source.inflight[index][0]
                self._fail(source, index, f"no answer in {waited_ms} ms", now_ms=now_ms)

    def fail(self, source: str, index: int | None, reason: str, *, now_ms: int) -> None:
        """Take note that a request came to nothing; a piece's index, or None for the layer."""
        wanted = _LAYER if index is None else index
        known = self._sources.get(source)
        if known is not None and wanted in known.inflight:  # Else given up before.
            self._fail(known, wanted, reason, now_ms=now_ms)

    def _fail(self, source: _Source, index: int, reason: str, *, now_ms: int) -> None:
        asked_ms, _ = source.inflight.pop(index)
        self._failed_by.setdefault(index, set()).add(source.name)
        if asked_ms < source.rests_until_ms:
            return  # Asked before the failure that it rests from: part of the same.
        source.is_proven = False
        source.rests_until_ms = now_ms + (PAUSE_MS << source.failure_count)
        source.failure_count += 1
        if source.failure_count >= FAILURE_COUNT_MAX:
            self.dropped[source.name] = reason
            del self._sources[source.name]

    def receive_layer(self, source: str, layer: bytes) -> None:
        """Accept the layer if it is the one under the Merkle root.

        Raises:
            RemoteProtocolError: It is not; the source is banned.
        """
        try:
            verify_layer(self._root, layer, size=self.blob.size, piece_length=self.piece_length)
        except MalformedError as error:
            raise self._ban(source, f"piece hashes: {error}") from error
        self._layer = layer
        self._delivered(source, _LAYER)

    def receive_piece(self, source: str, index: int, data: bytes) -> bool:
        """Accept one piece, however late or often, from whomever.

        Returns:
            True if it was missing: write it now. False if it was wanted no more.

        Raises:
            RemoteProtocolError: Its size or hash is wrong. The source is banned, and the message
                names piece, source and blob.
            LocalProtocolError: There is no such piece, or no layer yet to check it with.
        """
        if not self.is_intact(index, data):
            raise self._ban(source, f"piece {index}: {len(data)} bytes that do not match its hash")
        self._delivered(source, index)
        if index not in self._missing:
            return False
        self._verify(index)
        return True

    def is_intact(self, index: int, data: bytes) -> bool:
        """Return whether these are the bytes of that piece.

        Raises:
            LocalProtocolError: There is no such piece, or no layer yet to check it with.
        """
        if not 0 <= index < self.piece_count:
            raise LocalProtocolError(f"piece {index} of a blob of {self.piece_count} pieces")
        if not self._layer:
            raise LocalProtocolError(f"piece {index} came before the layer that checks it")
        if len(data) != self._piece_size(index):
            return False
        node = piece_hash(data, piece_length=self.piece_length, is_only=self.piece_count == 1)
        return node == self._layer[DIGEST_SIZE * index :][:DIGEST_SIZE]

    def recheck(self, index: int, data: bytes) -> bool:
        """Look again at a piece from our own disk; if it is not right, it is missing again.

        Raises:
            LocalProtocolError: There is no such piece, or no layer yet to check it with.
        """
        if self.is_intact(index, data):
            self._verify(index)
            return True
        if index in self._verified:
            self._verified.discard(index)
            self.bytes_verified -= self._piece_size(index)
            self._missing[index] = None
        return False

    def _verify(self, index: int) -> None:
        if index not in self._verified:
            self._verified.add(index)
            self.bytes_verified += self._piece_size(index)
        self._missing.pop(index, None)
        self._failed_by.pop(index, None)

    def _piece_size(self, index: int) -> int:
        start, end = piece_span(index, size=self.blob.size, piece_length=self.piece_length)
        return end - start

    def _delivered(self, source: str, index: int) -> None:
        known = self._sources.get(source)
        if known is None:
            return
        asked = known.inflight.pop(index, None)
        if asked is not None and index != _LAYER:
            known.delivered.append((asked[0], self._piece_size(index)))
        known.is_proven = True
        known.failure_count = 0
        known.rests_until_ms = 0

    def _ban(self, source: str, what: str) -> RemoteProtocolError:
        reason = f"{what} (blob {self.blob.sha256}, from {source}); not asked for this blob again"
        self.banned[source] = reason
        self._sources.pop(source, None)
        return RemoteProtocolError(reason)
