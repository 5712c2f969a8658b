import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import merkle, transfer
from protocol.dataset import BlobRef
from protocol.errors import LocalProtocolError, MalformedError, RemoteProtocolError
from protocol.identity import parse_digest
from protocol.merkle import LEAF_SIZE, MerkleBuilder
from protocol.sources import (
    DOUBT_MS,
    FAILURE_COUNT_MAX,
    INFLIGHT_MAX,
    INFLIGHT_SOURCE_MAX,
    UNPROVEN_MAX,
)
from protocol.transfer import Download, LayerRequest, PieceRequest, Request

DATA = random.Random(1).randbytes(13 * LEAF_SIZE + 77)
KINDS = ["honest", "slow", "silent", "failing", "lying", "short", "lying layer", "half lying"]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real least piece is a MiB; these tests want many pieces of little data.
    monkeypatch.setattr(transfer, "piece_length_for", lambda _: LEAF_SIZE)


def blob_of(data: bytes) -> BlobRef:
    return BlobRef(
        sha256=parse_digest(sha256(data).hexdigest()),
        size=len(data),
        merkle_root=parse_digest(merkle.root_of(data).hex()),
        media_type="application/octet-stream",
    )


def layer_of(data: bytes) -> bytes:
    builder = MerkleBuilder()
    builder.update(data)
    return builder.layer(LEAF_SIZE)


def flipped(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]


@dataclass
class World:
    """Sources of every kind around one download, in virtual time."""

    download: Download
    data: bytes
    kinds: dict[str, str]
    rng: random.Random
    now_ms: int = 0
    file: bytearray = field(default_factory=bytearray)
    log: list[Request] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.file = bytearray(len(self.data))
        self._coming: list[tuple[int, int, Request]] = []
        self._numbers = itertools.count()
        for name in self.kinds:
            self.download.add_source(name)

    def run(self, *, until: Callable[[Download], bool] = lambda _: False) -> None:
        for _ in range(5000):
            if self.download.done or self.download.exhausted or until(self.download):
                return
            for request in self.download.poll(self.now_ms):
                self.log.append(request)
                self._send(request)
            self._step()
        raise AssertionError("the download does not end")

    def _send(self, request: Request) -> None:
        kind = self.kinds[request.source]
        if kind != "silent":
            delay_ms = self.rng.randrange(1, 200) + (40_000 if kind == "slow" else 0)
            item = (self.now_ms + delay_ms, next(self._numbers), request)
            heapq.heappush(self._coming, item)

    def _step(self) -> None:
        wake_ms = self.download.wake_ms(self.now_ms)
        arrival_ms = self._coming[0][0] if self._coming else None
        moments = [moment for moment in (wake_ms, arrival_ms) if moment is not None]
        if not moments:
            assert self.download.done or self.download.exhausted
            return
        self.now_ms = max(self.now_ms, min(moments))
        while self._coming and self._coming[0][0] <= self.now_ms:
            self._arrive(heapq.heappop(self._coming)[2])

    def _arrive(self, request: Request) -> None:
        kind = self.kinds[request.source]
        index = request.index if isinstance(request, PieceRequest) else None
        if kind == "failing":
            self.download.fail(request.source, index, "refused", now_ms=self.now_ms)
            return
        lies = kind in {"lying", "short"} or (kind == "half lying" and self.rng.random() < 0.5)
        try:
            if isinstance(request, LayerRequest):
                layer = layer_of(self.data)
                self.download.receive_layer(
                    request.source, flipped(layer, self.rng) if kind == "lying layer" else layer
                )
                return
            piece = self.data[request.start : request.end]
            if lies:
                piece = piece[:-1] if kind == "short" else flipped(piece, self.rng)
            if self.download.receive_piece(request.source, request.index, piece):
                self.file[request.start : request.end] = piece
        except RemoteProtocolError as error:
            self.errors.append((request.source, str(error)))


def world(kinds: list[str], *, seed: int = 0, data: bytes = DATA, have: bytes = b"") -> World:
    download = Download(blob_of(data), have=have, seed=seed.to_bytes(8, "big"))
    names = {f"{kind} {number}": kind for number, kind in enumerate(kinds)}
    return World(download, data, names, random.Random(seed))


