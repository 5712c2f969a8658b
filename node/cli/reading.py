"""The options by which people say how a file is to be read."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from node.ingest.reading import ReadingOptions

__all__ = ["reading_options"]

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--from", "from_format", metavar="F", help="Format of the file, if not found out."
    ),
    click.option(
        "--pixel-size",
        type=click.FloatRange(min=0, min_open=True),
        metavar="NM",
        help="Camera pixel in nm, for files that count in pixels.",
    ),
    click.option(
        "--column",
        "columns",
        multiple=True,
        metavar="NAME=HEADER",
        help="Which column of a delimited table is what, as in x=POS_X, or x=0 for the first."
        " Repeatable.",
    ),
    click.option(
        "--on-error",
        type=click.Choice(["raise", "skip"]),
        default="raise",
        help="A bad row: refuse the file (raise), or leave the row out and count it (skip).",
    ),
    click.option(
        "--variant",
        metavar="V",
        help="Which version of the numbers, for formats that keep several (see `formats`).",
    ),
)


def reading_options(function: F) -> F:
    """Add the options of ReadingOptions, passed on as one `reading`."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        reading = ReadingOptions(
            format=kwargs.pop("from_format"),
            pixel_size_nm=kwargs.pop("pixel_size"),
            columns=_parse_columns(kwargs.pop("columns")),
            on_error=kwargs.pop("on_error"),
            variant=kwargs.pop("variant"),
        )
        return function(*args, reading=reading, **kwargs)

    decorated: Any = wrapped
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast("F", decorated)


def _parse_columns(pairs: tuple[str, ...]) -> dict[str, str | int]:
    columns: dict[str, str | int] = {}
    for pair in pairs:
        name, equals, header = pair.partition("=")
        if not equals or not name or not header:
            raise click.BadParameter(f"{pair!r} is not NAME=HEADER", param_hint="--column")
        header = header.strip()
        columns[name.strip()] = int(header) if re.fullmatch("[0-9]{1,4}", header) else header
    return columns
