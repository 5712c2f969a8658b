"""Why a file is of no known format: what each reader says of it, and what could help.

Every reader is asked, and each is given a bounded part of the file, so that a hostile or a huge
file costs no more than a small one.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smlmfmt.errors import FormatError
from smlmfmt.guessing import FoundColumn, guess_columns
from smlmfmt.registry import formats, read, sniff
from smlmfmt.text import Text, guess_delimiter, is_utf16, open_text, split_line

__all__ = ["Attempt", "Diagnosis", "FoundColumn", "diagnose"]

TEXT_SIZE_MAX = 256 << 10  # Of a text, its beginning says all.
BYTES_READ_MAX = 16 << 20  # What one reader may read of a binary file, anywhere in it.
LINES_SEEN_MAX = 200
VALUES_SHOWN = 20
COMMENTS = "#%"

# What people try that holds no localizations, and what it starts with.
_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"II*\0", "a TIFF image; localize the movie first"),
    (b"MM\0*", "a TIFF image; localize the movie first"),
    (b"II+\0", "a BigTIFF image; localize the movie first"),
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"ZISRAWFILE", "a Zeiss CZI image; export the localization table from ZEN"),
    (b"\xda\xce\xbe\x0a", "a Nikon ND2 image; export the molecule list from NIS-Elements"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as .csv"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "gzip-compressed; decompress it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive; extract it first"),
    (b"Rar!", "a RAR archive; extract it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed; decompress it first"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one format's reader said.

    Attributes:
        fits: Whether it could read the part of the file that it was given: the format is worth
            naming.
        reason: Its error, if it could not.
    """

    format: str
    fits: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is known about a file.

    Attributes:
        format: What its content says, "" if nothing known.
        kind: "empty", "text" or "binary".
        looks_like: A well-known kind of file that holds no localizations, "" if none.
        delimiter: How the cells of a text are set apart, "" if there is no table in it.
        columns: The columns found in a text.
        lines_above: How many lines stand above its table, blanks and comments not counted.
        mapping: Header or number by our name, a guess; empty if there is none to make.
        attempts: By format, in the order of `formats()`.
    """

    format: str
    kind: str
    looks_like: str = ""
    delimiter: str = ""
    columns: tuple[FoundColumn, ...] = ()
    lines_above: int = 0
    mapping: Mapping[str, str | int] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {
            "format": self.format or None,
            "kind": self.kind,
            "looks_like": self.looks_like or None,
            "delimiter": self.delimiter or None,
            "columns": [
                {"header": c.header, "values": list(c.values), "is_numeric": c.is_numeric}
                for c in self.columns
            ],
            "lines_above": self.lines_above,
            "mapping": dict(self.mapping),
            "tried": [
                {"format": a.format, "fits": a.fits, "reason": a.reason or None}
                for a in self.attempts
            ],
        }


def diagnose(path: str | Path) -> Diagnosis:
    """Return what a file is or is not, in bounded time and memory.

    Raises:
        OSError: The file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(TEXT_SIZE_MAX)
    if not head.strip():
        return Diagnosis(format="", kind="empty")
    kind = "text" if _is_text(head) else "binary"
    text = _opened_text(head) if kind == "text" else None
    lines_above, delimiter, columns = _table(text) if text is not None else (0, "", ())
    return Diagnosis(
        format=sniff(path) or "",
        kind=kind,
        looks_like=_stranger(path, head),
        delimiter=delimiter,
        columns=columns,
        lines_above=lines_above,
        mapping=_mapping(head, columns),
        attempts=tuple(
            _attempt(path, head if kind == "text" else None, item.name)
            for item in formats()
            if item.reads
        ),
    )


class _PartSpentError(OSError):
    """A reader has read as much as it is granted."""


