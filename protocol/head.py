"""A publisher's signed summary of its records, and whether we hold all of them (protocol.md 7)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from protocol import limits
from protocol.identity import DigestHex, PublisherId
from protocol.records import Head

__all__ = ["Completeness", "completeness", "ids_root", "next_head"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """What we hold of one publisher and scope, against what its newest head says.

    Attributes:
        count: Records held.
        head: The newest head, None if none is known.
        missing: Records that the head counts beyond ours; 0 does not mean complete.
        complete: Count and root are the head's: we hold exactly what the publisher signed for.
        stale: The head has expired, or there is none: nobody vouches for these records now.
    """

    count: int
    head: Head | None
    missing: int
    complete: bool
    stale: bool


def ids_root(ids: Collection[bytes]) -> DigestHex:
    """Return the SHA-256 over the raw 32-byte record ids, sorted and joined."""
    return DigestHex(hashlib.sha256(b"".join(sorted(ids))).hexdigest())


def completeness(head: Head | None, *, count: int, root: str, now: int) -> Completeness:
    """Compare what is held (`count`, and `ids_root` of it) with the newest head."""
    if head is None:
        return Completeness(count=count, head=None, missing=0, complete=False, stale=True)
    return Completeness(
        count=count,
        head=head,
        missing=max(0, head.count - count),
        complete=(head.count, head.root) == (count, root),
        stale=head.expires <= now,
    )


def next_head(
    newest: Head | None, ids: Collection[bytes], *, publisher: PublisherId, scope: str, now: int
) -> Head:
    """Return the head to sign after `newest`, for the records with these raw ids."""
    return Head(
        publisher=publisher,
        issued=now,
        scope=scope,
        sequence=1 if newest is None else newest.sequence + 1,
        count=len(ids),
        root=ids_root(ids),
        expires=now + limits.HEAD_LIFETIME_S,
    )
