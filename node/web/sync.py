"""What other nodes ask of this one: the routes of the sync protocol (protocol.md 8)."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import ip_address

from aiohttp import web
from yarl import URL

from node import __version__
from node.app import Node
from node.errors import ForbiddenError, InputError, PeerError
from node.peering.addresses import parse_peer_url, unwrap
from node.peering.gossip import own_reports
from node.web.keys import NODE
from node.web.senders import offering_sender, read_message, require_member, sender_of
from protocol import limits
from protocol.envelope import seal
from protocol.hello import HELLO_TYPE, Hello, parse_nonce
from protocol.identity import DigestHex, parse_digest
from protocol.messages import (
    NodeDocument,
    OfferAnswer,
    decode_envelopes,
    decode_ids,
    encode_answers,
    encode_envelopes,
    encode_peers,
)
from protocol.reconcile import ItemSet, respond
from protocol.wire import pack

__all__ = ["routes"]

FRAME_SIZE_MAX = 500_000
RECONCILE_SIZE_MAX = 1 << 20
IDS_SIZE_MAX = 64 << 10
CHUNK_RECORDS_MAX = 100
CHUNK_SIZE = 2 << 20  # A chunk of this size is large enough.
PATH = "/sync/v1"

_logger = logging.getLogger(__name__)


def routes() -> list[web.RouteDef]:
    """Return the routes that other nodes use."""
    return [
        web.get(f"{PATH}/node", get_node),
        web.get(f"{PATH}/heads", get_heads),
        web.post(f"{PATH}/reconcile", post_reconcile),
        web.post(f"{PATH}/records", post_records),
        web.put(f"{PATH}/records", put_records),
        web.post(f"{PATH}/holdings", post_holdings),
        web.get(f"{PATH}/peers", get_peers),
        web.get(f"{PATH}/events", get_events),
    ]


async def get_node(request: web.Request) -> web.Response:
    """GET /sync/v1/node?nonce=&url=: who we are, proved by an answer to the caller's nonce."""
    node = request.app[NODE]
    own = node.keyring.publisher
    nonce = request.query.get("nonce")
    hello = None
    if nonce is not None:
        answer = Hello(
            publisher=own,
            nonce=parse_nonce(nonce),
            issued=node.clock(),
            url=_called_url(request, node),
        )
        hello = seal(answer.to_bytes(), [node.keyring.signer], payload_type=HELLO_TYPE)
    document = NodeDocument(
        publisher=own,
        protocols=(limits.PROTOCOL_VERSION,),
        software=f"locmesh {__version__}",
        now=node.clock(),
        identities=tuple(await node.catalog.identities(own)),
        node=await node.peering.serving.node_record(own),
        hello=hello,
        limits={
            "frame_size_max": FRAME_SIZE_MAX,
            "message_size_max": limits.MESSAGE_SIZE_MAX,
            "record_ids_max": limits.RECORD_IDS_MAX,
            "offer_max": limits.OFFER_MAX,
        },
    )
    return _binary(document.encode())


async def get_heads(request: web.Request) -> web.Response:
    """GET /sync/v1/heads?scope=: the newest head of every publisher, as a msgpack list."""
    node = request.app[NODE]
    if _scope(request) == "public":
        return _binary(encode_envelopes((await node.catalog.heads("public"))[: limits.HEADS_MAX]))
    await require_member(request)
    # Members records are their publisher's to give, and of nobody else.
    head = await node.catalog.head(node.keyring.publisher, "members")
    return _binary(encode_envelopes([head] if head else []))


async def post_reconcile(request: web.Request) -> web.Response:
    """POST /sync/v1/reconcile?publisher=&scope=: one Negentropy v1 message for another."""
    node = request.app[NODE]
    publisher, scope = parse_digest(request.query.get("publisher", "")), _scope(request)
    if scope == "members":
        sender = await require_member(request)
        if publisher not in {node.keyring.publisher, sender}:
            raise ForbiddenError("members records are told only by their own publisher")
    items = await node.catalog.items(publisher, scope)
    return await _reconciled(request, items)


async def post_holdings(request: web.Request) -> web.Response:
    """POST /sync/v1/holdings: as reconcile, over the hashes of the public blobs held here."""
    return await _reconciled(request, await request.app[NODE].peering.holdings.items())


async def post_records(request: web.Request) -> web.StreamResponse:
    """POST /sync/v1/records: the envelopes with these ids, those that the sender may have."""
    node = request.app[NODE]
    sender = await sender_of(request)
    ids = decode_ids(await read_message(request, size_max=IDS_SIZE_MAX))
    visible = await _visible(node, ids, sender)
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    await response.prepare(request)
    start, count = 0, 8
    while start < len(visible):
        envelopes = await node.catalog.envelopes(visible[start : start + count])
        chunk = b"".join(pack(envelope.to_wire()) for envelope in envelopes)
        await response.write(chunk)
        start += count
        # A record may have a megabyte: few at once, until they have proved to be small.
        count = min(2 * count, CHUNK_RECORDS_MAX) if len(chunk) < CHUNK_SIZE else 1 + count // 2
    await response.write_eof()
    return response


