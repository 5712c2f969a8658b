"""Blobs by their hash, and files by their names: nothing leaves that was not verified."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from urllib.parse import quote

from aiohttp import web

from node.app import Node
from node.errors import DamagedError, InputError, NotFoundError, PeerError
from node.web.byte_ranges import Representation, send_bytes
from node.web.dataset_page import file_href
from node.web.keys import NODE, VISIBILITY
from node.web.visit import viewer_of
from protocol.identity import parse_digest
from protocol.merkle import LEAF_SIZE
from protocol.records import BlobRef, File

__all__ = [
    "HARMLESS",
    "attachment",
    "best_bytes",
    "cache_control",
    "get_blob",
    "get_file",
    "get_file_by_hash",
    "get_pieces",
    "visible_blob",
]

# Whatever strangers put into a blob, a browser neither runs nor frames nor guesses it.
HARMLESS = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
_IMMUTABLE = "public, max-age=31536000, immutable"
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"RIFF", "image/webp"),
)
PIECE_LENGTH_DEFAULT = 1 << 20
PIECE_LENGTH_MAX = 1 << 40

_logger = logging.getLogger(__name__)


async def get_blob(request: web.Request) -> web.StreamResponse:
    """GET, HEAD /blobs/{sha256}: the bytes with that hash, if they are held here."""
    node = request.app[NODE]
    sha256 = await visible_blob(request)
    stored = await node.blobs.stat(sha256)
    head = b"".join([part async for part in node.blobs.open_range(sha256, 0, 16)])
    media_type = _picture_type(head)
    headers = {
        **HARMLESS,
        "Content-Type": media_type or "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{sha256}"',
        "Cache-Control": await cache_control(request, sha256),
    }
    what = Representation(sha256=sha256, size=stored.size, headers=headers)
    return await send_bytes(
        request, what, lambda start, end: node.blobs.open_range(sha256, start, end)
    )


async def get_pieces(request: web.Request) -> web.StreamResponse:
    """GET /blobs/{sha256}/pieces?length=: the Merkle layer, 32 bytes for each piece."""
    node = request.app[NODE]
    sha256 = await visible_blob(request)
    length = _piece_length(request.query.get("length", ""))
    layer = await node.blobs.layer(sha256, length)
    response = web.Response(body=layer, content_type="application/octet-stream")
    response.headers.update(HARMLESS)
    response.headers["Cache-Control"] = await cache_control(request, sha256)
    response.etag = f"{sha256}-{length}"
    return response


async def get_file_by_hash(request: web.Request) -> web.StreamResponse:
    """GET /datasets/{id}/files/{sha256}: go to the file under its name."""
    dataset, _, file = await _file(request)
    raise web.HTTPFound(file_href(dataset, file))


async def get_file(request: web.Request) -> web.StreamResponse:
    """GET, HEAD /datasets/{id}/files/{sha256}/{name}: a file, from here or from whoever holds it.

    What is not held here is relayed piece by piece, each checked against the record's Merkle root.
    """
    node = request.app[NODE]
    dataset, publisher, file = await _file(request)
    if request.match_info["name"] != file.name:
        raise NotFoundError(f"dataset {dataset[:8]} calls this file {file.name!r}")
    headers = {
        **HARMLESS,
        "Content-Type": "application/octet-stream",
        "Content-Disposition": attachment(file.name),
        "Cache-Control": "private, no-cache",
    }
    what = Representation(sha256=file.sha256, size=file.size, headers=headers)
    return await send_bytes(
        request,
        what,
        lambda start, end: best_bytes(node, file.blob, span=(start, end), origin=publisher),
    )


async def best_bytes(
    node: Node, blob: BlobRef, *, span: tuple[int, int], origin: str
) -> AsyncGenerator[bytes, None]:
    """Yield verified bytes from here, and from others from where ours turn out damaged."""
    position, end = span
    if await node.blobs.has(blob.sha256):
        try:
            async for data in node.blobs.open_range(blob.sha256, position, end):
                position += len(data)
                yield data
        except (DamagedError, NotFoundError) as error:
            _logger.warning("going on with another holder: %s", error)
        else:
            return
    try:
        async for data in node.peering.fetcher.stream(blob, position, end, origin=origin):
            yield data
    except NotFoundError as error:
        raise PeerError(
            "no node that this one talks to holds this file at the moment; its page says who may "
            "have it, and trying again later may help"
        ) from error


async def visible_blob(request: web.Request) -> str:
    """Return the hash in the address if its reader may have the blob."""
    sha256 = parse_digest(request.match_info["sha256"])
    visibility = request.app[VISIBILITY]
    if not await visibility.may_read_blob(sha256, viewer=viewer_of(request)):
        # The same words for what is hidden and for what is not here: neither is told.
        raise NotFoundError(f"the blob {sha256} is not held here")
    return sha256


async def cache_control(request: web.Request, sha256: str) -> str:
    """Return how long an answer made of a blob may be kept: for ever if everybody may read it."""
    is_public = await request.app[VISIBILITY].is_public(sha256)
    return _IMMUTABLE if is_public else "private, no-store"


async def _file(request: web.Request) -> tuple[str, str, File]:
    node = request.app[NODE]
    sha256 = parse_digest(request.match_info["sha256"])
    _, dataset = await node.catalog.resolve(request.match_info["id"], kinds=("dataset",))
    view = await node.catalog.dataset(dataset, viewer=viewer_of(request))
    for sample in view.metadata.samples:
        for file in sample.files:
            if file.sha256 == sha256:
                return dataset, view.publisher.id, file
    raise NotFoundError(f"dataset {dataset[:8]} has no file {sha256[:8]} in its newest revision")


def _piece_length(text: str) -> int:
    if not text:
        return PIECE_LENGTH_DEFAULT
    length = int(text) if text.isdecimal() and len(text) < 16 else 0
    if not LEAF_SIZE <= length <= PIECE_LENGTH_MAX or length & (length - 1):
        raise InputError(f"length: {text[:40]!r} is not a power of two of at least {LEAF_SIZE}")
    return length


def _picture_type(head: bytes) -> str | None:
    for signature, media_type in _SIGNATURES:
        if head.startswith(signature) and (media_type != "image/webp" or head[8:12] == b"WEBP"):
            return media_type
    return None


def attachment(name: str) -> str:
    """Return the Content-Disposition that saves a file under its name, whatever is in it."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
