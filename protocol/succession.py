"""Which keys speak for a publisher, and since when not any more (protocol.md 5).

Identity records form a chain from the one that names the publisher. Whoever holds a stolen online
key can fork that chain, so the current revision is a function of the *set* of identity records,
never of the order they came in: from the first record onward, at every revision a record that a
recovery key authorised goes before one that an online key did, then the lower id goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from protocol import limits
from protocol.errors import RemoteProtocolError
from protocol.identity import PublisherId, RecordId, parse_did_key
from protocol.records import Identity

__all__ = ["Lineage", "SuccessionError", "required_signers"]


class SuccessionError(RemoteProtocolError):
    """An identity record does not follow from the one it names; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Every accepted identity record of one publisher, and what follows from them.

    Attributes:
        records: By id. Losing branches stay in as proof.
        current: The id of the revision whose keys hold now.
        online: Every key that ever was online, raw: None while it holds, else the `issued` of the
            revision that retired it; the key's records issued later do not count.
        recovery: Every raw key that ever was a recovery key.
    """

    publisher: PublisherId
    records: Mapping[RecordId, Identity]
    current: RecordId
    online: Mapping[bytes, int | None]
    recovery: frozenset[bytes]

    @classmethod
    def of(cls, records: Iterable[tuple[RecordId, Identity]]) -> Lineage:
        """Return the lineage of identity records that were all accepted, in any order."""
        known = dict(records)
        first = next(id_ for id_, identity in known.items() if identity.revision == 1)
        branch = _winning_branch(known, first)
        return cls(
            publisher=first,
            records=known,
            current=branch[-1],
            online=_retirements(known, branch),
            recovery=frozenset(
                key for identity in known.values() for key in _raw(identity.dids("recovery"))
            ),
        )

    @property
    def identity(self) -> Identity:
        """The current revision."""
        return self.records[self.current]

    @property
    def forked(self) -> bool:
        """Whether two records of one revision exist."""
        return len({item.revision for item in self.records.values()}) != len(self.records)

    def extended(self, record_id: RecordId, identity: Identity) -> Lineage:
        """Return the lineage with one more accepted record."""
        return Lineage.of([*self.records.items(), (record_id, identity)])

    def allows(self, key: bytes, issued: int) -> bool:
        """Say whether this raw key may have signed a record issued then (not an identity)."""
        retired = self.online.get(key, -1)
        return retired is None or issued <= retired

    def check_next(self, identity: Identity) -> None:
        """Raise SuccessionError unless the record follows its `previous`, which must be known."""
        assert identity.publisher == self.publisher
        assert identity.previous is not None
        before = self.records[identity.previous]
        if identity.revision != before.revision + 1:
            raise SuccessionError(
                f"it is revision {identity.revision} after revision {before.revision}"
            )
        if identity.issued < before.issued:
            raise SuccessionError(
                f"issued {identity.issued} lies before its predecessor's {before.issued}"
            )
        _check_authority(before, identity)
        returned = {key.key for key in identity.keys} & self._retired_before(identity.previous)
        if returned:
            raise SuccessionError(f"a retired key never returns: {', '.join(sorted(returned))}")

    def _retired_before(self, record_id: RecordId) -> frozenset[str]:
        held: set[str] = set()
        newest = self.records[record_id]
        step: Identity | None = newest
        while step is not None:
            held |= {key.key for key in step.keys}
            step = None if step.previous is None else self.records[step.previous]
        return frozenset(held - {key.key for key in newest.keys})


def required_signers(identity: Identity, before: Identity | None) -> frozenset[bytes]:
    """Return the raw keys that must sign an identity record: these and no others."""
    dids = {key.key for key in identity.keys}
    if before is not None:
        dids -= {key.key for key in before.keys}
        assert identity.signed_by is not None
        dids.add(identity.signed_by)
    return _raw(dids)


def _check_authority(before: Identity, identity: Identity) -> None:
    signed_by = identity.signed_by
    if signed_by in before.dids("recovery"):
        return
    if signed_by not in before.dids("online"):
        raise SuccessionError(f"signed_by {signed_by} is no key of revision {before.revision}")
    if identity.dids("recovery") != before.dids("recovery"):
        raise SuccessionError("an online key may not add or remove recovery keys")
    if identity.revision > limits.ONLINE_REVISION_MAX:
        raise SuccessionError(
            f"revisions above {limits.ONLINE_REVISION_MAX} take a recovery key,"
            f" this is {identity.revision}"
        )


def _winning_branch(known: Mapping[RecordId, Identity], first: RecordId) -> list[RecordId]:
    children: dict[RecordId, list[RecordId]] = {}
    for id_, identity in known.items():
        if identity.previous is not None:
            children.setdefault(identity.previous, []).append(id_)
    branch = [first]
    while branch[-1] in children:
        recovery = known[branch[-1]].dids("recovery")
        branch.append(
            min(children[branch[-1]], key=lambda id_: (known[id_].signed_by not in recovery, id_))
        )
    return branch


def _retirements(
    known: Mapping[RecordId, Identity], branch: list[RecordId]
) -> dict[bytes, int | None]:
    """Return when each key that ever was online stopped being so, None if it still is."""
    ends: dict[str, int] = {}
    for here, after in pairwise(branch):
        for did in known[here].dids("online") - known[after].dids("online"):
            ends[did] = known[after].issued
    # A key that only losing branches name counts until the winning sibling was issued.
    place = {id_: index for index, id_ in enumerate(branch)}
    chosen = {did for id_ in branch for did in known[id_].dids("online")}
    for identity in known.values():
        for did in identity.dids("online") - chosen:
            step = identity
            while step.previous is not None and step.previous not in place:
                step = known[step.previous]
            assert step.previous is not None
            winner = known[branch[place[step.previous] + 1]]
            ends[did] = max(ends.get(did, 0), winner.issued)
    online: dict[bytes, int | None] = {parse_did_key(did): end for did, end in ends.items()}
    current = known[branch[-1]].dids("online")
    return online | dict.fromkeys((parse_did_key(did) for did in current), None)


def _raw(dids: Iterable[str]) -> frozenset[bytes]:
    return frozenset(parse_did_key(did) for did in dids)
