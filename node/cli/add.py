"""add: files in, a draft or a published dataset out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from node.app import Node
from node.cli.description import description_options, starting_metadata
from node.cli.reading import reading_options
from node.cli.session import open_config, run_on_home
from node.cli.terminal import Progress, json_option, plain, print_json
from node.errors import InputError
from node.ingest.ingest import Ingested
from node.ingest.reading import ReadingOptions, check_format
from node.ingest.selection import Selection, select
from node.publishing.drafts import Draft
from node.publishing.publishing import Published
from node.web.quantities import format_count, format_plural, format_size
from protocol.dataset import File

__all__ = ["add_command"]

SKIPPED_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What `add` did."""

    draft: Draft
    ingested: Ingested
    published: Published | None


@click.command("add")
@click.argument(
    "paths",
    metavar="PATH...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@description_options
@reading_options
@click.option("--publish", is_flag=True, help="Publish at once instead of keeping a draft.")
@json_option
@click.pass_obj
def add_command(  # noqa: PLR0913 - one parameter per option.
    home: Path,
    *,
    paths: tuple[Path, ...],
    changes: dict[str, object],
    reading: ReadingOptions,
    publish: bool,
    as_json: bool,
) -> None:
    """Make a dataset from files or a folder. In a folder, each sub-folder is a sample.

    Files that share a name up to the first dot (cell1.csv, cell1.tif) are one sample. Originals
    are kept byte for byte; localization tables are measured, drawn, and kept as .smlm too.

    \b
    Example:
      locmesh add cell1.csv --name "Microtubules in U2OS, dSTORM" --description "..." \\
          --author "Ada Muster; Institut X" --license CC-BY-4.0 \\
          --tag modality:dstorm --tag structure:microtubules --publish
      locmesh add experiment/ --meta experiment.yaml
    """  # noqa: D301
    check_format(reading.format)
    metadata = starting_metadata(open_config(home)).changed(changes)
    missing = metadata.missing()
    if publish and missing:
        raise InputError(f"nothing was added; to publish, still missing: {', '.join(missing)}")
    selection = select(paths)

    async def work(node: Node) -> Added:
        with Progress("Adding", total=2 * selection.size) as bar:

            def progress(size: int, name: str) -> None:
                bar.say(name)
                bar.advance(size)

            ingested = await node.ingest.run(selection, reading, progress=progress)
        draft = await node.drafts.add(metadata, ingested.samples)
        published = await node.publishing.publish(draft.id) if publish else None
        return Added(draft=draft, ingested=ingested, published=published)

    added = run_on_home(home, work)
    if as_json:
        print_json(_document(added, selection))
    else:
        _print(added, selection)


def _document(added: Added, selection: Selection) -> dict[str, Any]:
    draft, published = added.draft, added.published
    return {
        "draft": None if published else draft.id,
        "dataset": published.dataset if published else None,
        "record": published.record if published else None,
        "revision": published.revision if published else None,
        "name": draft.metadata.name,
        "visibility": draft.metadata.visibility,
        "samples": [
            {
                "name": sample.name,
                "thumbnail": sample.thumbnail.sha256 if sample.thumbnail else None,
                "files": [
                    {
                        "name": file.name,
                        "role": file.role,
                        "format": file.format,
                        "size": file.size,
                        "sha256": file.sha256,
                        "merkle_root": file.merkle_root,
                        "localizations": _rows(file),
                    }
                    for file in sample.files
                ],
            }
            for sample in draft.samples
        ],
        "size": draft.size,
        "skipped": list(selection.skipped),
        "notes": list(added.ingested.notes),
        "missing": [] if published else draft.missing(),
    }


def _print(added: Added, selection: Selection) -> None:
    draft, published = added.draft, added.published
    for sample in draft.samples:
        files = ", ".join(_described(file) for file in sample.files)
        click.echo(plain(f"Sample {sample.name}: {files}"))
    for note in added.ingested.notes:
        click.echo(plain(f"Note: {note}"))
    for what in selection.skipped[:SKIPPED_SHOWN]:
        click.echo(plain(f"Left out {what}"))
    if len(selection.skipped) > SKIPPED_SHOWN:
        click.echo(f"Left out {len(selection.skipped) - SKIPPED_SHOWN} more")
    rows = sum(_rows(file) or 0 for sample in draft.samples for file in sample.files)
    facts = (
        f"{format_plural(len(draft.samples), 'sample')}, {format_count(rows)} localizations, "
        f"{format_size(draft.size)}"
    )
    if published is not None:
        click.echo(plain(f"Published dataset {published.dataset} ({facts})"))
        return
    click.echo(plain(f"Draft {draft.id[:8]} ({facts})"))
    missing = draft.missing()
    if missing:
        click.echo(plain(f"Before publishing, add with `locmesh edit`: {', '.join(missing)}"))
    else:
        click.echo(f"Next: locmesh publish {draft.id[:8]}")


def _described(file: File) -> str:
    rows = _rows(file)
    if rows is None:
        return f"{file.name} ({format_size(file.size)})"
    return f"{file.name} ({file.format}, {format_count(rows)} localizations)"


def _rows(file: File) -> int | None:
    return sum(table.rows for table in file.tables) if file.tables else None
