"""The shown datasets as columns in memory: what filters, counts and sorts need, and no more.

Row `seq` of the table `datasets` is row `seq` of every column. A row costs about 110 bytes and
each of its tags four more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.catalog.taglists import Mask, TagLists, grown
from node.catalog.words import fold

__all__ = ["NAME_SIZE", "Columns", "Row"]

NAME_SIZE = 32
_CHUNK_COUNT = 4_096
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
        }
        self.tags = TagLists()
        self.licenses: list[str] = []
        self._license_index: dict[str, int] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name][: self.count]

    def put(self, rows: Iterable[Row]) -> None:
        """Take over rows as they are now in the table, each once."""
        following = iter(rows)
        while chunk := list(islice(following, _CHUNK_COUNT)):
            self._put(chunk)

    def level(self, visibilities: Iterable[str]) -> int:
        """Return the highest level among visibilities; levels include all below."""
        return max((_LEVELS[visibility] for visibility in visibilities), default=0)

    def shown(self, level: int) -> Mask:
        """Return the rows that may be seen at a level, as (count,) booleans."""
        # Level 0 is hidden: subtracting one wraps it to the top.
        return (self["level"] - np.uint8(1)) < level

    def rows_of_publishers(self, publishers: Sequence[int]) -> Mask:
        """Return the rows of these publishers, as (count,) booleans."""
        column = self["publisher"]
        # A table of yes and no is ten times faster here than np.isin.
        chosen = np.zeros(max(int(column.max()), *publishers, 0) + 1, np.bool_)
        chosen[list(publishers)] = True
        found: Mask = chosen[column]
        return found

    def license_index(self, name: str) -> int:
        """Return the number of a licence, -1 if no dataset has it."""
        return self._license_index.get(name.casefold(), -1)

    def _put(self, rows: Sequence[Row]) -> None:
        seqs = np.array([row.seq for row in rows])
        self._grow(int(seqs.max()) + 1)
        columns = self._columns
        columns["level"][seqs] = [_LEVELS.get(row.visibility, 0) for row in rows]
        columns["publisher"][seqs] = [row.publisher for row in rows]
        columns["license"][seqs] = [self._intern(row.license) for row in rows]
        columns["dimension"][seqs] = [row.dimension or 0 for row in rows]
        columns["localizations"][seqs] = [_number(row.localizations) for row in rows]
        columns["precision_nm"][seqs] = [_number(row.precision_nm) for row in rows]
        columns["fov_um"][seqs] = [_number(row.fov_um) for row in rows]
        columns["size"][seqs] = [row.size for row in rows]
        columns["issued"][seqs] = [row.issued for row in rows]
        columns["name"][seqs] = [fold(row.name).encode()[:NAME_SIZE] for row in rows]
        columns["text"][seqs] = [row.text for row in rows]
        for row in rows:
            self.tags.put(row.seq, row.terms)

    def _grow(self, count: int) -> None:
        for name, column in self._columns.items():
            self._columns[name] = grown(column, count)
        self.count = max(self.count, count)

    def _intern(self, name: str) -> int:
        index = self._license_index.get(name.casefold())
        if index is None:
            index = self._license_index[name.casefold()] = len(self.licenses)
            self.licenses.append(name)
        return index


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
