"""Catalogs on real databases, for tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from node.catalog.catalog import Catalog
from node.catalog.peers import Peers
from node.catalog.views import Outcome
from node.storage.blobs import DirectoryBlobs
from node.storage.database import Database
from protocol.envelope import Envelope, seal
from protocol.head import next_head
from protocol.verdict import Policy
from tests.protocol.lab import START, Lab

NOW = START + 100


class Home:
    """One process's hold on a home: what opens the same folder twice is two processes."""

    def __init__(self, folder: Path, *, own: Lab | None = None, now: int = NOW) -> None:
        self.now = now
        self.db = Database(folder / "catalog.db")
        self.blobs = DirectoryBlobs(folder / "blobs")
        policy = Policy(own=None if own is None else own.publisher)
        self.catalog = Catalog(self.db, policy, self.clock, blobs=self.blobs)
        self.peers = Peers(self.db, clock=self.clock)

    def clock(self) -> int:
        return self.now

    async def admit(self, *envelopes: Envelope, source: str = "test") -> list[Outcome]:
        return await self.catalog.admit(envelopes, source=source)

    async def actions(self, *envelopes: Envelope) -> list[str]:
        return [outcome.action for outcome in await self.admit(*envelopes)]

    async def close(self) -> None:
        await self.catalog.close()
        await self.blobs.close()
        await self.db.close()


@contextlib.asynccontextmanager
async def opened(folder: Path, *, own: Lab | None = None) -> AsyncIterator[Home]:
    home = Home(folder, own=own)
    try:
        yield home
    finally:
        await home.close()


def head_of(lab: Lab, *envelopes: Envelope, scope: str = "public") -> Envelope:
    ids = [bytes.fromhex(envelope.id) for envelope in envelopes]
    head = next_head(None, ids, publisher=lab.publisher, scope=scope, now=START)
    return seal(head.to_bytes(), [lab.online])
