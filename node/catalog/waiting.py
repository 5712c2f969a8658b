"""Rows of records that are not in: held until another one comes, or refused. Both are bounded."""

import itertools
from collections.abc import Iterable

import sqlite_utils

from node.catalog.views import Rejection
from protocol.envelope import Envelope
from protocol.verdict import Reason, Verdict

__all__ = [
    "forget_doubt",
    "hold",
    "note_rejections",
    "read_rejections",
    "take_held",
    "trim_held",
]

HELD_OF_SOURCE_MAX = 10_000
HELD_SIZE_OF_SOURCE_MAX = 64 << 20
HELD_MAX = 100_000
REJECTIONS_OF_SOURCE_MAX = 100
REJECTIONS_MAX = 10_000


def hold(
    db: sqlite_utils.Database, verdict: Verdict, envelope: Envelope, *, origin: tuple[str, int]
) -> None:
    """Keep a record that waits for another."""
    data = envelope.to_bytes()
    db.conn.execute(
        "insert or ignore into held (id, waits_for, source, reason, received, size, envelope) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        [verdict.id, verdict.awaits, origin[0], verdict.reason.value, origin[1], len(data), data],
    )


def trim_held(db: sqlite_utils.Database, sources: Iterable[str]) -> None:
    """Let what has waited longest go where too much waits: of one source, then of all."""
    for source in sources:
        rows = db.conn.execute(
            "select seq, size from held where source = ? order by seq desc", [source]
        ).fetchall()
        sizes = itertools.accumulate(size for _, size in rows)
        over = [
            (seq,)
            for place, ((seq, _), size) in enumerate(zip(rows, sizes, strict=True))
            if place >= HELD_OF_SOURCE_MAX or (place and size > HELD_SIZE_OF_SOURCE_MAX)
        ]
        db.conn.executemany("delete from held where seq = ?", over)
    db.conn.execute(
        "delete from held where seq <= (select seq from held order by seq desc limit 1 offset ?)",
        [HELD_MAX],
    )


def take_held(db: sqlite_utils.Database, waited_for: str) -> list[tuple[Envelope, str]]:
    """Return and remove what waits for a record or publisher, each with its source."""
    rows = db.conn.execute(
        "select envelope, source from held where waits_for = ? order by seq", [waited_for]
    ).fetchall()
    if rows:
        db.conn.execute("delete from held where waits_for = ?", [waited_for])
    return [(Envelope.from_bytes(data), source) for data, source in rows]


def note_rejections(
    db: sqlite_utils.Database, verdicts: Iterable[Verdict], *, origin: tuple[str, int]
) -> None:
    """Write refusals down; the oldest of the same source make room."""
    source, now = origin
    db.conn.executemany(
        "insert into rejections (source, record, reason, detail, at) values (?, ?, ?, ?, ?)",
        [(source, item.id, item.reason.value, item.detail, now) for item in verdicts],
    )
    db.conn.execute(
        """delete from rejections where source = ? and seq <= (
               select seq from rejections where source = ? order by seq desc limit 1 offset ?)""",
        [source, source, REJECTIONS_OF_SOURCE_MAX],
    )
    db.conn.execute(
        "delete from rejections where seq <= (select max(seq) from rejections) - ?",
        [REJECTIONS_MAX],
    )


def forget_doubt(db: sqlite_utils.Database, record: str, *, source: str) -> None:
    """Take back that a record's key was unknown: it is weighed anew."""
    db.conn.execute(
        "delete from rejections where source = ? and record = ? and reason = ?",
        [source, record, Reason.UNKNOWN_KEY.value],
    )


def read_rejections(
    db: sqlite_utils.Database, source: str | None, *, limit: int
) -> list[Rejection]:
    """Return the newest refusals first, of one source or of all."""
    where, values = ("true", []) if source is None else ("source = ?", [source])
    sql = f"""select source, record, reason, detail, at from rejections
              where {where} order by seq desc limit ?"""
    return [Rejection(**row) for row in db.query(sql, [*values, limit])]
