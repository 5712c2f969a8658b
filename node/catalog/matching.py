"""Which datasets the words of a query match: by their own words, or by their publisher's name."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlite_utils
from numpy.typing import NDArray

from node.catalog.columns import Columns
from node.catalog.facets import Publisher
from node.catalog.postings import Posting, Postings, newest_text
from node.catalog.taglists import Mask
from node.catalog.words import Word

__all__ = ["Matched", "Matcher"]

# What makes a result fit better: all words in its name, else in its name and tags.
_TIERS = (("{name tags}", 1), ("{name}", 2))


@dataclass(frozen=True, slots=True)
class _Match:
    """What matches one word: texts, and publishers by their name or institution."""

    texts: Posting
    publishers: Sequence[int]

    def rows(self, columns: Columns) -> Mask:
        """Return the rows that match, as (count,) booleans."""
        found = self.texts.has(columns["text"])
        return found | columns.rows_of_publishers(self.publishers) if self.publishers else found


@dataclass(frozen=True, slots=True)
class Matched:
    """What the words of a query match.

    Attributes:
        wanted: A result matches all of these; empty if no words are wanted.
        unwanted: A result matches none of these.
        tiers: Texts that fit better, and how much.
    """

    wanted: Sequence[_Match]
    unwanted: Sequence[_Match]
    tiers: Sequence[tuple[Posting, int]]

    def rows(self, columns: Columns) -> Mask:
        """Return the rows that match, as (count,) booleans."""
        mask = np.ones(columns.count, np.bool_)
        for match in self.wanted:
            mask &= match.rows(columns)
        for match in self.unwanted:
            mask &= ~match.rows(columns)
        return mask

    def fit(self, columns: Columns) -> NDArray[np.int8]:
        """Return the tier of each row, (count,)."""
        tiers = np.zeros(columns.count, np.int8)
        for texts, tier in self.tiers:
            tiers[texts.has(columns["text"])] = tier
        return tiers


class Matcher:
    """Looks up words in the text index and in the names of publishers.

    Args:
        db: In a transaction.
        postings: What is known of the text index.
        publishers: By their row.
    """

    def __init__(
        self,
        db: sqlite_utils.Database,
        postings: Postings,
        publishers: Mapping[int, Publisher],
    ) -> None:
        self._db = db
        self._postings = postings
        self._publishers = publishers
        self._last = newest_text(db)

    def find(self, words: Sequence[Word], *, match: str, with_tiers: bool) -> Matched:
        """Return what all or any of the words match, at least one."""
        wanted = [word for word in words if not word.negated]
        found = [self._match(word) for word in wanted]
        if match == "any":
            found = [_any(found)] if found else []
        return Matched(
            wanted=_combined(found),
            unwanted=[self._match(word) for word in words if word.negated],
            tiers=self._tiers(wanted, match=match) if wanted and with_tiers else [],
        )

    def _match(self, word: Word) -> _Match:
        pattern = word.pattern()
        named = [seq for seq, item in self._publishers.items() if pattern.search(item.folded)]
        return _Match(self._look_up(word.expression), named)

    def _look_up(self, expression: str) -> Posting:
        return self._postings.find(self._db, expression, last=self._last)

    def _tiers(self, words: Sequence[Word], *, match: str) -> list[tuple[Posting, int]]:
        # The rarest first: where it is in no name, the others need not be looked up.
        ordered = sorted(words, key=lambda word: self._look_up(word.expression).count)
        tiers: list[tuple[Posting, int]] = []
        for columns, tier in _TIERS:
            found: Posting | None = None
            for word in ordered:
                texts = self._look_up(f"{columns} : {word.expression}")
                if found is not None:
                    texts = found & texts if match == "all" else found | texts
                found = texts
                if match == "all" and not found:
                    return tiers  # Each tier is a part of the one before.
            assert found is not None  # There are words.
            tiers.append((found, tier))
        return tiers


def _any(matches: Sequence[_Match]) -> _Match:
    texts = functools.reduce(operator.or_, [match.texts for match in matches])
    return _Match(texts, sorted({seq for match in matches for seq in match.publishers}))


def _combined(matches: Sequence[_Match]) -> list[_Match]:
    """Return the same as fewer matches: bits are many times faster to combine than rows."""
    named = [match for match in matches if match.publishers]
    texts = [match.texts for match in matches if not match.publishers]
    return [*named, _Match(functools.reduce(operator.and_, texts), ())] if texts else named
