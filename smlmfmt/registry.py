"""Format name to reader and writer; which format a file is of."""

from __future__ import annotations

import contextlib
import io
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from smlmfmt import delimited, smlm, thunderstorm
from smlmfmt.errors import FormatError
from smlmfmt.format import (
    ColumnMapping,
    Format,
    FormatInfo,
    OnError,
    ReadOptions,
    Source,
    WriteOptions,
)
from smlmfmt.table import Bundle, LocTable

__all__ = ["formats", "media_type", "read", "sniff", "write"]

HEAD_SIZE = 65_536

# In the order of detection: the particular before the general.
_FORMATS: dict[str, Format] = {
    item.info.name: item
    for item in (smlm.FORMAT, thunderstorm.FORMAT, thunderstorm.FORMAT_XLS, delimited.FORMAT)
}


def formats() -> tuple[FormatInfo, ...]:
    """Return every known format, in the order in which a file is tried."""
    return tuple(item.info for item in _FORMATS.values())


def media_type(format_name: str) -> str:
    """Return the media type of a format's files.

    Raises:
        FormatError: There is no such format.
    """
    return _format(format_name).media_type


def sniff(source: Source) -> str | None:
    """Return the name of a file's format, judged by its content alone; None if none fits.

    Raises:
        OSError: The file cannot be read.
    """
    with _opened(source) as (file, _):
        return _sniffed(file)


def read(  # noqa: PLR0913 - what a caller may have to say about a file.
    source: Source,
    *,
    format: str | None = None,  # noqa: A002 - the field's own word.
    columns: ColumnMapping | None = None,
    pixel_size_nm: float | None = None,
    on_error: OnError = "raise",
    variant: str | None = None,
) -> Bundle:
    """Return the tables and images of a localization file.

    Args:
        source: A path, or a binary file object at its start.
        format: A name of `formats()`; None finds out from the content.
        columns: Source column (header text or 0-based index) by canonical name, for delimited
            text whose header does not say which column is what.
        pixel_size_nm: Camera pixel in nm, for files that count in pixels.
        on_error: "raise", or "skip" to leave out bad rows of text and count them in
            `Bundle.warnings`.
        variant: Which version of the numbers, for formats that keep several: one of the format's
            `FormatInfo.variants`; None for the first of them.

    Raises:
        FormatError: The file is of no known format, or not what its format says it must be.
        OSError: The file cannot be read.
    """
    if on_error not in ("raise", "skip"):
        raise FormatError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
    with _opened(source) as (file, name):
        chosen = format or (delimited.FORMAT.info.name if columns else _sniffed(file))
        if chosen is None:
            known = ", ".join(_FORMATS)
            raise FormatError(
                f"{name}: no known format fits; name one with format= ({known}), or for"
                " delimited text say which column is what with columns={'x': ..., 'y': ...}"
            )
        found = _format(chosen)
        reader = found.read
        if reader is None:
            raise FormatError(f"{name}: {chosen} can be written but not read")
        if variant is not None and variant not in found.info.variants:
            there = ", ".join(found.info.variants) or "none"
            raise FormatError(f"{name}: {chosen} has no variant {variant!r}; there are {there}")
        file.seek(0)
        options = ReadOptions(
            name=name,
            columns=columns,
            pixel_size_nm=pixel_size_nm,
            on_error=on_error,
            variant=variant,
            path=Path(source) if isinstance(source, str | Path) else None,
        )
        return reader(file, options)


def write(
    path: str | Path,
    data: Bundle | LocTable,
    *,
    format: str | None = None,  # noqa: A002 - the field's own word.
    exact: bool = False,
    pixel_size_nm: float | None = None,
) -> None:
    """Write a localization file: whole under its name, or not at all.

    Args:
        path: Where to; an existing file is replaced.
        data: A bundle, or one table.
        format: A name of `formats()`; None takes it from the suffix.
        exact: Keep float64 and integer columns in .smlm, which some peers then refuse.
        pixel_size_nm: Camera pixel in nm, for formats that count in pixels.

    Raises:
        FormatError: The format is unknown or read-only, or cannot hold this data.
        OSError: The file cannot be written.
    """
    path = Path(path)
    chosen = _format(format or _format_of_suffix(path))
    if chosen.write is None:
        raise FormatError(f"{path.name}: {chosen.info.name} can be read but not written")
    options = WriteOptions(exact=exact, pixel_size_nm=pixel_size_nm)
    bundle = data if isinstance(data, Bundle) else Bundle(tables=(data,))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("x+b") as file:
            chosen.write(file, bundle, options)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # A write that fails does not say where.
        raise


def _format(name: str) -> Format:
    try:
        return _FORMATS[name]
    except KeyError:
        raise FormatError(f"no format {name!r}; there are {', '.join(_FORMATS)}") from None


def _format_of_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    for item in _FORMATS.values():
        if suffix in item.info.suffixes and item.info.writes:
            return item.info.name
    raise FormatError(f"{path.name}: no format is written under {suffix!r}; name one with format=")


def _sniffed(file: BinaryIO) -> str | None:
    file.seek(0)
    head = file.read(HEAD_SIZE)
    for name, item in _FORMATS.items():
        if item.sniff(head, file):
            return name
    return None


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[tuple[BinaryIO, str]]:
    """Give a seekable file and its name for messages; close only what was opened here."""
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            yield file, Path(source).name
        return
    name = getattr(source, "name", "")
    label = Path(name).name if isinstance(name, str) and name else "file"
    if source.seekable() and source.tell() == 0:
        yield source, label
    else:
        yield io.BytesIO(source.read()), label
