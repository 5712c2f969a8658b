"""What a format module offers to the registry."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from smlmfmt.stream import BundleStream
from smlmfmt.table import Bundle

__all__ = [
    "ColumnMapping",
    "Format",
    "FormatInfo",
    "OnError",
    "ReadOptions",
    "Source",
    "Write",
    "WriteOptions",
    "WriteStream",
]

Source = str | Path | BinaryIO
ColumnMapping = Mapping[str, str | int]
OnError = Literal["raise", "skip"]

_NUMBER = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatInfo:
    """What people may know of a format: its name, title, file suffixes, and what is possible.

    Attributes:
        variants: What `variant=` may ask for, where a file holds several versions of its numbers
            (N-STORM's raw, drift-corrected and warped positions; MINFLUX's iterations); the first
            is what is read if nothing is asked for.
        counts_variants: Whether `variant=` may also be a number from 0, of as many as the file
            holds (the iterations of a MINFLUX recording).
        streams: Whether it can be read block by block; `formats()` fills it in.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    reads: bool
    writes: bool
    variants: tuple[str, ...] = ()
    counts_variants: bool = False
    streams: bool = False

    def has_variant(self, variant: str) -> bool:
        """Say whether files of the format can hold such a version of their numbers."""
        is_counted = self.counts_variants and _NUMBER.fullmatch(variant) is not None
        return is_counted or variant in self.variants


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a caller may say about a file.

    Attributes:
        name: The file's name, for messages and as the name of a lone table.
        columns: Source column (header text or 0-based index) by canonical name.
        pixel_size_nm: Camera pixel in nm, for files that count in pixels.
        on_error: What to do with a bad row of text: "raise" RowError or "skip" and count it.
        variant: Which version of the numbers, one of the format's `variants`; None for the first.
        only: Canonical names of the columns that are wanted, None for all. A reader need not
            look at it; it may save itself the others.
        path: Where the file lies, for formats that keep facts in a file beside it, also if the
            caller opened it; None if it is no file on disk.
    """

    name: str = ""
    columns: ColumnMapping | None = None
    pixel_size_nm: float | None = None
    on_error: OnError = "raise"
    variant: str | None = None
    only: tuple[str, ...] | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How a caller wants a file written.

    Attributes:
        exact: Keep float64 and integer columns in .smlm, which some peers then refuse.
        pixel_size_nm: Camera pixel in nm, for formats that count in pixels.
    """

    exact: bool = False
    pixel_size_nm: float | None = None


class Write(Protocol):
    """Writes a bundle to a seekable file."""

    def __call__(self, file: BinaryIO, bundle: Bundle, options: WriteOptions) -> None:
        """Write the bundle."""


class WriteStream(Protocol):
    """Writes a bundle of streams to a seekable file, taking each block once, in order."""

    def __call__(self, file: BinaryIO, stream: BundleStream, options: WriteOptions) -> None:
        """Write the bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format: its facts and its functions.

    Attributes:
        sniff: Says from the file's first bytes (and, if those cannot tell, the seekable file)
            whether the file is of this format.
        read: Reads a seekable file, at its start.
        stream: Opens such a file to be read block by block while it is open; without it, files
            are read whole and cut. For delimited text, `text_stream.by_blocks(read)`.
        write_stream: Writes tables block by block; without it, `write` gets them whole.
        companions: Gives the files that belong beside a written one, by suffix: it has the same
            stem and that suffix.
    """

    info: FormatInfo
    media_type: str
    sniff: Callable[[bytes, BinaryIO], bool]
    read: Callable[[BinaryIO, ReadOptions], Bundle] | None = None
    write: Write | None = None
    stream: Callable[[BinaryIO, ReadOptions], BundleStream] | None = None
    write_stream: WriteStream | None = None
    companions: Callable[[Bundle, WriteOptions], Mapping[str, bytes]] | None = None
