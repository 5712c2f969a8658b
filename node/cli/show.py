"""list and show: what there is here, and all that is known about one dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from node.app import Node
from node.catalog.views import DatasetView, Hit, Query, Viewer
from node.cli.session import run_on_home
from node.cli.terminal import json_option, plain, print_facts, print_json, print_table
from node.errors import NotFoundError
from node.publishing.drafts import Draft
from node.publishing.licenses import license_name
from node.web.documents import dataset_document, values_of
from node.web.quantities import (
    format_count,
    format_date,
    format_field,
    format_length,
    format_plural,
    format_size,
)
from protocol.dataset import Dataset, Sample

__all__ = ["list_command", "show_command"]

PAGE_SIZE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What this home prepares and has published."""

    drafts: list[Draft]
    datasets: list[Hit]
    withdrawn: list[DatasetView]


@click.command("list")
@json_option
@click.pass_obj
def list_command(home: Path, *, as_json: bool) -> None:
    """List the drafts of this home and the datasets that it has published.

    \b
    Example:
      locmesh list
    """  # noqa: D301
    own = run_on_home(home, _own)
    if as_json:
        drafts = [_draft_document(draft) for draft in own.drafts]
        withdrawn = [
            {"dataset": view.dataset, "name": view.metadata.name, "issued": view.issued}
            for view in own.withdrawn
        ]
        datasets = [values_of(hit) for hit in own.datasets]
        print_json({"drafts": drafts, "datasets": datasets, "withdrawn": withdrawn})
        return
    if not own.drafts and not own.datasets and not own.withdrawn:
        click.echo("Nothing here yet. Add files: locmesh add FILE ... --name ...")
        return
    rows = [
        *(_draft_row(draft) for draft in own.drafts),
        *(_hit_row(hit) for hit in own.datasets),
        *(_withdrawn_row(view) for view in own.withdrawn),
    ]
    print_table(("id", "state", "name", "locs>", "size>", "samples>", "date"), rows, flexible=2)


@click.command("show")
@click.argument("ref", metavar="ID")
@json_option
@click.pass_obj
def show_command(home: Path, *, ref: str, as_json: bool) -> None:
    """Show a dataset of any publisher, or a draft of this home.

    \b
    Example:
      locmesh show 3fa9c21b
    """  # noqa: D301

    async def work(node: Node) -> DatasetView | Draft:
        try:
            _, dataset = await node.catalog.resolve(ref, kinds=("dataset",))
        except NotFoundError as error:
            try:
                return await node.drafts.get(ref)
            except NotFoundError:
                raise error from None
        return await node.catalog.dataset(dataset, viewer=Viewer.ADMIN)

    found = run_on_home(home, work)
    if isinstance(found, Draft):
        if as_json:
            print_json(_draft_document(found))
        else:
            _print_draft(found)
    elif as_json:
        print_json(dataset_document(found))
    else:
        _print_dataset(found)


async def _own(node: Node) -> Own:
    drafts = await node.drafts.list()
    datasets: list[Hit] = []
    cursor = None
    while True:
        query = Query(
            publisher=node.keyring.publisher, viewer=Viewer.ADMIN, limit=PAGE_SIZE, cursor=cursor
        )
        results = await node.catalog.search(query)
        datasets += results.hits
        cursor = results.cursor
        if cursor is None:
            withdrawn = await node.catalog.withdrawn(node.keyring.publisher)
            return Own(drafts=drafts, datasets=datasets, withdrawn=withdrawn)


def _draft_row(draft: Draft) -> tuple[object, ...]:
    state = "revision draft" if draft.dataset else "draft"
    name = draft.metadata.name or f"({', '.join(sample.name for sample in draft.samples)})"
    return (
        draft.id[:8],
        state,
        name,
        format_count(_rows(draft.samples)),
        format_size(draft.size),
        len(draft.samples),
        format_date(draft.updated),
    )


def _hit_row(hit: Hit) -> tuple[object, ...]:
    return (
        hit.dataset[:8],
        hit.visibility if hit.status == "current" else hit.status,
        hit.name,
        format_count(hit.summary.localizations),
        format_size(hit.summary.size),
        hit.summary.samples,
        format_date(hit.issued),
    )


