"""What the signed records say of a pyramid: the size and the Merkle root that check its bytes."""

from __future__ import annotations

from collections import OrderedDict

import sqlite_utils

from node.catalog.records import read_envelopes
from node.catalog.references import datasets_with
from node.errors import NotFoundError
from node.storage.database import Database
from protocol.errors import RemoteProtocolError
from protocol.records import BlobRef, Dataset, parse_record

__all__ = ["Pyramids"]

REMEMBERED_MAX = 1_024


class Pyramids:
    """Finds what records say of pyramids. A record never changes, so what was found is kept.

    Args:
        db: The home's database.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: OrderedDict[str, tuple[BlobRef, str]] = OrderedDict()

    async def find(self, sha256: str) -> tuple[BlobRef, str]:
        """Return the blob and the publisher whose record names it as a pyramid.

        Raises:
            NotFoundError: No newest record does.
        """
        found = self._known.get(sha256)
        if found is None:
            found = await self._db.read(lambda db: _find(db, sha256))
            if found is None:
                raise NotFoundError(f"no dataset has a pyramid {sha256}")
            self._known[sha256] = found
            while len(self._known) > REMEMBERED_MAX:
                self._known.popitem(last=False)
        return found


def _find(db: sqlite_utils.Database, sha256: str) -> tuple[BlobRef, str] | None:
    sql = """select records.id from datasets join records on records.seq = datasets.record
             where datasets.seq = ?"""
    for dataset in datasets_with(db, bytes.fromhex(sha256)):
        ids = [row[0] for row in db.execute(sql, [dataset])]
        for envelope in read_envelopes(db, ids):
            try:
                record = parse_record(envelope.payload)
            except RemoteProtocolError:
                continue
            if isinstance(record, Dataset):
                for blob in record.pyramids:
                    if blob.sha256 == sha256:
                        return blob, record.publisher
    return None
