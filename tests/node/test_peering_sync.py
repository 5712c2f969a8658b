import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession

from node.catalog.views import Viewer
from node.errors import ConflictError, PeerError
from node.peering.round import SyncReport
from protocol.messages import decode_envelopes, encode_ids
from tests.node.federation import Site, eventually, some_bytes

Start = Callable[..., Awaitable[Site]]


@pytest.fixture
async def start(tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[Start]:
    sites: list[Site] = []

    async def begin(name: str, *, serves: bool = True, syncs: bool = False, **kw: object) -> Site:
        site = Site(tmp_path / name, name=name, port=unused_tcp_port_factory(), **kw)
        sites.append(await site.start(serves=serves, syncs=syncs))
        return site

    yield begin
    for site in reversed(sites):
        await site.stop()


async def sync(site: Site, other: Site) -> SyncReport:
    peer = await site.node.peers.get(other.url)
    return await site.node.peering.syncer.sync_peer(peer)


async def test_one_round_pulls_and_pushes_everything(start: Start) -> None:
    a, b = await start("a"), await start("b")
    await a.approve(b)
    await b.approve(a)
    await a.publish("from a")
    await b.publish("from b")
    report = await sync(a, b)
    assert not report.error
    assert await a.knows("from b")
    assert await b.knows("from a")
    assert (report.pulled, report.pushed) == (3, 3)
    assert report.bytes_received > 0
    for site in (a, b):
        for view in await site.node.catalog.publishers():
            assert view.completeness.complete
    again = await sync(a, b)
    assert (again.pulled, again.pushed, again.error) == (0, 0, "")
    assert again.bytes_received < report.bytes_received


async def test_records_travel_through_a_node_in_between(start: Start) -> None:
    a, b, c = await start("a"), await start("b"), await start("c")
    await b.approve(a)
    await c.approve(b)
    await a.publish("far away")
    await sync(b, a)
    await sync(c, b)
    assert await c.knows("far away")
    view = await c.node.catalog.publisher(a.publisher)
    assert view.completeness.complete
    assert view.name == "a"


async def test_offers_of_strangers_are_refused_and_they_become_suggestions(start: Start) -> None:
    a, b = await start("a"), await start("b")
    await a.approve(b)
    await a.publish("from a")
    report = await sync(a, b)
    assert not report.error
    assert any("approved" in note for note in report.notes)
    assert not await b.knows("from a")
    (peer,) = await b.node.peers.list()
    assert (peer.publisher, peer.state, peer.url) == (a.publisher, "suggested", None)
    await b.node.peers.approve(a.publisher)
    assert (await sync(a, b)).pushed
    assert await b.knows("from a")


async def test_an_open_node_takes_offers_of_everybody(start: Start) -> None:
    a, b = await start("a"), await start("b", trust="open")
    await a.approve(b)
    await a.publish("from a")
    await sync(a, b)
    assert await b.knows("from a")


async def test_a_blocked_publisher_offers_in_vain(start: Start) -> None:
    a, b = await start("a"), await start("b", trust="open")
    await a.approve(b)
    await b.approve(a)
    await b.node.peers.block(a.publisher)
    await a.publish("from a")
    await sync(a, b)
    assert not await b.knows("from a")


async def test_a_node_that_only_dials_out_takes_part(start: Start) -> None:
    a, b = await start("a", serves=False, syncs=True), await start("b", syncs=True)
    await b.approve(a, dials=False)
    await a.approve(b)
    await b.publish("from b")
    await eventually(lambda: a.knows("from b"))
    await a.publish("from a")
    await eventually(lambda: b.knows("from a"))


async def test_members_records_go_to_approved_peers_only(start: Start) -> None:
    a, b, c = await start("a"), await start("b"), await start("c")
    await a.approve(b)
    await b.approve(a)
    await c.approve(a)
    await c.approve(b)
    envelope = await a.publish("for members", visibility="members")
    await sync(b, a)
    await sync(c, a)
    await sync(c, b)
    view = await b.node.catalog.dataset(envelope.id, viewer=Viewer.MEMBER)
    assert view.metadata.name == "for members"
    assert (await b.node.catalog.completeness(a.publisher, "members")).complete
    assert await c.node.catalog.envelopes([envelope.id]) == []
    async with ClientSession() as session:
        for path in ("heads?scope=members", f"reconcile?publisher={a.publisher}&scope=members"):
            method = "GET" if path.startswith("heads") else "POST"
            async with session.request(method, f"{a.url}/sync/v1/{path}", data=b"a") as response:
                assert response.status == 403
        ids = encode_ids([envelope.id])
        for site in (a, b):
            async with session.post(f"{site.url}/sync/v1/records", data=ids) as response:
                assert await response.read() == b""


async def test_members_records_are_pushed_by_a_node_that_only_dials_out(start: Start) -> None:
    a, b = await start("a", serves=False), await start("b")
    await a.approve(b)
    await b.approve(a, dials=False)
    envelope = await a.publish("for members", visibility="members")
    await sync(a, b)
    assert await b.node.catalog.envelopes([envelope.id])


async def test_private_records_never_leave(start: Start) -> None:
    a, b = await start("a"), await start("b")
    await a.approve(b)
    await b.approve(a)
    envelope = await a.publish("secret", visibility="private")
    await sync(a, b)
    await sync(b, a)
    assert await b.node.catalog.envelopes([envelope.id]) == []
    async with ClientSession() as session:
        ids = encode_ids([envelope.id])
        async with session.post(f"{a.url}/sync/v1/records", data=ids) as response:
            assert await response.read() == b""


async def test_another_publisher_at_an_approved_address_is_refused(start: Start) -> None:
    a, b, c = await start("a"), await start("b"), await start("c")
    await a.node.peers.add(b.url, source="operator", state="approved", publisher=c.publisher)
    report = await sync(a, b)
    assert "now answers publisher" in report.error
    (peer,) = await a.node.peers.list()
    assert peer.last_error == report.error


async def test_a_node_is_no_peer_of_itself(start: Start) -> None:
    a = await start("a")
    await a.node.peers.add(a.url, source="operator", state="approved")
    assert "this node itself" in (await sync(a, a)).error


async def test_only_approved_peers_are_synced(start: Start) -> None:
    a, b = await start("a"), await start("b")
    await a.node.peers.add(b.url, source="operator")
    with pytest.raises(ConflictError, match="approve it first"):
        await sync(a, b)


async def test_introduction_proves_the_publisher(start: Start) -> None:
    a, b = await start("a"), await start("b")
    met = await a.node.peering.introduce(b.url + "/")
    assert (met.publisher, met.name) == (b.publisher, "b")
    with pytest.raises(PeerError):
        await a.node.peering.introduce("http://127.0.0.1:1")


async def test_a_missing_peer_is_noted_in_words(start: Start) -> None:
    a, b = await start("a"), await start("b")
    await a.approve(b)
    await sync(a, b)
    await b.stop()
    report = await sync(a, b)
    assert "cannot connect" in report.error
    seen = await a.node.peers.reachability(b.publisher)
    assert (seen.state, seen.via) == ("unreachable", None)
    await b.start(syncs=False)


async def test_revisions_and_withdrawals_arrive_in_any_order(start: Start) -> None:
    a, b = await start("a"), await start("b")
    await a.approve(b)
    await b.approve(a)
    first = await a.publish("draft name")
    revised = replace(a.dataset("final name"), dataset=first.id, previous=first.id, revision=2)
    await a.sign(revised)
    await sync(b, a)
    assert await b.knows("final name")
    assert not await b.knows("draft name")


async def test_blobs_are_known_by_holder_and_fetched_with_their_dataset(start: Start) -> None:
    a, b = await start("a"), await start("b")
    await a.approve(b)
    await b.approve(a)
    envelope = await a.publish("with data", data=some_bytes(100_000))
    await sync(b, a)
    view = await b.node.catalog.dataset(envelope.id)
    (file,) = view.metadata.samples[0].files
    assert await b.node.peers.holders(file.sha256) == (a.publisher,)
    await b.node.peering.fetcher.fetch(file.blob, origin=a.publisher)
    assert await b.node.blobs.has(file.sha256)
    await asyncio.sleep(2.1)  # Holdings are looked up every two seconds.
    await sync(a, b)
    assert b.publisher in await a.node.peers.holders(file.sha256)
    await b.node.blobs.delete(file.sha256)
    await asyncio.sleep(2.1)
    await sync(a, b)
    assert b.publisher not in await a.node.peers.holders(file.sha256)


async def test_heads_are_served_as_a_list(start: Start) -> None:
    a = await start("a")
    await a.publish("one")
    async with ClientSession() as session, session.get(f"{a.url}/sync/v1/heads") as response:
        (head,) = decode_envelopes(await response.read(), count_max=10)
    ours = await a.node.catalog.head(a.publisher, "public")
    assert ours is not None
    assert head.id == ours.id
