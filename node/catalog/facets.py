"""How many of the results have which term: by tag category, publisher, licence and dimension."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import sqlite_utils
from numpy.typing import NDArray

from node.catalog.columns import Columns
from node.catalog.taglists import Mask, Rows
from node.catalog.views import FacetCount

__all__ = ["Publisher", "Terms", "count_facets"]

FACET_TERMS_MAX = 100
_COUNTED_MAX = 5_000  # Of all terms; nobody reads further down.
# These facets are measured or signed; a tag category of the same name would only contradict.
_OWN_FACETS = ("publisher", "license", "dimension")


@dataclass(frozen=True, slots=True)
class Publisher:
    """What searches need of a publisher; `folded` is its name and institution for matching."""

    id: str
    name: str
    institution: str
    folded: str
    blocked: bool


class Terms:
    """The terms of all tags by number; they only ever become more."""

    def __init__(self) -> None:
        self._terms: list[tuple[str, str, str]] = [("", "", "")]
        self._numbers: dict[tuple[str, str], int] = {}

    def load(self, db: sqlite_utils.Database) -> None:
        """Read the terms that are new."""
        rows = db.conn.execute(
            "select seq, category, term, label from terms where seq >= ? order by seq",
            [len(self._terms)],
        )
        for seq, category, term, label in rows:
            while len(self._terms) < seq:
                self._terms.append(("", "", ""))
            self._terms.append((category, term, label))
            self._numbers[category, term] = seq

    def number(self, category: str, term: str) -> int | None:
        """Return a term's number, None if no dataset ever had it."""
        return self._numbers.get((category, term.casefold()))

    def __getitem__(self, number: int) -> tuple[str, str, str]:
        """Return category, term and label."""
        return self._terms[number]


def count_facets(
    columns: Columns,
    rows: Rows,
    mask: Mask,
    *,
    terms: Terms,
    publishers: dict[int, Publisher],
) -> dict[str, list[FacetCount]]:
    """Return the facets of the rows, most frequent first, at most a hundred of each.

    Args:
        columns: All datasets.
        rows: The results' rows, (n,).
        mask: The same as booleans.
        terms: The words for term numbers.
        publishers: By their row.
    """
    facets: dict[str, list[FacetCount]] = {}
    for number, count in _descending(columns.tags.count(rows, mask)):
        category, term, label = terms[number]
        counted = facets.setdefault(category, [])
        if category not in _OWN_FACETS and len(counted) < FACET_TERMS_MAX:
            counted.append(FacetCount(term=term, label=label, count=count))
    counts = np.bincount(columns["publisher"][rows])
    facets["publisher"] = [
        FacetCount(term=publishers[row].id, label=publishers[row].name, count=count)
        for row, count in _first(_descending(counts))
    ]
    counts = np.bincount(columns["license"][rows])
    facets["license"] = [
        FacetCount(term=columns.licenses[row], label=columns.licenses[row], count=count)
        for row, count in _first(_descending(counts))
    ]
    counts = np.bincount(columns["dimension"][rows])
    facets["dimension"] = [
        FacetCount(term=str(dimension), label=f"{dimension}D", count=count)
        for dimension, count in _descending(counts)
        if dimension
    ]
    return {
        name: sorted(counted, key=lambda item: (-item.count, item.term))
        for name, counted in sorted(facets.items())
        if counted
    }


def _descending(counts: NDArray[np.int64]) -> Iterable[tuple[int, int]]:
    used = np.flatnonzero(counts)
    order = used[np.argsort(-counts[used], kind="stable")][:_COUNTED_MAX]
    return zip(order.tolist(), counts[order].tolist(), strict=True)


def _first(counted: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    return [item for _, item in zip(range(FACET_TERMS_MAX), counted, strict=False)]