def _withdrawn_row(view: DatasetView) -> tuple[object, ...]:
    said = view.metadata
    return (
        view.dataset[:8],
        "withdrawn",
        said.name,
        format_count(_rows(said.samples)),
        format_size(_size(said)),
        len(said.samples),
        format_date(view.issued),
    )


def _draft_document(draft: Draft) -> dict[str, Any]:
    return {
        "draft": draft.id,
        "dataset": draft.dataset,
        "created": draft.created,
        "updated": draft.updated,
        "metadata": draft.metadata.to_json(),
        "samples": values_of(draft.samples),
        "size": draft.size,
        "missing": draft.missing(),
    }


def _print_draft(draft: Draft) -> None:
    said = draft.metadata
    print_facts(
        {
            "Draft": draft.id,
            "Of dataset": draft.dataset,
            "Name": said.name,
            "Description": said.description,
            "Authors": ", ".join(author.name for author in said.authors),
            "Contact": said.contact,
            "Licence": said.license,
            "Tags": ", ".join(f"{tag.category}:{tag.term}" for tag in said.tags),
            "Visibility": said.visibility,
            "Missing": ", ".join(draft.missing()),
        }
    )
    _print_samples(draft.samples)


def _print_dataset(view: DatasetView) -> None:
    said = view.metadata
    print_facts(
        {
            "Name": said.name,
            "State": _state(view),
            "Dataset": view.dataset,
            "Record": view.record,
            "Revision": f"{view.revision}, {format_date(view.issued)}",
            "Publisher": f"{view.publisher.name} ({view.publisher.id[:8]})",
            "Reachable": _reachability(view),
            "Visibility": view.visibility,
            "Description": said.description,
            "Authors": ", ".join(author.name for author in said.authors),
            "Contact": said.contact,
            "Licence": f"{said.license}, {license_name(said.license)}",
            "Tags": ", ".join(f"{tag.category}:{tag.term}" for tag in said.tags),
            "DOI": said.doi,
            "Funding": said.funding,
            "Size": format_size(_size(said)),
            "Copies": _copies(view),
        }
    )
    _print_samples(said.samples)


def _print_samples(samples: tuple[Sample, ...]) -> None:
    rows = []
    for sample in samples:
        for file in sample.files:
            count = sum(table.rows for table in file.tables) if file.tables else None
            first = file.tables[0] if file.tables else None
            rows.append(
                (
                    sample.name,
                    file.name,
                    file.role,
                    format_size(file.size),
                    "" if count is None else format_count(count),
                    "" if first is None else format_length(first.uncertainty_nm),
                    "" if first is None else format_field(dict(first.bounds)),
                    file.sha256[:8],
                )
            )
    click.echo()
    names = ("sample", "file", "role", "size>", "locs>", "precision>", "field", "sha256")
    print_table(names, rows, flexible=1)


def _state(view: DatasetView) -> str:
    if view.withdrawal is not None:
        held = format_plural(len(view.holders), "node")
        return plain(f"withdrawn: {view.withdrawal.reason} (still held by {held})")
    if view.status == "forked":
        return "two records claim to be the same revision; both are kept, the publisher is flagged"
    return view.status


def _reachability(view: DatasetView) -> str:
    state = view.publisher.reachability
    if state.state == "self":
        return "this node"
    since = f" since {format_date(state.since)}" if state.since else ""
    told = f", says {state.via[:8]}" if state.via else ""
    return f"{state.state}{since}{told}"


def _copies(view: DatasetView) -> str:
    words = [
        f"{holder.name or holder.publisher[:8]}{'' if holder.complete else ' (in part)'}"
        for holder in view.holders
    ]
    return ", ".join(words) or "nobody is known to hold the files"


def _rows(samples: tuple[Sample, ...]) -> int:
    return sum(table.rows for sample in samples for file in sample.files for table in file.tables)


def _size(dataset: Dataset) -> int:
    return sum(file.size for sample in dataset.samples for file in sample.files)
