"""What is known when a record is offered, and what can be said about it (protocol.md 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from protocol import limits
from protocol.envelope import Envelope
from protocol.identity import DigestHex, PublisherId, RecordId
from protocol.records import Dataset, Head, Record, Withdrawal, type_of
from protocol.succession import Lineage

__all__ = [
    "Action",
    "Candidate",
    "ChainKey",
    "ChainState",
    "KnownHead",
    "Policy",
    "PublisherState",
    "Reason",
    "Verdict",
    "short",
]


class Action(Enum):
    """What to do with a record."""

    ACCEPT = "accept"
    HOLD = "hold"
    REJECT = "reject"
    DUPLICATE = "duplicate"


class Reason(Enum):
    """Why, as a code that never changes its meaning."""

    ACCEPTED = "accepted"
    KNOWN = "known"
    # Held: a later record can change the verdict.
    UNKNOWN_PUBLISHER = "unknown-publisher"
    UNKNOWN_KEY = "unknown-key"
    MISSING_PREDECESSOR = "missing-predecessor"
    # Refused for what it is.
    TOO_LARGE = "too-large"
    WRONG_PAYLOAD_TYPE = "wrong-payload-type"
    BAD_SIGNATURE = "bad-signature"
    MALFORMED = "malformed"
    SIGNATURE_COUNT = "signature-count"
    # Refused for what is known.
    BLOCKED = "blocked"
    FUTURE = "future"
    RETIRED_KEY = "retired-key"
    WRONG_KEY_ROLE = "wrong-key-role"
    BAD_SUCCESSION = "bad-succession"
    SUPERSEDED = "superseded"
    FOREIGN_CHAIN = "foreign-chain"
    VISIBILITY_CHANGED = "visibility-changed"
    ALREADY_WITHDRAWN = "already-withdrawn"
    PRIVATE = "private"
    QUOTA = "quota"
    REPLAYED_HEAD = "replayed-head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The limits a node sets; `own` is its publisher, whose private records alone it takes."""

    own: PublisherId | None = None
    publisher_records_max: int = limits.PUBLISHER_RECORDS_MAX
    publisher_bytes_max: int = limits.PUBLISHER_BYTES_MAX
    clock_skew_s: int = limits.CLOCK_SKEW_S


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherState:
    """What is known of a publisher; `records` and `size` count all accepted payloads."""

    lineage: Lineage
    records: int = 0
    size: int = 0
    blocked: bool = False

    def with_record(self, size: int) -> PublisherState:
        """Return the state after one more record of this size."""
        return PublisherState(
            lineage=self.lineage,
            records=self.records + 1,
            size=self.size + size,
            blocked=self.blocked,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainKey:
    """Names a chain: ("dataset", dataset id), ("node", publisher) or ("identity", publisher)."""

    kind: str
    id: DigestHex


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """What is known of a chain, as far as one offered record is concerned.

    Attributes:
        record: The id of the current record: highest revision, then lowest id.
        revision: Its revision.
        visibility: "public" for a chain of node records.
        siblings: The ids known at the offered record's revision.
        predecessors: Type ("dataset", "withdrawal", "node") by id, one revision before it.
    """

    publisher: PublisherId
    record: RecordId
    revision: int
    visibility: str
    withdrawn: bool = False
    siblings: frozenset[RecordId] = frozenset()
    predecessors: Mapping[RecordId, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHead:
    """The newest head of a publisher and scope, its id, and the raw key that signed it."""

    id: RecordId
    head: Head
    signer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A record that is well-formed and signed by the keys its envelope names, whoever they are."""

    envelope: Envelope
    id: RecordId
    record: Record

    @property
    def publisher(self) -> PublisherId:
        """The publisher it speaks for."""
        return self.record.publisher or self.id

    @property
    def chain(self) -> ChainKey:
        """The chain it belongs to; a head has none and names its scope instead."""
        record = self.record
        if isinstance(record, Dataset | Withdrawal):
            return ChainKey(kind="dataset", id=record.dataset or self.id)
        return ChainKey(kind=type_of(record), id=self.publisher)

    @property
    def signer(self) -> bytes:
        """The raw key that signed it (of an identity, one of them)."""
        return next(iter(self.envelope.signatures))

    def accept(
        self, scope: str, detail: str, *, current: bool = False, fork: bool = False
    ) -> Verdict:
        """Return the verdict that takes the record in."""
        return Verdict(
            action=Action.ACCEPT,
            reason=Reason.ACCEPTED,
            detail=detail,
            id=self.id,
            record=self.record,
            scope=scope,
            current=current,
            fork=fork,
        )

    def hold(self, reason: Reason, detail: str, *, awaits: DigestHex) -> Verdict:
        """Return the verdict that keeps the record until another one comes."""
        return Verdict(
            action=Action.HOLD,
            reason=reason,
            detail=detail,
            id=self.id,
            record=self.record,
            awaits=awaits,
        )

    def reject(self, reason: Reason, detail: str) -> Verdict:
        """Return the verdict that refuses the record."""
        return Verdict.against(self.id, reason, detail, record=self.record)

    def duplicate(self) -> Verdict:
        """Return the verdict on a record that is held already and current."""
        return Verdict(
            action=Action.DUPLICATE,
            reason=Reason.KNOWN,
            detail=f"record {short(self.id)} is held already",
            id=self.id,
            record=self.record,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do with a record, and why.

    Attributes:
        id: The record's id.
        detail: A sentence with ids and numbers, fit to be shown.
        record: Parsed; None if it is malformed.
        scope: "public", "members" or "private" if it is accepted.
        current: Accepted, and it is now what its chain (or head) shows.
        fork: Accepted, and it contradicts a record already known: proof of equivocation.
        awaits: Held until this record, or an identity record of this publisher, is accepted.
        lineage: The publisher's new lineage if an identity record is accepted. Records of the
            publisher that it no longer `allows` stop counting, and so does what follows them.
    """

    action: Action
    reason: Reason
    detail: str
    id: RecordId
    record: Record | None = None
    scope: str | None = None
    current: bool = False
    fork: bool = False
    awaits: DigestHex | None = None
    lineage: Lineage | None = None

    @classmethod
    def against(
        cls, record_id: RecordId, reason: Reason, detail: str, *, record: Record | None = None
    ) -> Verdict:
        """Return the verdict that refuses a record, parsed or not."""
        return cls(action=Action.REJECT, reason=reason, detail=detail, id=record_id, record=record)


def short(digest: str) -> str:
    """Return the first digits of an id, enough to find it again."""
    return digest[:12]
