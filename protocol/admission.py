"""Whether a record is let in: pure functions from what is known to a verdict (protocol.md 6).

`examine` looks at the envelope alone: every signature is verified under the key it names, and only
then is the payload parsed. `admit` and `admit_head` weigh the outcome against what is known of the
publisher, the chain, the quota and the time. Nothing here remembers anything, so the caller may
ask again whenever it knows more: a verdict depends on the facts, never on the order they came in.
"""

from __future__ import annotations

from dataclasses import replace

from protocol import limits
from protocol.envelope import PAYLOAD_TYPE, Envelope
from protocol.errors import LocalProtocolError, RemoteProtocolError, SizeLimitError
from protocol.identity import RecordId, did_key
from protocol.records import Dataset, Head, Identity, NodeInfo, Withdrawal, parse_record, type_of
from protocol.succession import Lineage, SuccessionError, required_signers
from protocol.verdict import (
    Action,
    Candidate,
    ChainKey,
    ChainState,
    KnownHead,
    Policy,
    PublisherState,
    Reason,
    Verdict,
    short,
)

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
    "admit",
    "admit_head",
    "examine",
]


def examine(envelope: Envelope) -> Candidate | Verdict:
    """Return the record of an envelope that is sound in itself, else the verdict against it."""
    record_id = envelope.id
    problem = _problem_of_envelope(envelope, record_id)
    if problem is not None:
        return problem
    try:
        record = parse_record(envelope.payload)
    except SizeLimitError as error:
        return Verdict.against(record_id, Reason.TOO_LARGE, str(error))
    except RemoteProtocolError as error:
        return Verdict.against(record_id, Reason.MALFORMED, str(error))
    if not isinstance(record, Identity) and len(envelope.signatures) != 1:
        count = len(envelope.signatures)
        detail = f"a {type_of(record)} record carries exactly one signature, this has {count}"
        return Verdict.against(record_id, Reason.SIGNATURE_COUNT, detail, record=record)
    return Candidate(envelope=envelope, id=record_id, record=record)


def admit(
    offered: Envelope | Candidate,
    publisher: PublisherState | None,
    chain: ChainState | None,
    *,
    policy: Policy,
    now: int,
) -> Verdict:
    """Return the verdict on a record that is not a head.

    Args:
        offered: The envelope, or what `examine` made of it.
        publisher: What is known of `candidate.publisher`; None if nothing.
        chain: What is known of `candidate.chain`; None if nothing. Not needed for identities.
        policy: This node's limits.
        now: Seconds since 1970, UTC.
    """
    candidate = examine(offered) if isinstance(offered, Envelope) else offered
    if isinstance(candidate, Verdict):
        return candidate
    record = candidate.record
    if isinstance(record, Head):
        raise LocalProtocolError("a head goes to admit_head")
    problem = _problem_of_publisher(candidate, publisher) or _problem_of_clock(
        candidate, policy, now
    )
    if problem is not None:
        return problem
    if isinstance(record, Identity):
        return _admit_identity(candidate, record, publisher, policy=policy)
    assert publisher is not None
    return (
        _problem_of_key(candidate, publisher.lineage)
        or _problem_of_chain(candidate, record, chain)
        or _problem_of_scope(candidate, record, chain, policy=policy)
        or _problem_of_quota(candidate, publisher, policy)
        or _accept(candidate, record, chain)
    )


def admit_head(
    offered: Envelope | Candidate,
    publisher: PublisherState | None,
    newest: KnownHead | None,
    *,
    policy: Policy,
    now: int,
) -> Verdict:
    """Return the verdict on a head, given the newest one known of its publisher and scope.

    An expired head is accepted if it is the newest there is: it makes its publisher stale.
    """
    candidate = examine(offered) if isinstance(offered, Envelope) else offered
    if isinstance(candidate, Verdict):
        return candidate
    head = candidate.record
    if not isinstance(head, Head):
        raise LocalProtocolError(f"a {type_of(head)} record goes to admit")
    problem = _problem_of_publisher(candidate, publisher) or _problem_of_clock(
        candidate, policy, now
    )
    if problem is not None:
        return problem
    assert publisher is not None
    problem = _problem_of_key(candidate, publisher.lineage, head=True)
    if problem is not None:
        return problem
    return _compare_heads(candidate, head, newest, lineage=publisher.lineage)


def _compare_heads(
    candidate: Candidate, head: Head, newest: KnownHead | None, *, lineage: Lineage
) -> Verdict:
    # protocol.md 7.2: a head of a retired key binds nobody, however high its sequence is, so a
    # thief cannot lock the owner out by signing the last number.
    if newest is not None and lineage.online.get(newest.signer, -1) is not None:
        newest = None
    if newest is None or head.sequence > newest.head.sequence:
        return candidate.accept(head.scope, f"head {head.sequence} is the newest", current=True)
    if candidate.id == newest.id:
        return candidate.duplicate()
    if head.sequence < newest.head.sequence:
        detail = f"head {head.sequence} is older than head {newest.head.sequence}, held already"
        return candidate.reject(Reason.REPLAYED_HEAD, detail)
    fork = (head.root, head.count) != (newest.head.root, newest.head.count)
    return candidate.accept(
        head.scope,
        f"a second head {head.sequence} beside {short(newest.id)}",
        current=candidate.id < newest.id,
        fork=fork,
    )


