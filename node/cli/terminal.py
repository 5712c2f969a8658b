"""What a command shows: facts as text or JSON, tables, questions and progress."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

import click

from node.web.quantities import THIN

__all__ = ["Progress", "json_option", "plain", "print_facts", "print_json", "print_table"]

F = TypeVar("F", bound=Callable[..., Any])
COLUMN_WIDTH_MIN = 12


def json_option(function: F) -> F:
    """Add `--json`, passed on as `as_json`."""
    option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    return option(function)


def plain(text: object) -> str:
    """Return text that any terminal shows: common spaces, and no control characters."""
    return "".join(
        letter if letter.isprintable() else " " for letter in str(text).replace(THIN, " ")
    )


def print_json(document: object) -> None:
    """Print one JSON document and nothing else."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def print_facts(facts: Mapping[str, object]) -> None:
    """Print name and value per line, aligned; empty values are left out."""
    shown = {name: plain(value) for name, value in facts.items() if value not in (None, "", ())}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        click.echo(f"{name:<{width}}  {value}")


def print_table(names: Sequence[str], rows: Sequence[Sequence[object]], *, flexible: int) -> None:
    """Print a table as wide as the terminal; what does not fit is cut from one column.

    Args:
        names: The head of each column; a trailing `>` aligns it to the right.
        rows: The cells.
        flexible: Index of the column that gives way.
    """
    heads = [name.rstrip(">") for name in names]
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    if sys.stdout.isatty():  # In a pipe nothing is cut.
        spare = shutil.get_terminal_size().columns - sum(widths) - 2 * (len(widths) - 1)
        widths[flexible] = max(
            min(COLUMN_WIDTH_MIN, widths[flexible]), widths[flexible] + min(0, spare)
        )
    for index, row in enumerate([heads, *cells]):
        parts = [
            f"{_cut(cell, width):>{width}}"
            if name.endswith(">")
            else f"{_cut(cell, width):<{width}}"
            for name, cell, width in zip(names, row, widths, strict=True)
        ]
        line = "  ".join(parts).rstrip()
        is_head = index == 0 and not os.environ.get("NO_COLOR")
        click.echo(click.style(line, bold=True) if is_head else line)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


class Progress:
    """A bar on a terminal and nothing in a pipe; it counts bytes or steps."""

    def __init__(self, title: str, *, total: int | None, is_bytes: bool = True) -> None:
        from tqdm import tqdm  # noqa: PLC0415 - most commands show no bar.

        self._said = ""
        self._bar = tqdm(
            desc=title,
            total=total,
            unit="B" if is_bytes else "",
            unit_scale=is_bytes,
            unit_divisor=1000,
            # None lets tqdm find out by itself whether stderr is a terminal.
            disable=None,
            leave=False,
            file=sys.stderr,
            dynamic_ncols=True,
        )

    def advance(self, amount: int) -> None:
        """Count on."""
        self._bar.update(amount)

    def reach(self, done: int, total: int) -> None:
        """Count up to so many of so many in all."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def say(self, what: str) -> None:
        """Name what is being worked on now."""
        if what != self._said:
            self._said = what
            self._bar.set_postfix_str(plain(what), refresh=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
