"""The words that tags are made of: categories, their usual terms, and ontology ids.

Source:
    imodpasteur/ShareLoc.XYZ, site.config.json and src/shareloc.tsv (the categories and terms);
    FBbi, GO, CHEBI, UniProt, Cellosaurus, NCBITaxon and EFO (the CURIEs).
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

from node.errors import InputError
from protocol.records import Tag

__all__ = ["Category", "categories", "parse_tag"]

TERM_LENGTH_MAX = 80
_CATEGORY_ALIASES = {
    "cell": "cell-line",
    "software": "reconstruction-software",
    "labelling-strategy": "labeling-strategy",
    "labeling": "labeling-strategy",
    "labelling": "labeling-strategy",
    "target": "target-molecule",
    "dye": "fluorophore",
    "method": "modality",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One kind of tag.

    Attributes:
        tags: The usual tags by term, and by each alias of a term.
    """

    name: str
    label: str
    tags: dict[str, Tag]


@functools.cache
def categories() -> dict[str, Category]:
    """Return every category by name, in the order people read them."""
    text = resources.files("node").joinpath("vocabulary.json").read_text(encoding="utf-8")
    return {name: _category(name, entry) for name, entry in json.loads(text).items()}


def parse_tag(text: str) -> Tag:
    """Return the tag that people write as `category:term`.

    A term that the vocabulary lacks is taken as it is: it suggests, it does not rule.

    Raises:
        InputError: There is no such category, or the term is empty or too long.
    """
    category, colon, term = text.partition(":")
    slug = _slug(category)
    found = categories().get(_CATEGORY_ALIASES.get(slug, slug))
    if not colon or found is None:
        close = difflib.get_close_matches(slug, categories(), 1)
        hint = f" Did you mean {close[0]}:{term or '...'}?" if close else ""
        raise InputError(
            f"tag {text!r} must be written CATEGORY:TERM with one of the categories "
            f"{', '.join(categories())}.{hint}"
        )
    key = _slug(term)
    if not key or len(key) > TERM_LENGTH_MAX:
        raise InputError(f"tag {text!r} needs a term of 1 to {TERM_LENGTH_MAX} characters")
    known = found.tags.get(key)
    return known or Tag(category=found.name, term=key, label=term.strip())


def _category(name: str, entry: dict[str, Any]) -> Category:
    tags: dict[str, Tag] = {}
    for row in entry["terms"]:
        tag = Tag(category=name, term=row["term"], label=row["label"], curie=row.get("curie", ""))
        # A label is what people copy from a page, so it finds its term too.
        for key in (row["term"], _slug(row["label"]), *row.get("aliases", ())):
            tags.setdefault(key, tag)
    return Category(name=name, label=entry["label"], tags=tags)


def _slug(text: str) -> str:
    """Lower case, words joined by single dashes; other signs (4%pfa, pfa+gluta) stay."""
    return re.sub(r"[\s_\-]+", "-", text.strip().lower()).strip("-")
