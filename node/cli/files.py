"""Localization files without any node: formats, info, convert, render."""

from __future__ import annotations

import dataclasses
import secrets
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import smlmfmt
from node.cli.diagnosis import read_or_explain
from node.cli.manifest import said_by
from node.cli.reading import reading_options
from node.cli.terminal import Progress, json_option, plain, print_facts, print_json, print_table
from node.errors import InputError
from node.ingest.reading import ReadingOptions, check_written_format
from node.web.quality import quality_facts
from node.web.quantities import (
    format_bound,
    format_exact,
    format_field,
    format_plural,
    format_size,
)
from smlmfmt import smlm
from smlmfmt.colormaps import COLORMAPS, DEFAULT
from smlmfmt.png import encode_png
from smlmfmt.render import MODES, render
from smlmfmt.table import Bundle, LocTable

__all__ = ["convert_command", "formats_command", "info_command", "render_command"]

INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = click.Path(dir_okay=False, path_type=Path)
# What people are shown of a file of many things; scripts are told everything.
TABLES_SHOWN = 16
COLUMNS_SHOWN = 64
NOTES_SHOWN = 8
NAME_LENGTH_MAX = 60
NOTE_LENGTH_MAX = 300


@click.command("formats")
@json_option
def formats_command(*, as_json: bool) -> None:
    """List the file formats that can be read and written.

    \b
    Example:
      locmesh formats
    """  # noqa: D301
    known = smlmfmt.formats()
    if as_json:
        print_json({"formats": [dataclasses.asdict(item) for item in known]})
        return
    rows = [
        (
            item.name,
            item.title,
            " ".join(item.suffixes),
            "yes" if item.reads else "no",
            "yes" if item.writes else "no",
            " ".join(item.variants),
        )
        for item in known
    ]
    print_table(("name", "title", "suffixes", "reads", "writes", "variants"), rows, flexible=1)


@click.command("info")
@click.argument("file", type=INPUT)
@reading_options
@json_option
def info_command(file: Path, *, reading: ReadingOptions, as_json: bool) -> None:
    """Say what is in a localization file: tables, columns, extent, precision.

    Of a file that cannot be read it says what was tried, and what to do next.

    \b
    Example:
      locmesh info cell1.csv
      locmesh info cell1.smlm --json
    """  # noqa: D301
    bundle = read_or_explain(file, reading, as_json=as_json)
    is_smlm = bundle.format == "smlm"
    deviations = smlm.deviations(file) if is_smlm else []
    hashes = smlm.hashes(file) if is_smlm else []
    if as_json:
        document = _info_document(file, bundle, deviations)
        print_json(document | {"hashes": [dataclasses.asdict(item) for item in hashes]})
        return
    print_facts(
        {
            "File": file.name,
            "Format": bundle.format,
            "Size": format_size(file.stat().st_size),
            "Tables": len(bundle.tables),
            "Images": len(bundle.images) or None,
            "Stated md5": _hash_fact(hashes),
        }
    )
    if said := said_by(bundle.manifest):
        click.echo("\nThe file says of itself:")
        print_facts({name: _cut(text, NOTE_LENGTH_MAX) for name, text in said.items()})
    for table in bundle.tables[:TABLES_SHOWN]:
        _print_table_facts(table)
    _print_more(len(bundle.tables) - TABLES_SHOWN, "table")
    _print_notes("Note", bundle.warnings)
    _print_notes("Other programs may refuse this file", deviations)


@click.command("convert")
@click.argument("source", metavar="IN", type=INPUT)
@click.argument("target", metavar="OUT", type=OUTPUT)
@click.option("--to", "to_format", metavar="F", help="Format to write, if the suffix leaves doubt.")
@click.option("--exact", is_flag=True, help="Keep 64-bit and integer columns in .smlm files.")
@reading_options
@json_option
def convert_command(  # noqa: PLR0913 - one parameter per option.
    source: Path,
    target: Path,
    *,
    to_format: str | None,
    exact: bool,
    reading: ReadingOptions,
    as_json: bool,
) -> None:
    """Write a localization file in another format. OUT is replaced if it exists.

    \b
    Example:
      locmesh convert cell1.csv cell1.smlm
      locmesh convert cell1.smlm cell1.csv --to thunderstorm
    """  # noqa: D301
    check_written_format(to_format)
    _check_target(target, source)
    _check_suffix(target, to_format)
    with (
        warnings.catch_warnings(record=True) as caught,
        Progress(source.name, total=source.stat().st_size) as bar,
    ):
        warnings.simplefilter("always")
        done = reading.convert(source, target, to_format=to_format, exact=exact, progress=bar.reach)
    notes = [*done.warnings, *(str(warning.message) for warning in caught)]
    if as_json:
        print_json(
            {
                "path": str(target),
                "from": done.format,
                "tables": done.tables,
                "rows": done.rows,
                "size": target.stat().st_size,
                "warnings": notes,
            }
        )
        return
    _print_notes("Note", notes)
    size = format_size(target.stat().st_size)
    click.echo(plain(f"{target}: {format_exact(done.rows)} localizations, {size}"))


