"""The record ids of a publisher and scope as sets to reconcile, kept between conversations."""

from dataclasses import dataclass

import numpy as np
import sqlite_utils

from node.catalog.recent import Recent
from node.catalog.records import read_head
from protocol.head import Completeness, completeness, ids_root
from protocol.itemset import ItemSet
from protocol.records import Head

__all__ = ["Items"]

SETS_MAX = 10_000
# About a hundred bytes for each.
ITEMS_MAX = 2_000_000
ROOTS_MAX = 100_000

_NOTHING = ItemSet.from_items([])


@dataclass(frozen=True, slots=True)
class _Known:
    version: int
    epoch: int
    last_record: int
    items: ItemSet


class Items:
    """Reads item sets, from the records that are new since the last time. Safe in threads."""

    def __init__(self) -> None:
        self._sets: Recent[tuple[str, str], _Known] = Recent(SETS_MAX, weight_max=ITEMS_MAX)
        self._roots: Recent[tuple[str, str], tuple[int, int, str]] = Recent(
            ROOTS_MAX, weight_max=ROOTS_MAX
        )

    def read(self, db: sqlite_utils.Database, publisher: str, scope: str) -> ItemSet:
        """Return the ids of all records that count; none of an unknown publisher."""
        row = _stamp(db, publisher)
        return _NOTHING if row is None else self._read(db, publisher, scope, stamp=row)

    def completeness(
        self, db: sqlite_utils.Database, publisher: str, scope: str, *, now: int
    ) -> Completeness:
        """Return what is held of a publisher and scope, against its newest head."""
        stamp = _stamp(db, publisher)
        if stamp is None:
            return completeness(None, count=0, root="", now=now)
        envelope = read_head(db, stamp[0], scope)
        head = None if envelope is None else Head.from_bytes(envelope.payload)
        root = self._roots.get((publisher, scope))
        if root is None or root[0] != stamp[1]:
            ids = self._read(db, publisher, scope, stamp=stamp).ids
            data = ids.tobytes()
            split = [data[start : start + 32] for start in range(0, len(data), 32)]
            root = (stamp[1], len(ids), ids_root(split))
            self._roots.put((publisher, scope), root)
        return completeness(head, count=root[1], root=root[2], now=now)

    def _read(
        self,
        db: sqlite_utils.Database,
        publisher: str,
        scope: str,
        *,
        stamp: tuple[int, int, int],
    ) -> ItemSet:
        seq, version, epoch = stamp
        known = self._sets.get((publisher, scope))
        if known is not None and known.version == version:
            return known.items
        if known is None or known.epoch != epoch:
            known = _Known(version, epoch, 0, _NOTHING)
        rows = db.conn.execute(
            """select seq, issued, id from records
               where publisher = ? and scope = ? and counts and seq > ? order by seq""",
            [seq, scope, known.last_record],
        ).fetchall()
        items, last = known.items, known.last_record
        if rows:
            last = rows[-1][0]
            ids = bytes.fromhex("".join(row[2] for row in rows))
            items = ItemSet.from_arrays(
                np.concatenate((items.timestamps, np.array([row[1] for row in rows], np.uint64))),
                np.concatenate((items.ids, np.frombuffer(ids, np.uint8).reshape(-1, 32))),
            )
        known = _Known(version, epoch, last, items)
        self._sets.put((publisher, scope), known, weight=len(items) + 1)
        return items


def _stamp(db: sqlite_utils.Database, publisher: str) -> tuple[int, int, int] | None:
    """Return row, version and epoch of a publisher."""
    row: tuple[int, int, int] | None = db.conn.execute(
        "select seq, version, epoch from publishers where id = ?", [publisher]
    ).fetchone()
    return row
