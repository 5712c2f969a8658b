"""Pyramids over HTTP: their tops and tiles, from here or relayed, for any node's pages."""

from __future__ import annotations

import contextlib
import logging

from aiohttp import web

from node.errors import DamagedError, InputError, NotFoundError
from node.viewing.shelf import ENTRY_SIZE, Top, read_tiles
from node.web.blobs import HARMLESS, cache_control, visible_blob
from node.web.keys import NODE, PYRAMIDS, SHELF

__all__ = [
    "Source",
    "get_pyramid_head",
    "get_pyramid_index",
    "get_tile",
    "get_tiles",
    "open_pyramid",
]

_NODES_LENGTH_MAX = 9

_logger = logging.getLogger(__name__)


class Source:
    """A pyramid's bytes: here, or at whoever holds them.

    Args:
        app: The application.
        sha256: Its name.
        size: Of the whole, as a tree here or a signed record says.
    """

    def __init__(self, app: web.Application, sha256: str, size: int) -> None:
        self._app = app
        self.sha256 = sha256
        self.size = size

    async def read(self, start: int, end: int) -> bytes:
        """Return the verified bytes [start, end); what is damaged here comes from others.

        Raises:
            PeerError: It is not here, and nobody else has it right.
        """
        node = self._app[NODE]
        if await node.blobs.has(self.sha256):
            try:
                parts = node.blobs.open_range(self.sha256, start, end)
                return b"".join([part async for part in parts])
            except (DamagedError, NotFoundError) as error:
                _logger.warning("going on with another holder: %s", error)
        blob, origin = await self._app[PYRAMIDS].find(self.sha256)
        return await node.peering.relay.read(blob, start, end, origin=origin)


async def open_pyramid(app: web.Application, sha256: str) -> tuple[Top, Source]:
    """Return the top of a pyramid, and where the rest of it is to be read.

    Raises:
        NotFoundError: It is not here and no record names it, or it is no sound pyramid.
        PeerError: It is not here, and nobody else has it right.
    """
    node, size = app[NODE], None
    if await node.blobs.has(sha256):
        with contextlib.suppress(DamagedError, NotFoundError):
            size = (await node.blobs.stat(sha256)).size
    if size is None:
        size = (await app[PYRAMIDS].find(sha256))[0].size
    source = Source(app, sha256, size)
    return await app[SHELF].top(sha256, size, source.read), source


async def get_pyramid_head(request: web.Request) -> web.Response:
    """GET /pyramids/{sha256}/head?nodes=: all that a first picture needs, in one answer."""
    sha256 = await visible_blob(request)
    top, _ = await open_pyramid(request.app, sha256)
    count = min(_number(request, "nodes", top.node_count), top.node_count)
    body = top.data[: top.index_offset + ENTRY_SIZE * count]
    return await _answer(request, f"{sha256}-head-{count}", body)


async def get_pyramid_index(request: web.Request) -> web.Response:
    """GET /pyramids/{sha256}/index?from=&to=: entries of the index."""
    sha256 = await visible_blob(request)
    top, _ = await open_pyramid(request.app, sha256)
    start = min(_number(request, "from", 0), top.node_count)
    end = min(max(_number(request, "to", top.node_count), start), top.node_count)
    body = top.data[top.index_offset + ENTRY_SIZE * start : top.index_offset + ENTRY_SIZE * end]
    return await _answer(request, f"{sha256}-index-{start}-{end}", body)


async def get_tile(request: web.Request) -> web.Response:
    """GET /pyramids/{sha256}/tiles/{k}: one tile."""
    return await _tiles(request, request.match_info["k"])


async def get_tiles(request: web.Request) -> web.Response:
    """GET /pyramids/{sha256}/tiles?k=3,7,9: tiles behind one another, in that order."""
    return await _tiles(request, request.query.get("k", ""))


async def _tiles(request: web.Request, text: str) -> web.Response:
    sha256 = await visible_blob(request)
    parts = text.split(",")
    if not all(part.isdecimal() and len(part) < _NODES_LENGTH_MAX for part in parts):
        raise InputError(f"k: wants numbers of tiles such as 3,7,9, got {text[:40]!r}")
    top, source = await open_pyramid(request.app, sha256)
    body = await read_tiles(top, [int(part) for part in parts], source.read)
    return await _answer(request, f"{sha256}-tiles-{text}", body)


async def _answer(request: web.Request, etag: str, body: bytes) -> web.Response:
    control = await cache_control(request, etag.partition("-")[0])
    headers = {**HARMLESS, "Cache-Control": control, "ETag": f'"{etag}"'}
    if control.startswith("public"):
        # What everybody may read, pages of other nodes may show.
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Access-Control-Expose-Headers"] = "ETag, Content-Length"
    if any(tag.value in {etag, "*"} for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers, content_type="application/octet-stream")


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > _NODES_LENGTH_MAX:
        raise InputError(f"{name}: wants a number, got {text[:40]!r}")
    return int(text)
