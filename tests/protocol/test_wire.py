import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MalformedError, RemoteProtocolError, SizeLimitError
from protocol.wire import ObjectStream, pack, unpack

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.binary() | st.text("abcäλ"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_round_trip(value: object) -> None:
    assert unpack(pack(value), size_max=1 << 16) == value


@given(st.binary(max_size=200))
def test_random_bytes_give_a_value_or_our_error(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        unpack(data, size_max=200)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",  # Never used.
        b"\x01\x02",  # Two values.
        b"\x82\xa1a\x01\xa1a\x02",  # A key twice.
        b"\x81\x01\x02",  # A key that is a number.
        b"\x81\xc4\x01a\x02",  # A key that is bytes.
        b"\xa2\xff\xff",  # Not UTF-8.
        b"\xd4\x05\x00",  # An extension type.
        b"\xdd\xff\xff\xff\xff",  # An array of 4294967295 items, without them.
        b"\x91" * 5000 + b"\x00",  # Deep.
        b"\x92\x01",
    ],
)
def test_what_is_not_plain_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        unpack(data, size_max=10_000)


def test_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(SizeLimitError, match="101 bytes is over the limit of 100"):
        unpack(b"\xc1" * 101, size_max=100)


@given(st.lists(values, max_size=4), st.integers(1, 20))
def test_a_stream_in_any_pieces_gives_the_same_values(items: list[object], step: int) -> None:
    data = b"".join(pack(item) for item in items)
    stream = ObjectStream(size_max=1 << 16)
    found: list[object] = []
    for start in range(0, len(data), step):
        found += stream.feed(data[start : start + step])
    stream.close()
    assert found == items


@given(st.binary(max_size=100), st.integers(1, 20))
def test_a_random_stream_gives_values_or_our_error(data: bytes, step: int) -> None:
    stream = ObjectStream(size_max=50)
    try:
        for start in range(0, len(data), step):
            stream.feed(data[start : start + step])
        stream.close()
    except RemoteProtocolError:
        pass


def test_a_stream_that_ends_inside_a_value_says_so() -> None:
    stream = ObjectStream(size_max=100)
    assert stream.feed(pack("abc") + pack("defg")[:-1]) == ["abc"]
    with pytest.raises(MalformedError, match="4 bytes into it"):
        stream.close()


def test_a_value_over_the_limit_is_refused_even_when_it_never_ends() -> None:
    with pytest.raises(SizeLimitError):
        ObjectStream(size_max=100).feed(pack(b"x" * 200))
    stream = ObjectStream(size_max=100)
    assert stream.feed(b"\xc6\x00\x00\xff\xff" + b"x" * 95) == []
    with pytest.raises(SizeLimitError, match="101 bytes"):
        stream.feed(b"x")