class _Part(io.RawIOBase):
    """A file of which only so many bytes are read, wherever they are."""

    def __init__(self, file: io.BufferedReader, *, size_max: int, name: str) -> None:
        self._file = file
        self._left = size_max
        self.name = name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        if self._left <= 0:
            raise _PartSpentError(f"nothing in {BYTES_READ_MAX >> 20} MiB of it says so")
        data = self._file.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def _attempt(path: Path, text: bytes | None, name: str) -> Attempt:
    """Ask one reader: for a beginning of whole lines, or for whatever it reads of a binary file."""
    try:
        if text is not None:
            read(_named(_whole_lines(text), path.name), format=name)
        else:
            with path.open("rb") as file:
                part = _Part(file, size_max=BYTES_READ_MAX, name=path.name)
                read(io.BufferedReader(part), format=name)
    except FormatError as error:
        return Attempt(format=name, fits=False, reason=str(error).removeprefix(f"{path.name}: "))
    except _PartSpentError as error:
        return Attempt(format=name, fits=False, reason=str(error))
    return Attempt(format=name, fits=True, reason="")


def _named(data: bytes, name: str) -> io.BytesIO:
    file = io.BytesIO(data)
    file.name = name
    return file


def _whole_lines(data: bytes) -> bytes:
    if len(data) < TEXT_SIZE_MAX:
        return data
    return data[: data.rfind(b"\n") + 1] or data


def _is_text(head: bytes) -> bool:
    """Say whether the beginning is text: some microscopes append bytes to theirs."""
    if is_utf16(head):
        return True
    line = head.lstrip()[:4096].partition(b"\n")[0]
    try:
        first = line.decode()
    except UnicodeDecodeError:
        first = line.decode("latin-1")
    return all(letter.isprintable() or letter in "\t\r\f\ufeff" for letter in first)


def _stranger(path: Path, head: bytes) -> str:
    for start, what in _STRANGERS:
        if head.startswith(start):
            return what
    if head.startswith(b"PK"):
        is_workbook = b"xl/" in head or path.suffix.lower() == ".xlsx"
        return (
            "an Excel workbook; save the sheet as .csv"
            if is_workbook
            else ("a ZIP archive; extract it and name the table in it")
        )
    return ""


def _opened_text(head: bytes) -> Text | None:
    try:
        return open_text(io.BytesIO(_whole_lines(head)), name="file")
    except FormatError:
        return None


def _table(text: Text) -> tuple[int, str, tuple[FoundColumn, ...]]:
    """Return the lines above, the delimiter and columns of what looks like a table."""
    lines = [line for line in text.lines[:LINES_SEEN_MAX] if line.strip()]
    lines_above = 0
    for index, line in enumerate(lines[:-1]):
        is_comment = line.strip()[0] in COMMENTS
        bare = line.strip().lstrip(COMMENTS + " ") if is_comment else line
        delimiter = guess_delimiter(bare)
        cells = split_line(bare, delimiter)
        rows = [split_line(row, delimiter) for row in lines[index + 1 :] if row[0] not in COMMENTS]
        if len(cells) >= 2 and rows and len(rows[0]) == len(cells):
            is_header = not any(map(_is_number, cells))
            if not is_header:
                rows.insert(0, cells)
            rows = [row for row in rows if len(row) == len(cells)]
            if any(map(_is_number, rows[0])):
                return lines_above, delimiter, tuple(_columns(cells if is_header else None, rows))
        lines_above += not is_comment
    return 0, "", ()


def _columns(headers: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> list[FoundColumn]:
    found = []
    for index, values in enumerate(zip(*rows, strict=True)):
        cells = [value for value in values if value]
        found.append(
            FoundColumn(
                header=headers[index] if headers is not None else None,
                values=tuple(values[:VALUES_SHOWN]),
                is_numeric=bool(cells) and all(map(_is_number, cells)),
            )
        )
    return found


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _mapping(head: bytes, columns: Sequence[FoundColumn]) -> dict[str, str | int]:
    """Return a guess with which the file can be read: what does not work is not proposed."""
    guess = guess_columns(columns)
    if not guess:
        return {}
    try:
        read(io.BytesIO(_whole_lines(head)), columns=guess, pixel_size_nm=1.0)
    except FormatError:
        return {}
    return guess
