"""Which piece of a blob to ask of whom next, and what to believe of what comes.

Theory of operation. A blob is cut into pieces of a length that follows from its size alone, so
that all nodes cut alike. First a source is asked for the layer of the blob's Merkle tree, the
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
  the proven ones waiting. What they owe for `DOUBT_MS` is asked of a proven source as well, once
  there is nothing else to ask for; the layer is asked of the next one, proven or not.
- Among the usable ones the piece goes to the source that should deliver it first, by what it
  delivered so far; a source that failed this very piece comes last.

Pieces are asked for in order, at most `INFLIGHT_SOURCE_MAX` of one source and `INFLIGHT_MAX` in
all, which bounds the memory of whoever collects the answers. `done` and `exhausted` (no source
left to ask) end a download. The same calls with the same seed give the same requests.
"""

from collections.abc import Iterable
from dataclasses import dataclass

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
from protocol.sources import INFLIGHT_MAX, Sources

__all__ = ["Download", "LayerRequest", "PieceRequest", "Request"]

_LAYER = -1  # In place of a piece's index.


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


class Download:
    """One blob, from many sources, some of which fail or lie.

    Attributes:
        blob: What is wanted.
        piece_length, piece_count: How it is cut.
        banned: Sources that sent wrong bytes, and which.
        bytes_verified: How many bytes of the blob are known to be right.
    """

    def __init__(
        self,
        blob: BlobRef,
        *,
        have: bytes = b"",
        pieces: Iterable[int] | None = None,
        piece_length: int | None = None,
        seed: bytes = b"",
    ) -> None:
        """Prepare a download.

        Args:
            blob: The name, size and Merkle root, from a signed record.
            have: The `bitmap` of a download begun before; empty for a new one.
            pieces: The pieces that are wanted, in the order in which they are; default all.
            piece_length: Cut it otherwise than all nodes do when they fetch whole blobs, for
                short ranges of it; a power of two, at least 16 KiB.
            seed: Which of equally good sources comes first.

        Raises:
            LocalProtocolError: The bitmap or the pieces are not those of this blob.
            MalformedError: The blob is empty and its root is not that of an empty blob.
        """
        self.blob = blob
        self.piece_length = piece_length or piece_length_for(blob.size)
        self.piece_count = piece_count(blob.size, self.piece_length)
        self.banned: dict[str, str] = {}
        self.bytes_verified = 0
        self._root = bytes.fromhex(blob.merkle_root)
        self._sources = Sources(seed=seed)
        self._layer = self._root if self.piece_count <= 1 else b""
        if self.piece_count == 0 and self._root != EMPTY_ROOT:
            raise MalformedError(f"blob {blob.sha256} is empty, but its Merkle root is not")
        wanted = range(self.piece_count) if pieces is None else list(pieces)
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

    @property
    def dropped(self) -> dict[str, str]:
        """Sources that failed too often in a row, and how they did last."""
        return dict(self._sources.dropped)

    def add_source(self, source: str) -> None:
        """Ask this source too. A dropped one gets a new chance, a banned one does not."""
        if source not in self.banned:
            self._sources.add(source)

    def remove_source(self, source: str) -> None:
        """Ask this source nothing more; what it owes is asked of others."""
        self._sources.remove(source)

    def wake_ms(self, now_ms: int) -> int | None:
        """Return when `poll` may have something new though nothing came; None: never."""
        return None if self.done else self._sources.wake_ms(now_ms)

    def poll(self, now_ms: int) -> list[Request]:
        """Return what to send now; requests past their deadlines are given up first."""
        self._sources.pass_time(now_ms)
        if self.done:
            return []
        if not self._layer:
            return self._poll_layer(now_ms)
        requests: list[Request] = []
        expected = self._sources.expected(now_ms, surely=False)
        doubtful = expected - self._sources.expected(now_ms, surely=True)
        fresh = [index for index in self._missing if index not in expected]
        again = [index for index in self._missing if index in doubtful]
        for index in fresh + again:
            if self._sources.inflight_count >= INFLIGHT_MAX:
                break
            source = self._sources.choose(index, now_ms, proven=index in doubtful)
            if source is None:
                break
            requests.append(self._ask(source, index, now_ms))
        return requests

    def _ask(self, source: str, index: int, now_ms: int) -> PieceRequest:
        start, end = piece_span(index, size=self.blob.size, piece_length=self.piece_length)
        deadline_ms = self._sources.ask(source, index, size=end - start, now_ms=now_ms)
        return PieceRequest(
            source=source, index=index, start=start, end=end, deadline_ms=deadline_ms
        )

    def _poll_layer(self, now_ms: int) -> list[Request]:
        if _LAYER in self._sources.expected(now_ms, surely=True):
            return []
        source = self._sources.choose(_LAYER, now_ms)
        if source is None:
            return []
        size = DIGEST_SIZE * self.piece_count
        deadline_ms = self._sources.ask(source, _LAYER, size=size, now_ms=now_ms)
        return [
            LayerRequest(
                source=source, piece_length=self.piece_length, size=size, deadline_ms=deadline_ms
            )
        ]

    def fail(self, source: str, index: int | None, reason: str, *, now_ms: int) -> None:
        """Take note that a request came to nothing; a piece's index, or None for the layer."""
        self._sources.fail(source, _LAYER if index is None else index, reason, now_ms=now_ms)

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
        self._sources.deliver(source, _LAYER)

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
        self._sources.deliver(source, index)
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
        self._sources.settle(index)

    def _piece_size(self, index: int) -> int:
        start, end = piece_span(index, size=self.blob.size, piece_length=self.piece_length)
        return end - start

    def _ban(self, source: str, what: str) -> RemoteProtocolError:
        reason = f"{what} (blob {self.blob.sha256}, from {source}); not asked for this blob again"
        self.banned[source] = reason
        self._sources.remove(source)
        return RemoteProtocolError(reason)
