import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

import pytest

from node.app import Node
from node.web.archive import archive_names
from protocol.identity import DigestHex
from protocol.records import Dataset, File, Sample
from tests.node.web_nodes import Served, open_node, publish, serve, table_bytes


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "home") as node:
        yield node


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Served]:
    async with serve(node) as client:
        yield client


def file(name: str, number: int, role: str = "original") -> File:
    return File(
        name=name,
        role=role,
        media_type="text/csv",
        size=1,
        sha256=DigestHex(f"{number:064x}"),
        merkle_root=DigestHex("00" * 32),
    )


async def dataset_of(node: Node, *samples: Sample) -> Dataset:
    view = await node.catalog.dataset(await publish(node, "Any"))
    found = view.metadata
    return Dataset(
        publisher=found.publisher,
        revision=1,
        issued=found.issued,
        visibility="public",
        name="Any",
        description="",
        authors=found.authors,
        contact=found.contact,
        license=found.license,
        tags=found.tags,
        samples=samples,
    )


async def test_all_files_come_as_one_archive(node: Node, client: Served) -> None:
    data = table_bytes(40_000)
    dataset = await publish(node, "Micro/tubules?", data=data, file_name="zelle µ.csv")
    answer = await client.get(f"/datasets/{dataset}/files.zip")
    assert answer.status == 200
    assert answer.content_type == "application/zip"
    assert "Micro_tubules_.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(await answer.read())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["zelle µ.csv"]
        assert archive.read("zelle µ.csv") == data


async def test_an_archive_that_cannot_be_made_is_a_problem(node: Node, client: Served) -> None:
    dataset = await publish(node, "Microtubules")
    view = await node.catalog.dataset(dataset)
    await node.blobs.delete(view.metadata.samples[0].files[0].sha256)
    answer = await client.get(f"/datasets/{dataset}/files.zip")
    assert answer.status == 502
    assert answer.content_type == "application/problem+json"


async def test_hostile_names_stay_in_their_folder_and_apart(node: Node) -> None:
    hostile = ["..", "a.csv", "A.csv", "con:fig|*.csv", "x" * 250 + ".csv", " .csv."]
    dataset = await dataset_of(
        node,
        Sample(name="../../etc", files=tuple(file(n, i) for i, n in enumerate(hostile))),
        Sample(name="..\\..", files=(file("a.csv", 99), file("a.smlm", 98, "rendition"))),
    )
    paths = list(archive_names(dataset))
    assert len(paths) == len({path.casefold() for path in paths}) == 7
    for path in paths:
        parts = PurePosixPath(path).parts
        assert len(parts) == 2
        assert ".." not in parts
        assert "\\" not in path
        assert max(map(len, parts)) <= 104
