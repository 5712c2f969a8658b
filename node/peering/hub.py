"""Everybody who holds our event stream open, and what is told to whom."""

import asyncio
import logging
from collections.abc import AsyncIterator

from node.catalog.catalog import Catalog
from node.catalog.peers import Peers
from node.catalog.views import Change
from node.errors import ConflictError
from protocol.events import KEEP_ALIVE, HoldingsEvent, PeerEvent, RecordsEvent
from protocol.identity import parse_digest
from protocol.messages import PeerReport

__all__ = ["Hub", "Listener"]

LISTENERS_MAX = 256
LISTENERS_OF_PUBLISHER_MAX = 8
BACKLOG_MAX = 256
KEEP_ALIVE_S = 10.0

_logger = logging.getLogger(__name__)


class Listener:
    """One open stream. `publisher` is who signed its request, None for a stranger."""

    def __init__(self, publisher: str | None) -> None:
        self.publisher = publisher
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(BACKLOG_MAX)
        self._is_open = True

    def send(self, frame: bytes | None) -> None:
        """Queue a frame; a listener who cannot keep up is cut off and will come back."""
        if not self._is_open:
            return
        if frame is None or self._queue.full():
            self._is_open = False
            while not self._queue.empty():
                self._queue.get_nowait()
            frame = None
        self._queue.put_nowait(frame)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield frames, with a sign of life when there is nothing to say, until cut off."""
        yield KEEP_ALIVE
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    frame = await self._queue.get()
            except TimeoutError:
                frame = KEEP_ALIVE
            if frame is None:
                return
            yield frame


class Hub:
    """Tells listeners of new records and of peers that come and go.

    Args:
        catalog: Where changes and heads come from.
        peers: Who is approved.
        own: Our publisher id, the only one whose members records are told, and to members only.
    """

    def __init__(self, catalog: Catalog, peers: Peers, *, own: str) -> None:
        self._catalog = catalog
        self._peers = peers
        self._own = own
        self._listeners: dict[Listener, None] = {}  # The oldest first.

    def open(self, publisher: str | None) -> Listener:
        """Add a listener. Of one publisher's too many the oldest goes: its other end may be dead.

        Raises:
            ConflictError: There are too many.
        """
        same = [item for item in self._listeners if item.publisher == publisher]
        if publisher is not None and len(same) >= LISTENERS_OF_PUBLISHER_MAX:
            same[0].send(None)
            self.close(same[0])
        is_crowded = publisher is None and len(same) >= LISTENERS_MAX // 2
        if is_crowded or len(self._listeners) >= LISTENERS_MAX:
            raise ConflictError("too many event streams are open here; try again later")
        listener = Listener(publisher)
        self._listeners[listener] = None
        return listener

    def close(self, listener: Listener) -> None:
        """Forget a listener whose stream has ended."""
        self._listeners.pop(listener, None)

    def close_all(self) -> None:
        """End all streams."""
        for listener in list(self._listeners):
            listener.send(None)

    @property
    def listener_count(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    def hears(self, publisher: str) -> bool:
        """Say whether this publisher's node listens to us."""
        return any(item.publisher == publisher for item in self._listeners)

    async def run(self) -> None:
        """Pass on every change of the catalog, until cancelled."""
        async for change in self._catalog.subscribe():
            if self._listeners and change.scope != "private":
                await self._tell(change)

    def tell_peer(self, report: PeerReport) -> None:
        """Pass on that a peer has become reachable or has ceased to be."""
        frame = PeerEvent(report=report).encode()
        for listener in self._listeners:
            listener.send(frame)

    def tell_holdings(self) -> None:
        """Pass on that this node holds other blobs than before."""
        frame = HoldingsEvent().encode()
        for listener in self._listeners:
            listener.send(frame)

    async def _tell(self, change: Change) -> None:
        is_for_members = change.scope == "members"
        if is_for_members and change.publisher != self._own:
            return
        publisher = parse_digest(change.publisher)
        head = await self._catalog.head(publisher, change.scope)
        event = RecordsEvent(
            publisher=publisher,
            scope=change.scope,
            records=tuple(parse_digest(record) for record in change.record_ids),
            head=head,
        )
        members = await self._members() if is_for_members else frozenset[str | None]()
        frame = event.encode()
        for listener in self._listeners:
            if listener.publisher in members or not is_for_members:
                listener.send(frame)

    async def _members(self) -> frozenset[str | None]:
        """Who may hear of members records; looked up each time, since approval can end."""
        return frozenset(
            peer.publisher for peer in await self._peers.list("approved") if peer.publisher
        )
