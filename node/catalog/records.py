"""Rows of signed records, in and out; no rules. Runs inside the transactions of its callers."""

from collections.abc import Iterable, Sequence

import msgpack
import sqlite_utils

from node.errors import NotFoundError
from protocol.envelope import Envelope
from protocol.identity import DigestHex
from protocol.records import Head, type_of
from protocol.verdict import Candidate, ChainKey, ChainState, KnownHead

__all__ = [
    "add_record",
    "chain_name",
    "known_chains",
    "known_signatures",
    "put_head",
    "read_chain",
    "read_envelope",
    "read_envelopes",
    "read_head",
    "read_known_head",
    "read_payload",
]

_VARIABLES_MAX = 500


def add_record(
    db: sqlite_utils.Database,
    candidate: Candidate,
    *,
    publisher: int,
    scope: str,
    origin: tuple[str, int],
) -> int:
    """Store an accepted record and return its row; one that did not count counts again.

    Args:
        db: In a transaction.
        candidate: What was accepted.
        publisher: The publisher's row.
        scope: As the verdict says.
        origin: Who sent it, and when it was received.
    """
    record = candidate.record
    row = [
        candidate.id,
        type_of(record),
        publisher,
        chain_name(candidate.chain),
        getattr(record, "revision", 0),
        getattr(record, "previous", None),
        scope,
        record.issued,
        candidate.signer,
        origin[1],
        origin[0],
    ]
    cursor = db.conn.execute(
        """insert into records (id, type, publisher, chain, revision, previous, scope, issued,
                                signer, received, source)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           on conflict (id) do update set counts = 1 returning seq""",
        row,
    )
    seq = int(cursor.fetchall()[0][0])
    envelope = candidate.envelope
    db.conn.execute(
        "insert or ignore into payloads (record, payload_type, payload, signatures) "
        "values (?, ?, ?, ?)",
        [seq, envelope.payload_type, envelope.payload, _pack_signatures(envelope)],
    )
    return seq


def chain_name(chain: ChainKey) -> str:
    """Return the name of a chain in the tables: the dataset's or publisher's id, by kind."""
    return chain.id if chain.kind == "dataset" else f"{chain.kind}:{chain.id}"


def known_chains(db: sqlite_utils.Database, names: Sequence[str]) -> set[str]:
    """Return those of the chains that any record here belongs to."""
    known: set[str] = set()
    for part in _parts(names):
        sql = f"select distinct chain from records where chain in ({_marks(part)})"
        known.update(row[0] for row in db.conn.execute(sql, part))
    return known


def read_chain(db: sqlite_utils.Database, candidate: Candidate) -> ChainState | None:
    """Return what is known of a candidate's chain, None if no record of it counts."""
    name = chain_name(candidate.chain)
    newest = db.conn.execute(
        """select records.id, revision, scope, publishers.id, type from records
           join publishers on publishers.seq = records.publisher
           where chain = ? and counts order by revision desc, records.id limit 1""",
        [name],
    ).fetchone()
    if newest is None:
        return None
    revision: int = getattr(candidate.record, "revision", 0)
    near = db.conn.execute(
        "select id, revision, type from records "
        "where chain = ? and revision between ? and ? and counts",
        [name, revision - 1, revision],
    ).fetchall()
    return ChainState(
        publisher=DigestHex(newest[3]),
        record=DigestHex(newest[0]),
        revision=newest[1],
        visibility=newest[2],
        withdrawn=newest[4] == "withdrawal",
        siblings=frozenset(DigestHex(row[0]) for row in near if row[1] == revision),
        predecessors={DigestHex(row[0]): row[2] for row in near if row[1] == revision - 1},
    )


def known_signatures(
    db: sqlite_utils.Database, ids: Sequence[str]
) -> dict[str, dict[bytes, bytes]]:
    """Return the stored signatures of those records that are here and are their chain's newest.

    What is offered again with the same signatures need not be verified again.
    """
    known: dict[str, dict[bytes, bytes]] = {}
    for part in _parts(ids):
        rows = db.conn.execute(
            f"""select records.id, signatures from records
                join payloads on payloads.record = records.seq
                where counts and records.id in ({_marks(part)}) and not exists (
                    select 1 from records as other where other.chain = records.chain
                    and other.counts and (other.revision > records.revision or
                        (other.revision = records.revision and other.id < records.id)))""",
            part,
        )
        known |= {row[0]: _unpack_signatures(row[1]) for row in rows}
    return known


def read_payload(db: sqlite_utils.Database, record_id: str) -> bytes:
    """Return the signed bytes of a record or head, or raise NotFoundError."""
    row = db.conn.execute(
        "select payload from payloads join records on records.seq = record where id = ?",
        [record_id],
    ).fetchone()
    return row[0] if row is not None else _head_envelope(db, record_id).payload


def read_envelope(db: sqlite_utils.Database, record_id: str) -> Envelope:
    """Return a record or head as it was signed, or raise NotFoundError."""
    found = read_envelopes(db, [record_id])
    return found[0] if found else _head_envelope(db, record_id)


def read_envelopes(db: sqlite_utils.Database, ids: Sequence[str]) -> list[Envelope]:
    """Return those of the records that are here, in the order asked for."""
    found: dict[str, Envelope] = {}
    for part in _parts(ids):
        rows = db.conn.execute(
            f"""select id, payload_type, payload, signatures from records
                join payloads on payloads.record = records.seq where id in ({_marks(part)})""",
            part,
        )
        for record_id, payload_type, payload, signatures in rows:
            found[record_id] = Envelope(
                payload_type=payload_type,
                payload=payload,
                signatures=_unpack_signatures(signatures),
            )
    return [found[record_id] for record_id in ids if record_id in found]


def put_head(
    db: sqlite_utils.Database, candidate: Candidate, head: Head, *, publisher: int
) -> None:
    """Store a head in the place of the one before."""
    row = [publisher, head.scope, candidate.id, head.sequence, head.count, head.root]
    db.conn.execute(
        "insert or replace into heads (publisher, scope, id, sequence, count, root, issued, "
        "expires, envelope) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [*row, head.issued, head.expires, candidate.envelope.to_bytes()],
    )


def read_head(db: sqlite_utils.Database, publisher: int, scope: str) -> Envelope | None:
    """Return the newest head of a publisher and scope, None if there is none."""
    row = db.conn.execute(
        "select envelope from heads where publisher = ? and scope = ?", [publisher, scope]
    ).fetchone()
    return None if row is None else Envelope.from_bytes(row[0])


def read_known_head(db: sqlite_utils.Database, publisher: int, scope: str) -> KnownHead | None:
    """Return the newest head as the rules want to see it."""
    envelope = read_head(db, publisher, scope)
    if envelope is None:
        return None
    head = Head.from_bytes(envelope.payload)
    return KnownHead(id=envelope.id, head=head, signer=next(iter(envelope.signatures)))


def _head_envelope(db: sqlite_utils.Database, head_id: str) -> Envelope:
    row = db.conn.execute("select envelope from heads where id = ?", [head_id]).fetchone()
    if row is None:
        raise NotFoundError(f"no record {head_id} is known here")
    return Envelope.from_bytes(row[0])


def _pack_signatures(envelope: Envelope) -> bytes:
    packed: bytes = msgpack.packb(dict(envelope.signatures))
    return packed


def _unpack_signatures(data: bytes) -> dict[bytes, bytes]:
    signatures: dict[bytes, bytes] = msgpack.unpackb(data, strict_map_key=False)
    return signatures


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _VARIABLES_MAX] for start in range(0, len(ids), _VARIABLES_MAX))


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))
