"""Text made to exhaust a reader: an answer soon, and in little memory."""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import pytest

import smlmfmt
from smlmfmt import FormatError

SIZE = 1 << 30
# Three blocks of a mebibyte are in flight, each of as many cells as it has bytes at worst.
MEMORY_MAX = 256 << 20
SECONDS_MAX = 20.0
ROW = b"1.5,2.5\n"


class Repeated(io.RawIOBase):
    """A file of a gigabyte that begins somehow and goes on with one pattern."""

    name = "hostile.csv"

    def __init__(self, head: bytes, pattern: bytes) -> None:
        self._head = head
        self._pattern = pattern * max(1, (1 << 16) // len(pattern))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: SIZE}[whence]
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        end = SIZE if size < 0 else min(SIZE, self._at + size)
        found = bytearray(self._head[self._at : end])
        while self._at + len(found) < end:
            phase = (self._at + len(found) - len(self._head)) % len(self._pattern)
            found += self._pattern[phase : phase + end - self._at - len(found)]
        self._at += len(found)
        return bytes(found)


HEADER = b'"x [nm]","y [nm]"\n'
FILES = {
    "one line": (b"", b"1"),
    "one line after the header": (HEADER, b"1"),
    "one line after rows": (HEADER + ROW * 10_000, b"7"),
    "a header without an end": (b"", b"# no table yet\n"),
    "a million columns": (b",".join(b"c%d" % n for n in range(1_000_000)), b"\n1"),
    "a million cells in a row": (HEADER + b"1," * 1_000_000, b"\n"),
    "nothing but zero bytes": (b"", b"\0"),
    "zero bytes after rows": (HEADER + ROW * 10, b"\0"),
    "one quote": (HEADER, b'"'),
    "a quote in the header": (b'"x [nm],y [nm]\n', b'1,2"'),
    "rows of quotes": (HEADER + ROW * 10_000 + b'"x\n', b'"\n'),
    "bad rows": (HEADER, b"no numbers here\n"),
    "delimiters": (HEADER, b",,,,,,,,,,,,,,,\n"),
}


def blocks(file: BinaryIO, *, format_name: str | None) -> int:
    return sum(len(block) for block in smlmfmt.iter_blocks(file, format=format_name))


def whole(file: BinaryIO, *, format_name: str | None) -> int:
    return sum(map(len, smlmfmt.read(file, format=format_name).tables))


@pytest.fixture(autouse=True)
def _limits() -> Iterator[None]:
    start = time.monotonic()
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_MAX
    assert time.monotonic() - start < SECONDS_MAX


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("format_name", [None, "thunderstorm"])
@pytest.mark.parametrize("attempt", [whole, blocks])
def test_a_gigabyte_of_nonsense(
    kind: str, format_name: str | None, attempt: Callable[..., int]
) -> None:
    file = cast("BinaryIO", Repeated(*FILES[kind]))
    if kind == "zero bytes after rows":
        assert attempt(file, format_name=format_name) == 10
        return
    with pytest.raises(FormatError) as caught:
        attempt(file, format_name=format_name)
    assert "hostile.csv" in str(caught.value)
    assert len(str(caught.value)) < 5000


def test_a_gigabyte_of_rows_is_taken_in_blocks() -> None:
    file = cast("BinaryIO", Repeated(HEADER, ROW))
    found = smlmfmt.iter_blocks(file, rows=200_000)
    for _, block in zip(range(8), found, strict=False):
        assert len(block) == 200_000
    found.close()  # type: ignore[attr-defined]
