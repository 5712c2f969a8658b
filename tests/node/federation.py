"""Nodes for tests: real homes, real sockets on loopback, in one process."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from node.app import Node, create_home
from node.catalog.views import Query
from node.config import Config
from node.web.server import make_app
from protocol.dataset import Author, BlobRef, Dataset, File, Sample, Tag
from protocol.envelope import Envelope, seal
from protocol.head import next_head
from protocol.identity import DigestHex
from protocol.merkle import root_of

# Bytes that nobody holds, for datasets whose bytes do not matter.
FILE = File(
    name="table.bin",
    role="original",
    media_type="application/octet-stream",
    size=5,
    sha256=DigestHex(hashlib.sha256(b"bytes").hexdigest()),
    merkle_root=DigestHex(root_of(b"bytes").hex()),
    format="",
    tables=(),
)


class Site:
    """One node and its server, which can die and come back on the same home and port."""

    def __init__(self, home: Path, *, name: str, port: int, **settings: object) -> None:
        self.name = name
        self.port = port
        self.config = Config.load(home, {}).with_settings(
            **{"name": name, "port": port, "discovery": ("exchange",), **settings}
        )
        self.url = f"http://127.0.0.1:{port}"
        self.node: Node
        self.lies: dict[str, bytes | Callable[[bytes], bytes]] = {}
        self._runner: web.AppRunner | None = None

    async def start(
        self, *, serves: bool = True, syncs: bool = True, publishes: bool = True
    ) -> Site:
        if not (self.config.home / "node.toml").exists():
            await create_home(self.config)
        self.node = await Node(self.config).__aenter__()
        if publishes:
            await self.node.publishing.repair()
            await self.node.publishing.publish_node_info((self.url,) if serves else ())
        if serves:
            app = make_app(self.node)
            app.middlewares.insert(0, self._lie)
            self._runner = web.AppRunner(app, shutdown_timeout=0.1)
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        if syncs:
            await self.node.peering.start()
        return self

    async def stop(self) -> None:
        await self.node.peering.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.node.__aexit__(None, None, None)

    @web.middleware
    async def _lie(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer some paths with other bytes than an honest node would."""
        lie = self.lies.get(request.path.removeprefix("/sync/v1/"))
        if request.method == "PUT":
            lie = None
        if isinstance(lie, bytes):
            return web.Response(body=lie)
        response = await handler(request)
        if lie is not None and isinstance(response, web.Response):
            assert isinstance(response.body, bytes)
            return web.Response(body=lie(response.body))
        return response

    @property
    def publisher(self) -> str:
        return self.node.keyring.publisher

    async def approve(self, other: Site, *, dials: bool = True) -> None:
        """Trust another site; with `dials`, at its URL."""
        await self.node.peers.add(
            other.url if dials else None,
            source="operator",
            state="approved",
            publisher=other.publisher,
        )

    async def publish(
        self, name: str, *, visibility: str = "public", data: bytes | None = None
    ) -> Envelope:
        """Publish a dataset, with one stored file if there is data."""
        files, thumbnail = [FILE], None
        if data is not None:
            thumbnail = replace(await self._store(data[:1000]), media_type="image/png")
            blob = await self._store(data)
            files = [
                replace(FILE, size=blob.size, sha256=blob.sha256, merkle_root=blob.merkle_root)
            ]
        sample = Sample(name="cell", files=tuple(files), thumbnail=thumbnail)
        record = replace(self.dataset(name), visibility=visibility, samples=(sample,))
        return await self.sign(record)

    def dataset(self, name: str) -> Dataset:
        return Dataset(
            publisher=self.node.keyring.publisher,
            revision=1,
            issued=self.node.clock(),
            visibility="public",
            name=name,
            description="Simulated",
            authors=(Author(name="Ada"),),
            contact="ada@example.org",
            license="CC-BY-4.0",
            tags=(Tag(category="modality", term="dstorm", label="dSTORM"),),
            samples=(Sample(name="cell", files=(FILE,)),),
        )

    def seal(self, record: Dataset) -> Envelope:
        return seal(record.to_bytes(), [self.node.keyring.signer])

    async def sign(self, record: Dataset) -> Envelope:
        envelope = self.seal(record)
        outcomes = await self.node.catalog.admit([envelope], source="self")
        assert outcomes[0].action == "accept", outcomes
        await self.node.publishing.resign_head(record.visibility)
        return envelope

    async def head(self, count: int = 1, **changes: object) -> Envelope:
        """Return a head signed by this site that it does not hold itself."""
        completeness = await self.node.catalog.completeness(self.publisher, "public")
        ids = [hashlib.sha256(b"%d" % item).digest() for item in range(count)]
        head = next_head(
            completeness.head,
            ids,
            publisher=self.node.keyring.publisher,
            scope="public",
            now=self.node.clock(),
        )
        return seal(replace(head, **changes).to_bytes(), [self.node.keyring.signer])  # type: ignore[arg-type]

    async def knows(self, name: str) -> bool:
        results = await self.node.catalog.search(Query(text=name))
        return any(hit.name == name for hit in results.hits)

    async def _store(self, data: bytes) -> BlobRef:
        async def parts() -> AsyncIterator[bytes]:
            yield data

        stored = await self.node.blobs.put_file(parts())
        return BlobRef(
            sha256=DigestHex(stored.sha256),
            size=stored.size,
            merkle_root=DigestHex(root_of(data).hex()),
            media_type="application/octet-stream",
        )


def some_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


async def eventually(is_so: Callable[[], Awaitable[object]], *, timeout_s: float = 15.0) -> float:
    """Wait until something is so; return the seconds it took."""
    begin = time.monotonic()
    async with asyncio.timeout(timeout_s):
        while not await is_so():  # noqa: ASYNC110 - what is awaited has no event of its own.
            await asyncio.sleep(0.02)
    return time.monotonic() - begin
