"""What a request says about its reader: who, where, in which colours."""

from __future__ import annotations

from typing import NoReturn

from aiohttp import web

from node.catalog.views import Viewer
from node.errors import InputError
from node.web.keys import VIEWER
from node.web.layout import THEMES, Visit

__all__ = ["field_of", "set_theme", "viewer_of", "visit_of", "way_back"]

THEME_COOKIE = "theme"
FORM_TYPE = "application/x-www-form-urlencoded"
NO_TYPE = "application/octet-stream"  # As aiohttp calls a body that names none: an empty one.
_YEAR_S = 31_536_000
_PATH_LENGTH_MAX = 2_000


def viewer_of(request: web.Request) -> Viewer:
    """Return who asks, as the session cookie says."""
    viewer: Viewer = request.get(VIEWER, Viewer.ANONYMOUS)
    return viewer


def visit_of(request: web.Request) -> Visit:
    """Return what a page needs to know of this request."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return Visit(
        path=way_back(request.path_qs) if request.method == "GET" else "/",
        theme=theme if theme in THEMES else "",
        is_signed_in=viewer_of(request) is Viewer.ADMIN,
    )


def way_back(path: str) -> str:
    """Return a path of this node to go back to, or the search page for anything else."""
    # "//host" and "/\host" would lead to another site.
    is_own = path.startswith("/") and not path.startswith(("//", "/\\"))
    is_line = path.isprintable() and len(path) <= _PATH_LENGTH_MAX
    return path if is_own and is_line and not path.startswith("/login") else "/"


async def field_of(request: web.Request, name: str) -> str:
    """Return a field of the form that was sent, empty if it has none of that name.

    Raises:
        InputError: What was sent is no form.
    """
    # Our forms send nothing else; files and nested parts are not even looked at.
    if request.content_type not in {FORM_TYPE, NO_TYPE}:
        raise InputError(f"a form is sent as {FORM_TYPE}, not as {request.content_type}")
    try:
        return str((await request.post()).get(name, ""))
    except (ValueError, LookupError) as error:  # Bytes or a charset that are no text.
        raise InputError("the form that was sent cannot be read") from error


async def set_theme(request: web.Request) -> NoReturn:
    """POST /theme: remember the colours in a cookie, for browsers that run no scripts."""
    response = web.HTTPSeeOther(way_back(await field_of(request, "next")))
    theme = await field_of(request, "theme")
    if theme in THEMES:
        response.set_cookie(THEME_COOKIE, theme, max_age=_YEAR_S, samesite="Lax")
    else:
        response.del_cookie(THEME_COOKIE, samesite="Lax")
    raise response
