"""Who may read which record and blob."""

import sqlite_utils

from node.catalog.references import datasets_with
from node.catalog.views import Viewer
from node.storage.database import Database

__all__ = ["Visibility"]


class Visibility:
    """Answers, for one record or blob, whether a viewer may have it.

    A member of ours may read what this node published for members, not what others told it in
    confidence. What only a blocked publisher names exists for the administrator alone.

    Args:
        db: The home's database.
        own: The publisher of this home.
    """

    def __init__(self, db: Database, *, own: str) -> None:
        self._db = db
        self._own = own

    async def is_public(self, sha256: str) -> bool:
        """Say whether a public dataset names a blob, now or in its history."""
        return await self.may_read_blob(sha256, viewer=Viewer.ANONYMOUS)

    async def may_read_blob(self, sha256: str, *, viewer: Viewer) -> bool:
        """Say whether a viewer may have a blob; the administrator may have all, drafts' too."""
        if viewer is Viewer.ADMIN:
            return True
        blob = bytes.fromhex(sha256)
        return self._is_open(await self._db.read(lambda db: _blob_scopes(db, blob)), viewer)

    async def may_read_record(self, record: str, *, viewer: Viewer) -> bool:
        """Say whether a viewer may have a record."""
        if viewer is Viewer.ADMIN:
            return True
        return self._is_open(await self._db.read(lambda db: _record_scopes(db, record)), viewer)

    def _is_open(self, scopes: list[tuple[str, str]], viewer: Viewer) -> bool:
        return any(
            scope == "public" or (scope in viewer.visibilities and publisher == self._own)
            for scope, publisher in scopes
        )


def _blob_scopes(db: sqlite_utils.Database, blob: bytes) -> list[tuple[str, str]]:
    sql = """select visibility, publishers.id from datasets
             join publishers on publishers.seq = datasets.publisher
             where datasets.seq = ? and not blocked"""
    return [
        (visibility, publisher)
        for dataset in datasets_with(db, blob)
        for visibility, publisher in db.execute(sql, [dataset])
    ]


def _record_scopes(db: sqlite_utils.Database, record: str) -> list[tuple[str, str]]:
    sql = """select scope, publishers.id from records
             join publishers on publishers.seq = records.publisher
             where records.id = ? and not blocked"""
    return [(row[0], row[1]) for row in db.execute(sql, [record])]
