"""Format name to reader and writer; which format a file is of."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from smlmfmt.errors import FormatError
from smlmfmt.files import opened, replaced
from smlmfmt.format import (
    ColumnMapping,
    Format,
    FormatInfo,
    OnError,
    ReadOptions,
    Source,
    WriteOptions,
)
from smlmfmt.stream import (
    BLOCK_ROWS,
    BundleStream,
    TableStream,
    gathered,
    selected,
    stream_of,
)
from smlmfmt.table import Bundle, LocTable

__all__ = [
    "columns_wanted",
    "format_to_write",
    "formats",
    "iter_blocks",
    "media_type",
    "opened_stream",
    "read",
    "sniff",
    "write",
    "write_whole",
]

HEAD_SIZE = 65_536


def formats() -> tuple[FormatInfo, ...]:
    """Return every known format, in the order in which a file is tried."""
    return tuple(
        dataclasses.replace(item.info, streams=item.stream is not None)
        for item in _known().values()
    )


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
    with opened(source) as (file, _):
        return _sniffed(file)


def read(  # noqa: PLR0913 - what a caller may have to say about a file.
    source: Source,
    *,
    format: str | None = None,  # noqa: A002 - the field's own word.
    columns: ColumnMapping | None = None,
    pixel_size_nm: float | None = None,
    on_error: OnError = "raise",
    variant: str | None = None,
    only: Sequence[str] | None = None,
    rows: tuple[int, int] | None = None,
    table: int | None = None,
) -> Bundle:
    """Return the tables and images of a localization file, or a part of them.

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
        only: Canonical names of the columns wanted, in the order wanted; None for all.
        rows: (start, end), the rows wanted, half-open; None for all. `.smlm` files written here
            inflate only what holds them; other files are read up to `end`.
        table: Index of the one table wanted; None for all of them (with `rows`, the only one).

    Raises:
        FormatError: The file is of no known format, or not what its format says it must be, or
            has no such column, rows or table.
        OSError: The file cannot be read.
    """
    options = ReadOptions(
        columns=columns,
        pixel_size_nm=pixel_size_nm,
        on_error=on_error,
        variant=variant,
        only=columns_wanted(only),
    )
    if only is None and rows is None and table is None:
        with _resolved(source, format, options) as (found, file, resolved):
            return _reader(found)(file, resolved)
    with opened_stream(source, format=format, options=options) as (stream, _):
        is_all = rows is None and table is None
        wanted = stream.tables if is_all else [_one(stream, table)]
        start, end = rows or (0, None)
        tables = [gathered(item, start=start, end=end) for item in wanted]
        return Bundle(
            tables=tables,
            images=stream.images,
            manifest=stream.manifest,
            format=stream.format,
            warnings=tuple(stream.warnings),
        )


def iter_blocks(  # noqa: PLR0913 - as read.
    source: Source,
    *,
    rows: int = BLOCK_ROWS,
    format: str | None = None,  # noqa: A002 - the field's own word.
    columns: ColumnMapping | None = None,
    pixel_size_nm: float | None = None,
    on_error: OnError = "raise",
    variant: str | None = None,
    only: Sequence[str] | None = None,
    table: int | None = None,
) -> Iterator[LocTable]:
    """Yield one table of a file in blocks, holding little more than one of them in memory.

    `.smlm` and delimited text are read as the blocks are taken, and so are the other formats that
    say so (`FormatInfo.streams`); the rest is read whole first. Damage shows when it is come upon,
    at the latest after the last block: what a loop does with the blocks is sure once it has ended.

    Args:
        source: As `read`; it is open until the last block is taken or the iterator is closed.
        rows: Rows in each block but the last.
        format: As `read`, and so are `columns`, `pixel_size_nm`, `on_error`, `variant`, `only`.
        columns: As `read`.
        pixel_size_nm: As `read`.
        on_error: As `read`; what is skipped is not told.
        variant: As `read`.
        only: As `read`.
        table: Index of the table; None for the only one.

    Raises:
        FormatError: As `read`, or the file has several tables and none is named.
        OSError: The file cannot be read.
    """
    if rows < 1:
        raise FormatError(f"rows must be at least 1, got {rows}")
    options = ReadOptions(
        columns=columns,
        pixel_size_nm=pixel_size_nm,
        on_error=on_error,
        variant=variant,
        only=columns_wanted(only),
    )
    with opened_stream(source, format=format, options=options) as (stream, _):
        yield from _one(stream, table).blocks(rows)


@contextlib.contextmanager
def opened_stream(
    source: Source,
    *,
    format: str | None,  # noqa: A002 - the field's own word.
    options: ReadOptions,
) -> Iterator[tuple[BundleStream, BinaryIO]]:
    """Give a file's tables as streams, of the columns of `options.only`, and the open file.

    Raises:
        FormatError: As `read`.
        OSError: The file cannot be read.
    """
    with _resolved(source, format, options) as (found, file, resolved):
        if found.stream is None:
            stream = stream_of(_reader(found)(file, resolved))
        else:
            stream = found.stream(file, resolved)
        if options.only is not None:
            tables = [selected(item, options.only) for item in stream.tables]
            stream = dataclasses.replace(stream, tables=tables)
        yield stream, file


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
    chosen = format_to_write(path, format)
    bundle = data if isinstance(data, Bundle) else Bundle(tables=(data,))
    write_whole(
        path, bundle, chosen, options=WriteOptions(exact=exact, pixel_size_nm=pixel_size_nm)
    )


def write_whole(path: Path, bundle: Bundle, chosen: Format, *, options: WriteOptions) -> None:
    """Write a bundle, and what belongs beside it, in a format that can be written.

    Raises:
        FormatError: The format cannot hold this data.
        OSError: A file cannot be written.
    """
    assert chosen.write is not None
    with replaced(path) as file:
        chosen.write(file, bundle, options)
        beside = chosen.companions(bundle, options) if chosen.companions is not None else {}
        for suffix, content in beside.items():
            if path.suffix == suffix:
                raise FormatError(f"{path.name}: {suffix} is the suffix of the notes beside it")
            with replaced(path.with_suffix(suffix)) as companion:
                companion.write(content)


def format_to_write(path: Path, name: str | None) -> Format:
    """Return the format of a name, or that of a path's suffix.

    Raises:
        FormatError: There is none, or it can only be read.
    """
    chosen = _format(name or _format_of_suffix(path))
    if chosen.write is None:
        raise FormatError(f"{path.name}: {chosen.info.name} can be read but not written")
    return chosen


@contextlib.contextmanager
def _resolved(
    source: Source, name: str | None, options: ReadOptions
) -> Iterator[tuple[Format, BinaryIO, ReadOptions]]:
    """Open a file at its start and find out how it is to be read."""
    if options.on_error not in ("raise", "skip"):
        raise FormatError(f"on_error must be 'raise' or 'skip', got {options.on_error!r}")
    with opened(source) as (file, label):
        options = dataclasses.replace(options, name=label, path=_path(source))
        found = _format_of(file, name, options)
        file.seek(0)
        yield found, file, options


def _path(source: Source) -> Path | None:
    if isinstance(source, str | Path):
        return Path(source)
    raw = getattr(source, "raw", None)  # Of a file on disk that the caller opened.
    return Path(raw.name) if isinstance(raw, io.FileIO) and isinstance(raw.name, str) else None


def _format_of(file: BinaryIO, name: str | None, options: ReadOptions) -> Format:
    """Return the format named, or what the content shows, if it can do what is asked."""
    from smlmfmt import delimited  # noqa: PLC0415 - as in _known.

    chosen = name or (delimited.FORMAT.info.name if options.columns else _sniffed(file))
    if chosen is None:
        known = ", ".join(_known())
        why = delimited.columns_found(file) or "it is no text, nor any binary file known here"
        raise FormatError(
            f"{options.name}: no known format fits: {why}; or name one with format= ({known})"
        )
    found = _format(chosen)
    if found.read is None:
        raise FormatError(f"{options.name}: {chosen} can be written but not read")
    if options.variant is not None and not found.info.has_variant(options.variant):
        there = ", ".join(found.info.variants) or "none"
        there += ", or a number from 0" if found.info.counts_variants else ""
        raise FormatError(
            f"{options.name}: {chosen} has no variant {options.variant!r}; there are {there}"
        )
    return found


def columns_wanted(only: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names a caller gives as `only`, where one name may stand for itself."""
    return (only,) if isinstance(only, str) else None if only is None else tuple(only)


