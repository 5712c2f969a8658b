import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MalformedError
from protocol.varint import decode_varints, encode_varints, read_varint, varint_sizes

numbers = st.integers(0, 2**64 - 1) | st.sampled_from(
    [edge for digits in range(1, 10) for edge in (2 ** (7 * digits) - 1, 2 ** (7 * digits))]
)


def encode(values: list[int]) -> bytes:
    digits, written = encode_varints(np.array(values, np.uint64))
    return digits[written].tobytes()


@pytest.mark.parametrize(
    ("value", "data"),
    [(0, "00"), (127, "7f"), (128, "8100"), (16384, "818000"), (2**64 - 1, "81ffffffffffffffff7f")],
)
def test_known_numbers(value: int, data: str) -> None:
    assert encode([value]).hex() == data
    assert read_varint(bytes.fromhex(data), 0) == (value, len(data) // 2)


@given(st.lists(numbers, min_size=1))
def test_both_readers_read_what_was_written(values: list[int]) -> None:
    data = encode(values)
    starts, position = [], 0
    for value in values:
        starts.append(position)
        got, position = read_varint(data, position)
        assert got == value
    assert position == len(data)
    bulk, sizes = decode_varints(np.frombuffer(data, np.uint8), np.array(starts, np.intp))
    assert bulk.tolist() == values
    assert sizes.tolist() == varint_sizes(np.array(values, np.uint64)).tolist()


@pytest.mark.parametrize("data", ["8000", "8081", "82808080808080808000", "ff" * 9 + "7f" * 2])
def test_leading_zeros_and_more_than_64_bits_are_refused(data: str) -> None:
    with pytest.raises(MalformedError):
        read_varint(bytes.fromhex(data), 0)
    with pytest.raises(MalformedError):
        decode_varints(np.frombuffer(bytes.fromhex(data), np.uint8), np.zeros(1, np.intp))


@pytest.mark.parametrize("data", ["81", "ff" * 9, "ff" * 30])
def test_a_number_that_is_cut_off_is_refused(data: str) -> None:
    with pytest.raises((MalformedError, IndexError)):
        read_varint(bytes.fromhex(data), 0)
    with pytest.raises(MalformedError):
        decode_varints(np.frombuffer(bytes.fromhex(data), np.uint8), np.zeros(1, np.intp))
