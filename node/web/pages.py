"""Pages for people. Each asks the catalog, and hands values to a template."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from node.app import Node
from node.catalog.order import SORTS
from node.catalog.views import PublisherView, Query, Reachability, Viewer
from node.errors import InputError, NotFoundError
from node.web.address import SearchAddress
from node.web.auth import get_login, require_admin
from node.web.cards import Surroundings
from node.web.dataset_page import make_dataset_page
from node.web.keys import LAYOUT, NODE
from node.web.markdown import render_markdown
from node.web.network_page import (
    describe_draft,
    describe_network,
    describe_peer,
    describe_publishers,
    describe_rejections,
    distinct_peers,
    make_peer_page,
    make_publisher_page,
    publisher_title,
)
from node.web.quantities import format_plural
from node.web.search_page import make_search_page
from node.web.visit import field_of, viewer_of, visit_of

__all__ = [
    "get_dataset_page",
    "get_drafts_page",
    "get_login_page",
    "get_network_page",
    "get_peer_page",
    "get_publisher_page",
    "get_publishers_page",
    "get_search_page",
    "post_peer",
]

HITS_PER_PAGE = 24
PUBLISHER_HITS = 8
REJECTIONS_SHOWN = 50
HOLDERS_ASKED_MAX = 100


async def get_search_page(request: web.Request) -> web.Response:
    """GET /: everything that is known here, narrowed by what the address says."""
    node = request.app[NODE]
    address = SearchAddress(request.query.items())
    cursor = request.query.get("cursor") or None
    query = address.query(viewer_of(request), limit=HITS_PER_PAGE, cursor=cursor, sorts=SORTS)
    results = await node.catalog.search(query)
    around = Surroundings(
        held=await held_of(node, (hit.thumbnail for hit in results.hits)),
        reachability=await _reachability(node, (hit.publisher for hit in results.hits)),
        now=node.clock(),
    )
    values = make_search_page(results, address, around=around, sorts=SORTS, is_first=cursor is None)
    return await page(request, "search.html", values, place="search")


async def get_dataset_page(request: web.Request) -> web.Response:
    """GET /datasets/{id}: one dataset; a shortened id leads to the whole one."""
    node = request.app[NODE]
    dataset = await _whole_id(request, "dataset", "/datasets/")
    view = await node.catalog.dataset(dataset, viewer=viewer_of(request))
    documentation = await asyncio.to_thread(render_markdown, view.metadata.documentation)
    thumbnails = (sample.thumbnail for sample in view.metadata.samples if sample.thumbnail)
    values = await asyncio.to_thread(
        make_dataset_page,
        view,
        documentation,
        around=Surroundings(
            held=await held_of(node, (blob.sha256 for blob in thumbnails)),
            reachability=await _reachability(node, (h.publisher for h in view.holders)),
            now=node.clock(),
        ),
        names=await _witness(node, view.publisher),
    )
    values["image"] = picture_url(request, dataset) if values["viewer"] else None
    values["check"] = f"curl {url_of(request)}/records/{view.record} | sha256sum"
    return await page(request, "dataset.html", {"page": values})


async def get_publishers_page(request: web.Request) -> web.Response:
    """GET /publishers: who publishes, and whether all they signed is here."""
    node = request.app[NODE]
    views = await node.catalog.publishers()
    lines = describe_publishers(views, names=names_of(views), now=node.clock())
    sentence = (
        f"{format_plural(len(views), 'publisher')}. Each signs what it publishes; "
        "any node can check the signatures and whether something is missing."
    )
    values = {"lines": lines, "sentence": sentence}
    return await page(request, "publishers.html", values, place="publishers")


async def get_publisher_page(request: web.Request) -> web.Response:
    """GET /publishers/{id}: one publisher and its newest datasets."""
    node = request.app[NODE]
    publisher = await _whole_id(request, "publisher", "/publishers/")
    view = await node.catalog.publisher(publisher)
    query = Query(publisher=publisher, limit=PUBLISHER_HITS, viewer=viewer_of(request))
    hits = (await node.catalog.search(query)).hits
    held = await held_of(node, (hit.thumbnail for hit in hits))
    values = make_publisher_page(
        view,
        hits,
        # Whether the publisher answers is said once, above its datasets.
        around=Surroundings(held=held, reachability={}, now=node.clock()),
        names=await _witness(node, view),
    )
    return await page(request, "publisher.html", {"page": values}, place="publishers")


async def get_network_page(request: web.Request) -> web.Response:
    """GET /network: peers and publishers with their state, and what was refused."""
    node = request.app[NODE]
    is_admin = viewer_of(request) is Viewer.ADMIN
    views, peers = await node.catalog.publishers(), await node.peers.list()
    # Addresses inside a lab's network, and what went wrong there, are for its administrator.
    shown = [peer for peer in distinct_peers(peers) if is_admin or peer.state == "approved"]
    rejections = await node.catalog.rejections(limit=REJECTIONS_SHOWN)
    now, names = node.clock(), names_of(views)
    values = {
        "sentence": describe_network(views, peers, datasets=sum(v.datasets for v in views)),
        "peers": [describe_peer(peer, now=now, has_secrets=is_admin) for peer in shown],
        "lines": describe_publishers(views, names=names, now=now),
        "rejections": describe_rejections(rejections, names=names),
        "can_decide": is_admin,
    }
    return await page(request, "network.html", values, place="network")


async def get_peer_page(request: web.Request) -> web.Response:
    """GET /network/{peer}: one peer, what was refused of it, and what can be decided."""
    node = request.app[NODE]
    is_admin = viewer_of(request) is Viewer.ADMIN
    peer = await node.peers.get(request.match_info["peer"])
    if not is_admin and peer.state != "approved":
        raise NotFoundError(f"there is no peer {request.match_info['peer']!r}")
    rejections = await node.catalog.rejections(peer.publisher or peer.url, REJECTIONS_SHOWN)
    values = make_peer_page(peer, rejections, now=node.clock(), has_secrets=is_admin)
    return await page(request, "peer.html", {**values, "can_decide": is_admin}, place="network")


async def post_peer(request: web.Request) -> web.StreamResponse:
    """POST /network/{peer}: approve or block a peer."""
    require_admin(request)
    peers, ref = request.app[NODE].peers, request.match_info["peer"]
    action = await field_of(request, "action")
    if action == "approve":
        await peers.approve(ref)
    elif action == "block":
        await peers.block(ref)
    else:
        raise InputError("action: a peer can be approved or blocked")
    raise web.HTTPSeeOther("/network")


async def get_drafts_page(request: web.Request) -> web.Response:
    """GET /drafts: what is being prepared here."""
    require_admin(request)
    node = request.app[NODE]
    drafts = [describe_draft(draft, now=node.clock()) for draft in await node.drafts.list()]
    return await page(request, "drafts.html", {"drafts": drafts}, place="drafts")


async def get_login_page(request: web.Request) -> web.StreamResponse:
    """GET /login: how to sign in; with a token, sign in."""
    if "token" in request.query:
        await get_login(request)
    return await page(request, "login.html", {}, place="login")


async def page(
    request: web.Request, template: str, values: Mapping[str, Any], *, place: str = ""
) -> web.Response:
    """Return a page, rendered in a thread: a long one takes longer than others should wait."""
    render, visit = request.app[LAYOUT].render, visit_of(request)
    text = await asyncio.to_thread(render, template, values, visit=visit, place=place)
    response = web.Response(text=text, content_type="text/html")
    # State changes any moment, and what it shows depends on who is signed in.
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Cookie, Accept"
    response.enable_compression()
    return response


async def held_of(node: Node, blobs: Iterable[str | None]) -> frozenset[str]:
    """Return which of these blobs are here."""
    wanted = sorted({blob for blob in blobs if blob})
    held = await asyncio.gather(*(node.blobs.has(blob) for blob in wanted))
    return frozenset(blob for blob, is_held in zip(wanted, held, strict=True) if is_held)


def names_of(views: Iterable[PublisherView]) -> dict[str, str]:
    """Return what to call each publisher."""
    return {view.id: publisher_title(view) for view in views}


async def _whole_id(request: web.Request, kind: str, path: str) -> str:
    given = request.match_info["id"]
    _, found = await request.app[NODE].catalog.resolve(given, kinds=(kind,))
    if found != given:
        raise web.HTTPFound(path + found)
    return found


async def _reachability(node: Node, publishers: Iterable[str]) -> dict[str, Reachability]:
    """Return which of these publishers answer; what others say of this node is not asked."""
    others = sorted(set(publishers) - {node.keyring.publisher})[:HOLDERS_ASKED_MAX]
    found = await asyncio.gather(*(node.peers.reachability(other) for other in others))
    return dict(zip(others, found, strict=True))


async def _witness(node: Node, publisher: PublisherView) -> dict[str, str]:
    via = publisher.reachability.via
    return {via: publisher_title(await node.catalog.publisher(via))} if via else {}


def picture_url(request: web.Request, dataset: str) -> str:
    """Return the whole address of a picture as link previews show it."""
    return f"{url_of(request)}/datasets/{dataset}/image.png?w=1200&h=630"


def url_of(request: web.Request) -> str:
    """Return where this node is reached, without a slash at the end."""
    public = request.app[NODE].config.public_url
    return public.rstrip("/") if public else f"{request.scheme}://{request.host}"
