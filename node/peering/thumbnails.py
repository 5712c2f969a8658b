"""Pictures of new datasets, fetched in the background so that they survive their origin."""

import asyncio
import logging
from collections import deque

from node.catalog.catalog import Catalog
from node.catalog.views import Change
from node.errors import NodeError
from node.peering.fetch import Fetcher
from protocol.errors import RemoteProtocolError
from protocol.limits import THUMBNAIL_SIZE_MAX
from protocol.records import BlobRef, Dataset, parse_record

__all__ = ["ThumbnailRunner"]

WAITING_MAX = 50_000
TRIES_MAX = 4
RETRY_S = 5.0
CONCURRENT = 4

_logger = logging.getLogger(__name__)


class ThumbnailRunner:
    """Fetch the thumbnails that datasets name.

    Args:
        catalog: Tells of new records.
        fetcher: Fetches.
        own: Our publisher id, whose pictures are here.
    """

    def __init__(self, catalog: Catalog, fetcher: Fetcher, *, own: str) -> None:
        self._catalog = catalog
        self._fetcher = fetcher
        self._own = own
        self._waiting: deque[tuple[BlobRef, str, int]] = deque(maxlen=WAITING_MAX)
        self._arrived = asyncio.Event()

    async def run(self) -> None:
        """Follow the catalog until cancelled."""
        workers = [asyncio.create_task(self._work()) for _ in range(CONCURRENT)]
        try:
            async for change in self._catalog.subscribe():
                if change.publisher != self._own:
                    await self._note(change)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _note(self, change: Change) -> None:
        for envelope in await self._catalog.envelopes(change.record_ids):
            try:
                record = parse_record(envelope.payload)
            except RemoteProtocolError:
                continue
            if isinstance(record, Dataset):
                for sample in record.samples:
                    if sample.thumbnail and sample.thumbnail.size <= THUMBNAIL_SIZE_MAX:
                        self._waiting.append((sample.thumbnail, change.publisher, 0))
        self._arrived.set()

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            blob, origin, tries = self._waiting.popleft()
            try:
                await self._fetcher.fetch(blob, origin=origin)
            except NodeError as error:
                _logger.debug("thumbnail %s: %s", blob.sha256, error)
                if tries + 1 < TRIES_MAX:
                    await asyncio.sleep(RETRY_S)
                    self._waiting.append((blob, origin, tries + 1))
