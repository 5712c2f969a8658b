"""get: datasets from whoever holds them, verified, onto this disk."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from node.app import Node
from node.catalog.views import Viewer
from node.cli.session import run_on_home
from node.cli.terminal import Progress, json_option, plain, print_json
from node.download import WORK_FOLDER, Delivered, clear_work_folder, deliver, folder_name, plan
from node.errors import PeerError
from node.ingest.reading import check_written_format
from node.ingest.workers import Workers
from node.peering.fetch import Fetcher
from node.remote import RemoteNode, parse_dataset_url
from node.web.quantities import format_plural, format_size
from protocol.dataset import Dataset

__all__ = ["get_command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the options ask for."""

    out: Path
    patterns: tuple[str, ...]
    to_format: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """One dataset and what became of its files."""

    dataset: str
    name: str
    folder: Path
    files: list[Delivered]


@click.command("get")
@click.argument("refs", metavar="ID-or-URL...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Where to; each dataset gets a folder there, each sample one within.",
)
@click.option(
    "--files",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Only these, as in '*.csv' or 'cell1/*'. Repeatable.",
)
@click.option("--to", "to_format", metavar="F", help="Localization tables in this format.")
@json_option
@click.pass_obj
def get_command(  # noqa: PLR0913 - one parameter per option.
    home: Path,
    *,
    refs: tuple[str, ...],
    out: Path,
    patterns: tuple[str, ...],
    to_format: str | None,
    as_json: bool,
) -> None:
    """Download datasets. Every byte is checked against the signed record before it counts.

    Pieces come from all nodes that hold them; what was interrupted goes on where it was. With
    the address of a dataset's page instead of an id, no home is needed.

    \b
    Example:
      locmesh get 3fa9c21b -o data/
      locmesh get https://smlm.example.org/datasets/3fa9...b1 -o data/ --files '*.csv'
      locmesh get 3fa9c21b -o data/ --to thunderstorm
    """  # noqa: D301
    check_written_format(to_format)
    wish = Wish(out=out, patterns=patterns, to_format=to_format)
    got = []
    for ref in refs:
        got.append(_from_url(ref, wish) if "://" in ref else _from_home(home, ref, wish))
        if not as_json:
            _print(got[-1])
    if as_json:
        print_json({"datasets": [_document(item) for item in got]})
    failed = [file for item in got for file in item.files if file.state == "failed"]
    if failed:
        total = sum(len(item.files) for item in got)
        raise PeerError(
            f"{len(failed)} of {format_plural(total, 'file')} did not come; "
            f"{failed[0].delivery.file.name}: {failed[0].error}"
        )


def _from_home(home: Path, ref: str, wish: Wish) -> Got:
    async def work(node: Node) -> Got:
        _, dataset = await node.catalog.resolve(ref, kinds=("dataset",))
        view = await node.catalog.dataset(dataset, viewer=Viewer.ADMIN)
        return await _fetch(
            dataset,
            view.metadata,
            wish,
            fetcher=node.peering.fetcher,
            workers=node.workers,
        )

    return run_on_home(home, work)


def _from_url(url: str, wish: Wish) -> Got:
    base, dataset = parse_dataset_url(url)

    async def session() -> Got:
        workers = Workers(1)
        try:
            async with RemoteNode(base) as remote:
                found = await remote.dataset(dataset)
                fetcher = remote.fetcher(wish.out / WORK_FOLDER)
                got = await _fetch(
                    found.dataset, found.metadata, wish, fetcher=fetcher, workers=workers
                )
        finally:
            await workers.close()
        if all(file.state != "failed" for file in got.files):
            clear_work_folder(wish.out)
        return got

    return asyncio.run(session())


async def _fetch(
    dataset: str, metadata: Dataset, wish: Wish, *, fetcher: Fetcher, workers: Workers
) -> Got:
    folder = wish.out / folder_name(metadata, dataset)
    deliveries = plan(metadata, folder, patterns=wish.patterns, to_format=wish.to_format)
    with Progress("Fetching", total=sum(item.file.size for item in deliveries)) as bar:

        def progress(size: int, name: str) -> None:
            bar.say(name)
            bar.advance(size)

        files = await deliver(
            deliveries,
            fetcher,
            origin=metadata.publisher,
            workers=workers,
            progress=progress,
        )
    for item in files:
        for fault in item.faults:
            click.echo(plain(f"Note: {item.delivery.file.name}: {fault}"), err=True)
    return Got(dataset=dataset, name=metadata.name, folder=folder, files=files)


def _document(got: Got) -> dict[str, Any]:
    return {
        "dataset": got.dataset,
        "name": got.name,
        "folder": str(got.folder),
        "files": [
            {
                "path": str(item.delivery.path),
                "sample": item.delivery.sample,
                "sha256": item.delivery.file.sha256,
                "size": item.delivery.file.size,
                "state": item.state,
                "sources": dict(item.sources),
                "faults": list(item.faults),
                "error": item.error,
            }
            for item in got.files
        ],
    }


def _print(got: Got) -> None:
    good = [item for item in got.files if item.state != "failed"]
    size = sum(item.delivery.file.size for item in good)
    click.echo(
        plain(f"{got.folder}: {format_plural(len(good), 'file')}, {format_size(size)}, verified")
    )
    came: dict[str, int] = {}
    for item in good:
        for source, count in item.sources.items():
            came[source] = came.get(source, 0) + count
    for source, count in came.items():
        click.echo(plain(f"  {format_size(count)} from {source}"))
