"""What `info` says of a file that it cannot read: what was tried, why not, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from node.cli.terminal import Progress, plain, print_facts, print_json, print_table
from node.errors import InputError
from node.ingest.reading import ReadingOptions, check_format
from node.web.quantities import format_plural, format_size
from smlmfmt.diagnosis import Diagnosis, diagnose
from smlmfmt.errors import FormatError, UnitError
from smlmfmt.table import Bundle

__all__ = ["read_or_explain"]

COLUMNS_SHOWN = 40
VALUES_SHOWN = 3
CELL_LENGTH_MAX = 40
REASON_LENGTH_MAX = 100
DELIMITERS = {"\t": "tabs", ";": "semicolons", ",": "commas", " ": "blanks"}


def read_or_explain(file: Path, reading: ReadingOptions, *, as_json: bool) -> Bundle:
    """Read a file under a bar; of one that cannot be read, print what is known about it.

    Raises:
        InputError: No known format fits it, or the format named is none or the wrong one.
        FormatError: It is not what its format says it must be.
    """
    name = reading.format_of(file)
    check_format(name)
    try:
        with Progress(file.name, total=file.stat().st_size) as bar:
            return reading.read(file, progress=bar.reach)
    except (InputError, FormatError) as error:
        found = diagnose(file)
        sentence = _sentence(file, error, reading=reading, found=found)
        if as_json:
            document = {"path": str(file), "size": file.stat().st_size, "error": sentence}
            print_json(document | found.as_dict())
        elif name is None or reading.columns:
            _print(file, found, is_mapped=bool(reading.columns))
        raise InputError(sentence) from error


def _sentence(file: Path, error: Exception, *, reading: ReadingOptions, found: Diagnosis) -> str:
    """Return the one line that the command fails with."""
    if reading.format and found.format not in ("", reading.format):
        return f"{error}. Its content says {found.format}: leave out --from {reading.format}"
    if lost := _lost_columns(reading, found):
        return f"{file.name} has no column {' or '.join(lost)}; the table above has those it has"
    if reading.format or reading.columns or isinstance(error, UnitError):
        return str(error)
    if found.format:
        return f"{error} (read as {found.format}, as its content says)"
    return _unknown(file, found)


def _unknown(file: Path, found: Diagnosis) -> str:
    if found.kind == "empty":
        return f"{file.name} is empty"
    if found.looks_like:
        return f"{file.name} is of no format known here: it looks like {found.looks_like}"
    if found.columns:
        advice = "say which column is what: --column x=NAME --column y=NAME"
    else:
        advice = "if you know its format, name it with --from (`locmesh formats` lists them)"
    return f"{file.name} is of no format known here; {advice}"


def _lost_columns(reading: ReadingOptions, found: Diagnosis) -> list[str]:
    """Return what the caller calls columns, and the file does not."""
    headers = {column.header for column in found.columns}
    return [
        repr(source)
        for source in reading.columns.values()
        if headers and isinstance(source, str) and source not in headers
    ]


def _print(file: Path, found: Diagnosis, *, is_mapped: bool) -> None:
    print_facts(
        {
            "File": file.name,
            "Size": format_size(file.stat().st_size),
            "Content": _content(found),
        }
    )
    if found.attempts and not is_mapped:
        click.echo("\nTried, and why not:")
        rows = [
            (attempt.format, "fits, if you name it" if attempt.fits else _short(attempt.reason))
            for attempt in found.attempts
        ]
        print_table(("format", "what its reader says"), rows, flexible=1)
    if found.columns:
        _print_columns(found)
    steps = list(_steps(file, found))
    if steps:
        click.echo("\nWhat to do next:")
    for step in steps:
        click.echo(plain(step))


def _print_columns(found: Diagnosis) -> None:
    click.echo("\nColumns found:")
    names = {source: name for name, source in found.mapping.items()}
    shown = [
        (
            index,
            "" if column.header is None else _cut(column.header),
            ", ".join(_cut(value) for value in column.values[:VALUES_SHOWN]),
            names.get(column.header if column.header is not None else index, ""),
        )
        for index, column in enumerate(found.columns[:COLUMNS_SHOWN])
    ]
    print_table(("number>", "header", "first values", "perhaps"), shown, flexible=2)
    if len(found.columns) > COLUMNS_SHOWN:
        more = len(found.columns) - COLUMNS_SHOWN
        click.echo(f"{format_plural(more, 'more column')}; --json says all")


def _content(found: Diagnosis) -> str:
    if found.looks_like:
        return found.looks_like
    if found.columns:
        count = format_plural(len(found.columns), "column")
        return f"text, {count} set apart by {DELIMITERS.get(found.delimiter, found.delimiter)}"
    return {"empty": "nothing", "text": "text without a table"}.get(found.kind, "binary")


def _steps(file: Path, found: Diagnosis) -> Iterator[str]:
    """Yield what to type, the most likely first."""
    command = f"locmesh info {_quoted(str(file))}"
    if found.format:
        yield f"  {command}"
        yield f"  Its content says {found.format}, which needs no --column."
        return
    for attempt in found.attempts:
        if attempt.fits:
            yield f"  {command} --from {attempt.format}"
    if found.mapping:
        pairs = " ".join(
            f"--column {_quoted(f'{name}={source}')}" for name, source in found.mapping.items()
        )
        yield f"  {command} {pairs}"
        yield "  A guess: change it if another column is x or y. Add --pixel-size NM if they count"
        yield "  in camera pixels."
    elif found.columns and found.lines_above:
        count = format_plural(found.lines_above, "line")
        yield f"  Above the table: {count}. Take them away, or begin each with #, and ask again."
    elif found.columns:
        yield f"  {command} --column x=HEADER --column y=HEADER"
        yield "  HEADER is a name or a number from the table above."
    if found.kind != "empty" and not found.looks_like:
        yield "  If you know the format, name it with --from; `locmesh formats` lists them."


def _short(reason: str) -> str:
    """Return what is wrong without what to do, which stands below."""
    return _cut(reason.partition("; ")[0], REASON_LENGTH_MAX)


def _cut(text: str, length_max: int = CELL_LENGTH_MAX) -> str:
    return plain(text if len(text) <= length_max else text[: length_max - 3] + "...")


def _quoted(argument: str) -> str:
    """Quote an argument so that the shells of Unix and Windows both take it."""
    if re.fullmatch(r"[\w.=+/:-]+", argument, re.ASCII):
        return argument
    if not re.search(r'["$`\\!%]', argument):
        return f'"{argument}"'
    return "'" + argument.replace("'", "'\\''") + "'"
