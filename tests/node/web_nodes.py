"""Real nodes on real homes for the tests of pages: published through the node's own services."""

import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from PIL import Image

import smlmfmt
from node.app import Node, create_home
from node.config import Config
from node.publishing.metadata import Metadata
from node.publishing.tags import parse_tag
from node.storage.blobs import StoredBlob
from node.web.auth import SignIns
from node.web.server import make_app
from protocol.identity import DigestHex
from protocol.records import Author, BlobRef, File, Sample, TableSummary

__all__ = ["Served", "open_node", "publish", "serve", "table_bytes"]

Served = TestClient[Request, Application]


@contextlib.asynccontextmanager
async def open_node(home: Path, name: str = "Lab") -> AsyncIterator[Node]:
    """Open a new home."""
    config = Config(
        home=home,
        name=name,
        institution=f"Institut {name}",
        contact="data@lab.example",
        discovery=(),
    )
    await create_home(config)
    async with Node(config) as node:
        await node.publishing.publish_node_info(())
        yield node


@contextlib.asynccontextmanager
async def serve(node: Node, *, signed_in: bool = False) -> AsyncIterator[Served]:
    """Serve a node on a free port; with `signed_in` as its administrator."""
    async with TestClient(TestServer(make_app(node))) as client:
        if signed_in:
            secret = await SignIns(node.db, clock=node.clock).issue()
            await client.get(f"/login?token={secret}", allow_redirects=False)
        yield client


def table_bytes(rows: int, *, seed: int = 1) -> bytes:
    """Return a ThunderSTORM table as a microscope's software writes it."""
    chance = np.random.default_rng(seed)
    lines = ['"frame","x [nm]","y [nm]","uncertainty_xy [nm]"']
    for frame in range(1, rows + 1):
        x, y, u = chance.uniform(0, 20_000), chance.uniform(0, 18_000), chance.uniform(5, 15)
        lines.append(f"{frame},{x:.2f},{y:.2f},{u:.2f}")
    return ("\r\n".join(lines) + "\r\n").encode()


async def publish(
    node: Node,
    name: str,
    *,
    data: bytes | None = None,
    file_name: str = "cell1.csv",
    tags: tuple[str, ...] = ("modality:dstorm", "structure:microtubules"),
    **more: object,
) -> str:
    """Publish a dataset of one table and a picture; return its id."""
    data = table_bytes(50) if data is None else data
    table = smlmfmt.read(io.BytesIO(data)).tables[0]
    summary = TableSummary.from_dict({**table.summary().as_dict(), "name": "cell1", "channel": ""})
    blob = await node.blobs.put_file(_chunks(data))
    picture = await node.blobs.put_file(_chunks(_png()))
    file = File(
        name=file_name,
        role="original",
        media_type="text/csv",
        size=blob.size,
        sha256=DigestHex(blob.sha256),
        merkle_root=DigestHex(blob.merkle_root),
        format="thunderstorm",
        tables=(summary,),
    )
    fields: dict[str, object] = {"description": f"{name}, for a test.", "license": "CC-BY-4.0"}
    metadata = Metadata(
        name=name,
        authors=(Author(name="Ada Muster", affiliation="Institut Lab"),),
        contact="ada@lab.example",
        tags=tuple(parse_tag(tag) for tag in tags),
    ).changed({**fields, **more})
    sample = Sample(name="cell1", files=(file,), thumbnail=_reference(picture))
    draft = await node.drafts.add(metadata, (sample,))
    return (await node.publishing.publish(draft.id)).dataset


def _reference(stored: StoredBlob) -> BlobRef:
    return BlobRef(
        sha256=DigestHex(stored.sha256),
        size=stored.size,
        merkle_root=DigestHex(stored.merkle_root),
        media_type="image/png",
    )


def _png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(out, "PNG")
    return out.getvalue()


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data
