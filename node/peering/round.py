"""One round with one peer: compare, pull what we lack, offer what it lacks."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from node.errors import PeerError
from node.peering.client import PeerClient, RefusedError
from node.peering.context import Context, Memory
from node.peering.safe_session import CHUNK_SIZE
from protocol.envelope import Envelope
from protocol.errors import RemoteProtocolError
from protocol.limits import (
    HEADS_MAX,
    MESSAGE_SIZE_MAX,
    OFFER_MAX,
    RECORD_IDS_MAX,
)
from protocol.messages import (
    EnvelopeStream,
    decode_answers,
    decode_envelopes,
    encode_envelopes,
    encode_ids,
)
from protocol.reconcile import Initiator, ItemSet
from protocol.records import Head, parse_record
from protocol.verdict import Reason

__all__ = ["Exchange", "SyncReport", "reconcile"]

FRAME_SIZE_MAX = 500_000
ROUND_TRIPS_MAX = 1_000
IDLE_TRIPS_MAX = 24  # Messages that find nothing; narrowing a million items down takes five.
FOUND_MAX = 300_000  # Differences of one conversation; what is beyond is found in the next.
ADMIT_COUNT_MAX = 500
ADMIT_SIZE_MAX = 8 << 20
ADMISSIONS_MAX = 1  # that run on while the next batch comes
OFFER_SIZE_MAX = 8 << 20
RECORDS_TIMEOUT_S = 300.0
ROUNDS_PASSES_MAX = 8

_logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class SyncReport:
    """What one round did. `notes` are sentences for people; `error` is empty if it went well."""

    peer: str
    publisher: str | None = None
    pulled: int = 0
    pushed: int = 0
    held: int = 0
    rejected: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    error: str = ""

    def note(self, sentence: str) -> None:
        """Add a sentence once."""
        if sentence not in self.notes:
            self.notes.append(sentence)


class Exchange:
    """Records between this node and one peer.

    Args:
        context: This node.
        client: The peer, whose publisher is proved.
        memory: Notes which records came from the peer.
        report: Filled as things happen.
    """

    def __init__(
        self,
        context: Context,
        client: PeerClient,
        *,
        memory: Memory,
        report: SyncReport,
    ) -> None:
        assert client.address.publisher is not None
        self._catalog = context.catalog
        self._client = client
        self._source: str = client.address.publisher
        self._report = report
        self._memory = memory
        self.may_offer = True

    async def heads(self, scope: str) -> dict[str, Envelope]:
        """Return the newest head of each publisher as the peer knows it. Nothing is verified."""
        body = await self._client.get(
            "sync/v1/heads", query={"scope": scope}, size_max=MESSAGE_SIZE_MAX
        )
        try:
            envelopes = decode_envelopes(body, count_max=HEADS_MAX)
        except RemoteProtocolError as error:
            raise PeerError(f"{self._client.address.title}, heads: {error}") from error
        heads: dict[str, Envelope] = {}
        for envelope in envelopes:
            head = _head(envelope)
            if head is None:
                await self.admit([envelope])  # Refused there, with its reason on the peer's page.
            elif head.scope == scope:
                heads[head.publisher] = envelope
        return heads

    async def reconcile(self, publisher: str, scope: str) -> tuple[set[bytes], set[bytes]]:
        """Return the record ids that only we hold, and those that only the peer holds."""
        items = await self._catalog.items(publisher, scope)
        query = {"publisher": publisher, "scope": scope}
        return await reconcile(self._client, "sync/v1/reconcile", items=items, query=query)

    async def pull(self, ids: Iterable[bytes], *, first: str | None = None) -> None:
        """Fetch records and admit them; those that wait for others are fetched again afterwards.

        Args:
            ids: What we lack.
            first: The publisher, whose first identity record goes before all others.
        """
        names = (item.hex() for item in ids)
        wanted = sorted(name for name in names if not self._memory.is_refused(name))
        if first in wanted:
            wanted.remove(first)
            await self._pull_once([first])
        for _ in range(ROUNDS_PASSES_MAX):
            waiting = await self._pull_once(wanted)
            if not waiting or len(waiting) == len(wanted):
                return
            wanted = waiting

    async def offer(self, ids: Iterable[bytes], *, first: str | None = None) -> None:
        """Offer records to the peer, unless it has said that it takes none of ours.

        Args:
            ids: What the peer lacks.
            first: The publisher. If the peer does not know it, its identity records go before all
                others; by those of its own a stranger proves who it is.
        """
        names = sorted(item.hex() for item in ids)
        if first in names:
            identities = await self._catalog.identities(first)
            await self.offer_envelopes(identities)
            names = sorted(set(names) - {envelope.id for envelope in identities})
        for start in range(0, len(names), OFFER_MAX):
            envelopes = await self._catalog.envelopes(names[start : start + OFFER_MAX])
            await self.offer_envelopes(envelopes)

    async def offer_head(self, envelope: Envelope) -> None:
        """Offer a head, which is no record that anybody counts."""
        pushed = self._report.pushed
        await self.offer_envelopes([envelope])
        self._report.pushed = pushed

    async def offer_envelopes(self, envelopes: Sequence[Envelope]) -> None:
        """Offer envelopes of any kind."""
        for batch in _batches(envelopes):
            if not self.may_offer:
                return
            try:
                body = await self._client.send(
                    "PUT",
                    "sync/v1/records",
                    body=encode_envelopes(batch),
                    size_max=MESSAGE_SIZE_MAX,
                )
                answers = decode_answers(body)
            except RefusedError as error:
                if error.status not in {401, 403}:
                    raise
                self.may_offer = False
                self._report.note(f"it takes no records from this node: {error}")
                return
            except RemoteProtocolError as error:
                raise PeerError(f"{self._client.address.title}, offer: {error}") from error
            self._report.pushed += sum(answer.action == "accept" for answer in answers)
            for answer in answers:
                if answer.action == "reject":
                    self._report.note(f"it refused record {answer.id[:8]}: {answer.detail}")

    async def admit_head(self, envelope: Envelope) -> None:
        """Hand a head to the catalog if it is newer than ours, or contradicts it."""
        theirs = _head(envelope)
        if theirs is not None:
            known = await self._catalog.head(theirs.publisher, theirs.scope)
            ours = None if known is None else _head(known)
            # A peer that is behind is no liar; only what it *offers* is judged as a replay.
            if ours is not None and theirs.sequence < ours.sequence:
                return
        await self.admit([envelope], is_counted=False)

    async def admit(self, envelopes: Sequence[Envelope], *, is_counted: bool = True) -> list[str]:
        """Hand envelopes to the catalog; return the ids of those that wait for others."""
        if not envelopes:
            return []
        outcomes = await self._catalog.admit(envelopes, source=self._source)
        self._memory.note_pulled(outcome.id for outcome in outcomes)
        for outcome in outcomes:
            if outcome.action == "accept":
                self._report.pulled += is_counted
            elif outcome.action == "reject":
                self._report.rejected += 1
                if outcome.reason != Reason.BLOCKED.value:  # An administrator may think again.
                    self._memory.note_refused(outcome.id)
                _logger.warning("%s: record %s: %s", self._source, outcome.id, outcome.detail)
        return [outcome.id for outcome in outcomes if outcome.action == "hold"]

    async def _pull_once(self, wanted: Sequence[str]) -> list[str]:
        """Return the ids of records that still wait for others."""
        waiting: list[str] = []
        admissions: deque[asyncio.Task[list[str]]] = deque()
        try:
            for start in range(0, len(wanted), RECORD_IDS_MAX):
                ids = wanted[start : start + RECORD_IDS_MAX]
                async with aclosing(self._fetch(ids)) as batches:
                    async for batch in batches:
                        # One batch is on its way, one is verified, and one is stored.
                        admissions.append(asyncio.create_task(self.admit(batch)))
                        if len(admissions) > ADMISSIONS_MAX:
                            waiting += await admissions.popleft()
        finally:
            for admission in admissions:
                waiting += await admission
        self._report.held = len(waiting)
        return waiting

    async def _fetch(self, ids: Sequence[str]) -> AsyncGenerator[list[Envelope], None]:
        """Yield the records with these ids in batches; others that the peer sends are refused."""
        stream, batch, size, asked = EnvelopeStream(), list[Envelope](), 0, set(ids)
        title = self._client.address.title
        try:
            async with self._client.stream(
                "POST", "sync/v1/records", body=encode_ids(ids), timeout_s=RECORDS_TIMEOUT_S
            ) as response:
                async for data in response.content.iter_chunked(CHUNK_SIZE):
                    self._client.received += len(data)
                    for envelope in stream.feed(data):
                        _check_asked(envelope, asked)
                        asked.remove(envelope.id)
                        batch.append(envelope)
                        size += len(envelope.payload)
                    if len(batch) >= ADMIT_COUNT_MAX or size >= ADMIT_SIZE_MAX:
                        yield batch
                        batch, size = [], 0
                stream.close()
        except RemoteProtocolError as error:
            raise PeerError(f"{title}, records: {error}") from error
        if asked:
            self._report.note(f"it did not send {len(asked)} records that it says it has")
        yield batch


async def reconcile(
    client: PeerClient, path: str, *, items: ItemSet, query: dict[str, str]
) -> tuple[set[bytes], set[bytes]]:
    """Compare a set with the peer's over HTTP; return what only we have and what only it has."""

    async def ask(message: bytes) -> bytes:
        size_max = 2 * FRAME_SIZE_MAX
        return await client.send("POST", path, query=query, body=message, size_max=size_max)

    try:
        return await _converse(items, ask)
    except RemoteProtocolError as error:
        raise PeerError(f"{client.address.title}, reconcile: {error}") from error


