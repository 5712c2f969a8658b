"""One dataset with its history and holders, and names from their first digits."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlite_utils

from node.catalog.references import blobs_beginning
from node.catalog.view import REVOKED, WITHDRAWN
from node.catalog.views import Holder, RevisionView, Viewer
from node.errors import AmbiguousError, InputError, NotFoundError
from node.storage.blobs import DirectoryBlobs
from protocol.records import Dataset, Withdrawal

__all__ = ["KINDS", "StoredDataset", "read_dataset", "resolve"]

KINDS = ("dataset", "publisher", "record", "blob")
_PREFIX = re.compile(r"[0-9a-f]{8,64}")
_LISTED_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDataset:
    """What the tables say of a dataset."""

    row: dict[str, Any]
    metadata: Dataset
    withdrawal: Withdrawal | None
    revisions: tuple[RevisionView, ...]
    holders: tuple[Holder, ...]
    local: bool

    @property
    def status(self) -> str:
        """Return current, withdrawn or forked."""
        if self.row["status"] == WITHDRAWN:
            return "withdrawn"
        return "forked" if self.row["forked"] else "current"


def read_dataset(
    db: sqlite_utils.Database,
    dataset: str,
    *,
    viewer: Viewer,
    own: str | None,
    blobs: DirectoryBlobs | None,
) -> StoredDataset:
    """Return a dataset as far as the viewer may see it, else raise NotFoundError."""
    levels = ",".join("?" * len(viewer.visibilities))
    sql = f"""select datasets.*, publishers.id as publisher_id, newest.id as current_id,
                     shown.payload as shown_payload, last.payload as last_payload
              from datasets
              join publishers on publishers.seq = datasets.publisher
              join records as newest on newest.seq = datasets.current
              join payloads as shown on shown.record = datasets.record
              join payloads as last on last.record = datasets.current
              where datasets.id = ? and status != {REVOKED} and not blocked
                  and visibility in ({levels})"""
    row = next(iter(db.query(sql, [dataset, *viewer.visibilities])), None)
    if row is None:
        raise NotFoundError(f"no dataset {dataset} is known here")
    last = Withdrawal.from_bytes(row["last_payload"]) if row["status"] == WITHDRAWN else None
    wanted = [
        item[0]
        for item in db.conn.execute(
            "select blob from dataset_blobs where dataset = ? and current and kind = 'file'",
            [row["seq"]],
        )
    ]
    local = blobs is not None and all(blobs.holds(blob.hex()) for blob in wanted)
    return StoredDataset(
        row=row,
        metadata=Dataset.from_bytes(row["shown_payload"]),
        withdrawal=last,
        revisions=_revisions(db, dataset),
        holders=tuple(_holders(db, row["seq"], len(wanted), own=own, blobs=blobs)),
        local=local,
    )


def resolve(db: sqlite_utils.Database, prefix: str, *, kinds: Sequence[str]) -> tuple[str, str]:
    """Return the kind and the id of what begins with these digits.

    Where two kinds share an id, as a dataset and its first record do, the earlier kind is meant.

    Raises:
        InputError: It is not 8 to 64 hex digits.
        NotFoundError: Nothing begins so.
        AmbiguousError: Several things do.
    """
    text = prefix.strip().lower()
    if _PREFIX.fullmatch(text) is None:
        raise InputError(f"{prefix[:80]!r} is no id: want 8 to 64 of the digits 0-9 and a-f")
    found: dict[str, str] = {}
    for kind in kinds:
        for name in _beginning(db, text, kind):
            found.setdefault(name, kind)
    if not found:
        raise NotFoundError(f"no {' or '.join(kinds)} begins with {text}")
    if len(found) > 1:
        names = ", ".join(f"{kind} {name[:16]}" for name, kind in list(found.items())[:_LISTED_MAX])
        raise AmbiguousError(f"{text} could be {names}; give more digits")
    ((name, kind),) = found.items()
    return kind, name


def _beginning(db: sqlite_utils.Database, prefix: str, kind: str) -> Iterator[str]:
    assert kind in KINDS
    if kind == "blob":
        yield from (blob.hex() for blob in blobs_beginning(db, prefix, limit=_LISTED_MAX))
    else:
        sql = f"select id from {kind}s where id >= ? and id < ? limit ?"
        yield from (row[0] for row in db.conn.execute(sql, [prefix, prefix + "g", _LISTED_MAX]))


def _revisions(db: sqlite_utils.Database, dataset: str) -> tuple[RevisionView, ...]:
    sql = """select id as record, revision, issued, type from records
             where chain = ? and counts order by revision, id"""
    return tuple(RevisionView(**row) for row in db.query(sql, [dataset]))


def _holders(
    db: sqlite_utils.Database,
    seq: int,
    count: int,
    *,
    own: str | None,
    blobs: DirectoryBlobs | None,
) -> Iterator[Holder]:
    sql = """select holdings.publisher as publisher, coalesce(name, '') as name, count(*) as blobs
             from dataset_blobs join holdings using (blob)
             left join publishers on publishers.id = holdings.publisher
             where dataset = ? and current and kind = 'file' and holdings.publisher is not ?
             group by holdings.publisher order by blobs desc, holdings.publisher"""
    if own is not None and blobs is not None:
        yield from _own_holding(db, seq, count, own=own, blobs=blobs)
    for row in db.query(sql, [seq, own]):
        yield Holder(complete=row["blobs"] == count, **row)


def _own_holding(
    db: sqlite_utils.Database, seq: int, count: int, *, own: str, blobs: DirectoryBlobs
) -> Iterator[Holder]:
    wanted = db.conn.execute(
        "select blob from dataset_blobs where dataset = ? and current and kind = 'file'", [seq]
    )
    held = sum(blobs.holds(row[0].hex()) for row in wanted)
    if held:
        row = db.conn.execute("select name from publishers where id = ?", [own]).fetchone()
        name = "" if row is None else row[0]
        yield Holder(publisher=own, name=name, complete=held == count, blobs=held)