def _reader(found: Format) -> Callable[[BinaryIO, ReadOptions], Bundle]:
    assert found.read is not None
    return found.read


def _one(stream: BundleStream, index: int | None) -> TableStream:
    count = len(stream.tables)
    if index is None and count > 1:
        raise FormatError(f"the file has {count} tables; say which one with table=, from 0 on")
    wanted = index or 0
    if not 0 <= wanted < count:
        raise FormatError(f"no table {wanted}; there are {count}, counted from 0")
    return stream.tables[wanted]


def _known() -> dict[str, Format]:
    """Return all formats by name, in the order in which a file is tried."""
    # Two dozen readers take longer to import than all else; a program that only imports this
    # package, or makes tables itself, need not wait for them.
    from smlmfmt.known_formats import KNOWN  # noqa: PLC0415 - see above.

    return KNOWN


def _format(name: str) -> Format:
    try:
        return _known()[name]
    except KeyError:
        raise FormatError(f"no format {name!r}; there are {', '.join(_known())}") from None


def _format_of_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    for item in _known().values():
        if suffix in item.info.suffixes and item.info.writes:
            return item.info.name
    raise FormatError(f"{path.name}: no format is written under {suffix!r}; name one with format=")


def _sniffed(file: BinaryIO) -> str | None:
    file.seek(0)
    head = file.read(HEAD_SIZE)
    for name, item in _known().items():
        if item.sniff(head, file):
            return name
    return None
