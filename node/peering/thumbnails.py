"""Pictures of new datasets, fetched in the background so that they survive their origin."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from node.errors import NodeError
from node.peering.context import Context
from node.peering.fetch import Fetcher
from protocol.errors import RemoteProtocolError
from protocol.limits import THUMBNAIL_SIZE_MAX
from protocol.records import BlobRef, Dataset, parse_record

__all__ = ["ThumbnailRunner"]

WAITING_MAX = 50_000
TRIES_MAX = 6
RETRY_S = 0.5
CONCURRENT = 4
RECORDS_AT_ONCE = 500

_logger = logging.getLogger(__name__)


class ThumbnailRunner:
    """Fetch the thumbnails that datasets name.

    Args:
        context: This node.
        fetcher: Fetches.
    """

    def __init__(self, context: Context, fetcher: Fetcher) -> None:
        self._context = context
        self._fetcher = fetcher
        self._waiting: deque[tuple[BlobRef, str, int]] = deque(maxlen=WAITING_MAX)
        self._arrived = asyncio.Event()

    async def run(self) -> None:
        """Fetch what earlier runs have left, then follow the catalog until cancelled."""
        changes = self._context.catalog.subscribe()
        workers = [asyncio.create_task(self._work()) for _ in range(CONCURRENT)]
        try:
            await self._note_missing()
            async for change in changes:
                if change.publisher != self._context.own:
                    await self._note(change.record_ids)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _note_missing(self) -> None:
        held = set(await self._context.blobs.list())
        named = await self._context.serving.thumbnails()
        records = dict.fromkeys(record for blob, record in named.items() if blob not in held)
        for start in range(0, len(records), RECORDS_AT_ONCE):
            await self._note(list(records)[start : start + RECORDS_AT_ONCE])

    async def _note(self, record_ids: Sequence[str]) -> None:
        for envelope in await self._context.catalog.envelopes(record_ids):
            try:
                record = parse_record(envelope.payload)
            except RemoteProtocolError:
                continue
            if isinstance(record, Dataset):
                self._waiting += [
                    (picture, record.publisher, 0)
                    for picture in record.pictures
                    if picture.size <= THUMBNAIL_SIZE_MAX
                ]
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
                    await asyncio.sleep(RETRY_S * 2**tries)
                    self._waiting.append((blob, origin, tries + 1))
