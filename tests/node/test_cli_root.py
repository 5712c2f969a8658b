"""What all commands share: help, --home, and a tidy end whatever happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from node.__main__ import main
from node.cli.root import COMMANDS, cli

HELP_WIDTH = 80
LOADED = "import sys; from node.__main__ import main; main({args!r}); print(*sys.modules)"


def commands() -> Iterator[tuple[str, ...]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        yield (name,)
        if isinstance(command, click.Group):
            yield from ((name, inner) for inner in command.commands)


def modules_loaded_by(*args: str) -> set[str]:
    code = LOADED.format(args=list(args))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.rpartition("\n")[0].rpartition("\n")[2].split())


@pytest.mark.parametrize("names", list(commands()), ids=" ".join)
def test_every_command_explains_itself_with_an_example(
    names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*names, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example:\n" in text
    assert f"locmesh {' '.join(names)}" in text.split("Example:")[1]
    assert "--home DIR" in text or len(names) == 1


def test_a_mistyped_command_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serch"]) == 2
    assert "Did you mean" in capsys.readouterr().err


def test_the_list_of_commands_fits_a_terminal_uncut(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for name, lazy in COMMANDS.items():
        line = next(line for line in said.splitlines() if line.startswith(f"  {name} "))
        assert line.endswith(lazy.summary)
        assert len(line) <= HELP_WIDTH


def test_home_may_stand_before_or_after_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCMESH_HOME", str(tmp_path / "elsewhere"))
    home = str(tmp_path / "home")
    assert main(["init", "--home", home]) == 0
    assert main(["--home", home, "list"]) == 0
    assert main(["list", "--home", home]) == 0
    assert main(["peer", "list", "--home", home]) == 0
    capsys.readouterr()
    assert main(["list"]) == 1
    assert "elsewhere" in capsys.readouterr().err


def test_help_loads_no_command() -> None:
    loaded = modules_loaded_by("--help")
    assert "node.cli.root" in loaded
    assert not loaded & {"numpy", "aiohttp", "node.app", "node.cli.add"}


def test_a_command_that_talks_to_nobody_loads_no_network(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    assert main(["--home", home, "init"]) == 0
    loaded = modules_loaded_by("--home", home, "list")
    assert "node.app" in loaded
    assert not loaded & {"aiohttp", "zeroconf", "node.peering"}


def test_an_interrupt_while_loading_ends_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "node.cli.run":
                raise KeyboardInterrupt

    for name in [name for name in sys.modules if name.startswith("node.cli")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Impatient(), *sys.meta_path])
    assert main(["formats"]) == 1
    assert capsys.readouterr().err == "locmesh: Stopped.\n"


def test_closed_streams_are_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["formats"]) == 0
