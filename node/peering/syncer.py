"""Which peers this node keeps in touch with: one link for each approved publisher."""

import asyncio
import logging
from collections.abc import Callable

from node.catalog.peers import Peer
from node.errors import ConflictError, NodeError
from node.peering.client import PeerAddress
from node.peering.context import Context, Memory
from node.peering.handshake import introduce
from node.peering.hub import Hub
from node.peering.link import PeerLink
from node.peering.round import SyncReport
from node.peering.sources import address_of
from node.peering.visit import Visit

__all__ = ["Syncer"]

ROWS_POLL_S = 0.25
LINKS_MAX = 200
CONCURRENT_ROUNDS = 4
INTRODUCTIONS_MAX = 5  # Suggestions that are asked who they are, at each look.

_logger = logging.getLogger(__name__)


class Syncer:
    """Sync with approved peers, once or all the time.

    Args:
        context: This node.
        hub: Told when a peer comes or goes.
        on_contact: Told after each good round.
    """

    def __init__(self, context: Context, hub: Hub, *, on_contact: Callable[[], None]) -> None:
        self._context = context
        self._hub = hub
        self._on_contact = on_contact
        self._links: dict[str, tuple[PeerLink, asyncio.Task[None]]] = {}
        self._asked: set[str] = set()

    async def sync_peer(self, peer: Peer) -> SyncReport:
        """Do one round with a peer now. What went wrong is in the report.

        Raises:
            ConflictError: The peer has no address, or nobody has approved it.
        """
        address = address_of(peer)
        if address is None:
            raise ConflictError(f"peer {peer.publisher} only dials in; it syncs when it calls")
        if peer.state != "approved":
            raise ConflictError(f"peer {peer.url} is {peer.state}; approve it first")
        key = peer.publisher or str(address.url)
        link = self._links[key][0] if key in self._links else self._link([address])
        return await link.sync()

    async def sync_all(self) -> list[SyncReport]:
        """Do one round with every approved peer that has an address."""
        peers = [peer for peer in await self._context.peers.list("approved") if peer.url]
        turn = asyncio.Semaphore(CONCURRENT_ROUNDS)

        async def one(peer: Peer) -> SyncReport:
            async with turn:
                return await self.sync_peer(peer)

        return await asyncio.gather(*(one(peer) for peer in peers))

    async def recall(self) -> bool:
        """Take back from peers what this publisher signed and this home has lost.

        A home that was restored from a backup must not go on from there: its next record would
        contradict one that others have.

        Returns:
            Whether somebody answered, or nobody is there to be asked.
        """
        peers = await self._context.peers.list("approved")
        addresses = [address for peer in peers if (address := address_of(peer))]

        async def ask(address: PeerAddress) -> bool:
            report = SyncReport(peer=address.title)
            try:
                await Visit(self._context, address, memory=Memory(), report=report).recall()
            except NodeError as error:
                _logger.info("peer %s: %s", address.title, error)
                return False
            return True

        answers = await asyncio.gather(*(ask(address) for address in addresses[:LINKS_MAX]))
        return any(answers) or not addresses

    async def run(self) -> None:
        """Keep a link to every approved peer, following the rows, until cancelled."""
        try:
            while True:
                try:
                    await self._follow_rows()
                    await self._meet_suggestions()
                except NodeError as error:
                    _logger.warning("peers: %s", error)
                await asyncio.sleep(ROWS_POLL_S)
        finally:
            tasks = [task for _, task in self._links.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._links.clear()

    def hurry(self, publisher: str) -> None:
        """Try a peer again at once, since it has just been heard of."""
        if publisher in self._links:
            self._links[publisher][0].hurry()

    def _link(self, addresses: list[PeerAddress]) -> PeerLink:
        return PeerLink(self._context, addresses, hub=self._hub, on_contact=self._on_contact)

    async def _follow_rows(self) -> None:
        """Start links to new peers, and end those to peers that are gone or have moved."""
        wanted: dict[str, list[PeerAddress]] = {}
        for peer in await self._context.peers.list("approved"):
            address = address_of(peer)
            if address is not None:
                wanted.setdefault(peer.publisher or str(address.url), []).append(address)
        for key, (link, task) in list(self._links.items()):
            is_same = [item.url for item in link.addresses] == [
                item.url for item in wanted.get(key, [])
            ]
            if not is_same or task.done():
                task.cancel()
                (end,) = await asyncio.gather(task, return_exceptions=True)
                if isinstance(end, Exception):  # A bug; the link begins anew all the same.
                    _logger.error("the link to %s broke", key, exc_info=end)
                del self._links[key]
        for key, addresses in list(wanted.items())[:LINKS_MAX]:
            if key not in self._links:
                link = self._link(addresses)
                self._links[key] = (link, asyncio.create_task(link.run(), name=f"peer {key}"))

    async def _meet_suggestions(self) -> None:
        """Ask suggested nodes once who they are, so that people see a name to decide on."""
        fresh = [
            peer
            for peer in await self._context.peers.list("suggested")
            if peer.publisher is None and peer.url not in self._asked
        ]
        for peer in fresh[:INTRODUCTIONS_MAX]:
            address = address_of(peer)
            self._asked.add(str(peer.url))
            if address is not None:
                await self._meet(address)
        if self._context.config.trust == "open":
            for peer in await self._context.peers.list("suggested"):
                if peer.publisher is not None:
                    await self._context.peers.approve(peer.publisher)

    async def _meet(self, address: PeerAddress) -> None:
        url = str(address.url)
        try:
            met = await introduce(
                self._context.connections.to(address),
                now=self._context.clock(),
                known=self._context.catalog.identities,
            )
        except NodeError as error:
            await self._context.peers.note_error(url, str(error))
            return
        if met.publisher == self._context.own:
            await self._context.peers.remove(url)
            return
        await self._context.peers.identify(url, met.publisher)
