"""Everything a node does towards others, started and stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_network
from typing import TYPE_CHECKING

from node.catalog.serving import Serving
from node.peering.addresses import AddressPolicy, Trust, parse_peer_url
from node.peering.client import Connections, PeerAddress
from node.peering.context import Context
from node.peering.discovery import Discovery
from node.peering.fetch import Fetcher
from node.peering.handshake import Introduction, introduce
from node.peering.holdings import Holdings
from node.peering.hub import Hub
from node.peering.mirror import MirrorRunner
from node.peering.relay import Relay
from node.peering.safe_session import SafeSession
from node.peering.signing import RequestSigner, RequestVerifier
from node.peering.sources import Sources
from node.peering.syncer import Syncer
from node.peering.thumbnails import ThumbnailRunner

if TYPE_CHECKING:
    from node.app import Node

__all__ = ["Peering"]

PARTIAL_FOLDER = "partial"
STOP_TIMEOUT_S = 3.0
RESTART_S = 1.0

Work = Callable[[], Awaitable[None]]

_logger = logging.getLogger(__name__)


class Peering:
    """A node's side of the federation.

    Nothing runs until `start`; single rounds and fetches work without it, so that commands can
    use them on a home whose node is not running.

    Attributes:
        syncer: Rounds with peers.
        fetcher: Verified bytes from any holder.
        mirrors: Standing queries.
        discovery: Neighbours by mDNS.
        hub: Who listens to us.
        holdings: What we tell others that we hold.
        serving: What others ask about.
        verifier: Who signed an incoming request.
    """

    def __init__(self, node: Node) -> None:
        config, own = node.config, node.keyring.publisher
        policy = AddressPolicy(
            exchange_networks=tuple(ip_network(text) for text in config.exchange_networks)
        )
        signer = RequestSigner(own, node.keyring.signer, clock=node.clock)
        self.serving = Serving(node.db, clock=node.clock)
        self.context = Context(
            config=config,
            own=own,
            catalog=node.catalog,
            peers=node.peers,
            serving=self.serving,
            blobs=node.blobs,
            connections=Connections(SafeSession(policy, proxy=config.proxy), signer),
            clock=node.clock,
        )
        self.verifier = RequestVerifier(own, self.serving.online_keys, clock=node.clock)
        self.hub = Hub(node.catalog, node.peers, own=own)
        self.holdings = Holdings(node.blobs, self.serving, catalog=node.catalog)
        self.fetcher = Fetcher(
            node.blobs,
            config.home / PARTIAL_FOLDER,
            sources=Sources(node.catalog, node.peers, own=own),
            connections=self.context.connections,
        )
        self.relay = Relay(self.fetcher)
        self.fetcher.note_breach = partial(self.serving.note_refusal, what="blob")
        self.mirrors = MirrorRunner(
            node.catalog, node.mirrors, blobs=node.blobs, fetcher=self.fetcher
        )
        self.thumbnails = ThumbnailRunner(self.context, self.fetcher)
        self.syncer = Syncer(self.context, self.hub, on_contact=self.mirrors.wake)
        self.discovery = Discovery(self.context)
        self._tasks: list[asyncio.Task[None]] = []

    async def introduce(self, url: str) -> Introduction:
        """Ask the node at a URL, given by the operator, to prove who it is.

        Raises:
            PeerError: It does not.
        """
        address = PeerAddress(url=parse_peer_url(url), trust=Trust.OPERATOR)
        return await introduce(
            self.context.connections.to(address),
            now=self.context.clock(),
            known=self.context.catalog.identities,
        )

    async def start(self, *, port: int | None = None) -> None:
        """Begin to sync, listen, mirror and, with a port to announce, be discovered."""
        self._begin("hub", self.hub.run)
        self._begin("holdings", partial(self.holdings.run, self.hub.tell_holdings))
        self._begin("thumbnails", self.thumbnails.run)
        self._begin("syncer", self.syncer.run)
        self._begin("mirrors", self.mirrors.run)
        if port is not None:
            # Probing the network for our own name takes a second; nobody waits for it.
            self._begin("discovery", partial(self.discovery.start, port=port))

    async def stop(self) -> None:
        """End everything within three seconds; what was under way is taken up again next time."""
        self.hub.close_all()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_TIMEOUT_S / 2)
            for task in late:
                _logger.warning("%s did not stop in time", task.get_name())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S / 2):
                await self.discovery.stop()
                await self.relay.close()
                await self.context.connections.close()

    def _begin(self, name: str, work: Work) -> None:
        self._tasks.append(asyncio.create_task(_keep_up(name, work), name=name))


async def _keep_up(name: str, work: Work) -> None:
    """Do background work to its end. What fails by a bug or a full system is begun anew."""
    while True:
        try:
            return await work()
        except Exception:
            _logger.exception("%s has stopped; it begins anew in %.0f s", name, RESTART_S)
        await asyncio.sleep(RESTART_S)
