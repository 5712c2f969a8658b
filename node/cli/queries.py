"""What people type to search: words, `category:term` among them, and options."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from node.catalog.views import Query
from node.errors import InputError
from node.publishing.tags import parse_tag

__all__ = ["parse_query", "query_options"]

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--tag",
        "tags",
        multiple=True,
        metavar="CATEGORY:TERM",
        help="As in structure:microtubules. Repeatable.",
    ),
    click.option("--license", metavar="L", help="Under this licence, as in CC-BY-4.0."),
    click.option("--dimension", type=click.IntRange(2, 3), help="2 or 3."),
    click.option("--precision-max", type=float, metavar="NM", help="Median uncertainty at most."),
    click.option("--localizations-min", type=int, metavar="N", help="At least so many."),
    click.option(
        "--match",
        type=click.Choice(["all", "any"]),
        default="all",
        show_default=True,
        help="Whether all words and tags must fit, or any.",
    ),
)


def query_options(function: F) -> F:
    """Add the options; with the argument `query` they are passed on as one Query."""

    @functools.wraps(function)
    def wrapped(*args: Any, query: str, **kwargs: Any) -> Any:
        names = ("license", "dimension", "precision_max", "localizations_min", "match")
        given = {name: kwargs.pop(name) for name in names}
        return function(*args, query=parse_query(query, kwargs.pop("tags"), **given), **kwargs)

    decorated: Any = wrapped
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast("F", decorated)


def parse_query(text: str, tags: tuple[str, ...] = (), **fields: Any) -> Query:
    """Return the query that words and tags make; a word such as `modality:palm` is a tag.

    Raises:
        InputError: A tag of `tags` has no category that there is.
    """
    words = []
    found = [parse_tag(tag) for tag in tags]
    for word in text.split():
        try:
            found.append(parse_tag(word))
        except InputError:
            words.append(word)  # Any other word, with or without a colon.
    names = dict.fromkeys(f"{tag.category}:{tag.term}" for tag in found)
    return Query(text=" ".join(words), tags=tuple(names), **fields)
