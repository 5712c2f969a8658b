"""What every handler finds on the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["NODE"]

NODE: web.AppKey[Node] = web.AppKey("node")
