"""Nodes that keep in touch: events, deaths, returns, mirrors, suggestions."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession

from node.peering import service
from node.peering.hub import Hub
from protocol.envelope import Envelope
from protocol.events import Event, EventStream, RecordsEvent
from protocol.records import Dataset
from tests.node.federation import Site, eventually, some_bytes

Start = Callable[..., Awaitable[Site]]


@pytest.fixture
async def start(tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[Start]:
    sites: list[Site] = []

    async def begin(name: str, **settings: object) -> Site:
        site = Site(tmp_path / name, name=name, port=unused_tcp_port_factory(), **settings)
        sites.append(await site.start())
        return site

    yield begin
    for site in reversed(sites):
        await site.stop()


@pytest.fixture
async def chain(start: Start) -> tuple[Site, Site, Site]:
    """A, B that knows A, C that knows only B; all in step and listening."""
    a, b, c = await start("a"), await start("b"), await start("c")
    await b.approve(a)
    await c.approve(b)
    await b.approve(c, dials=False)
    await a.publish("early")
    await eventually(lambda: c.knows("early"))
    await eventually(lambda: is_heard(a))
    await eventually(lambda: hears(b, c))
    return a, b, c


async def hears(site: Site, other: Site) -> bool:
    return site.node.peering.hub.hears(other.publisher)


async def is_heard(site: Site) -> bool:
    return site.node.peering.hub.listener_count > 0


async def reachability(site: Site, of: Site) -> tuple[str, str | None]:
    seen = await site.node.peers.reachability(of.publisher)
    return seen.state, seen.via


async def test_what_a_publishes_is_soon_found_on_c(chain: tuple[Site, Site, Site]) -> None:
    a, b, c = chain
    for number in range(3):
        await a.publish(f"late {number}")
        await eventually(lambda: b.knows(f"late {number}"))  # noqa: B023 - awaited at once.
        await eventually(lambda: c.knows(f"late {number}"), timeout_s=5)  # noqa: B023

    async def is_complete() -> bool:
        return (await c.node.catalog.publisher(a.publisher)).completeness.complete

    await eventually(is_complete)


async def test_a_death_is_told_onwards_and_a_return_heals(
    chain: tuple[Site, Site, Site],
) -> None:
    a, b, c = chain
    await eventually(lambda: _is(c, a, ("reachable", b.publisher)))
    await a.stop()
    await eventually(lambda: _is(b, a, ("unreachable", None)))
    await eventually(lambda: _is(c, a, ("unreachable", b.publisher)))
    assert await c.knows("early")
    await a.start()
    await a.publish("after the return")
    await eventually(lambda: c.knows("after the return"))
    await eventually(lambda: _is(c, a, ("reachable", b.publisher)))


async def _is(site: Site, of: Site, wanted: tuple[str, str | None]) -> bool:
    return await reachability(site, of) == wanted


async def test_thumbnails_survive_their_origin(chain: tuple[Site, Site, Site]) -> None:
    a, _, c = chain
    envelope = await a.publish("with picture", data=some_bytes(5000))
    await eventually(lambda: c.knows("with picture"))
    thumbnail = Dataset.from_bytes(envelope.payload).samples[0].thumbnail
    assert thumbnail is not None
    await eventually(lambda: c.node.blobs.has(thumbnail.sha256))


async def test_a_mirror_keeps_what_a_dead_origin_had(chain: tuple[Site, Site, Site]) -> None:
    a, b, c = chain
    mirror = await b.node.mirrors.add({"text": "pores"}, max_size=10_000_000)
    data = some_bytes(3_000_000)
    envelope = await a.publish("nuclear pores", data=data)
    await eventually(lambda: c.knows("nuclear pores"))
    file = Dataset.from_bytes(envelope.payload).samples[0].files[0]
    await eventually(lambda: b.node.blobs.has(file.sha256))

    async def is_noted() -> bool:
        row = await b.node.mirrors.get(mirror.id)
        return (row.datasets_matched, row.datasets_held, row.last_error) == (1, 1, "")

    await eventually(is_noted)
    await a.stop()
    parts = [part async for part in c.node.peering.fetcher.stream(file.blob, 0, file.size)]
    assert b"".join(parts) == data
    await c.node.peering.fetcher.fetch(file.blob, origin=a.publisher)
    assert await c.node.blobs.has(file.sha256)
    await a.start()


async def test_a_mirror_stops_at_its_size(start: Start) -> None:
    a, b = await start("a"), await start("b")
    await b.approve(a)
    await a.publish("small pores", data=some_bytes(100_000, seed=1))
    await a.publish("large pores", data=some_bytes(900_000, seed=2))
    await eventually(lambda: b.knows("large pores"))
    mirror = await b.node.mirrors.add({"text": "pores"}, max_size=500_000)
    came: list[tuple[int, str]] = []
    b.node.peering.mirrors.on_progress = lambda size, name: came.append((size, name))
    await b.node.peering.mirrors.run_once()
    row = await b.node.mirrors.get(mirror.id)
    assert (row.datasets_matched, row.datasets_held) == (2, 1)
    assert "max_size" in row.last_error
    assert row.bytes_held <= 500_000
    assert {name for _, name in came} == {"small pores"}
    assert sum(size for size, _ in came) <= row.bytes_held


async def test_peers_of_peers_are_suggested(start: Start) -> None:
    # On one machine all addresses are loopback, which mean nothing elsewhere.
    a, b, c = await start("a"), await start("b"), await start("c")
    await b.approve(a)
    await b.node.peers.add("https://lab.example:8750", source="operator", state="approved")
    await c.approve(b)
    await eventually(lambda: _is(c, a, ("reachable", b.publisher)))
    assert [peer.url for peer in await c.node.peers.list()] == [b.url]


async def test_strangers_see_public_events_only(start: Start) -> None:
    a = await start("a")
    events: list[Event] = []
    stream = EventStream()
    async with ClientSession() as session, session.get(f"{a.url}/sync/v1/events") as response:
        await a.publish("hidden", visibility="members")
        shown = await a.publish("shown")
        while not _tells_of(events, shown):
            events += stream.feed(await response.content.readany())
    scopes = {event.scope for event in events if isinstance(event, RecordsEvent)}
    assert scopes == {"public"}


def _tells_of(events: list[Event], envelope: Envelope) -> bool:
    return any(isinstance(event, RecordsEvent) and envelope.id in event.records for event in events)


async def test_a_listener_that_cannot_keep_up_is_cut_off(start: Start) -> None:
    a = await start("a")
    hub = Hub(a.node.catalog, a.node.peers, own=a.publisher)
    listener = hub.open(None)
    for _ in range(1000):
        listener.send(b"event")
    frames = [frame async for frame in listener.frames()]
    assert len(frames) == 1


async def test_a_node_stops_in_time_whatever_its_peers_do(
    chain: tuple[Site, Site, Site],
) -> None:
    _, b, _ = chain
    await b.node.peering.stop()
    await b.node.peering.stop()


async def test_background_work_that_fails_begins_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "RESTART_S", 0.0)
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("too many open files")

    await service._keep_up("holdings", work)
    assert tries == 3
    assert "too many open files" in caplog.text
