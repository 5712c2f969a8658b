"""The `dataset` record: who shares what, and what was measured about it (protocol.md 4.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from protocol import limits
from protocol.blob import BlobRef, SavedView, read_thumbnail, read_views
from protocol.identity import BlobId, DatasetId, DigestHex, PublisherId, RecordId
from protocol.payload import Fields, encode_record, open_record
from protocol.tables import (
    ColumnSummary,
    Drift,
    Frames,
    Precision,
    Resolution,
    TableSummary,
    read_table,
)

__all__ = [
    "DOI",
    "EMAIL",
    "FILE_ROLES",
    "FORMAT",
    "LICENSE",
    "MEDIA_TYPE",
    "ORCID",
    "URL",
    "VISIBILITIES",
    "Author",
    "BlobRef",
    "Citation",
    "ColumnSummary",
    "Dataset",
    "Drift",
    "File",
    "Frames",
    "Precision",
    "Resolution",
    "Sample",
    "SavedView",
    "TableSummary",
    "Tag",
    "known_tag",
    "read_samples",
    "read_urls",
]

VISIBILITIES = frozenset({"public", "members", "private"})
FILE_ROLES = frozenset({"original", "rendition", "table", "image", "raw", "other"})
TAGS_KNOWN_MAX = 4_096

EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,190}")
URL = re.compile(rf"https?://[^\s\x00-\x1f\x7f\"<>\\]{{1,{limits.URL_LENGTH_MAX - 8}}}")
ORCID = re.compile(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]", re.ASCII)
DOI = re.compile(r"10\.[0-9]{4,9}/[^\s\x00-\x1f\x7f]{1,240}")
LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,99}")
_CATEGORY = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_TERM = re.compile(rf"[^\s\x00-\x1f\x7f]{{1,{limits.TERM_LENGTH_MAX}}}")
_CURIE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}:[^\s\x00-\x1f\x7f]{1,95}")
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
FORMAT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NOT_IN_FILE_NAME = re.compile("[/\\\\\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """A person to credit, in the order of credit; `orcid` as 0000-0002-1825-0097."""

    name: str
    affiliation: str = ""
    orcid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A term within a category: `term` lower case without spaces, `label` for people."""

    category: str
    term: str
    label: str = ""
    curie: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """What to cite beside the dataset itself."""

    text: str
    doi: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a sample; `format` and `tables` where it holds localizations."""

    name: str
    role: str
    media_type: str
    size: int
    sha256: BlobId
    merkle_root: DigestHex
    format: str = ""
    tables: tuple[TableSummary, ...] = ()

    @property
    def blob(self) -> BlobRef:
        """The bytes of the file."""
        return BlobRef(
            sha256=self.sha256,
            size=self.size,
            merkle_root=self.merkle_root,
            media_type=self.media_type,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was imaged: one field of view with its files."""

    name: str
    description: str = ""
    files: tuple[File, ...]
    thumbnail: BlobRef | None = None

    @property
    def pyramids(self) -> tuple[BlobRef, ...]:
        """The pyramids of its tables."""
        tables = (table for file in self.files for table in file.tables)
        return tuple([table.pyramid for table in tables if table.pyramid is not None])


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One revision of a dataset. `dataset` and `previous` are None in revision 1 only."""

    publisher: PublisherId
    dataset: DatasetId | None = None
    revision: int
    previous: RecordId | None = None
    issued: int
    visibility: str
    name: str
    description: str
    authors: tuple[Author, ...]
    uploaded_by: str = ""
    contact: str
    license: str
    tags: tuple[Tag, ...]
    documentation: str = ""
    citation: tuple[Citation, ...] = ()
    doi: str = ""
    funding: str = ""
    links: tuple[str, ...] = ()
    samples: tuple[Sample, ...]
    views: tuple[SavedView, ...] = ()

    @property
    def pictures(self) -> tuple[BlobRef, ...]:
        """The thumbnails of its samples and saved views."""
        pictures = [sample.thumbnail for sample in self.samples]
        pictures += [view.thumbnail for view in self.views]
        return tuple([picture for picture in pictures if picture is not None])

    @property
    def pyramids(self) -> tuple[BlobRef, ...]:
        """The pyramids of its tables."""
        return tuple([pyramid for sample in self.samples for pyramid in sample.pyramids])

    @classmethod
    def from_bytes(cls, payload: bytes) -> Dataset:
        """Read the payload of a `dataset` record."""
        return cls.read(open_record(payload, "dataset"))

    @classmethod
    def read(cls, fields: Fields) -> Dataset:
        """Read the fields of a payload."""
        revision = fields.integer("revision", minimum=1, maximum=limits.REVISION_MAX)
        first = revision == 1
        return cls(
            publisher=fields.digest("publisher"),
            dataset=fields.link("dataset", absent=first),
            revision=revision,
            previous=fields.link("previous", absent=first),
            issued=fields.integer("issued"),
            visibility=fields.choice("visibility", VISIBILITIES),
            name=fields.line("name", length_max=limits.NAME_LENGTH_MAX),
            description=fields.prose("description", length_max=limits.DESCRIPTION_LENGTH_MAX),
            authors=_authors(fields),
            uploaded_by=fields.line(
                "uploaded_by", length_max=limits.NAME_LENGTH_MAX, optional=True
            ),
            contact=fields.matching("contact", EMAIL, "an e-mail address"),
            license=fields.matching("license", LICENSE, "an SPDX licence id"),
            tags=_tags(fields),
            documentation=fields.prose(
                "documentation", length_max=limits.DOCUMENTATION_LENGTH_MAX, optional=True
            ),
            citation=_citations(fields),
            doi=fields.matching("doi", DOI, "a DOI like 10.5281/zenodo.1", optional=True),
            funding=fields.line("funding", length_max=limits.LINE_LENGTH_MAX, optional=True),
            links=read_urls(fields, "links", count_max=limits.LINKS_MAX),
            samples=read_samples(fields),
            views=read_views(fields),
        )

    def to_bytes(self) -> bytes:
        """Return the payload; LocalProtocolError if peers would refuse it."""
        return encode_record("dataset", self)


def read_urls(fields: Fields, name: str, *, count_max: int) -> tuple[str, ...]:
    """Return the http and https URLs of an array."""
    urls = fields.items(name, count_max=count_max)
    for url in urls:
        if type(url) is not str or URL.fullmatch(url) is None:
            fields.fail(name, "http or https URLs")
    return tuple(urls)  # type: ignore[arg-type]


def _authors(fields: Fields) -> tuple[Author, ...]:
    return tuple(
        Author(
            name=item.line("name", length_max=limits.NAME_LENGTH_MAX),
            affiliation=item.line("affiliation", length_max=limits.LINE_LENGTH_MAX, optional=True),
            orcid=item.matching("orcid", ORCID, "an ORCID like 0000-0002-1825-0097", optional=True),
        )
        for item in fields.objects("authors", count_min=1, count_max=limits.AUTHORS_MAX)
    )


def _tags(fields: Fields) -> tuple[Tag, ...]:
    items = fields.items("tags", count_min=1, count_max=limits.TAGS_MAX)
    tags = tuple([_tag(Fields(item, f"tags[{index}]")) for index, item in enumerate(items)])
    if len({(tag.category, tag.term) for tag in tags}) != len(tags):
        fields.fail("tags", "every category and term once")
    return tags


@lru_cache(maxsize=TAGS_KNOWN_MAX)
def known_tag(texts: tuple[str, str, str, str]) -> Tag:
    """Return the tag of category, term, label and CURIE ("" if absent), or raise MalformedError.

    The same few hundred tags come in nearly every record: they are judged once.
    """
    category, term, label, curie = texts
    return _tag(Fields({"category": category, "term": term, "label": label, "curie": curie}))


def _tag(fields: Fields) -> Tag:
    tag = Tag(
        category=fields.matching("category", _CATEGORY, "a word like cell-line"),
        term=fields.matching("term", _TERM, "a term without spaces, like alexa-fluor-647"),
        label=fields.line("label", length_max=limits.NAME_LENGTH_MAX, optional=True),
        curie=fields.matching("curie", _CURIE, "a CURIE like CLO:0009454", optional=True),
    )
    if tag.term != tag.term.lower():
        fields.fail("term", "a term in lower case")
    return tag


def _citations(fields: Fields) -> tuple[Citation, ...]:
    return tuple(
        Citation(
            text=item.prose("text", length_max=limits.LINE_LENGTH_MAX),
            doi=item.matching("doi", DOI, "a DOI like 10.5281/zenodo.1", optional=True),
            url=item.matching("url", URL, "an http or https URL", optional=True),
        )
        for item in fields.objects("citation", count_max=limits.CITATIONS_MAX)
    )


def read_samples(fields: Fields) -> tuple[Sample, ...]:
    """Return the samples of a dataset, at least one, each name once."""
    samples = tuple(
        Sample(
            name=item.line("name", length_max=limits.NAME_LENGTH_MAX),
            description=item.prose(
                "description", length_max=limits.DESCRIPTION_LENGTH_MAX, optional=True
            ),
            files=_files(item),
            thumbnail=read_thumbnail(item),
        )
        for item in fields.objects("samples", count_min=1, count_max=limits.SAMPLES_MAX)
    )
    if len({sample.name for sample in samples}) != len(samples):
        fields.fail("samples", "every sample name once")
    return samples


def _files(fields: Fields) -> tuple[File, ...]:
    items = fields.items("files", count_min=1, count_max=limits.FILES_MAX)
    files = tuple(
        [_file(Fields(item, f"{fields.path}.files[{index}]")) for index, item in enumerate(items)]
    )
    if len({file.name for file in files}) != len(files):
        fields.fail("files", "every file name once in a sample")
    return files


def _file(fields: Fields) -> File:
    return File(
        name=_file_name(fields),
        role=fields.choice("role", FILE_ROLES),
        media_type=fields.matching("media_type", MEDIA_TYPE, "a media type"),
        size=fields.integer("size", maximum=limits.BLOB_SIZE_MAX),
        sha256=fields.digest("sha256"),
        merkle_root=fields.digest("merkle_root"),
        format=fields.matching("format", FORMAT, "a format name", optional=True),
        tables=_tables(fields),
    )


def _tables(fields: Fields) -> tuple[TableSummary, ...]:
    tables = fields.objects("tables", count_max=limits.TABLES_MAX)
    return tuple([read_table(table) for table in tables])


def _file_name(fields: Fields) -> str:
    name = fields.line("name", length_max=limits.FILE_NAME_SIZE_MAX)
    if "/" in name or "\\" in name or name in {".", ".."} or name != name.strip():
        fields.fail("name", "a file name: no slash, no backslash, no space at either end")
    if not name.isascii() and len(name.encode()) > limits.FILE_NAME_SIZE_MAX:
        fields.fail("name", f"at most {limits.FILE_NAME_SIZE_MAX} bytes of UTF-8")
    return name
