"""The address of a search: everything people chose is in it, so links reproduce and Back works."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from urllib.parse import urlencode

from node.catalog.views import Query, Viewer
from node.errors import InputError
from protocol.errors import MalformedError
from protocol.identity import parse_digest

__all__ = ["LIMIT_MAX", "SearchAddress", "parse_limit", "parse_number"]

LIMIT_MAX = 100
TEXT_LENGTH_MAX = 500
TAG_COUNT_MAX = 32
TERM_LENGTH_MAX = 200

_FILTERS = (
    "tag",
    "publisher",
    "license",
    "dimension",
    "localizations_min",
    "localizations_max",
    "precision_max",
    "fov_min",
)
_FIELDS = ("q", *_FILTERS, "sort", "match")
_NUMBER = re.compile(r"(\d+(?:[.,]\d+)?(?:e\+?\d{1,2})?)\s*([kMG]?)", re.IGNORECASE)
_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}


class SearchAddress:
    """The search that an address asks for, and the addresses of the searches next to it.

    Args:
        pairs: Names and values of the query string; empty values say nothing and are dropped.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        kept = [(name, value.strip()) for name, value in pairs if name in _FIELDS]
        # dict.fromkeys drops what is said twice and keeps the order.
        self._pairs = tuple(dict.fromkeys(pair for pair in kept if pair[1]))

    def value(self, name: str) -> str:
        """Return what the address says of name, or the empty string."""
        return next((value for key, value in self._pairs if key == name), "")

    def values(self, name: str) -> tuple[str, ...]:
        """Return everything that the address says of name."""
        return tuple(value for key, value in self._pairs if key == name)

    @property
    def filters(self) -> tuple[tuple[str, str], ...]:
        """Everything that narrows the search, beside its words."""
        return tuple(pair for pair in self._pairs if pair[0] in _FILTERS)

    @property
    def is_filtered(self) -> bool:
        """Whether anything was asked for at all."""
        return any(name in {*_FILTERS, "q"} for name, _ in self._pairs)

    @property
    def cleared(self) -> str:
        """The address of the same words without any filter."""
        return self._href(pair for pair in self._pairs if pair[0] not in _FILTERS)

    def href(self, *, path: str = "/", cursor: str | None = None) -> str:
        """Return the address itself, or that of one of its pages."""
        more = (("cursor", cursor),) if cursor else ()
        return self._href((*self._pairs, *more), path=path)

    def with_value(self, name: str, value: str) -> str:
        """Return the address in which name is value and nothing else."""
        kept = [pair for pair in self._pairs if pair[0] != name]
        return self._href([*kept, (name, value)] if value else kept)

    def without(self, name: str, value: str) -> str:
        """Return the address without one choice."""
        return self._href(pair for pair in self._pairs if pair != (name, value))

    def query(
        self, viewer: Viewer, *, limit: int, cursor: str | None, sorts: Iterable[str]
    ) -> Query:
        """Return the search.

        Raises:
            InputError: A value has no meaning; the message names the field.
        """
        text, sort, match = self.value("q"), self.value("sort"), self.value("match") or "all"
        if len(text) > TEXT_LENGTH_MAX:
            raise InputError(f"q: a search has at most {TEXT_LENGTH_MAX} characters")
        if sort and sort not in (allowed := tuple(filter(None, sorts))):
            raise InputError(f"sort: {sort!r} is none of {', '.join(allowed)}")
        if match not in {"all", "any"}:
            raise InputError(f"match: {match!r} is neither all nor any")
        return Query(
            text=text,
            tags=self._tags(),
            publisher=self._publisher(),
            license=self._term("license"),
            dimension=self._dimension(),
            localizations_min=_rounded(self._number("localizations_min")),
            localizations_max=_rounded(self._number("localizations_max")),
            precision_max=self._number("precision_max"),
            fov_min=self._number("fov_min"),
            sort=sort,
            limit=limit,
            cursor=cursor,
            match=match,
            viewer=viewer,
        )

    def _tags(self) -> tuple[str, ...]:
        tags = self.values("tag")
        if len(tags) > TAG_COUNT_MAX:
            raise InputError(f"tag: at most {TAG_COUNT_MAX} at once, got {len(tags)}")
        for tag in tags:
            category, colon, term = tag.partition(":")
            if not (category and colon and term) or len(tag) > TERM_LENGTH_MAX:
                raise InputError(f"tag: {tag[:80]!r} is not of the form category:term")
        return tags

    def _publisher(self) -> str | None:
        text = self.value("publisher")
        try:
            return parse_digest(text) if text else None
        except MalformedError as error:
            raise InputError(f"publisher: {error}") from error

    def _dimension(self) -> int | None:
        text = self.value("dimension").removesuffix("d").removesuffix("D")
        if text not in {"", "2", "3"}:
            raise InputError(f"dimension: {text[:80]!r} is neither 2 nor 3")
        return int(text) if text else None

    def _term(self, name: str) -> str | None:
        text = self.value(name)
        if len(text) > TERM_LENGTH_MAX:
            raise InputError(f"{name}: longer than {TERM_LENGTH_MAX} characters")
        return text or None

    def _number(self, name: str) -> float | None:
        text = self.value(name)
        return parse_number(text, field=name) if text else None

    @staticmethod
    def _href(pairs: Iterable[tuple[str, str]], *, path: str = "/") -> str:
        query = urlencode(list(pairs), safe=":")
        return f"{path}?{query}" if query else path


def parse_number(text: str, *, field: str) -> float:
    """Return a number as people type it: `1e6`, `1.2 M`, `20 000`.

    Raises:
        InputError: It is none, or is negative or not finite.
    """
    found = _NUMBER.fullmatch(re.sub(r"(?<=\d)[\s\u202f\u00a0](?=\d)", "", text.strip()))
    if found is None:
        raise InputError(f"{field}: {text[:80]!r} is not a number; write 20000, 1e6 or 1.2M")
    number = float(found[1].replace(",", ".")) * _PREFIXES[found[2].lower()]
    if not math.isfinite(number) or number > 1e15:
        raise InputError(f"{field}: {text[:80]!r} is larger than anything measured")
    return number


def parse_limit(text: str, *, default: int) -> int:
    """Return how many results to list, 1 to 100.

    Raises:
        InputError: It is not such a number.
    """
    if not text:
        return default
    if not text.isdecimal() or not 1 <= int(text[:6]) <= LIMIT_MAX:
        raise InputError(f"limit: {text[:80]!r} is not a number from 1 to {LIMIT_MAX}")
    return int(text)


def _rounded(number: float | None) -> int | None:
    return None if number is None else round(number)
