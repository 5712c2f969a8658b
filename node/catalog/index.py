"""The columns, terms and publishers that searches run on, kept up with the tables.

Built from the tables when first needed, then brought up to date by the lines of the change log,
whoever committed them.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import sqlite_utils

from node.catalog.changes import ChangeLine
from node.catalog.columns import Columns, Row
from node.catalog.facets import Publisher, Terms
from node.catalog.view import CURRENT
from node.catalog.words import fold

__all__ = ["Index"]

_VARIABLES_MAX = 500
_ROW_COLUMNS = """seq, text, visibility, publisher, license, dimension, localizations,
    precision_nm, fov_um, size, issued, name, status"""


class Index:
    """What is in memory about the shown datasets. Hold `lock` while reading it.

    `version` changes whenever anything here does.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.version = 0
        self.is_built = False
        self._clear()

    def _clear(self) -> None:
        self.columns = Columns()
        self.terms = Terms()
        self.publishers: dict[int, Publisher] = {}
        self.publisher_rows: dict[str, int] = {}
        self._epochs: dict[int, int] = {}

    def build(self, db: sqlite_utils.Database) -> None:
        """Read everything."""
        with self.lock:
            self._clear()
            self._load_publishers(db, where="true", values=[])
            self.terms.load(db)
            self.columns.put(_all_rows(db))
            self.is_built = True
            self.version += 1

    def update(self, db: sqlite_utils.Database, lines: Sequence[ChangeLine]) -> None:
        """Read what the lines say has changed."""
        touched = sorted({line.publisher for line in lines})
        changed = {seq for line in lines for seq in _changed_by(db, line)}
        with self.lock:
            for part in _parts(touched):
                where = f"seq in ({','.join('?' * len(part))})"
                for publisher in self._load_publishers(db, where=where, values=part):
                    changed |= _of_publisher(db, publisher)
            self.terms.load(db)
            self.columns.put(_rows(db, sorted(changed)))
            self.version += 1

    def _load_publishers(
        self, db: sqlite_utils.Database, *, where: str, values: Sequence[int]
    ) -> list[int]:
        """Read publishers. Return those whose datasets have to be read again, all of them."""
        changed = []
        sql = f"select seq, id, name, institution, blocked, epoch from publishers where {where}"
        for seq, id_, name, institution, blocked, epoch in db.conn.execute(sql, values):
            self.publishers[seq] = Publisher(
                id=id_,
                name=name,
                institution=institution,
                folded=fold(f"{name} {institution}"),
                blocked=bool(blocked),
            )
            self.publisher_rows[id_] = seq
            if self._epochs.get(seq, epoch) != epoch:
                changed.append(seq)
            self._epochs[seq] = epoch
        return changed


def _changed_by(db: sqlite_utils.Database, line: ChangeLine) -> Iterator[int]:
    rows = db.conn.execute(
        """select distinct datasets.seq from records join datasets on datasets.id = chain
           where records.seq between ? and ? and records.publisher = ? and scope = ?""",
        [line.first_record, line.last_record, line.publisher, line.scope],
    )
    return (row[0] for row in rows.fetchall())


def _of_publisher(db: sqlite_utils.Database, publisher: int) -> set[int]:
    rows = db.conn.execute("select seq from datasets where publisher = ?", [publisher])
    return {row[0] for row in rows}


def _all_rows(db: sqlite_utils.Database) -> Iterator[Row]:
    rows = db.conn.execute(f"select {_ROW_COLUMNS} from datasets order by seq")
    entries = db.conn.execute("select dataset, term from dataset_terms order by dataset, term")
    return _joined(rows, entries)


def _rows(db: sqlite_utils.Database, seqs: Sequence[int]) -> Iterator[Row]:
    for part in _parts(seqs):
        marks = ",".join("?" * len(part))
        rows = db.conn.execute(
            f"select {_ROW_COLUMNS} from datasets where seq in ({marks}) order by seq", part
        )
        entries = db.conn.execute(
            f"select dataset, term from dataset_terms where dataset in ({marks}) "
            "order by dataset, term",
            part,
        )
        yield from _joined(rows, entries)


def _joined(rows: Iterable[Any], entries: Iterable[Any]) -> Iterator[Row]:
    """Bring rows and their terms together; both are in the order of the datasets."""
    tagged = ((seq, [term for _, term in group]) for seq, group in groupby(entries, lambda e: e[0]))
    next_seq, terms = next(tagged, (None, []))
    for seq, text, visibility, *fields, status in rows:
        own: list[int] = []
        if next_seq == seq:
            own = terms
            next_seq, terms = next(tagged, (None, []))
        shown = visibility if status == CURRENT else ""
        yield Row(*(seq, text, shown, *fields, own))


def _parts(values: Sequence[int]) -> Iterator[Sequence[int]]:
    return (values[i : i + _VARIABLES_MAX] for i in range(0, len(values), _VARIABLES_MAX))
