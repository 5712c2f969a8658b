"""Connections on which nobody asks anything: cut, before there is no room for those who do.

The server itself waits without end for the first request of a connection. A thousand that never
finish their headers would take every descriptor that the process may open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_protocol import RequestHandler

__all__ = ["IdleConnections"]

IDLE_S_MAX = 90.0
CONNECTIONS_MAX = 400
CROWDED_IDLE_S_MAX = 2.0
LOOK_EVERY_S = 1.0


class IdleConnections:
    """Knows on which connections requests are answered, and cuts the others after a while.

    Args:
        clock: Gives seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._busy: set[RequestHandler] = set()
        self._idle_since: dict[RequestHandler, float] = {}

    @property
    def middleware(self) -> Middleware:
        """What every request of the application must go through."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = request.protocol
            self._busy.add(connection)
            try:
                return await handler(request)
            finally:
                self._busy.discard(connection)
                self._idle_since[connection] = self._clock()

        return note

    def cut(self, connections: Iterable[RequestHandler]) -> int:
        """Cut those that have been idle too long; sooner if there are many. Return how many."""
        now, found = self._clock(), list(connections)
        idle_s_max = IDLE_S_MAX if len(found) <= CONNECTIONS_MAX else CROWDED_IDLE_S_MAX
        self._idle_since = {item: self._idle_since.get(item, now) for item in found}
        count = 0
        for connection, since in self._idle_since.items():
            idle_s = now - since
            if connection not in self._busy and idle_s > idle_s_max and connection.transport:
                connection.transport.abort()
                count += 1
        return count

    async def run(self, runner: web.AppRunner) -> None:
        """Look at all connections again and again, until cancelled."""
        while True:
            if runner.server is not None:
                self.cut(runner.server.connections)
            await asyncio.sleep(LOOK_EVERY_S)
