"""What every handler finds on the application and on the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from node.catalog.views import Viewer

if TYPE_CHECKING:
    from node.app import Node
    from node.catalog.pyramids import Pyramids
    from node.catalog.visibility import Visibility
    from node.viewing.shelf import Shelf
    from node.web.assets import Assets
    from node.web.auth import SignIns
    from node.web.layout import Layout
    from node.web.pace import Paces
    from node.web.region import Cuttings
    from node.web.view import Drawings

__all__ = [
    "ASSETS",
    "CUTTINGS",
    "DRAWINGS",
    "LAYOUT",
    "NODE",
    "PACES",
    "PYRAMIDS",
    "SENDER",
    "SHELF",
    "SIGN_INS",
    "VIEWER",
    "VISIBILITY",
]

NODE: web.AppKey[Node] = web.AppKey("node")
LAYOUT: web.AppKey[Layout] = web.AppKey("layout")
ASSETS: web.AppKey[Assets] = web.AppKey("assets")
SIGN_INS: web.AppKey[SignIns] = web.AppKey("sign_ins")
VISIBILITY: web.AppKey[Visibility] = web.AppKey("visibility")
CUTTINGS: web.AppKey[Cuttings] = web.AppKey("cuttings")
DRAWINGS: web.AppKey[Drawings] = web.AppKey("drawings")
PYRAMIDS: web.AppKey[Pyramids] = web.AppKey("pyramids")
SHELF: web.AppKey[Shelf] = web.AppKey("shelf")
PACES: web.AppKey[Paces] = web.AppKey("paces")
# The publisher that a request's signature proves.
SENDER = web.RequestKey("sender", str)
VIEWER = web.RequestKey("viewer", Viewer)
