"""The catalog: everything that was accepted, and every question about it."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import sqlite_utils

from node.catalog.admission import Batch, examine_offers
from node.catalog.changes import Subscription
from node.catalog.datasets import KINDS, read_dataset, resolve
from node.catalog.following import Following
from node.catalog.index import Index
from node.catalog.items import Items
from node.catalog.publishers import (
    Lineages,
    read_node_record,
    read_publisher,
    read_publishers,
    require_publisher,
)
from node.catalog.records import (
    known_signatures,
    read_envelope,
    read_envelopes,
    read_head,
    read_payload,
)
from node.catalog.search import Search
from node.catalog.view import WITHDRAWN
from node.catalog.views import (
    Completeness,
    DatasetView,
    Outcome,
    PublisherView,
    Query,
    Rejection,
    Results,
    Viewer,
)
from node.catalog.waiting import read_rejections
from node.errors import NotFoundError
from node.storage.blobs import DirectoryBlobs
from node.storage.database import Database
from protocol.envelope import Envelope
from protocol.itemset import ItemSet
from protocol.records import NodeInfo
from protocol.verdict import Policy

__all__ = ["Catalog"]


class Catalog:
    """All records of one home. What another process commits is noticed as what this one does.

    Args:
        db: The home's database.
        policy: This node's limits; `policy.own` is the publisher whose node this is.
        clock: The seconds since 1970.
        blobs: What this node holds itself, to count it among the holders.
    """

    def __init__(
        self,
        db: Database,
        policy: Policy,
        clock: Callable[[], int],
        *,
        blobs: DirectoryBlobs | None = None,
    ) -> None:
        self._db = db
        self._policy = policy
        self._clock = clock
        self._blobs = blobs
        self._lineages = Lineages()
        self._items = Items()
        index = Index()
        self._search = Search(index, own=policy.own, blobs=blobs)
        self._following = Following(db, index)

    async def admit(self, envelopes: Sequence[Envelope], *, source: str) -> list[Outcome]:
        """Let in what may come in, in one transaction; heads, too.

        Args:
            envelopes: In any order.
            source: Who sent them: a peer's publisher id, or what else names the way they came.

        Returns:
            What became of each, in the order of the envelopes.
        """
        if not envelopes:
            return []
        named = [(envelope.id, envelope) for envelope in envelopes]
        ids = [record_id for record_id, _ in named]
        known = await self._db.read(lambda db: known_signatures(db, ids))
        offers = await asyncio.to_thread(examine_offers, named, known)
        origin = (source, self._clock())

        def write(db: sqlite_utils.Database) -> list[Outcome]:
            return Batch(db, self._lineages, policy=self._policy, origin=origin).admit(offers)

        await self._following.begin()
        outcomes = await self._db.write(write)
        await self._following.follow()
        return outcomes

    async def payload(self, record_id: str) -> bytes:
        """Return the signed bytes of a record or head, or raise NotFoundError."""
        return await self._db.read(lambda db: read_payload(db, record_id))

    async def envelope(self, record_id: str) -> Envelope:
        """Return a record or head as it was signed, or raise NotFoundError."""
        return await self._db.read(lambda db: read_envelope(db, record_id))

    async def envelopes(self, ids: Sequence[str]) -> list[Envelope]:
        """Return those of the records that are here, in the order asked for."""
        return await self._db.read(lambda db: read_envelopes(db, ids))

    async def items(self, publisher: str, scope: str) -> ItemSet:
        """Return the ids of a publisher's records in a scope; none if it is unknown."""
        return await self._db.read(lambda db: self._items.read(db, publisher, scope))

    async def completeness(self, publisher: str, scope: str) -> Completeness:
        """Return what is held of a publisher and scope, against its newest head."""
        now = self._clock()
        return await self._db.read(
            lambda db: self._items.completeness(db, publisher, scope, now=now)
        )

    async def head(self, publisher: str, scope: str) -> Envelope | None:
        """Return a publisher's newest head of a scope, None if there is none."""

        def read(db: sqlite_utils.Database) -> Envelope | None:
            return read_head(db, require_publisher(db, publisher), scope)

        try:
            return await self._db.read(read)
        except NotFoundError:
            return None

    async def heads(self, scope: str) -> list[Envelope]:
        """Return the newest head of every publisher that is not blocked."""
        sql = """select envelope from heads join publishers on publishers.seq = publisher
                 where scope = ? and not blocked order by publisher"""
        rows = await self._db.read(lambda db: db.conn.execute(sql, [scope]).fetchall())
        return [Envelope.from_bytes(row[0]) for row in rows]

    async def node_record(self, publisher: str) -> tuple[str, NodeInfo] | None:
        """Return the id and content of a publisher's newest node record, None if it has none."""
        return await self._db.read(lambda db: read_node_record(db, publisher))

    async def identities(self, publisher: str) -> list[Envelope]:
        """Return all identity records of a publisher, by revision."""
        sql = "select id from records where chain = ? order by revision, id"

        def read(db: sqlite_utils.Database) -> list[Envelope]:
            rows = db.conn.execute(sql, [f"identity:{publisher}"])
            return read_envelopes(db, [row[0] for row in rows])

        return await self._db.read(read)

    async def publishers(self) -> list[PublisherView]:
        """Return all publishers, by name."""
        return await self._db.read(self._read_publishers)

    async def publisher(self, publisher: str) -> PublisherView:
        """Return one publisher, or raise NotFoundError."""

        def read(db: sqlite_utils.Database) -> PublisherView:
            require_publisher(db, publisher)
            return self._read_publishers(db, publisher)[0]

        return await self._db.read(read)

    async def search(self, query: Query) -> Results:
        """Return one page of the datasets that match, or raise InputError."""
        await self._following.follow(with_index=True)
        return await self._db.read(lambda db: self._search.run(db, query))

    async def warm_up(self) -> None:
        """Read what searches run on, and look up beforehand the words that people are offered."""
        await self._following.follow(with_index=True)
        for text in self._search.offered():
            await self._db.read(partial(self._search.look_up, text=text))

    async def dataset(self, dataset: str, *, viewer: Viewer = Viewer.ANONYMOUS) -> DatasetView:
        """Return a dataset as far as the viewer may see it, else raise NotFoundError."""
        return await self._db.read(lambda db: self._read_dataset(db, dataset, viewer))

    async def withdrawn(self, publisher: str) -> list[DatasetView]:
        """Return a publisher's withdrawn datasets, which no search finds, the newest first."""
        sql = """select datasets.id from datasets
                 join publishers on publishers.seq = datasets.publisher
                 where publishers.id = ? and status = ? order by issued desc, datasets.id"""
        rows = await self._db.read(
            lambda db: db.conn.execute(sql, [publisher, WITHDRAWN]).fetchall()
        )
        return [await self.dataset(row[0], viewer=Viewer.ADMIN) for row in rows]

    async def resolve(self, prefix: str, *, kinds: Sequence[str] = KINDS) -> tuple[str, str]:
        """Return the kind and id of what begins with 8 or more digits; see datasets.resolve."""
        return await self._db.read(lambda db: resolve(db, prefix, kinds=kinds))

    async def rejections(self, source: str | None = None, limit: int = 50) -> list[Rejection]:
        """Return what was refused, newest first, of one source or of all."""
        return await self._db.read(lambda db: read_rejections(db, source, limit=limit))

    def subscribe(self) -> Subscription:
        """Return the changes from now on, whichever process commits them, to iterate over."""
        return self._following.subscribe()

    async def close(self) -> None:
        """End all subscriptions."""
        await self._following.close()

    def _read_publishers(
        self, db: sqlite_utils.Database, publisher: str | None = None
    ) -> list[PublisherView]:
        now, own = self._clock(), self._policy.own
        return [
            read_publisher(
                db,
                row,
                own=own,
                completeness=self._items.completeness(db, row["id"], "public", now=now),
            )
            for row in read_publishers(db, publisher)
        ]

    def _read_dataset(self, db: sqlite_utils.Database, dataset: str, viewer: Viewer) -> DatasetView:
        own = self._policy.own
        found = read_dataset(db, dataset, viewer=viewer, own=own, blobs=self._blobs)
        return DatasetView(
            dataset=dataset,
            revision=found.row["revision"],
            record=found.row["current_id"],
            publisher=self._read_publishers(db, found.row["publisher_id"])[0],
            status=found.status,
            visibility=found.row["visibility"],
            issued=found.row["issued"],
            metadata=found.metadata,
            withdrawal=found.withdrawal,
            revisions=found.revisions,
            holders=found.holders,
            local=found.local,
        )
