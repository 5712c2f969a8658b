"""Whole numbers in as many bytes as they need: base 128, most significant digit first.

Every byte but the last has its high bit set; there are no leading zero digits. So 0 is `00`,
127 is `7f`, 128 is `8100`. One number at a time when reading, whole arrays when writing.

Source: Negentropy protocol v1, section "Varint".
"""

import numpy as np
from numpy.typing import NDArray

from protocol.errors import MalformedError

UINT64_MAX = 2**64 - 1
VARINT_SIZE_MAX = 10  # 64 bits, seven in a byte.

# The smallest number of 2, 3, ... 10 digits.
_STEPS = np.array([1 << (7 * digits) for digits in range(1, VARINT_SIZE_MAX)], np.uint64)
_SHIFTS = np.array([7 * digit for digit in reversed(range(VARINT_SIZE_MAX))], np.uint64)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number that starts at `position`, and the position behind it.

    Raises:
        MalformedError: Leading zero digits, or more than 64 bits.
        IndexError: The data ends inside the number.
    """
    byte = data[position]
    position += 1
    if byte < 0x80:
        return byte, position
    if byte == 0x80:
        raise MalformedError(f"number at byte {position - 1} has leading zero digits")
    value = byte & 0x7F
    while byte >= 0x80:
        byte = data[position]
        position += 1
        value = value << 7 | byte & 0x7F
        if value > UINT64_MAX:
            raise MalformedError(f"number before byte {position} needs more than 64 bits")
    return value, position


def decode_varints(
    data: NDArray[np.uint8], starts: NDArray[np.intp]
) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """Read many numbers at once.

    Args:
        data: The bytes they lie in: uint8, (size,).
        starts: Where each begins: (n,).

    Returns:
        The numbers and how many bytes each takes: both (n,).

    Raises:
        MalformedError: Leading zero digits, more than 64 bits, or the data end inside a number.
    """
    values = np.zeros(len(starts), np.uint64)
    sizes = np.zeros(len(starts), np.intp)
    rows = np.arange(len(starts))
    # What lies behind the data reads as its last byte, and is found out at the end.
    last = len(data) - 1
    for index in range(VARINT_SIZE_MAX):
        digits = data[np.minimum(starts[rows] + index, last)]
        values[rows] = values[rows] << np.uint64(7) | (digits & np.uint8(0x7F))
        is_last = digits < 0x80
        sizes[rows[is_last]] = index + 1
        rows = rows[~is_last]
        if not len(rows):
            break
    first = data[starts]
    broken = (sizes == 0) | (starts + sizes > len(data)) | (first == 0x80)
    broken |= (sizes == VARINT_SIZE_MAX) & (first > 0x81)
    if broken.any():
        start = int(starts[broken.argmax()])
        raise MalformedError(f"number at byte {start} is cut off, over 64 bits or zero-led")
    return values, sizes


def varint_sizes(values: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return how many bytes each number takes: shape (n,)."""
    return np.searchsorted(_STEPS, values, side="right") + 1


def encode_varints(values: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Write many numbers at once, each in a row of its own.

    Returns:
        The digits, aligned to the right, and which of them are written: both (n, width), with
        the width of the longest number. `digits[written]` is all of them, one after another.
    """
    sizes = varint_sizes(values)
    width = int(sizes.max(initial=1))
    digits = (values[:, np.newaxis] >> _SHIFTS[-width:] & np.uint64(0x7F)).astype(np.uint8)
    digits[:, :-1] |= 0x80
    written = np.arange(width) >= width - sizes[:, np.newaxis]
    return digits, written
