"""Search: the text index finds words, the columns filter, count and sort, tables show a page."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import sqlite_utils
from numpy.typing import NDArray

from node.catalog.facets import count_facets
from node.catalog.hits import read_hits
from node.catalog.index import Index
from node.catalog.matching import Matched, Matcher
from node.catalog.order import SORTS, Cursor, page
from node.catalog.postings import Postings
from node.catalog.recent import Recent
from node.catalog.taglists import Mask, Rows
from node.catalog.views import FacetCount, Query, Results
from node.catalog.words import Word, parse_words
from node.errors import InputError
from node.storage.blobs import DirectoryBlobs

__all__ = ["SORTS", "Search"]

LIMIT_MAX = 200
REMEMBERED_MAX = 64
REMEMBERED_ROWS_MAX = 4_000_000
OFFERED_MAX = 200


@dataclass(frozen=True, slots=True)
class _Found:
    """All results of a query, whatever the page: their rows, how well they fit, their facets."""

    rows: Rows
    tiers: NDArray[np.int8]
    facets: dict[str, list[FacetCount]]


class Search:
    """Answers queries from an index. Safe in several reader threads at once.

    Args:
        index: Kept up by the caller.
        own: This node's publisher id.
        blobs: What this node holds itself.
    """

    def __init__(self, index: Index, *, own: str | None, blobs: DirectoryBlobs | None) -> None:
        self._index = index
        self._own = own
        self._blobs = blobs
        self._recent: Recent[tuple[int, Query], _Found] = Recent(
            REMEMBERED_MAX, weight_max=REMEMBERED_ROWS_MAX
        )
        self._postings = Postings()

    def run(self, db: sqlite_utils.Database, query: Query) -> Results:
        """Return one page of results.

        Raises:
            InputError: A field of the query has a value that it cannot have.
        """
        start = time.perf_counter()
        words = parse_words(query.text)
        sort = _checked_sort(query, words)
        cursor = sort if query.cursor is None else Cursor.parse(query.cursor, sort=sort)
        found = self._found(db, replace(query, sort=sort, limit=0, cursor=None), words)
        with self._index.lock:
            rows, following = page(
                self._index.columns, found.rows, found.tiers, cursor=cursor, limit=query.limit
            )
        hits = read_hits(db, rows, viewer=query.viewer, own=self._own, blobs=self._blobs)
        return Results(
            total=len(found.rows),
            took_ms=round((time.perf_counter() - start) * 1000, 2),
            hits=hits,
            facets=found.facets,
            cursor=None if following is None else following.format(),
        )

    def offered(self) -> list[str]:
        """Return what people are offered to search for: tags, publishers and institutions."""
        with self._index.lock:
            index = self._index
            counts = index.columns.tags.totals()
            common = np.argsort(-counts, kind="stable")[:OFFERED_MAX]
            labels = [index.terms[number][2] for number in common.tolist() if counts[number]]
            names = [
                text
                for publisher in list(index.publishers.values())[:OFFERED_MAX]
                for text in (publisher.name, publisher.institution)
            ]
        return list(dict.fromkeys([*labels, *names]))

    def look_up(self, db: sqlite_utils.Database, text: str) -> None:
        """Look up the words of a query, so that whoever asks first need not wait for it."""
        query, words = Query(text=text, sort="relevance"), parse_words(text)
        # The last word is a prefix as long as nothing follows it; often, something does.
        for variant in (words, [replace(word, prefix=False) for word in words]):
            if variant:
                self._matched(db, query, variant)

    def _found(self, db: sqlite_utils.Database, query: Query, words: list[Word]) -> _Found:
        # Read before the tables are: what is remembered is never older than its version says.
        version = self._index.version
        found = self._recent.get((version, query))
        if found is not None:
            return found
        matched = self._matched(db, query, words) if words else None
        with self._index.lock:
            found = self._select(query, matched)
        self._recent.put((version, query), found, weight=len(found.rows) + 1)
        return found

    def _matched(self, db: sqlite_utils.Database, query: Query, words: Sequence[Word]) -> Matched:
        with self._index.lock:
            publishers = dict(self._index.publishers)
        matcher = Matcher(db, self._postings, publishers)
        return matcher.find(words, match=query.match, with_tiers=query.sort == "relevance")

    def _select(self, query: Query, matched: Matched | None) -> _Found:
        index, columns = self._index, self._index.columns
        mask = self._filtered(query)
        if matched is not None:
            mask &= matched.rows(columns)
        rows = np.flatnonzero(mask)
        tiers = np.zeros(len(rows), np.int8) if matched is None else matched.fit(columns)[rows]
        facets = count_facets(columns, rows, mask, terms=index.terms, publishers=index.publishers)
        return _Found(rows, tiers, facets)

    def _filtered(self, query: Query) -> Mask:
        """Return what passes everything but the words."""
        index, columns = self._index, self._index.columns
        mask = columns.shown(columns.level(query.viewer.visibilities))
        blocked = [seq for seq, publisher in index.publishers.items() if publisher.blocked]
        if blocked:
            mask &= ~columns.rows_of_publishers(blocked)
        if query.publisher is not None:
            mask &= columns["publisher"] == index.publisher_rows.get(query.publisher, -1)
        if query.license is not None:
            mask &= columns["license"] == columns.license_index(query.license)
        if query.dimension is not None:
            mask &= columns["dimension"] == query.dimension
        # Comparing with NaN is false: what was not measured passes no limit.
        if query.localizations_min is not None:
            mask &= columns["localizations"] >= query.localizations_min
        if query.localizations_max is not None:
            mask &= columns["localizations"] <= query.localizations_max
        if query.precision_max is not None:
            mask &= columns["precision_nm"] <= query.precision_max
        if query.fov_min is not None:
            mask &= columns["fov_um"] >= query.fov_min
        return mask & self._tagged(query) if query.tags else mask

    def _tagged(self, query: Query) -> Mask:
        columns, terms = self._index.columns, self._index.terms
        masks = []
        for tag in query.tags:
            category, _, term = tag.partition(":")
            number = terms.number(category, term)
            masks.append(
                np.zeros(columns.count, np.bool_)
                if number is None
                else columns.tags.rows_with(number, count=columns.count)
            )
        combine = np.logical_and if query.match == "all" else np.logical_or
        combined: Mask = combine.reduce(masks)
        return combined


def _checked_sort(query: Query, words: Sequence[Word]) -> str:
    if query.match not in ("all", "any"):
        raise InputError(f"match: want all or any, got {query.match[:40]!r}")
    if not 0 <= query.limit <= LIMIT_MAX:
        raise InputError(f"limit: want 0 to {LIMIT_MAX}, got {query.limit}")
    sort = query.sort or "relevance"
    if sort not in SORTS:
        raise InputError(f"sort: want one of {', '.join(SORTS)}, got {sort[:40]!r}")
    is_wordless = not any(not word.negated for word in words)
    return "newest" if sort == "relevance" and is_wordless else sort
