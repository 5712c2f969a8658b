"""The tags people know from ShareLoc: categories, terms, their labels and ontology names.

`vocabulary.json` beside this module holds the data. A tag may also use a term that is not in it;
then it has no label, alias or CURIE of ours.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

__all__ = [
    "Category",
    "Ontology",
    "Term",
    "categories",
    "category",
    "curie",
    "iri",
    "label",
    "term",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One term of a category.

    Attributes:
        term: The canonical slug, as in ShareLoc.
        label: How people write it.
        aliases: Other spellings that mean the same.
        exact: CURIEs that mean the same, the best known first.
        broader: CURIEs that are wider or only related.
    """

    term: str
    label: str
    aliases: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    broader: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One kind of tag and its terms, in the order people expect."""

    name: str
    label: str
    terms: tuple[Term, ...]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ontology:
    """What the prefix of a CURIE stands for; licence is an SPDX id or ""."""

    prefix: str
    name: str
    iri: str
    license: str = ""


def categories() -> tuple[Category, ...]:
    """Return every category with its terms."""
    return _vocabulary()[0]


def category(text: str) -> str | None:
    """Return the category's name that the text means, in any spelling, or None."""
    return _categories_by_key().get(_key(text))


def term(category: str, text: str) -> str | None:
    """Return the canonical term of the category that the text means, or None if unknown.

    Case, blanks and punctuation do not matter: "Alexa Fluor 647" and "AF-647" are "alexa-647".
    """
    found = _terms_by_key().get(category, {}).get(_key(text))
    return None if found is None else found.term


def label(category: str, term: str) -> str:
    """Return how people write the term; the term itself if it is not in the vocabulary."""
    found = _find(category, term)
    return term if found is None else found.label


def curie(category: str, term: str) -> str | None:
    """Return the CURIE that means the same as the term, or None if none is known."""
    found = _find(category, term)
    return found.exact[0] if found is not None and found.exact else None


def iri(curie: str) -> str | None:
    """Return the address that a CURIE stands for, or None if its prefix is unknown."""
    prefix, _, local = curie.partition(":")
    ontology = next((o for o in _vocabulary()[1] if o.prefix == prefix), None)
    return None if ontology is None or not local else ontology.iri + local


def _find(category: str, term: str) -> Term | None:
    found = _terms_by_key().get(category, {}).get(_key(term))
    return found if found is not None and found.term == term else None


def _key(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


@cache
def _vocabulary() -> tuple[tuple[Category, ...], tuple[Ontology, ...]]:
    file = resources.files("node.catalog") / "vocabulary.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    ontologies = tuple(Ontology(**entry) for entry in content["ontologies"])
    return tuple(_category(entry) for entry in content["categories"]), ontologies


def _category(entry: Mapping[str, object]) -> Category:
    terms = entry["terms"]
    assert isinstance(terms, list)
    return Category(
        name=str(entry["name"]),
        label=str(entry["label"]),
        terms=tuple(_term(item) for item in terms),
        aliases=_strings(entry, "aliases"),
    )


def _term(entry: Mapping[str, object]) -> Term:
    return Term(
        term=str(entry["term"]),
        label=str(entry["label"]),
        aliases=_strings(entry, "aliases"),
        exact=_strings(entry, "exact"),
        broader=_strings(entry, "broader"),
    )


def _strings(entry: Mapping[str, object], name: str) -> tuple[str, ...]:
    values = entry.get(name, [])
    assert isinstance(values, list)
    return tuple(str(value) for value in values)


@cache
def _categories_by_key() -> Mapping[str, str]:
    return {
        _key(name): kind.name
        for kind in categories()
        for name in (kind.name, kind.label, *kind.aliases)
    }


@cache
def _terms_by_key() -> Mapping[str, Mapping[str, Term]]:
    return {
        kind.name: {
            _key(name): item
            for item in kind.terms
            for name in (item.term, item.label, *item.aliases)
        }
        for kind in categories()
    }
