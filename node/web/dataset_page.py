"""The dataset page as values: facts people decide by, files, provenance in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup

from node.catalog import vocabulary
from node.catalog.measures import measure, measured_tables
from node.catalog.views import DatasetView, HitSummary, Holder
from node.publishing.licenses import license_name
from node.web.cards import Surroundings, category_title, short_license
from node.web.quality import quality_rows
from node.web.quantities import (
    format_count,
    format_date,
    format_exact,
    format_field,
    format_length,
    format_plural,
    format_size,
)
from node.web.statements import (
    Statement,
    state_completeness,
    state_copies,
    state_dataset,
    state_reachability,
)
from protocol.records import Citation, Dataset, File, Sample, TableSummary, Tag

__all__ = ["Fact", "file_href", "make_dataset_page"]

AUTHORS_SHOWN_MAX = 12
AFFILIATIONS_SHOWN_MAX = 4
FILES_SHOWN_MAX = 100
TABLES_SHOWN_MAX = 16
REVISIONS_SHOWN_MAX = 50
STRIP_MAX = 12
_ROLES = {
    "original": "as it was given",
    "rendition": "the same as .smlm",
    "raw": "raw data",
    "image": "image",
    "table": "table",
    "other": "other file",
}
_KINDS = {"dataset": "metadata and files", "withdrawal": "withdrawal"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a list of facts."""

    name: str
    value: str
    exact: str = ""
    href: str = ""
    leads: bool = False


def make_dataset_page(
    view: DatasetView,
    documentation: Markup,
    *,
    around: Surroundings,
    names: dict[str, str],
) -> dict[str, Any]:
    """Return everything that dataset.html shows.

    Args:
        view: The dataset as the catalog answers.
        documentation: Its rendered documentation.
        around: Which of its pictures are here, and which of its holders answer.
        names: Publisher names by id, for who says what.
    """
    data, held, silent = view.metadata, around.held, around.silent
    thumbnails = [sample.thumbnail.sha256 for sample in data.samples if sample.thumbnail]
    pictures = [sha256 for sha256 in thumbnails if sha256 in held]
    return {
        "dataset": view.dataset,
        "record": view.record,
        "name": data.name,
        "description": data.description,
        "documentation": documentation,
        "publisher": {"id": view.publisher.id, "name": publisher_name(view)},
        **_people(data),
        "notices": state_dataset(view, now=around.now, names=names, silent=silent),
        "picture": f"/blobs/{pictures[0]}" if pictures else None,
        "no_picture": "The picture has not arrived at this node yet."
        if thumbnails
        else "This dataset has no picture.",
        "viewer": f"/datasets/{view.dataset}/view" if data.pyramids else None,
        "caption": _caption(data),
        "strip": _strip(data, held=held),
        "facts": _facts(view, silent),
        "download": _download(view, silent),
        "tags": _tags(data.tags),
        "citation": _citation(view),
        "references": [_reference(entry) for entry in data.citation],
        "samples": _samples(view),
        "quality": quality_rows(data.samples, rows_max=TABLES_SHOWN_MAX),
        "files_hidden": max(0, sum(len(s.files) for s in data.samples) - FILES_SHOWN_MAX),
        "revisions": [
            {
                "revision": entry.revision,
                "record": entry.record,
                "issued": entry.issued,
                "kind": _KINDS.get(entry.type, entry.type),
            }
            for entry in sorted(view.revisions, key=lambda entry: -entry.revision)[
                :REVISIONS_SHOWN_MAX
            ]
        ],
        "revisions_hidden": max(0, len(view.revisions) - REVISIONS_SHOWN_MAX),
        "provenance": _provenance(view, around, names=names),
        "holders": [_holder(holder, silent) for holder in view.holders],
    }


def file_href(dataset: str, file: File) -> str:
    """Return where people download a file under its own name."""
    return f"/datasets/{dataset}/files/{file.sha256}/{quote(file.name, safe='')}"


def publisher_name(view: DatasetView) -> str:
    """Return what to call the publisher, however little is known of it."""
    return view.publisher.name or f"Publisher {view.publisher.id[:8]}"


