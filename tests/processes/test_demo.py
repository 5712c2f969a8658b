"""The demonstration as a program: what it says to scripts, and that it leaves no process behind."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import nodes

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

COUNT = 3
POLL_S = 0.1


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def free_ports() -> int:
    """Return the first of COUNT ports that nobody listens on, below those the system gives out."""
    while True:
        first = random.randrange(10_000, 30_000)
        if all(is_free(first + number) for number in range(COUNT)):
            return first


@pytest.fixture
def port() -> int:
    return free_ports()


@pytest.fixture
def demo(port: int, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "node", "demo", "--json", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env=nodes.environment(tmp_path / "home") | {"TMPDIR": str(tmp_path), "TEMP": str(tmp_path)},
    )
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def ready(demo: subprocess.Popen[str]) -> list[dict[str, str]]:
    assert demo.stdout is not None
    line = json.loads(demo.stdout.readline())
    assert line["event"] == "ready"
    found: list[dict[str, str]] = line["nodes"]
    return found


def test_its_nodes_end_with_it_even_when_it_is_killed(
    demo: subprocess.Popen[str], port: int
) -> None:
    found = ready(demo)
    assert [node["url"] for node in found] == [
        f"http://127.0.0.1:{port + number}" for number in range(COUNT)
    ]
    assert all(set(node) == {"name", "url", "home", "publisher"} for node in found)
    assert not any(is_free(port + number) for number in range(COUNT))
    demo.kill()
    while not all(is_free(port + number) for number in range(COUNT)):
        time.sleep(POLL_S)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_it_tidies_up_when_asked_to_end(demo: subprocess.Popen[str], tmp_path: Path) -> None:
    ready(demo)
    assert any(tmp_path.iterdir())
    demo.send_signal(signal.SIGTERM)
    assert demo.wait() == 0
    assert not any(tmp_path.iterdir())


def test_a_taken_port_is_said_in_a_line_before_any_work(port: int) -> None:
    with socket.create_server(("127.0.0.1", port + 1)):
        ran = subprocess.run(
            [sys.executable, "-m", "node", "demo", "--json", "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.count("\n") == 1
    assert f"port {port + 1}" in ran.stderr
