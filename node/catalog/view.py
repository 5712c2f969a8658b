"""The current view: one row for each dataset, with all that lists and searches need of it.

Everything here follows from the records that count, so it can be made again at any time.
"""

from typing import Any

import msgspec
import sqlite_utils

from node.catalog.measures import measure
from node.catalog.postings import newest_text
from node.catalog.references import add_references
from node.catalog.views import HitSummary
from protocol.records import Dataset, Tag

__all__ = ["CURRENT", "REVOKED", "WITHDRAWN", "CurrentView"]

CURRENT, WITHDRAWN, REVOKED = 0, 1, 2
CARD_TEXT_LENGTH_MAX = 1_000
CARD_AUTHORS_MAX = 50
CARD_TAGS_MAX = 50
# The first pages of a documentation say what it is about.
INDEXED_LENGTH_MAX = 50_000
INDEXED_FILES_MAX = 1_000
_ENCODER = msgspec.json.Encoder()


class CurrentView:
    """Writes the current view. Lives as long as one transaction, and `close` belongs to it.

    Words, terms and blobs go in last, each table at once: that is cheaper for every table, and
    what is written in between makes FTS5 put down what it has gathered, a small segment each time.

    Args:
        db: In that transaction.
    """

    def __init__(self, db: sqlite_utils.Database) -> None:
        self._db = db
        self._terms: dict[tuple[str, str], int] = {}
        self._texts: list[list[str | int]] = []
        self._last_text = 0
        self._tagged: list[tuple[int, int]] = []
        self._blobs: list[tuple[int, bytes, str]] = []
        self._references: list[tuple[int, list[bytes]]] = []
        self._cards: list[tuple[int, str]] = []

    def close(self) -> None:
        """Write what has been gathered."""
        self._put_links()
        self._db.conn.executemany(
            "insert into dataset_text (rowid, name, tags, authors, description, documentation, "
            "files) values (?, ?, ?, ?, ?, ?, ?)",
            self._texts,
        )
        self._texts.clear()
        add_references(self._db, self._references)
        self._references.clear()
        self._db.conn.executemany("insert or replace into cards values (?, ?)", self._cards)
        self._cards.clear()

    def show(self, dataset_id: str, dataset: Dataset, *, publisher: int, record: int) -> None:
        """Make a record the one that a dataset shows."""
        summary = measure(dataset)
        row = [
            dataset_id,
            publisher,
            record,
            record,
            dataset.revision,
            dataset.visibility,
            dataset.issued,
            self._add_text(dataset),
            dataset.name,
            dataset.license,
            summary.dimension,
            summary.localizations,
            summary.precision_nm,
            summary.fov_um,
            summary.size,
        ]
        cursor = self._db.conn.execute(_SHOW, row)
        seq = int(cursor.fetchall()[0][0])
        if dataset.revision > 1:
            self._drop_links(seq)
        self._tagged += [(seq, self._term(tag)) for tag in dataset.tags]
        blobs = [(seq, bytes.fromhex(blob), kind) for blob, kind in _kinds(dataset).items()]
        self._blobs += blobs
        self._references.append((record, [blob for _, blob, _ in blobs]))
        self._cards.append((seq, _card(dataset, summary)))

    def refresh(self, dataset_id: str) -> None:
        """Show what now is the newest of a dataset's records that count."""
        counting = self._db.conn.execute(
            """select seq, type, revision, issued from records where chain = ? and counts
               order by revision desc, id""",
            [dataset_id],
        ).fetchall()
        shown = next((row for row in counting if row[1] == "dataset"), None)
        if shown is None:
            self._db.conn.execute(
                "update datasets set status = ? where id = ?", [REVOKED, dataset_id]
            )
            return
        known = self._db.conn.execute(
            "select record, status, seq from datasets where id = ?", [dataset_id]
        ).fetchone()
        if known is None or known[0] != shown[0] or known[1] == REVOKED:
            if known is not None:
                self._drop_links(known[2])
            payload, publisher = self._db.conn.execute(
                "select payload, publisher from payloads join records on seq = record "
                "where record = ?",
                [shown[0]],
            ).fetchone()
            dataset = Dataset.from_bytes(payload)
            self.show(dataset_id, dataset, publisher=publisher, record=shown[0])
        newest = counting[0]
        status = WITHDRAWN if newest[1] == "withdrawal" else CURRENT
        self._db.conn.execute(
            "update datasets set current = ?, revision = ?, issued = ?, status = ? where id = ?",
            [newest[0], newest[2], newest[3], status, dataset_id],
        )

    def mark_forked(self, dataset_id: str) -> None:
        """Flag a dataset of which two records of one revision exist."""
        self._db.conn.execute("update datasets set forked = 1 where id = ?", [dataset_id])

    def _add_text(self, dataset: Dataset) -> int:
        if not self._last_text:
            self._last_text = newest_text(self._db)
        self._last_text += 1
        self._texts.append([self._last_text, *_words(dataset)])
        return self._last_text

    def _drop_links(self, dataset: int) -> None:
        self._put_links()  # An earlier revision may be of the same batch.
        self._db.conn.execute("delete from dataset_terms where dataset = ?", [dataset])
        # What earlier revisions refer to stays readable, but is not what holders must have.
        self._db.conn.execute("update dataset_blobs set current = 0 where dataset = ?", [dataset])

    def _put_links(self) -> None:
        self._db.conn.executemany("insert or ignore into dataset_terms values (?, ?)", self._tagged)
        self._db.conn.executemany(
            "insert into dataset_blobs (dataset, blob, kind, current) values (?, ?, ?, 1) "
            "on conflict (dataset, blob) do update set kind = excluded.kind, current = 1",
            self._blobs,
        )
        self._tagged.clear()
        self._blobs.clear()

    def _term(self, tag: Tag) -> int:
        key = (tag.category, tag.term.casefold())
        number = self._terms.get(key)
        if number is None:
            self._db.conn.execute(
                "insert or ignore into terms (category, term, label) values (?, ?, ?)",
                [*key, tag.label or tag.term],
            )
            number = int(
                self._db.conn.execute(
                    "select seq from terms where category = ? and term = ?", key
                ).fetchone()[0]
            )
            self._terms[key] = number
        return number


