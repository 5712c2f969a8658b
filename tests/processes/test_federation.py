"""The main job: three nodes, real files, each finds and keeps what the others publish."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.processes import nodes
from tests.processes.conftest import Start

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

Write = Callable[..., Path]


def publish(home: Path, path: Path, name: str, *more: str) -> str:
    """Publish one file with the least a person must say; return the dataset id."""
    document = nodes.cli(
        home,
        "add",
        str(path),
        *("--name", name, "--description", f"{name}, for a test of the federation."),
        *("--author", "Ada Muster", "--license", "CC-BY-4.0"),
        *("--tag", "modality:dstorm", "--tag", "structure:microtubules"),
        "--publish",
        *more,
    )
    return str(document["dataset"])


def names(node: nodes.RunningNode) -> set[str]:
    return {hit["name"] for hit in node.search()["hits"]}


def files(node: nodes.RunningNode, dataset: str) -> list[dict[str, Any]]:
    document = node.get(f"/api/v1/datasets/{dataset}")
    return [entry for sample in document["samples"] for entry in sample["files"]]


def befriend(left: nodes.RunningNode, right: nodes.RunningNode) -> None:
    """Let two nodes know one another, as their two administrators would."""
    nodes.cli(left.home, "peer", "add", right.url, "--yes")
    nodes.cli(right.home, "peer", "add", left.url, "--yes")


@pytest.fixture
def chain(tmp_path: Path, start: Start) -> tuple[nodes.RunningNode, ...]:
    """A - B - C: C knows only B."""
    homes = [tmp_path / name for name in ("a", "b", "c")]
    for home, name in zip(homes, ("Lab A", "Partner B", "Portal C"), strict=True):
        nodes.init(home, name)
    a, b, c = (start(home) for home in homes)
    befriend(a, b)
    befriend(b, c)
    return a, b, c


def test_publishing_on_a_is_found_on_c_within_a_second_of_b(
    chain: tuple[nodes.RunningNode, ...], table_file: Write
) -> None:
    a, b, c = chain
    publish(a.home, table_file(1), "First")
    nodes.until(lambda: "First" in names(c), what="C finds the first dataset")
    # From here on the event streams stand: the second one travels by notification.
    path = table_file(2)
    publish(a.home, path, "Second")
    nodes.until(lambda: "Second" in names(b), what="B finds the second dataset", every=0.01)
    start_s = time.monotonic()
    nodes.until(lambda: "Second" in names(c), what="C finds the second dataset", every=0.01)
    # The full round runs once a minute: ten seconds prove that it was not needed.
    assert time.monotonic() - start_s < 10


def test_records_are_served_byte_for_byte(
    chain: tuple[nodes.RunningNode, ...], table_file: Write
) -> None:
    a, _, c = chain
    dataset = publish(a.home, table_file(1), "Hashed")
    nodes.until(lambda: "Hashed" in names(c), what="C finds the dataset")
    for node in chain:
        record = node.get(f"/api/v1/datasets/{dataset}")["record"]
        body = nodes.fetch(f"{node.url}/records/{record}")
        assert hashlib.sha256(body).hexdigest() == record


def test_a_dead_origin_is_said_and_its_data_comes_from_the_mirror(
    chain: tuple[nodes.RunningNode, ...], table_file: Write, tmp_path: Path, start: Start
) -> None:
    a, b, c = chain
    path = table_file(1)
    dataset = publish(a.home, path, "Survivor")
    nodes.cli(b.home, "mirror", "add", "Survivor")
    wanted = files(a, dataset)

    def mirrored() -> bool:
        return all((b.home / "blobs").rglob(f"{entry['sha256']}*") for entry in wanted) and any(
            holder["publisher"] == b.publisher and holder["complete"]
            for holder in c.get(f"/api/v1/datasets/{dataset}")["holders"]
        )

    nodes.until(mirrored, what="B mirrors and C knows", seconds=60)
    port = a.port
    a.kill()

    def unreachable() -> bool:
        state = c.get(f"/api/v1/datasets/{dataset}")["publisher"]["reachability"]["state"]
        return bool(state == "unreachable")

    nodes.until(unreachable, what="C says that A is unreachable", seconds=60)
    assert "Survivor" in names(c)
    nodes.cli(c.home, "get", dataset, "-o", str(tmp_path / "out"))
    original = next(entry for entry in wanted if entry["role"] == "original")
    copies = [found.read_bytes() for found in (tmp_path / "out").rglob(original["name"])]
    assert copies == [path.read_bytes()]

    start(a.home, port=port)
    publish(a.home, table_file(2), "Back again")
    nodes.until(lambda: "Back again" in names(c), what="everything converges", seconds=60)
    nodes.until(lambda: not unreachable(), what="C sees A again", seconds=60)


def test_a_flipped_byte_is_named_and_another_holder_serves(
    chain: tuple[nodes.RunningNode, ...], table_file: Write, tmp_path: Path
) -> None:
    a, b, c = chain
    path = table_file(1, rows=60_000)
    dataset = publish(a.home, path, "Flipped")
    nodes.cli(b.home, "mirror", "add", "Flipped")
    original = next(entry for entry in files(a, dataset) if entry["role"] == "original")

    def held_by_b() -> bool:
        holders = c.get(f"/api/v1/datasets/{dataset}")["holders"]
        return any(h["publisher"] == b.publisher and h["complete"] for h in holders)

    nodes.until(held_by_b, what="B mirrors and C knows", seconds=60)
    stored = next(found for found in (b.home / "blobs").rglob(original["sha256"]))
    damaged = bytearray(stored.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    stored.chmod(0o600)
    stored.write_bytes(damaged)
    out = tmp_path / "out"
    # C knows A only through B; told of A's address by its operator, it has a second holder.
    nodes.cli(c.home, "peer", "add", a.url, "--yes")
    nodes.cli(a.home, "peer", "add", c.url, "--yes")
    nodes.cli(c.home, "sync")
    nodes.cli(c.home, "get", dataset, "-o", str(out))
    assert [found.read_bytes() for found in out.rglob(original["name"])] == [path.read_bytes()]


def test_a_node_that_can_only_dial_out_takes_part_fully(
    tmp_path: Path, start: Start, table_file: Write
) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    hidden = nodes.init(inside, "Behind a firewall")
    nodes.init(outside, "Reachable")
    there = start(outside)
    publish(outside, table_file(1), "Out there")
    publish(inside, table_file(2), "In here")
    # Nothing listens on the inside: it only ever dials.
    nodes.cli(inside, "peer", "add", there.url, "--yes")
    nodes.cli(inside, "sync")
    nodes.cli(outside, "peer", "approve", hidden)
    nodes.cli(inside, "sync")
    nodes.until(lambda: "In here" in names(there), what="the outside finds the hidden lab's data")
    found = {hit["name"] for hit in nodes.cli(inside, "search", "")["hits"]}
    assert found == {"Out there", "In here"}
