"""The search page as values: facets, chosen filters, cards, and what to say when nothing fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from node.catalog import vocabulary
from node.catalog.views import FacetCount, Results
from node.web.address import SearchAddress
from node.web.cards import Surroundings, category_title, make_card, short_license
from node.web.quantities import format_exact, format_plural

__all__ = ["FACET_SHOWN", "make_search_page"]

FACET_SHOWN = 6
FACET_LISTED_MAX = 40
# Categories that the vocabulary lacks: one odd dataset may name two hundred of them.
STRANGE_SHOWN_MAX = 4
# Facets that are measured or signed, not typed as tags.
_TITLES = {"dimension": "Dimension", "publisher": "Publisher", "license": "Licence"}
_SORT_WORDS = {
    "newest": "Newest",
    "oldest": "Oldest",
    "localizations": "Most localizations",
    "precision": "Best precision",
    "fov": "Widest field of view",
    "size": "Largest files",
    "name": "Name",
}
_RANGES = {
    "localizations_min": "at least {} localizations",
    "localizations_max": "at most {} localizations",
    "precision_max": "precision \u2264 {} nm",
    "fov_min": "field \u2265 {} µm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One line of a facet."""

    value: str
    label: str
    count: int
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One facet; `kind` is checkbox where several choices can hold together, else radio."""

    title: str
    parameter: str
    kind: str
    shown: tuple[Choice, ...]
    folded: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One chosen filter and the address without it."""

    label: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A sentence of help, perhaps with a way out."""

    text: str
    href: str = ""
    link: str = ""


def make_search_page(
    results: Results,
    address: SearchAddress,
    *,
    around: Surroundings,
    sorts: Iterable[str],
    is_first: bool,
) -> dict[str, Any]:
    """Return everything that search.html shows.

    Args:
        results: One page of hits, with the facets of all.
        address: What was asked for.
        around: What is known of the hits beside what they say.
        sorts: The orders there are.
        is_first: Whether this is the first page of the results.
    """
    chips = _chips(results, address)
    return {
        "address": address,
        "text": address.value("q"),
        "groups": _groups(results.facets, address),
        "chips": chips,
        "cards": [make_card(hit, around) for hit in results.hits],
        "sentence": _sentence(results, address),
        "took": f"found in {results.took_ms:.1f} ms",
        "sort": address.value("sort"),
        "sorts": _sorts(sorts, has_text=bool(address.value("q"))),
        "help": _help(address, has_chips=bool(chips), is_first=is_first),
        "first": None if is_first else address.href(),
        "next": address.href(cursor=results.cursor) if results.cursor else None,
        "next_word": "Older datasets" if _is_by_time(address) else "More datasets",
        "twin": address.href(path="/api/v1/search"),
    }


def _groups(facets: dict[str, list[FacetCount]], address: SearchAddress) -> list[Group]:
    names = [category.name for category in vocabulary.categories()]
    strange = sorted(
        (name for name in facets if name not in names and name not in _TITLES),
        key=lambda name: (-max((entry.count for entry in facets[name]), default=0), name),
    )[:STRANGE_SHOWN_MAX]
    order = [name for name in [*names, *strange] if name in facets and name not in _TITLES]
    order += _TITLES
    groups = [_group(name, facets.get(name, []), address) for name in dict.fromkeys(order)]
    return [group for group in groups if group.shown]


def _group(name: str, counts: list[FacetCount], address: SearchAddress) -> Group:
    is_tag = name not in _TITLES
    parameter = "tag" if is_tag else name
    prefix = f"{name}:" if is_tag else ""
    chosen = set(address.values(parameter))
    choices = [
        Choice(
            value=f"{prefix}{entry.term}",
            label=_label(name, entry),
            count=entry.count,
            is_chosen=f"{prefix}{entry.term}" in chosen,
        )
        for entry in counts[:FACET_LISTED_MAX]
    ]
    # What is chosen stays in sight, however rare it is.
    choices.sort(key=lambda choice: not choice.is_chosen)
    return Group(
        title=_title(name),
        parameter=parameter,
        kind="checkbox" if is_tag else "radio",
        shown=tuple(choices[:FACET_SHOWN]),
        folded=tuple(choices[FACET_SHOWN:]),
    )


def _title(name: str) -> str:
    if name in _TITLES:
        return _TITLES[name]
    return category_title(name)


def _label(name: str, entry: FacetCount) -> str:
    if name == "license":
        return short_license(entry.term)
    if name == "dimension":
        return f"{entry.term}D"
    return entry.label or entry.term


def _chips(results: Results, address: SearchAddress) -> list[Chip]:
    return [
        Chip(label=_chip_label(name, value, results), href=address.without(name, value))
        for name, value in address.filters
    ]


def _chip_label(name: str, value: str, results: Results) -> str:
    if name in _RANGES:
        return _RANGES[name].format(value)
    facet, term = value.partition(":")[::2] if name == "tag" else (name, value)
    for entry in results.facets.get(facet, []):
        if entry.term == term:
            return _label(facet, entry)
    known = vocabulary.label(facet, term) if name == "tag" else ""
    return _label(facet, FacetCount(term=term[:40], label=known, count=0))


def _sentence(results: Results, address: SearchAddress) -> str:
    if not results.total:
        return "No dataset fits" if address.is_filtered else "No datasets yet"
    datasets = format_plural(results.total, "dataset")
    publishers = results.facets.get("publisher", [])
    if not publishers:
        return datasets
    return f"{datasets} from {format_plural(len(publishers), 'publisher')}"


def _sorts(sorts: Iterable[str], *, has_text: bool) -> list[tuple[str, str]]:
    named = [name for name in sorts if name != "relevance"]
    words = [(name, _SORT_WORDS.get(name, name.replace("_", " ").capitalize())) for name in named]
    # Without words there is no best match: the newest come first anyway.
    if has_text:
        return [("", "Best match"), *words]
    return [("" if name == "newest" else name, word) for name, word in words]


def _is_by_time(address: SearchAddress) -> bool:
    sort = address.value("sort")
    return sort == "newest" or (not sort and not address.value("q"))


def _help(address: SearchAddress, *, has_chips: bool, is_first: bool) -> list[Line]:
    if not is_first:
        return [
            Line(text="There is nothing older.", href=address.href(), link="Back to the first.")
        ]
    if not address.is_filtered:
        return [
            Line(text="Nothing has been published here, and no peer has told of anything yet."),
            Line(text="Peers and their state are on the", href="/network", link="network page."),
        ]
    lines = []
    if address.value("match") != "any" and (has_chips or " " in address.value("q")):
        href = address.with_value("match", "any")
        lines.append(
            Line(text="All words and tags must match now.", href=href, link="Match any of them")
        )
    if has_chips:
        count = format_exact(len(address.filters))
        lines.append(
            Line(
                text=f"The filters ({count}) narrow the search.",
                href=address.cleared,
                link="Remove all filters",
            )
        )
    if address.value("q"):
        lines.append(
            Line(
                text=f"Fewer or shorter words find more: \u201c{address.value('q')[:80]}\u201d is "
                "looked for in names, tags, authors, descriptions and file names."
            )
        )
    lines.append(Line(text="Or look at", href="/", link="all datasets known here."))
    return lines
