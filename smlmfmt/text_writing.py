"""Tables as delimited text that reads back as the same numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt.deflate import in_threads
from smlmfmt.errors import FormatError, HeaderError, UnitError
from smlmfmt.format import Write, WriteOptions, WriteStream
from smlmfmt.stream import BundleStream, TableStream, stream_of
from smlmfmt.table import Bundle, LocTable
from smlmfmt.text_numbers import format_rows

__all__ = ["check_positions", "of_bundles", "only_table", "quoted", "write_rows"]

BLOCK_ROWS = 65_536


def of_bundles(write_stream: WriteStream) -> Write:
    """Return the writer of whole tables that goes with one of streams."""

    def write(file: BinaryIO, bundle: Bundle, options: WriteOptions) -> None:
        write_stream(file, stream_of(bundle), options)

    return write


def only_table(stream: BundleStream, what: str) -> TableStream:
    """Return the one table.

    Raises:
        FormatError: There is none, or there are several.
    """
    if len(stream.tables) != 1:
        raise FormatError(f"{what} holds one table, not {len(stream.tables)}")
    return stream.tables[0]


def check_positions(table: LocTable, what: str) -> None:
    """Check that a table has positions that can be written as nm.

    Raises:
        HeaderError: It has no x or no y.
        UnitError: x, y or z is not in nm.
    """
    if not {"x", "y"} <= set(table.columns):
        raise HeaderError(f"{what} needs x and y; there are {table.columns}")
    for name in ("x", "y", "z"):
        if name in table and table.units[name] not in ("nm", ""):
            raise UnitError(f"column {name!r} must be in nm, not {table.units[name]!r}")


def quoted(name: str) -> str:
    """Return a header between quotes.

    Raises:
        HeaderError: It cannot be written in one line of text.
    """
    if '"' in name or not name.isprintable():
        raise HeaderError(f"column {name!r} cannot be the header of a line of text")
    return f'"{name}"'


def write_rows(
    file: BinaryIO,
    table: TableStream,
    headers: Sequence[str],
    *,
    delimiter: str = ",",
    frame_origin: int | None = None,
) -> None:
    """Write a header line and all rows as they come.

    Args:
        file: To write to.
        table: One column for each header.
        headers: As they are to stand in the file.
        delimiter: Between cells.
        frame_origin: What the file must count frames from, if the table says what it does.
    """
    file.write((delimiter.join(headers) + "\n").encode())

    def formatted(block: LocTable) -> bytes:
        return format_rows(list(_columns(block, frame_origin)), delimiter=delimiter)

    file.writelines(in_threads(formatted, table.blocks(BLOCK_ROWS)))


def _columns(table: LocTable, frame_origin: int | None) -> Iterator[npt.NDArray[np.number]]:
    shift = 0
    if frame_origin is not None and table.frame_origin is not None:
        shift = frame_origin - table.frame_origin
    for name in table.columns:
        values = table[name]
        if name == "frame" and shift:
            # Wide enough that the last frame of a narrow type has a successor.
            values = values.astype(np.float64 if values.dtype.kind == "f" else np.int64) + shift
        yield values
