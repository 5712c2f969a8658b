"""DEFLATE at the speed of the memory: streams, and streams of independent segments.

A stream may be made of segments that each end with a full flush. Such a stream is plain DEFLATE
to everyone, and whoever knows where the segments start can inflate them one by one, in any order
and in several threads.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, cast

from isal import isal_zlib

__all__ = [
    "CHUNK_SIZE",
    "DeflateError",
    "Segment",
    "ahead",
    "crc32",
    "crc32_combined",
    "deflate_segment",
    "in_threads",
    "inflate",
    "inflate_segment",
]

# The same class as isal_zlib.error, which its stubs declare as an instance.
ERROR: type[Exception] = isal_zlib.IsalError  # type: ignore[assignment]

_END = object()

T = TypeVar("T")
R = TypeVar("R")

CHUNK_SIZE = 128 << 10
PIECE_SIZE_MAX = 1 << 20
# isal's own notion of speed: as small as zlib's level 6 on floats, ten times as fast.
LEVEL = 1
AHEAD_COUNT = 4
# Items that wait ready while the threads work, lest these wait for whoever takes the results.
QUEUED_COUNT = 2
THREAD_COUNT = max(1, min(2, os.cpu_count() or 1))


class DeflateError(Exception):
    """The bytes are not a DEFLATE stream, or end before it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One compressed segment and what it holds: CRC-32 and size in bytes of the raw data."""

    data: bytes
    crc: int
    size: int


def crc32(data: bytes, start: int = 0) -> int:
    """Return the CRC-32 of data that follows data of CRC-32 `start`."""
    return int(isal_zlib.crc32(data, start))


def crc32_combined(first: int, second: int, second_size: int) -> int:
    """Return the CRC-32 of two pieces behind one another from those of each."""
    return int(isal_zlib.crc32_combine(first, second, second_size))


def inflate(chunks: Iterable[bytes], *, has_header: bool = False) -> Iterator[bytes]:
    """Yield the content of one DEFLATE stream in pieces of at most PIECE_SIZE_MAX.

    Args:
        chunks: The stream's bytes.
        has_header: Whether it is zlib's (RFC 1950), with a header and a checksum, not a raw one.

    Raises:
        DeflateError: The stream is damaged, cut short, or followed by other bytes.
    """
    stream = isal_zlib.decompressobj(15 if has_header else -15)
    for chunk in chunks:
        if _is_ended(stream):
            raise DeflateError("bytes after the end of the compressed stream")
        yield from _inflated(stream, chunk)
    if not _is_ended(stream):
        raise DeflateError("the compressed stream is cut short")
    if stream.unused_data:
        raise DeflateError("bytes after the end of the compressed stream")


def inflate_segment(data: bytes, *, size: int, is_last: bool) -> Iterator[bytes]:
    """Yield the content of one segment in pieces.

    Raises:
        DeflateError: It does not hold exactly `size` bytes, or is not what `is_last` says.
    """
    stream = isal_zlib.decompressobj(-15)
    view = memoryview(data)
    count = 0
    for start in range(0, len(data), CHUNK_SIZE):
        for piece in _inflated(stream, view[start : start + CHUNK_SIZE]):
            count += len(piece)
            if count > size:
                raise DeflateError(f"a segment holds more than the {size} B its index says")
            yield piece
        if _is_ended(stream) and start + CHUNK_SIZE < len(data):
            raise DeflateError("bytes after the end of the compressed stream")
    if count != size or _is_ended(stream) != is_last or stream.unused_data:
        raise DeflateError(f"a segment does not hold the {size} B its index says")


def deflate_segment(content: bytes | memoryview, *, is_last: bool) -> Segment:
    """Compress one segment; all but the last end with a full flush and leave the stream open."""
    stream = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -15)
    body = stream.compress(content)
    end = stream.flush(isal_zlib.Z_FINISH if is_last else isal_zlib.Z_FULL_FLUSH)
    size = memoryview(content).nbytes
    return Segment(data=body + end, crc=isal_zlib.crc32(content), size=size)


def in_threads(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield work(item) in the order of the items, a few items ahead, in THREAD_COUNT threads."""
    if THREAD_COUNT == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(THREAD_COUNT, thread_name_prefix="smlmfmt") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > THREAD_COUNT + QUEUED_COUNT:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield the items, the next few of which are meanwhile made in a thread."""
    source = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="smlmfmt") as pool:
        waiting = deque(pool.submit(next, source, _END) for _ in range(AHEAD_COUNT))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(pool.submit(next, source, _END))
                yield cast("T", item)
        finally:
            for future in waiting:
                future.cancel()


def _inflated(stream: isal_zlib.Decompress, chunk: bytes | memoryview) -> Iterator[bytes]:
    data, is_full = chunk, True
    while (len(data) or is_full) and not _is_ended(stream):
        try:
            piece = stream.decompress(data, PIECE_SIZE_MAX)
        except ERROR as error:
            raise DeflateError(f"not a DEFLATE stream ({error})") from error
        if piece:
            yield piece
        data, is_full = stream.unconsumed_tail, len(piece) == PIECE_SIZE_MAX


def _is_ended(stream: isal_zlib.Decompress) -> bool:
    return stream.eof
