"""What people can type or set is in the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from node.cli.root import COMMANDS, cli
from node.config import Config

DOCS = Path(__file__).parent.parent.parent / "docs"
COMMAND_DOCS = (DOCS / "cli.md").read_text(encoding="utf-8")
OPERATING_DOCS = (DOCS / "operating.md").read_text(encoding="utf-8")


def options() -> Iterator[tuple[str, str]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        group = command.commands if isinstance(command, click.Group) else {"": command}
        for inner_name, inner in group.items():
            for parameter in inner.params:
                if isinstance(parameter, click.Option):
                    longest = max(parameter.opts, key=len)
                    yield f"{name} {inner_name}".strip(), longest


@pytest.mark.parametrize(("command", "option"), list(options()))
def test_every_option_is_documented(command: str, option: str) -> None:
    assert f"locmesh {command.partition(' ')[0]}" in COMMAND_DOCS
    assert (
        f"`{option}" in COMMAND_DOCS
        or f"{option} " in COMMAND_DOCS
        or (f"{option}`" in COMMAND_DOCS)
    ), f"locmesh {command} {option}"


@pytest.mark.parametrize("name", Config.names())
def test_every_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in OPERATING_DOCS
