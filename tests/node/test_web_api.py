import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from node.app import Node
from node.catalog.views import Viewer
from tests.node.web_nodes import Served, open_node, publish, serve


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "home") as node:
        yield node


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Served]:
    async with serve(node) as client:
        yield client


async def json_of(client: Served, address: str, status: int = 200) -> Any:
    answer = await client.get(address)
    assert answer.status == status, await answer.text()
    return await answer.json(content_type=None)


async def test_search_answers_with_hits_facets_and_cursor(node: Node, client: Served) -> None:
    for number in range(3):
        await publish(node, f"Microtubules {number}")
    first = await json_of(client, "/api/v1/search?q=microtubules&limit=2")
    assert first["total"] == 3
    assert len(first["hits"]) == 2
    hit = first["hits"][0]
    assert hit["publisher"]["id"] == node.keyring.publisher
    assert hit["summary"]["localizations"] == 50
    assert hit["authors"] == ["Ada Muster"]
    assert {"term": "dstorm", "label": "dSTORM", "count": 3} in first["facets"]["modality"]
    rest = await json_of(client, f"/api/v1/search?q=microtubules&limit=2&cursor={first['cursor']}")
    assert len(rest["hits"]) == 1
    assert rest["cursor"] is None
    names = {hit["name"] for hit in first["hits"] + rest["hits"]}
    assert names == {"Microtubules 0", "Microtubules 1", "Microtubules 2"}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1000", "cursor=nonsense", "sort=x", "dimension=5", "tag=x"]
)
async def test_a_wrong_parameter_is_a_problem_that_names_it(client: Served, query: str) -> None:
    problem = await json_of(client, f"/api/v1/search?{query}", 400)
    assert query.partition("=")[0] in problem["detail"].lower()
    assert problem["status"] == 400


async def test_dataset_document_has_everything_a_script_needs(node: Node, client: Served) -> None:
    dataset = await publish(node, "Microtubules")
    document = await json_of(client, f"/api/v1/datasets/{dataset}")
    assert document == await json_of(client, f"/datasets/{dataset}.json")
    assert document == await json_of(client, f"/api/v1/datasets/{dataset[:10]}")
    file = document["samples"][0]["files"][0]
    assert (file["name"], file["role"]) == ("cell1.csv", "original")
    assert file["tables"][0]["rows"] == 50
    assert {column["name"] for column in file["tables"][0]["columns"]} >= {"frame", "x", "y"}
    assert document["metadata"]["name"] == "Microtubules"
    assert document["publisher"]["completeness"]["complete"] is True
    assert document["publisher"]["reachability"]["state"] == "self"
    assert (
        document["holders"]
        == [{"publisher": node.keyring.publisher, "name": "Lab", "complete": True, "blobs": 2}]
        or document["holders"][0]["complete"]
    )


async def test_a_record_is_served_byte_for_byte(node: Node, client: Served) -> None:
    dataset = await publish(node, "Microtubules")
    record = (await json_of(client, f"/api/v1/datasets/{dataset}"))["record"]
    answer = await client.get(f"/records/{record}")
    body = await answer.read()
    assert hashlib.sha256(body).hexdigest() == record
    assert "immutable" in answer.headers["Cache-Control"]
    envelope = await json_of(client, f"/records/{record}/envelope")
    assert base64.b64decode(envelope["payload"]) == body
    assert envelope["signatures"][0]["keyid"].startswith("did:key:z6Mk")
    again = await client.get(
        f"/records/{record}", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status == 304


@pytest.mark.parametrize("visibility", ["members", "private"])
async def test_what_is_not_public_does_not_exist_for_strangers(
    node: Node, client: Served, visibility: str
) -> None:
    dataset = await publish(node, "Confidential", visibility=visibility)
    view = await node.catalog.dataset(dataset, viewer=Viewer.ADMIN)
    sample = view.metadata.samples[0]
    file = sample.files[0]
    assert (await json_of(client, "/api/v1/search"))["total"] == 0
    for address in (
        f"/api/v1/datasets/{dataset}",
        f"/datasets/{dataset}.json",
        f"/records/{view.record}",
        f"/records/{view.record}/envelope",
        f"/blobs/{file.sha256}",
        f"/blobs/{file.sha256}/pieces",
        f"/datasets/{dataset}/files/{file.sha256}/cell1.csv",
    ):
        problem = await json_of(client, address, 404)
        assert "Confidential" not in str(problem)
    async with serve(node, signed_in=True) as admin:
        assert (await json_of(admin, "/api/v1/search"))["total"] == 1
        for address in (f"/datasets/{dataset}", f"/records/{view.record}", f"/blobs/{file.sha256}"):
            answer = await admin.get(address)
            assert answer.status == 200
            assert "private" in answer.headers["Cache-Control"]


async def test_operators_and_scripts_find_what_they_expect(node: Node, client: Served) -> None:
    assert (await json_of(client, "/healthz"))["status"] == "ok"
    versions = await json_of(client, "/-/versions")
    assert versions["protocol"] == [1]
    settings = {row["name"]: row for row in (await json_of(client, "/-/settings"))["settings"]}
    assert settings["port"]["default"] == 8750
    assert settings["host"]["value"] != node.config.host
    assert (await json_of(client, "/-/peers"))["peers"] == []
    publishers = (await json_of(client, "/publishers.json"))["publishers"]
    assert publishers[0]["id"] == node.keyring.publisher
    one = await json_of(client, f"/publishers/{node.keyring.publisher[:12]}.json")
    assert one["name"] == "Lab"


async def test_a_method_that_an_address_does_not_have_is_named(client: Served) -> None:
    answer = await client.delete("/api/v1/search")
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]
    assert answer.content_type == "application/problem+json"
