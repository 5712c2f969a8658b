"""What other nodes ask of this one: the routes of the sync protocol (protocol.md 8)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict
from yarl import URL

from node import __version__
from node.app import Node
from node.catalog.views import Viewer
from node.errors import ConflictError, ForbiddenError, InputError, PeerError
from node.peering.addresses import parse_peer_url
from node.peering.gossip import own_reports
from node.peering.handshake import lineage_of
from node.peering.signing import RequestVerifier, SignedRequest
from node.web.keys import NODE, VIEWER
from protocol import limits
from protocol.envelope import Envelope, seal
from protocol.errors import RemoteProtocolError, SizeLimitError
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
from protocol.records import Identity, parse_record
from protocol.wire import pack

__all__ = ["identify_node", "routes"]

FRAME_SIZE_MAX = 500_000
RECONCILE_SIZE_MAX = 1 << 20
CHUNK_RECORDS = 100
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
    await _require_member(request)
    # Members records are their publisher's to give, and of nobody else.
    head = await node.catalog.head(node.keyring.publisher, "members")
    return _binary(encode_envelopes([head] if head else []))


async def post_reconcile(request: web.Request) -> web.Response:
    """POST /sync/v1/reconcile?publisher=&scope=: one Negentropy v1 message for another."""
    node = request.app[NODE]
    publisher, scope = parse_digest(request.query.get("publisher", "")), _scope(request)
    if scope == "members":
        sender = await _require_member(request)
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
    sender = await _sender(request)
    ids = decode_ids(await request.read())
    visible = await _visible(node, ids, sender)
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    await response.prepare(request)
    for start in range(0, len(visible), CHUNK_RECORDS):
        envelopes = await node.catalog.envelopes(visible[start : start + CHUNK_RECORDS])
        await response.write(b"".join(pack(envelope.to_wire()) for envelope in envelopes))
    await response.write_eof()
    return response


async def put_records(request: web.Request) -> web.Response:
    """PUT /sync/v1/records: take an offer from a peer that someone has approved."""
    node = request.app[NODE]
    body = await request.read()
    sender = await _offering_sender(request, body)
    try:
        envelopes = decode_envelopes(body, count_max=limits.OFFER_MAX)
        outcomes = await node.catalog.admit(envelopes, source=sender)
    except RemoteProtocolError as error:
        await node.peering.serving.note_refusal(sender, error, what="offer")
        raise
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
    sender = await _sender(request)
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


@web.middleware
async def identify_node(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let approved peers read members' blobs when they sign their request for them."""
    if request.path.startswith("/blobs/") and "Signature" in request.headers:
        node = request.app[NODE]
        sender = await _sender(request)
        if sender is not None and await node.peers.is_approved(sender):
            request[VIEWER] = Viewer.MEMBER
    return await handler(request)


async def _sender(request: web.Request) -> str | None:
    """Return who signed the request, None for a stranger.

    Raises:
        ForbiddenError: The signature does not hold.
    """
    if "Signature" not in request.headers:
        return None
    node = request.app[NODE]
    claimed = RequestVerifier.claimed_sender(request.headers)
    if not await node.peering.serving.online_keys(claimed):
        return None  # Nobody we know: a stranger, whatever it says.
    return await node.peering.verifier.sender(
        await _as_signed(request), path_prefix=_path_prefix(node)
    )


async def _require_member(request: web.Request) -> str:
    sender = await _sender(request)
    if sender is None or not await request.app[NODE].peers.is_approved(sender):
        raise ForbiddenError("members records are for approved peers, who sign their requests")
    return sender


async def _offering_sender(request: web.Request, body: bytes) -> str:
    """Return who offers records, if its offers are taken here.

    Raises:
        ForbiddenError: It is unknown or unproved; one that proves itself becomes a suggestion.
    """
    node = request.app[NODE]
    sender = await _sender(request) or await _stranger(request, body)
    if await node.peers.is_approved(sender):
        return sender
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
        return sender
    raise ForbiddenError("offers are taken once this node's administrator has approved you")


async def _stranger(request: web.Request, body: bytes) -> str:
    """Return a sender who is not in our catalog and proves itself by the identities it offers."""
    node = request.app[NODE]
    claimed = RequestVerifier.claimed_sender(request.headers)
    try:
        offered = decode_envelopes(body, count_max=limits.OFFER_MAX)
        lineage = lineage_of(_identities(offered, claimed), claimed, now=node.clock())
    except RemoteProtocolError as error:
        raise ForbiddenError(f"nobody here knows publisher {claimed}: {error}") from error
    keys = frozenset(key for key, retired in lineage.online.items() if retired is None)
    return await node.peering.verifier.sender_with(
        await _as_signed(request), keys, path_prefix=_path_prefix(node)
    )


def _identities(envelopes: Iterable[Envelope], publisher: str) -> Iterable[Envelope]:
    for envelope in envelopes:
        record = parse_record(envelope.payload)
        if isinstance(record, Identity) and publisher in {envelope.id, record.publisher}:
            yield envelope


async def _as_signed(request: web.Request) -> SignedRequest:
    return SignedRequest(
        method=request.method,
        # Scheme and host are not covered by the signature; path and query are, as they came.
        url=f"http://node{request.raw_path}",
        headers=CIMultiDict(request.headers),
        body=await request.read(),
    )


def _path_prefix(node: Node) -> str:
    return URL(node.config.public_url).raw_path.rstrip("/") if node.config.public_url else ""


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
    message = await request.read()
    if len(message) > RECONCILE_SIZE_MAX:
        raise SizeLimitError(f"a message of {len(message)} bytes; at most {RECONCILE_SIZE_MAX}")
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
    try:
        arrived, named = ip_address(local[0]), ip_address(url.host or "")
    except ValueError:
        return url.host == "localhost" and str(local[0]) in {"127.0.0.1", "::1"}
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