def _problem_of_envelope(envelope: Envelope, record_id: RecordId) -> Verdict | None:
    size = len(envelope.payload)
    if size > limits.PAYLOAD_SIZE_MAX:
        detail = f"a payload of {size} bytes is over the limit of {limits.PAYLOAD_SIZE_MAX}"
        return Verdict.against(record_id, Reason.TOO_LARGE, detail)
    if envelope.payload_type != PAYLOAD_TYPE:
        detail = f"payload type {envelope.payload_type[:80]!r} is not {PAYLOAD_TYPE}"
        return Verdict.against(record_id, Reason.WRONG_PAYLOAD_TYPE, detail)
    if not 1 <= len(envelope.signatures) <= limits.SIGNATURES_MAX:
        count = len(envelope.signatures)
        detail = f"{count} signatures; want 1 to {limits.SIGNATURES_MAX}"
        return Verdict.against(record_id, Reason.SIGNATURE_COUNT, detail)
    wrong = envelope.signatures.keys() - envelope.signers(envelope.signatures)
    if wrong:
        names = ", ".join(sorted(did_key(key) for key in wrong))
        detail = f"the signature over record {short(record_id)} is not one by {names}"
        return Verdict.against(record_id, Reason.BAD_SIGNATURE, detail)
    return None


def _problem_of_publisher(candidate: Candidate, publisher: PublisherState | None) -> Verdict | None:
    record = candidate.record
    if publisher is None:
        if isinstance(record, Identity) and record.revision == 1:
            return None
        detail = f"no identity of publisher {short(candidate.publisher)} is known yet"
        return candidate.hold(Reason.UNKNOWN_PUBLISHER, detail, awaits=candidate.publisher)
    assert publisher.lineage.publisher == candidate.publisher
    if publisher.blocked:
        detail = f"publisher {short(candidate.publisher)} is blocked here"
        return candidate.reject(Reason.BLOCKED, detail)
    return None


def _problem_of_clock(candidate: Candidate, policy: Policy, now: int) -> Verdict | None:
    ahead = candidate.record.issued - now
    if ahead <= policy.clock_skew_s:
        return None
    detail = (
        f"{type_of(candidate.record)} {short(candidate.id)} is issued {ahead} s ahead of this"
        f" node's clock; at most {policy.clock_skew_s} s are allowed"
    )
    return candidate.reject(Reason.FUTURE, detail)


def _admit_identity(
    candidate: Candidate, identity: Identity, publisher: PublisherState | None, *, policy: Policy
) -> Verdict:
    if publisher is None:
        first = Lineage.of([(candidate.id, identity)])
        return _problem_of_signers(candidate, identity, None) or _accept_identity(candidate, first)
    lineage = publisher.lineage
    if candidate.id in lineage.records:
        return _known(candidate, lineage.current, lineage.identity.revision)
    assert identity.previous is not None  # A first identity is known or names another publisher.
    before = lineage.records.get(identity.previous)
    if before is None:
        detail = f"identity revision {identity.revision} follows {short(identity.previous)}"
        detail += ", which is not known yet"
        return candidate.hold(Reason.MISSING_PREDECESSOR, detail, awaits=identity.previous)
    try:
        lineage.check_next(identity)
    except SuccessionError as error:
        detail = f"identity {short(candidate.id)}: {error}"
        return candidate.reject(Reason.BAD_SUCCESSION, detail)
    return (
        _problem_of_signers(candidate, identity, before)
        or _problem_of_quota(candidate, publisher, policy)
        or _problem_of_room(candidate, identity, before, lineage=lineage)
        or _accept_identity(candidate, lineage.extended(candidate.id, identity))
    )


def _problem_of_signers(
    candidate: Candidate, identity: Identity, before: Identity | None
) -> Verdict | None:
    if candidate.envelope.signatures.keys() == required_signers(identity, before):
        return None
    detail = "an identity is signed by signed_by and every key it adds, the first by all its keys"
    return candidate.reject(Reason.BAD_SUCCESSION, detail)


def _accept_identity(candidate: Candidate, lineage: Lineage) -> Verdict:
    revision = lineage.records[candidate.id].revision
    siblings = [item for item in lineage.records.values() if item.revision == revision]
    verdict = candidate.accept(
        "public",
        f"identity revision {revision}",
        current=lineage.current == candidate.id,
        fork=len(siblings) > 1,
    )
    return replace(verdict, lineage=lineage)