@click.command("render")
@click.argument("source", metavar="FILE", type=INPUT)
@click.argument("target", metavar="OUT.png", type=OUTPUT)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="histogram",
    show_default=True,
    help="Count localizations per pixel, or draw each as wide as it is uncertain.",
)
@click.option(
    "--colormap",
    type=click.Choice(sorted(COLORMAPS)),
    default=DEFAULT,
    show_default=True,
    metavar="C",
    help=f"One of {', '.join(sorted(COLORMAPS))}.",
)
@click.option(
    "--size",
    type=click.IntRange(16, 8192),
    default=1024,
    show_default=True,
    metavar="PX",
    help="Width and height of the picture in pixels, 16 to 8192.",
)
@click.option("--scale-bar/--no-scale-bar", default=True, help="Burn in a bar of known length.")
@click.option(
    "--table",
    "index",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Which table of a file with several: 1, 2, ...",
)
@reading_options
@json_option
def render_command(  # noqa: PLR0913 - one parameter per option.
    source: Path,
    target: Path,
    *,
    mode: str,
    colormap: str,
    size: int,
    scale_bar: bool,
    index: int,
    reading: ReadingOptions,
    as_json: bool,
) -> None:
    """Draw the localizations of a file as a PNG picture.

    \b
    Example:
      locmesh render cell1.csv cell1.png
      locmesh render cell1.csv cell1.png --mode gaussian --size 2048
    """  # noqa: D301
    if target.suffix.lower() != ".png":
        raise click.BadParameter(f"{target} must end in .png", param_hint="OUT.png")
    _check_target(target, source)
    with Progress(source.name, total=source.stat().st_size) as bar:
        tables = reading.read(source, progress=bar.reach).tables
    if index > len(tables):
        count = format_plural(len(tables), "table")
        raise InputError(f"{source.name} has {count}; there is no table {index}")
    picture = render(
        tables[index - 1], size_px=size, mode=mode, colormap=colormap, scale_bar=scale_bar
    )
    _write_whole(target, encode_png(picture))
    height, width = picture.shape[:2]
    if as_json:
        rows = len(tables[index - 1])
        print_json({"path": str(target), "width": width, "height": height, "rows": rows})
        return
    click.echo(plain(f"{target}: {width} x {height} pixels"))


def _check_target(target: Path, source: Path) -> None:
    """Refuse to write over the file to read, or into a folder that is not there."""
    if target.exists() and target.samefile(source):
        raise InputError(f"{target} is the file to read; choose another name to write to")
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {target.parent} to write {target.name} into")


def _check_suffix(target: Path, to_format: str | None) -> None:
    written = {suffix for item in smlmfmt.formats() if item.writes for suffix in item.suffixes}
    if to_format is None and target.suffix.lower() not in written:
        said = f"nothing is written as {target.suffix}" if target.suffix else "it has no suffix"
        raise InputError(
            f"{target.name}: {said}; end it in one of {' '.join(sorted(written))}, or name the"
            " format with --to"
        )


def _write_whole(target: Path, data: bytes) -> None:
    """Write a file: whole under its name, or not at all."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _print_notes(title: str, notes: Sequence[str]) -> None:
    for note in notes[:NOTES_SHOWN]:
        click.echo(f"{title}: {_cut(note, NOTE_LENGTH_MAX)}")
    _print_more(len(notes) - NOTES_SHOWN, "note")


def _print_more(count: int, what: str) -> None:
    if count > 0:
        click.echo(f"{format_plural(count, f'more {what}')}; --json says all")


def _cut(text: str, length_max: int = NAME_LENGTH_MAX) -> str:
    return plain(text if len(text) <= length_max else text[: length_max - 3] + "...")


def _hash_fact(hashes: Sequence[smlm.StatedHash]) -> str | None:
    """Say how many of the hashes in a manifest are those of the data. They are often stale."""
    if not hashes:
        return None
    agree = sum(item.agrees for item in hashes)
    others = ", ".join(
        f"{_cut(item.name)} {'differs' if item.stated else 'states none'}"
        for item in hashes[:NOTES_SHOWN]
        if not item.agrees
    )
    return f"{agree} of {len(hashes)} agree" + (f" ({others})" if others else "")


def _info_document(file: Path, bundle: Bundle, deviations: list[str]) -> dict[str, Any]:
    return {
        "path": str(file),
        "format": bundle.format,
        "size": file.stat().st_size,
        "tables": [
            {"name": table.name, "channel": table.channel, **table.summary().as_dict()}
            for table in bundle.tables
        ],
        "images": [
            {"name": image.name, "media_type": image.media_type, "shape": image.shape}
            for image in bundle.images
        ],
        "warnings": list(bundle.warnings),
        "deviations": deviations,
        "says": said_by(bundle.manifest),
    }


def _print_table_facts(table: LocTable) -> None:
    summary = table.summary()
    frames = summary.frames
    click.echo()
    print_facts(
        {
            "Table": _cut(table.name),
            "Channel": _cut(table.channel),
            "Localizations": format_exact(summary.rows),
            "Field of view": format_field({k: list(v) for k, v in summary.bounds.items()}),
            "Dimension": f"{summary.dimension}D",
            "Frames": f"{format_exact(frames.first)} to {format_exact(frames.last)}"
            if frames
            else None,
            **quality_facts(summary),
            "Not finite": format_exact(summary.non_finite) if summary.non_finite else None,
        }
    )
    rows = [
        (
            _cut(column.name),
            _cut(column.unit),
            format_bound(column.min),
            format_bound(column.max),
            format_bound(column.mean),
            format_bound(column.median),
            _cut(column.source) if column.source != column.name else "",
        )
        for column in summary.columns[:COLUMNS_SHOWN]
    ]
    click.echo()
    print_table(
        ("column", "unit", "min>", "max>", "mean>", "median>", "in the file"), rows, flexible=6
    )
    _print_more(len(summary.columns) - COLUMNS_SHOWN, "column")
