"""One engine for delimited tables; the vendors' modules are headers, units and quirks only."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt import deflate
from smlmfmt.errors import HeaderError, RowError, SizeLimitError
from smlmfmt.format import OnError
from smlmfmt.memory import empty, keep_freed_memory
from smlmfmt.text_arrow import plain_numbers
from smlmfmt.text_cells import BadRow, Dialect, parse_block
from smlmfmt.text_labels import Labels

__all__ = [
    "Columns",
    "RowPlan",
    "Rows",
    "Text",
    "guess_delimiter",
    "is_utf16",
    "open_text",
    "parsed_blocks",
    "read_rows",
    "row_warnings",
    "split_line",
]

HEAD_SIZE = 256 << 10
LINE_SIZE_MAX = 64 << 10
BLOCK_SIZE = 1 << 20
# A file smaller than this is read before the fast reader is imported.
FAST_SIZE_MIN = 8 << 20
COLUMN_COUNT_MAX = 4096
TRAILER_SIZE_MAX = 1 << 20
_LINE_FEED = 0x0A
DELIMITERS = ("\t", ";", ",")

_QUOTED = re.compile(r'"[^"]*"')
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

Columns = Sequence[npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text whose encoding is known.

    Attributes:
        data: The bytes after any byte order mark, ASCII-compatible, lines ended as in the file.
        encoding: "utf-8" or "latin-1".
        lines: The first lines, decoded, without their ends.
        starts: Where those lines start in `data`, and at last where the next one does.
        hand_out: Gives the rows instead of `data`, where a text is read block by block.
    """

    data: BinaryIO
    encoding: str
    lines: Sequence[str]
    starts: Sequence[int]
    name: str
    hand_out: Callable[[RowPlan], Rows] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlan:
    """How the rows of a text are to be read: the arguments of `read_rows`."""

    text: Text
    first_line: int
    columns: int
    dialect: Dialect
    on_error: OnError


@dataclass(kw_only=True)
class Rows:
    """The numbers of a table and what was passed over.

    Attributes:
        columns: One float64 array of shape (n,) per column.
        skipped: Number of lines that are no rows, if they were to be skipped.
        first_bad: The message of the first of them.
        trailer: What follows a NUL byte after the rows, as some microscopes write it.
        labels: The texts of the columns of text, whose values number them.
    """

    columns: list[npt.NDArray[np.float64]] = field(default_factory=list)
    skipped: int = 0
    first_bad: str = ""
    trailer: bytes = b""
    labels: Labels = field(default_factory=lambda: Labels(()))


def open_text(file: BinaryIO, *, name: str) -> Text:
    """Return a text with its first lines; UTF-8, UTF-16 with a mark, else latin-1.

    Raises:
        HeaderError: The file is empty.
        SizeLimitError: A line is longer than any table's.
    """
    file.seek(0)
    head = file.read(HEAD_SIZE)
    if is_utf16(head):
        # Spreadsheets save "Unicode text" so; such files are small.
        text = head[2:] + file.read()
        file = io.BytesIO(text.decode(_UTF16[head[:2]], "replace").encode())
        head = file.read(HEAD_SIZE)
    start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    is_whole = len(head) < HEAD_SIZE
    encoding = _encoding(head, is_whole=is_whole)
    lines, starts = _lines(head[start:], start, encoding, is_whole=is_whole, name=name)
    if not any(line.strip() for line in lines):
        raise HeaderError(f"{name}: the file is empty")
    return Text(
        data=file,
        encoding=encoding,
        lines=lines,
        starts=starts,
        name=name,
        hand_out=getattr(file, "hand_out", None),
    )


def is_utf16(head: bytes) -> bool:
    """Say whether a text begins with the mark of UTF-16."""
    return head[:2] in _UTF16


