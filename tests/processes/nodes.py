"""Real nodes in real processes, started, asked and killed as a person or a script would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RunningNode", "cli", "cli_fails", "fetch", "init", "serve", "until"]

START_SECONDS_MAX = 60


def command(home: Path, *args: str) -> list[str]:
    return [sys.executable, "-m", "node", "--home", str(home), *args]


def environment(home: Path) -> dict[str, str]:
    """Return an environment without the settings of whoever runs the tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LOCMESH_")}
    return kept | {"LOCMESH_DISCOVERY": "", "PYTHONFAULTHANDLER": "1", "HOME": str(home.parent)}


def cli(home: Path, *args: str) -> Any:
    """Run one command with --json and return its document."""
    done = subprocess.run(
        command(home, *args, "--json"),
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env=environment(home),
    )
    assert done.returncode == 0, f"{args}: {done.stderr or done.stdout}"
    return json.loads(done.stdout)


def cli_fails(home: Path, *args: str) -> str:
    """Run one command that must fail, and return the sentence it fails with."""
    done = subprocess.run(
        command(home, *args),
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env=environment(home),
    )
    assert done.returncode in (1, 2), f"{args} ended {done.returncode}: {done.stdout}"
    assert "Traceback" not in done.stderr
    return done.stderr


def init(home: Path, name: str) -> str:
    """Make a home and return its publisher id."""
    document = cli(
        home,
        "init",
        *("--name", name, "--institution", f"Institut {name}"),
        *("--contact", f"data@{name.lower().replace(' ', '-')}.example"),
    )
    return str(document["publisher"])


@dataclass
class RunningNode:
    """One `locmesh serve`."""

    home: Path
    url: str
    publisher: str
    login_url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].strip("/"))

    def get(self, path: str) -> Any:
        return json.loads(fetch(self.url.rstrip("/") + path))

    def search(self, query: str = "") -> dict[str, Any]:
        """Return the search answer of this node, as its own page would show it."""
        found: dict[str, Any] = self.get(f"/api/v1/search?limit=100&q={query}")
        return found

    def kill(self) -> None:
        """End it the hard way: no chance to tidy up."""
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self) -> int:
        """End it as an operator does; return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)


def serve(home: Path, *, port: int = 0) -> RunningNode:
    """Start a node and wait for the line that says it accepts requests."""
    log = (home / "serve.log").open("a", encoding="utf-8")
    process = subprocess.Popen(
        command(home, "serve", "--json", "--port", str(port)),
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        encoding="utf-8",
        env=environment(home),
    )
    log.close()
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, (home / "serve.log").read_text(encoding="utf-8")
    ready = json.loads(line)
    assert ready["event"] == "ready"
    return RunningNode(
        home=home,
        url=ready["url"].rstrip("/"),
        publisher=ready["publisher"],
        login_url=ready["login_url"],
        process=process,
    )


def fetch(url: str) -> bytes:
    """Return the body of one GET."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        body: bytes = answer.read()
        return body


def until(
    holds: Callable[[], Any], *, what: str, seconds: float = 30.0, every: float = 0.05
) -> float:
    """Wait until `holds` gives something true; return the seconds it took."""
    start = time.monotonic()
    last: object = None
    while time.monotonic() - start < seconds:
        try:
            last = holds()
        except (urllib.error.URLError, ConnectionError) as error:
            last = error
        else:
            if last:
                return time.monotonic() - start
        time.sleep(every)
    raise AssertionError(f"waited {seconds:g} s in vain until {what}; last seen: {last!r}")
