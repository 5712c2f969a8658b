"""What every handler finds on the application and on the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from node.catalog.views import Viewer

if TYPE_CHECKING:
    from node.app import Node
    from node.web.assets import Assets
    from node.web.auth import SignIns
    from node.web.layout import Layout

__all__ = ["ASSETS", "LAYOUT", "NODE", "SIGN_INS", "VIEWER"]

NODE: web.AppKey[Node] = web.AppKey("node")
LAYOUT: web.AppKey[Layout] = web.AppKey("layout")
ASSETS: web.AppKey[Assets] = web.AppKey("assets")
SIGN_INS: web.AppKey[SignIns] = web.AppKey("sign_ins")
VIEWER = web.RequestKey("viewer", Viewer)
