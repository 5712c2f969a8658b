"""The standing connection to one peer: a round, then its events, and again after every failure."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from node.errors import NodeError, PeerError
from node.peering.client import PeerAddress, PeerClient, RefusedError
from node.peering.context import Context, Memory
from node.peering.gossip import note_report, reconcile_holdings
from node.peering.hub import Hub
from node.peering.round import Exchange, SyncReport
from node.peering.safe_session import CHUNK_SIZE, UnreachableError
from node.peering.visit import Visit
from protocol.errors import RemoteProtocolError
from protocol.events import Event, EventStream, HoldingsEvent, PeerEvent, RecordsEvent
from protocol.messages import PeerReport

__all__ = ["PeerLink"]

SILENCE_MAX_S = 30.0
ROUND_EVERY_S = 300.0
RETRY_FIRST_S = 0.25
RETRY_MAX_S = 5.0
REFUSED_PAUSE_S = 30.0  # Until a peer with too many listeners is asked again.
BACKLOG_MAX = 256
SETTLED_AFTER_S = 5.0  # A connection that held so long was a good one.

_logger = logging.getLogger(__name__)


class PeerLink:
    """Keep up with one publisher's node until cancelled.

    Args:
        context: This node.
        addresses: Where it answers; the next one is tried when one fails.
        hub: Whom to tell when it comes or goes.
        on_contact: Told after each good round.
    """

    def __init__(
        self,
        context: Context,
        addresses: Sequence[PeerAddress],
        *,
        hub: Hub,
        on_contact: Callable[[], None] = lambda: None,
    ) -> None:
        assert addresses
        self.addresses = tuple(addresses)
        self._context = context
        self._hub = hub
        self._on_contact = on_contact
        self._memory = Memory()
        self._turn = asyncio.Lock()
        self._hurry = asyncio.Event()
        self._events: asyncio.Queue[Event] = asyncio.Queue(BACKLOG_MAX)
        self._listening = asyncio.Event()
        self._has_missed_events = False
        self._has_met = False
        self._last_breach = ""

    def hurry(self) -> None:
        """Try again at once: the peer has just been heard of."""
        self._hurry.set()

    async def sync(self) -> SyncReport:
        """Do one whole round; what went wrong is in the report and on the peer's row."""
        report = SyncReport(peer=self.addresses[0].title, publisher=self.addresses[0].publisher)
        for address in self.addresses:
            report = SyncReport(peer=address.title, publisher=address.publisher)
            try:
                await self._round(address, report)
            except NodeError as error:
                report.error = str(error)
                await self._note_failure(error, address)
                continue
            break
        return report

    async def _round(self, address: PeerAddress, report: SyncReport | None = None) -> SyncReport:
        report = report or SyncReport(peer=address.title, publisher=address.publisher)
        async with self._turn:
            await Visit(self._context, address, memory=self._memory, report=report).run()
        self._has_met = address.publisher is not None
        await self._context.peers.note_success(str(address.url))
        await self._note_reachable(report.publisher, address, is_reachable=True)
        self._on_contact()
        return report

    async def run(self) -> None:
        """Stay in touch."""
        failures = 0
        while True:
            address = self.addresses[failures % len(self.addresses)]
            started = time.monotonic()
            try:
                if not self._has_met:
                    # The first round tells the peer who we are; only then can it know its listener.
                    report = await self._round(address)
                    address = replace(address, publisher=report.publisher)
                await self._follow(address)
            except NodeError as error:
                await self._note_failure(error, address)
            if time.monotonic() - started > SETTLED_AFTER_S:
                failures = 0
            await self._pause(failures)
            failures += 1

    async def _pause(self, failures: int) -> None:
        """Wait longer after each failure, never in step with others."""
        self._hurry.clear()
        pause_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2**failures)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s * random.uniform(0.5, 1.0)):  # noqa: S311
                await self._hurry.wait()

    async def _follow(self, address: PeerAddress) -> None:
        """Follow the peer's events and offer it ours, until the stream breaks.

        Raises:
            PeerError: It broke, or the peer did something wrong.
        """
        client = self._context.connections.to(address)
        self._listening.clear()
        tasks = [
            asyncio.create_task(self._listen(client)),
            asyncio.create_task(self._apply_events(client)),
            asyncio.create_task(self._offer_changes(client)),
            asyncio.create_task(self._repeat_rounds(address)),
        ]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
            raise UnreachableError(f"{address.title} ended its event stream")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, client: PeerClient) -> None:
        """Queue what the peer tells; a full queue means that a round must catch up."""
        while True:
            try:
                async for event in _events(client, self._listening):
                    if self._events.full():
                        self._has_missed_events = True
                        continue
                    self._events.put_nowait(event)
            except RefusedError as error:
                # It has too many listeners. Rounds alone keep us in step for now, only later.
                _logger.info("%s", error)
                self._listening.set()
                await asyncio.sleep(REFUSED_PAUSE_S)
                self._has_missed_events = True
                continue
            return

    async def _apply_events(self, client: PeerClient) -> None:
        # The stream is open before the round begins, so nothing falls between them.
        await self._listening.wait()
        await self._round(client.address)
        while True:
            event = await self._events.get()
            if isinstance(event, PeerEvent):
                await note_report(self._context, event.report, via=str(client.address.publisher))
            elif isinstance(event, HoldingsEvent):
                await reconcile_holdings(self._context, client)
            else:
                await self._take(client, event)
            if self._has_missed_events:
                self._has_missed_events = False
                await self._round(client.address)

    async def _take(self, client: PeerClient, event: RecordsEvent) -> None:
        """Fetch at once what an event names, and compare if something is still missing."""
        report = SyncReport(peer=client.address.title, publisher=client.address.publisher)
        exchange = self._exchange(client, report)
        catalog = self._context.catalog
        if event.scope == "members" and event.publisher != client.address.publisher:
            raise PeerError(f"{client.address.title} tells of members records of another")
        if await self._context.serving.is_blocked(event.publisher):
            return
        missing = await self._context.serving.missing(event.records)
        if missing:
            await exchange.pull([bytes.fromhex(record) for record in missing])
        if event.head is not None:
            await exchange.admit_head(event.head)
        state = await catalog.completeness(event.publisher, event.scope)
        if event.more or (state.head is not None and not state.complete):
            _, need = await exchange.reconcile(event.publisher, event.scope)
            await exchange.pull(need, first=event.publisher)

    async def _offer_changes(self, client: PeerClient) -> None:
        """Offer what is new here to a peer that does not listen to us: it may be unable to."""
        report = SyncReport(peer=client.address.title, publisher=client.address.publisher)
        exchange = self._exchange(client, report)
        publisher = str(client.address.publisher)
        async for change in self._context.catalog.subscribe():
            is_ours = change.publisher == self._context.own
            is_offered = change.scope == "public" or (change.scope == "members" and is_ours)
            if not is_offered or not exchange.may_offer or self._hub.hears(publisher):
                continue
            ids = [item for item in change.record_ids if item not in self._memory.recent]
            await exchange.offer(bytes.fromhex(item) for item in ids)
            head = await self._context.catalog.head(change.publisher, change.scope)
            if head is not None and head.id not in self._memory.recent:
                await exchange.offer_head(head)

    async def _repeat_rounds(self, address: PeerAddress) -> None:
        """Compare everything now and then, whatever the events said."""
        while True:
            await asyncio.sleep(ROUND_EVERY_S * random.uniform(0.75, 1.25))  # noqa: S311
            await self._round(address)

    def _exchange(self, client: PeerClient, report: SyncReport) -> Exchange:
        return Exchange(self._context, client, memory=self._memory, report=report)

    async def _note_failure(self, error: NodeError, address: PeerAddress) -> None:
        """Note in words what went wrong, and whether the peer is gone or only misbehaves."""
        _logger.info("peer %s: %s", address.title, error)
        await self._context.peers.note_error(str(address.url), str(error))
        if isinstance(error, UnreachableError):
            await self._note_reachable(address.publisher, address, is_reachable=False)
        breach = error.__cause__
        is_new = isinstance(breach, RemoteProtocolError) and str(error) != self._last_breach
        if is_new and address.publisher is not None:
            # The row's last error is gone with the next success; a breach stays on the page.
            self._last_breach = str(error)
            await self._context.serving.note_refusal(address.publisher, breach, what="answer")

    async def _note_reachable(
        self, publisher: str | None, address: PeerAddress, *, is_reachable: bool
    ) -> None:
        """Note whether it answers, and tell our listeners if that is news."""
        if publisher is None:
            return
        now = self._context.clock()
        is_news = await self._context.peers.note_reachability(
            publisher, via=None, reachable=is_reachable, since=now
        )
        if is_news:
            _logger.info("peer %s is %s", address.title, "here" if is_reachable else "gone")
            self._hub.tell_peer(
                PeerReport(
                    publisher=publisher,  # type: ignore[arg-type]  # Was proved before.
                    name=address.name,
                    urls=(str(address.url),),
                    reachable=is_reachable,
                    since=now,
                )
            )


async def _events(client: PeerClient, opened: asyncio.Event) -> AsyncIterator[Event]:
    """Yield what the peer tells, until it ends the stream or is silent for too long."""
    stream = EventStream()
    title = client.address.title
    async with client.stream("GET", "sync/v1/events", timeout_s=None) as response:
        opened.set()
        while True:
            try:
                async with asyncio.timeout(SILENCE_MAX_S):
                    data = await response.content.read(CHUNK_SIZE)
            except TimeoutError as error:
                raise UnreachableError(f"{title} was silent for {SILENCE_MAX_S:.0f} s") from error
            if not data:
                return
            try:
                events = stream.feed(data)
            except RemoteProtocolError as error:
                raise PeerError(f"{title}, events: {error}") from error
            for event in events:
                yield event
