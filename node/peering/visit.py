"""A whole round with one peer, from the handshake to the last offer."""

import asyncio
import logging
import time
from dataclasses import replace

from node.errors import PeerError
from node.peering.client import PeerAddress, PeerClient, RefusedError
from node.peering.context import Context, Memory
from node.peering.gossip import exchange_peers, reconcile_holdings
from node.peering.handshake import Introduction, introduce
from node.peering.round import Exchange, SyncReport
from protocol.envelope import Envelope

__all__ = ["Visit"]

VISIT_TIMEOUT_S = 3_600.0
ANSWER_TIMEOUT_S = 3.0
RECALL_TIMEOUT_S = 60.0
CONCURRENT_COMPARISONS = 4

_logger = logging.getLogger(__name__)


class Visit:
    """One round with the node at an address.

    Args:
        context: This node.
        address: Where the peer answers; its publisher, if set, must be the one who answers.
        memory: Kept by the caller for the next visit.
        report: Filled as things happen.
    """

    def __init__(
        self, context: Context, address: PeerAddress, *, memory: Memory, report: SyncReport
    ) -> None:
        self._context = context
        self._address = address
        self._memory = memory
        self._report = report

    async def run(self) -> None:
        """Compare, pull, offer.

        Raises:
            PeerError: The peer cannot be reached, is another, or broke the protocol. What was
                admitted before stays.
        """
        started = time.monotonic()
        client = self._client(self._address)
        clients = [client]
        try:
            async with asyncio.timeout(VISIT_TIMEOUT_S):
                met = await self._meet(client)
                known = self._client(replace(self._address, publisher=met.publisher, name=met.name))
                clients.append(known)
                await self._exchange(known, met)
        except TimeoutError as error:
            raise PeerError(
                f"{self._address.title}: no end after {VISIT_TIMEOUT_S:.0f} s; goes on next time"
            ) from error
        finally:
            self._report.seconds = time.monotonic() - started
            self._report.bytes_received = sum(item.received for item in clients)
            self._report.bytes_sent = sum(item.sent for item in clients)

    async def recall(self) -> None:
        """Take back what the peer has of our own records and heads and this home has not.

        Raises:
            PeerError: As for `run`, or it does not come to an end soon.
        """
        own = self._context.own
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                met = await self._meet(self._client(self._address))
            async with asyncio.timeout(RECALL_TIMEOUT_S):
                known = self._client(replace(self._address, publisher=met.publisher))
                exchange = Exchange(self._context, known, memory=self._memory, report=self._report)
                for scope in ("public", "members"):
                    heads = await self._heads(exchange, scope)
                    if heads is not None:
                        _, need = await exchange.reconcile(own, scope)
                        await exchange.pull(need, first=own)
                        if own in heads:
                            await exchange.admit_head(heads[own])
        except TimeoutError as error:
            raise PeerError(f"{self._address.title} does not answer in time") from error

    async def _heads(self, exchange: Exchange, scope: str) -> dict[str, Envelope] | None:
        """Return the peer's heads of a scope, None if they are not for us."""
        try:
            return await exchange.heads(scope)
        except RefusedError as error:
            _logger.debug("%s heads of %s: %s", scope, self._address.title, error)
            return None

    def _client(self, address: PeerAddress) -> PeerClient:
        return self._context.connections.to(address)

    async def _meet(self, client: PeerClient) -> Introduction:
        """Make sure who answers; a changed publisher is never taken for the approved one."""
        met = await introduce(
            client, now=self._context.clock(), known=self._context.catalog.identities
        )
        if met.publisher == self._context.own:
            raise PeerError(f"{self._address.url} is this node itself; remove it from the peers")
        if self._address.publisher not in (None, met.publisher):
            raise PeerError(
                f"at {self._address.url} now answers publisher {met.publisher}, but "
                f"{self._address.publisher} was approved; compare fingerprints, then add it anew"
            )
        if self._address.publisher is None:
            peer = await self._context.peers.identify(str(self._address.url), met.publisher)
            if peer.state != "approved":
                raise PeerError(f"{met.publisher} at {self._address.url} is not approved here")
        self._report.publisher = met.publisher
        self._report.peer = f"{met.name} ({self._address.url})" if met.name else self._report.peer
        return met

    async def _exchange(self, client: PeerClient, met: Introduction) -> None:
        exchange = Exchange(self._context, client, memory=self._memory, report=self._report)
        missing = await self._context.serving.missing([item.id for item in met.envelopes])
        await exchange.admit([item for item in met.envelopes if item.id in missing])
        await self._exchange_public(exchange)
        await self._exchange_members(exchange, met.publisher)
        await reconcile_holdings(self._context, client)
        await exchange_peers(self._context, client)

    async def _exchange_public(self, exchange: Exchange) -> None:
        heads = await exchange.heads("public")
        views = await self._context.catalog.publishers()
        settled = self._memory.settled
        for key in [key for key in settled if key[0] not in heads]:
            del settled[key]  # Or whoever names others each time would fill it without end.
        known = {view.id for view in views}
        blocked = {view.id for view in views if view.blocked}
        # Ourselves first: a peer that does not know us takes nothing else before.
        names = sorted(
            (known | heads.keys()) - blocked,
            key=lambda name: (name != self._context.own, name),
        )
        for start in range(0, len(names), CONCURRENT_COMPARISONS):
            group = names[start : start + CONCURRENT_COMPARISONS]
            open_names = [name for name in group if not await self._is_settled(name, heads)]
            found = await asyncio.gather(
                *(exchange.reconcile(name, "public") for name in open_names)
            )
            for name, (have, need) in zip(open_names, found, strict=True):
                if name not in known and not need:
                    # A head of nobody: it would wait for an identity that the peer has not got.
                    await self._settle(name, heads, is_equal=True)
                    continue
                await exchange.pull(need, first=name)
                if name in heads:
                    await exchange.admit_head(heads[name])
                await exchange.offer(have, first=name)
                await self._offer_head(exchange, name, heads.get(name))
                await self._settle(name, heads, is_equal=not have and not need)
                await self._note_incomplete(name)

    async def _is_settled(self, publisher: str, heads: dict[str, Envelope]) -> bool:
        if publisher not in heads:
            return False
        items = await self._context.catalog.items(publisher, "public")
        state = (heads[publisher].id, len(items))
        return self._memory.settled.get((publisher, "public")) == state

    async def _settle(self, publisher: str, heads: dict[str, Envelope], *, is_equal: bool) -> None:
        key = (publisher, "public")
        self._memory.settled.pop(key, None)
        if is_equal and publisher in heads:
            items = await self._context.catalog.items(publisher, "public")
            self._memory.settled[key] = (heads[publisher].id, len(items))

    async def _note_incomplete(self, publisher: str) -> None:
        """Say whose records are still not all here, although this peer had its chance."""
        state = await self._context.catalog.completeness(publisher, "public")
        if state.head is not None and not state.complete:
            self._report.note(
                f"publisher {publisher[:8]} says it has {state.head.count} records; "
                f"{state.count} are here"
            )

    async def _offer_head(
        self, exchange: Exchange, publisher: str, theirs: Envelope | None
    ) -> None:
        """Offer our newest head of a publisher if the peer has another one."""
        ours = await self._context.catalog.head(publisher, "public")
        if ours is not None and (theirs is None or theirs.id != ours.id):
            await exchange.offer_head(ours)

    async def _exchange_members(self, exchange: Exchange, peer: str) -> None:
        """Members records go between their publisher and its approved peers, nowhere else."""
        heads = await self._heads(exchange, "members")
        if heads is None:
            return
        _, need = await exchange.reconcile(peer, "members")
        await exchange.pull(need)
        if peer in heads:
            await exchange.admit_head(heads[peer])
        have, _ = await exchange.reconcile(self._context.own, "members")
        await exchange.offer(have)
        ours = await self._context.catalog.head(self._context.own, "members")
        if ours is not None and have:
            await exchange.offer_head(ours)
