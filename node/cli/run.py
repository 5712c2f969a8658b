"""Run `locmesh`: whatever goes wrong ends in one line and a status, never in a traceback."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from node.cli.root import cli
from node.cli.terminal import plain
from node.errors import NodeError
from node.logs import begin_log, write_crash
from protocol.errors import ProtocolError

__all__ = ["run"]

FAILED = 1


def run(args: Sequence[str] | None = None) -> int:
    """Run one command. Return 0 when it is done, 1 when it failed, 2 when it was used wrongly."""
    _prepare_streams()
    begin_log()
    try:
        status = cli.main(args, prog_name="locmesh", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the outermost edge.
        return _fail(_sentence(error))
    return status if isinstance(status, int) else 0


def _sentence(error: Exception) -> str:
    """Return what a person is told; a bug is logged in full and told in one line."""
    # Who reads no file shall not wait for what reads files.
    from smlmfmt.errors import FormatError  # noqa: PLC0415

    if isinstance(error, click.Abort):
        return "Stopped."
    if isinstance(error, NodeError | FormatError | ProtocolError):
        return str(error)
    if isinstance(error, BrokenPipeError):
        # Whoever read us has heard enough (`locmesh list | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ""
    if isinstance(error, OSError):
        return (f"{error.filename}: " if error.filename else "") + (error.strerror or str(error))
    path = write_crash(cli.home, "".join(traceback.format_exception(error)))
    return f"Locmesh has a bug here, sorry. What happened is at the end of {path}"


def _fail(message: str) -> int:
    if message:
        click.echo(f"locmesh: {plain(message)}", err=True)
    return FAILED


def _prepare_streams() -> None:
    """Let every character out: as UTF-8 into pipes, replaced where a console has no sign for it."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # Closed by whoever started us (`locmesh list >&-`).
            nothing = Path(os.devnull).open("r+", encoding="utf-8")  # noqa: SIM115 - to the end.
            setattr(sys, name, nothing)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            encoding = stream.encoding if stream.isatty() else "utf-8"
            reconfigure(encoding=encoding, errors="replace")
