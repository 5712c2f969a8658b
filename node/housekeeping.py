"""What is tidied up while a node runs: blobs that nothing refers to any more."""

from __future__ import annotations

import asyncio
import logging
import time

import sqlite_utils

from node.catalog.references import datasets_with
from node.publishing.drafts import Drafts
from node.storage.blobs import DirectoryBlobs
from node.storage.database import Database

__all__ = ["sweep_orphans"]

# An ingest stores its blobs before the draft that names them; none takes longer than this.
ORPHAN_AGE_S = 2 * 86_400

_logger = logging.getLogger(__name__)


async def sweep_orphans(
    db: Database, blobs: DirectoryBlobs, drafts: Drafts, *, age_s: float = ORPHAN_AGE_S
) -> list[str]:
    """Delete the blobs older than `age_s` that no record and no draft names; return them.

    They are what an interrupted ingest or a discarded draft has left.
    """
    drafted = await drafts.blobs()
    removed = []
    for sha256 in await blobs.list():
        if sha256 in drafted or not await asyncio.to_thread(_is_older, blobs, sha256, age_s):
            continue
        if await db.read(lambda db, name=sha256: _is_named(db, name)):  # type: ignore[misc]
            continue
        await blobs.delete(sha256)
        removed.append(sha256)
    if removed:
        _logger.info("removed %d blobs that nothing refers to", len(removed))
    return removed


def _is_named(db: sqlite_utils.Database, sha256: str) -> bool:
    return bool(datasets_with(db, bytes.fromhex(sha256)))


def _is_older(blobs: DirectoryBlobs, sha256: str, age_s: float) -> bool:
    try:
        return time.time() - blobs.path(sha256).stat().st_mtime > age_s
    except OSError:
        return False
