"""Rows of rapidSTORM's files of tracks: as many localizations in a line as the track has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import RowError, SizeLimitError
from smlmfmt.format import ReadOptions
from smlmfmt.layout import COMMENT, Layout, bundle_of, checked
from smlmfmt.table import Bundle
from smlmfmt.text import Rows
from smlmfmt.text_cells import Dialect, parse_block

__all__ = ["read_tracks"]

TRACK_SIZE_MAX = 8 << 20
# A track's own fields are repeated for each of its localizations; a table that grows beyond this
# many times its text was made to fill the memory.
EXPANSION_MAX = 64
_EXPANSION_FREE_SIZE = 1 << 20
_CONTENT_SIZE_MAX = 200
_ONE_A_LINE = bytes.maketrans(b" \t\r", b"\n\n\n")


def read_tracks(
    file: BinaryIO, layout: Layout, options: ReadOptions, *, track_fields: int
) -> Bundle:
    """Return the localizations of all tracks, one row each.

    Args:
        file: At the first line of tracks.
        layout: The track's number, its fields, and the fields of a localization.
        options: As the caller gave them.
        track_fields: How many fields a track has.

    Raises:
        RowError: A line does not hold as many numbers as its track's count says.
        SizeLimitError: A line is longer than any track, or the table grows out of all proportion.
    """
    layout = checked(layout, options)
    columns = len(layout.names)
    rows = Rows()
    cells, size = bytearray(), 0
    for track, (number, line) in enumerate(_lines(file, options)):
        size += len(line)
        try:
            own, found = _parse_track(line, track_fields, columns - 1 - track_fields)
        except ValueError as error:
            _note_bad(rows, f"{options.name}: line {number}: {error}: {_shown(line)}", options)
            own, found = np.empty(track_fields), np.empty((0, columns - 1 - track_fields))
        if len(cells) + 8 * columns * len(found) > EXPANSION_MAX * size + _EXPANSION_FREE_SIZE:
            raise SizeLimitError(
                f"{options.name}: line {number}: the fields of tracks make the table more than"
                f" {EXPANSION_MAX} times as large as the file"
            )
        table = np.empty((len(found), columns))
        table[:, 0], table[:, 1 : 1 + track_fields] = track, own
        table[:, 1 + track_fields :] = found
        cells += table.tobytes()
    values = np.frombuffer(cells, np.float64).reshape(-1, columns)
    rows.columns = [values[:, index].copy() for index in range(columns)]
    return bundle_of(layout, rows, options)


def _lines(file: BinaryIO, options: ReadOptions) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each line that is neither blank nor a comment."""
    number = 1
    while line := file.readline(TRACK_SIZE_MAX):
        number += 1
        if len(line) == TRACK_SIZE_MAX:
            raise SizeLimitError(f"{options.name}: line {number} is longer than {TRACK_SIZE_MAX} B")
        bare = line.strip()
        if bare and not bare.startswith(COMMENT.encode()):
            yield number, bare


def _parse_track(
    line: bytes, track_fields: int, fields: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return a track's own numbers and those of its localizations, of shape (n, fields).

    Raises:
        ValueError: The line holds something else.
    """
    block = parse_block(line.translate(_ONE_A_LINE) + b"\n", Dialect(delimiter=" "), columns=1)
    numbers = block.values[:, 0]
    if block.bad:
        raise ValueError("not all values are numbers")
    rest = numbers[track_fields + 1 :]
    if len(numbers) <= track_fields or numbers[track_fields] * fields != len(rest):
        raise ValueError(f"want {track_fields} values, a count, and {fields} values for each")
    return numbers[:track_fields], rest.reshape(-1, fields)


def _note_bad(rows: Rows, message: str, options: ReadOptions) -> None:
    if options.on_error == "raise":
        raise RowError(
            f"{message}; on_error='skip' (--on-error skip on the command line) leaves such lines"
            " out"
        )
    rows.skipped += 1
    rows.first_bad = rows.first_bad or message


def _shown(line: bytes) -> str:
    return repr(line[:_CONTENT_SIZE_MAX].decode("latin-1"))
