import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from aiohttp import ClientSession

from node.errors import PeerError
from node.peering.client import PeerClient, RefusedError
from node.peering.context import Memory
from node.peering.round import Exchange, SyncReport
from node.peering.sources import address_of
from protocol.envelope import PAYLOAD_TYPE, Envelope, seal
from protocol.hello import HELLO_TYPE
from protocol.identity import SigningKey
from protocol.messages import encode_envelopes
from tests.node.federation import Site, eventually

Start = Callable[..., Awaitable[Site]]
THIEF = SigningKey.from_seed(b"\x66" * 32)


@pytest.fixture
async def start(tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[Start]:
    sites: list[Site] = []

    async def begin(name: str) -> Site:
        site = Site(tmp_path / name, name=name, port=unused_tcp_port_factory())
        sites.append(await site.start(syncs=False))
        return site

    yield begin
    for site in reversed(sites):
        await site.stop()


@pytest.fixture
async def pair(start: Start) -> tuple[Site, Site]:
    """An honest node, and a liar that it trusts."""
    honest, liar = await start("honest"), await start("liar")
    await honest.approve(liar)
    await liar.approve(honest)
    return honest, liar


async def client_of(site: Site, other: Site) -> PeerClient:
    address = address_of(await site.node.peers.get(other.url))
    assert address is not None
    return site.node.peering.context.connections.to(address)


async def state(site: Site) -> dict[str, object]:
    """What a site holds of everybody; who answers just now is no part of it."""
    catalog = site.node.catalog
    return {
        view.id: (
            replace(view, reachability=None),  # type: ignore[arg-type]
            (await catalog.items(view.id, "public")).ids.tobytes(),
        )
        for view in await catalog.publishers()
    }


async def offer(liar: Site, honest: Site, *envelopes: Envelope) -> SyncReport:
    client = await client_of(liar, honest)
    report = SyncReport(peer="honest")
    exchange = Exchange(liar.node.peering.context, client, memory=Memory(), report=report)
    await exchange.offer_envelopes(envelopes)
    return report


async def sync(site: Site, other: Site) -> SyncReport:
    peer = await site.node.peers.get(other.url)
    return await site.node.peering.syncer.sync_peer(peer)


async def reasons(site: Site, source: Site) -> list[str]:
    return [item.reason for item in await site.node.catalog.rejections(source.publisher)]


async def test_offered_records_that_break_a_rule_are_refused_with_the_reason(
    pair: tuple[Site, Site],
) -> None:
    honest, liar = pair
    first = await liar.publish("one")
    await liar.sign(replace(liar.dataset("two"), dataset=first.id, previous=first.id, revision=2))
    await sync(honest, liar)
    before = await state(honest)
    good = liar.dataset("three")
    wrong = Envelope(
        payload_type=PAYLOAD_TYPE,
        payload=good.to_bytes(),
        signatures={liar.node.keyring.signer.public: bytes(64)},
    )
    future = liar.seal(replace(good, issued=honest.node.clock() + 3600))
    forged = seal((await liar.head()).payload, [THIEF])
    malformed = seal(b'{"type":"dataset","protocol":1}', [liar.node.keyring.signer])
    old_head = await liar.head(issued=honest.node.clock() - 5)
    old_head = seal((await liar.head(sequence=1)).payload, [liar.node.keyring.signer])
    for envelope, reason in (
        (wrong, "bad-signature"),
        (future, "future"),
        (forged, "unknown-key"),
        (malformed, "malformed"),
        (first, "superseded"),
        (old_head, "replayed-head"),
    ):
        report = await offer(liar, honest, envelope)
        found = await reasons(honest, liar)
        assert await state(honest) == before, reason
        if reason == "unknown-key":  # Held: a newer identity may yet name that key.
            assert report.pushed == 0
            continue
        assert found[0] == reason
        assert report.notes
    assert await honest.knows("two")


async def test_an_oversized_record_is_refused_with_its_message(pair: tuple[Site, Site]) -> None:
    honest, liar = pair
    await sync(honest, liar)
    before = await state(honest)
    large = Envelope(
        payload_type=PAYLOAD_TYPE,
        payload=b"{" + b" " * (1 << 20) + b"}",
        signatures={THIEF.public: bytes(64)},
    )
    with pytest.raises(RefusedError, match="1048578 bytes"):
        await offer(liar, honest, large)
    assert await state(honest) == before
    assert await reasons(honest, liar) == ["too-large"]


@pytest.mark.parametrize(
    "body",
    [b"", b"garbage", os.urandom(1000), msgpack.packb([1, 2]), msgpack.packb([{}] * 1001)],
    ids=["empty", "garbage", "random", "numbers", "too many"],
)
async def test_malformed_offers_are_written_down_against_their_sender(
    pair: tuple[Site, Site], body: bytes
) -> None:
    honest, liar = pair
    before = await state(honest)
    client = await client_of(liar, honest)
    await sync(honest, liar)
    before = await state(honest)
    with pytest.raises(RefusedError) as refused:
        await client.send("PUT", "sync/v1/records", body=body, size_max=1 << 20)
    assert refused.value.status in {400, 413}
    assert await state(honest) == before
    assert await reasons(honest, liar) == ["malformed"]


async def test_a_message_over_the_limit_is_cut_off(start: Start) -> None:
    honest = await start("honest")
    before = await state(honest)
    async with ClientSession() as session:
        for method, path in (
            ("PUT", "records"),
            ("POST", "records"),
            ("POST", "holdings"),
            ("POST", f"reconcile?publisher={honest.publisher}"),
        ):
            url = f"{honest.url}/sync/v1/{path}"
            async with session.request(method, url, data=bytes(17 << 20)) as response:
                assert response.status == 413
    assert await state(honest) == before


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("node", b"garbage"),
        ("node", bytes(5 << 20)),
        ("heads", b"\xff"),
        ("heads", msgpack.packb([{"payload": 1}])),
        ("heads", bytes(17 << 20)),
        ("reconcile", b"b"),
        ("reconcile", b"a\xff\xff\xff"),
        ("reconcile", b"a" + b"\x01" * 600_000),
        ("reconcile", bytes(2 << 20)),
        ("records", b"\xc1"),
        ("records", b"\xdc"),
        ("records", encode_envelopes([])),
        ("holdings", b"b"),
        ("peers", b"\xc1"),
        ("peers", msgpack.packb([{"publisher": "x"}])),
        ("peers", bytes(17 << 20)),
    ],
    ids=lambda value: value if isinstance(value, str) else str(len(value)),
)
async def test_answers_that_break_the_protocol_end_the_round(
    pair: tuple[Site, Site], path: str, answer: bytes
) -> None:
    honest, liar = pair
    await liar.publish("one")
    assert not (await sync(honest, liar)).error
    before = await state(honest)
    await liar.publish("two")
    liar.lies[path] = answer
    report = await sync(honest, liar)
    (peer,) = await honest.node.peers.list()
    assert report.error
    assert peer.last_error == report.error[:500]
    (reason,) = await reasons(honest, liar)
    assert reason == ("too-large" if len(answer) > 1 << 20 else "malformed")
    if path in {"node", "heads", "records", "reconcile"}:
        assert (await state(honest)).keys() == before.keys()
        assert not await honest.knows("two")
    liar.lies.clear()
    assert not (await sync(honest, liar)).error
    assert await honest.knows("two")


