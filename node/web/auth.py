"""Signing in: a one-time link becomes a session cookie. Only hashes of both are stored."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import urlsplit

import sqlite_utils
from aiohttp import web
from aiohttp.typedefs import Handler

from node.catalog.views import Viewer
from node.errors import ForbiddenError
from node.storage.database import Database
from node.web.keys import NODE, SIGN_INS, VIEWER

__all__ = ["SignIns", "get_login", "identify", "post_logout", "require_admin"]

LINK_LIFETIME_S = 86_400
SESSION_LIFETIME_S = 30 * 86_400
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Other nodes sign each request; cookies have no say there.
_SIGNED_PATHS = "/sync/"


class SignIns:
    """One-time links and the sessions they open.

    Args:
        db: The home's database.
        clock: The seconds since 1970.
    """

    def __init__(self, db: Database, *, clock: Callable[[], int]) -> None:
        self._db = db
        self._clock = clock

    async def issue(self) -> str:
        """Return the secret of a new link; it works once, within a day."""
        secret, now = secrets.token_urlsafe(32), self._clock()
        row = (_digest(secret), "link", now + LINK_LIFETIME_S)

        def insert(db: sqlite_utils.Database) -> None:
            db.execute("delete from sign_ins where expires <= ?", [now])
            db.execute("insert into sign_ins (digest, kind, expires) values (?, ?, ?)", row)

        await self._db.write(insert)
        return secret

    async def redeem(self, secret: str) -> str:
        """Turn a link's secret into that of a session.

        Raises:
            ForbiddenError: The link was used before, is too old or never was.
        """
        session, now = secrets.token_urlsafe(32), self._clock()

        def exchange(db: sqlite_utils.Database) -> bool:
            used = db.execute(
                "delete from sign_ins where digest = ? and kind = 'link' and expires > ?",
                [_digest(secret), now],
            )
            if used.rowcount != 1:
                return False
            row = [_digest(session), "session", now + SESSION_LIFETIME_S]
            db.execute("insert into sign_ins (digest, kind, expires) values (?, ?, ?)", row)
            return True

        if not await self._db.write(exchange):
            raise ForbiddenError(
                "this sign-in link was used before or has expired; `locmesh serve` prints a new one"
            )
        return session

    async def viewer(self, session: str) -> Viewer:
        """Return who a session belongs to: the administrator, or nobody."""
        sql = "select 1 from sign_ins where digest = ? and kind = 'session' and expires > ?"
        values = [_digest(session), self._clock()]
        found = await self._db.read(lambda db: db.execute(sql, values).fetchone())
        return Viewer.ADMIN if found else Viewer.ANONYMOUS

    async def end(self, session: str) -> None:
        """Forget a session."""
        sql = "delete from sign_ins where digest = ?"
        await self._db.write(lambda db: db.execute(sql, [_digest(session)]))


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note who asks, and refuse what another site's page makes a browser send."""
    session = request.cookies.get(_cookie_name(request), "")
    if session and not request.path.startswith(_SIGNED_PATHS):
        request[VIEWER] = await request.app[SIGN_INS].viewer(session)
    if request.method not in _SAFE_METHODS and not request.path.startswith(_SIGNED_PATHS):
        _check_same_origin(request, has_session=bool(session))
    return await handler(request)


def require_admin(request: web.Request) -> None:
    """Raise ForbiddenError unless the administrator asks."""
    if request.get(VIEWER) is not Viewer.ADMIN:
        raise ForbiddenError("only those who signed in at this node can do or see this")


async def get_login(request: web.Request) -> NoReturn:
    """GET /login?token=...: open a session and go to the search page."""
    response = web.HTTPSeeOther("/")
    session = await request.app[SIGN_INS].redeem(request.query["token"])
    response.set_cookie(
        _cookie_name(request),
        session,
        max_age=SESSION_LIFETIME_S,
        httponly=True,
        samesite="Strict",
        secure=_is_encrypted(request),
    )
    response.headers["Cache-Control"] = "no-store"
    raise response


async def post_logout(request: web.Request) -> NoReturn:
    """POST /logout: end the session, here and in the browser."""
    name = _cookie_name(request)
    await request.app[SIGN_INS].end(request.cookies.get(name, ""))
    response = web.HTTPSeeOther("/")
    response.del_cookie(name, httponly=True, samesite="Strict")
    raise response


def _cookie_name(request: web.Request) -> str:
    # Browsers share cookies between ports: nodes on one machine must not sign one another out.
    return f"locmesh_{request.app[NODE].keyring.publisher[:12]}"


def _is_encrypted(request: web.Request) -> bool:
    public = urlsplit(request.app[NODE].config.public_url)
    return request.secure or (public.scheme == "https" and public.netloc == request.host)


def _check_same_origin(request: web.Request, *, has_session: bool) -> None:
    site = request.headers.get("Sec-Fetch-Site", "")
    origin = request.headers.get("Origin", "")
    if site in {"same-origin", "none"} or (not site and _netloc(origin) == request.host):
        return
    # A script without cookies says neither, and has nothing to abuse.
    if site or origin or has_session:
        raise ForbiddenError("this request came from the page of another site and was not done")


def _netloc(origin: str) -> str:
    return urlsplit(origin).netloc if origin else ""


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
