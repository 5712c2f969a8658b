"""What a peer does wrong is refused with its reason, changes nothing, and stands on its page."""

import os
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession

from node.errors import PeerError
from node.peering.client import PeerClient, RefusedError
from node.web.auth import SignIns
from protocol.envelope import seal
from protocol.identity import SigningKey
from tests.node.federation import Site, some_bytes
from tests.node.test_peering_hostile import client_of, offer, state, sync

THIEF = SigningKey.from_seed(b"\x66" * 32)


@pytest.fixture
async def pair(
    tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> AsyncIterator[tuple[Site, Site]]:
    """An honest node, and a liar that it trusts."""
    honest, liar = (
        Site(tmp_path / name, name=name, port=unused_tcp_port_factory())
        for name in ("honest", "liar")
    )
    await honest.start(syncs=False)
    await liar.start(syncs=False)
    await honest.approve(liar)
    await liar.approve(honest)
    await liar.publish("one")
    await sync(honest, liar)
    yield honest, liar
    await liar.stop()
    await honest.stop()


async def shown(site: Site, liar: Site) -> tuple[str, str]:
    """The network page and the liar's page, as the administrator sees them."""
    secret = await SignIns(site.node.db, clock=site.node.clock).issue()
    (peer,) = await site.node.peers.by_publisher(liar.publisher)
    async with ClientSession() as session:
        await session.get(f"{site.url}/login?token={secret}")
        pages = []
        for path in ("/network", f"/network/{peer.id}"):
            async with session.get(f"{site.url}{path}", headers={"Accept": "text/html"}) as answer:
                assert answer.status == 200
                pages.append(await answer.text())
    return pages[0], pages[1]


async def send(client: PeerClient, method: str, path: str, body: bytes) -> RefusedError:
    route, _, query = path.partition("?")
    parameters = dict(pair.split("=") for pair in query.split("&")) if query else {}
    with pytest.raises(RefusedError) as refused:
        await client.send(method, route, body=body, size_max=1 << 20, query=parameters)
    return refused.value


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "reason"),
    [
        ("PUT", "sync/v1/records", b"\xc1", 400, "malformed"),
        ("PUT", "sync/v1/records", bytes(17 << 20), 413, "too-large"),
        ("POST", "sync/v1/records", b"\xc1", 400, "malformed"),
        ("POST", "sync/v1/records", bytes(1 << 20), 413, "too-large"),
        ("POST", "sync/v1/holdings", b"a\xff", 400, "malformed"),
        ("POST", "sync/v1/holdings", bytes(2 << 20), 413, "too-large"),
        ("POST", "sync/v1/reconcile?publisher={own}", b"a\xff\xff", 400, "malformed"),
        ("POST", "sync/v1/reconcile?publisher={own}", bytes(17 << 20), 413, "too-large"),
        ("POST", "sync/v1/reconcile?publisher=nobody", b"a", 400, "malformed"),
        ("POST", "sync/v1/reconcile?publisher={own}&scope=members", b"a\xff", 400, "malformed"),
    ],
)
async def test_a_message_to_any_route_that_breaks_the_protocol(
    pair: tuple[Site, Site], method: str, path: str, body: bytes, *, status: int, reason: str
) -> None:
    honest, liar = pair
    before = await state(honest)
    client = await client_of(liar, honest)
    refused = await send(client, method, path.format(own=honest.publisher), body)
    assert refused.status == status
    (noted,) = await honest.node.catalog.rejections(liar.publisher)
    assert noted.reason == reason
    assert await state(honest) == before
    sentence = noted.detail.split(": ", 1)[1][:30]
    for page in await shown(honest, liar):
        assert sentence in page
    (peer,) = await honest.node.peers.by_publisher(liar.publisher)
    assert sentence in peer.last_refusal


async def test_a_forged_head_is_on_the_page_though_its_key_may_yet_come(
    pair: tuple[Site, Site],
) -> None:
    honest, liar = pair
    before = await state(honest)
    await offer(liar, honest, seal((await liar.head(count=3)).payload, [THIEF]))
    (noted,) = await honest.node.catalog.rejections(liar.publisher)
    assert noted.reason == "unknown-key"
    assert await state(honest) == before
    for page in await shown(honest, liar):
        assert THIEF.did in page


