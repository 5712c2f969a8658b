"""Which blobs this node tells others that it holds."""

import asyncio
import time
from collections.abc import Callable, Iterable

import numpy as np

from node.catalog.catalog import Catalog
from node.catalog.serving import Serving
from node.storage.blobs import BlobStore
from protocol.reconcile import ItemSet

__all__ = ["Holdings", "blob_items"]

LOOK_EVERY_S = 1.0
LOOK_SHARE_MAX = 0.05  # Of all time, however many blobs there are to look at.


def blob_items(blobs: Iterable[str]) -> ItemSet:
    """Return blobs as a set to reconcile: their hashes, all at time 0."""
    return ItemSet.from_items((0, bytes.fromhex(blob)) for blob in blobs)


class Holdings:
    """The public blobs that are whole and here.

    Looked up again when the store has changed, which other processes of this home may do too, or
    the catalog has: a blob becomes public with the record that names it.

    Args:
        blobs: The store.
        serving: Knows which blobs are public.
        catalog: Tells of new records.
    """

    def __init__(self, blobs: BlobStore, serving: Serving, *, catalog: Catalog) -> None:
        self._blobs = blobs
        self._serving = serving
        self._catalog = catalog
        self._items = blob_items(())
        self._stamp = ""
        self._has_new_records = True

    async def items(self) -> ItemSet:
        """Return them as a set to reconcile."""
        stamp = await self._blobs.stamp()
        if self._has_new_records or stamp != self._stamp:
            self._has_new_records = False
            public = await self._serving.public_blobs()
            held = await self._blobs.list()
            self._items = await asyncio.to_thread(
                lambda: blob_items(blob for blob in held if blob in public)
            )
            self._stamp = stamp
        return self._items

    async def run(self, on_change: Callable[[], None]) -> None:
        """Call on_change whenever they are others than before, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._note_records())
            tasks.create_task(self._look(on_change))

    async def _note_records(self) -> None:
        async for _ in self._catalog.subscribe():
            self._has_new_records = True

    async def _look(self, on_change: Callable[[], None]) -> None:
        seen = (await self.items()).ids
        took_s = 0.0
        while True:
            await asyncio.sleep(max(LOOK_EVERY_S, took_s / LOOK_SHARE_MAX))
            start_s = time.monotonic()
            ids = (await self.items()).ids
            took_s = time.monotonic() - start_s
            if not np.array_equal(ids, seen):
                seen = ids
                on_change()