def _people(data: Dataset) -> dict[str, Any]:
    """Return who made it: the picture stays in sight however many they are."""
    affiliations = list(dict.fromkeys(a.affiliation for a in data.authors if a.affiliation))
    is_long = len(data.authors) > AUTHORS_SHOWN_MAX or len(affiliations) > AFFILIATIONS_SHOWN_MAX
    whom = format_plural(len(data.authors), "author")
    whence = format_plural(len(affiliations), "affiliation")
    return {
        "authors": data.authors,
        "authors_shown": data.authors[:AUTHORS_SHOWN_MAX],
        "affiliations": affiliations,
        "affiliations_shown": affiliations[:AFFILIATIONS_SHOWN_MAX],
        "people_hidden": f"All {whom}, {whence}" if is_long else "",
    }


def _facts(view: DatasetView, silent: Collection[str]) -> list[Fact]:
    data = view.metadata
    tables = measured_tables(data)
    files = {file.sha256: file for sample in data.samples for file in sample.files}
    size = sum(file.size for file in files.values())
    facts = []
    if tables:
        facts += _measured_facts(tables, measure(data))
    facts += [
        Fact(
            name="Licence",
            value=short_license(data.license),
            exact=license_name(data.license),
            href=f"/?license={quote(data.license)}",
        ),
        Fact(
            name="Size",
            value=f"{format_size(size)}, {format_plural(len(files), 'file')}",
            exact=f"{format_exact(size)} bytes",
        ),
        Fact(
            name="Publisher",
            value=publisher_name(view),
            exact=view.publisher.institution,
            href=f"/publishers/{view.publisher.id}",
        ),
        Fact(
            name="Published",
            value=f"{format_date(view.issued)}, revision {view.revision}",
        ),
        Fact(name="Copies", value=state_copies(view, silent).word, href="#provenance"),
    ]
    return facts


def _measured_facts(tables: list[TableSummary], summary: HitSummary) -> list[Fact]:
    rows = sum(table.rows for table in tables)
    widest = max(tables, key=_area)
    facts = [
        Fact(name="Localizations", value=format_count(rows), exact=format_exact(rows), leads=True),
        *_sharpness(summary),
        Fact(
            name="Field of view" if len(tables) == 1 else "Largest field of view",
            value=format_field({axis: widest.bounds[axis] for axis in sorted(widest.bounds)}),
        ),
        Fact(name="Dimension", value=f"{max(table.dimension for table in tables)}D"),
    ]
    spans = [t.frames.last - t.frames.first + 1 for t in tables if t.frames is not None]
    if spans:
        most = max(spans)
        value = format_exact(most) if len(set(spans)) == 1 else f"up to {format_exact(most)}"
        facts.append(Fact(name="Frames", value=value))
    return facts


def _sharpness(summary: HitSummary) -> list[Fact]:
    """Return precision, as the file says or else as measured, and resolution where it is known."""
    name, precision = "Median precision", summary.precision_nm
    if precision is None and summary.nena_nm is not None:
        name, precision = "Precision, NeNA", summary.nena_nm
    if precision is None:
        facts = [Fact(name=name, value="not in the file")]
    else:
        exact = f"{precision:.3f} nm"
        facts = [Fact(name=name, value=format_length(precision), exact=exact, leads=True)]
    if (resolution := summary.resolution_nm) is not None:
        exact = f"{resolution:.3f} nm by Fourier ring correlation"
        facts.append(Fact(name="Resolution, FRC", value=format_length(resolution), exact=exact))
    return facts


def _area(table: TableSummary) -> float:
    spans = [table.bounds[axis] for axis in ("x", "y") if axis in table.bounds]
    return (spans[0][1] - spans[0][0]) * (spans[1][1] - spans[1][0]) if len(spans) == 2 else -1.0


def _caption(data: Dataset) -> str:
    if len(data.samples) < 2:
        return ""
    return f"{data.samples[0].name}, one of {format_exact(len(data.samples))} samples"


def _strip(data: Dataset, *, held: Collection[str]) -> list[dict[str, Any]]:
    if len(data.samples) < 2:
        return []
    return [
        {
            "anchor": f"sample-{index}",
            "name": sample.name,
            "picture": f"/blobs/{sample.thumbnail.sha256}",
        }
        for index, sample in enumerate(data.samples[:STRIP_MAX], 1)
        if sample.thumbnail is not None and sample.thumbnail.sha256 in held
    ]


