"""Following commits, our own and other processes': the search index and who listens."""

import asyncio
import contextlib
from collections.abc import Sequence

import sqlite_utils

from node.catalog.changes import ChangeLine, Subscribers, Subscription, last_change, read_changes
from node.catalog.index import Index
from node.catalog.views import Change
from node.errors import StorageError
from node.storage.database import Database

__all__ = ["Following"]


class Following:
    """Reads the change log after commits, updates the index and tells the subscribers.

    Args:
        db: The home's database.
        index: Is built when first asked for, and updated from then on.
    """

    def __init__(self, db: Database, index: Index) -> None:
        self._db = db
        self._index = index
        self._subscribers = Subscribers()
        self._seen: int | None = None  # The newest line that has been followed.
        self._one_at_a_time = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Note where the log stands, so that what is committed from now on is news."""
        if self._seen is None:
            async with self._one_at_a_time:
                if self._seen is None:
                    self._seen = await self._db.read(last_change)

    async def follow(self, *, with_index: bool = False) -> None:
        """Take over all that has been committed up to now.

        Args:
            with_index: Build the index if it is not yet.
        """
        async with self._one_at_a_time:
            changes = await self._db.read(lambda db: self._read(db, with_index=with_index))
            for change in changes:
                self._subscribers.publish(change)

    def subscribe(self) -> Subscription:
        """Return the changes from now on."""
        subscription = self._subscribers.add()
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._follow_commits())
        return subscription

    async def close(self) -> None:
        """End all subscriptions."""
        self._subscribers.close()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    async def _follow_commits(self) -> None:
        await self.begin()
        with contextlib.suppress(StorageError):  # The database was closed: nothing more comes.
            async for _ in self._db.changes():
                await self.follow()

    def _read(self, db: sqlite_utils.Database, *, with_index: bool) -> list[Change]:
        newest = last_change(db)
        seen = newest if self._seen is None else self._seen
        lines = read_changes(db, seen) if newest != seen else []
        if (with_index and not self._index.is_built) or (self._index.is_built and lines is None):
            self._index.build(db)
        elif self._index.is_built and lines:
            self._index.update(db, lines)
        self._seen = newest
        if not self._subscribers:
            return []
        return _all_changed(db) if lines is None else _changes(db, lines)


def _changes(db: sqlite_utils.Database, lines: Sequence[ChangeLine]) -> list[Change]:
    changes = []
    for line in lines:
        publisher = db.conn.execute(
            "select id from publishers where seq = ?", [line.publisher]
        ).fetchone()[0]
        rows = db.conn.execute(
            """select id from records where seq between ? and ? and publisher = ? and scope = ?
               order by seq""",
            [line.first_record, line.last_record, line.publisher, line.scope],
        )
        ids = tuple(row[0] for row in rows)
        changes.append(
            Change(publisher=publisher, scope=line.scope, record_ids=ids, heads=line.heads)
        )
    return changes


def _all_changed(db: sqlite_utils.Database) -> list[Change]:
    """Return a change for everybody: so much happened that the log has forgotten what."""
    rows = db.conn.execute(
        "select distinct publishers.id, scope from records "
        "join publishers on publishers.seq = records.publisher"
    )
    return [
        Change(publisher=publisher, scope=scope, record_ids=(), heads=True)
        for publisher, scope in rows
    ]
