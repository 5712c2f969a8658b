import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from node.app import Node
from node.client import Client
from node.errors import DamagedError, InputError, NotFoundError, PeerError
from tests.node.viewed import make_table, publish_viewed
from tests.node.web_nodes import Served, open_node, publish, serve, table_bytes

DATA = table_bytes(2_000, seed=5)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "home") as node:
        yield node


@pytest.fixture
async def served(node: Node) -> AsyncIterator[Served]:
    async with serve(node) as served:
        yield served


@pytest.fixture
def client(served: Served, tmp_path: Path) -> Client:
    return Client(f"http://{served.host}:{served.port}/", cache=tmp_path / "cache")


async def test_search_and_open_as_a_table(node: Node, client: Client) -> None:
    dataset = await publish(node, "Microtubules", data=DATA)
    await publish(node, "Pores", tags=("modality:palm",))
    hits = await asyncio.to_thread(client.search, "microtubules", tag="modality:dstorm")
    assert [hit.dataset for hit in hits] == [dataset]
    assert hits[0].summary["localizations"] == 2_000
    bundle = await asyncio.to_thread(client.open, hits[0].dataset)
    table = bundle.tables[0]
    assert len(table) == 2_000
    assert table.units["x"] == "nm"
    expected = np.loadtxt(DATA.splitlines()[1:], delimiter=",", dtype=np.float64)
    assert float(table["x"].max()) == pytest.approx(expected[:, 1].max())


async def test_a_picture_of_a_view(
    node: Node, client: Client, served: Served, tmp_path: Path
) -> None:
    del served
    dataset, _ = await publish_viewed(node, tmp_path, make_table(3_000))
    whole = await asyncio.to_thread(client.image, dataset, width=64, height=48)
    part = await asyncio.to_thread(
        lambda: client.image(
            dataset[:12], width=64, height=48, at=(500, 500), nm=20, c=(0, 9), f={"x": (0, 400)}
        )
    )
    assert whole._repr_png_().startswith(b"\x89PNG")
    assert part != whole
    with pytest.raises(InputError, match="pixels"):
        await asyncio.to_thread(client.image, dataset, width=9_999)
    with pytest.raises(NotFoundError):
        await asyncio.to_thread(client.image, "ab" * 32)


async def test_what_was_downloaded_is_there_without_the_node(
    node: Node, client: Client, served: Served
) -> None:
    dataset = await publish(node, "Microtubules", data=DATA)
    file = (await asyncio.to_thread(client.dataset, dataset)).samples[0].files[0]
    path = await asyncio.to_thread(client.download, dataset, file)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    await served.close()
    assert await asyncio.to_thread(client.download, dataset, file) == path


async def test_a_damaged_copy_in_the_cache_is_fetched_again(node: Node, client: Client) -> None:
    dataset = await publish(node, "Microtubules", data=DATA)
    file = (await asyncio.to_thread(client.dataset, dataset)).samples[0].files[0]
    path = await asyncio.to_thread(client.download, dataset, file)
    path.write_bytes(DATA[:-1] + b"x")
    await asyncio.to_thread(client.download, dataset, file)
    assert path.read_bytes() == DATA


async def test_a_broken_download_goes_on_where_it_ended(node: Node, client: Client) -> None:
    dataset = await publish(node, "Microtubules", data=DATA)
    file = (await asyncio.to_thread(client.dataset, dataset)).samples[0].files[0]
    folder = client.cache / file.sha256[:2]
    folder.mkdir(parents=True)
    (folder / f"{file.sha256}.partial").write_bytes(DATA[:1_000])
    path = await asyncio.to_thread(client.download, dataset, file)
    assert path.read_bytes() == DATA


async def test_a_wrong_beginning_is_noticed_at_the_end(node: Node, client: Client) -> None:
    dataset = await publish(node, "Microtubules", data=DATA)
    file = (await asyncio.to_thread(client.dataset, dataset)).samples[0].files[0]
    folder = client.cache / file.sha256[:2]
    folder.mkdir(parents=True)
    (folder / f"{file.sha256}.partial").write_bytes(b"x" * 1_000)
    with pytest.raises(DamagedError, match="thrown away"):
        await asyncio.to_thread(client.download, dataset, file)
    assert (await asyncio.to_thread(client.download, dataset, file)).read_bytes() == DATA


async def test_what_goes_wrong_is_said_in_words(node: Node, client: Client, tmp_path: Path) -> None:
    dataset = await publish(node, "Microtubules", data=DATA)
    with pytest.raises(NotFoundError):
        await asyncio.to_thread(client.open, "ab" * 32)
    with pytest.raises(NotFoundError, match="there are cell1"):
        await asyncio.to_thread(client.open, dataset, sample="cell9")
    with pytest.raises(NotFoundError, match=r"cell1\.csv"):
        await asyncio.to_thread(client.open, dataset, file="other.csv")
    with pytest.raises(InputError, match="dimension"):
        await asyncio.to_thread(client.search, dimension=7)
    with pytest.raises(InputError, match="address"):
        Client("file:///etc/passwd", cache=tmp_path)
    with pytest.raises(PeerError, match="does not answer"):
        await asyncio.to_thread(Client("http://127.0.0.1:1", cache=tmp_path).search)


def test_a_filter_that_there_is_not_is_refused_before_asking() -> None:
    with pytest.raises(InputError, match="precision_max"):
        Client("http://127.0.0.1:9").search("pores", precison_max=10)