async def test_an_old_hello_proves_nothing(pair: tuple[Site, Site], start: Start) -> None:
    honest, liar = pair
    other = await start("other")
    kept: list[bytes] = []

    def keep(body: bytes) -> bytes:
        kept.append(body)
        return body

    other.lies["node"] = keep
    await liar.node.peering.introduce(other.url)
    liar.lies["node"] = kept[0]
    with pytest.raises(PeerError, match="another nonce"):
        await honest.node.peering.introduce(liar.url)


async def test_a_hello_for_another_address_is_not_given(start: Start) -> None:
    honest = await start("honest")
    async with ClientSession() as session:
        for url in ("http://evil.example", "http://127.0.0.2:80", "nonsense"):
            query = {"nonce": "ab" * 32, "url": url}
            async with session.get(f"{honest.url}/sync/v1/node", params=query) as response:
                assert response.status == 400


async def test_a_hello_by_a_stolen_name_is_refused(pair: tuple[Site, Site]) -> None:
    honest, liar = pair

    def steal(body: bytes) -> bytes:
        document = msgpack.unpackb(body)
        payload = document["hello"]["payload"]
        document["hello"] = seal(payload, [THIEF], payload_type=HELLO_TYPE).to_wire()
        return bytes(msgpack.packb(document))

    liar.lies["node"] = steal
    with pytest.raises(PeerError, match="no current key"):
        await honest.node.peering.introduce(liar.url)


