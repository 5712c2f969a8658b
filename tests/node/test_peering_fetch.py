import asyncio
import hashlib
import random
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from node.errors import DamagedError, NodeError, NotFoundError, PeerError
from node.peering.addresses import Trust, parse_peer_url
from node.peering.client import PeerAddress
from node.peering.fetch import Fetcher
from node.peering.partial import PartialBlob
from node.storage.blobs import DirectoryBlobs
from protocol.identity import DigestHex
from protocol.merkle import MerkleBuilder, piece_length_for
from protocol.records import BlobRef
from tests.node.fetching import Known, connections

PIECE = 1 << 20
DATA = random.Random(5).randbytes(5 * PIECE + 12_345)


def ref_of(data: bytes) -> BlobRef:
    builder = MerkleBuilder()
    builder.update(data)
    return BlobRef(
        sha256=DigestHex(hashlib.sha256(data).hexdigest()),
        size=len(data),
        merkle_root=DigestHex(builder.root().hex()),
        media_type="application/octet-stream",
    )


REF = ref_of(DATA)


@dataclass
class Holder:
    """A node that serves these bytes as the blob, right or wrong, over real HTTP."""

    data: bytes = DATA
    status: int = 200
    pause_s: float = 0.0
    name: str = ""
    served: list[int] = field(default_factory=list)
    server: TestServer | None = None

    async def blob(self, request: web.Request) -> web.Response:
        start, end = request.http_range.start, request.http_range.stop
        await asyncio.sleep(self.pause_s)
        if self.status != 200:
            return web.Response(status=self.status)
        self.served.append(start)
        return web.Response(status=206, body=self.data[start:end])

    async def pieces(self, request: web.Request) -> web.Response:
        builder = MerkleBuilder()
        builder.update(DATA if len(self.data) == len(DATA) else self.data)
        return web.Response(body=builder.layer(int(request.query["length"])))

    @property
    def address(self) -> PeerAddress:
        assert self.server is not None
        url = parse_peer_url(str(self.server.make_url("/")))
        return PeerAddress(url=url, trust=Trust.OPERATOR, name=self.name)


Start = Callable[..., Awaitable[Fetcher]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    servers: list[TestServer] = []
    way = connections()
    blobs = DirectoryBlobs(tmp_path / "blobs")

    async def begin(*holders: Holder) -> Fetcher:
        for holder in holders:
            app = web.Application()
            app.router.add_get("/blobs/{sha256}", holder.blob)
            app.router.add_get("/blobs/{sha256}/pieces", holder.pieces)
            holder.server = TestServer(app)
            await holder.server.start_server()
            servers.append(holder.server)
        sources = Known([holder.address for holder in holders])
        return Fetcher(blobs, tmp_path / "partial", sources=sources, connections=way)

    yield begin
    await way.close()
    for server in servers:
        await server.close()
    await blobs.close()


def flipped(*places: int) -> bytes:
    damaged = bytearray(DATA)
    for at in places:
        damaged[at] ^= 1
    return bytes(damaged)


async def test_a_blob_comes_whole_from_several_holders(start: Start, tmp_path: Path) -> None:
    holders = [Holder(name="a", pause_s=0.02), Holder(name="b", pause_s=0.02)]
    fetcher = await start(*holders)
    told: list[tuple[int, int]] = []
    report = await fetcher.fetch(REF, progress=lambda done, size: told.append((done, size)))
    stored = DirectoryBlobs(tmp_path / "blobs")
    assert b"".join([part async for part in stored.open_range(REF.sha256, 0, REF.size)]) == DATA
    await stored.close()
    assert sum(report.fetched.values()) == REF.size
    assert all(holder.served for holder in holders)
    assert told[-1] == (REF.size, REF.size)
    assert not list((tmp_path / "partial").iterdir())


async def test_what_is_here_is_not_fetched(start: Start) -> None:
    holder = Holder()
    fetcher = await start(holder)
    await fetcher.fetch(REF)
    holder.served.clear()
    assert (await fetcher.fetch(REF)).fetched == {}
    assert holder.served == []


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1])
async def test_any_size(start: Start, size: int, tmp_path: Path) -> None:
    data = DATA[:size]
    fetcher = await start(Holder(data=data))
    await fetcher.fetch(ref_of(data), into=tmp_path / "out" / "file.bin")
    assert (tmp_path / "out" / "file.bin").read_bytes() == data


