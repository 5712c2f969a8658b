"""A throw-away federation on this machine: a lab, a partner that mirrors it, a portal, more labs.

Every node is a process of its own with its own home and key, as it would be on its own machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.app import Node, create_home
from node.catalog.views import Query, Viewer
from node.config import Config
from node.demo.datasets import DATASETS
from node.demo.description import DemoDataset
from node.demo.labs import LABS, Lab
from node.demo.populate import populate
from node.errors import NodeError

__all__ = ["NODES_MAX", "DemoNode", "Say", "prepare", "running", "wait_until_in_sync"]

Say = Callable[[str], None]

# Lab, partner, portal, then a second lab: one of each kind first.
NODES_MAX = len(LABS) + 1
PORTAL = 2
HOST = "127.0.0.1"
MIRRORED = {"tags": ["structure:nuclear-pore-complex"]}
READY_TIMEOUT_S = 30.0
SYNC_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 6.0
POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoNode:
    """One node of the demonstration; `lab` is None for the portal."""

    config: Config
    publisher: str
    lab: Lab | None
    is_partner: bool

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.config.port}"

    @property
    def kind(self) -> str:
        """What it is for, in words."""
        if self.lab is None:
            return "portal: publishes nothing, follows everybody"
        if self.is_partner:
            return "partner: publishes and mirrors nuclear pores"
        return "lab: publishes its own data"


async def prepare(root: Path, *, count: int, port: int, say: Say) -> list[DemoNode]:
    """Make the homes below root and publish the labs' datasets in them.

    Raises:
        NodeError: A folder cannot be written, or a port is taken.
    """
    for number in range(count):
        _check_free(port + number)
    nodes = []
    for number in range(count):
        lab = None if number == PORTAL else LABS[number - (number > PORTAL)]
        config = Config(
            home=root / (lab.key if lab else "portal"),
            name=lab.name if lab else "Demo portal",
            institution=lab.institution if lab else "Locmesh demonstration",
            contact=lab.contact if lab else "portal@locmesh.example",
            host=HOST,
            port=port + number,
            trust="known" if lab else "open",
            discovery=(),
            reserve_bytes=0,
        )
        keyring = await create_home(config)
        nodes.append(
            DemoNode(config=config, publisher=keyring.publisher, lab=lab, is_partner=number == 1)
        )
    labs = [node for node in nodes if node.lab is not None]
    total = len(_datasets_of(nodes))
    done = 0

    def count_up() -> None:
        nonlocal done
        done += 1
        say(f"Simulated and published {done} of {total} datasets")

    for demo in labs:
        assert demo.lab is not None
        async with Node(demo.config) as node:
            await populate(node, demo.lab.key, on_published=count_up)
    return nodes


def _check_free(port: int) -> None:
    """Say at once what would fail after all the simulating.

    Raises:
        NodeError: Another program listens on the port.
    """
    with socket.socket() as probe:
        if sys.platform != "win32":  # There it would mean the opposite.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise NodeError(
                f"port {port} of this machine cannot be used ({error.strerror}); choose others "
                "with --port"
            ) from error


@contextlib.contextmanager
def running(nodes: Sequence[DemoNode]) -> Iterator[list[subprocess.Popen[str]]]:
    """Run the nodes as processes, until the block ends.

    Raises:
        NodeError: One does not start, for example because its port is taken.
    """
    processes: list[subprocess.Popen[str]] = []
    try:
        for node in nodes:
            args = [sys.executable, "-m", "node.demo.child", "--home", str(node.config.home)]
            # A file, not a pipe: nobody reads a pipe as long as the nodes run.
            with (node.config.home / "serve.log").open("w", encoding="utf-8") as log:
                processes.append(
                    subprocess.Popen(  # noqa: S603 - our own program.
                        [*args, "serve", "--json"],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        text=True,
                        encoding="utf-8",
                    )
                )
        for node, process in zip(nodes, processes, strict=True):
            _await_ready(node, process)
        yield processes
    finally:
        _stop(processes)


async def wait_until_in_sync(nodes: Sequence[DemoNode], *, say: Say) -> None:
    """Introduce the nodes to one another and wait until all know everything.

    Raises:
        NodeError: They do not get there in two minutes.
    """
    for left in nodes:
        for right in nodes:
            if left is not right and _knows(left, right):
                await _introduce(left, right)
    partner = next((node for node in nodes if node.is_partner), None)
    if partner is not None:
        async with Node(partner.config) as node:
            await node.mirrors.add(MIRRORED)
    total = sum(dataset.metadata["visibility"] == "public" for dataset in _datasets_of(nodes))
    say(f"Waiting until all nodes know all {total} public datasets")
    try:
        async with asyncio.timeout(SYNC_TIMEOUT_S):
            for demo in nodes:
                await _until_known(demo, total)
            if partner is not None:
                await _until_mirrored(partner)
    except TimeoutError:
        raise NodeError(
            f"the nodes were not in sync after {SYNC_TIMEOUT_S:g} s; their logs are in "
            f"{nodes[0].config.home.parent}"
        ) from None


def _datasets_of(nodes: Sequence[DemoNode]) -> list[DemoDataset]:
    labs = {node.lab.key for node in nodes if node.lab is not None}
    return [dataset for dataset in DATASETS if dataset.lab in labs]


def _knows(left: DemoNode, right: DemoNode) -> bool:
    """Say who meets whom: the partner meets everybody, the portal follows everybody."""
    return left.is_partner or right.is_partner or left.lab is None or right.lab is None


def _await_ready(node: DemoNode, process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        log = (node.config.home / "serve.log").read_text(encoding="utf-8").strip().splitlines()
        raise NodeError(
            f"{node.config.name} did not start: "
            f"{log[-1].removeprefix('locmesh: ') if log else 'no reason given'}"
        )
    ready: dict[str, Any] = json.loads(line)
    return ready


async def _introduce(left: DemoNode, right: DemoNode) -> None:
    """Let left approve right, as `locmesh peer add URL --yes` does."""
    async with Node(left.config) as node:
        met = await node.peering.introduce(right.url)
        await node.catalog.admit(met.envelopes, source=met.publisher)
        await node.peers.add(
            right.url, source="operator", state="approved", publisher=met.publisher
        )
        await node.peers.approve(met.publisher)


async def _until_known(demo: DemoNode, total: int) -> None:
    async with Node(demo.config) as node:
        while True:
            found = await node.catalog.search(Query(viewer=Viewer.ANONYMOUS, limit=1))
            if found.total >= total:
                return
            await asyncio.sleep(POLL_S)


async def _until_mirrored(demo: DemoNode) -> None:
    query = Query(viewer=Viewer.ANONYMOUS, limit=100, tags=tuple(MIRRORED["tags"]))
    async with Node(demo.config) as node:
        while True:
            found = await node.catalog.search(query)
            views = [await node.catalog.dataset(hit.dataset) for hit in found.hits]
            names = {f.sha256 for v in views for s in v.metadata.samples for f in s.files}
            held = [await node.blobs.has(name) for name in names]
            if names and all(held):
                return
            await asyncio.sleep(POLL_S)


def _stop(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
