"""formats, info, convert, render: no home is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import smlmfmt
from node.ingest.reading import ReadingOptions
from tests.node.commands import Shell
from tests.node.test_ingest import write_table
from tests.smlmfmt.text_samples import NSTORM


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "no home", capsys)


def test_formats_are_listed(shell: Shell) -> None:
    names = [entry["name"] for entry in shell.document("formats")["formats"]]
    assert names == [item.name for item in smlmfmt.formats()]
    assert "thunderstorm" in shell.text("formats")


def test_info_says_what_is_in_a_file(shell: Shell, tmp_path: Path) -> None:
    path = write_table(tmp_path / "cell1.csv")
    document = shell.document("info", path)
    (table,) = document["tables"]
    truth = smlmfmt.read(path).tables[0].summary()
    assert (table["rows"], document["format"]) == (300, "thunderstorm")
    assert table["columns"] == [column.as_dict() for column in truth.columns]
    text = shell.text("info", path)
    assert "Localizations" in text
    assert "uncertainty_xy" in text


def test_info_shows_what_a_file_says_of_itself(shell: Shell, tmp_path: Path) -> None:
    manifest = {
        "name": "Nuclear\npores",
        "license": "CC BY 4.0",
        "tags": ["dSTORM", "U2OS", {"not": "text"}],
        "description": "",
        "sample": {"an": "object"},
        "citeAs": "Muster 2026 " * 100,
    }
    table = smlmfmt.read(write_table(tmp_path / "cell1.csv")).tables[0]
    path = tmp_path / "cell1.smlm"
    smlmfmt.write(path, smlmfmt.Bundle(tables=[table], manifest=manifest))
    text = shell.text("info", path)
    for line in ("Name     Nuclear pores", "Licence  CC BY 4.0", "Tags     dSTORM, U2OS"):
        assert line in text.splitlines()
    assert max(map(len, text.splitlines())) < 400
    says = shell.document("info", path)["says"]
    assert list(says) == ["Name", "Licence", "Cite as", "Tags"]
    assert len(says["Cite as"]) > 1000
    assert shell.document("info", tmp_path / "cell1.csv")["says"] == {}


def test_convert_and_back_keeps_the_table(shell: Shell, tmp_path: Path) -> None:
    path = write_table(tmp_path / "cell1.csv")
    document = shell.document("convert", path, tmp_path / "cell1.smlm")
    assert (document["rows"], document["from"]) == (300, "thunderstorm")
    shell.text("convert", tmp_path / "cell1.smlm", tmp_path / "again.txt", "--to", "thunderstorm")
    again = smlmfmt.read(tmp_path / "again.txt").tables[0]
    first = smlmfmt.read(path).tables[0]
    assert again["x"] == pytest.approx(first["x"], abs=0.01)


def test_convert_shows_a_bar_on_a_terminal_and_none_in_a_pipe(tmp_path: Path) -> None:
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    path = write_table(tmp_path / "cell1.csv")
    command = [sys.executable, "-m", "node", "convert", str(path), str(tmp_path / "cell1.smlm")]
    main, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (30, 100))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, check=True)
    os.close(terminal)
    shown = os.read(main, 65_536).decode()
    os.close(main)
    assert "cell1.csv:   0%" in shown  # So short a work is over before the bar moves.
    assert "300 localizations" in done.stdout.decode().replace("\u2009", " ")
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stderr == b""


def test_info_says_whether_the_stated_hashes_are_right(shell: Shell, tmp_path: Path) -> None:
    path = write_table(tmp_path / "cell1.csv")
    shell.text("convert", path, tmp_path / "cell1.smlm")
    assert "2 of 2 agree" in shell.text("info", tmp_path / "cell1.smlm")
    hashes = shell.document("info", tmp_path / "cell1.smlm")["hashes"]
    assert [(item["name"], item["agrees"]) for item in hashes] == [
        ("cell1.bin", True), ("manifest.json", True),
    ]  # fmt: skip
    assert shell.document("info", path)["hashes"] == []


def test_render_writes_a_picture(shell: Shell, tmp_path: Path) -> None:
    path = write_table(tmp_path / "cell1.csv")
    for mode in ("histogram", "gaussian"):
        target = tmp_path / f"{mode}.png"
        shell.text("render", path, target, "--mode", mode, "--size", 200)
        with Image.open(target) as picture:
            assert picture.size == (200, 200)


def test_render_tells_scripts_what_it_drew(shell: Shell, tmp_path: Path) -> None:
    path, picture = write_table(tmp_path / "cell1.csv"), tmp_path / "cell1.png"
    told = shell.document("render", path, picture, "--size", 64)
    assert told == {"path": str(picture), "width": 64, "height": 64, "rows": 300}


def test_failures_are_one_line_that_says_what_to_do(shell: Shell, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("nothing to see here\n")
    assert "locmesh info" in shell.failure("convert", notes, tmp_path / "notes.smlm")
    path = write_table(tmp_path / "cell1.csv")
    assert "did you mean thunderstorm" in shell.failure("info", path, "--from", "thunderstrom")
    assert "file to read" in shell.failure("convert", path, path)
    assert "no table 2" in shell.failure("render", path, tmp_path / "x.png", "--table", 2)
    shell.failure("info", tmp_path / "missing.csv", status=2)
    shell.failure("convert", path, tmp_path / "no folder" / "x.smlm")


def test_a_target_is_refused_before_any_work(shell: Shell, tmp_path: Path) -> None:
    path = write_table(tmp_path / "cell1.csv")
    picture = tmp_path / "cell1.png"
    picture.write_bytes(path.read_bytes())
    assert "--to" in shell.failure("convert", path, tmp_path / "cell1.xyz")
    assert "read but not written" in shell.failure("convert", path, picture, "--to", "nstorm")
    for command in ("convert", "render"):
        nowhere = tmp_path / "no folder" / "cell1.png"
        assert "no folder" in shell.failure(command, path, nowhere, *_to(command))
        assert "file to read" in shell.failure(command, picture, picture, *_to(command))
    assert ".png" in shell.failure("render", path, tmp_path / "cell1.smlm", status=2)
    assert picture.read_bytes() == path.read_bytes()
    assert sorted(tmp_path.iterdir()) == [path, picture]


def test_an_unknown_header_is_shown_and_mapped(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "lab.txt"
    path.write_text("Time;PosX;PosY\n1;2,5;3\n", encoding="utf-8")
    message = shell.failure("convert", path, tmp_path / "a.smlm")
    assert "'Time', 'PosX', 'PosY'" in message
    assert "--column x=" in message
    document = shell.document("info", path, "--column", "x=PosX", "--column", "y=PosY")
    assert document["tables"][0]["bounds"]["x"] == [2.5, 2.5]


def test_columns_without_a_header_are_mapped_by_number(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "visp.3d"
    path.write_text("10.5 20.5 -3 900 7\n", encoding="utf-8")
    assert "--column x=0" in shell.failure("convert", path, tmp_path / "a.smlm")
    document = shell.document("info", path, "--column", "x=0", "--column", "y=1")
    assert document["tables"][0]["bounds"]["y"] == [20.5, 20.5]


def test_positions_are_chosen_by_variant(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "nstorm.txt"
    path.write_bytes(NSTORM)
    document = shell.document("info", path, "--variant", "raw")
    assert document["tables"][0]["bounds"]["x"] == [1, 1]


def test_a_file_of_many_things_is_told_in_short(shell: Shell, tmp_path: Path) -> None:
    table = smlmfmt.LocTable(
        {"x": [1.0], "y": [1.0], "n" * 400: [1.0], **{f"c{number}": [1.0] for number in range(99)}}
    )
    path = tmp_path / "many.smlm"
    smlmfmt.write(path, smlmfmt.Bundle(tables=[table] * 20))
    lines = shell.text("info", path).splitlines()
    assert len(lines) < 1200
    assert max(map(len, lines)) < 150
    assert "4 more tables; --json says all" in lines
    assert lines.count("38 more columns; --json says all") == 16
    document = shell.document("info", path)
    assert [len(table["columns"]) for table in document["tables"]] == [102] * 20


def test_what_a_format_cannot_hold_is_noted(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_text("frame,x [nm],y [nm]\n20000000,1,2\n20000001,3,4\n")
    assert "Note: table 'late.csv': frame" in shell.text("convert", path, tmp_path / "a.smlm")
    said = shell.document("convert", path, tmp_path / "a.smlm")
    assert "frame" in said["warnings"][0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_is_no_file(shell: Shell, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert "is no file" in shell.failure("info", tmp_path / "pipe.csv")
    assert "is no file" in shell.failure("render", tmp_path / "pipe.csv", tmp_path / "a.png")


def test_pixels_without_a_size_say_what_to_type(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "pixels.csv"
    path.write_text("frame,x [px],y [px]\n1,2.5,3.5\n2,4,5\n")
    assert "--pixel-size" in shell.failure("info", path)
    (table,) = shell.document("info", path, "--pixel-size", "100")["tables"]
    assert table["bounds"]["x"] == [250, 400]


def _to(command: str) -> tuple[str, ...]:
    return ("--to", "smlm") if command == "convert" else ()


def test_a_table_with_strange_headers_is_read_as_told(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("POS_A,POS_B\n1,2\n3,4\n")
    document = shell.document("info", path, "--column", "x=POS_A", "--column", "y=POS_B")
    assert [column["name"] for column in document["tables"][0]["columns"]] == ["x", "y"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals to be had here")
@pytest.mark.parametrize("command", ["info", "render"])
def test_reading_shows_a_bar_on_a_terminal(command: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / "cell1.csv", rows=5000)
    args = [str(path), str(tmp_path / "cell1.png")] if command == "render" else [str(path)]
    screen, terminal = os.openpty()
    termios = pytest.importorskip("termios")
    termios.tcsetwinsize(terminal, (24, 80))
    done = subprocess.run(
        [sys.executable, "-m", "node", command, *args],
        check=True,
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    shown = os.read(screen, 1 << 16).decode()
    os.close(terminal)
    os.close(screen)
    assert "cell1.csv:" in shown
    assert b"%|" not in done.stdout


def test_how_far_a_file_is_read_is_told(tmp_path: Path) -> None:
    path = write_table(tmp_path / "cell1.csv")
    told: list[tuple[int, int]] = []
    bundle = ReadingOptions().read(path, progress=lambda *now: told.append(now))
    assert bundle.tables[0].name == "cell1.csv"
    size = path.stat().st_size
    assert told[-1] == (size, size)
    assert told == sorted(told)


def test_the_module_runs_as_a_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "node", "info", str(tmp_path / "missing.csv")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "missing.csv" in done.stderr
