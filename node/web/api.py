"""The API for programs: search, datasets, signed records, and how this node is doing."""

from __future__ import annotations

import asyncio
import json
import platform
import sqlite3
from collections.abc import Callable
from importlib import metadata
from typing import Any

from aiohttp import web

from node import __version__
from node.catalog.order import SORTS
from node.catalog.views import Viewer
from node.errors import NotFoundError
from node.web.address import SearchAddress, parse_limit
from node.web.documents import (
    dataset_document,
    peer_document,
    publisher_document,
    rejection_document,
    search_document,
    values_of,
)
from node.web.keys import NODE, VISIBILITY
from node.web.visit import viewer_of
from protocol.limits import PROTOCOL_VERSION

__all__ = [
    "get_dataset",
    "get_health",
    "get_network",
    "get_peer",
    "get_peers",
    "get_publisher",
    "get_publishers",
    "get_record",
    "get_record_envelope",
    "get_search",
    "get_settings",
    "get_versions",
]

LIMIT_DEFAULT = 20
REJECTIONS_MAX = 200
# Settings that tell how a lab's own network is laid out.
_INSIDE = frozenset({"host", "exchange_networks", "storage"})
REDACTED = "(for those who signed in)"
_DISTRIBUTIONS = ("aiohttp", "cryptography", "jinja2", "msgpack", "numpy", "sqlite-utils")


async def get_search(request: web.Request) -> web.Response:
    """GET /api/v1/search: hits, facets with counts, and the cursor of the next page."""
    address = SearchAddress(request.query.items())
    query = address.query(
        viewer_of(request),
        limit=parse_limit(request.query.get("limit", ""), default=LIMIT_DEFAULT),
        cursor=request.query.get("cursor") or None,
        sorts=SORTS,
    )
    results = await request.app[NODE].catalog.search(query)
    return await document(lambda: search_document(results))


async def get_dataset(request: web.Request) -> web.Response:
    """GET /api/v1/datasets/{id}: the current revision with samples, revisions and holders."""
    catalog = request.app[NODE].catalog
    _, dataset = await catalog.resolve(request.match_info["id"], kinds=("dataset",))
    view = await catalog.dataset(dataset, viewer=viewer_of(request))
    return await document(lambda: dataset_document(view))


async def get_publishers(request: web.Request) -> web.Response:
    """GET /publishers.json: every publisher known here."""
    views = await request.app[NODE].catalog.publishers()
    return await document(lambda: {"publishers": [publisher_document(view) for view in views]})


async def get_publisher(request: web.Request) -> web.Response:
    """GET /publishers/{id}.json: one publisher."""
    catalog = request.app[NODE].catalog
    _, publisher = await catalog.resolve(request.match_info["id"], kinds=("publisher",))
    view = await catalog.publisher(publisher)
    return await document(lambda: publisher_document(view))


async def get_network(request: web.Request) -> web.Response:
    """GET /network.json: publishers, peers, and what was refused."""
    node = request.app[NODE]
    rejections = await node.catalog.rejections(limit=REJECTIONS_MAX)
    views, peers = await node.catalog.publishers(), await _peers(request)
    return await document(
        lambda: {
            "publishers": [publisher_document(view) for view in views],
            "peers": peers,
            "rejections": [rejection_document(row) for row in rejections],
        }
    )


async def get_peer(request: web.Request) -> web.Response:
    """GET /network/{peer}.json: one peer and what was refused of it."""
    node = request.app[NODE]
    is_admin = viewer_of(request) is Viewer.ADMIN
    peer = await node.peers.get(request.match_info["peer"])
    if not is_admin and peer.state != "approved":
        raise NotFoundError(f"there is no peer {request.match_info['peer']!r}")
    rejections = await node.catalog.rejections(peer.publisher or peer.url, REJECTIONS_MAX)
    rows = [rejection_document(row) for row in rejections]
    shown = peer_document(peer, has_secrets=is_admin)
    return await document(lambda: {"peer": shown, "rejections": rows})


async def get_record(request: web.Request) -> web.Response:
    """GET /records/{id}: the signed bytes, exactly; their SHA-256 is the id."""
    record = await _visible_record(request)
    payload = await request.app[NODE].catalog.payload(record)
    response = web.Response(body=payload, content_type="application/json")
    response.headers["Content-Disposition"] = f'inline; filename="{record}.json"'
    return _immutable(request, response, tag=record)


async def get_record_envelope(request: web.Request) -> web.Response:
    """GET /records/{id}/envelope: the DSSE envelope as JSON."""
    record = await _visible_record(request)
    envelope = await request.app[NODE].catalog.envelope(record)
    response = web.Response(body=envelope.to_json(), content_type="application/json")
    return _immutable(request, response, tag=f"{record}-envelope")


async def get_health(request: web.Request) -> web.Response:
    """GET /healthz: 200 while the database answers."""
    await request.app[NODE].db.read(lambda db: db.execute("select 1").fetchone())
    publisher = request.app[NODE].keyring.publisher
    return await document(lambda: {"status": "ok", "publisher": publisher})


async def get_versions(_request: web.Request) -> web.Response:
    """GET /-/versions: what this node is made of."""
    versions = {name: metadata.version(name) for name in _DISTRIBUTIONS}
    return await document(
        lambda: {
            "locmesh": __version__,
            "protocol": [PROTOCOL_VERSION],
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "packages": versions,
        }
    )


async def get_settings(request: web.Request) -> web.Response:
    """GET /-/settings: every setting with its default and meaning."""
    rows = values_of(request.app[NODE].config.settings())
    if viewer_of(request) is not Viewer.ADMIN:
        for row in rows:
            if row["name"] in _INSIDE:
                row["value"] = REDACTED
    return await document(lambda: {"settings": rows})


async def get_peers(request: web.Request) -> web.Response:
    """GET /-/peers: the peers; all of them, with their addresses, for the administrator."""
    peers = await _peers(request)
    return await document(lambda: {"peers": peers})


async def _peers(request: web.Request) -> list[dict[str, Any]]:
    is_admin = viewer_of(request) is Viewer.ADMIN
    peers = await request.app[NODE].peers.list()
    shown = [peer for peer in peers if is_admin or peer.state == "approved"]
    return [peer_document(peer, has_secrets=is_admin) for peer in shown]


async def document(make: Callable[[], Any]) -> web.Response:
    """Return what `make` gives as a JSON document, indented: people read it, too.

    It is made in a thread: a record of a mebibyte takes longer than others should wait.
    """
    text = await asyncio.to_thread(lambda: _dump(make()))
    response = web.Response(text=text, content_type="application/json")
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Cookie"
    response.enable_compression()
    return response


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1, default=str) + "\n"


async def _visible_record(request: web.Request) -> str:
    """Return the whole id of the record in the address if its reader may have it."""
    given = request.match_info["id"]
    _, record = await request.app[NODE].catalog.resolve(given, kinds=("record",))
    if not await request.app[VISIBILITY].may_read_record(record, viewer=viewer_of(request)):
        raise NotFoundError(f"nothing here is named {given[:64]}")
    return record


def _immutable(request: web.Request, response: web.Response, *, tag: str) -> web.Response:
    if any(known.value == tag for known in request.if_none_match or ()):
        response = web.Response(status=304)
    response.etag = tag
    is_public = viewer_of(request) is Viewer.ANONYMOUS
    response.headers["Cache-Control"] = (
        "public, max-age=31536000, immutable" if is_public else "private, no-store"
    )
    return response
