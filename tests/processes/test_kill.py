"""kill -9 at any moment leaves a home that starts, with whole blobs and every published record."""

from __future__ import annotations

import hashlib
import json
import random
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import nodes
from tests.processes.conftest import Start

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

KILLS = 10
BLOB_NAME = re.compile(r"[0-9a-f]{64}")
ABOUT = (
    *("--description", "One of many, interrupted.", "--author", "Ada Muster"),
    *("--license", "CC0-1.0", "--tag", "modality:palm"),
)


def assert_no_half_blob(home: Path) -> None:
    """Every file whose name is a hash holds the bytes of that hash."""
    for path in (home / "blobs").rglob("*"):
        if path.is_file() and BLOB_NAME.fullmatch(path.name):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name, path


def published(home: Path) -> set[str]:
    """Return the names that this home's own search finds."""
    return {hit["name"] for hit in nodes.cli(home, "search", "", "--limit", "100")["hits"]}


def run_and_kill(home: Path, args: tuple[str, ...], *, after_s: float) -> str:
    """Start a command, kill it after a while, and return what it had said by then."""
    process = subprocess.Popen(
        nodes.command(home, *args),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=nodes.environment(home),
    )
    try:
        said, _ = process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    return said


def test_killed_while_adding_and_publishing(
    tmp_path: Path, table_file: Callable[..., Path]
) -> None:
    home = tmp_path / "lab"
    nodes.init(home, "Lab")
    chance = random.Random(7)
    path = table_file(1, rows=40_000)

    def add(name: str) -> tuple[str, ...]:
        return ("add", str(path), "--name", name, *ABOUT, "--publish", "--json")

    start_s = time.monotonic()
    assert json.loads(run_and_kill(home, add("Undisturbed"), after_s=120))["dataset"]
    usual_s = time.monotonic() - start_s
    promised = {"Undisturbed"}
    for number in range(KILLS):
        name = f"Killed {number}"
        said = run_and_kill(home, add(name), after_s=chance.uniform(0.3, 1.1) * usual_s)
        if said.strip():  # It had told a person that the dataset is out: then it is.
            assert json.loads(said)["dataset"]
            promised.add(name)
        assert_no_half_blob(home)
        assert promised <= published(home)
    document = nodes.cli(home, "add", str(path), "--name", "After all", *ABOUT, "--publish")
    assert document["dataset"]
    assert promised | {"After all"} <= published(home)


def test_killed_while_syncing_and_mirroring(
    tmp_path: Path, start: Start, table_file: Callable[..., Path]
) -> None:
    lab, partner = tmp_path / "lab", tmp_path / "partner"
    nodes.init(lab, "Lab")
    nodes.init(partner, "Partner")
    expected = set()
    for number in range(6):
        path = table_file(number, rows=60_000)
        name = f"Dataset {number}"
        nodes.cli(lab, "add", str(path), "--name", name, *ABOUT, "--publish")
        expected.add(name)
    source = start(lab)
    nodes.cli(partner, "peer", "add", source.url, "--yes")
    nodes.cli(partner, "mirror", "add", "modality:palm")
    chance = random.Random(11)
    for number in range(KILLS):
        node = start(partner)
        time.sleep(chance.uniform(0.0, 1.2))
        node.kill()
        assert_no_half_blob(partner)
        if number % 2:  # The source dies too, now and then, and comes back elsewhere in time.
            port = source.port
            source.kill()
            source = start(lab, port=port)
    node = start(partner)
    nodes.until(
        lambda: {hit["name"] for hit in node.search()["hits"]} == expected,
        what="the partner knows every dataset",
        seconds=60,
    )

    def all_held() -> bool:
        hits = node.search()["hits"]
        return all(
            any(
                holder["publisher"] == node.publisher and holder["complete"]
                for holder in node.get(f"/api/v1/datasets/{hit['dataset']}")["holders"]
            )
            for hit in hits
        )

    nodes.until(all_held, what="the partner holds every file", seconds=90)
    assert_no_half_blob(partner)


def test_ends_within_five_seconds_when_asked(tmp_path: Path, start: Start) -> None:
    nodes.init(tmp_path / "lab", "Lab")
    node = start(tmp_path / "lab")
    begin_s = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - begin_s < 5
