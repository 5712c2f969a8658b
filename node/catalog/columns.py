"""The shown datasets as columns in memory: what filters, counts and sorts need, and no more.

Row `seq` of the table `datasets` is row `seq` of every column. A row costs about 90 bytes and each
of its tags 8. Tags stand in one long list of (row, term) entries; a row whose tags change leaves
its old entries behind, owned by row 0, which is never shown, until they are swept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from node.catalog.words import fold

__all__ = ["NAME_SIZE", "Columns", "Mask", "Row", "Rows"]

Mask: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.int64]

NAME_SIZE = 32
_SWEEP_SIZE = 100_000
_LEVELS = {"public": 1, "members": 2, "private": 3}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `datasets`, as far as columns want it; `visibility` is "" if it is not shown."""

    seq: int
    text: int
    visibility: str
    publisher: int
    license: str
    dimension: int | None
    localizations: int | None
    precision_nm: float | None
    fov_um: float | None
    size: int
    issued: int
    name: str
    terms: Sequence[int]


class Columns:
    """Columns that grow and change row by row. The caller sees to it that one thread does."""

    def __init__(self) -> None:
        self.count = 1  # Row 0 stands for nothing.
        self._columns: dict[str, NDArray[Any]] = {
            "level": np.zeros(1, np.uint8),
            "publisher": np.zeros(1, np.int32),
            "license": np.zeros(1, np.int32),
            "dimension": np.zeros(1, np.uint8),
            "localizations": np.zeros(1, np.float64),
            "precision_nm": np.zeros(1, np.float32),
            "fov_um": np.zeros(1, np.float32),
            "size": np.zeros(1, np.float64),
            "issued": np.zeros(1, np.int64),
            "name": np.zeros(1, f"S{NAME_SIZE}"),
            "text": np.zeros(1, np.int64),
            "tags_start": np.zeros(1, np.int64),
            "tags_count": np.zeros(1, np.int32),
        }
        self._row_of_text = np.zeros(1, np.int32)
        self._entry_row = np.zeros(0, np.int32)
        self._entry_term = np.zeros(0, np.int32)
        self._entry_count = 0
        self._dead_count = 0
        self.licenses: list[str] = []
        self._license_index: dict[str, int] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name][: self.count]

    def put(self, rows: Iterable[Row]) -> None:
        """Take over rows as they are now in the table."""
        for row in rows:
            self._put(row)
        if self._dead_count > max(_SWEEP_SIZE, self._entry_count // 2):
            self._sweep()

    def level(self, visibilities: Iterable[str]) -> int:
        """Return the highest level among visibilities; levels include all below."""
        return max((_LEVELS[visibility] for visibility in visibilities), default=0)

    def shown(self, level: int) -> Mask:
        """Return the rows that may be seen at a level, as (count,) booleans."""
        # Level 0 is hidden: subtracting one wraps it to the top.
        return (self["level"] - np.uint8(1)) < level

    def rows_of_texts(self, texts: NDArray[np.int64]) -> Mask:
        """Return the rows whose words the text index found, as (count,) booleans."""
        found = np.zeros(self.count, np.bool_)
        known = texts[texts < len(self._row_of_text)]
        found[self._row_of_text[known]] = True
        found[0] = False
        return found

    def license_index(self, name: str) -> int:
        """Return the number of a licence, -1 if no dataset has it."""
        return self._license_index.get(name.casefold(), -1)

    def rows_of_term(self, term: int) -> Mask:
        """Return the rows that have a term, as (count,) booleans."""
        found = np.zeros(self.count, np.bool_)
        entries = self._entry_term[: self._entry_count] == term
        found[self._entry_row[: self._entry_count][entries]] = True
        found[0] = False
        return found

    def count_terms(self, rows: Rows, mask: Mask) -> NDArray[np.int64]:
        """Return how many of the rows have each term, by the term's number.

        Args:
            rows: Their numbers, (n,).
            mask: The same rows as (count,) booleans.
        """
        if len(rows) * 8 > self.count:
            entries = mask[self._entry_row[: self._entry_count]]
            return np.bincount(self._entry_term[: self._entry_count][entries])
        starts, counts = self["tags_start"][rows], self["tags_count"][rows]
        total = int(counts.sum())
        # Entry numbers of all spans, one after another.
        steps = np.repeat(starts - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        return np.bincount(self._entry_term[steps + np.arange(total)]) if total else _NO_COUNTS

    def _put(self, row: Row) -> None:
        if row.seq >= self.count:
            self._grow(row.seq + 1)
        columns, seq = self._columns, row.seq
        columns["level"][seq] = _LEVELS.get(row.visibility, 0)
        columns["publisher"][seq] = row.publisher
        columns["license"][seq] = self._intern(row.license)
        columns["dimension"][seq] = row.dimension or 0
        columns["localizations"][seq] = _number(row.localizations)
        columns["precision_nm"][seq] = _number(row.precision_nm)
        columns["fov_um"][seq] = _number(row.fov_um)
        columns["size"][seq] = row.size
        columns["issued"][seq] = row.issued
        columns["name"][seq] = fold(row.name).encode()[:NAME_SIZE]
        self._put_text(seq, row.text)
        self._put_terms(seq, row.terms)

    def _put_text(self, seq: int, text: int) -> None:
        column = self._columns["text"]
        if column[seq] != text:
            self._row_of_text = _grown(self._row_of_text, text + 1)
            self._row_of_text[column[seq]] = 0
            self._row_of_text[text] = seq
            column[seq] = text

    def _put_terms(self, seq: int, terms: Sequence[int]) -> None:
        starts, counts = self._columns["tags_start"], self._columns["tags_count"]
        start, count = int(starts[seq]), int(counts[seq])
        if list(self._entry_term[start : start + count]) == list(terms):
            return
        self._entry_row[start : start + count] = 0
        self._dead_count += count
        start, end = self._entry_count, self._entry_count + len(terms)
        self._entry_row = _grown(self._entry_row, end)
        self._entry_term = _grown(self._entry_term, end)
        self._entry_row[start:end] = seq
        self._entry_term[start:end] = terms
        starts[seq], counts[seq] = start, len(terms)
        self._entry_count = end

    def _sweep(self) -> None:
        alive = np.flatnonzero(self._entry_row[: self._entry_count])
        self._entry_row, self._entry_term = self._entry_row[alive], self._entry_term[alive]
        self._entry_count, self._dead_count = len(alive), 0
        # The entries of a row stand together, so its first one is where its number begins.
        rows, firsts = np.unique(self._entry_row, return_index=True)
        self._columns["tags_start"][rows] = firsts

    def _grow(self, count: int) -> None:
        for name, column in self._columns.items():
            self._columns[name] = _grown(column, count)
        self.count = count

    def _intern(self, name: str) -> int:
        index = self._license_index.get(name.casefold())
        if index is None:
            index = self._license_index[name.casefold()] = len(self.licenses)
            self.licenses.append(name)
        return index


_NO_COUNTS = np.zeros(0, np.int64)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _grown(array: NDArray[Any], count: int) -> NDArray[Any]:
    if count <= len(array):
        return array
    bigger = np.zeros(max(count, 2 * len(array), 1024), array.dtype)
    bigger[: len(array)] = array
    return bigger
