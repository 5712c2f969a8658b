"""Which blobs this node tells others that it holds."""

import time
from collections.abc import Iterable

from node.catalog.serving import Serving
from node.storage.blobs import BlobStore
from protocol.reconcile import ItemSet

__all__ = ["Holdings", "blob_items"]

FRESH_S = 2.0


def blob_items(blobs: Iterable[str]) -> ItemSet:
    """Return blobs as a set to reconcile: their hashes, all at time 0."""
    return ItemSet.from_items((0, bytes.fromhex(blob)) for blob in blobs)


class Holdings:
    """The public blobs that are whole and here; looked up again every few seconds.

    Args:
        blobs: The store.
        serving: Knows which blobs are public.
    """

    def __init__(self, blobs: BlobStore, serving: Serving) -> None:
        self._blobs = blobs
        self._serving = serving
        self._items = blob_items(())
        self._looked_at: float | None = None

    async def items(self) -> ItemSet:
        """Return them as a set to reconcile."""
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at > FRESH_S:
            public = await self._serving.public_blobs()
            self._items = blob_items(blob for blob in await self._blobs.list() if blob in public)
            self._looked_at = now
        return self._items
