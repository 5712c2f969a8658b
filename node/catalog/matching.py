"""Which datasets the words of a query match: by their own words, or by their publisher's name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlite_utils
from numpy.typing import NDArray

from node.catalog.facets import Publisher
from node.catalog.words import Word, expression

__all__ = ["Matched", "Matcher"]

# What makes a result fit better: all words in its name, else in its name and tags.
_TIERS = (("{name tags}", 1), ("{name}", 2))


@dataclass(frozen=True, slots=True)
class Matched:
    """What the words of a query match, as rows of the text index and of publishers.

    Attributes:
        wanted: Texts that match by themselves; None if no words are wanted.
        by_publisher: Publishers whose name matches some words, and the texts that match the
            other words; None if there are no others.
        unwanted: Texts and publishers that match an unwanted word.
        tiers: Texts that fit better, and how much.
    """

    wanted: NDArray[np.int64] | None
    by_publisher: Sequence[tuple[list[int], NDArray[np.int64] | None]]
    unwanted: Sequence[NDArray[np.int64]]
    unwanted_publishers: list[int]
    tiers: Sequence[tuple[NDArray[np.int64], int]]

    @property
    def count(self) -> int:
        """How many texts this holds in all, those that it holds twice counted twice."""
        of_publishers = [texts for _, texts in self.by_publisher]
        of_tiers = [texts for texts, _ in self.tiers]
        held = [self.wanted, *of_publishers, *self.unwanted, *of_tiers]
        return sum(len(texts) for texts in held if texts is not None)


class Matcher:
    """Looks up words in the text index and in the names of publishers."""

    def __init__(
        self, db: sqlite_utils.Database, publishers: Mapping[int, Publisher], *, match: str
    ) -> None:
        self._db = db
        self._publishers = publishers
        self._match = match

    def find(self, words: Sequence[Word], *, with_tiers: bool) -> Matched:
        """Return what the words match, at least one."""
        wanted = [word for word in words if not word.negated]
        unwanted = [word for word in words if word.negated]
        whole = expression(wanted, match=self._match)
        groups = self._groups(wanted) if wanted else {}
        return Matched(
            wanted=self._look_up(whole) if wanted else None,
            by_publisher=[
                (rows, self._look_up(remainder) if remainder else None)
                for remainder, rows in groups.items()
            ],
            unwanted=[self._look_up(word.expression) for word in unwanted],
            unwanted_publishers=[seq for word in unwanted for seq in self._named(word)],
            tiers=self._tiers(whole) if wanted and with_tiers else [],
        )

    def _tiers(self, whole: str) -> list[tuple[NDArray[np.int64], int]]:
        tiers: list[tuple[NDArray[np.int64], int]] = []
        for columns, tier in _TIERS:
            found = self._look_up(f"{columns} : ({whole})")
            if not len(found):
                break  # Each tier is a part of the one before.
            tiers.append((found, tier))
        return tiers

    def _groups(self, wanted: Sequence[Word]) -> dict[str, list[int]]:
        """Return publishers that match some words, by the expression of the other words."""
        named = [frozenset(self._named(word)) for word in wanted]
        groups: dict[str, list[int]] = {}
        for seq in frozenset().union(*named):
            others = [word for word, found in zip(wanted, named, strict=True) if seq not in found]
            remainder = expression(others, match="all") if self._match == "all" else ""
            groups.setdefault(remainder, []).append(seq)
        return groups

    def _named(self, word: Word) -> list[int]:
        pattern = word.pattern()
        return [seq for seq, item in self._publishers.items() if pattern.search(item.folded)]

    def _look_up(self, match: str) -> NDArray[np.int64]:
        # One long text is several times faster to take over than as many rows.
        found = self._db.conn.execute(
            "select group_concat(rowid) from dataset_text where dataset_text match ?", [match]
        ).fetchone()[0]
        return np.fromstring(found or "", np.int64, sep=",")
