"""Which datasets refer to a blob, now or in their history.

Hashes are random. A B-tree over them would have another of its pages changed by nearly every one
that is added, which was most of what a batch of records wrote to disk. The text index puts a batch
down as one sorted piece and merges pieces later, so here it holds the first digits of each hash,
and what it finds is compared with the whole one.
"""

from collections.abc import Iterable

import sqlite_utils

__all__ = ["add_references", "blobs_beginning", "datasets_with"]

DIGITS = 16


def add_references(
    db: sqlite_utils.Database, references: Iterable[tuple[int, Iterable[bytes]]]
) -> None:
    """Note which blobs records refer to; to note it again changes nothing.

    Args:
        db: In a transaction.
        references: Rows of records, each with the blobs.
    """
    db.conn.executemany(
        "insert into blob_names (rowid, blobs) values (?, ?)",
        [
            (record, " ".join([blob.hex()[:DIGITS] for blob in blobs]))
            for record, blobs in references
        ],
    )


def datasets_with(db: sqlite_utils.Database, blob: bytes) -> list[int]:
    """Return the rows of the datasets that refer to a blob."""
    sql = """select distinct dataset from blob_names
             join records on records.seq = blob_names.rowid
             join datasets on datasets.id = records.chain
             join dataset_blobs on dataset_blobs.dataset = datasets.seq and blob = ?
             where blob_names match ? order by dataset"""
    rows = db.conn.execute(sql, [blob, f'"{blob.hex()[:DIGITS]}"'])
    return [row[0] for row in rows.fetchall()]


def blobs_beginning(db: sqlite_utils.Database, prefix: str, *, limit: int) -> list[bytes]:
    """Return blobs that a dataset refers to and whose hash begins with these hex digits."""
    bounds = [bytes.fromhex(prefix.ljust(64, digit)) for digit in "0f"]
    sql = """select distinct blob from blob_names
             join records on records.seq = blob_names.rowid
             join datasets on datasets.id = records.chain
             join dataset_blobs on dataset_blobs.dataset = datasets.seq
             where blob_names match ? and blob between ? and ? limit ?"""
    rows = db.conn.execute(sql, [f'"{prefix[:DIGITS]}"*', *bounds, limit])
    return [row[0] for row in rows.fetchall()]
