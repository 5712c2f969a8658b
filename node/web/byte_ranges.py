"""Byte ranges as RFC 9110 asks for them, one at a time, and answers that carry them."""

from __future__ import annotations

import base64
import contextlib
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from node.errors import NodeError
from node.web.errors import problem

__all__ = ["ByteSource", "Representation", "parse_range", "send_bytes", "write_rest"]

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})", re.IGNORECASE)

ByteSource = Callable[[int, int], AsyncIterator[bytes]]
"""Gives the verified bytes [start, end)."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Representation:
    """Bytes that are sent whole or in part: their name, size and headers."""

    sha256: str
    size: int
    headers: Mapping[str, str]

    @property
    def etag(self) -> str:
        """The strong entity tag: the hash itself."""
        return f'"{self.sha256}"'

    @property
    def digest(self) -> str:
        """The value of Repr-Digest (RFC 9530)."""
        return f"sha-256=:{base64.b64encode(bytes.fromhex(self.sha256)).decode()}:"


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return the range [start, end) that a Range header asks for.

    Returns:
        None where the header is to be ignored: it is absent, malformed or asks for several.
        An empty range where nothing it asks for exists.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    start = int(found[1])
    last = int(found[2]) if found[2] else size - 1
    if found[2] and last < start:
        return None
    return (start, min(last + 1, size)) if start < size else (size, size)


async def send_bytes(
    request: web.Request, what: Representation, source: ByteSource
) -> web.StreamResponse:
    """Answer GET or HEAD with verified bytes: all of them, a range, or word that nothing changed.

    The first bytes are read before the answer begins, so that what is damaged at its beginning is
    told as a problem. Later damage ends the connection short of the announced length.
    """
    headers = {
        **what.headers,
        "ETag": what.etag,
        "Accept-Ranges": "bytes",
        "Repr-Digest": what.digest,
    }
    if _has_current(request, what):
        return web.Response(status=304, headers=headers)
    span = _wanted(request, what)
    start, end = span or (0, what.size)
    if span is not None and start >= end:
        detail = f"The file has {what.size} bytes; the range asked for lies behind its end."
        return problem(request, 416, detail, headers={"Content-Range": f"bytes */{what.size}"})
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{what.size}"
    response = web.StreamResponse(status=200 if span is None else 206, headers=headers)
    response.content_length = end - start
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    async with contextlib.aclosing(_generate(source(start, end))) as chunks:
        first = await anext(chunks, b"")
        await response.prepare(request)
        await response.write(first)
        await write_rest(request, response, chunks)
    return response


async def write_rest(
    request: web.Request, response: web.StreamResponse, chunks: AsyncGenerator[bytes, None]
) -> None:
    """Write what follows; when it cannot be had, end the connection before the answer ends."""
    try:
        async for chunk in chunks:
            await response.write(chunk)
    except NodeError as error:
        _logger.warning("%s ends early: %s", request.path, error)
        # Closing without the announced length is how HTTP says that this is not all.
        if request.transport is not None:
            request.transport.abort()


async def _generate(source: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    async for chunk in source:
        yield chunk


def _has_current(request: web.Request, what: Representation) -> bool:
    tags = request.if_none_match or ()
    return any(tag.value in {what.sha256, "*"} for tag in tags)


def _wanted(request: web.Request, what: Representation) -> tuple[int, int] | None:
    condition = request.headers.get("If-Range", "").strip()
    if condition and condition != what.etag:
        return None
    return parse_range(request.headers.get("Range", ""), what.size)
