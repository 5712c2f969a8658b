"""The viewer's page and document, and the pictures that the server draws of the same states."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from node.app import Node
from tests.node.viewed import make_table, publish_viewed
from tests.node.web_nodes import Served, open_node, serve


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "home") as node:
        yield node


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Served]:
    async with serve(node) as client:
        yield client


async def test_the_document_names_channels_pyramids_and_views(
    node: Node, client: Served, tmp_path: Path
) -> None:
    views = [{"name": "One corner", "state": "https://x.example/view#v=1&at=500,500&nm=5"}]
    dataset, blobs = await publish_viewed(
        node, tmp_path, make_table(900), make_table(400, dimension=3), views=views
    )
    document = await (await client.get(f"/datasets/{dataset}/view.json")).json()
    assert document["name"] == "Microtubules"
    (sample,) = document["samples"]
    assert [item["pyramid"]["href"] for item in sample["channels"]] == [
        f"/pyramids/{blob.sha256}" for blob in blobs
    ]
    assert [item["rows"] for item in sample["channels"]] == [900, 400]
    assert [item["dimension"] for item in sample["channels"]] == [2, 3]
    for channel in sample["channels"]:
        assert (await client.get(channel["pyramid"]["href"] + "/head")).status == 200
    (view,) = document["views"]
    assert (view["name"], view["sample"]) == ("One corner", 0)
    assert view["state"] == "v=1&at=500,500&nm=5"
    thumbnail = await client.get(view["thumbnail"])
    assert Image.open(io.BytesIO(await thumbnail.read())).size == (256, 256)
    assert {"smlm", "thunderstorm"} <= {item["name"] for item in document["formats"]}


async def test_only_an_embedded_viewer_may_be_framed(
    node: Node, client: Served, tmp_path: Path
) -> None:
    dataset, _ = await publish_viewed(node, tmp_path, make_table(100))
    answer = await client.get(f"/datasets/{dataset}/view")
    assert answer.status == 200
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert f"/datasets/{dataset}/image.png" in await answer.text()
    answer = await client.get(f"/datasets/{dataset}/view?embed=1")
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors *" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    answer = await client.get(f"/datasets/{dataset[:10]}/view?embed=1", allow_redirects=False)
    assert answer.headers["Location"] == f"/datasets/{dataset}/view?embed=1"


async def test_the_page_of_a_dataset_leads_to_its_viewer(
    node: Node, client: Served, tmp_path: Path
) -> None:
    dataset, _ = await publish_viewed(node, tmp_path, make_table(100))
    text = await (await client.get(f"/datasets/{dataset}")).text()
    assert f'href="/datasets/{dataset}/view"' in text
    assert "Open viewer" in text
    assert 'property="og:image"' in text
    assert f"/datasets/{dataset}/image.png" in text


async def test_a_picture_shows_what_the_state_says(
    node: Node, client: Served, tmp_path: Path
) -> None:
    dataset, _ = await publish_viewed(node, tmp_path, make_table(40_000))
    base = f"/datasets/{dataset}/image.png"
    answer = await client.get(f"{base}?w=200&h=100&bar=0")
    assert answer.content_type == "image/png"
    picture = np.asarray(Image.open(io.BytesIO(await answer.read())).convert("L"), float)
    assert picture.shape == (100, 200)
    # A quarter of the rows lie in the corner of least x and y, which is up and to the left.
    assert picture[3:6, 53:56].mean() > 3 * picture[40:, 100:150].mean() > 0
    again = await client.get(
        f"{base}?bar=0&h=100&w=200", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status == 304
    empty = await client.get(f"{base}?w=64&h=64&bar=0&at=900000,900000&nm=10")
    assert np.asarray(Image.open(io.BytesIO(await empty.read())).convert("L")).max() == 0


@pytest.mark.parametrize("query", ["w=0", "w=5000", "h=x", "w=4096&h=4096", "w=-1", "w=1e2"])
async def test_a_picture_has_its_limits(
    node: Node, client: Served, tmp_path: Path, query: str
) -> None:
    dataset, _ = await publish_viewed(node, tmp_path, make_table(100))
    answer = await client.get(f"/datasets/{dataset}/image.png?{query}")
    assert answer.status == 400


async def test_a_hostile_pyramid_is_no_picture(node: Node, client: Served, tmp_path: Path) -> None:
    dataset, _ = await publish_viewed(node, tmp_path, make_table(100), hostile=b"\x89LPYR no")
    answer = await client.get(f"/datasets/{dataset}/image.png")
    assert answer.status == 404
    assert (await client.get(f"/datasets/{dataset}/view")).status == 200
    answer = await client.get(f"/datasets/{dataset}/image.png?s=7")
    assert answer.status == 404


async def test_a_private_dataset_is_shown_to_nobody_else(node: Node, tmp_path: Path) -> None:
    dataset, _ = await publish_viewed(node, tmp_path, make_table(100), visibility="private")
    async with serve(node) as stranger, serve(node, signed_in=True) as owner:
        for path in ("view", "view.json", "image.png"):
            assert (await stranger.get(f"/datasets/{dataset}/{path}")).status == 404
            answer = await owner.get(f"/datasets/{dataset}/{path}")
            assert answer.status == 200
            assert "private" in answer.headers["Cache-Control"]
