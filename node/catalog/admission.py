"""A batch of offered envelopes: what becomes of each, in one transaction.

The rules are protocol.admission's; here are the order, the rows and the consequences. Records go
in by revision and heads last, so that a batch in any order needs no waiting. What waited for an
accepted record is weighed again right after it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import sqlite_utils

from node.catalog.changes import note_change
from node.catalog.garbage import collection_paused
from node.catalog.publishers import Lineages, add_publisher, put_node_info
from node.catalog.records import (
    add_record,
    chain_name,
    known_chains,
    put_head,
    read_chain,
    read_known_head,
)
from node.catalog.recount import recount
from node.catalog.view import CurrentView
from node.catalog.views import Outcome
from node.catalog.waiting import forget_doubt, hold, note_rejections, take_held, trim_held
from protocol.admission import admit, admit_head, examine
from protocol.envelope import Envelope
from protocol.identity import DigestHex
from protocol.records import Dataset, Head, Identity, NodeInfo, Withdrawal
from protocol.verdict import Action, Candidate, Policy, PublisherState, Reason, Verdict

__all__ = ["Batch", "Offer", "examine_offers"]


@dataclass(frozen=True, slots=True)
class Offer:
    """An envelope and what `examine` found; None if it is held already, signatures and all."""

    id: DigestHex
    found: Candidate | Verdict | None


@collection_paused()
def examine_offers(
    envelopes: Sequence[tuple[DigestHex, Envelope]], known: dict[str, dict[bytes, bytes]]
) -> list[Offer]:
    """Verify and parse envelopes; slow, and needs no database.

    Args:
        envelopes: As they came, each with its id.
        known: The signatures of those that are held already and current.
    """
    offers = []
    for record_id, envelope in envelopes:
        is_known = known.get(record_id) == dict(envelope.signatures)
        offers.append(Offer(record_id, None if is_known else examine(envelope)))
    return offers


_COUNT_IN = "update publishers set records = records + ?, bytes = bytes + ? where seq = ?"


@dataclass(slots=True)
class _Touched:
    """The rows that a batch added to one publisher and scope, and whether its head changed."""

    first: int = 0
    last: int = -1
    heads: bool = False


class Batch:
    """Weighs offers and stores what is accepted, inside one transaction.

    Args:
        db: In a transaction of the writer thread.
        lineages: The writer's.
        policy: This node's limits.
        origin: Who sent the batch, and the seconds since 1970.
    """

    def __init__(
        self,
        db: sqlite_utils.Database,
        lineages: Lineages,
        *,
        policy: Policy,
        origin: tuple[str, int],
    ) -> None:
        self._db = db
        self._lineages = lineages
        self._policy = policy
        self._source, self._now = origin
        self._view = CurrentView(db)
        self._states: dict[str, tuple[int, PublisherState]] = {}
        self._counted: dict[int, list[int]] = {}
        self._touched: dict[tuple[int, str], _Touched] = {}
        self._rejected: dict[str, list[Verdict]] = {}
        self._held_of: set[str] = set()
        self._unknown_chains: set[str] = set()
        self._some_wait = bool(db.conn.execute("select exists (select 1 from held)").fetchone()[0])

    @collection_paused()
    def admit(self, offers: Sequence[Offer]) -> list[Outcome]:
        """Weigh the offers. Return an outcome for each, in their order."""
        outcomes: dict[int, Outcome] = {}
        self._unknown_chains = _unknown_chains(self._db, offers)
        for place in sorted(range(len(offers)), key=lambda place: _rank(offers[place])):
            outcomes[place] = self._admit(offers[place])
        self._close()
        return [outcomes[place] for place in range(len(offers))]

    def _admit(self, offer: Offer) -> Outcome:
        if offer.found is None:
            detail = "this record is held already"
            action, reason = Action.DUPLICATE.value, Reason.KNOWN.value
            return Outcome(id=offer.id, action=action, reason=reason, detail=detail)
        if isinstance(offer.found, Candidate):
            verdict = self._weigh_all(offer.found)
        else:
            verdict = offer.found
        self._note(verdict, source=self._source)
        return Outcome(
            id=offer.id,
            action=verdict.action.value,
            reason=verdict.reason.value,
            detail=verdict.detail,
        )

    def _weigh_all(self, candidate: Candidate) -> Verdict:
        """Weigh a candidate, then what waited for it, then what waited for that ..."""
        verdict, accepted = self._weigh(candidate, source=self._source)
        released = deque(accepted)
        while released and self._some_wait:
            for envelope, source in take_held(self._db, released.popleft()):
                waited = examine(envelope)
                if isinstance(waited, Candidate):
                    weighed, more = self._weigh(waited, source=source)
                    forget_doubt(self._db, weighed.id, source=source)
                    self._note(weighed, source=source)
                    released.extend(more)
        return verdict

    def _note(self, verdict: Verdict, *, source: str) -> None:
        """Remember what was refused. An unknown key may turn out to be good; people see it now."""
        if verdict.action is Action.REJECT or verdict.reason is Reason.UNKNOWN_KEY:
            self._rejected.setdefault(source, []).append(verdict)

    def _weigh(self, candidate: Candidate, *, source: str) -> tuple[Verdict, list[str]]:
        """Return the verdict and, if it let something in, the ids that others may wait for."""
        known = self._state(candidate.publisher)
        seq, state = (None, None) if known is None else known
        if isinstance(candidate.record, Head):
            return self._weigh_head(candidate, candidate.record, known, source=source), []
        name = chain_name(candidate.chain)
        is_unknown = seq is None or name in self._unknown_chains
        chain = None if is_unknown else read_chain(self._db, candidate)
        verdict = admit(candidate, state, chain, policy=self._policy, now=self._now)
        if verdict.action is Action.HOLD:
            self._hold(candidate, verdict, source=source)
        if verdict.action is not Action.ACCEPT:
            return verdict, []
        if seq is None:
            seq = add_publisher(self._db, candidate.publisher, now=self._now)
        self._unknown_chains.discard(name)
        revived = self._store(candidate, verdict, publisher=seq, source=source)
        is_identity = isinstance(candidate.record, Identity)
        return verdict, [candidate.id, *([candidate.publisher] if is_identity else []), *revived]

    def _weigh_head(
        self,
        candidate: Candidate,
        head: Head,
        known: tuple[int, PublisherState] | None,
        *,
        source: str,
    ) -> Verdict:
        seq, state = (None, None) if known is None else known
        newest = None if seq is None else read_known_head(self._db, seq, head.scope)
        verdict = admit_head(candidate, state, newest, policy=self._policy, now=self._now)
        if verdict.action is Action.HOLD:
            self._hold(candidate, verdict, source=source)
        elif verdict.action is Action.ACCEPT:
            assert seq is not None  # Nobody's head is held, not accepted.
            if verdict.current:
                put_head(self._db, candidate, head, publisher=seq)
                self._touch(seq, head.scope).heads = True
            if verdict.fork:
                self._flag(seq, head.scope)
        return verdict

    def _store(
        self, candidate: Candidate, verdict: Verdict, *, publisher: int, source: str
    ) -> list[str]:
        """Store an accepted record with all that follows. Return the ids it brought back."""
        assert verdict.scope is not None
        origin = (source, self._now)
        row = add_record(
            self._db, candidate, publisher=publisher, scope=verdict.scope, origin=origin
        )
        size = len(candidate.envelope.payload)
        counted = self._counted.setdefault(publisher, [0, 0])
        counted[0] += 1
        counted[1] += size
        touched = self._touch(publisher, verdict.scope)
        if touched.last < 0:
            touched.first = row
        touched.first, touched.last = min(touched.first, row), max(touched.last, row)
        if verdict.lineage is not None:
            self._write_counts()
            self._states.pop(candidate.publisher, None)
            self._show(candidate, verdict, publisher=publisher, row=row)
            changed = recount(self._db, publisher, verdict.lineage, view=self._view)
            for scope in changed.scopes:
                self._touch(publisher, scope).heads = True
            return changed.revived
        seq, state = self._states[candidate.publisher]
        self._states[candidate.publisher] = (seq, state.with_record(size))
        self._show(candidate, verdict, publisher=publisher, row=row)
        return []

    def _show(self, candidate: Candidate, verdict: Verdict, *, publisher: int, row: int) -> None:
        record = candidate.record
        if verdict.current and isinstance(record, Dataset):
            self._view.show(candidate.chain.id, record, publisher=publisher, record=row)
        elif verdict.current and isinstance(record, Withdrawal):
            self._view.refresh(candidate.chain.id)
        elif verdict.current and isinstance(record, NodeInfo):
            put_node_info(self._db, publisher, record)
        if verdict.fork:
            assert verdict.scope is not None
            self._flag(publisher, verdict.scope)
            self._view.mark_forked(candidate.chain.id)

    def _state(self, publisher: str) -> tuple[int, PublisherState] | None:
        known = self._states.get(publisher) or self._lineages.state(self._db, publisher)
        if known is not None:
            self._states[publisher] = known
        return known

    def _flag(self, publisher: int, scope: str) -> None:
        self._db.conn.execute("update publishers set forked = 1 where seq = ?", [publisher])
        self._touch(publisher, scope)

    def _hold(self, candidate: Candidate, verdict: Verdict, *, source: str) -> None:
        hold(self._db, verdict, candidate.envelope, origin=(source, self._now))
        self._held_of.add(source)
        self._some_wait = True

    def _touch(self, publisher: int, scope: str) -> _Touched:
        return self._touched.setdefault((publisher, scope), _Touched())

    def _write_counts(self) -> None:
        rows = [(records, size, seq) for seq, (records, size) in self._counted.items()]
        self._db.conn.executemany(_COUNT_IN, rows)
        self._counted.clear()

    def _close(self) -> None:
        self._write_counts()
        self._view.close()
        for source, verdicts in self._rejected.items():
            note_rejections(self._db, verdicts, origin=(source, self._now))
        if self._held_of:
            trim_held(self._db, self._held_of)
        for (publisher, scope), touched in self._touched.items():
            note_change(
                self._db,
                publisher,
                scope=scope,
                records=(touched.first, touched.last),
                heads=touched.heads,
            )


def _unknown_chains(db: sqlite_utils.Database, offers: Sequence[Offer]) -> set[str]:
    """Return the chains of which nothing is here: nearly all, and asked for at once."""
    names = [chain_name(item.found.chain) for item in offers if isinstance(item.found, Candidate)]
    return set(names) - known_chains(db, names)


def _rank(offer: Offer) -> tuple[int, int]:
    if not isinstance(offer.found, Candidate):
        return (0, 0)
    record = offer.found.record
    if isinstance(record, Head):
        return (3, record.sequence)
    return (1 if isinstance(record, Identity) else 2, record.revision)
