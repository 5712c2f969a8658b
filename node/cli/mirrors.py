"""mirror: what this node keeps copies of."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from node.app import Node
from node.catalog.mirrors import Mirror
from node.catalog.views import Query
from node.cli.queries import query_options
from node.cli.session import run_on_home
from node.cli.terminal import Progress, json_option, plain, print_json, print_table
from node.errors import InputError, PeerError
from node.peering.mirror import MirrorReport
from node.settings import parse_size
from node.web.documents import values_of
from node.web.quantities import format_date, format_size

__all__ = ["mirror_command"]

NO_MIRRORS = "No mirrors yet. Add one: locmesh mirror add QUERY"


@click.group("mirror")
def mirror_command() -> None:
    """Standing queries: the files of all datasets that fit are copied here and kept.

    \b
    Example:
      locmesh mirror add structure:nuclear-pore-complex --max-size 500GB
      locmesh mirror list
    """  # noqa: D301


@mirror_command.command("add")
@click.argument("query")
@query_options
@click.option("--max-size", metavar="SIZE", help="At most so much, as in 500GB.")
@click.option("--from", "publisher", metavar="PUBLISHER", help="Only what this publisher signed.")
@json_option
@click.pass_obj
def add(
    home: Path, *, query: Query, max_size: str | None, publisher: str | None, as_json: bool
) -> None:
    """Keep copies of all datasets that fit QUERY, now and in future. "" fits everything.

    \b
    Example:
      locmesh mirror add "nuclear pore" --max-size 500GB
      locmesh mirror add "" --from 77b0e4d1
    """  # noqa: D301
    try:
        size = None if max_size is None else parse_size(max_size)
    except InputError as error:
        raise click.BadParameter(str(error), param_hint="--max-size") from error

    async def work(node: Node) -> Mirror:
        source = None
        if publisher is not None:
            _, source = await node.catalog.resolve(publisher, kinds=("publisher",))
        return await node.mirrors.add(_fields(query), max_size=size, from_publisher=source)

    mirror = run_on_home(home, work)
    if as_json:
        print_json(values_of(mirror))
    else:
        click.echo(plain(f"Added mirror {mirror.id}: {_words(mirror)}"))
        click.echo(f"A running node starts at once; otherwise: locmesh mirror run {mirror.id}")


@mirror_command.command("list")
@json_option
@click.pass_obj
def list_mirrors(home: Path, *, as_json: bool) -> None:
    """List the standing queries and how far each has got.

    \b
    Example:
      locmesh mirror list
    """  # noqa: D301
    mirrors = run_on_home(home, lambda node: node.mirrors.list())
    if as_json:
        print_json({"mirrors": [values_of(mirror) for mirror in mirrors]})
        return
    if not mirrors:
        click.echo(NO_MIRRORS)
        return
    rows = [
        (
            mirror.id,
            _words(mirror),
            f"{mirror.datasets_held} of {mirror.datasets_matched}",
            format_size(mirror.bytes_held),
            "no limit" if mirror.max_size is None else format_size(mirror.max_size),
            format_date(mirror.last_run) if mirror.last_run else "not yet",
            mirror.last_error,
        )
        for mirror in mirrors
    ]
    names = ("id>", "query", "datasets>", "held>", "limit>", "last run", "last trouble")
    print_table(names, rows, flexible=6)


@mirror_command.command("run")
@click.argument("ref", metavar="[ID]", type=int, required=False)
@json_option
@click.pass_obj
def run(home: Path, *, ref: int | None, as_json: bool) -> None:
    """Fetch what is missing now: of all standing queries, or of one.

    \b
    Example:
      locmesh mirror run
    """  # noqa: D301

    async def work(node: Node) -> list[MirrorReport]:
        with Progress("Mirroring", total=None) as bar:

            def progress(size: int, name: str) -> None:
                bar.say(name)
                bar.advance(size)

            node.peering.mirrors.on_progress = progress
            return await node.peering.mirrors.run_once(ref)

    reports = run_on_home(home, work)
    if as_json:
        print_json({"mirrors": [values_of(report) for report in reports]})
    elif not reports:
        click.echo(NO_MIRRORS)
    else:
        for report in reports:
            _print_report(report)
    failed = [report.error for report in reports if report.error]
    if failed:
        raise PeerError(failed[0])


@mirror_command.command("remove")
@click.argument("ref", metavar="ID", type=int)
@json_option
@click.pass_obj
def remove(home: Path, *, ref: int, as_json: bool) -> None:
    """Forget a standing query. The copies stay.

    \b
    Example:
      locmesh mirror remove 1
    """  # noqa: D301
    mirror = run_on_home(home, lambda node: node.mirrors.remove(ref))
    if as_json:
        print_json(values_of(mirror))
    else:
        click.echo(plain(f"Removed mirror {mirror.id}: {_words(mirror)}"))


def _fields(query: Query) -> dict[str, Any]:
    """The fields that differ from a search for everything."""
    everything = Query()
    return {
        field.name: getattr(query, field.name)
        for field in dataclasses.fields(query)
        if getattr(query, field.name) != getattr(everything, field.name)
    }


def _words(mirror: Mirror) -> str:
    query = dict(mirror.query)
    parts = [*query.pop("tags", ()), query.pop("text", "")]
    parts += [f"{name}={value}" for name, value in query.items()]
    text = " ".join(part for part in parts if part) or "everything"
    return f"{text} from {mirror.from_publisher[:8]}" if mirror.from_publisher else text


def _print_report(report: MirrorReport) -> None:
    click.echo(
        plain(
            f"Mirror {report.mirror}: {report.datasets_held} of {report.datasets_matched} datasets "
            f"held, {format_size(report.bytes_held)}; "
            f"{format_size(report.bytes_fetched)} fetched now"
        )
    )
