"""What people say about a dataset: read from YAML, JSON or options, checked field by field."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from node.errors import InputError
from node.publishing.licenses import parse_license
from node.publishing.tags import parse_tag
from node.settings import parse_email
from protocol import limits
from protocol.blob import STATE
from protocol.records import Author, Citation, SavedView, Tag

__all__ = ["VISIBILITIES", "Metadata", "parse_author", "parse_metadata", "read_metadata"]

VISIBILITIES = ("public", "members", "private")
FILE_SIZE_MAX = 1 << 20
_ORCID = re.compile(r"(\d{4})-?(\d{4})-?(\d{4})-?(\d{3}[\dX])")
_DOI_PREFIX = re.compile(r"^(https?://(dx\.)?doi\.org/|doi:\s*)", re.IGNORECASE)
_DOI = re.compile(r"10\.\d{4,9}/\S+")
# Names that other tools and the other spelling use for our fields.
_ALIASES = {
    "title": "name",
    "licence": "license",
    "contact_email": "contact",
    "author": "authors",
    "tag": "tags",
    "cite": "citation",
    "uploaded by": "uploaded_by",
}
# Which field each option of `add` sets, for those without which nothing is published.
_MANDATORY = {
    "name": ("a name", '--name "..."'),
    "description": ("a description", '--description "..."'),
    "authors": ("an author", '--author "Name; Affiliation; ORCID"'),
    "contact": ("a contact address", "--contact EMAIL"),
    "license": ("a licence", "--license CC-BY-4.0"),
    "tags": ("a tag", "--tag modality:dstorm"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The fields of a dataset that people write; "" or () where nothing was said."""

    name: str = ""
    description: str = ""
    authors: tuple[Author, ...] = ()
    uploaded_by: str = ""
    contact: str = ""
    license: str = ""
    tags: tuple[Tag, ...] = ()
    documentation: str = ""
    citation: tuple[Citation, ...] = ()
    doi: str = ""
    funding: str = ""
    links: tuple[str, ...] = ()
    visibility: str = "public"
    samples: tuple[tuple[str, str], ...] = ()
    views: tuple[SavedView, ...] = ()

    def changed(self, changes: Mapping[str, object]) -> Metadata:
        """Return a copy with the fields that `parse_metadata` gave."""
        return dataclasses.replace(self, **dict(changes))  # type: ignore[arg-type]

    def missing(self) -> list[str]:
        """Return each mandatory field that is not set, with the option that sets it."""
        return [
            f"{what} ({option})"
            for field, (what, option) in _MANDATORY.items()
            if not getattr(self, field)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON that `parse_metadata` reads back."""
        document = dataclasses.asdict(self)
        document["samples"] = [{"name": name, "description": text} for name, text in self.samples]
        document["views"] = [
            {"name": view.name, "sample": view.sample, "state": view.state} for view in self.views
        ]
        return {key: value for key, value in document.items() if value}


def read_metadata(path: Path) -> dict[str, object]:
    """Read a description file, YAML or JSON, into the fields that it sets.

    Raises:
        InputError: It cannot be read, or any of its fields breaks a rule: all are named.
    """
    try:
        if path.stat().st_size > FILE_SIZE_MAX:
            raise InputError(f"{path}: a description has at most {FILE_SIZE_MAX >> 20} MiB")
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: no valid JSON: {error.msg}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, Mapping):
        raise InputError(f"{path}: wants lines such as `name: Nup96 in U2OS`, got no fields")
    try:
        return parse_metadata(document)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse_metadata(document: Mapping[Any, Any]) -> dict[str, object]:
    """Return the checked value of every field that a document sets; null and "" clear a field.

    Raises:
        InputError: Fields are unknown or break a rule; the message names all of them.
    """
    fields: dict[str, object] = {}
    problems: list[str] = []
    for key, value in document.items():
        name = _ALIASES.get(str(key).lower(), str(key).lower())
        parse = _PARSERS.get(name)
        if parse is None:
            close = difflib.get_close_matches(name, _PARSERS, 1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            problems.append(f"there is no field {key!r}{hint}")
            continue
        try:
            fields[name] = parse(value)
        except InputError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise InputError("; ".join(problems))
    return fields


def parse_author(value: object) -> Author:
    """Return an author from `Name; Affiliation; ORCID` or from a mapping of these.

    Raises:
        InputError: There is no name, or the ORCID is none.
    """
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(";")]
        if len(parts) > 3:
            raise InputError(f"author {value!r} wants at most Name; Affiliation; ORCID")
        if len(parts) == 2 and _orcid_digits(parts[1]):
            parts.insert(1, "")
        value = dict(zip(("name", "affiliation", "orcid"), parts, strict=False))
    entry = _entry(value, "author", known=("name", "affiliation", "orcid"))
    if not entry["name"]:
        raise InputError("an author needs a name")
    return Author(
        name=entry["name"],
        affiliation=entry["affiliation"],
        orcid=_parse_orcid(entry["orcid"]) if entry["orcid"] else "",
    )


def _parse_orcid(text: str) -> str:
    digits = _orcid_digits(text)
    if digits is None:
        raise InputError(f"ORCID {text!r} is not written 0000-0002-1825-0097")
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    # ISO 7064 mod 11-2, as orcid.org defines the last sign.
    check = (12 - total % 11) % 11
    if digits[-1] != ("X" if check == 10 else str(check)):
        raise InputError(f"ORCID {text!r} has a typing error: its check digit does not fit")
    return "-".join(digits[start : start + 4] for start in range(0, 16, 4))


def _orcid_digits(text: str) -> str | None:
    match = _ORCID.fullmatch(re.sub(r"^https?://orcid\.org/", "", text.strip()).upper())
    return "".join(match.groups()) if match else None


def _parse_line(value: object) -> str:
    text = _parse_text(value)
    if "\n" in text:
        raise InputError("wants one line")
    return text


def _parse_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"wants text, got {value!r}")
    text = str(value).strip().replace("\r\n", "\n")
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in text):
        raise InputError("holds control characters")
    return text


def _parse_license(value: object) -> str:
    text = _parse_line(value)
    return parse_license(text) if text else ""


def _parse_doi(value: object) -> str:
    text = _DOI_PREFIX.sub("", _parse_line(value))
    if text and not _DOI.fullmatch(text):
        raise InputError(f"wants a DOI such as 10.1038/s41592-022-01659-0, got {text!r}")
    return text


def _parse_visibility(value: object) -> str:
    if value not in VISIBILITIES:
        raise InputError(f"wants one of {', '.join(VISIBILITIES)}, got {value!r}")
    return str(value)


def _parse_authors(value: object) -> tuple[Author, ...]:
    return tuple(parse_author(item) for item in _items(value))


def _parse_tags(value: object) -> tuple[Tag, ...]:
    """Tags as `category:term`, as mappings with these keys, or as {category: [terms]}."""
    items: list[Any] = []
    if isinstance(value, Mapping) and "term" not in value:
        for category, terms in value.items():
            items += [f"{category}:{_parse_line(term)}" for term in _items(terms)]
    else:
        items = list(_items(value))
    tags: dict[tuple[str, str], Tag] = {}
    for item in items:
        tag = _parse_tag(item)
        tags.setdefault((tag.category, tag.term), tag)
    return tuple(tags.values())


def _parse_tag(item: object) -> Tag:
    if isinstance(item, str):
        return parse_tag(item)
    entry = _entry(item, "tag", known=("category", "term", "label", "curie"))
    tag = parse_tag(f"{entry['category']}:{entry['term']}")
    return dataclasses.replace(
        tag, label=entry["label"] or tag.label, curie=entry["curie"] or tag.curie
    )


def _parse_citations(value: object) -> tuple[Citation, ...]:
    citations = []
    for item in _items(value):
        given = {"text": item} if isinstance(item, str) else item
        entry = _entry(given, "citation", known=("text", "doi", "url"))
        if not any(entry.values()):
            raise InputError("wants a text, a doi or a url")
        doi = _parse_doi(entry["doi"])
        text = entry["text"] or doi or entry["url"]
        citations.append(Citation(text=text, doi=doi, url=_parse_link(entry["url"])))
    return tuple(citations)


def _parse_link(text: str) -> str:
    if text and not re.fullmatch(r"https?://\S+", text):
        raise InputError(f"wants an address that begins with https://, got {text!r}")
    return text


def _parse_links(value: object) -> tuple[str, ...]:
    return tuple(_parse_link(_parse_line(item)) for item in _items(value))


def _parse_samples(value: object) -> tuple[tuple[str, str], ...]:
    """Descriptions by sample name, as a mapping or as a list of {name, description}."""
    if isinstance(value, Mapping) and "name" not in value:
        entries = [{"name": key, "description": text} for key, text in value.items()]
    else:
        entries = [_entry(item, "sample", known=("name", "description")) for item in _items(value)]
    samples = {_parse_line(e["name"]): _parse_text(e["description"]) for e in entries}
    if "" in samples or len(samples) != len(entries):
        raise InputError("each sample needs a name of its own")
    return tuple(samples.items())


def _items(value: object) -> Sequence[object]:
    if value is None or value == "":
        return ()
    if isinstance(value, list | tuple):
        return value
    return (value,)


def _entry(value: object, what: str, *, known: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InputError(f"{what} {value!r} wants {', '.join(known)}")
    unknown = [str(key) for key in value if key not in known]
    if unknown:
        raise InputError(f"{what} has no {', '.join(unknown)}; it has {', '.join(known)}")
    return {key: _parse_text(value.get(key)) for key in known}


def _parse_views(value: object) -> tuple[SavedView, ...]:
    """Saved views as {name, state, sample?}; a state may be given as a link of the viewer."""
    views: dict[str, SavedView] = {}
    for item in _items(value):
        entry = _entry(item, "view", known=("name", "sample", "state"))
        state = entry["state"].rpartition("#")[2]
        if not entry["name"] or entry["name"] in views:
            raise InputError("every view needs a name of its own")
        if STATE.fullmatch(state) is None:
            raise InputError(
                f"view {entry['name']!r} wants as its state what follows # in the viewer's "
                f"address, such as v=1&at=4100,2050&nm=2; got {state[:80]!r}"
            )
        views[entry["name"]] = SavedView(name=entry["name"], sample=entry["sample"], state=state)
    if len(views) > limits.VIEWS_MAX:
        raise InputError(f"{len(views)} views; a dataset has at most {limits.VIEWS_MAX}")
    return tuple(views.values())


_PARSERS: dict[str, Callable[[object], object]] = {
    "name": _parse_line,
    "description": _parse_text,
    "authors": _parse_authors,
    "uploaded_by": _parse_line,
    "contact": lambda value: parse_email(_parse_line(value)),
    "license": _parse_license,
    "tags": _parse_tags,
    "documentation": _parse_text,
    "citation": _parse_citations,
    "doi": _parse_doi,
    "funding": _parse_line,
    "links": _parse_links,
    "visibility": _parse_visibility,
    "samples": _parse_samples,
    "views": _parse_views,
}
