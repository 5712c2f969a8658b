"""Rows about standing queries: what this node keeps copies of, and how far it has got."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlite_utils

from node.errors import NotFoundError
from node.storage.database import Database

__all__ = ["Mirror", "Mirrors"]

ERROR_LENGTH_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A standing query: matching datasets' blobs are kept here, up to `max_size` bytes."""

    id: int
    query: dict[str, Any]
    max_size: int | None
    from_publisher: str | None
    added: int
    last_run: int | None
    datasets_matched: int
    datasets_held: int
    bytes_held: int
    last_error: str


class Mirrors:
    """The standing queries of this home.

    Args:
        db: The home's database.
        clock: The seconds since 1970.
    """

    def __init__(self, db: Database, *, clock: Callable[[], int]) -> None:
        self._db = db
        self._clock = clock

    async def add(
        self,
        query: Mapping[str, Any],
        *,
        max_size: int | None = None,
        from_publisher: str | None = None,
    ) -> Mirror:
        """Add a standing query, given as the JSON fields of a search."""
        row = {
            "query": json.dumps(dict(query), sort_keys=True),
            "max_size": max_size,
            "from_publisher": from_publisher,
            "added": self._clock(),
        }
        seq = await self._db.write(lambda db: _insert(db, row))
        return await self.get(seq)

    async def list(self) -> tuple[Mirror, ...]:
        """Return all, in the order in which they were added."""
        rows = await self._db.read(lambda db: list(db.query("select * from mirrors order by seq")))
        return tuple(_mirror(row) for row in rows)

    async def get(self, mirror: int) -> Mirror:
        """Return one, or raise NotFoundError."""
        for found in await self.list():
            if found.id == mirror:
                return found
        raise NotFoundError(f"there is no mirror {mirror}; `locmesh mirror list` shows them all")

    async def remove(self, mirror: int) -> Mirror:
        """Forget a query, or raise NotFoundError; the copies stay until they are cleaned up."""
        found = await self.get(mirror)
        await self._db.write(lambda db: db.execute("delete from mirrors where seq = ?", [mirror]))
        return found

    async def progress(
        self,
        mirror: int,
        *,
        datasets_matched: int,
        datasets_held: int,
        bytes_held: int,
        error: str = "",
    ) -> None:
        """Note how far a run has come."""
        sql = """update mirrors set last_run = ?, datasets_matched = ?, datasets_held = ?,
                 bytes_held = ?, last_error = ? where seq = ?"""
        done = [datasets_matched, datasets_held, bytes_held]
        values = [self._clock(), *done, error[:ERROR_LENGTH_MAX], mirror]
        await self._db.write(lambda db: db.execute(sql, values))


def _insert(db: sqlite_utils.Database, row: dict[str, Any]) -> int:
    db.table("mirrors").insert(row)
    return int(db.execute("select last_insert_rowid()").fetchone()[0])


def _mirror(row: dict[str, Any]) -> Mirror:
    return Mirror(id=row.pop("seq"), query=json.loads(row.pop("query")), **row)
