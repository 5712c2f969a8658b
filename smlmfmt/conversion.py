"""One file to another, block by block where both formats can."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from smlmfmt.files import replaced
from smlmfmt.format import ColumnMapping, Format, OnError, ReadOptions, Source, WriteOptions
from smlmfmt.registry import columns_wanted, format_to_write, opened_stream, write_whole
from smlmfmt.stream import BundleStream, TableStream, gathered
from smlmfmt.table import Bundle, LocTable

__all__ = ["Conversion", "Progress", "convert"]

# Called with bytes of the source done and in all; once more, with both equal, at the end.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What was converted: the source's format, tables and rows, and what a user should know."""

    format: str
    tables: int
    rows: int
    warnings: tuple[str, ...]


def convert(  # noqa: PLR0913 - what may have to be said about two files.
    source: Source,
    target: str | Path,
    *,
    source_format: str | None = None,
    format: str | None = None,  # noqa: A002 - as in write.
    columns: ColumnMapping | None = None,
    pixel_size_nm: float | None = None,
    on_error: OnError = "raise",
    variant: str | None = None,
    only: Sequence[str] | None = None,
    exact: bool = False,
    progress: Progress | None = None,
) -> Conversion:
    """Write a localization file in another format: whole under its name, or not at all.

    `.smlm` and ThunderSTORM tables are written as their rows are read, if they come from a format
    that streams (`FormatInfo.streams`). Otherwise, and with `exact`, they are read whole first.

    Args:
        source: A path, or a binary file object at its start.
        target: Where to; an existing file is replaced.
        source_format: A name of `formats()` to read; None finds out from the content.
        format: A name of `formats()` to write; None takes it from the target's suffix.
        columns: As `read`, and so are `on_error`, `variant` and `only`.
        on_error: As `read`.
        variant: As `read`.
        only: As `read`.
        pixel_size_nm: Camera pixel in nm, for formats that count in pixels.
        exact: Keep float64 and integer columns in .smlm, which some peers then refuse.
        progress: Told, as rows are written, how many bytes of the source are done, of how many.

    Raises:
        FormatError: As `read` and `write`.
        OSError: A file cannot be read or written.
    """
    path = Path(target)
    chosen = format_to_write(path, format)
    reading = ReadOptions(
        columns=columns,
        pixel_size_nm=pixel_size_nm,
        on_error=on_error,
        variant=variant,
        only=columns_wanted(only),
    )
    writing = WriteOptions(exact=exact, pixel_size_nm=pixel_size_nm)
    with opened_stream(source, format=source_format, options=reading) as (stream, file):
        counter = _Counter(stream, file, progress)
        _write(path, chosen, counter.stream, options=writing)
        counter.finish()
        return Conversion(
            format=stream.format,
            tables=len(stream.tables),
            rows=counter.rows,
            warnings=tuple(stream.warnings),
        )


def _write(path: Path, chosen: Format, stream: BundleStream, *, options: WriteOptions) -> None:
    if chosen.write_stream is None:
        write_whole(path, _gathered(stream), chosen, options=options)
        return
    with replaced(path) as file:
        chosen.write_stream(file, stream, options)


class _Counter:
    """Counts the rows that are taken from a stream, and tells how far its file is read."""

    def __init__(self, stream: BundleStream, file: BinaryIO, progress: Progress | None) -> None:
        self._file = file
        position = file.tell()
        self._total = file.seek(0, io.SEEK_END)
        file.seek(position)
        self._progress = progress
        self._done = 0
        self._held = sum(len(item.whole) for item in stream.tables if item.whole is not None)
        self.rows = 0
        tables = [
            dataclasses.replace(item, blocks=partial(self._blocks, item)) for item in stream.tables
        ]
        self.stream = dataclasses.replace(stream, tables=tables)

    def finish(self) -> None:
        """Tell that all is done."""
        if self._progress is not None:
            self._progress(self._total, self._total)

    def _blocks(self, table: TableStream, rows: int) -> Iterator[LocTable]:
        for block in table.blocks(rows):
            yield block
            self.rows += len(block)
            if self._progress is not None:
                read = self._file.tell()
                if table.whole is not None:  # Its file is read; what is left is the writing.
                    read = self._total * self.rows // max(self._held, self.rows, 1)
                self._done = max(self._done, min(read, self._total))
                self._progress(self._done, self._total)


def _gathered(stream: BundleStream) -> Bundle:
    tables = []
    for item in stream.tables:
        given = dataclasses.replace(item, whole=None, section=None)
        tables.append(gathered(given))
    return Bundle(
        tables=tables,
        images=stream.images,
        manifest=stream.manifest,
        format=stream.format,
        warnings=tuple(stream.warnings),
    )