@given(
    st.lists(st.sampled_from(KINDS), max_size=12),
    st.integers(0, 12),
    st.integers(0, 2**32),
    st.integers(1, 20 * LEAF_SIZE),
)
@settings(max_examples=150, deadline=None)
def test_one_honest_source_is_enough_whoever_the_others_are(
    others: list[str], place: int, seed: int, size: int
) -> None:
    data = random.Random(seed).randbytes(size)
    scene = world([*others[:place], "honest", *others[place:]], seed=seed, data=data)
    scene.run()
    assert scene.download.done
    assert bytes(scene.file) == data
    assert scene.download.bytes_verified == size
    assert all(scene.kinds[name] not in {"honest", "slow"} for name in scene.download.banned)
    assert all(name in text and scene.download.blob.sha256 in text for name, text in scene.errors)


@given(
    st.lists(st.sampled_from(["silent", "failing", "lying", "short"]), max_size=6),
    st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_without_an_honest_source_it_ends_and_nothing_bad_is_kept(
    kinds: list[str], seed: int
) -> None:
    scene = world(kinds, seed=seed)
    scene.run()
    assert scene.download.exhausted
    assert set(scene.kinds) == set(scene.download.banned) | set(scene.download.dropped)
    held = int.from_bytes(scene.download.bitmap, "little")
    for index in range(scene.download.piece_count):
        if held >> index & 1:
            span = slice(index * LEAF_SIZE, (index + 1) * LEAF_SIZE)
            assert scene.file[span] == DATA[span]


def test_the_same_seed_gives_the_same_requests() -> None:
    kinds = ["honest", "lying", "slow", "failing", "honest", "silent"]
    first, second = world(kinds, seed=5), world(kinds, seed=5)
    first.run()
    second.run()
    assert first.log == second.log


def test_a_bad_piece_bans_its_source_and_says_which() -> None:
    download = Download(blob_of(DATA))
    download.add_source("http://liar")
    download.receive_layer("http://liar", layer_of(DATA))
    with pytest.raises(RemoteProtocolError, match=r"piece 3: .*http://liar"):
        download.receive_piece("http://liar", 3, bytes(LEAF_SIZE))
    assert download.exhausted
    assert "piece 3" in download.banned["http://liar"]
    download.add_source("http://liar")
    assert download.exhausted
    assert download.bytes_verified == 0


def test_a_bad_layer_bans_its_source_and_is_not_used() -> None:
    download = Download(blob_of(DATA))
    download.add_source("liar")
    with pytest.raises(RemoteProtocolError, match="piece hashes"):
        download.receive_layer("liar", layer_of(DATA)[::-1])
    assert (download.layer, set(download.banned)) == (b"", {"liar"})


def test_a_download_goes_on_where_it_was() -> None:
    first = world(["honest"], seed=1)
    first.run(until=lambda download: download.bytes_verified > 0)
    held = first.download.bitmap
    again = world(["honest"], seed=2, have=held)
    assert again.download.bytes_verified == first.download.bytes_verified > 0
    again.run()
    asked = {request.index for request in again.log if isinstance(request, PieceRequest)}
    assert asked == {i for i in range(14) if not int.from_bytes(held, "little") >> i & 1}


def test_only_the_wanted_pieces_are_asked_for_in_order() -> None:
    download = Download(blob_of(DATA), pieces=range(5, 8))
    scene = World(download, DATA, {"a": "honest"}, random.Random(0))
    scene.run()
    indices = [request.index for request in scene.log if isinstance(request, PieceRequest)]
    assert indices == [5, 6, 7]


def test_a_damaged_piece_on_disk_is_missing_again() -> None:
    download = Download(blob_of(DATA), have=b"\xff\x3f")
    assert download.done
    download.receive_layer("disk", layer_of(DATA))
    assert download.recheck(2, DATA[2 * LEAF_SIZE : 3 * LEAF_SIZE])
    assert not download.recheck(3, bytes(LEAF_SIZE))
    assert not download.done
    assert download.bytes_verified == len(DATA) - LEAF_SIZE


def test_a_source_that_misses_its_deadline_rests_and_a_late_answer_counts() -> None:
    download = Download(blob_of(DATA), pieces=range(1))
    download.receive_layer("disk", layer_of(DATA))
    download.add_source("late")
    (request,) = download.poll(0)
    assert download.wake_ms(DOUBT_MS) == request.deadline_ms
    assert download.poll(request.deadline_ms) == []
    assert isinstance(request, PieceRequest)
    assert download.receive_piece("late", request.index, DATA[request.start : request.end])
    assert download.done
    assert not download.receive_piece("late", request.index, DATA[request.start : request.end])


def test_a_source_that_fails_again_and_again_is_dropped_until_added_again() -> None:
    download = Download(blob_of(DATA))
    download.add_source("down")
    now_ms, asked = 0, 0
    while not download.exhausted:
        for request in download.poll(now_ms):
            asked += 1
            download.fail(request.source, None, "connection refused", now_ms=now_ms)
        now_ms = download.wake_ms(now_ms) or now_ms
    assert asked == FAILURE_COUNT_MAX
    assert download.dropped == {"down": "connection refused"}
    download.add_source("down")
    assert not download.exhausted
    assert download.dropped == {}


def test_failures_of_requests_sent_together_count_once() -> None:
    download = Download(blob_of(DATA))
    download.add_source("a")
    download.receive_layer("a", layer_of(DATA))
    download.poll(0)
    requests = download.poll(1)
    for request in [*requests, *download.poll(1)]:
        assert isinstance(request, PieceRequest)
        download.fail("a", request.index, "reset", now_ms=10)
    assert download.dropped == {}
    assert download.wake_ms(10) is not None


def test_strangers_cannot_take_all_the_places() -> None:
    download = Download(blob_of(bytes(40 * LEAF_SIZE)))
    for number in range(50):
        download.add_source(f"stranger {number}")
    download.receive_layer("disk", layer_of(bytes(40 * LEAF_SIZE)))
    assert len(download.poll(0)) == UNPROVEN_MAX
    download.add_source("good")
    download.receive_piece("good", 39, bytes(LEAF_SIZE))
    requests = download.poll(0)
    assert [request.source for request in requests] == ["good"] * INFLIGHT_SOURCE_MAX
    assert UNPROVEN_MAX + INFLIGHT_SOURCE_MAX <= INFLIGHT_MAX


def test_a_silent_source_does_not_hold_up_the_layer_or_the_end() -> None:
    scene = world(["silent", "silent", "honest"], seed=3)
    scene.run(until=lambda download: bool(download.layer))
    assert scene.now_ms < 3 * DOUBT_MS
    scene.run()
    assert scene.now_ms < 5 * DOUBT_MS


def test_a_blob_of_one_piece_needs_no_layer() -> None:
    download = Download(blob_of(b"small"))
    download.add_source("a")
    (request,) = download.poll(0)
    assert isinstance(request, PieceRequest)
    assert download.receive_piece("a", 0, b"small")
    assert download.done


def test_an_empty_blob_is_there_already() -> None:
    assert Download(blob_of(b"")).done
    lie = BlobRef(
        sha256=blob_of(b"").sha256,
        size=0,
        merkle_root=parse_digest("00" * 32),
        media_type="text/plain",
    )
    with pytest.raises(MalformedError, match="empty"):
        Download(lie)


@pytest.mark.parametrize("have", [b"\x00", b"\x00\x00\x00", b"\x00\x40"])
def test_a_bitmap_of_another_blob_is_refused(have: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="bitmap"):
        Download(blob_of(DATA), have=have)


def test_pieces_that_do_not_exist_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="14 pieces"):
        Download(blob_of(DATA), pieces=range(13, 15))
    download = Download(blob_of(DATA))
    with pytest.raises(LocalProtocolError, match="before the layer"):
        download.receive_piece("a", 0, b"")
    download.receive_layer("disk", layer_of(DATA))
    with pytest.raises(LocalProtocolError, match="piece 14"):
        download.receive_piece("a", 14, b"")
