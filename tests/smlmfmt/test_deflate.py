from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smlmfmt import deflate


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(st.lists(st.binary(max_size=5000), min_size=1, max_size=6), st.integers(1, 400))
def test_segments_behind_one_another_are_one_plain_stream(parts: list[bytes], chunk: int) -> None:
    segments = [
        deflate.deflate_segment(part, is_last=index == len(parts) - 1)
        for index, part in enumerate(parts)
    ]
    stream = b"".join(segment.data for segment in segments)
    assert zlib.decompress(stream, -15) == b"".join(parts)
    assert b"".join(deflate.inflate(pieces(stream, chunk))) == b"".join(parts)
    crc = 0
    for segment in segments:
        crc = deflate.crc32_combined(crc, segment.crc, segment.size)
    assert crc == zlib.crc32(b"".join(parts))


def content(data: bytes, *, size: int, is_last: bool) -> bytes:
    return b"".join(deflate.inflate_segment(data, size=size, is_last=is_last))


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=4))
def test_segments_inflate_by_themselves(parts: list[bytes]) -> None:
    last = len(parts) - 1
    for index, part in enumerate(parts):
        data = deflate.deflate_segment(part, is_last=index == last).data
        assert content(data, size=len(part), is_last=index == last) == part
        for size in (len(part) - 1, len(part) + 1):
            with pytest.raises(deflate.DeflateError):
                content(data, size=size, is_last=index == last)
        with pytest.raises(deflate.DeflateError):
            content(data, size=len(part), is_last=index != last)


def test_large_segments_and_what_follows_them() -> None:
    raw = bytes(range(256)) * 40_000 + bytes(5 << 20)
    data = deflate.deflate_segment(raw, is_last=True).data
    assert content(data, size=len(raw), is_last=True) == raw
    with pytest.raises(deflate.DeflateError):
        content(data + bytes(deflate.CHUNK_SIZE), size=len(raw), is_last=True)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_inflate_or_raise(data: bytes, chunk: int) -> None:
    try:
        found = b"".join(deflate.inflate(pieces(data, chunk)))
    except deflate.DeflateError:
        return
    assert zlib.decompress(data, -15) == found


def test_streams_cut_short_or_followed() -> None:
    stream = deflate.deflate_segment(b"abc" * 100, is_last=True).data
    for broken in (stream[:-1], b"", stream + b"x", stream + b"x" * 200_000):
        with pytest.raises(deflate.DeflateError):
            list(deflate.inflate(pieces(broken, 1000)))


def test_pieces_are_bounded_whatever_the_ratio() -> None:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = stream.compress(bytes(20 << 20)) + stream.flush()
    sizes = [len(piece) for piece in deflate.inflate([data])]
    assert sum(sizes) == 20 << 20
    assert max(sizes) <= deflate.PIECE_SIZE_MAX


def test_threads_keep_the_order() -> None:
    assert list(deflate.in_threads(lambda item: item * 2, range(100))) == list(range(0, 200, 2))


def test_an_error_in_a_thread_arrives() -> None:
    def fail(item: int) -> int:
        if item == 3:
            raise deflate.DeflateError("three")
        return item

    found = deflate.in_threads(fail, range(100))
    assert [next(found), next(found), next(found)] == [0, 1, 2]
    with pytest.raises(deflate.DeflateError, match="three"):
        next(found)
