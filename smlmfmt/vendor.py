"""Delimited tables that one program writes, told by the line that names their columns."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from smlmfmt.columns import canonical_names, header_key
from smlmfmt.errors import FormatError, HeaderError
from smlmfmt.format import Format, FormatInfo, ReadOptions, WriteStream
from smlmfmt.layout import Header, Layout, arrange, read_layout
from smlmfmt.table import Bundle
from smlmfmt.text import Text, is_utf16, open_text, split_line
from smlmfmt.text_stream import by_blocks
from smlmfmt.text_writing import of_bundles

__all__ = ["Vendor", "header_index", "opened_head"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """What is particular to one program's tables.

    Attributes:
        suffixes: Of the files it writes.
        delimiter: What sets its cells apart.
        telling: Sets of `header_key`s; a header that has all of one set is this program's.
        columns: Our name and unit by `header_key`, where `columns.py` does not know better.
        frame_origin: What the program counts frames from; None if that is not known.
        missing_is_nan: Whether an empty cell is NaN rather than an error.
        text: Our names of columns that hold text.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    delimiter: str
    telling: tuple[frozenset[str], ...]
    columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    frame_origin: int | None = None
    missing_is_nan: bool = True
    text: frozenset[str] = frozenset()

    def format(self, *, write_stream: WriteStream | None = None) -> Format:
        """Return the format for the registry."""
        info = FormatInfo(
            name=self.name,
            title=self.title,
            suffixes=self.suffixes,
            reads=True,
            writes=write_stream is not None,
        )
        is_tab = self.delimiter == "\t"
        return Format(
            info=info,
            media_type="text/tab-separated-values" if is_tab else "text/csv",
            sniff=self.sniff,
            read=self.read,
            write=of_bundles(write_stream) if write_stream is not None else None,
            stream=by_blocks(self.read),
            write_stream=write_stream,
        )

    def sniff(self, head: bytes, _file: BinaryIO) -> bool:
        """Say whether a file's first bytes hold this program's header."""
        text = opened_head(head)
        return text is not None and self.fits(text)

    def fits(self, text: Text) -> bool:
        """Say whether the first line that is not blank is this program's header."""
        sources = split_line(text.lines[header_index(text)], self.delimiter)
        keys = {header_key(source) for source in sources}
        return any(telling <= keys for telling in self.telling)

    def read(self, file: BinaryIO, options: ReadOptions) -> Bundle:
        """Return the table of a file of this program.

        Raises:
            HeaderError: The header is not this program's.
            RowError: A row is short, long or not numeric.
            UnitError: Positions are in pixels and the pixel size is not given.
        """
        text = open_text(file, name=options.name)
        return read_layout(text, self.lay_out(text, options), options)

    def lay_out(self, text: Text, options: ReadOptions) -> Layout:
        """Return the layout of a file of this program; errors as for `read`."""
        index = header_index(text)
        sources = split_line(text.lines[index], self.delimiter)
        if not self.fits(text) and not options.columns:
            raise HeaderError(
                f"{options.name}: no header of {self.title}; the first line is {_shown(sources)}"
            )
        header = Header(
            sources=tuple(sources),
            delimiter=self.delimiter,
            first_line=index + 1,
            missing_is_nan=self.missing_is_nan,
            text=self.text,
        )
        names = canonical_names(sources, self.columns)
        layout = arrange(text, header, names, options=options, format_name=self.name)
        return replace(layout, frame_origin=self.frame_origin)


@functools.lru_cache(maxsize=1)
def opened_head(head: bytes) -> Text | None:
    """Return a file's first bytes as text, None if they are none. The last answer is kept."""
    if b"\0" in head.lstrip().partition(b"\n")[0] and not is_utf16(head):
        return None
    try:
        return open_text(io.BytesIO(head), name="file")
    except FormatError:
        return None


def header_index(text: Text) -> int:
    """Return the index of the first line that is not blank."""
    return next(index for index, line in enumerate(text.lines) if line.strip())


def _shown(sources: list[str]) -> str:
    shown = ", ".join(repr(source) for source in sources[:32])
    return shown if len(sources) <= 32 else f"{shown} and {len(sources) - 32} more"