_SHOW = f"""
    insert into datasets (id, publisher, record, current, revision, visibility, status, forked,
        issued, text, name, license, dimension, localizations, precision_nm, fov_um, size)
    values (?, ?, ?, ?, ?, ?, {CURRENT}, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    on conflict (id) do update set record = excluded.record, current = excluded.current,
        revision = excluded.revision, status = excluded.status, issued = excluded.issued,
        text = excluded.text, name = excluded.name, license = excluded.license,
        dimension = excluded.dimension, localizations = excluded.localizations,
        precision_nm = excluded.precision_nm, fov_um = excluded.fov_um, size = excluded.size
    returning seq"""


def _words(dataset: Dataset) -> list[str]:
    """Return what is indexed: name, tags, authors, description, documentation, files."""
    tags = " ".join(f"{tag.term} {tag.label}" for tag in dataset.tags)
    authors = " ".join(f"{item.name} {item.affiliation} {item.orcid}" for item in dataset.authors)
    samples = " ".join(f"{item.name} {item.description}" for item in dataset.samples)
    files = [file.name for sample in dataset.samples for file in sample.files]
    return [
        dataset.name,
        tags,
        f"{authors} {dataset.uploaded_by}",
        dataset.description,
        dataset.documentation[:INDEXED_LENGTH_MAX],
        samples[:INDEXED_LENGTH_MAX] + " " + " ".join(files[:INDEXED_FILES_MAX]),
    ]


def _card(dataset: Dataset, summary: HitSummary) -> str:
    description = dataset.description
    if len(description) > CARD_TEXT_LENGTH_MAX:
        description = description[: CARD_TEXT_LENGTH_MAX - 1].rstrip() + "…"
    thumbnails = (sample.thumbnail for sample in dataset.samples if sample.thumbnail is not None)
    first = next(thumbnails, None)
    card: dict[str, Any] = {
        "description": description,
        "authors": [author.name for author in dataset.authors[:CARD_AUTHORS_MAX]],
        "tags": [
            [tag.category, tag.term, tag.label, tag.curie] for tag in dataset.tags[:CARD_TAGS_MAX]
        ],
        "thumbnail": None if first is None else first.sha256,
        "summary": summary,
    }
    return _ENCODER.encode(card).decode()


def _kinds(dataset: Dataset) -> dict[str, str]:
    """Return what each blob of a dataset is; one that is both is a file."""
    kinds: dict[str, str] = {}
    kinds |= dict.fromkeys([blob.sha256 for blob in dataset.pyramids], "pyramid")
    kinds |= dict.fromkeys([blob.sha256 for blob in dataset.pictures], "thumbnail")
    for sample in dataset.samples:
        for file in sample.files:
            kinds[file.sha256] = "file"
    return kinds
