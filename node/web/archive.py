"""All files of a dataset as one ZIP, written while it is sent: nothing is packed on disk first."""

from __future__ import annotations

import contextlib
import io
import re
import time
import zipfile
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

from aiohttp import web

from node.errors import NotFoundError
from node.web.blobs import HARMLESS, attachment, best_bytes
from node.web.byte_ranges import write_rest
from node.web.keys import NODE
from node.web.visit import viewer_of
from protocol.records import Dataset, File

__all__ = ["archive_names", "get_archive"]

NAME_LENGTH_MAX = 100
# What some file system refuses in a name, or takes for more than a name.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
# The years that a ZIP can name.
_ZIP_TIME_MIN, _ZIP_TIME_MAX = 315_619_200, 4_354_732_800


class _Sink(io.RawIOBase):
    """Collects what the ZIP writer writes until it is sent."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]  # Any buffer; typeshed says so awkwardly.
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


async def get_archive(request: web.Request) -> web.StreamResponse:
    """GET /datasets/{id}/files.zip: every file but the renditions, each piece verified.

    When a file turns out not to be had on the way, the connection ends before the archive does.
    """
    node = request.app[NODE]
    _, dataset = await node.catalog.resolve(request.match_info["id"], kinds=("dataset",))
    view = await node.catalog.dataset(dataset, viewer=viewer_of(request))
    files = archive_names(view.metadata)
    if not files:
        raise NotFoundError(f"dataset {dataset[:8]} has no files")

    def source(file: File) -> AsyncGenerator[bytes, None]:
        return best_bytes(node, file.blob, span=(0, file.size), origin=view.publisher.id)

    name = _safe(view.metadata.name) or dataset[:8]
    headers = {**HARMLESS, "Content-Disposition": attachment(f"{name}.zip")}
    response = web.StreamResponse(headers={**headers, "Cache-Control": "private, no-store"})
    response.content_type = "application/zip"
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    async with contextlib.aclosing(_packed(files, source, issued=view.issued)) as parts:
        # The first bytes are had before the answer begins: until then there can be a problem.
        first = await anext(parts)
        await response.prepare(request)
        await response.write(first)
        await write_rest(request, response, parts)
    return response


async def _packed(
    files: Mapping[str, File],
    source: Callable[[File], AsyncGenerator[bytes, None]],
    *,
    issued: int,
) -> AsyncGenerator[bytes, None]:
    moment = time.gmtime(min(max(issued, _ZIP_TIME_MIN), _ZIP_TIME_MAX))[:6]
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path, file in files.items():
            with archive.open(zipfile.ZipInfo(path, moment), "w", force_zip64=True) as member:
                async with contextlib.aclosing(source(file)) as chunks:
                    async for chunk in chunks:
                        member.write(chunk)
                        yield sink.take()
    yield sink.take()


def archive_names(dataset: Dataset) -> dict[str, File]:
    """Return the files to pack by their path in the archive: a folder for each of several samples.

    Names are made safe for every file system and never leave their folder or meet one another.
    """
    several = len(dataset.samples) > 1
    found: dict[str, File] = {}
    taken: set[str] = set()
    for number, sample in enumerate(dataset.samples, 1):
        folder = f"{_safe(sample.name) or f'sample {number}'}/" if several else ""
        for file in sample.files:
            if file.role != "rendition":
                name = _safe(file.name) or file.sha256[:8]
                path = next(path for path in _paths(folder, name) if path.casefold() not in taken)
                taken.add(path.casefold())
                found[path] = file
    return found


def _paths(folder: str, name: str) -> Iterator[str]:
    yield folder + name
    stem, dot, suffix = name.rpartition(".")
    number = 2
    while True:
        yield f"{folder}{stem} {number}{dot}{suffix}" if stem else f"{folder}{name} {number}"
        number += 1


def _safe(name: str) -> str:
    cleaned = _UNSAFE.sub("_", name).strip(" .")
    stem, dot, suffix = cleaned.rpartition(".")
    keep = NAME_LENGTH_MAX - len(dot + suffix)
    return cleaned if len(cleaned) <= NAME_LENGTH_MAX or keep < 1 else f"{stem[:keep]}{dot}{suffix}"