async def test_peer_list_says_what_was_refused(
    pair: tuple[Site, Site],
) -> None:
    honest, liar = pair
    await send(await client_of(liar, honest), "PUT", "sync/v1/records", b"\xc1")
    (peer,) = await honest.node.peers.list()
    assert "not one msgpack value" in peer.last_refusal


async def test_another_body_than_the_signed_one_is_refused(pair: tuple[Site, Site]) -> None:
    honest, liar = pair
    secret = await liar.publish("for members", visibility="members")
    client = await client_of(honest, liar)
    signed: dict[str, str] = {}

    async def catch(path: str, caught: bytes, sent: bytes) -> int:
        """Send a request that the honest node signed, with another body."""
        url = client.address.url / path
        signer = client._signer
        signed.update(signer.headers("POST", url, recipient=liar.publisher, body=caught))
        async with (
            ClientSession() as session,
            session.post(url, data=sent, headers=signed) as answer,
        ):
            return answer.status

    wanted = b"\x91\xc4\x20" + bytes.fromhex(secret.id)
    assert await catch("sync/v1/records", wanted, wanted) == 200
    assert await catch("sync/v1/records", b"\x90", wanted) == 403


async def test_a_lying_holder_is_named_on_its_page(pair: tuple[Site, Site], tmp_path: Path) -> None:
    honest, liar = pair
    data = some_bytes(3 << 20)
    envelope = await liar.publish("large", data=data)
    await sync(honest, liar)
    view = await honest.node.catalog.dataset(envelope.id)
    blob = view.metadata.samples[0].files[0].blob
    liar.lies[f"/blobs/{blob.sha256}"] = bytes(1 << 20)
    with pytest.raises(PeerError, match="piece"):
        await honest.node.peering.fetcher.fetch(blob, into=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    noted = (await honest.node.catalog.rejections(liar.publisher))[0]
    assert noted.reason == "malformed"
    assert "piece" in noted.detail
    assert "piece" in (await shown(honest, liar))[1]


async def test_a_layer_that_is_wrong_is_noted_too(pair: tuple[Site, Site]) -> None:
    honest, liar = pair
    envelope = await liar.publish("large", data=some_bytes(3 << 20))
    await sync(honest, liar)
    view = await honest.node.catalog.dataset(envelope.id)
    blob = view.metadata.samples[0].files[0].blob
    for lie, reason in ((os.urandom(96), "malformed"), (bytes(1 << 20), "too-large")):
        liar.lies[f"/blobs/{blob.sha256}/pieces"] = lie
        with pytest.raises(PeerError):
            await honest.node.peering.fetcher.fetch(blob)
        assert (await honest.node.catalog.rejections(liar.publisher))[0].reason == reason


async def test_a_flood_of_strangers_is_slowed_down_and_peers_are_not(
    pair: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, liar = pair
    monkeypatch.setattr("node.web.pace.RATE_PER_S", 0.001)
    monkeypatch.setattr("node.web.pace.BURST", 3.0)
    client = await client_of(liar, honest)
    async with ClientSession() as session:
        seen = set()
        for _ in range(1100):
            async with session.post(f"{honest.url}/sync/v1/holdings", data=b"a") as answer:
                seen.add(answer.status)
                if answer.status == 429:
                    assert "Retry-After" in answer.headers
                    assert "strangers" in (await answer.json())["detail"]
                    break
        assert seen == {200, 429}
    assert await client.send("POST", "sync/v1/holdings", body=b"a", size_max=100) == b"a"


async def test_a_compressed_bomb_is_cut_off(pair: tuple[Site, Site]) -> None:
    honest, _ = pair
    bomb = zlib.compress(bytes(64 << 20))
    headers = {"Content-Encoding": "deflate"}
    async with ClientSession() as session:
        for path in ("holdings", "records"):
            url = f"{honest.url}/sync/v1/{path}"
            async with session.post(url, data=bomb, headers=headers) as answer:
                assert answer.status in {400, 413}
