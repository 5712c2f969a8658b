"""search: the federation, as this node or another one knows it."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import click

from node.app import Node
from node.catalog.views import Query, Viewer
from node.cli.queries import query_options
from node.cli.session import run_on_home
from node.cli.terminal import json_option, plain, print_json, print_table
from node.web.documents import search_document
from node.web.quantities import format_count, format_length, format_plural

__all__ = ["search_command"]


@click.command("search")
@click.argument("query", default="")
@query_options
@click.option("--publisher", metavar="ID", help="Published by this publisher only.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@click.option("--cursor", metavar="C", help="Go on where the last page ended.")
@click.option("--node", "url", metavar="URL", help="Ask the node there; no home is needed.")
@json_option
@click.pass_obj
def search_command(  # noqa: PLR0913 - one parameter per option.
    home: Path,
    *,
    query: Query,
    publisher: str | None,
    limit: int,
    cursor: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Find datasets of all publishers. Without QUERY, the newest of all.

    \b
    Example:
      locmesh search "nuclear pore" --tag modality:dstorm --precision-max 10
      locmesh search structure:microtubules --node https://smlm.example.org
    """  # noqa: D301
    query = dataclasses.replace(query, publisher=publisher, limit=limit, cursor=cursor)
    document = _ask_remote(url, query) if url else run_on_home(home, lambda node: _ask(node, query))
    if as_json:
        print_json(document)
    else:
        _print(document)


async def _ask(node: Node, query: Query) -> dict[str, Any]:
    if query.publisher:
        _, publisher = await node.catalog.resolve(query.publisher, kinds=("publisher",))
        query = dataclasses.replace(query, publisher=publisher)
    # Whoever can run commands on a home is its administrator.
    results = await node.catalog.search(dataclasses.replace(query, viewer=Viewer.ADMIN))
    return search_document(results)


def _ask_remote(url: str, query: Query) -> dict[str, Any]:
    from node.remote import RemoteNode  # noqa: PLC0415 - a search at home needs no network.

    async def session() -> dict[str, Any]:
        async with RemoteNode(url) as remote:
            return await remote.search(query)

    return asyncio.run(session())


def _print(document: dict[str, Any]) -> None:
    hits = document["hits"]
    if not hits:
        click.echo("Nothing found.")
        return
    rows = [
        (
            hit["dataset"][:8],
            hit["name"],
            format_count(hit["summary"]["localizations"]),
            f"{hit['summary']['dimension']}D" if hit["summary"]["dimension"] else "",
            format_length(hit["summary"]["precision_nm"]),
            hit["license"],
            hit["publisher"]["name"] or hit["publisher"]["id"][:8],
            hit["holders"],
        )
        for hit in hits
    ]
    names = ("id", "name", "locs>", "dim", "precision>", "licence", "publisher", "copies>")
    print_table(names, rows, flexible=1)
    total = document["total"]
    if total > len(hits):
        click.echo(plain(f"\n{len(hits)} of {format_plural(total, 'dataset')}"))
        if document["cursor"]:
            click.echo(f"Next page: --cursor {document['cursor']}")
