"""Which texts match: asked of the text index once, remembered as bits, and kept up to date.

Texts are only ever added, each in a higher row than all before, and none is changed (`view.py`).
So what is remembered of a word stays true, and later only the rows after it have to be asked for,
however much is being published meanwhile. One bit for each text is small enough to keep what
people ask for, the common words above all, which are those that are slow to look up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sqlite_utils
from numpy.typing import NDArray

from node.catalog.recent import Recent
from node.catalog.taglists import Mask

__all__ = ["Posting", "Postings", "newest_text"]

POSTINGS_MAX = 4_096
POSTINGS_SIZE_MAX = 64 << 20
OVERHEAD_SIZE = 500  # Of one entry, about.


@dataclass(frozen=True, slots=True)
class Posting:
    """The texts that match something.

    Attributes:
        last: The last text that was looked at.
        bits: One for each text from 0 on, packed, (last // 8 + 1,).
    """

    last: int
    bits: NDArray[np.uint8]

    def __bool__(self) -> bool:
        return bool(self.bits.any())

    def __and__(self, other: Posting) -> Posting:
        size = min(len(self.bits), len(other.bits))
        return Posting(min(self.last, other.last), self.bits[:size] & other.bits[:size])

    def __or__(self, other: Posting) -> Posting:
        longer, shorter = (self, other) if self.last >= other.last else (other, self)
        bits = longer.bits.copy()
        bits[: len(shorter.bits)] |= shorter.bits
        return Posting(longer.last, bits)

    @property
    def count(self) -> int:
        """How many texts match."""
        return int(np.bitwise_count(self.bits).sum())

    def has(self, texts: NDArray[np.int64]) -> Mask:
        """Return which of the texts (n,) match, (n,); those after the last do not."""
        flags = np.zeros(self.last + 2, np.bool_)
        flags[:-1] = np.unpackbits(self.bits, count=self.last + 1)
        found: Mask = flags.take(texts, mode="clip")
        return found


class Postings:
    """Looks expressions up in the text index. Safe in threads."""

    def __init__(self) -> None:
        self._recent: Recent[str, Posting] = Recent(POSTINGS_MAX, weight_max=POSTINGS_SIZE_MAX)

    def find(self, db: sqlite_utils.Database, match: str, *, last: int) -> Posting:
        """Return the texts that match an expression of the text index.

        Args:
            db: In a transaction. What is remembered may have been read in a later one.
            match: In the text index's own syntax.
            last: The newest text of the transaction.
        """
        known = self._recent.get(match)
        if known is not None and known.last >= last:
            return known
        posting = _look_up(db, match, known=known, last=last)
        self._recent.put(match, posting, weight=len(posting.bits) + len(match) + OVERHEAD_SIZE)
        return posting


def newest_text(db: sqlite_utils.Database) -> int:
    """Return the highest row of all texts, 0 if there is none."""
    row = db.conn.execute("select coalesce(max(id), 0) from dataset_text_docsize").fetchone()
    return int(row[0])


def _look_up(db: sqlite_utils.Database, match: str, *, known: Posting | None, last: int) -> Posting:
    flags = np.zeros(last + 1, np.bool_)
    sql, values = "select group_concat(rowid) from dataset_text where dataset_text match ?", [match]
    if known is not None:
        flags[: known.last + 1] = np.unpackbits(known.bits, count=known.last + 1)
        sql += " and rowid > ?"
        values.append(str(known.last))
    # One long text is several times faster to take over than as many rows.
    found = db.conn.execute(sql, values).fetchone()[0]
    flags[np.fromstring(found or "", np.int64, sep=",")] = True
    return Posting(last, np.packbits(flags))