async def test_records_nobody_asked_for_are_not_taken(
    pair: tuple[Site, Site], start: Start
) -> None:
    honest, liar = pair
    other = await start("other")
    foreign = await other.publish("smuggled")
    await liar.publish("one")
    liar.lies["records"] = msgpack.packb(foreign.to_wire())
    report = await sync(honest, liar)
    assert "not asked for" in report.error
    assert await honest.node.catalog.envelopes([foreign.id]) == []


async def test_a_forged_head_makes_nothing_complete(pair: tuple[Site, Site]) -> None:
    honest, liar = pair
    await liar.publish("one")
    await sync(honest, liar)
    before = await state(honest)
    forged = seal((await liar.head(count=3)).payload, [THIEF])
    liar.lies["heads"] = encode_envelopes([forged])
    await sync(honest, liar)
    assert await state(honest) == before


async def test_a_peer_that_is_behind_is_no_liar(pair: tuple[Site, Site]) -> None:
    honest, liar = pair
    await liar.publish("one")
    kept: list[bytes] = []

    def keep(body: bytes) -> bytes:
        kept.append(body)
        return body

    liar.lies["heads"] = keep
    await sync(honest, liar)
    await liar.publish("two")
    liar.lies.clear()
    await sync(honest, liar)
    before = await state(honest)
    liar.lies["heads"] = kept[0]
    assert not (await sync(honest, liar)).error
    assert await state(honest) == before
    assert await reasons(honest, liar) == []


async def test_anothers_identity_is_no_part_of_a_hello(
    pair: tuple[Site, Site], start: Start
) -> None:
    honest, liar = pair
    other = await start("other")

    def smuggle(body: bytes) -> bytes:
        document = msgpack.unpackb(body)
        document["identities"].append(other.node.keyring.identity.to_wire())
        return bytes(msgpack.packb(document))

    liar.lies["node"] = smuggle
    with pytest.raises(PeerError, match="no identity record of publisher"):
        await honest.node.peering.introduce(liar.url)


@pytest.mark.parametrize(
    "lie",
    [b"event: records\ndata: nonsense\n\n", b"data: " + b"x" * (1 << 20), b"\xff" * 1000, b""],
    ids=["no json", "endless", "garbage", "ended"],
)
async def test_events_that_break_the_protocol_change_nothing(
    pair: tuple[Site, Site], lie: bytes
) -> None:
    honest, liar = pair
    await sync(honest, liar)
    before = await state(honest)
    liar.lies["events"] = lie
    await honest.node.peering.start()

    async def is_noted() -> bool:
        (peer,) = await honest.node.peers.list()
        return bool(peer.last_error)

    await eventually(is_noted)
    assert await state(honest) == before
    liar.lies.clear()
    await liar.publish("the truth")
    await eventually(lambda: honest.knows("the truth"))
