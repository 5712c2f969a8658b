"""Who of the other nodes asks: what a signed request proves, and what it may cost us to find out.

A signature covers the headers, and among them the digest of the body. So a sender is known before
the body is read, and what is wrong with the body can be written down against the one who sent it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict
from yarl import URL

from node.app import Node
from node.catalog.views import Viewer
from node.errors import ConflictError, ForbiddenError
from node.peering.handshake import lineage_of
from node.peering.signing import RequestVerifier, SignedRequest
from node.web.keys import NODE, PACES, SENDER, VIEWER
from protocol import limits
from protocol.envelope import Envelope
from protocol.errors import MalformedError, RemoteProtocolError, SizeLimitError
from protocol.messages import decode_envelopes
from protocol.records import Identity, parse_record

__all__ = ["identify_node", "offering_sender", "read_message", "require_member", "sender_of"]

SYNC_PATH = "/sync/"
BODY_TIMEOUT_S = 60.0


@web.middleware
async def identify_node(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Pace strangers, let approved peers read members' blobs, and note what peers do wrong."""
    is_blob = request.path.startswith("/blobs/")
    if not is_blob and not request.path.startswith(SYNC_PATH):
        return await handler(request)
    if is_blob and "Signature" in request.headers and await _approved(request):
        request[VIEWER] = Viewer.MEMBER
    if request.method in {"POST", "PUT"}:
        await _pace(request)
    try:
        return await handler(request)
    except RemoteProtocolError as error:
        await _note(request, error)
        raise


async def read_message(request: web.Request, *, size_max: int = limits.MESSAGE_SIZE_MAX) -> bytes:
    """Return the body of a request. Ask for the sender first: then it is the one that was signed.

    Raises:
        SizeLimitError: It is over the limit.
        MalformedError: It does not come to its end in time.
        ForbiddenError: The sender signed another one.
    """
    too_large = SizeLimitError(f"a message of over {size_max} bytes, which is the limit here")
    if (request.content_length or 0) > size_max:
        raise too_large
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    except TimeoutError:
        raise MalformedError(f"a message that did not end in {BODY_TIMEOUT_S:.0f} s") from None
    if len(body) > size_max:
        raise too_large
    if SENDER in request:
        RequestVerifier.check_body(request.headers, body)
    return body


async def sender_of(request: web.Request) -> str | None:
    """Return who signed the request, None for a stranger. `read_message` compares the body.

    Raises:
        ForbiddenError: The signature does not hold.
    """
    if SENDER in request:
        return request[SENDER]
    if "Signature" not in request.headers:
        return None
    node = request.app[NODE]
    claimed = RequestVerifier.claimed_sender(request.headers)
    if not await node.peering.serving.online_keys(claimed):
        return None  # Nobody we know: a stranger, whatever it says.
    sender = await node.peering.verifier.sender(_as_signed(request), path_prefix=_path_prefix(node))
    if sender is not None:
        request[SENDER] = sender
    return sender


async def require_member(request: web.Request) -> str:
    """Return the approved peer who signed the request.

    Raises:
        ForbiddenError: It is not one.
    """
    sender = await sender_of(request)
    if sender is None or not await request.app[NODE].peers.is_approved(sender):
        raise ForbiddenError("members records are for approved peers, who sign their requests")
    return sender


async def offering_sender(request: web.Request) -> tuple[str, bytes]:
    """Return who offers records and the offer, if offers of that sender are taken here.

    Raises:
        ForbiddenError: It is unknown or unproved; one that proves itself becomes a suggestion.
    """
    node = request.app[NODE]
    sender = await sender_of(request)
    body = await read_message(request)
    sender = sender or await _stranger(request, body)
    if await node.peers.is_approved(sender):
        return sender, body
    known = await node.peers.by_publisher(sender)
    if any(peer.state == "blocked" for peer in known):
        raise ForbiddenError("this node does not take records from you")
    if not known:
        try:
            await node.peers.add(None, source="offer", publisher=sender)
        except ConflictError as error:
            raise ForbiddenError(str(error)) from error
    if node.config.trust == "open":
        await node.peers.approve(sender)
        return sender, body
    raise ForbiddenError("offers are taken once this node's administrator has approved you")


async def _stranger(request: web.Request, body: bytes) -> str:
    """Return a sender who is not in our catalog and proves itself by the identities it offers."""
    node = request.app[NODE]
    claimed = RequestVerifier.claimed_sender(request.headers)
    now = node.clock()

    def prove() -> frozenset[bytes]:
        offered = decode_envelopes(body, count_max=limits.OFFER_MAX)
        lineage = lineage_of(_identities(offered, claimed), claimed, now=now)
        return frozenset(key for key, retired in lineage.online.items() if retired is None)

    try:
        keys = await asyncio.to_thread(prove)  # Thousands of signatures, if somebody is unkind.
    except RemoteProtocolError as error:
        raise ForbiddenError(f"nobody here knows publisher {claimed}: {error}") from error
    RequestVerifier.check_body(request.headers, body)
    return await node.peering.verifier.sender_with(
        _as_signed(request), keys, path_prefix=_path_prefix(node)
    )


def _identities(envelopes: Iterable[Envelope], publisher: str) -> Iterable[Envelope]:
    for envelope in envelopes:
        record = parse_record(envelope.payload)
        if isinstance(record, Identity) and publisher in {envelope.id, record.publisher}:
            yield envelope


async def _approved(request: web.Request) -> str | None:
    """Return the approved peer who signed the request, None for everybody else."""
    sender = await sender_of(request)
    is_approved = sender is not None and await request.app[NODE].peers.is_approved(sender)
    return sender if is_approved else None


async def _pace(request: web.Request) -> None:
    """Let strangers wait who ask for much; approved peers need not.

    Raises:
        HTTPTooManyRequests: The wait would be too long.
    """
    pause_s = request.app[PACES].take(request.remote or "")
    if pause_s == 0.0 or await _approved(request):
        return
    if pause_s > request.app[PACES].pause_max_s:
        raise web.HTTPTooManyRequests(headers={"Retry-After": "10"})
    await asyncio.sleep(pause_s)


async def _note(request: web.Request, error: RemoteProtocolError) -> None:
    """Write a breach down if it is known whose it is; a stranger has no page to show it on."""
    try:
        sender = await _approved(request)
    except ForbiddenError:
        return
    if sender is not None:
        what = f"{request.method} {request.path}"
        await request.app[NODE].peering.serving.note_refusal(sender, error, what=what)


def _as_signed(request: web.Request) -> SignedRequest:
    return SignedRequest(
        method=request.method,
        # Scheme and host are not covered by the signature; path and query are, as they came.
        url=f"http://node{request.raw_path}",
        headers=CIMultiDict(request.headers),
        body=None,
    )


def _path_prefix(node: Node) -> str:
    return URL(node.config.public_url).raw_path.rstrip("/") if node.config.public_url else ""
