"""demo: a throw-away federation on this machine."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click

from node.cli.terminal import json_option, plain
from node.demo.federation import (
    NODES_MAX,
    DemoNode,
    Say,
    prepare,
    running,
    wait_until_in_sync,
)
from node.errors import NodeError

__all__ = ["demo_command"]

WATCH_S = 0.5


@click.command("demo")
@click.option("--nodes", "count", type=click.IntRange(2, NODES_MAX), default=3, show_default=True)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535 - NODES_MAX),
    default=8750,
    show_default=True,
    help="Port of the first node; the others follow.",
)
@json_option
def demo_command(*, count: int, port: int, as_json: bool) -> None:
    """Run a throw-away federation on this machine: a lab, a partner, a portal, then a second lab.

    The labs publish simulated nuclear pores, microtubules, mitochondria and clathrin; the partner
    mirrors the nuclear pores. All of it is gone after Ctrl-C.

    \b
    Example:
      locmesh demo
      locmesh demo --nodes 4 --port 9000
    """  # noqa: D301
    start_s = time.monotonic()

    def say(sentence: str) -> None:
        if not as_json:
            click.echo(f"[{time.monotonic() - start_s:4.0f} s] {plain(sentence)}")

    # Ended as a service is ended, it tidies up just as after Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="locmesh-demo-", ignore_cleanup_errors=True) as root:
        try:
            _run(Path(root), count, port=port, say=say, as_json=as_json)
        except KeyboardInterrupt:
            say("Stopped; everything it made is gone")


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _run(root: Path, count: int, *, port: int, say: Say, as_json: bool) -> None:
    nodes = asyncio.run(prepare(root, count=count, port=port, say=say))
    with running(nodes) as processes:
        asyncio.run(wait_until_in_sync(nodes, say=say))
        if as_json:
            click.echo(json.dumps({"event": "ready", "nodes": [_document(n) for n in nodes]}))
        else:
            say("All nodes are up and in sync")
            for node in nodes:
                click.echo(f"  {node.url}  {plain(node.config.name)} ({node.kind})")
            click.echo("Open one in a browser; Ctrl-C ends the demo.")
        _watch(nodes, processes)


def _document(node: DemoNode) -> dict[str, str]:
    return {
        "name": node.config.name,
        "url": node.url,
        "home": str(node.config.home),
        "publisher": node.publisher,
    }


def _watch(nodes: Sequence[DemoNode], processes: Sequence[subprocess.Popen[str]]) -> None:
    """Wait until everybody has gone. A node that somebody kills is part of the show."""
    gone: set[str] = set()
    while len(gone) < len(nodes):
        for node, process in zip(nodes, processes, strict=True):
            if process.poll() is not None and node.url not in gone:
                gone.add(node.url)
                command = f"locmesh --home {node.config.home} serve"
                click.echo(
                    f"{plain(node.config.name)} has stopped; bring it back: {command}", err=True
                )
        time.sleep(WATCH_S)
    raise NodeError("all nodes of the demo have stopped")
