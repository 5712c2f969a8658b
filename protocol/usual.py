"""Dataset records as nearly all are, read and judged at the speed of C (protocol.md 4.4).

Reading records is most of what admission takes, so a payload is first held against the schema
below. What passes it and the checks after it is right by every rule of protocol.md and comes out
as `dataset.py` would read it. What does not pass may still be right: `read_usual` then says None,
and the careful reader judges field by field and names what is wrong. So this module may be too
strict, but never too forgiving.

That no key comes twice and none is unknown follows from counting colons. The schema holds every
string of the payload except dropped keys and what was under them, and writes each back with the
colons that are in it; each key adds one. So the counts differ if anything was dropped. A payload
that may write a colon as an escape is left to the careful reader, and so is a field that spells
out its default.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from protocol import limits
from protocol.blob import PICTURES, PYRAMIDS, STATE
from protocol.dataset import (
    DOI,
    EMAIL,
    FILE_ROLES,
    FORMAT,
    LICENSE,
    MEDIA_TYPE,
    ORCID,
    URL,
    VISIBILITIES,
    Dataset,
    known_tag,
)
from protocol.errors import MalformedError
from protocol.payload import is_prose
from protocol.tables import AXES, SIGNATURE, SPLITS

__all__ = ["read_usual"]

_MOST: Final = limits.INTEGER_MAX
_COLON_ESCAPES: Final = b"\\u003"  # And fifteen others, all as good as never used.

_Digest: TypeAlias = Annotated[str, Meta(min_length=64, max_length=64)]
_Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.NAME_LENGTH_MAX)]
_NameOrNone: TypeAlias = Annotated[str, Meta(max_length=limits.NAME_LENGTH_MAX)]
_Line: TypeAlias = Annotated[str, Meta(max_length=limits.LINE_LENGTH_MAX)]
_Term: TypeAlias = Annotated[str, Meta(max_length=limits.TERM_LENGTH_MAX)]
_Description: TypeAlias = Annotated[str, Meta(max_length=limits.DESCRIPTION_LENGTH_MAX)]
_Count: TypeAlias = Annotated[int, Meta(ge=0, le=_MOST)]
_Integer: TypeAlias = Annotated[int, Meta(ge=-_MOST, le=_MOST)]
# 2^53 is left to the careful reader: the integer after it would be rounded to it.
_Number: TypeAlias = Annotated[float, Meta(gt=-_MOST, lt=_MOST)]
_Length: TypeAlias = Annotated[float, Meta(ge=0, lt=_MOST)]


class _Strict(Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    pass


class _Column(_Strict, kw_only=True):
    name: _Name
    unit: _Term
    source: _NameOrNone
    min: _Number | None
    max: _Number | None
    mean: _Number | None
    median: _Number | None = None


class _Frames(_Strict, kw_only=True):
    first: _Integer
    last: _Integer
    origin: Annotated[int, Meta(ge=0, le=1)] | None


class _Precision(_Strict, kw_only=True):
    precision_nm: _Length
    pairs: _Count


class _Resolution(_Strict, kw_only=True):
    resolution_nm: _Length
    pixel_nm: _Length
    field_nm: _Length
    rows: _Count
    split: str
    seed: _Count


class _Drift(_Strict, kw_only=True):
    drift_nm: _Length
    uncertainty_nm: _Length


class _Blob(_Strict, kw_only=True):
    sha256: _Digest
    size: Annotated[int, Meta(ge=1, le=limits.BLOB_SIZE_MAX)]
    merkle_root: _Digest
    media_type: str


class _Table(_Strict, kw_only=True):
    name: _NameOrNone
    channel: _NameOrNone = ""
    rows: _Count
    columns: Annotated[tuple[_Column, ...], Meta(max_length=limits.COLUMNS_MAX)]
    bounds: dict[str, tuple[_Number, _Number]]
    frames: _Frames | None
    dimension: Annotated[int, Meta(ge=2, le=3)]
    density_per_um2: _Number | None
    uncertainty_nm: _Number | None
    localizations_per_frame: _Number | None = None
    precision: _Precision | None = None
    resolution: _Resolution | None = None
    drift: _Drift | None = None
    signature: str | None = None
    pyramid: _Blob | None = None
    non_finite: _Count


class _File(_Strict, kw_only=True):
    name: _Name
    role: str
    media_type: str
    size: Annotated[int, Meta(ge=0, le=limits.BLOB_SIZE_MAX)]
    sha256: _Digest
    merkle_root: _Digest
    format: str = ""
    tables: Annotated[tuple[_Table, ...], Meta(max_length=limits.TABLES_MAX)] = ()


class _Sample(_Strict, kw_only=True):
    name: _Name
    description: _Description = ""
    files: Annotated[tuple[_File, ...], Meta(min_length=1, max_length=limits.FILES_MAX)]
    thumbnail: _Blob | None = None


class _View(_Strict, kw_only=True):
    name: _Name
    sample: _Name
    state: str
    thumbnail: _Blob | None = None


class _Author(_Strict, kw_only=True):
    name: _Name
    affiliation: _Line = ""
    orcid: str = ""


class _Tag(_Strict, kw_only=True):
    category: str
    term: str
    label: str = ""
    curie: str = ""


class _Citation(_Strict, kw_only=True):
    text: _Line
    doi: str = ""
    url: str = ""


class _Dataset(_Strict, kw_only=True, tag_field="type", tag="dataset"):
    protocol: Annotated[int, Meta(ge=limits.PROTOCOL_VERSION, le=limits.PROTOCOL_VERSION)]
    publisher: _Digest
    dataset: _Digest | None = None
    revision: Annotated[int, Meta(ge=1, le=limits.REVISION_MAX)]
    previous: _Digest | None = None
    issued: _Count
    visibility: str
    name: _Name
    description: _Description
    authors: Annotated[tuple[_Author, ...], Meta(min_length=1, max_length=limits.AUTHORS_MAX)]
    uploaded_by: _NameOrNone = ""
    contact: str
    license: str
    tags: Annotated[tuple[_Tag, ...], Meta(min_length=1, max_length=limits.TAGS_MAX)]
    documentation: Annotated[str, Meta(max_length=limits.DOCUMENTATION_LENGTH_MAX)] = ""
    citation: Annotated[tuple[_Citation, ...], Meta(max_length=limits.CITATIONS_MAX)] = ()
    doi: str = ""
    funding: _Line = ""
    links: Annotated[tuple[str, ...], Meta(max_length=limits.LINKS_MAX)] = ()
    samples: Annotated[tuple[_Sample, ...], Meta(min_length=1, max_length=limits.SAMPLES_MAX)]
    views: Annotated[tuple[_View, ...], Meta(max_length=limits.VIEWS_MAX)] = ()


_DECODER = msgspec.json.Decoder(_Dataset)
_ENCODER = msgspec.json.Encoder()
_DIGESTS = re.compile("[0-9a-f]+")
# Of most names each letter is a byte; others are short enough for four. Both end in no space.
_FILE_NAME = r"(?:\w(?:[\w .()-]{0,200}\w)?|(?!\.\.?\n)[^\s/\\](?:[^\n/\\]{0,61}[^\s/\\])?)"
_FILES = re.compile(rf"(?:{_FILE_NAME}\n{MEDIA_TYPE.pattern}\n(?:{FORMAT.pattern})?\n)+", re.ASCII)


def read_usual(payload: bytes) -> Dataset | None:
    """Return the `dataset` record of a payload that is as usual; None says nothing about it."""
    if len(payload) > limits.PAYLOAD_SIZE_MAX or _COLON_ESCAPES in payload:
        return None
    try:
        found = _DECODER.decode(payload)
    except (ValueError, RecursionError):
        return None
    is_whole = _ENCODER.encode(found).count(b":") == payload.count(b":")
    if not is_whole or not (_are_links_sound(found) and _are_texts_sound(found)):
        return None
    return msgspec.convert(found, Dataset, from_attributes=True)


def _are_links_sound(found: _Dataset) -> bool:
    """Say whether everything that names something else does so by the rules."""
    is_first = found.revision == 1
    if (found.dataset is None) is not is_first or (found.previous is None) is not is_first:
        return False
    digests = [found.publisher, found.dataset or "", found.previous or ""]
    pictures = [sample.thumbnail for sample in found.samples if sample.thumbnail]
    pictures += [view.thumbnail for view in found.views if view.thumbnail]
    files = [file for sample in found.samples for file in sample.files]
    pyramids = [table.pyramid for file in files for table in file.tables if table.pyramid]
    for file in files:
        digests += (file.sha256, file.merkle_root)
    for blob in (*pictures, *pyramids):
        digests += (blob.sha256, blob.merkle_root)
    return (
        _are_views_usual(pictures, pyramids)
        and _DIGESTS.fullmatch("".join(digests)) is not None
        and EMAIL.fullmatch(found.contact) is not None
        and LICENSE.fullmatch(found.license) is not None
        and (not found.doi or DOI.fullmatch(found.doi) is not None)
        and all(URL.fullmatch(url) for url in found.links)
        and all(_is_citation_sound(citation) for citation in found.citation)
    )


def _are_views_usual(pictures: Sequence[_Blob], pyramids: Sequence[_Blob]) -> bool:
    return all(
        picture.media_type in PICTURES and picture.size <= limits.THUMBNAIL_SIZE_MAX
        for picture in pictures
    ) and all(pyramid.media_type in PYRAMIDS for pyramid in pyramids)


def _is_citation_sound(citation: _Citation) -> bool:
    return (
        not citation.text.isspace()
        and citation.text != ""
        and is_prose(citation.text)
        and (not citation.doi or DOI.fullmatch(citation.doi) is not None)
        and (not citation.url or URL.fullmatch(citation.url) is not None)
    )


def _are_texts_sound(found: _Dataset) -> bool:
    """Say whether names are names, texts are texts, and nothing comes twice."""
    files = [file for sample in found.samples for file in sample.files]
    tables = [table for file in files for table in file.tables]
    columns = [column for table in tables for column in table.columns]
    names = [found.name]
    names += [author.name for author in found.authors]
    names += [sample.name for sample in found.samples]
    names += [column.name for column in columns]
    names += [view.name for view in found.views]
    names += [view.sample for view in found.views]
    lines = [found.uploaded_by, found.funding]
    lines += [author.affiliation for author in found.authors]
    lines += [file.name for file in files]
    lines += [table.name + table.channel for table in tables]
    lines += [column.unit + column.source for column in columns]
    proses = [found.description, found.documentation]
    proses += [sample.description for sample in found.samples]
    return (
        found.visibility in VISIBILITIES
        and "".join(chain(names, lines)).isprintable()
        and not any(map(str.isspace, names))
        and not found.description.isspace()
        and found.description != ""
        and all(map(is_prose, proses))
        and all(not author.orcid or ORCID.fullmatch(author.orcid) for author in found.authors)
        and all(map(_is_measure_sound, tables))
        and _are_tags_sound(found.tags)
        and _are_files_sound(found.samples)
        and all(STATE.fullmatch(view.state) for view in found.views)
        and _are_different([view.name for view in found.views])
    )


def _is_measure_sound(table: _Table) -> bool:
    return (
        table.bounds.keys() <= AXES
        and (table.resolution is None or table.resolution.split in SPLITS)
        and (table.signature is None or SIGNATURE.fullmatch(table.signature) is not None)
    )


def _are_tags_sound(tags: tuple[_Tag, ...]) -> bool:
    try:
        for tag in tags:
            known_tag((tag.category, tag.term, tag.label, tag.curie))
    except MalformedError:
        return False
    return len({(tag.category, tag.term) for tag in tags}) == len(tags)


def _are_files_sound(samples: tuple[_Sample, ...]) -> bool:
    texts: list[str] = []
    for sample in samples:
        for file in sample.files:
            texts += (file.name, file.media_type, file.format)
            if file.role not in FILE_ROLES:
                return False
        if not _are_different([file.name for file in sample.files]):
            return False
    joined = "\n".join([*texts, ""])
    # As many lines as texts: no text has brought a line break of its own.
    return (
        joined.count("\n") == len(texts)
        and _FILES.fullmatch(joined) is not None
        and _are_different([sample.name for sample in samples])
    )


def _are_different(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names)
