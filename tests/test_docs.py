"""The documentation says what is: all that can be typed, set, asked or answered, and it runs.

The formats have a test of their own beside theirs, and so has the protocol's document.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from node import __version__
from node.cli.root import COMMANDS, cli
from node.config import Config
from node.web.assets import Assets
from node.web.errors import STATUS_BY_ERROR
from node.web.routes import routes
from tests.node.test_ingest import write_table

ROOT = Path(__file__).parents[1]
DOCS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
}
COMMAND_DOCS, HTTP_DOCS = DOCS["docs/cli.md"], DOCS["docs/http.md"]
OPERATING_DOCS, PROTOCOL_DOCS = DOCS["docs/operating.md"], DOCS["docs/protocol.md"]
DEPENDENCY_DOCS = DOCS["docs/dependencies.md"]
# Only pages link to these; they may change with any version.
UNDOCUMENTED = ("/static/",)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield document and text of every code block in a language."""
    for name, text in DOCS.items():
        for block in re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            yield name, block


def command_lines() -> Iterator[tuple[str, str]]:
    for name, block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("locmesh "):
                yield name, line


def documented_addresses() -> set[str]:
    """Return the paths of http.md and protocol.md, what is in braces unnamed."""
    found = re.findall(r"`(?:[A-Z, ]+ )?(/[^`\s]*)(?: (\.json))?`", HTTP_DOCS + PROTOCOL_DOCS)
    found += re.findall(r"`(/[^`\s]*)` `(\.json)`", HTTP_DOCS)
    # protocol.md 8: the addresses there are below /sync/v1.
    found += [(f"/sync/v1/{path}", "") for path in re.findall(r"`[A-Z]+ ([a-z]+)", PROTOCOL_DOCS)]
    paths = {path.partition("?")[0] for path, _ in found}
    paths |= {path + suffix for path, suffix in found if suffix}
    return {re.sub(r"\{[^}]*\}|\bID\b", "{}", path) for path in paths}


def options() -> Iterator[tuple[str, str]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        group = command.commands if isinstance(command, click.Group) else {"": command}
        for inner_name, inner in group.items():
            for parameter in inner.params:
                if isinstance(parameter, click.Option):
                    yield f"{name} {inner_name}".strip(), max(parameter.opts, key=len)


@pytest.mark.parametrize(("command", "option"), list(options()))
def test_every_option_is_documented(command: str, option: str) -> None:
    assert f"locmesh {command.partition(' ')[0]}" in COMMAND_DOCS
    assert re.search(rf"{option}[` ]", COMMAND_DOCS), f"locmesh {command} {option}"


@pytest.mark.parametrize(("document", "line"), list(command_lines()))
def test_every_command_shown_could_be_typed(document: str, line: str) -> None:
    name, *args = shlex.split(line, comments=True)[1:]
    assert name in COMMANDS, document
    command = cli.get_command(click.Context(cli), name)
    if isinstance(command, click.Group):
        command = command.commands[args.pop(0)]
    assert command is not None
    for option in [arg.partition("=")[0] for arg in args if re.match(r"--?[a-z]", arg)]:
        assert any(option in parameter.opts for parameter in command.params), option


@pytest.mark.parametrize("name", Config.names())
def test_every_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in OPERATING_DOCS


def test_only_settings_that_there_are_are_documented() -> None:
    table = OPERATING_DOCS.partition("| setting |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(Config.names())


def test_every_address_is_documented() -> None:
    known = documented_addresses()
    for route in routes(Assets()):
        path = re.sub(r"\{[^}]*\}", "{}", route.path)
        assert path in known or path.startswith(UNDOCUMENTED), f"{route.method} {route.path}"


@pytest.mark.parametrize("status", sorted({*STATUS_BY_ERROR.values()}))
def test_every_status_is_documented(status: int) -> None:
    table = HTTP_DOCS.partition("| status |")[2].partition("\n\n")[0]
    assert re.search(rf"^\|.*\b{status}\b.*\|", table, re.MULTILINE)


def test_every_dependency_is_documented_and_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tables = re.findall(r"^\| ([\w, -]+) \|", DEPENDENCY_DOCS, re.MULTILINE)
    named = {name for row in tables for name in row.split(", ")} - {"package"}
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    assert named == {re.split("[<>=]", line)[0] for group in groups for line in group}


def test_the_version_is_the_same_everywhere() -> None:
    newest = re.search(r"^## (\S+)", DOCS["CHANGELOG.md"], re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__ == version("locmesh")


@pytest.mark.parametrize(("document", "code"), list(blocks("python")))
def test_every_python_example_runs(
    document: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(tmp_path / "cell1.csv")
    (tmp_path / "lab.txt").write_text("n\tPos X\tPos Y\n1\t10.5\t20.5\n", encoding="utf-8")
    (tmp_path / "strange.csv").write_text("PosX,PosY\n10.5,20.5\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(compile("import smlmfmt\n" + code, document, "exec"), {})


@pytest.mark.parametrize("document", DOCS)
def test_every_link_leads_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", DOCS[document]):
        assert "://" in target or (folder / target).exists(), target
