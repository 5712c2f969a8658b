"""What a format module offers to the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from smlmfmt.table import Bundle

__all__ = ["ColumnMapping", "Format", "FormatInfo", "OnError", "ReadOptions", "Source", "Write"]

Source = str | Path | BinaryIO
ColumnMapping = Mapping[str, str | int]
OnError = Literal["raise", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatInfo:
    """What people may know of a format: its name, title, file suffixes, and what is possible."""

    name: str
    title: str
    suffixes: tuple[str, ...]
    reads: bool
    writes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a caller may say about a file.

    Attributes:
        name: The file's name, for messages and as the name of a lone table.
        columns: Source column (header text or 0-based index) by canonical name.
        pixel_size_nm: Camera pixel in nm, for files that count in pixels.
        on_error: What to do with a bad row of text: "raise" RowError or "skip" and count it.
    """

    name: str = ""
    columns: ColumnMapping | None = None
    pixel_size_nm: float | None = None
    on_error: OnError = "raise"


class Write(Protocol):
    """Writes a bundle to a seekable file; `exact` asks to keep column types."""

    def __call__(self, file: BinaryIO, bundle: Bundle, *, exact: bool) -> None:
        """Write the bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format: its facts and its functions.

    Attributes:
        sniff: Says from the file's first bytes (and, if those cannot tell, the seekable file)
            whether the file is of this format.
        read: Reads a seekable file, at its start.
    """

    info: FormatInfo
    media_type: str
    sniff: Callable[[bytes, BinaryIO], bool]
    read: Callable[[BinaryIO, ReadOptions], Bundle] | None = None
    write: Write | None = None
