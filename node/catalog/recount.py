"""Which records of a publisher still count when its keys have changed (protocol.md 5).

A record that a retired key signed after its retirement stops counting, and so does what follows
it in its chain. The bytes stay. If a stronger branch of identities turns up later, they may count
again, so everything is weighed anew from the lineage, whatever was thought before.
"""

from dataclasses import dataclass, field

import sqlite_utils

from node.catalog.publishers import put_node_info, read_node_record
from node.catalog.records import read_known_head
from node.catalog.view import CurrentView
from protocol.succession import Lineage

__all__ = ["Recounted", "recount"]


@dataclass(slots=True)
class Recounted:
    """What a change of keys changed: the scopes concerned, and the ids that count again."""

    scopes: set[str] = field(default_factory=set)
    revived: list[str] = field(default_factory=list)


def recount(
    db: sqlite_utils.Database, publisher: int, lineage: Lineage, *, view: CurrentView
) -> Recounted:
    """Weigh all records of a publisher by its lineage, and show what follows."""
    changed = Recounted()
    if all(retired is None for retired in lineage.online.values()):
        return changed  # No key was ever retired, so every record counts and always has.
    counting: set[str] = set()
    chains: set[str] = set()
    rows = db.conn.execute(
        """select seq, id, chain, previous, scope, signer, issued, counts from records
           where publisher = ? and type != 'identity' order by revision""",
        [publisher],
    ).fetchall()
    for seq, record_id, chain, previous, scope, signer, issued, counted in rows:
        counts = lineage.allows(signer, issued) and (previous is None or previous in counting)
        if counts:
            counting.add(record_id)
        if counts != bool(counted):
            db.conn.execute("update records set counts = ? where seq = ?", [int(counts), seq])
            chains.add(chain)
            changed.scopes.add(scope)
            if counts:
                changed.revived.append(record_id)
    _show(db, publisher, lineage, chains=chains, view=view)
    changed.scopes |= _drop_heads(db, publisher, lineage)
    return changed


def _show(
    db: sqlite_utils.Database,
    publisher: int,
    lineage: Lineage,
    *,
    chains: set[str],
    view: CurrentView,
) -> None:
    for chain in sorted(chains):
        if chain.startswith("node:"):
            newest = read_node_record(db, lineage.publisher)
            put_node_info(db, publisher, None if newest is None else newest[1])
        else:
            view.refresh(chain)
    if chains:
        db.conn.execute(
            """update publishers set epoch = epoch + 1, (records, bytes) = (
                   select count(*), coalesce(sum(length(payload)), 0) from records
                   join payloads on record = records.seq where publisher = ? and counts)
               where seq = ?""",
            [publisher, publisher],
        )


def _drop_heads(db: sqlite_utils.Database, publisher: int, lineage: Lineage) -> set[str]:
    # protocol.md 7.2: a head of a retired key binds nobody.
    dropped = set()
    for scope in ("public", "members"):
        known = read_known_head(db, publisher, scope)
        if known is not None and lineage.online.get(known.signer, -1) is not None:
            db.conn.execute(
                "delete from heads where publisher = ? and scope = ?", [publisher, scope]
            )
            dropped.add(scope)
    return dropped