async def _converse(
    items: ItemSet, ask: Callable[[bytes], Awaitable[bytes]]
) -> tuple[set[bytes], set[bytes]]:
    initiator = await asyncio.to_thread(Initiator, items, frame_limit=FRAME_SIZE_MAX)
    message: bytes | None = await asyncio.to_thread(initiator.initiate)
    found, idle_trips = 0, 0
    for _ in range(ROUND_TRIPS_MAX):
        if message is None:
            return initiator.have, initiator.need
        if idle_trips > IDLE_TRIPS_MAX:
            break
        message = await asyncio.to_thread(initiator.reconcile, await ask(message))
        count = len(initiator.have) + len(initiator.need)
        if count > FOUND_MAX:
            return initiator.have, initiator.need
        idle_trips = idle_trips + 1 if count == found else 0
        found = count
    raise RemoteProtocolError("its answers lead to no end")


def _check_asked(envelope: Envelope, asked: set[str]) -> None:
    if envelope.id not in asked:
        raise RemoteProtocolError(f"record {envelope.id} was not asked for")


def _head(envelope: Envelope) -> Head | None:
    try:
        record = parse_record(envelope.payload)
    except RemoteProtocolError:
        return None
    return record if isinstance(record, Head) else None


def _batches(envelopes: Sequence[Envelope]) -> Iterable[list[Envelope]]:
    batch: list[Envelope] = []
    size = 0
    for envelope in envelopes:
        if batch and (len(batch) >= OFFER_MAX or size + len(envelope.payload) > OFFER_SIZE_MAX):
            yield batch
            batch, size = [], 0
        batch.append(envelope)
        size += len(envelope.payload)
    if batch:
        yield batch
