"""A dataset as one card of a list: its picture, its name and three lines."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from node.catalog import vocabulary
from node.catalog.views import Hit
from node.web.quantities import format_count, format_length, format_plural
from node.web.statements import Statement

__all__ = ["Card", "category_title", "make_card", "short_license"]

TERMS_SHOWN = 3
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
    publisher: str
    copies: str
    state: Statement | None

    @property
    def terms_more(self) -> int:
        """How many tags do not fit."""
        return len(self.terms_hidden)


def make_card(hit: Hit, *, held: Collection[str]) -> Card:
    """Return the card of one hit.

    Args:
        hit: The dataset as the search gives it.
        held: The blobs that are here; a picture that is not among them leaves its place empty.
    """
    labels = _labels(hit)
    has_picture = hit.thumbnail is not None and hit.thumbnail in held
    return Card(
        dataset=hit.dataset,
        name=hit.name,
        picture=f"/blobs/{hit.thumbnail}" if has_picture else None,
        no_picture="The picture has not arrived at this node yet."
        if hit.thumbnail
        else "This dataset has no picture.",
        terms=labels[:TERMS_SHOWN],
        terms_hidden=labels[TERMS_SHOWN:],
        facts=_facts(hit),
        publisher=hit.publisher_name or hit.institution or f"Publisher {hit.publisher[:8]}",
        copies=format_plural(hit.holders, "copy", "copies") if hit.holders else "no copy in reach",
        state=_state(hit),
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


def _facts(hit: Hit) -> tuple[str, ...]:
    summary = hit.summary
    found = []
    if summary.localizations is not None:
        found.append(f"{format_count(summary.localizations)}\u00a0locs")
    if summary.dimension is not None:
        found.append(f"{summary.dimension}D")
    if summary.precision_nm is not None:
        found.append(format_length(summary.precision_nm))
    if summary.samples > 1:
        found.append(format_plural(summary.samples, "sample").replace(" ", "\u00a0"))
    found.append(short_license(hit.license))
    return tuple(found)


def _state(hit: Hit) -> Statement | None:
    if hit.status == "withdrawn":
        return Statement(tone="bad", word="Withdrawn", sentence="")
    if hit.status == "forked":
        return Statement(tone="bad", word="Two versions", sentence="")
    word = _VISIBILITY.get(hit.visibility)
    return Statement(tone="attention", word=word, sentence="") if word else None
