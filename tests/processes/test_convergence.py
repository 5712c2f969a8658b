"""Once the faults stop, all nodes hold the same, whatever happened before."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.processes import nodes
from tests.processes.conftest import Start
from tests.processes.test_federation import befriend, names, publish
from tests.processes.wires import Wire

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

Write = Callable[..., Path]
KILLS = 5


def records(node: nodes.RunningNode) -> dict[str, tuple[int, bool, bool]]:
    """What a node holds of each publisher: how many records, whether all, whether forked."""
    publishers = node.get("/publishers.json")["publishers"]
    return {
        item["id"]: (item["records"], item["completeness"]["complete"], item["forked"])
        for item in publishers
    }


def agree(*running: nodes.RunningNode) -> bool:
    first, *others = (records(node) for node in running)
    return (
        len(first) == len(running)
        and all(other == first for other in others)
        and all(is_complete and not is_forked for _, is_complete, is_forked in first.values())
    )


def wait_for(expected: set[str], *running: nodes.RunningNode) -> None:
    for node in running:
        what = f"{node.home.name} finds {', '.join(expected)}"
        nodes.until(partial(_finds, node, expected), what=what)


def _finds(node: nodes.RunningNode, expected: set[str]) -> bool:
    return expected <= names(node)


@pytest.fixture
def wire() -> Iterator[Callable[[nodes.RunningNode], Wire]]:
    wires: list[Wire] = []

    def lay(node: nodes.RunningNode) -> Wire:
        wires.append(Wire(node.port))
        return wires[-1]

    yield lay
    for one in wires:
        one.close()


def test_nodes_that_are_killed_at_any_moment_converge(
    tmp_path: Path, start: Start, table_file: Write
) -> None:
    chance = random.Random(5)
    homes = [tmp_path / name for name in "abc"]
    for home in homes:
        nodes.init(home, home.name.upper())
    running = [start(home) for home in homes]
    befriend(running[0], running[1])
    befriend(running[1], running[2])
    expected = set()
    for number in range(KILLS):
        victim = chance.randrange(3)
        author = chance.randrange(3)
        name = f"Dataset {number}"
        port = running[victim].port
        death = threading.Timer(chance.uniform(0.0, 3.0), running[victim].kill)
        death.start()
        publish(homes[author], table_file(number, rows=200), name)
        expected.add(name)
        death.join()
        running[victim] = start(homes[victim], port=port)
    wait_for(expected, *running)
    nodes.until(lambda: agree(*running), what="all agree, completely and without forks")


def test_a_network_that_was_torn_in_two_grows_together(
    tmp_path: Path, start: Start, table_file: Write, wire: Callable[[nodes.RunningNode], Wire]
) -> None:
    homes = [tmp_path / name for name in "abcd"]
    for home in homes:
        nodes.init(home, home.name.upper())
    a, b, c, d = running = [start(home) for home in homes]
    befriend(a, b)
    befriend(c, d)
    bridges = [wire(c), wire(b)]
    nodes.cli(b.home, "peer", "add", bridges[0].url, "--yes")
    nodes.cli(c.home, "peer", "add", bridges[1].url, "--yes")
    publish(a.home, table_file(0, rows=200), "Before")
    wait_for({"Before"}, *running)
    for bridge in bridges:
        bridge.cut()
    publish(a.home, table_file(1, rows=200), "West")
    publish(d.home, table_file(2, rows=200), "East")
    wait_for({"West"}, a, b)
    wait_for({"East"}, c, d)
    assert "East" not in names(a)
    assert "West" not in names(d)
    for bridge in bridges:
        bridge.mend()
    wait_for({"Before", "West", "East"}, *running)
    nodes.until(lambda: agree(*running), what="all agree, completely and without forks")
