"""LAMA's Malk tables: x, y, frame and signal, without a header.

Nothing but its shape tells such a file: four numbers set apart by blanks, the third a frame that
never decreases. x and y are in nm; what frames are counted from is not known.

Source: aherbert/gdsc-smlm PeakResultsReader.java (isMalkFormat).
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import BinaryIO

from smlmfmt.columns import ColumnName
from smlmfmt.errors import HeaderError
from smlmfmt.format import Format, FormatInfo, ReadOptions
from smlmfmt.layout import COMMENT, Header, Layout, arrange, read_layout
from smlmfmt.table import Bundle
from smlmfmt.text import Text, guess_delimiter, open_text, split_line
from smlmfmt.text_labels import is_number
from smlmfmt.text_stream import by_blocks
from smlmfmt.vendor import opened_head

__all__ = ["FORMAT", "lay_out_malk", "read_malk"]

_ROWS_LOOKED_AT = 64
_NAMES = (
    ColumnName("x", "nm", "0"),
    ColumnName("y", "nm", "1"),
    ColumnName("frame", "", "2"),
    ColumnName("intensity", "digital", "3"),
)


def read_malk(file: BinaryIO, options: ReadOptions) -> Bundle:
    """Return the table of a Malk file.

    Raises:
        HeaderError: The first row does not have four numbers.
        RowError: A row is short, long or not numeric.
    """
    text = open_text(file, name=options.name)
    return read_layout(text, lay_out_malk(text, options), options)


def lay_out_malk(text: Text, options: ReadOptions) -> Layout:
    """Return the layout of a Malk file; errors as for `read_malk`."""
    rows = _rows(text)
    index, delimiter, cells = next(iter(rows), (0, " ", []))
    if len(cells) != len(_NAMES) or not all(map(is_number, cells)):
        raise HeaderError(f"{options.name}: want rows of x, y, frame and signal, got {cells[:8]}")
    header = Header(
        sources=tuple(name.source for name in _NAMES),
        delimiter=delimiter,
        first_line=index,
        comment=COMMENT,
    )
    layout = arrange(text, header, _NAMES, options=options, format_name="malk")
    note = f"{options.name}: without a header; taken as x and y in nm, frame and signal"
    return replace(layout, warnings=(*layout.warnings, note))


def _rows(text: Text) -> list[tuple[int, str, list[str]]]:
    """Return index, delimiter and cells of the first lines that are no comments."""
    lines = (
        (index, line)
        for index, line in enumerate(text.lines)
        if line.strip() and not line.lstrip().startswith(COMMENT)
    )
    found = []
    for index, line in itertools.islice(lines, _ROWS_LOOKED_AT):
        delimiter = guess_delimiter(line)
        found.append((index, delimiter, split_line(line, delimiter)))
    return found


def _is_malk(head: bytes, _file: BinaryIO) -> bool:
    text = opened_head(head)
    # Under rapidSTORM's header, which says what the columns are, it is rapidSTORM's.
    is_described = text is None or any("<localizations" in line for line in text.lines[:1])
    rows = _rows(text) if text is not None and not is_described else []
    is_shaped = all(
        delimiter in " \t" and len(cells) == len(_NAMES) and all(map(is_number, cells))
        for _, delimiter, cells in rows
    )
    if not rows or not is_shaped:
        return False
    frames = [float(cells[2]) for _, _, cells in rows]
    is_counted = all(frame >= 0 and frame % 1 == 0 for frame in frames)
    is_measured = any(float(cells[0]) % 1 or float(cells[1]) % 1 for _, _, cells in rows)
    return is_counted and is_measured and frames == sorted(frames)


FORMAT = Format(
    info=FormatInfo(
        name="malk", title="LAMA (Malk) table", suffixes=(".txt",), reads=True, writes=False
    ),
    media_type="text/plain",
    sniff=_is_malk,
    read=read_malk,
    stream=by_blocks(read_malk),
)