def _download(view: DatasetView, silent: Collection[str]) -> dict[str, str] | None:
    originals = [f for s in view.metadata.samples for f in s.files if f.role != "rendition"]
    if not originals:
        return None
    size = format_size(sum(file.size for file in originals))
    copies = state_copies(view, silent)
    if len(originals) == 1:
        return {
            "href": file_href(view.dataset, originals[0]),
            "word": f"Download {size}",
            "sentence": f"{originals[0].name}; {copies.sentence}",
        }
    return {
        "href": f"/datasets/{view.dataset}/files.zip",
        "word": f"Download {size}",
        "sentence": f"{format_plural(len(originals), 'file')} as one ZIP; {copies.sentence}",
    }


def _tags(tags: Iterable[Tag]) -> list[dict[str, Any]]:
    names = [category.name for category in vocabulary.categories()]
    grouped: dict[str, list[dict[str, str]]] = {name: [] for name in names}
    for tag in tags:
        grouped.setdefault(tag.category, []).append(
            {
                "label": tag.label or tag.term,
                "curie": tag.curie,
                "href": "/?" + urlencode({"tag": f"{tag.category}:{tag.term}"}, safe=":"),
            }
        )
    return [
        {"title": category_title(name), "tags": entries}
        for name, entries in grouped.items()
        if entries
    ]


def _citation(view: DatasetView) -> str:
    data = view.metadata
    names = [author.name for author in data.authors]
    who = ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} et al."
    year = format_date(view.issued).rsplit(" ", 1)[-1]
    where = f" https://doi.org/{data.doi}." if data.doi else ""
    return (
        f"{who} ({year}). {data.name} [Data set], revision {view.revision}. "
        f"{publisher_name(view).rstrip('.')}.{where} Locmesh dataset {view.dataset}."
    )


def _reference(entry: Citation) -> dict[str, str]:
    href = f"https://doi.org/{quote(entry.doi, safe='/')}" if entry.doi else entry.url or ""
    return {"text": entry.text, "href": href, "link": entry.doi or entry.url or ""}


def _samples(view: DatasetView) -> list[dict[str, Any]]:
    shown, files_left, tables_left = [], FILES_SHOWN_MAX, TABLES_SHOWN_MAX
    for index, sample in enumerate(view.metadata.samples, 1):
        if files_left <= 0:
            break
        files = []
        for file in sample.files[:files_left]:
            tables = file.tables[: max(0, tables_left)] if file.role != "rendition" else ()
            tables_left -= len(tables)
            files.append(_file(view.dataset, file, tables=tables))
        files_left -= len(files)
        shown.append(_sample(index, sample, files))
    if shown and shown[0]["files"]:
        shown[0]["files"][0]["is_open"] = True
    return shown


def _sample(index: int, sample: Sample, files: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "anchor": f"sample-{index}",
        "name": sample.name,
        "description": sample.description,
        "files": files,
    }


def _file(dataset: str, file: File, *, tables: Iterable[TableSummary]) -> dict[str, Any]:
    rows = sum(table.rows for table in file.tables)
    facts = [_ROLES.get(file.role, file.role), file.format or file.media_type]
    if file.tables:
        facts.append(f"{format_exact(rows)} localizations")
    return {
        "name": file.name,
        "href": file_href(dataset, file),
        "size": file.size,
        "sha256": file.sha256,
        "facts": facts,
        "is_open": False,
        "tables": [
            {
                "title": f"{table.name or file.name}: "
                f"{format_plural(len(table.columns), 'column')}, as measured by the publisher",
                "columns": table.columns,
            }
            for table in tables
        ],
    }


def _provenance(
    view: DatasetView, around: Surroundings, *, names: dict[str, str]
) -> list[Statement]:
    now = around.now
    signed = Statement(
        tone="good",
        word="Signature verified",
        sentence=f"revision {view.revision} was signed by {publisher_name(view)} "
        f"on {format_date(view.issued)}, and this node checked it when it arrived.",
    )
    return [
        signed,
        state_completeness(view.publisher.completeness, now=now),
        state_reachability(view.publisher.reachability, now=now, names=names, is_origin=True),
        state_copies(view, around.silent),
    ]


def _holder(holder: Holder, silent: Collection[str]) -> dict[str, str]:
    held = "all files" if holder.complete else format_plural(holder.blobs, "file")
    return {
        "publisher": holder.publisher,
        "name": holder.name or f"Publisher {holder.publisher[:8]}",
        "word": f"{held}, does not answer now" if holder.publisher in silent else held,
    }
