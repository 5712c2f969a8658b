"""The numbers of plain delimited text, many times as fast as cell by cell.

Arrow's reader turns decimal text into the nearest float64, as float() does, but it takes some
spellings that float() does not take and refuses some that it takes. Only blocks on which the two
cannot differ are read here; `text_cells` reads all others, and says what is wrong with a line.

Source: Arrow's csv module (a cell is trimmed of blanks and tabs, then parsed by fast_float).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.text_cells import MISSING, Dialect, normalised

__all__ = ["plain_numbers"]

# What Arrow takes otherwise than float(): "nan(...)", and a lone return as the end of a line.
_DOUBTFUL = (b"(", b"\r")
# Arrow knows no runs of blanks; lines in which each cell is set apart by one need none.
_RUNS = (b"  ", b" \n", b"\n ")


def plain_numbers(
    data: bytes, dialect: Dialect, *, columns: int
) -> list[npt.NDArray[np.float64]] | None:
    """Return the numbers of whole lines, or None if not every line is a row of plain numbers.

    Args:
        data: Lines, each ended by a line feed.
        dialect: How they are written.
        columns: Cells in a row.

    Returns:
        The columns, read-only, each of shape (rows,); each number is what float() reads.
    """
    import pyarrow as pa  # noqa: PLC0415 - takes longer to import than small files to read.
    from pyarrow import csv  # noqa: PLC0415 - as above.

    # In a single column, an empty line may be a missing number; Arrow passes it over.
    if columns == 1 or any(mark in data for mark in _DOUBTFUL):
        return None
    text = normalised(data, dialect)
    if dialect.delimiter == " " and (text[:1] == b" " or any(run in text for run in _RUNS)):
        return None
    parsing, converting = _options(dialect, columns)
    reading = csv.ReadOptions(
        column_names=converting.include_columns, use_threads=False, block_size=len(text) + 1
    )
    try:
        table = csv.read_csv(pa.BufferReader(text), reading, parsing, converting)
    except pa.ArrowInvalid:
        return None
    return [column.combine_chunks().to_numpy(zero_copy_only=False) for column in table.columns]


@functools.lru_cache(maxsize=16)
def _options(dialect: Dialect, columns: int) -> tuple[Any, Any]:
    import pyarrow as pa  # noqa: PLC0415 - see above.
    from pyarrow import csv  # noqa: PLC0415 - see above.

    names = [str(index) for index in range(columns)]
    parsing = csv.ParseOptions(
        delimiter=dialect.delimiter, quote_char=False, newlines_in_values=False
    )
    converting = csv.ConvertOptions(
        check_utf8=False,
        column_types=dict.fromkeys(names, pa.float64()),
        include_columns=names,
        null_values=[text.decode() for text in MISSING] if dialect.missing_is_nan else [],
    )
    return parsing, converting
