"""Pyramids over HTTP: from here, from elsewhere, damaged, hostile, private."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession

from node.app import Node
from node.catalog.pyramids import Pyramids
from node.peering.relay import KEPT_SIZE_MAX, Relay
from smlmfmt import pyramid
from smlmfmt.pyramid.layout import ENTRY, HEADER, HEADER_SIZE
from tests.node.federation import Site
from tests.node.viewed import keep, make_table, publish_viewed
from tests.node.web_nodes import Served, open_node, serve

ROWS = 150_000


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "home") as node:
        yield node


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Served]:
    async with serve(node) as client:
        yield client


async def test_head_index_and_tiles_are_the_files_bytes(
    node: Node, client: Served, tmp_path: Path
) -> None:
    _, (blob,) = await publish_viewed(node, tmp_path, make_table(ROWS))
    data = (tmp_path / "0.pyramid").read_bytes()
    base = f"/pyramids/{blob.sha256}"
    with pyramid.open(tmp_path / "0.pyramid") as opened:
        nodes = opened.nodes
    index = HEADER.unpack(data[:HEADER_SIZE])[6]
    answer = await client.get(f"{base}/head")
    assert await answer.read() == data[: index + ENTRY.itemsize * len(nodes)]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    tag = answer.headers["ETag"]
    assert (await client.get(f"{base}/head", headers={"If-None-Match": tag})).status == 304
    answer = await client.get(f"{base}/head?nodes=3")
    assert await answer.read() == data[: index + 3 * ENTRY.itemsize]
    answer = await client.get(f"{base}/index?from=3&to=999999")
    assert await answer.read() == data[index + 3 * ENTRY.itemsize :][: 40 * (len(nodes) - 3)]
    spans = [(int(item["offset"]), int(item["offset"] + item["byte_len"])) for item in nodes]
    for k in (0, 1, len(nodes) - 1):
        answer = await client.get(f"{base}/tiles/{k}")
        assert await answer.read() == data[slice(*spans[k])]
    answer = await client.get(f"{base}/tiles?k=4,1,2,0")
    assert await answer.read() == b"".join(data[slice(*spans[k])] for k in (4, 1, 2, 0))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("tiles/999999", 404),
        ("tiles/-1", 400),
        ("tiles/1.5", 400),
        ("tiles/" + "9" * 40, 400),
        ("tiles", 400),
        ("tiles?k=1,,2", 400),
        ("tiles?k=" + "0," * 64 + "0", 400),
        ("head?nodes=x", 400),
        ("head?nodes=-5", 400),
        ("index?from=1e3", 400),
    ],
)
async def test_what_is_asked_wrongly_is_answered_in_words(
    node: Node, client: Served, tmp_path: Path, path: str, status: int
) -> None:
    _, (blob,) = await publish_viewed(node, tmp_path, make_table(2_000))
    answer = await client.get(f"/pyramids/{blob.sha256}/{path}")
    assert answer.status == status
    assert (await answer.json(content_type=None))["detail"]


async def test_a_damaged_tile_is_never_sent(node: Node, client: Served, tmp_path: Path) -> None:
    _, (blob,) = await publish_viewed(node, tmp_path, make_table(ROWS))
    path = node.blobs.path(blob.sha256)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    with pyramid.open(tmp_path / "0.pyramid") as opened:
        last = len(opened.nodes) - 1
    assert (await client.get(f"/pyramids/{blob.sha256}/tiles/0")).status == 200
    answer = await client.get(f"/pyramids/{blob.sha256}/tiles/{last}")
    assert answer.status == 502
    assert (await answer.json(content_type=None))["detail"]


def _hostile(data: bytes) -> dict[str, bytes]:
    def with_header(number: int, value: int) -> bytes:
        fields = list(HEADER.unpack(data[:HEADER_SIZE]))
        fields[number] = value
        return HEADER.pack(*fields) + data[HEADER_SIZE:]

    index = HEADER.unpack(data[:HEADER_SIZE])[6]
    return {
        "nothing of the kind": b"<html>" * 100,
        "short": data[:40],
        "cut": data[:-1],
        "many nodes": with_header(5, 1 << 31),
        "far index": with_header(6, 1 << 60),
        "long metadata": with_header(2, (1 << 32) - 4),
        "tile elsewhere": data[:index] + struct.pack("<Q", 0) + data[index + 8 :],
        "no metadata": data[:64] + b"x" * (len(data) - 64),
    }


@pytest.mark.parametrize("kind", list(_hostile(bytes(HEADER_SIZE))))
async def test_a_hostile_pyramid_is_a_sentence(
    node: Node, client: Served, tmp_path: Path, kind: str
) -> None:
    pyramid.build(make_table(3_000), tmp_path / "sound.pyramid")
    hostile = _hostile((tmp_path / "sound.pyramid").read_bytes())[kind]
    dataset, (blob,) = await publish_viewed(node, tmp_path, make_table(50), hostile=hostile)
    for path in ("head", "tiles/0", "tiles/0", "index"):
        answer = await client.get(f"/pyramids/{blob.sha256}/{path}")
        assert answer.status == 404
        assert "not a pyramid" in (await answer.json(content_type=None))["detail"]
    assert (await client.get(f"/datasets/{dataset}")).status == 200


async def test_a_private_pyramid_is_for_those_who_may_see_it(node: Node, tmp_path: Path) -> None:
    _, (blob,) = await publish_viewed(node, tmp_path, make_table(900), visibility="private")
    async with serve(node) as stranger, serve(node, signed_in=True) as owner:
        for path in ("head", "index", "tiles/0", "tiles?k=0"):
            address = f"/pyramids/{blob.sha256}/{path}"
            assert (await stranger.get(address)).status == 404
            answer = await owner.get(address)
            assert answer.status == 200
            assert "private" in answer.headers["Cache-Control"]
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_blobs_that_are_no_pyramids_stay_what_they_are(
    node: Node, client: Served, tmp_path: Path
) -> None:
    assert (await client.get(f"/pyramids/{'ab' * 32}/head")).status == 404
    stray = await keep(node, b"of no dataset")
    assert (await client.get(f"/pyramids/{stray.sha256}/head")).status == 404
    dataset, _ = await publish_viewed(node, tmp_path, make_table(60))
    view = await node.catalog.dataset(dataset)
    file = view.metadata.samples[0].files[0]
    answer = await client.get(f"/pyramids/{file.sha256}/head")
    assert "not a pyramid" in (await answer.json(content_type=None))["detail"]


@pytest.fixture
async def pair(
    tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> AsyncIterator[tuple[Site, Site]]:
    """A lab, and a portal that knows its records and holds nothing."""
    lab = Site(tmp_path / "lab", name="lab", port=unused_tcp_port_factory())
    portal = Site(tmp_path / "portal", name="portal", port=unused_tcp_port_factory())
    for site in (lab, portal):
        await site.start(syncs=False)
    yield lab, portal
    for site in (portal, lab):
        await site.stop()


async def _publish_at(lab: Site, portal: Site, folder: Path, rows: int) -> str:
    _, (blob,) = await publish_viewed(lab.node, folder, make_table(rows))
    await portal.approve(lab)
    peer = await portal.node.peers.get(lab.url)
    assert not (await portal.node.peering.syncer.sync_peer(peer)).error
    return blob.sha256


async def test_a_pyramid_that_lies_elsewhere_is_relayed(
    pair: tuple[Site, Site], tmp_path: Path
) -> None:
    lab, portal = pair
    sha256 = await _publish_at(lab, portal, tmp_path, ROWS)
    data = (tmp_path / "0.pyramid").read_bytes()
    asked: Counter[str] = Counter()
    lab.lies = _Recorder(asked)
    async with ClientSession(portal.url) as session:
        head = await (await session.get(f"/pyramids/{sha256}/head")).read()
        assert data.startswith(head)
        with pyramid.open(tmp_path / "0.pyramid") as opened:
            spans = [(int(i["offset"]), int(i["offset"] + i["byte_len"])) for i in opened.nodes]

        async def tile(k: int) -> bytes:
            return await (await session.get(f"/pyramids/{sha256}/tiles/{k}")).read()

        tiles = await asyncio.gather(*(tile(k) for k in range(len(spans))))
    assert tiles == [data[start:end] for start, end in spans]
    assert not await portal.node.blobs.has(sha256)
    # Once each: no piece twice, and the layer of the tree once.
    assert asked[f"/blobs/{sha256}"] <= -(-len(data) // (128 << 10))
    assert asked[f"/blobs/{sha256}/pieces"] == 1


class _Recorder(dict[str, bytes | Callable[[bytes], bytes]]):
    """Counts the paths that a site is asked for."""

    def __init__(self, asked: Counter[str]) -> None:
        super().__init__()
        self._asked = asked

    def get(self, path: str, default: object = None) -> None:  # type: ignore[override]
        del default
        self._asked[path] += 1


async def test_a_mirror_keeps_the_pyramid_too(pair: tuple[Site, Site], tmp_path: Path) -> None:
    lab, portal = pair
    sha256 = await _publish_at(lab, portal, tmp_path, 2_000)
    await portal.node.mirrors.add({"text": "Microtubules"})
    (report,) = await portal.node.peering.mirrors.run_once()
    assert (report.datasets_held, report.error) == (1, "")
    assert await portal.node.blobs.has(sha256)


async def test_a_byte_that_flips_at_the_holder_is_never_relayed(
    pair: tuple[Site, Site], tmp_path: Path
) -> None:
    lab, portal = pair
    sha256 = await _publish_at(lab, portal, tmp_path, ROWS)
    data = (tmp_path / "0.pyramid").read_bytes()

    def flip(body: bytes) -> bytes:
        return body[:-1] + bytes([body[-1] ^ 1])

    lab.lies[f"/blobs/{sha256}/pieces"] = flip
    async with ClientSession(portal.url) as session:
        answer = await session.get(f"/pyramids/{sha256}/head")
        assert answer.status == 502
        lab.lies.clear()
        # It was an accident: the next time goes well.
        answer = await session.get(f"/pyramids/{sha256}/head")
        assert answer.status == 200
        assert data.startswith(await answer.read())


async def test_a_portal_goes_on_without_the_damaged_copy_of_its_own(
    pair: tuple[Site, Site], tmp_path: Path
) -> None:
    lab, portal = pair
    sha256 = await _publish_at(lab, portal, tmp_path, ROWS)
    data = bytearray((tmp_path / "0.pyramid").read_bytes())
    await keep(portal.node, bytes(data))
    path = portal.node.blobs.path(sha256)
    data[-5] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    with pyramid.open(tmp_path / "0.pyramid") as opened:
        last = len(opened.nodes) - 1
        start = int(opened.nodes["offset"][last])
    async with ClientSession(portal.url) as session:
        answer = await session.get(f"/pyramids/{sha256}/tiles/{last}")
        assert await answer.read() == (tmp_path / "0.pyramid").read_bytes()[start:]


async def test_what_is_relayed_is_kept_in_bounded_memory(
    pair: tuple[Site, Site], tmp_path: Path
) -> None:
    lab, portal = pair
    sha256 = await _publish_at(lab, portal, tmp_path, ROWS)
    data = (tmp_path / "0.pyramid").read_bytes()
    blob, origin = await Pyramids(portal.node.db).find(sha256)
    relay = Relay(portal.node.peering.fetcher, size_max=300_000)
    for start in range(0, len(data), 100_000):
        part = await relay.read(blob, start, start + 100_000, origin=origin)
        assert part == data[start : start + 100_000]
    assert relay.size <= 300_000 < len(data) < KEPT_SIZE_MAX
    # Those who ask at once share what comes; one who goes away takes nothing from the others.
    asks = [asyncio.create_task(relay.read(blob, 0, 9, origin=origin)) for _ in range(8)]
    await asyncio.sleep(0)
    asks[0].cancel()
    found = await asyncio.gather(*asks, return_exceptions=True)
    assert found[1:] == [data[:9]] * 7