async def test_a_flipped_byte_is_named_and_another_holder_asked(
    start: Start, tmp_path: Path
) -> None:
    bad = Holder(name="bad", data=flipped(*range(5, len(DATA), PIECE)))
    good = Holder(name="good", pause_s=0.05)
    fetcher = await start(bad, good)
    report = await fetcher.fetch(REF, into=tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == DATA
    assert report.faults
    assert all(re.search(r"piece \d.*from bad \(http://", fault) for fault in report.faults)


async def test_nobody_has_it_right(start: Start, tmp_path: Path) -> None:
    fetcher = await start(Holder(name="liar", data=flipped(5)))
    with pytest.raises(PeerError, match=r"piece 0.*liar"):
        await fetcher.fetch(REF, into=tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()


@pytest.mark.parametrize("status", [404, 500, 403])
async def test_holders_that_refuse_are_left_at_once(start: Start, status: int) -> None:
    fetcher = await start(Holder(status=status, name="no"), Holder(name="yes"))
    assert (await fetcher.fetch(REF)).size == REF.size


async def test_nobody_to_ask(start: Start) -> None:
    fetcher = await start()
    with pytest.raises(NotFoundError):
        await fetcher.fetch(REF)


async def test_a_lying_record_is_found_out(start: Start, tmp_path: Path) -> None:
    wrong = BlobRef(
        sha256=DigestHex("0" * 64),
        size=REF.size,
        merkle_root=REF.merkle_root,
        media_type="",
    )
    fetcher = await start(Holder())
    for into in (None, tmp_path / "file.bin"):
        with pytest.raises(DamagedError):
            await fetcher.fetch(wrong, into=into)
    assert not (tmp_path / "file.bin").exists()


async def test_an_empty_blob_has_but_one_root(start: Start) -> None:
    wrong = BlobRef(
        sha256=REF.sha256, size=0, merkle_root=REF.merkle_root, media_type=REF.media_type
    )
    fetcher = await start(Holder())
    with pytest.raises(DamagedError):
        await fetcher.fetch(wrong)


async def test_an_interrupted_fetch_goes_on_where_it_was(start: Start) -> None:
    holder = Holder(pause_s=0.02)
    fetcher = await start(holder)
    verified = asyncio.Event()

    def watch(done: int, _: int) -> None:
        if done >= 3 * PIECE:
            verified.set()

    task = asyncio.create_task(fetcher.fetch(REF, progress=watch))
    await verified.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    report = await fetcher.fetch(REF)
    assert 0 < sum(report.fetched.values()) <= REF.size - 3 * PIECE


@pytest.mark.processes
async def test_a_killed_fetch_goes_on_where_it_was(start: Start, tmp_path: Path) -> None:
    holder = Holder(pause_s=0.05)
    fetcher = await start(holder)
    arguments = [tmp_path, holder.address.url, REF.sha256, REF.size, REF.merkle_root]
    for pieces in (2, 4):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.node.fetching",
            *map(str, arguments),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async for line in process.stdout:
            if int(line) >= pieces * PIECE:
                process.kill()
        assert await process.wait() != 0
        assert not await DirectoryBlobs(tmp_path / "blobs").has(REF.sha256)
    holder.served.clear()
    report = await fetcher.fetch(REF)
    assert sum(report.fetched.values()) <= REF.size - 4 * PIECE
    assert len(holder.served) <= 2


async def test_a_partial_copy_is_believed_piece_by_piece(tmp_path: Path) -> None:
    builder = MerkleBuilder()
    builder.update(DATA)
    partial = PartialBlob(tmp_path, REF)
    assert partial.try_open()
    partial.keep_layer(builder.layer(piece_length_for(REF.size)))
    partial.keep_piece(0, DATA[:PIECE], bitmap=b"\x01")
    partial.keep_piece(3, DATA[3 * PIECE : 4 * PIECE], bitmap=b"\x09")
    partial.close()
    raw = bytearray(partial.path.read_bytes())
    raw[5] ^= 1  # The disk forgot.
    partial.path.write_bytes(raw)
    again = PartialBlob(tmp_path, REF)
    assert again.try_open()
    assert again.verified_pieces() == b"\x08"
    assert not PartialBlob(tmp_path, REF).try_open()
    again.close()


@pytest.mark.parametrize(
    ("start_at", "end_at"),
    [(0, len(DATA)), (5, 6), (PIECE - 1, PIECE + 1), (4 * PIECE, len(DATA)), (7, 7)],
)
async def test_a_range_is_relayed_verified(start: Start, start_at: int, end_at: int) -> None:
    fetcher = await start(Holder(data=flipped(0), name="bad"), Holder(name="good", pause_s=0.01))
    parts = [part async for part in fetcher.stream(REF, start_at, end_at)]
    assert b"".join(parts) == DATA[start_at:end_at]


async def test_a_slow_reader_is_not_swamped(start: Start) -> None:
    long = DATA * 6
    holder = Holder(data=long)
    fetcher = await start(holder)
    stream = fetcher.stream(ref_of(long), 0, len(long))
    assert (await anext(stream)) == long[:PIECE]
    await asyncio.sleep(0.3)
    assert len(holder.served) <= 24
    assert isinstance(stream, AsyncIterator)
    await stream.aclose()  # type: ignore[attr-defined]


async def test_two_tasks_share_one_partial_copy(start: Start) -> None:
    holder = Holder(pause_s=0.01)
    fetcher = await start(holder)
    reports = await asyncio.gather(fetcher.fetch(REF), fetcher.fetch(REF))
    assert sorted(sum(report.fetched.values()) for report in reports) == [0, REF.size]


async def test_a_holder_that_is_gone_is_said_in_words(start: Start) -> None:
    holder = Holder(name="gone")
    fetcher = await start(holder)
    assert holder.server is not None
    holder.address  # noqa: B018 - the address stays after the server has gone.
    await holder.server.close()
    with pytest.raises(NodeError, match="cannot connect"):
        await fetcher.fetch(REF)
