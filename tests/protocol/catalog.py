"""The smallest catalog that keeps to protocol.md 6: what a node must remember, in dictionaries."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.admission import (
    Action,
    Candidate,
    ChainKey,
    ChainState,
    KnownHead,
    Policy,
    PublisherState,
    Verdict,
    admit,
    admit_head,
    examine,
)
from protocol.envelope import Envelope
from protocol.identity import PublisherId, RecordId
from protocol.records import Dataset, Head, Identity, NodeInfo, Withdrawal, type_of
from protocol.succession import Lineage


class Catalog:
    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.accepted: dict[RecordId, Candidate] = {}
        self.lineages: dict[PublisherId, Lineage] = {}
        self.heads: dict[tuple[PublisherId, str], KnownHead] = {}
        self.blocked: set[PublisherId] = set()

    def offer(self, envelope: Envelope, *, now: int) -> Verdict:
        candidate = examine(envelope)
        if isinstance(candidate, Verdict):
            return candidate
        if isinstance(candidate.record, Head):
            return self._offer_head(candidate, candidate.record, now=now)
        verdict = admit(
            candidate,
            self.state(candidate.publisher),
            self.chain(candidate),
            policy=self.policy,
            now=now,
        )
        if verdict.action is Action.ACCEPT:
            self.accepted[candidate.id] = candidate
            if verdict.lineage is not None:
                self._change_keys(verdict.lineage)
        return verdict

    def _offer_head(self, candidate: Candidate, head: Head, *, now: int) -> Verdict:
        place = (candidate.publisher, head.scope)
        verdict = admit_head(
            candidate,
            self.state(candidate.publisher),
            self.heads.get(place),
            policy=self.policy,
            now=now,
        )
        if verdict.current:
            self.heads[place] = KnownHead(id=candidate.id, head=head, signer=candidate.signer)
        return verdict

    def _change_keys(self, lineage: Lineage) -> None:
        self.lineages[lineage.publisher] = lineage
        own = [
            item
            for item in self.accepted.values()
            if item.publisher == lineage.publisher and not isinstance(item.record, Identity)
        ]
        for item in sorted(own, key=self.revision):
            record = item.record
            assert isinstance(record, Dataset | Withdrawal | NodeInfo)
            follows = record.previous is None or record.previous in self.accepted
            if not follows or not lineage.allows(item.signer, record.issued):
                del self.accepted[item.id]
        for place, known in list(self.heads.items()):
            if place[0] == lineage.publisher and lineage.online.get(known.signer, -1) is not None:
                del self.heads[place]

    def offer_until_settled(self, envelopes: Iterable[Envelope], *, now: int) -> None:
        """Offer all again until nothing changes, as sync rounds do."""
        items = list(envelopes)
        before = None
        while before != (before := (frozenset(self.accepted), dict(self.heads))):
            for envelope in items:
                self.offer(envelope, now=now)

    def state(self, publisher: PublisherId) -> PublisherState | None:
        if publisher not in self.lineages:
            return None
        own = [item for item in self.accepted.values() if item.publisher == publisher]
        return PublisherState(
            lineage=self.lineages[publisher],
            records=len(own),
            size=sum(len(item.envelope.payload) for item in own),
            blocked=publisher in self.blocked,
        )

    def chain(self, candidate: Candidate) -> ChainState | None:
        record = candidate.record
        members = self.members(candidate.chain)
        if not members or isinstance(record, Identity | Head):
            return None
        current = self.current(candidate.chain)
        shown = current.record
        assert isinstance(shown, Dataset | Withdrawal | NodeInfo)
        first = next(item.record for item in members if self.revision(item) == 1)
        return ChainState(
            publisher=current.publisher,
            record=current.id,
            revision=shown.revision,
            visibility=first.visibility if isinstance(first, Dataset) else "public",
            withdrawn=isinstance(shown, Withdrawal),
            siblings=frozenset(m.id for m in members if self.revision(m) == record.revision),
            predecessors={
                m.id: type_of(m.record) for m in members if self.revision(m) == record.revision - 1
            },
        )

    def members(self, chain: ChainKey) -> list[Candidate]:
        return [item for item in self.accepted.values() if item.chain == chain]

    def current(self, chain: ChainKey) -> Candidate:
        return min(self.members(chain), key=lambda item: (-self.revision(item), item.id))

    @staticmethod
    def revision(candidate: Candidate) -> int:
        assert not isinstance(candidate.record, Head)
        return candidate.record.revision

    def view(self) -> dict[ChainKey, RecordId]:
        """Return what each chain shows."""
        chains = {item.chain for item in self.accepted.values()}
        shown = {chain: self.current(chain).id for chain in chains if chain.kind != "identity"}
        lineages = self.lineages.items()
        return shown | {ChainKey(kind="identity", id=key): line.current for key, line in lineages}
