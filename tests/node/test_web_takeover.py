"""Two real nodes: a damaged or lost copy here, a whole one there, and a reader in between."""

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from node.catalog.views import Query
from node.web.auth import SignIns
from tests.node.federation import Site, eventually, some_bytes

MIB = 1 << 20
DATA = some_bytes(3 * MIB + 4_321)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
async def sites(
    tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> AsyncIterator[tuple[Site, Site]]:
    """An origin that published a file, and a portal that has the record and its own copy."""
    origin = Site(tmp_path / "origin", name="Origin", port=unused_tcp_port_factory())
    portal = Site(tmp_path / "portal", name="Portal", port=unused_tcp_port_factory())
    await origin.start(syncs=False)
    await portal.start(syncs=False)
    await origin.publish("Pores", data=DATA)
    await portal.approve(origin)
    (peer,) = await portal.node.peers.list()
    await portal.node.peering.syncer.sync_peer(peer)
    await eventually(lambda: portal.knows("Pores"))
    yield origin, portal
    await portal.stop()
    await origin.stop()


async def address_of(portal: Site) -> str:
    (hit,) = (await portal.node.catalog.search(Query())).hits
    return f"{portal.url}/datasets/{hit.dataset}/files"


async def hold_damaged(portal: Site, *, at: int) -> None:
    """Let the portal hold the file with one bit flipped after it was stored."""

    async def parts() -> AsyncIterator[bytes]:
        yield DATA

    await portal.node.blobs.put_file(parts())
    path = portal.node.blobs.path(SHA256)
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes([DATA[at] ^ 1]))


@pytest.mark.parametrize("at", [0, 70_000, MIB, 2 * MIB + 5, len(DATA) - 1])
async def test_a_download_goes_on_elsewhere_from_the_damaged_byte(
    sites: tuple[Site, Site], at: int
) -> None:
    origin, portal = sites
    await hold_damaged(portal, at=at)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{await address_of(portal)}/{SHA256}/table.bin") as answer:
            assert answer.status == 200
            assert answer.content_length == len(DATA)
            assert await answer.read() == DATA
        # The bad copy was found out: it is not offered any more.
        assert not await portal.node.blobs.has(SHA256)
        part = {"Range": f"bytes={MIB - 10}-{MIB + 9}"}
        async with session.get(f"{portal.url}/blobs/{SHA256}") as answer:
            assert answer.status == 404
        async with session.get(
            f"{await address_of(portal)}/{SHA256}/table.bin", headers=part
        ) as answer:
            assert answer.status == 206
            assert await answer.read() == DATA[MIB - 10 : MIB + 10]
    assert await origin.node.blobs.has(SHA256)


async def test_an_archive_goes_on_elsewhere_too(sites: tuple[Site, Site]) -> None:
    _, portal = sites
    await hold_damaged(portal, at=2 * MIB)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{await address_of(portal)}.zip") as answer,
    ):
        body = await answer.read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.read("table.bin") == DATA


async def test_nobody_outside_reads_the_addresses_of_peers_that_failed(
    sites: tuple[Site, Site],
) -> None:
    origin, portal = sites
    await origin.node.blobs.delete(SHA256)
    address = f"{await address_of(portal)}/{SHA256}/table.bin"
    secret = await SignIns(portal.node.db, clock=portal.node.clock).issue()
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        for accept in ("text/html", "application/json"):
            async with session.get(address, headers={"Accept": accept}) as answer:
                assert answer.status == 502
                text = await answer.text()
                assert "127.0.0.1" not in text
                assert str(origin.port) not in text
                assert "trying again later may help" in text
        async with session.get(f"{portal.url}/login", params={"token": secret}) as answer:
            assert answer.status == 200
        # Who runs the node is told whom it asked and what each answered.
        async with session.get(address, headers={"Accept": "text/html"}) as answer:
            assert str(origin.port) in await answer.text()
