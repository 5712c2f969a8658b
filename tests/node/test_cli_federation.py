"""Commands that speak to a running node: peer, sync, mirror, get, search --node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import smlmfmt
from tests.node.commands import ABOUT, Shell
from tests.node.test_ingest import write_table
from tests.processes import nodes


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "files" / "cell1.csv")


@pytest.fixture
def lab(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[nodes.RunningNode]:
    """A running node with one dataset."""
    shell = Shell(tmp_path / "lab", capsys)
    shell.text("init", "--name", "Lab")
    shell.text("add", table, "--name", "Cells", *ABOUT, "--publish")
    node = nodes.serve(shell.home)
    yield node
    if node.process.poll() is None:
        node.kill()
    assert node.process.stdout is not None
    node.process.stdout.close()


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "home", capsys)


def test_without_a_home_one_can_search_and_get(
    shell: Shell, lab: nodes.RunningNode, table: Path, tmp_path: Path
) -> None:
    document = shell.document("search", "cells", "--tag", "modality:dstorm", "--node", lab.url)
    (hit,) = document["hits"]
    assert "Cells" in shell.text("search", "--node", lab.url)
    page = f"{lab.url}/datasets/{hit['dataset']}"
    (got,) = shell.document("get", page, "-o", tmp_path / "out")["datasets"]
    assert {file["state"] for file in got["files"]} == {"fetched"}
    copies = list((tmp_path / "out").rglob("cell1.csv"))
    assert [path.read_bytes() for path in copies] == [table.read_bytes()]
    short = f"{lab.url}/datasets/{hit['dataset'][:8]}"
    (known,) = shell.document("get", short, "-o", tmp_path / "out")["datasets"]
    assert (known["dataset"], known["folder"]) == (hit["dataset"], got["folder"])
    assert "written" in shell.failure("get", short, "-o", tmp_path / "no", "--to", "nstorm")
    (again,) = shell.document("get", f"{page}.json", "-o", tmp_path / "out")["datasets"]
    assert {file["state"] for file in again["files"]} == {"present"}
    assert not shell.home.exists()
    shell.text("get", page, "-o", tmp_path / "smlm", "--to", "smlm", "--files", "*.csv")
    (converted,) = (tmp_path / "smlm").rglob("*.*ml*")
    assert len(smlmfmt.read(converted).tables[0]) == 300
    copies[0].write_bytes(b"something else")
    assert "another file" in shell.failure("get", page, "-o", tmp_path / "out")
    assert "no file" in shell.failure("get", page, "-o", tmp_path / "x", "--files", "*.tif")
    missing = f"{lab.url}/datasets/{'0' * 64}"
    assert "404" in shell.failure("get", missing, "-o", tmp_path / "x")


def test_peers_sync_and_mirrors(
    shell: Shell, lab: nodes.RunningNode, table: Path, tmp_path: Path
) -> None:
    shell.text("init", "--name", "Partner")
    assert "No peers yet" in shell.text("peer", "list")
    peer = shell.document("peer", "add", lab.url, "--yes")
    assert (peer["publisher"], peer["state"]) == (lab.publisher, "approved")
    (report,) = shell.document("sync")["peers"]
    assert (report["error"], report["pulled"] > 0) == ("", True)
    assert "pulled" in shell.text("sync", lab.publisher[:8])
    (hit,) = shell.document("search", "cells")["hits"]

    mirror = shell.document("mirror", "add", "modality:dstorm", "--max-size", "5GB")
    assert mirror["query"] == {"tags": ["modality:dstorm"]}
    (run,) = shell.document("mirror", "run")["mirrors"]
    assert (run["datasets_held"], run["error"]) == (1, "")
    assert "modality:dstorm" in shell.text("mirror", "list")
    lab.kill()
    # Its origin is gone; the copy is here.
    shell.text("get", hit["dataset"][:8], "-o", tmp_path / "out", "--files", "cell1/*.csv")
    (copy,) = (tmp_path / "out").rglob("cell1.csv")
    assert copy.read_bytes() == table.read_bytes()
    shell.text("mirror", "remove", mirror["id"])
    assert shell.document("mirror", "list") == {"mirrors": []}

    status, out, err = shell.run("sync")
    assert (status, err.count("\n")) == (1, 1)
    assert "cannot connect" in out
    shell.text("peer", "block", lab.publisher[:8])
    assert shell.document("search", "cells")["total"] == 0
    shell.text("peer", "approve", lab.publisher[:8])
    assert shell.document("search", "cells")["total"] == 1
    shell.text("peer", "remove", lab.publisher[:8])
    assert shell.document("peer", "list") == {"peers": []}


def test_who_cannot_be_reached_is_said_in_a_line(shell: Shell, tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9"
    shell.text("init")
    assert "127.0.0.1:9" in shell.failure("peer", "add", nobody, "--yes")
    assert "127.0.0.1:9" in shell.failure("search", "x", "--node", nobody)
    page = f"{nobody}/datasets/{'0' * 64}"
    assert "127.0.0.1:9" in shell.failure("get", page, "-o", tmp_path / "out")
    assert "address of a dataset" in shell.failure("get", f"{nobody}/x", "-o", tmp_path / "out")
    assert "No approved peers" in shell.text("sync")


def test_a_second_node_on_a_home_or_port_is_refused(shell: Shell, lab: nodes.RunningNode) -> None:
    shell.text("init")
    assert "running" in shell_of(lab, shell).failure("serve", "--port", "0")
    taken = shell.failure("serve", "--port", str(lab.port))
    assert f":{lab.port}" in taken
    assert taken.count(str(lab.port)) == 1, "what asyncio says around it is left out"
    assert lab.stop() == 0


def shell_of(node: nodes.RunningNode, shell: Shell) -> Shell:
    return Shell(node.home, shell.capture)
