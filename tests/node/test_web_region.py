"""Regions: exact counts and exact rows, of every shape, in every format that is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smlmfmt
from node.app import Node
from node.viewing.region import is_inside
from node.viewing.view_state import Region
from tests.node.federation import eventually
from tests.node.viewed import make_table, publish_viewed
from tests.node.web_nodes import Served, open_node, serve

ROWS = 20_000


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "home") as node:
        yield node


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Served]:
    async with serve(node) as client:
        yield client


async def test_count_and_rows_are_those_of_the_file(
    node: Node, client: Served, tmp_path: Path
) -> None:
    dataset, _ = await publish_viewed(node, tmp_path, make_table(ROWS, dimension=3))
    table = smlmfmt.read(tmp_path / "channel0.csv").tables[0]
    keep = (table["x"] >= 1000) & (table["x"] <= 9000) & (table["y"] >= 500) & (table["y"] <= 7000)
    keep &= (table["z"] >= 100) & (table["z"] <= 15_000) & (table["frame"] <= 4000)
    query = "channel=0&roi=rect:1000,500,9000,7000&z=100..15000&f.frame=0..4000"
    answer = await client.get(f"/datasets/{dataset}/region.json?{query}")
    document = await answer.json()
    assert (document["rows"], document["of"]) == (np.count_nonzero(keep), ROWS)
    for to in ("smlm", "thunderstorm", "parquet"):
        answer = await client.get(f"/datasets/{dataset}/region?{query}&to={to}")
        assert answer.status == 200, await answer.text()
        assert answer.headers["Locmesh-Rows"] == str(document["rows"])
        suffix = answer.headers["Content-Disposition"].partition('"')[2].partition('"')[0]
        path = tmp_path / f"{to}-{suffix}"
        path.write_bytes(await answer.read())
        found = smlmfmt.read(path, format=to).tables[0]
        assert len(found) == document["rows"]
        np.testing.assert_allclose(found["x"], table["x"][keep], atol=0.06)

    async def is_clean() -> bool:
        return not [entry for entry in (node.config.home / "staging").iterdir() if entry.is_dir()]

    await eventually(is_clean)


async def test_a_polygon_takes_what_is_inside(node: Node, client: Served, tmp_path: Path) -> None:
    dataset, _ = await publish_viewed(node, tmp_path, make_table(ROWS))
    table = smlmfmt.read(tmp_path / "channel0.csv").tables[0]
    inside = (table["x"] >= 0) & (table["y"] >= 0) & (table["x"] + table["y"] < 20_000)
    answer = await client.get(f"/datasets/{dataset}/region.json?roi=poly:0,0,20000,0,0,20000")
    assert (await answer.json())["rows"] == np.count_nonzero(inside)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("roi=rect:1,2,3", 400),
        ("roi=circle:1,2,3,4", 400),
        ("z=high", 400),
        ("f.frame=9..1", 400),
        ("f.nothing=1..2", 400),
        ("channel=7", 404),
        ("channel=x", 400),
        ("s=3", 404),
        ("to=exe", 400),
        ("to=picasso", 400),  # Its notes are a second file.
    ],
)
async def test_what_cannot_be_cut_is_told(
    node: Node, client: Served, tmp_path: Path, query: str, status: int
) -> None:
    dataset, _ = await publish_viewed(node, tmp_path, make_table(60))
    answer = await client.get(f"/datasets/{dataset}/region?{query}")
    assert answer.status == status, await answer.text()


async def test_a_private_region_is_for_nobody_else(node: Node, tmp_path: Path) -> None:
    dataset, _ = await publish_viewed(node, tmp_path, make_table(60), visibility="private")
    async with serve(node) as stranger, serve(node, signed_in=True) as owner:
        for path in ("region.json", "region"):
            assert (await stranger.get(f"/datasets/{dataset}/{path}")).status == 404
            assert (await owner.get(f"/datasets/{dataset}/{path}")).status == 200


places = st.integers(-50, 50).map(float)


@given(st.lists(st.tuples(places, places), min_size=3, max_size=8), st.randoms())
def test_inside_a_polygon_is_what_an_odd_number_of_edges_separates(
    corners: list[tuple[float, float]], chance: object
) -> None:
    region = Region(shape="poly", corners=tuple(corners))
    # Between the corners' own rows and columns, so that no point lies on an edge's end.
    x = np.linspace(-60.3, 60.7, 25)
    y = np.linspace(-61.4, 60.9, 25)[::-1].copy()
    found = is_inside(region, x, y)
    for px, py, inside in zip(x, y, found, strict=True):
        crossings = 0
        for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
            if (ay > py) != (by > py) and px < ax + (py - ay) * (bx - ax) / (by - ay):
                crossings += 1
        assert inside == (crossings % 2 == 1)
    del chance