def _problem_of_room(
    candidate: Candidate, identity: Identity, before: Identity, *, lineage: Lineage
) -> Verdict | None:
    # protocol.md 5.4: a stolen online key can fork without end, but not fill the owner's room.
    rescue = identity.signed_by in before.dids("recovery")
    room = limits.IDENTITY_RECORDS_MAX * (2 if rescue else 1)
    if len(lineage.records) < room:
        return None
    detail = f"publisher {short(lineage.publisher)} has {room} identity records here, the limit"
    return candidate.reject(Reason.QUOTA, detail)


def _problem_of_key(
    candidate: Candidate, lineage: Lineage, *, head: bool = False
) -> Verdict | None:
    key, issued = candidate.signer, candidate.record.issued
    active = lineage.online.get(key, -1) is None
    if active or (not head and lineage.allows(key, issued)):
        return None
    if key in lineage.online:
        detail = f"{did_key(key)} was retired at {lineage.online[key]}"
        detail += "" if head else f", before this record was issued at {issued}"
        return candidate.reject(Reason.RETIRED_KEY, detail)
    if key in lineage.recovery:
        detail = f"{did_key(key)} is a recovery key; those sign identities only"
        return candidate.reject(Reason.WRONG_KEY_ROLE, detail)
    detail = f"{did_key(key)} is no key of publisher {short(lineage.publisher)} yet"
    return candidate.hold(Reason.UNKNOWN_KEY, detail, awaits=lineage.publisher)


def _problem_of_chain(
    candidate: Candidate, record: Dataset | Withdrawal | NodeInfo, chain: ChainState | None
) -> Verdict | None:
    if chain is not None:
        if chain.publisher != candidate.publisher:
            detail = f"dataset {short(candidate.chain.id)} belongs to {short(chain.publisher)}"
            return candidate.reject(Reason.FOREIGN_CHAIN, detail)
        if candidate.id in chain.siblings:
            return _known(candidate, chain.record, chain.revision)
    if record.previous is None:
        return None
    before = None if chain is None else chain.predecessors.get(record.previous)
    if before is None:
        detail = f"revision {record.revision} follows {short(record.previous)}, which is not known"
        return candidate.hold(Reason.MISSING_PREDECESSOR, detail, awaits=record.previous)
    if before == "withdrawal":
        detail = f"revision {record.revision} follows withdrawal {short(record.previous)}"
        return candidate.reject(Reason.ALREADY_WITHDRAWN, detail)
    return None


def _scope(record: Dataset | Withdrawal | NodeInfo, chain: ChainState | None) -> str:
    if isinstance(record, Dataset):
        return record.visibility
    return "public" if chain is None else chain.visibility


def _problem_of_scope(
    candidate: Candidate,
    record: Dataset | Withdrawal | NodeInfo,
    chain: ChainState | None,
    *,
    policy: Policy,
) -> Verdict | None:
    scope = _scope(record, chain)
    if chain is not None and scope != chain.visibility:
        detail = f"dataset {short(candidate.chain.id)} is {chain.visibility}, not {scope}"
        return candidate.reject(Reason.VISIBILITY_CHANGED, detail)
    if scope == "private" and policy.own != candidate.publisher:
        detail = f"dataset {short(candidate.chain.id)} of another publisher is private"
        return candidate.reject(Reason.PRIVATE, detail)
    return None


def _problem_of_quota(
    candidate: Candidate, publisher: PublisherState, policy: Policy
) -> Verdict | None:
    # A publisher at its limit can still change its keys and withdraw: a tenth more is for that.
    tenths = 11 if isinstance(candidate.record, Identity | Withdrawal) else 10
    records_max = policy.publisher_records_max * tenths // 10
    size_max = policy.publisher_bytes_max * tenths // 10
    size = publisher.size + len(candidate.envelope.payload)
    if publisher.records < records_max and size <= size_max:
        return None
    detail = (
        f"publisher {short(candidate.publisher)} would have {publisher.records + 1} records of"
        f" {size} bytes here; the quota is {records_max} records and {size_max} bytes"
    )
    return candidate.reject(Reason.QUOTA, detail)


def _accept(
    candidate: Candidate, record: Dataset | Withdrawal | NodeInfo, chain: ChainState | None
) -> Verdict:
    detail = f"{type_of(record)} revision {record.revision}"
    scope = _scope(record, chain)
    if chain is None:
        return candidate.accept(scope, detail, current=True)
    same = record.revision == chain.revision and candidate.id < chain.record
    fork = bool(chain.siblings)
    if fork:
        detail += f", beside another of that revision in {candidate.chain.kind} chain"
        detail += f" {short(candidate.chain.id)}"
    current = same or record.revision > chain.revision
    return candidate.accept(scope, detail, current=current, fork=fork)


def _known(candidate: Candidate, current: RecordId, revision: int) -> Verdict:
    if candidate.id == current:
        return candidate.duplicate()
    detail = f"record {short(candidate.id)} is known; revision {revision} is current"
    return candidate.reject(Reason.SUPERSEDED, detail)
