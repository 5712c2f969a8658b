"""The bytes of one table's rows in an archive, in order, in part, or all at once in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from smlmfmt import deflate
from smlmfmt.memory import keep_freed_memory
from smlmfmt.smlm.archive import DEFLATED, Archive, Entry
from smlmfmt.smlm.rows import Columns
from smlmfmt.smlm.spec import Segments

__all__ = ["Content"]


class Content:
    """Where one table's rows lie, and how to get at them.

    Args:
        archive: The open archive.
        entry: The table's member.
        row_size: Bytes of a row.
        segments: The index of its independent segments, not yet believed.
        warn: Takes what a user should know.
    """

    def __init__(
        self,
        archive: Archive,
        entry: Entry,
        *,
        row_size: int,
        segments: Segments | None,
        warn: Callable[[str], None],
    ) -> None:
        self._archive = archive
        self._entry = entry
        self._row_size = row_size
        self._rows = entry.size // row_size
        self._warn = warn
        keep_freed_memory()
        self._segments = self._believed(segments)

    def fill(self, columns: Columns) -> None:
        """Put all rows into columns and check them against the member's checksum.

        Raises:
            ArchiveError: The member is damaged.
            RowError: It holds other rows than there is room for.
        """
        if self._segments is not None and columns.is_whole:
            try:
                self._fill_segments(columns, self._segments)
            except deflate.DeflateError as error:
                self._warn(f"segment index not used: {error}")
            else:
                return
        rows = columns.span()
        for piece in deflate.ahead(self._archive.stream(self._entry)):
            rows.take(piece)
        rows.finish()

    def pieces(self) -> Iterator[bytes]:
        """Yield all bytes in order, inflated ahead; they are checked at the end.

        Raises:
            ArchiveError: The member is damaged.
        """
        done = 0
        if self._segments is not None:
            try:
                for piece in self._segment_contents(self._segments):
                    done += len(piece)
                    yield piece
            except deflate.DeflateError as error:
                self._warn(f"segment index not used: {error}")
            else:
                return
        # What came out of sound segments is not given twice, but checked with the rest.
        for piece in deflate.ahead(self._archive.stream(self._entry)):
            fresh = piece[min(done, len(piece)) :]
            done -= len(piece) - len(fresh)
            if fresh:
                yield fresh

    def section(self, start: int, end: int) -> bytes:
        """Return the bytes of rows [start, end), inflating only their segments if it can.

        Raises:
            ArchiveError: The member is damaged.
        """
        if self._segments is not None and start < end:
            try:
                return self._segment_section(self._segments, start, end)
            except deflate.DeflateError as error:
                self._warn(f"segment index not used: {error}")
        pieces = self._archive.stream(self._entry)
        return _cut(pieces, start * self._row_size, end * self._row_size)

    def _segment_section(self, segments: Segments, start: int, end: int) -> bytes:
        first, stop = start // segments.rows, (end - 1) // segments.rows + 1
        compressed = self._compressed(segments, first, stop)
        pieces = chain.from_iterable(piece.inflated() for piece in compressed)
        skipped = first * segments.rows
        found = _cut(pieces, (start - skipped) * self._row_size, (end - skipped) * self._row_size)
        for _ in pieces:  # Only a segment inflated to its end shows that its place was right.
            pass
        return found

    def _believed(self, segments: Segments | None) -> Segments | None:
        """Return an index if it fits the member."""
        if segments is None or self._entry.method != DEFLATED:
            return None
        count = max(1, -(-self._rows // segments.rows))
        if len(segments.sizes) != count or sum(segments.sizes) != self._entry.compressed_size:
            self._warn("its segment index does not fit it")
            return None
        return segments

    def _compressed(self, segments: Segments, start: int, end: int) -> Iterator[_Piece]:
        """Yield the segments [start, end), still compressed."""
        at = self._archive.data_start(self._entry) + sum(segments.sizes[:start])
        for index in range(start, end):
            size = segments.sizes[index]
            first = index * segments.rows
            yield _Piece(
                data=self._archive.at(at, size),
                start=first,
                end=min(first + segments.rows, self._rows),
                row_size=self._row_size,
                is_last=index == len(segments.sizes) - 1,
            )
            at += size

    def _segment_contents(self, segments: Segments) -> Iterator[bytes]:
        """Yield the content of each segment, inflated in threads; check the checksum of all."""
        crc = 0
        compressed = self._compressed(segments, 0, len(segments.sizes))
        for content in deflate.in_threads(lambda piece: b"".join(piece.inflated()), compressed):
            crc = deflate.crc32(content, crc)
            yield content
        if crc != self._entry.crc:
            raise deflate.DeflateError("the checksum differs")

    def _fill_segments(self, columns: Columns, segments: Segments) -> None:
        """Inflate all segments into their rows, in threads, and check the checksum of all."""

        def fill(piece: _Piece) -> tuple[int, int]:
            rows = columns.span(piece.start, piece.end)
            crc = 0
            for content in piece.inflated():
                crc = deflate.crc32(content, crc)
                rows.take(content)
            rows.finish()
            return crc, (piece.end - piece.start) * piece.row_size

        whole = 0
        compressed = self._compressed(segments, 0, len(segments.sizes))
        for crc, size in deflate.in_threads(fill, compressed):
            whole = deflate.crc32_combined(whole, crc, size)
        if whole != self._entry.crc:
            raise deflate.DeflateError("the checksum differs")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """One compressed segment and the rows [start, end) it holds."""

    data: bytes
    start: int
    end: int
    row_size: int
    is_last: bool

    def inflated(self) -> Iterator[bytes]:
        size = (self.end - self.start) * self.row_size
        return deflate.inflate_segment(self.data, size=size, is_last=self.is_last)


def _cut(pieces: Iterable[bytes], start: int, end: int) -> bytes:
    """Return bytes [start, end) of a stream, reading no further than needed."""
    found = []
    at = 0
    for piece in pieces:
        found.append(piece[max(0, start - at) : max(0, end - at)])
        at += len(piece)
        if at >= end:
            break
    return b"".join(found)
