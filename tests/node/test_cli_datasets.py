"""init, add, edit, publish, withdraw, discard, list, show, search: one home, nobody else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from node.config import Config
from node.publishing.keyring import Keyring
from tests.node.commands import ABOUT, Shell
from tests.node.test_ingest import write_table


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    shell = Shell(tmp_path / "home", capsys)
    shell.text("init", "--name", "Lab", "--contact", "lab@x.example")
    return shell


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "files" / "cell1.csv")


def test_init_says_who_one_is_and_where_the_recovery_key_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path / "new", capsys)
    text = shell.text("init", "--name", "Lab", "--author", "Ada", "--license", "CC0-1.0")
    publisher = Keyring.open(shell.home).publisher
    assert publisher in text
    assert str(shell.home / "keys" / "recovery.key") in text
    assert "Move the recovery key" in text
    assert Config.load(shell.home, {}).license == "CC0-1.0"
    before = {path: path.read_bytes() for path in (shell.home / "keys").iterdir()}
    assert "already" in shell.failure("init", "--name", "Other")
    assert before == {path: path.read_bytes() for path in (shell.home / "keys").iterdir()}
    if os.name == "posix":
        assert all(path.stat().st_mode & 0o077 == 0 for path in before)


def test_init_refuses_what_it_could_not_publish(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path / "new", capsys)
    assert "e-mail" in shell.failure("init", "--contact", "nobody")
    assert "SPDX" in shell.failure("init", "--license", "nonesuch")
    assert "ORCID" in shell.failure("init", "--author", "Ada; X; 0000-0002-1825-0098")
    assert not shell.home.exists()


def test_without_a_home_the_command_to_run_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(tmp_path / "none", capsys)
    for args in (("list",), ("serve",), ("search",), ("show", "12345678"), ("sync",)):
        assert f'locmesh init --home "{shell.home}"' in shell.failure(*args)
    assert not shell.home.exists()


def test_from_files_to_a_published_dataset_and_its_end(shell: Shell, table: Path) -> None:
    draft = shell.document("add", table)["draft"]
    said = shell.failure("publish", draft[:8])
    assert "--name" in said
    assert "--contact" not in said  # The home's own contact is the dataset's.
    shell.text("edit", draft[:8], "--name", "Cells", *ABOUT)
    assert shell.document("show", draft[:8])["missing"] == []
    published = shell.document("publish", draft[:8])
    dataset = published["dataset"]
    (row,) = shell.document("list")["datasets"]
    assert (row["dataset"], row["name"]) == (dataset, "Cells")
    assert row["summary"]["localizations"] == 300
    assert shell.document("search", "cells modality:dstorm")["total"] == 1
    assert "Cells" in shell.text("search", "cells")
    assert "Cells" in shell.text("list")

    changed = shell.document("edit", dataset[:8], "--name", "Better cells")
    assert changed["dataset"] == dataset
    assert shell.document("publish", dataset[:8])["revision"] == 2
    shown = shell.document("show", dataset)
    assert shown["metadata"]["name"] == "Better cells"
    assert [entry["revision"] for entry in shown["revisions"]] == [1, 2]
    assert "Better cells" in shell.text("show", dataset[:8])

    shell.text("withdraw", dataset[:8], "--reason", "Wrong calibration")
    assert shell.document("search")["total"] == 0
    assert "withdrawn: Wrong calibration" in shell.text("show", dataset[:8])
    assert "withdrawn" in shell.text("list")


def test_add_and_publish_at_once_with_a_description_file(
    shell: Shell, table: Path, tmp_path: Path
) -> None:
    meta = tmp_path / "about.json"
    meta.write_text(
        json.dumps(
            {
                "name": "From the file",
                "description": "x",
                "authors": ["Ada"],
                "license": "CC0-1.0",
                "tags": {"modality": "PALM"},
                "samples": {"cell1": "A fine cell."},
            }
        )
    )
    done = shell.document("add", table, "--meta", meta, "--name", "From the option", "--publish")
    assert done["draft"] is None
    shown = shell.document("show", done["dataset"])
    assert shown["metadata"]["name"] == "From the option"
    assert shown["samples"][0]["description"] == "A fine cell."
    assert {file["role"] for file in shown["samples"][0]["files"]} == {"original", "rendition"}


def test_nothing_is_added_when_it_could_not_be_published(shell: Shell, table: Path) -> None:
    assert "nothing was added" in shell.failure("add", table, "--publish")
    bad = table.with_name("bad.csv")
    bad.write_text(table.read_text() + "1,2\n")
    said = shell.failure("add", table, bad, *ABOUT, "--name", "x", "--publish")
    assert "bad.csv" in said
    assert "Nothing was imported" in said
    document = shell.document("list")
    assert document == {"drafts": [], "datasets": [], "withdrawn": []}
    shell.document("add", bad, "--on-error", "skip")


def test_wrong_words_are_explained(shell: Shell, table: Path) -> None:
    assert "CC-BY-4.0" in shell.failure("add", table, "--license", "CC-BY")
    assert "modality" in shell.failure("add", table, "--tag", "colour:red")
    assert "check digit" in shell.failure("add", table, "--author", "A; B; 0000-0002-1825-0098")
    draft = shell.document("add", table)["draft"]
    shell.failure("edit", draft, status=2)
    assert "no draft" in shell.failure("publish", "0123456789")
    shell.failure("show", "0123456789")
    shell.failure("withdraw", "0123456789", "--reason", "x")


def test_a_draft_can_be_discarded(shell: Shell, table: Path) -> None:
    draft = shell.document("add", table)["draft"]
    shell.text("discard", draft[:8])
    assert shell.document("list")["drafts"] == []


def test_visibility_decides_and_is_fixed(shell: Shell, table: Path) -> None:
    args = (*ABOUT, "--visibility", "private", "--publish")
    dataset = shell.document("add", table, "--name", "Secret", *args)["dataset"]
    assert shell.document("search", "secret")["hits"][0]["visibility"] == "private"
    assert "fixed" in shell.failure("edit", dataset[:8], "--visibility", "public")


def test_a_bug_is_one_line_and_a_log(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("node.app.Node.__init__", bug)
    said = shell.failure("list")
    assert "bug" in said
    log = shell.home / "logs" / "crash.log"
    assert str(log) in said
    assert "unforeseen" in log.read_text(encoding="utf-8")
