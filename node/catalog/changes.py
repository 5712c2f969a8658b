"""Word of commits: a short log of what changed, and who listens to it.

Every commit leaves a line for each publisher and scope that it touched. Whoever caches something
reads the lines it has not seen, so that a commit of another process and one of our own are
followed in the same way.
"""

import asyncio
import weakref
from collections import deque
from dataclasses import dataclass
from typing import Self

import sqlite_utils

from node.catalog.views import Change

__all__ = [
    "ChangeLine",
    "Subscribers",
    "Subscription",
    "last_change",
    "note_change",
    "read_changes",
]

CHANGES_MAX = 10_000
BACKLOG_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLine:
    """One line of the log: records from `first_record` to `last_record`, none if it is lower."""

    seq: int
    publisher: int
    scope: str
    first_record: int
    last_record: int
    heads: bool


def note_change(
    db: sqlite_utils.Database,
    publisher: int,
    *,
    scope: str = "public",
    records: tuple[int, int] = (0, -1),
    heads: bool = False,
) -> None:
    """Add a line to the log, inside the transaction that makes the change."""
    cursor = db.conn.execute(
        "insert into changes (publisher, scope, first_record, last_record, heads) "
        "values (?, ?, ?, ?, ?)",
        [publisher, scope, *records, int(heads)],
    )
    db.conn.execute("update publishers set version = version + 1 where seq = ?", [publisher])
    seq = cursor.lastrowid or 0
    if seq % 100 == 0:
        db.conn.execute("delete from changes where seq <= ?", [seq - CHANGES_MAX])


def last_change(db: sqlite_utils.Database) -> int:
    """Return the number of the newest line, 0 if there is none."""
    return int(db.conn.execute("select coalesce(max(seq), 0) from changes").fetchone()[0])


def read_changes(db: sqlite_utils.Database, after: int) -> list[ChangeLine] | None:
    """Return the lines after one, or None if some of them are forgotten already."""
    rows = db.conn.execute(
        "select seq, publisher, scope, first_record, last_record, heads from changes "
        "where seq > ? order by seq",
        [after],
    ).fetchall()
    if rows and rows[0][0] != after + 1:
        return None
    return [
        ChangeLine(
            seq=seq,
            publisher=publisher,
            scope=scope,
            first_record=first,
            last_record=last,
            heads=bool(heads),
        )
        for seq, publisher, scope, first, last, heads in rows
    ]


class Subscription:
    """Changes in the order of their commits, from the moment of subscribing.

    Who reads too slowly is told less: the records of a publisher are then no longer named, and
    the change only says that there is something to compare.
    """

    def __init__(self) -> None:
        self._backlog: deque[Change] = deque()
        self._arrived = asyncio.Event()
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self._backlog:
            if self._is_closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._backlog.popleft()

    def receive(self, change: Change) -> None:
        """Queue a change for the reader."""
        self._backlog.append(change)
        if len(self._backlog) > BACKLOG_MAX:
            concerned = {(item.publisher, item.scope) for item in self._backlog}
            self._backlog.clear()
            self._backlog.extend(
                Change(publisher=publisher, scope=scope, record_ids=(), heads=True)
                for publisher, scope in sorted(concerned)
            )
        self._arrived.set()

    def close(self) -> None:
        """End the iteration once the backlog is read."""
        self._is_closed = True
        self._arrived.set()

    async def aclose(self) -> None:
        """Do as `close`, for contextlib.aclosing."""
        self.close()

    @property
    def is_closed(self) -> bool:
        """Whether nothing will come any more."""
        return self._is_closed


class Subscribers:
    """Everybody who listens. A subscription that nobody refers to any more is forgotten."""

    def __init__(self) -> None:
        self._all: weakref.WeakSet[Subscription] = weakref.WeakSet()

    def __bool__(self) -> bool:
        return any(not subscription.is_closed for subscription in self._all)

    def add(self) -> Subscription:
        """Return a new subscription."""
        subscription = Subscription()
        self._all.add(subscription)
        return subscription

    def publish(self, change: Change) -> None:
        """Tell everybody."""
        for subscription in list(self._all):
            if not subscription.is_closed:
                subscription.receive(change)

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in list(self._all):
            subscription.close()