def split_line(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line, without quotes and outer blanks.

    A line that a spreadsheet saved as one quoted cell, its quotes doubled, is taken apart again.
    """
    text = line.strip("\r\n")
    if text.startswith('"') and text.endswith('"') and f'""{delimiter}' in text:
        text = text[1:-1].replace('""', '"')
    if delimiter == " ":
        return [cell.strip('"') for cell in _outside_quotes(text, " ") if cell.strip('"')]
    return [cell.strip().strip('"').strip() for cell in _outside_quotes(text, delimiter)]


def guess_delimiter(line: str) -> str:
    """Return the delimiter a header line uses: a tab, ";" or "," if there is one, else blanks."""
    bare = _QUOTED.sub("", line)
    if not any(delimiter in bare for delimiter in DELIMITERS):
        bare = line  # A line that a spreadsheet saved as one quoted cell.
    counts = {delimiter: bare.count(delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=counts.__getitem__)
    return best if counts[best] else " "


def read_rows(
    text: Text, *, first_line: int, columns: int, dialect: Dialect, on_error: OnError
) -> Rows:
    """Return the rows from a line on.

    Args:
        text: An opened text.
        first_line: Index of the first line of data among `text.lines`.
        columns: Cells in each row.
        dialect: How the cells are set apart.
        on_error: Whether a line that is no row raises or is skipped and counted.

    Raises:
        RowError: A line has more or fewer cells or one that is no number.
    """
    plan = RowPlan(
        text=text, first_line=first_line, columns=columns, dialect=dialect, on_error=on_error
    )
    if text.hand_out is not None:
        return text.hand_out(plan)
    rows = Rows(labels=Labels(dialect.text_columns))
    table = _Table(columns, text.data.seek(0, io.SEEK_END) - text.starts[first_line])
    for part in parsed_blocks(plan, rows):
        table.append(part)
    rows.columns = table.finished()
    return rows


def parsed_blocks(plan: RowPlan, rows: Rows) -> Iterator[Columns]:
    """Yield the rows in blocks of as many as some bytes of the file hold: column by column.

    Args:
        plan: What to read.
        rows: Where to put down what was passed over, and the trailer; no columns are added.

    Raises:
        RowError: A line has more or fewer cells or one that is no number.
    """
    text, columns = plan.text, plan.columns
    if not 0 < columns <= COLUMN_COUNT_MAX:
        raise SizeLimitError(f"{text.name}: {columns} columns, 1 to {COLUMN_COUNT_MAX} allowed")
    start = text.starts[plan.first_line]
    size = text.data.seek(0, io.SEEK_END) - start
    # The fast reader knows numbers only.
    is_large = size >= FAST_SIZE_MIN and not plan.dialect.text_columns
    text.data.seek(start)
    line_number = plan.first_line + 1
    keep_freed_memory()
    parse = partial(_parse, dialect=plan.dialect, columns=columns, is_large=is_large)
    for block in deflate.in_threads(parse, _blocks(text, rows)):
        _note_bad(rows, block, text=text, line_number=line_number, on_error=plan.on_error)
        rows.labels.renumber(block.columns, block.texts)
        yield block.columns
        line_number += block.lines


def row_warnings(rows: Rows, name: str) -> list[str]:
    """Return what a reader should say of skipped lines."""
    if not rows.skipped:
        return []
    return [f"{name}: {rows.skipped} bad rows skipped; the first: {rows.first_bad}"]


class _Table:
    """Columns that grow; room is granted by the bytes the file really has."""

    def __init__(self, columns: int, size: int) -> None:
        self._size = max(size, 1)
        self._count = 0
        self._seen = 0.0
        self._columns = [np.empty(0) for _ in range(columns)]

    def append(self, columns: Columns) -> None:
        end = self._count + len(columns[0])
        if end > len(self._columns[0]):
            self._grow(end)
        for array, values in zip(self._columns, columns, strict=True):
            array[self._count : end] = values
        self._count = end

    def finished(self) -> list[npt.NDArray[np.float64]]:
        return [array[: self._count] for array in self._columns]

    def _grow(self, rows: int) -> None:
        # The first block tells how long a row is; after that, double.
        estimate = 1.02 * self._size / BLOCK_SIZE * rows if not self._count else 2.0 * rows
        capacity = max(rows, int(estimate))
        for column, array in enumerate(self._columns):
            grown = empty(capacity, np.float64)
            grown[: self._count] = array[: self._count]
            self._columns[column] = grown


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """A block's columns, its lines in all, and those that are no rows."""

    columns: Columns
    lines: int
    bad: Sequence[BadRow] = ()
    bad_count: int = 0
    texts: Mapping[int, Sequence[str]] = field(default_factory=dict)


def _parse(data: bytes, *, dialect: Dialect, columns: int, is_large: bool) -> _Parsed:
    found = plain_numbers(data, dialect, columns=columns) if is_large else None
    if found is not None:
        lines = int(np.count_nonzero(np.frombuffer(data, np.uint8) == _LINE_FEED))
        return _Parsed(columns=found, lines=lines)
    block = parse_block(data, dialect, columns=columns)
    return _Parsed(
        columns=list(block.values.T),
        lines=block.lines,
        bad=block.bad,
        bad_count=block.bad_count,
        texts=block.texts,
    )


def _note_bad(
    rows: Rows, block: _Parsed, *, text: Text, line_number: int, on_error: OnError
) -> None:
    if not block.bad:
        return
    row = block.bad[0]
    message = f"{text.name}: line {line_number + row.line}: {row.problem}: {row.content!r}"
    if on_error == "raise":
        raise RowError(
            f"{message}; on_error='skip' (--on-error skip on the command line) leaves such"
            " lines out"
        )
    rows.skipped += block.bad_count
    rows.first_bad = rows.first_bad or message


def _blocks(text: Text, rows: Rows) -> Iterator[bytes]:
    """Yield blocks of whole lines up to a NUL byte, each ended by a line feed."""
    file, rest = text.data, b""
    while piece := file.read(BLOCK_SIZE):
        data = rest + piece
        nul = data.find(b"\0")
        if nul >= 0:
            rows.trailer = data[nul + 1 :] + file.read(TRAILER_SIZE_MAX)
            rest = data[:nul]
            break
        end = max(data.rfind(b"\n"), _lone_return(data)) + 1
        if not end and len(data) > LINE_SIZE_MAX + BLOCK_SIZE:
            raise SizeLimitError(
                f"{text.name}: a line is longer than {LINE_SIZE_MAX} B; this is no table"
            )
        rest = data[end:]
        if end:
            yield _with_line_feeds(data[:end])
    if rest.strip():
        yield _with_line_feeds(rest + b"\n")


def _lone_return(data: bytes) -> int:
    """Return where the last line of a text without any line feed ends, else -1."""
    return -1 if b"\n" in data else data.rfind(b"\r", 0, -1)


def _with_line_feeds(data: bytes) -> bytes:
    if b"\r" not in data:
        return data
    data = data.replace(b"\r\n", b"\n")
    return data.replace(b"\r", b"\n")


def _encoding(head: bytes, *, is_whole: bool) -> str:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=is_whole)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _lines(
    head: bytes, start: int, encoding: str, *, is_whole: bool, name: str
) -> tuple[list[str], list[int]]:
    lines, starts = [], [start]
    parts = head.partition(b"\0")[0].splitlines(keepends=True)
    if not is_whole and len(parts) > 1:
        parts.pop()
    for part in parts:
        if len(part) > LINE_SIZE_MAX:
            raise SizeLimitError(f"{name}: a line of {len(part)} B; this is no table")
        lines.append(part.decode(encoding, "replace").rstrip("\r\n"))
        starts.append(starts[-1] + len(part))
    return lines, starts


def _outside_quotes(text: str, delimiter: str) -> list[str]:
    if '"' not in text:
        return text.split() if delimiter == " " else text.split(delimiter)
    cells: list[str] = []
    cell: list[str] = []
    is_quoted = False
    for character in text:
        if character == '"':
            is_quoted = not is_quoted
        if character == delimiter and not is_quoted:
            cells.append("".join(cell))
            cell = []
        else:
            cell.append(character)
    return [*cells, "".join(cell)]
