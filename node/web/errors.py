"""Which status an error has, and how a problem is told: RFC 9457 to programs, a page to people."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from node import errors
from node.catalog.views import Viewer
from node.web.keys import LAYOUT
from node.web.visit import viewer_of, visit_of
from protocol.errors import RemoteProtocolError, SizeLimitError, UnsignedError

__all__ = ["STATUS_BY_ERROR", "answer_errors", "status_of"]

# The first class that fits counts, so the special ones come first.
STATUS_BY_ERROR: dict[type[Exception], int] = {
    errors.NotFoundError: 404,
    errors.AmbiguousError: 409,
    errors.ConflictError: 409,
    errors.ForbiddenError: 403,
    errors.InputError: 400,
    errors.StorageError: 507,
    errors.DamagedError: 503,
    errors.PeerError: 502,
    errors.ConfigError: 500,
    SizeLimitError: 413,
    UnsignedError: 403,
    RemoteProtocolError: 400,
}
_TITLES = {
    400: "That cannot be read",
    403: "Not allowed",
    404: "Nothing here has that name",
    405: "This address does not do that",
    409: "That fits more than one thing, or not now",
    413: "Too large",
    416: "No such range of bytes",
    429: "Too much at once",
    500: "Something is wrong with this node",
    502: "Another node could not help",
    503: "Not available here at the moment",
    507: "This node has no room",
}
_DETAILS = {
    404: "There is no page at this address.",
    405: "The address exists, but not for this kind of request.",
    413: "What was sent is larger than this address takes.",
    429: "This node lets strangers ask only so often; try again in a few seconds.",
    500: "The error has been written to the node's log. Trying again later may help.",
    502: "No other node could give it at the moment. The dataset's page says who may have it; "
    "trying again later may help.",
}
# What programs read answers problems as JSON, whatever the client says it accepts.
_FOR_PROGRAMS = ("/api/", "/sync/", "/blobs/", "/pyramids/", "/records/", "/-/", "/healthz")

_logger = logging.getLogger(__name__)


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a known error as a problem; anything else is a bug and stays a logged 500."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allow = {
            name: error.headers[name] for name in ("Allow", "Retry-After") if name in error.headers
        }
        return problem(
            request, error.status, _DETAILS.get(error.status, error.reason), headers=allow
        )
    except tuple(STATUS_BY_ERROR) as error:
        return problem(request, status := status_of(error), _detail(request, error, status))
    except Exception:
        _logger.exception("%s %s failed", request.method, request.path)
        return problem(request, 500, _DETAILS[500])


def status_of(error: Exception) -> int:
    """Return the status of a known error."""
    return next(code for kind, code in STATUS_BY_ERROR.items() if isinstance(error, kind))


def problem(
    request: web.Request, status: int, detail: str, *, headers: dict[str, str] | None = None
) -> web.Response:
    """Return the answer that tells of a problem, in the form that the client can use."""
    title = _TITLES.get(status, HTTPStatus(status).phrase)
    headers = {"Cache-Control": "no-store", **(headers or {})}
    if _wants_page(request):
        values = {"title": title, "detail": detail, "status": status}
        text = request.app[LAYOUT].render("problem.html", values, visit=visit_of(request))
        return web.Response(text=text, status=status, content_type="text/html", headers=headers)
    document: dict[str, Any] = {"title": title, "status": status, "detail": detail}
    response = web.json_response(document, status=status, headers=headers)
    response.content_type = "application/problem+json"
    return response


def _wants_page(request: web.Request) -> bool:
    if request.path.startswith(_FOR_PROGRAMS) or request.path.endswith(".json"):
        return False
    return "text/html" in request.headers.get("Accept", "")


def _detail(request: web.Request, error: Exception, status: int) -> str:
    if status != HTTPStatus.BAD_GATEWAY or viewer_of(request) is Viewer.ADMIN:
        return _sentence(error)
    # How each peer failed names addresses inside a lab's network.
    _logger.warning("%s %s: %s", request.method, request.path, error)
    return _DETAILS[status]


def _sentence(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    first, _, rest = text.partition(" ")
    # `limit: ...` names a parameter, which keeps its spelling.
    return text[0].upper() + text[1:] if rest and first.isalpha() else text
