"""`info` on files that it cannot read: what was tried, why not, and what to type next."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smlmfmt
from tests.node.commands import Shell
from tests.node.test_ingest import write_table

STRANGE = "No,PosX,PosY,FrameNo,Photons\n1,10.5,20.5,1,100\n2,1,2,4,200\n"


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "no home", capsys)


def explained(shell: Shell, *args: object) -> tuple[str, str]:
    """Return what a failing `info` prints, and its one line on stderr."""
    status, out, err = shell.run("info", *args)
    assert (status, err.count("\n")) == (1, 1), err
    assert err.startswith("locmesh: ")
    return out, err


def document(shell: Shell, *args: object) -> Any:
    return json.loads(explained(shell, *args, "--json")[0])


def test_every_format_that_was_tried_says_why_not(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing to see here\n")
    out, err = explained(shell, path)
    known = [item.name for item in smlmfmt.formats() if item.reads]
    for name in known:
        assert re.search(rf"^{re.escape(name)} +\S", out, re.MULTILINE), name
    assert "--from" in err
    said = document(shell, path)
    assert [attempt["format"] for attempt in said["tried"]] == known
    assert all(attempt["reason"] for attempt in said["tried"] if not attempt["fits"])
    assert (said["format"], said["kind"], said["columns"]) == (None, "text", [])
    assert said["error"] in err


def test_the_command_shown_for_strange_headers_reads_the_file(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "my own.csv"
    path.write_text(STRANGE)
    out, _ = explained(shell, path)
    (line,) = [line for line in out.splitlines() if line.startswith("  locmesh info")]
    shown = shlex.split(line)[2:]
    assert shown[1:] == ["--column", "x=PosX", "--column", "y=PosY", "--column", "frame=FrameNo"]
    (table,) = shell.document("info", *shown)["tables"]
    assert table["bounds"] == {"x": [1, 10.5], "y": [2, 20.5]}
    assert document(shell, path)["mapping"] == {"x": "PosX", "y": "PosY", "frame": "FrameNo"}


def test_a_column_that_is_not_there_is_named(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(STRANGE)
    out, err = explained(shell, path, "--column", "x=PosX", "--column", "y=Posy")
    assert "has no column 'Posy'" in err
    assert "PosY" in out
    assert "Tried" not in out
    out, _ = explained(shell, write_table(tmp_path / "cell1.csv"), "--column", "x=a")
    assert "needs no --column" in out


def test_columns_without_names_go_by_number(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "bare.txt"
    path.write_text("1 2.5 3.5 7\n2 4.5 5.5 7\n3 4.5 5.5 7\n4 4.5 5.5 7 \n5 4.5 5.5 7\n")
    if smlmfmt.sniff(path) is None:
        out, _ = explained(shell, path)
        assert "--column x=1 --column y=2" in out
    (table,) = shell.document("info", path, "--column", "x=1", "--column", "y=2")["tables"]
    assert table["bounds"]["x"] == [2.5, 4.5]


def test_a_damaged_file_names_its_format_and_damage(shell: Shell, tmp_path: Path) -> None:
    whole = tmp_path / "whole.smlm"
    smlmfmt.write(whole, smlmfmt.read(write_table(tmp_path / "cell1.csv")))
    path = tmp_path / "cut.smlm"
    path.write_bytes(whole.read_bytes()[:-200])
    out, err = explained(shell, path)
    assert out == ""
    assert "cut short" in err
    assert "read as smlm" in err
    assert document(shell, path)["format"] == "smlm"


def test_a_wrong_format_name_is_told_from_damage(shell: Shell, tmp_path: Path) -> None:
    path = write_table(tmp_path / "cell1.csv")
    _, err = explained(shell, path, "--from", "smlm")
    assert "Its content says thunderstorm: leave out --from smlm" in err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("movie.tif", b"II*\0\x08\0\0\0", "localize the movie first"),
        ("table.xlsx", b"PK\x03\x04" + b"\0" * 40 + b"xl/workbook.xml", "save the sheet as .csv"),
        ("a.csv.gz", b"\x1f\x8b\x08\0", "decompress it first"),
        ("empty.csv", b"", "is empty"),
        ("blank.csv", b"\n \n", "is empty"),
    ],
)
def test_well_known_strangers_are_called_by_name(
    shell: Shell, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    out, err = explained(shell, tmp_path / name)
    assert said in err
    assert "name it with --from" not in out


def test_noise_is_told_in_few_printable_lines(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "noise.bin"
    path.write_bytes(np.random.default_rng(0).bytes(300_000))
    out, err = explained(shell, path)
    assert all(line.isprintable() and len(line) < 150 for line in (out + err).splitlines())
    assert document(shell, path)["kind"] == "binary"


def test_lines_above_a_table_are_told(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "noted.txt"
    path.write_text("Experiment: a\n\nXcoord\tYcoord\n1.5\t2.5\n")
    said = document(shell, path)
    assert (said["lines_above"], said["columns"][1]["header"]) == (1, "Ycoord")
    if not said["mapping"]:
        assert "Above the table: 1 line." in explained(shell, path)[0]


def test_many_strange_columns_are_told_in_short(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{n}" * 40 for n in range(99)) + "\n" + ",".join(["1"] * 99) + "\n")
    out, _ = explained(shell, path)
    assert max(map(len, out.splitlines())) < 150
    assert "59 more columns; --json says all" in out
    assert len(document(shell, path)["columns"]) == 99


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_is_not_diagnosed(shell: Shell, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert explained(shell, tmp_path / "pipe.csv", "--json")[0] == ""
