"""The web application of a node: its routes, and what happens to every request."""

from __future__ import annotations

import logging
import time

from aiohttp import web
from aiohttp.typedefs import Handler

from node import __version__
from node.app import Node
from node.catalog.pyramids import Pyramids
from node.catalog.visibility import Visibility
from node.viewing.shelf import Shelf
from node.web.assets import Assets
from node.web.auth import SignIns, identify
from node.web.errors import answer_errors
from node.web.keys import (
    ASSETS,
    CUTTINGS,
    DRAWINGS,
    LAYOUT,
    NODE,
    PACES,
    PYRAMIDS,
    SHELF,
    SIGN_INS,
    VISIBILITY,
)
from node.web.layout import Layout, Site
from node.web.pace import Paces
from node.web.region import Cuttings
from node.web.routes import routes
from node.web.senders import identify_node
from node.web.view import Drawings
from protocol.limits import MESSAGE_SIZE_MAX

__all__ = ["make_app"]

# Nothing inline, nothing from elsewhere: text from strangers that slips through stays text.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # Same-origin, not no-referrer: the latter would hide the origin of our own forms from us.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_access = logging.getLogger("node.access")


def make_app(node: Node) -> web.Application:
    """Return the application that serves an open node."""
    app = web.Application(
        client_max_size=MESSAGE_SIZE_MAX,
        middlewares=[log_access, answer_errors, identify, identify_node],
    )
    config = node.config
    site = Site(
        title=config.name or config.institution or "Locmesh",
        institution=config.institution,
        contact=config.contact,
        version=__version__,
    )
    app[NODE] = node
    app[ASSETS] = Assets()
    app[LAYOUT] = Layout(site, app[ASSETS], clock=node.clock)
    app[PACES] = Paces()
    app[SIGN_INS] = SignIns(node.db, clock=node.clock)
    app[DRAWINGS] = Drawings()
    app[CUTTINGS] = Cuttings()
    app.on_cleanup.append(app[DRAWINGS].close)
    app.on_cleanup.append(app[CUTTINGS].close)
    app[PYRAMIDS] = Pyramids(node.db)
    app[SHELF] = Shelf()
    app[VISIBILITY] = Visibility(node.db, own=node.keyring.publisher)
    app.add_routes(routes(app[ASSETS]))
    app.on_response_prepare.append(_add_headers)
    return app


@web.middleware
async def log_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write one line per request. Never its query: sign-in links are in there."""
    begin_s = time.monotonic()
    status = 499  # The client went away before there was an answer.
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as error:
        status = error.status
        raise
    else:
        return response
    finally:
        took_ms = round((time.monotonic() - begin_s) * 1000, 1)
        facts = {
            "method": request.method,
            "path": request.path,
            "status": status,
            "took_ms": took_ms,
            "remote": request.remote,
        }
        _access.info("%s %s %d", request.method, request.path, status, extra=facts)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