async def put_records(request: web.Request) -> web.Response:
    """PUT /sync/v1/records: take an offer from a peer that someone has approved."""
    node = request.app[NODE]
    sender, body = await offering_sender(request)
    envelopes = await asyncio.to_thread(decode_envelopes, body, count_max=limits.OFFER_MAX)
    outcomes = await node.catalog.admit(envelopes, source=sender)
    node.peering.syncer.hurry(sender)
    return _binary(
        encode_answers(
            OfferAnswer(
                id=DigestHex(outcome.id),
                action=outcome.action,
                reason=outcome.reason,
                detail=outcome.detail,
            )
            for outcome in outcomes
        )
    )


async def get_peers(request: web.Request) -> web.Response:
    """GET /sync/v1/peers: our approved peers, and whether they answer us."""
    reports = await own_reports(request.app[NODE].peering.context)
    return _binary(encode_peers(reports[: limits.PEERS_MAX]))


async def get_events(request: web.Request) -> web.StreamResponse:
    """GET /sync/v1/events: new records, heads and peers, as they come."""
    node = request.app[NODE]
    sender = await sender_of(request)
    listener = node.peering.hub.open(sender)
    if sender is not None:
        node.peering.syncer.hurry(sender)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # Or nginx would keep events until it has a page of them.
        }
    )
    try:
        await response.prepare(request)
        async for frame in listener.frames():
            await response.write(frame)
    except ConnectionError:
        _logger.debug("the listener %s is gone", sender)
    finally:
        node.peering.hub.close(listener)
    return response


async def _visible(node: Node, ids: list[DigestHex], sender: str | None) -> list[str]:
    """Return those records that the sender may have: public ones, and our members' if approved."""
    scopes = await node.peering.serving.scopes(ids)
    is_member = sender is not None and await node.peers.is_approved(sender)
    allowed = {("public", publisher) for publisher, _ in scopes.values()}
    if is_member:
        allowed.add(("members", node.keyring.publisher))
    return [
        record
        for record in dict.fromkeys(ids)
        if record in scopes and scopes[record][::-1] in allowed
    ]


async def _reconciled(request: web.Request, items: ItemSet) -> web.Response:
    message = await read_message(request, size_max=RECONCILE_SIZE_MAX)
    answer = await asyncio.to_thread(respond, items, message, frame_limit=FRAME_SIZE_MAX)
    return _binary(answer)


def _called_url(request: web.Request, node: Node) -> str:
    """Return the base URL that the caller says it called, if that is where it got us.

    Whoever stands between a caller and us has another address than ours, and must not get our
    signature under it. Our address is known when it is a number; a name is compared with the
    public URL, and only a node without one has to believe the Host header.
    """
    own = node.config.public_url.rstrip("/")
    text = request.query.get("url") or own or f"http://{request.host}"
    try:
        url = parse_peer_url(text)
    except PeerError as error:
        raise InputError(f"url: {error}") from error
    if str(url) == own or _is_our_address(request, url) or (not own and _is_host(request, url)):
        return str(url)
    where = f"; it answers at {own}" if own else ""
    raise InputError(f"url: {text[:200]} is not where this node answers{where}")


def _is_our_address(request: web.Request, url: URL) -> bool:
    """Say whether the URL's numeric host is the one at which the connection arrived."""
    local = request.transport.get_extra_info("sockname") if request.transport else None
    if not local:
        return False
    arrived = unwrap(ip_address(str(local[0]).partition("%")[0]))
    try:
        named = unwrap(ip_address((url.host or "").partition("%")[0]))
    except ValueError:
        return url.host == "localhost" and arrived.is_loopback
    return arrived == named


def _is_host(request: web.Request, url: URL) -> bool:
    """Say whether the URL has the name under which we were called."""
    try:
        named_in_header = URL(f"{url.scheme}://{request.host}").authority
    except ValueError:
        return False
    return named_in_header == url.authority


def _scope(request: web.Request) -> str:
    scope = request.query.get("scope", "public")
    if scope not in {"public", "members"}:
        raise InputError(f"scope: want public or members, got {scope[:40]!r}")
    return scope


def _binary(body: bytes) -> web.Response:
    return web.Response(
        body=body,
        content_type="application/octet-stream",
        headers={"Cache-Control": "no-store"},
    )
