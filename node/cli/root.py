"""The command `locmesh`: which commands there are, and what they all share."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import Any, NamedTuple

import click

from node import __version__
from node.config import default_home

__all__ = ["COMMANDS", "cli"]


class Lazy(NamedTuple):
    """Where a command is, and what `locmesh --help` says of it.

    Modules load when they are needed, so that `info` starts no web server.
    """

    module: str
    summary: str


COMMANDS = {
    "init": Lazy("node.cli.home", "Make the home of a new node: settings, keys, database."),
    "serve": Lazy("node.cli.serve", "Run the node until Ctrl-C: pages, sync, mirrors."),
    "add": Lazy("node.cli.add", "Make a dataset from files or a folder."),
    "edit": Lazy("node.cli.datasets", "Change a draft, or begin a dataset's next revision."),
    "publish": Lazy("node.cli.datasets", "Publish a draft, named by its id or its dataset's."),
    "withdraw": Lazy("node.cli.datasets", "End a dataset: it leaves every search."),
    "discard": Lazy("node.cli.datasets", "Forget a draft."),
    "list": Lazy("node.cli.show", "List your drafts and published datasets."),
    "show": Lazy("node.cli.show", "Show a dataset of any publisher, or a draft."),
    "search": Lazy("node.cli.search", "Find datasets of all publishers."),
    "get": Lazy("node.cli.get", "Download datasets, verified."),
    "peer": Lazy("node.cli.peers", "Whom this node talks to and trusts."),
    "sync": Lazy("node.cli.peers", "Exchange records with peers now."),
    "mirror": Lazy("node.cli.mirrors", "What this node keeps copies of."),
    "demo": Lazy("node.cli.demo", "Run a throw-away federation on this machine."),
    "formats": Lazy("node.cli.files", "List the formats that can be read and written."),
    "info": Lazy("node.cli.files", "Say what is in a localization file."),
    "convert": Lazy("node.cli.files", "Write a localization file in another format."),
    "render": Lazy("node.cli.files", "Draw a localization file as a PNG picture."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when somebody asks for them, in the order of COMMANDS.

    Attributes:
        home: The home that the last command worked on.
    """

    home: Path = Path()

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and remember its home for those who report how it ended."""
        try:
            return super().invoke(ctx)
        finally:
            self.home = ctx.obj

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every command, in the order of a newcomer's needs."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, which takes --home like the group itself."""
        del ctx
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        module = importlib.import_module(lazy.module)
        command: click.Command = getattr(module, f"{cmd_name}_command")
        _give_home(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without loading any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse an unknown command with its nearest neighbours."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], COMMANDS, 2)
            if not close:
                raise
            hint = f"{error.format_message()} Did you mean {' or '.join(close)}?"
            raise click.UsageError(hint, ctx) from error


def _set_home(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    del parameter
    if value is not None:
        # A context has taken over its parent's home before its own options are read.
        ctx.obj = ctx.find_root().obj = value.expanduser().absolute()


def _home_option() -> click.Option:
    return click.Option(
        ["--home"],
        type=click.Path(file_okay=False, path_type=Path),
        expose_value=False,
        is_eager=True,
        callback=_set_home,
        metavar="DIR",
        help="Folder of this node's keys, catalog and data (or LOCMESH_HOME).",
    )


def _give_home(command: click.Command) -> None:
    """Let --home stand after the command as well as before it."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _give_home(inner)
    elif not any("--home" in parameter.opts for parameter in command.params):
        command.params.append(_home_option())


@click.group(
    cls=LazyGroup,
    params=[_home_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="locmesh", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, /, **_: Any) -> None:
    """Share single-molecule localization data: keep it, sign it, find it, mirror it.

    \b
    Example, from nothing to a published dataset:
      locmesh init --name "Super-resolution lab" --contact data@lab.example
      locmesh serve
      locmesh add cell1.csv --name "Microtubules in U2OS" --description "..." \\
          --author "Ada Muster" --license CC-BY-4.0 --tag modality:dstorm --publish
    """  # noqa: D301 - click wants the backslash, the shell another.
    if ctx.obj is None:
        ctx.obj = default_home()
