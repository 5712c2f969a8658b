"""A dataset as one card of a list: its picture, its name and a few short lines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from node.catalog import vocabulary
from node.catalog.views import Hit, Reachability
from node.web.quantities import format_count, format_length, format_moment, format_plural
from node.web.statements import Statement

__all__ = ["Card", "Surroundings", "category_title", "make_card", "short_license"]

TERMS_SHOWN = 3
# What fits on one line of the narrowest card beside the number of the others.
TERMS_LENGTH_MAX = 26
# The categories that people tell datasets apart by, in the order they name them.
_TELLING = ("modality", "structure", "target-molecule", "cell-line", "fluorophore")
_VISIBILITY = {"members": "Members only", "private": "Private"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the template of a card needs, formatted."""

    dataset: str
    name: str
    picture: str | None
    no_picture: str
    terms: tuple[str, ...]
    terms_hidden: tuple[str, ...]
    facts: tuple[str, ...]
    origin: tuple[str, ...]
    states: tuple[Statement, ...]

    @property
    def terms_more(self) -> int:
        """How many tags do not fit."""
        return len(self.terms_hidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known here about the datasets of one list.

    Attributes:
        held: The blobs that are here; a picture that is not among them leaves its place empty.
        reachability: Of the publishers in the list, by id.
        now: Seconds since 1970.
    """

    held: Collection[str]
    reachability: Mapping[str, Reachability]
    now: int

    @property
    def silent(self) -> frozenset[str]:
        """The publishers that do not answer."""
        return frozenset(
            id_ for id_, one in self.reachability.items() if one.state == "unreachable"
        )


def make_card(hit: Hit, around: Surroundings) -> Card:
    """Return the card of one hit."""
    labels = _labels(hit)
    shown = _fitting(labels)
    has_picture = hit.thumbnail is not None and hit.thumbnail in around.held
    return Card(
        dataset=hit.dataset,
        name=hit.name,
        picture=f"/blobs/{hit.thumbnail}" if has_picture else None,
        no_picture="The picture has not arrived at this node yet."
        if hit.thumbnail
        else "This dataset has no picture.",
        terms=shown,
        terms_hidden=tuple(label for label in labels if label not in shown),
        facts=_facts(hit),
        origin=_origin(hit),
        states=tuple(_states(hit, around)),
    )


def category_title(name: str) -> str:
    """Return how people call a tag category, also one that the vocabulary lacks."""
    labels = {category.name: category.label for category in vocabulary.categories()}
    return labels.get(name) or name.replace("-", " ").replace("_", " ").capitalize()


def short_license(spdx_id: str) -> str:
    """Return a licence as people say it: CC-BY-4.0 is `CC BY 4.0`, never broken over lines."""
    return spdx_id.replace("-", "\u00a0") if spdx_id.startswith("CC") else spdx_id


def _labels(hit: Hit) -> tuple[str, ...]:
    order = {category: index for index, category in enumerate(_TELLING)}
    ranked = sorted(hit.tags, key=lambda tag: order.get(tag.category, len(order)))
    # One of each kind first: modality, structure, cell; then whatever else there is.
    first = {tag.category: tag for tag in reversed(ranked)}
    leading = [first[category] for category in _TELLING if category in first]
    others = [tag for tag in ranked if tag not in leading and tag.category != "dimension"]
    return tuple(dict.fromkeys(tag.label or tag.term for tag in [*leading, *others]))


def _fitting(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first labels that fit on a line; one that is too long is passed over."""
    found: list[str] = []
    room = TERMS_LENGTH_MAX
    for label in labels:
        if len(label) <= room and len(found) < TERMS_SHOWN:
            found.append(label)
            room -= len(label) + len(" · ")
    return tuple(found) or labels[:1]


def _facts(hit: Hit) -> tuple[str, ...]:
    summary = hit.summary
    found = []
    if summary.localizations is not None:
        found.append(f"{format_count(summary.localizations)}\u00a0locs")
    if summary.dimension is not None:
        found.append(f"{summary.dimension}D")
    if summary.precision_nm is not None:
        found.append(format_length(summary.precision_nm))
    found.append(short_license(hit.license))
    return tuple(found)


def _origin(hit: Hit) -> tuple[str, ...]:
    found = [hit.publisher_name or hit.institution or f"Publisher {hit.publisher[:8]}"]
    if hit.summary.samples > 1:
        found.append(format_plural(hit.summary.samples, "sample"))
    copies = format_plural(hit.holders, "copy", "copies") if hit.holders else "no copy in reach"
    return (*found, copies)


def _states(hit: Hit, around: Surroundings) -> Iterator[Statement]:
    if hit.status == "withdrawn":
        yield Statement(tone="bad", word="Withdrawn", sentence="")
    elif hit.status == "forked":
        yield Statement(tone="bad", word="Two versions", sentence="")
    if word := _VISIBILITY.get(hit.visibility):
        yield Statement(tone="attention", word=word, sentence="")
    origin = around.reachability.get(hit.publisher)
    if origin is not None and origin.state == "unreachable":
        since = f" since {format_moment(origin.since, around.now)}" if origin.since else ""
        yield Statement(tone="attention", word=f"Origin not reachable{since}", sentence="")
