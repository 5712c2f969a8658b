"""Rows of publishers: who they are, which keys speak for them, and what of theirs is here."""

import json
from collections import OrderedDict
from typing import Any

import sqlite_utils

from node.catalog.peers import read_reachability
from node.catalog.view import CURRENT
from node.catalog.views import Completeness, PublisherView, Reachability
from node.errors import NotFoundError
from protocol.records import Identity, NodeInfo
from protocol.succession import Lineage
from protocol.verdict import PublisherState

__all__ = [
    "Lineages",
    "add_publisher",
    "put_node_info",
    "read_node_record",
    "read_publisher",
    "read_publishers",
    "require_publisher",
]

LINEAGES_MAX = 4_096


class Lineages:
    """The key histories of publishers, read from their identity records once and kept.

    Used on the writer thread alone. What is kept is checked against the tables at each use, so a
    transaction that was rolled back or another process leaves nothing wrong behind.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[tuple[int, int], Lineage]] = OrderedDict()

    def state(self, db: sqlite_utils.Database, publisher: str) -> tuple[int, PublisherState] | None:
        """Return a publisher's row and what is known of it, None if it is unknown."""
        row = db.conn.execute(
            "select seq, records, bytes, blocked from publishers where id = ?", [publisher]
        ).fetchone()
        if row is None:
            return None
        seq, records, size, blocked = row
        lineage = self._lineage(db, seq, publisher)
        return seq, PublisherState(
            lineage=lineage, records=records, size=size, blocked=bool(blocked)
        )

    def _lineage(self, db: sqlite_utils.Database, seq: int, publisher: str) -> Lineage:
        chain = f"identity:{publisher}"
        stamp = db.conn.execute(
            "select count(*), max(seq) from records where chain = ?", [chain]
        ).fetchone()
        known = self._known.get(seq)
        if known is None or known[0] != stamp:
            rows = db.conn.execute(
                "select id, payload from records join payloads on record = seq where chain = ?",
                [chain],
            )
            lineage = Lineage.of((id_, Identity.from_bytes(payload)) for id_, payload in rows)
            known = self._known[seq] = (stamp, lineage)
        self._known.move_to_end(seq)
        while len(self._known) > LINEAGES_MAX:
            self._known.popitem(last=False)
        return known[1]


def add_publisher(db: sqlite_utils.Database, publisher: str, *, now: int) -> int:
    """Return the row of a new publisher, blocked already if an administrator said so before."""
    cursor = db.conn.execute(
        """insert into publishers (id, added, blocked) values (?, ?, exists (
               select 1 from peers where peers.publisher = ? and state = 'blocked'))""",
        [publisher, now, publisher],
    )
    return int(cursor.lastrowid or 0)


def put_node_info(db: sqlite_utils.Database, seq: int, info: NodeInfo | None) -> None:
    """Show a node record as what its publisher says of itself; None to show nothing."""
    said: list[Any] = ["", "", "", "[]", ""]
    if info is not None:
        urls = json.dumps(info.urls)
        said = [info.name, info.institution, info.contact, urls, info.software]
    db.conn.execute(
        "update publishers set name = ?, institution = ?, contact = ?, urls = ?, software = ? "
        "where seq = ?",
        [*said, seq],
    )


def read_node_record(db: sqlite_utils.Database, publisher: str) -> tuple[str, NodeInfo] | None:
    """Return the newest node record of a publisher and its id, None if it has none."""
    row = db.conn.execute(
        """select id, payload from records join payloads on record = seq
           where chain = ? and counts order by revision desc, id limit 1""",
        [f"node:{publisher}"],
    ).fetchone()
    return None if row is None else (row[0], NodeInfo.from_bytes(row[1]))


def require_publisher(db: sqlite_utils.Database, publisher: str) -> int:
    """Return a publisher's row, or raise NotFoundError."""
    row = db.conn.execute("select seq from publishers where id = ?", [publisher]).fetchone()
    if row is None:
        raise NotFoundError(f"no publisher {publisher} is known here")
    return int(row[0])


def read_publishers(
    db: sqlite_utils.Database, publisher: str | None = None
) -> list[dict[str, Any]]:
    """Return the rows of all publishers, or of one, with their datasets counted, by name."""
    sql = f"""select publishers.*, (
                  select count(*) from datasets
                  where datasets.publisher = publishers.seq and status = {CURRENT}
                      and visibility = 'public') as datasets
              from publishers where {"true" if publisher is None else "id = ?"}
              order by name = '', name, id"""
    return list(db.query(sql, [] if publisher is None else [publisher]))


def read_publisher(
    db: sqlite_utils.Database, row: dict[str, Any], *, own: str | None, completeness: Completeness
) -> PublisherView:
    """Return a row of `read_publishers` as it is shown."""
    is_own = row["id"] == own
    reachability = Reachability(state="self") if is_own else read_reachability(db, row["id"])
    return PublisherView(
        id=row["id"],
        name=row["name"],
        institution=row["institution"],
        contact=row["contact"],
        urls=tuple(json.loads(row["urls"])),
        software=row["software"],
        records=row["records"],
        datasets=row["datasets"],
        blocked=bool(row["blocked"]),
        forked=bool(row["forked"]),
        completeness=completeness,
        reachability=reachability,
    )
