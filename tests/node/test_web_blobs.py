import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from node.app import Node
from protocol.merkle import verify_layer
from protocol.records import File
from tests.node.web_nodes import Served, open_node, publish, serve, table_bytes

# Two chunks of what the store reads at once, and a bit.
DATA = table_bytes(1, seed=3) + b"".join(b"%d,1.0,2.0,3.0\r\n" % i for i in range(2, 160_000))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "home") as node:
        yield node


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Served]:
    async with serve(node) as client:
        yield client


@pytest.fixture
async def file(node: Node) -> tuple[str, File]:
    dataset = await publish(node, "Large", data=DATA, file_name="zelle 1 (µ).csv")
    view = await node.catalog.dataset(dataset)
    return dataset, view.metadata.samples[0].files[0]


async def test_a_blob_is_its_hash(client: Served, file: tuple[str, File]) -> None:
    sha256 = file[1].sha256
    answer = await client.get(f"/blobs/{sha256}")
    body = await answer.read()
    assert hashlib.sha256(body).hexdigest() == sha256
    assert answer.headers["ETag"] == f'"{sha256}"'
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1048570-1048590", 1048570, 1048591),
        ("bytes=100-", 100, len(DATA)),
        ("bytes=-7", len(DATA) - 7, len(DATA)),
    ],
)
async def test_ranges(
    client: Served, file: tuple[str, File], header: str, start: int, end: int
) -> None:
    answer = await client.get(f"/blobs/{file[1].sha256}", headers={"Range": header})
    assert answer.status == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(DATA)}"
    assert await answer.read() == DATA[start:end]


async def test_head_says_what_get_would(client: Served, file: tuple[str, File]) -> None:
    answer = await client.head(f"/blobs/{file[1].sha256}")
    assert answer.status == 200
    assert answer.headers["Content-Length"] == str(len(DATA))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert await answer.read() == b""


async def test_conditions(client: Served, file: tuple[str, File]) -> None:
    address, tag = f"/blobs/{file[1].sha256}", f'"{file[1].sha256}"'
    for known in (tag, f'"other", {tag}', "*"):
        answer = await client.get(address, headers={"If-None-Match": known})
        assert answer.status == 304
    answer = await client.get(address, headers={"Range": "bytes=0-9", "If-Range": tag})
    assert answer.status == 206
    for other in ('"other"', f"W/{tag}", "Mon, 23 Nov 2026 00:00:00 GMT"):
        answer = await client.get(address, headers={"Range": "bytes=0-9", "If-Range": other})
        assert answer.status == 200
        assert len(await answer.read()) == len(DATA)


async def test_a_range_behind_the_end_is_416(client: Served, file: tuple[str, File]) -> None:
    answer = await client.get(f"/blobs/{file[1].sha256}", headers={"Range": "bytes=99999999-"})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"


async def test_pieces_check_ranges(client: Served, file: tuple[str, File]) -> None:
    sha256, root = file[1].sha256, bytes.fromhex(file[1].merkle_root)
    for length in (16_384, 1 << 20):
        answer = await client.get(f"/blobs/{sha256}/pieces?length={length}")
        layer = await answer.read()
        verify_layer(root, layer, size=len(DATA), piece_length=length)
    for wrong in ("0", "16383", "20000", "abc", "-16384"):
        answer = await client.get(f"/blobs/{sha256}/pieces?length={wrong}")
        assert answer.status == 400


async def test_a_file_keeps_its_name(client: Served, file: tuple[str, File]) -> None:
    dataset, entry = file
    base = f"/datasets/{dataset}/files/{entry.sha256}"
    answer = await client.get(base)
    assert answer.status == 200
    assert hashlib.sha256(await answer.read()).hexdigest() == entry.sha256
    assert answer.url.path == f"{base}/zelle 1 (µ).csv"
    disposition = answer.headers["Content-Disposition"]
    assert "filename*=UTF-8''zelle%201%20%28%C2%B5%29.csv" in disposition
    answer = await client.get(f"{base}/other.exe")
    assert answer.status == 404


def damage(node: Node, sha256: str, at: int) -> None:
    path = node.blobs.path(sha256)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


async def test_a_flipped_byte_at_the_beginning_is_a_problem_in_words(
    node: Node, client: Served, file: tuple[str, File]
) -> None:
    damage(node, file[1].sha256, 100)
    answer = await client.get(f"/blobs/{file[1].sha256}")
    assert answer.status in {404, 503}
    problem = await answer.json(content_type=None)
    assert file[1].sha256 in problem["detail"]


async def test_a_flipped_byte_later_on_ends_short_and_is_never_sent(
    node: Node, client: Served, file: tuple[str, File]
) -> None:
    at = len(DATA) - 10
    damage(node, file[1].sha256, at)
    received = b""
    async with client.get(f"/blobs/{file[1].sha256}") as answer:
        assert answer.status == 200
        assert answer.content_length == len(DATA)
        with contextlib.suppress(aiohttp.ClientError):
            while data := await answer.content.readany():
                received += data
    assert len(received) < at
    assert DATA.startswith(received)
    # From now on it counts as not held.
    assert (await client.get(f"/blobs/{file[1].sha256}")).status == 404


async def test_a_file_that_nobody_holds_is_told_so(
    node: Node, client: Served, file: tuple[str, File]
) -> None:
    dataset, entry = file
    await node.blobs.delete(entry.sha256)
    address = f"/datasets/{dataset}/files/{entry.sha256}"
    answer = await client.get(address, headers={"Accept": "text/html"})
    assert answer.status == 502, await answer.text()
    assert "another node" in (await answer.text()).lower()
    assert (await client.get(f"/blobs/{entry.sha256}")).status == 404


@pytest.mark.parametrize("name", ["ab", "AB" * 32, "../../etc/passwd", "g" * 64, "%00" * 8])
async def test_a_name_that_is_no_hash_is_refused(client: Served, name: str) -> None:
    assert (await client.get(f"/blobs/{name}")).status in {400, 404}
