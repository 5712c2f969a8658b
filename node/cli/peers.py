"""peer and sync: whom this node talks to."""

from __future__ import annotations

from pathlib import Path

import click

from node.app import Node
from node.catalog.peers import Peer
from node.cli.session import run_on_home
from node.cli.terminal import json_option, plain, print_json, print_table
from node.errors import InputError, PeerError
from node.peering.addresses import parse_peer_url
from node.peering.handshake import Introduction
from node.peering.round import SyncReport
from node.web.documents import peer_document, values_of
from node.web.quantities import format_age, format_plural, format_size

__all__ = ["peer_command", "sync_command"]


@click.group("peer")
def peer_command() -> None:
    """Whom this node talks to and trusts.

    \b
    Example:
      locmesh peer add https://smlm.example.org
      locmesh peer list
    """  # noqa: D301


@peer_command.command("add")
@click.argument("url")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def add(home: Path, *, url: str, yes: bool, as_json: bool) -> None:
    """Meet the node at URL, and trust its publisher if you say so.

    \b
    Example:
      locmesh peer add https://smlm.example.org
    """  # noqa: D301

    async def meet(node: Node) -> Introduction:
        met = await node.peering.introduce(url)
        if met.publisher == node.keyring.publisher:
            raise PeerError(f"{url} is this very node")
        return met

    async def trust(node: Node) -> Peer:
        base = str(parse_peer_url(url))
        await node.catalog.admit(met.envelopes, source=met.publisher)
        await node.peers.add(base, source="operator", state="approved", publisher=met.publisher)
        await node.peers.approve(met.publisher)
        return await node.peers.get(base)

    met = run_on_home(home, meet)
    if not yes:
        _describe(met, url)
        if not click.confirm("Trust this publisher?", err=True):
            raise InputError(f"{url} was not added")
    peer = run_on_home(home, trust)
    if as_json:
        print_json(peer_document(peer, has_secrets=True))
    else:
        click.echo(plain(f"Added {met.name or url}, publisher {met.publisher}"))


@peer_command.command("list")
@json_option
@click.pass_obj
def list_peers(home: Path, *, as_json: bool) -> None:
    """List peers and suggestions, and how the last contact went.

    \b
    Example:
      locmesh peer list
    """  # noqa: D301

    async def work(node: Node) -> tuple[tuple[Peer, ...], int]:
        return await node.peers.list(), node.clock()

    peers, now = run_on_home(home, work)
    if as_json:
        print_json({"peers": [peer_document(peer, has_secrets=True) for peer in peers]})
        return
    if not peers:
        click.echo("No peers yet. Add one: locmesh peer add URL")
        return
    rows = [
        (
            (peer.publisher or "")[:8] or peer.id,
            peer.name,
            peer.state,
            peer.url or "(dials in)",
            f"{format_age(now - peer.last_success)} ago" if peer.last_success else "never",
            peer.last_error or (f"refused: {peer.last_refusal}" if peer.last_refusal else ""),
        )
        for peer in peers
    ]
    names = ("id", "name", "state", "address", "last contact", "last trouble")
    print_table(names, rows, flexible=5)


@peer_command.command("approve")
@click.argument("ref", metavar="ID")
@json_option
@click.pass_obj
def approve(home: Path, *, ref: str, as_json: bool) -> None:
    """Trust a suggested peer: sync with it and take what it offers.

    \b
    Example:
      locmesh peer approve 77b0e4d1
    """  # noqa: D301
    peers = run_on_home(home, lambda node: node.peers.approve(ref))
    _print_peers(peers, "Approved", as_json=as_json)


@peer_command.command("block")
@click.argument("ref", metavar="ID")
@json_option
@click.pass_obj
def block(home: Path, *, ref: str, as_json: bool) -> None:
    """Refuse a peer, and hide all that its publisher signed. `approve` undoes it.

    \b
    Example:
      locmesh peer block 77b0e4d1
    """  # noqa: D301
    peers = run_on_home(home, lambda node: node.peers.block(ref))
    _print_peers(peers, "Blocked", as_json=as_json)


@peer_command.command("remove")
@click.argument("ref", metavar="ID")
@json_option
@click.pass_obj
def remove(home: Path, *, ref: str, as_json: bool) -> None:
    """Forget a peer and its addresses. Records that came from it stay.

    \b
    Example:
      locmesh peer remove 77b0e4d1
    """  # noqa: D301
    peers = run_on_home(home, lambda node: node.peers.remove(ref))
    _print_peers(peers, "Removed", as_json=as_json)


@click.command("sync")
@click.argument("ref", metavar="[PEER]", required=False)
@json_option
@click.pass_obj
def sync_command(home: Path, *, ref: str | None, as_json: bool) -> None:
    """Exchange records with all approved peers now, or with one.

    \b
    Example:
      locmesh sync
      locmesh sync 77b0e4d1
    """  # noqa: D301

    async def work(node: Node) -> list[SyncReport]:
        peers = (await node.peers.get(ref),) if ref else await node.peers.list("approved")
        return [await node.peering.syncer.sync_peer(peer) for peer in peers if peer.url is not None]

    reports = run_on_home(home, work)
    if as_json:
        print_json({"peers": [values_of(report) for report in reports]})
    else:
        _print_reports(reports)
    failed = [report for report in reports if report.error]
    if failed and len(failed) == len(reports):
        raise PeerError(failed[0].error)


def _print_reports(reports: list[SyncReport]) -> None:
    if not reports:
        click.echo("No approved peers with an address. Add one: locmesh peer add URL")
    for report in reports:
        if report.error:
            click.echo(plain(f"{report.peer}: {report.error}"))
            continue
        click.echo(
            plain(
                f"{report.peer}: pulled {format_plural(report.pulled, 'record')}, "
                f"pushed {report.pushed}, {format_size(report.bytes_received)} in, "
                f"{format_size(report.bytes_sent)} out, {report.seconds:.1f} s"
            )
        )
        for note in report.notes:
            click.echo(plain(f"  {note}"))


def _describe(met: Introduction, url: str) -> None:
    institution = f", {met.node.institution}" if met.node and met.node.institution else ""
    click.echo(
        plain(f"At {url} answers {met.name or 'a node without a name'}{institution}"), err=True
    )
    pairs = " ".join(met.publisher[i : i + 8] for i in range(0, 64, 8))
    click.echo(f"Publisher {pairs}", err=True)
    click.echo("Compare these digits with those that its people tell you.", err=True)


def _print_peers(peers: tuple[Peer, ...], done: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"peers": [peer_document(peer, has_secrets=True) for peer in peers]})
        return
    for peer in peers:
        click.echo(plain(f"{done} {peer.name or peer.publisher or peer.url}"))
