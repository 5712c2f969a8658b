"""Standing queries: the blobs of every matching dataset are fetched and kept here."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, fields
from typing import Any

from node.catalog.catalog import Catalog
from node.catalog.mirrors import Mirror, Mirrors
from node.catalog.views import DatasetView, Query, Viewer
from node.errors import NodeError, NotFoundError, StorageError
from node.peering.fetch import Fetcher
from node.storage.blobs import BlobStore
from protocol.records import BlobRef, Dataset

__all__ = ["MirrorReport", "MirrorRunner", "blobs_of"]

PAGE_SIZE = 100
RETRY_S = 30.0
ROWS_POLL_S = 1.0
QUERY_FIELDS = {item.name for item in fields(Query)} - {"limit", "cursor", "viewer"}

_logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class MirrorReport:
    """How far one standing query has got. `error` is the last failure, empty if there was none."""

    mirror: int
    datasets_matched: int = 0
    datasets_held: int = 0
    bytes_held: int = 0
    bytes_fetched: int = 0
    error: str = ""


def blobs_of(dataset: Dataset) -> tuple[BlobRef, ...]:
    """Return every blob of a dataset once: pictures first, then pyramids, then files."""
    files = [file.blob for sample in dataset.samples for file in sample.files]
    named: dict[str, BlobRef] = {}
    for ref in (*dataset.pictures, *dataset.pyramids, *files):
        named.setdefault(ref.sha256, ref)
    return tuple(named.values())


class MirrorRunner:
    """Keep what the standing queries say.

    Args:
        catalog: Answers the queries.
        mirrors: The rows of the queries; progress is noted there.
        blobs: Where the copies go.
        fetcher: Where they come from.

    Attributes:
        on_fetched: Told after each blob.
        on_progress: Told of bytes that came, and of the dataset they belong to.
    """

    def __init__(
        self, catalog: Catalog, mirrors: Mirrors, *, blobs: BlobStore, fetcher: Fetcher
    ) -> None:
        self._catalog = catalog
        self._mirrors = mirrors
        self._blobs = blobs
        self._fetcher = fetcher
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self.on_fetched: Callable[[], None] | None = None
        self.on_progress: Callable[[int, str], None] | None = None

    async def run_once(self, mirror: int | None = None) -> list[MirrorReport]:
        """Go through one standing query, or through all of them, once."""
        async with self._turn:
            rows = [row for row in await self._mirrors.list() if mirror in (None, row.id)]
            if mirror is not None and not rows:
                raise NotFoundError(f"there is no mirror {mirror}; see `locmesh mirror list`")
            return [await self._run(row) for row in rows]

    async def run(self) -> None:
        """Go through all queries now and after every change, until cancelled."""
        watchers = [
            asyncio.create_task(self._watch_catalog()),
            asyncio.create_task(self._watch_rows()),
        ]
        try:
            while True:
                self._wake.clear()
                has_failed = await self._round()
                try:
                    async with asyncio.timeout(RETRY_S if has_failed else None):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            for task in watchers:
                task.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    def wake(self) -> None:
        """Look again soon: a holder has come back, say."""
        self._wake.set()

    async def _round(self) -> bool:
        """Return whether something failed that may go well later."""
        try:
            return any(report.error for report in await self.run_once())
        except NodeError as error:
            _logger.warning("mirrors: %s", error)
            return True

    async def _watch_catalog(self) -> None:
        async for _ in self._catalog.subscribe():
            self._wake.set()

    async def _watch_rows(self) -> None:
        """Another process may add a query to the same home."""
        known: set[int] | None = None
        while True:
            found = {row.id for row in await self._mirrors.list()}
            if known is not None and found - known:
                self._wake.set()
            known = found
            await asyncio.sleep(ROWS_POLL_S)

    async def _run(self, row: Mirror) -> MirrorReport:
        report = MirrorReport(mirror=row.id)
        try:
            async for view in self._matching(row):
                report.datasets_matched += 1
                await self._keep(view, row, report)
                await self._note(report)
        except NodeError as error:
            report.error = str(error)
        await self._note(report)
        return report

    async def _note(self, report: MirrorReport) -> None:
        await self._mirrors.progress(
            report.mirror,
            datasets_matched=report.datasets_matched,
            datasets_held=report.datasets_held,
            bytes_held=report.bytes_held,
            error=report.error,
        )

    async def _matching(self, row: Mirror) -> AsyncIterator[DatasetView]:
        query = _query(row)
        while True:
            results = await self._catalog.search(query)
            for hit in results.hits:
                yield await self._catalog.dataset(hit.dataset, viewer=Viewer.MEMBER)
            if results.cursor is None:
                return
            query = _query(row, cursor=results.cursor)

    async def _keep(self, view: DatasetView, row: Mirror, report: MirrorReport) -> None:
        """Fetch what is missing of one dataset; one that fails does not stop the others.

        Raises:
            StorageError: There is no room for anything more.
        """
        is_whole = True
        for blob in blobs_of(view.metadata):
            is_held = await self._blobs.has(blob.sha256)
            if not is_held:
                if row.max_size is not None and report.bytes_held + blob.size > row.max_size:
                    report.error = f"max_size of {row.max_size} bytes is reached"
                    is_whole = False
                    continue
                is_held = await self._fetch(blob, view, report)
            report.bytes_held += blob.size if is_held else 0
            is_whole = is_whole and is_held
        report.datasets_held += is_whole

    async def _fetch(self, blob: BlobRef, view: DatasetView, report: MirrorReport) -> bool:
        seen = 0

        def count(verified: int, _: int) -> None:
            nonlocal seen
            if self.on_progress is not None:
                self.on_progress(verified - seen, view.metadata.name)
            seen = verified

        try:
            done = await self._fetcher.fetch(blob, origin=view.publisher.id, progress=count)
        except StorageError:
            raise
        except NodeError as error:
            report.error = f"dataset {view.dataset[:8]}: {error}"
            _logger.warning("mirror %d: %s", report.mirror, report.error)
            return False
        report.bytes_fetched += done.size
        if self.on_fetched is not None:
            self.on_fetched()
        return True


def _query(row: Mirror, *, cursor: str | None = None) -> Query:
    known: dict[str, Any] = {key: row.query[key] for key in row.query.keys() & QUERY_FIELDS}
    known["tags"] = tuple(known.get("tags", ()))
    if row.from_publisher is not None:
        known["publisher"] = row.from_publisher
    return Query(**known, limit=PAGE_SIZE, cursor=cursor, viewer=Viewer.MEMBER)
