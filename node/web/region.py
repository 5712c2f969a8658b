"""What lies in a region of a dataset: its exact number of rows, and these rows as a file."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from node.app import STAGING_FOLDER, Node
from node.catalog.views import DatasetView
from node.errors import InputError, NotFoundError
from node.ingest.workers import Workers
from node.storage.intake import Landing
from node.viewing.region import Cutting, count_rows, write_rows, written_formats
from node.viewing.view_state import parse_region, parse_span, parse_state
from node.web.blobs import HARMLESS, attachment
from node.web.keys import CUTTINGS, NODE
from node.web.view import channels_of, dataset_of
from protocol.records import File, TableSummary

__all__ = ["Cuttings", "get_region", "get_region_count"]

WAITING_MAX = 4
TIMEOUT_S = 900.0
COUNTS_MAX = 1_024
CHUNK_SIZE = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """A table and the file it is in; `copy` is its .smlm copy, if there is one."""

    view: DatasetView
    file: File
    number: int
    table: TableSummary
    copy: File | None


class Cuttings:
    """Does the work in a process of its own, a few at a time, and remembers counts."""

    def __init__(self) -> None:
        self._workers = Workers(1)
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._waiting = 0

    def known(self, tag: str) -> int | None:
        """Return a count that was made before."""
        return self._counts.get(tag)

    def note(self, tag: str, rows: int) -> None:
        """Remember a count."""
        self._counts[tag] = rows
        while len(self._counts) > COUNTS_MAX:
            self._counts.popitem(last=False)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Take a place in the queue.

        Raises:
            HTTPTooManyRequests: It is long already.
        """
        if self._waiting >= WAITING_MAX:
            raise web.HTTPTooManyRequests(headers={"Retry-After": "30"})
        self._waiting += 1
        try:
            async with asyncio.timeout(TIMEOUT_S):
                yield
        except TimeoutError as error:
            raise InputError("this takes too long; download the file instead") from error
        finally:
            self._waiting -= 1

    async def run(self, work: Callable[[Cutting], int], task: Cutting) -> int:
        """Return what the work says; InputError if its process died."""
        return await self._workers.run(work, task, what="region")

    async def close(self, _: web.Application) -> None:
        """End the process."""
        await self._workers.close()


async def get_region_count(request: web.Request) -> web.Response:
    """GET /datasets/{id}/region.json: exactly how many rows lie in a region."""
    choice, cuttings = await _choice(request), request.app[CUTTINGS]
    task = _task(request, choice)
    said = repr((choice.file.sha256, task.table, task.region, sorted(task.filters.items())))
    tag = hashlib.sha256(said.encode()).hexdigest()
    rows = cuttings.known(tag)
    if rows is None:
        async with cuttings.turn(), _landing(request.app[NODE]) as landing:
            rows, _ = await _work(request, choice, count_rows, landing=landing)
        cuttings.note(tag, rows)
    body = {"rows": rows, "of": choice.table.rows, "file": choice.file.name, "exact": True}
    return web.json_response(body, headers={"Cache-Control": "private, no-cache"})


async def get_region(request: web.Request) -> web.StreamResponse:
    """GET /datasets/{id}/region: the rows of a region as a file in any format that is written."""
    choice = await _choice(request)
    wanted = request.query.get("to", "smlm")
    info = next((item for item in written_formats() if item.name == wanted), None)
    if info is None:
        names = ", ".join(item.name for item in written_formats())
        raise InputError(f"to: wants one of {names}")
    suffix = next(iter(info.suffixes), "")
    stem = choice.file.name.rpartition(".")[0] or choice.file.name
    async with request.app[CUTTINGS].turn(), _landing(request.app[NODE]) as landing:
        rows, path = await _work(
            request, choice, write_rows, landing=landing, to_format=info.name, suffix=suffix
        )
        response = web.StreamResponse(
            headers={
                **HARMLESS,
                "Content-Type": "application/octet-stream",
                "Content-Disposition": attachment(f"{stem}-region{suffix}"),
                "Cache-Control": "private, no-cache",
                "Locmesh-Rows": str(rows),
            }
        )
        with path.open("rb") as file:
            response.content_length = path.stat().st_size
            await response.prepare(request)
            while data := await asyncio.to_thread(file.read, CHUNK_SIZE):
                await response.write(data)
    return response


async def _choice(request: web.Request) -> _Choice:
    view = await dataset_of(request)
    samples = view.metadata.samples
    sample = _number(request, "s", count=len(samples))
    channels = channels_of(samples[sample])
    if not channels:
        raise NotFoundError("this sample has no localization table")
    file, number, table = channels[_number(request, "channel", count=len(channels))]
    stem = file.name.rpartition(".")[0] or file.name
    copies = {f"{stem}.smlm", f"{stem}.rendition.smlm"}
    copy = next(
        (
            item
            for item in samples[sample].files
            if item.role == "rendition" and item.name in copies
        ),
        None,
    )
    return _Choice(view=view, file=file, number=number, table=table, copy=copy)


def _task(request: web.Request, choice: _Choice) -> Cutting:
    roi, z = request.query.get("roi", ""), request.query.get("z", "")
    region = parse_region(roi)
    # A picture falls back on defaults; a number that people will cite must not.
    if roi and region is None:
        raise InputError("roi: wants rect:x0,y0,x1,y1 or poly:x0,y0,x1,y1,x2,y2,... in nm")
    filters = dict(parse_state(request.query.items()).filters)
    wrong = [
        key
        for key, text in request.query.items()
        if (key.startswith("f.") or key == "z") and parse_span(text) is None
    ]
    if wrong:
        raise InputError(f"{wrong[0][:80]}: wants a range such as -100..100")
    if z:
        filters["z"] = parse_span(z) or (0.0, 0.0)
    return Cutting(
        source=Path(),
        format=choice.file.format,
        table=choice.number,
        rows=choice.table.rows,
        region=region,
        filters=filters,
    )


async def _work(  # noqa: PLR0913 - from where, where to, and in which format.
    request: web.Request,
    choice: _Choice,
    work: Callable[[Cutting], int],
    *,
    landing: Landing,
    to_format: str = "",
    suffix: str = "",
) -> tuple[int, Path]:
    """Do the work on the original; where its file alone does not say all, on its .smlm copy.

    What was said when a file came in, the size of its pixels for instance, is in the copy.
    """
    node, target = request.app[NODE], landing.temporary().with_suffix(suffix)
    task = dataclasses.replace(_task(request, choice), target=target, to_format=to_format)
    refused: InputError | None = None
    for file in (choice.file, choice.copy):
        if file is None:
            continue
        source = landing.temporary()
        await node.peering.fetcher.fetch(file.blob, origin=choice.view.publisher.id, into=source)
        try:
            rows = await request.app[CUTTINGS].run(
                work, dataclasses.replace(task, source=source, format=file.format)
            )
        except InputError as error:
            refused = refused or error
        else:
            return rows, target
    assert refused is not None
    raise refused


@contextlib.asynccontextmanager
async def _landing(node: Node) -> AsyncIterator[Landing]:
    landing = await asyncio.to_thread(Landing, node.config.home / STAGING_FOLDER)
    try:
        yield landing
    finally:
        await asyncio.shield(asyncio.to_thread(landing.close))


def _number(request: web.Request, name: str, *, count: int) -> int:
    text = request.query.get(name, "0")
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise InputError(f"{name}: wants a number, got {text[:40]!r}")
    if int(text) >= count:
        raise NotFoundError(f"{name}: there are {count}, counted from 0")
    return int(text)
