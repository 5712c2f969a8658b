"""Decimal numbers in delimited text to float64, many at once, each exactly as float() reads it.

Theory of operation: one pass finds every delimiter, line end and decimal point of a block. The
digits before and behind the point of all cells are then gathered eight bytes at a time as 64-bit
words and turned into integers by three multiplications each. A number of up to 2^53 without its
point, divided by a power of ten of up to 10^22, is rounded once and therefore right. One of up to
18 digits is divided with the remainder taken along, which shows whether the quotient is rounded
right. Any other cell (more digits, exponents, NaN, Infinity) goes through float() by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["MISSING", "SPECIAL", "BadRow", "Block", "Dialect", "normalised", "parse_block"]

# So many bad lines of a block are described, lest a file of nothing else fill the memory.
BAD_MAX = 100

_NEWLINE = 0x0A
_DIGITS_MAX = 18
_EXACT_MAX = 1 << 53
_CONTENT_SIZE_MAX = 200
_BLANKS_MAX = 16
_FRONT = b"\n" * 24
_BACK = b"\n" * 8
_POWERS = np.array([10**exponent for exponent in range(20)], np.uint64)
_FLOAT_POWERS = np.array([10.0**exponent for exponent in range(20)])
# Of a little-endian word whose last d bytes are digits: the bytes that count.
_MASKS = np.array(
    [(0xFFFFFFFFFFFFFFFF << (8 * (8 - digits))) & 0xFFFFFFFFFFFFFFFF for digits in range(9)],
    np.uint64,
)
_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_HIGH_BITS = np.uint64(0x8080808080808080)
_EVEN_BYTES = np.uint64(0x000000FF000000FF)
_LOW_BITS = np.uint64(0x7FF)
_SPLITTER = float((1 << 27) + 1)
# Half a unit in the last place, less far more than the error of a divided remainder.
_HALF_UNIT = 0.5 * (1 - 2.0**-30)
# What C libraries and tables of other languages write for "no number".
SPECIAL = dict.fromkeys((b"1.#QNAN", b"-1.#IND", b"1.#IND", b"1.#NAN"), float("nan"))
SPECIAL |= {b"1.#INF": float("inf"), b"-1.#INF": float("-inf")}
# What stands for a number that is not there, where that is allowed.
MISSING = frozenset((b"", b"NA", b"N/A", b"null", b"None", b"-"))

Words = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How the cells of a text are set apart.

    Attributes:
        delimiter: One character; " " stands for any run of blanks and tabs.
        comment: Lines that begin with it are passed over; "" for none.
        decimal: "." or ",".
        missing_is_nan: Whether an empty cell (or NA, null) is NaN rather than an error.
        text_columns: Indices of columns of text; their values are numbers of the block's texts.
    """

    delimiter: str
    comment: str = ""
    decimal: str = "."
    missing_is_nan: bool = False
    text_columns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that is no row: its index in the block, its text, and what is wrong."""

    line: int
    content: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The rows of a block: values (rows, columns), lines in all, and the lines that are no rows.

    `bad` are the first of them, at most BAD_MAX; `bad_count` says how many there are. `texts` are
    the different texts of each column of text, by column index.
    """

    values: npt.NDArray[np.float64]
    lines: int
    bad: list[BadRow]
    bad_count: int = 0
    texts: dict[int, list[str]] = field(default_factory=dict)


def parse_block(data: bytes, dialect: Dialect, *, columns: int) -> Block:
    """Return the numbers of whole lines.

    Args:
        data: Lines, each ended by a line feed.
        dialect: How they are written.
        columns: Cells in a row.
    """
    cells = _Cells(normalised(data, dialect), dialect)
    is_row = cells.counts == columns
    bad: list[BadRow] = []
    bad_count = 0
    if not is_row.all():
        bad, bad_count = cells.describe(np.flatnonzero(~is_row), f"want {columns} values")
        cells.keep(is_row)
    values, failed = cells.numbers()
    table = values.reshape(-1, columns)
    texts = {}
    for column in dialect.text_columns:
        table[:, column], texts[column] = cells.texts(column, columns)
        failed = failed[failed % columns != column]
    if len(failed):
        broken = np.unique(failed // columns)
        more, count = cells.describe(cells.lines[broken], "not all values are numbers")
        bad, bad_count = bad + more, bad_count + count
        table = np.delete(table, broken, axis=0)
    bad.sort(key=lambda row: row.line)
    lines = len(cells.counts)
    return Block(values=table, lines=lines, bad=bad[:BAD_MAX], bad_count=bad_count, texts=texts)


def normalised(data: bytes, dialect: Dialect) -> bytes:
    """Return lines without quotes, with "." before decimals, and blanks for tabs among blanks."""
    if b'"' in data:
        data = data.replace(b'"', b"")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if dialect.decimal == ",":
        data = data.replace(b",", b".")
    if dialect.delimiter == " " and b"\t" in data:
        data = data.replace(b"\t", b" ")
    return data


class _Cells:
    """Where the cells of a block are: [starts, ends), their decimal points, and their lines."""

    def __init__(self, data: bytes, dialect: Dialect) -> None:
        self._data = _FRONT + data + _BACK
        self._dialect = dialect
        self._bytes = np.frombuffer(self._data, np.uint8)
        # The eight bytes from every position on, as one word each; overlapping, not aligned.
        self._words: Words = np.ndarray(
            (len(self._data) - 7,), np.dtype("<u8"), self._data, strides=(1,)
        )
        self._find(len(_FRONT), len(_FRONT) + len(data))
        self.lines = np.arange(len(self.counts))

    def _find(self, start: int, end: int) -> None:
        block = self._bytes[start:end]
        is_mark = block == _NEWLINE
        is_mark |= block == ord(self._dialect.delimiter)
        is_mark |= block == ord(".")
        marks = np.flatnonzero(is_mark)
        marks += start
        kinds = self._bytes[marks]
        stops = np.flatnonzero(kinds != ord("."))
        self._ends = marks[stops]
        self._starts = np.empty_like(self._ends)
        self._starts[0] = start
        np.add(self._ends[:-1], 1, out=self._starts[1:])
        self._points = np.diff(stops, prepend=-1) - 1
        self._point_at = np.where(self._points > 0, marks[stops - 1], self._ends)
        line_ends = np.flatnonzero(kinds[stops] == _NEWLINE)
        self._line_feeds = self._ends[line_ends]
        if self._dialect.delimiter == " ":
            is_cell = self._ends > self._starts
            self.counts = np.diff(np.cumsum(is_cell)[line_ends], prepend=0)
            self._take(is_cell)
        else:
            self.counts = np.diff(line_ends, prepend=-1)

    def _take(self, mask: npt.NDArray[np.bool_]) -> None:
        self._starts, self._ends = self._starts[mask], self._ends[mask]
        self._points, self._point_at = self._points[mask], self._point_at[mask]

    def keep(self, is_row: npt.NDArray[np.bool_]) -> None:
        """Keep the cells of some lines only."""
        self._take(np.repeat(is_row, self.counts))
        self.lines = np.flatnonzero(is_row)

    def describe(self, lines: Positions, problem: str) -> tuple[list[BadRow], int]:
        """Return the first lines that are no rows, without blank ones and comments, and a count."""
        bad: list[BadRow] = []
        count = 0
        starts = np.concatenate(([len(_FRONT)], self._line_feeds[:-1] + 1))
        lines = lines[self._line_feeds[lines] > starts[lines]]
        ends = self._line_feeds[lines].tolist()
        for line, start, end in zip(lines.tolist(), starts[lines].tolist(), ends, strict=True):
            content = self._data[start:end].strip()
            comment = self._dialect.comment.encode()
            if content and not (comment and content.startswith(comment)):
                count += 1
                if len(bad) < BAD_MAX:
                    text = content[:_CONTENT_SIZE_MAX].decode("latin-1")
                    bad.append(BadRow(line, text, problem))
        return bad, count

    def numbers(self) -> tuple[npt.NDArray[np.float64], Positions]:
        """Return all cells as numbers, and the indices of those that are none."""
        self._strip()
        first = self._bytes[self._starts]
        is_negative = first == ord("-")
        starts = self._starts + (is_negative | (first == ord("+")))
        whole = self._point_at - starts
        tenths = np.maximum(self._ends - self._point_at - 1, 0)
        is_plain = (whole >= 0) & (self._points <= 1)
        is_plain &= (whole + tenths > 0) & (whole + tenths <= _DIGITS_MAX)
        whole = np.where(is_plain, whole, 0)
        tenths = np.where(is_plain, tenths, 0)
        mantissa, invalid = self._digits(self._point_at, whole)
        fraction, invalid_too = self._digits(self._ends, tenths)
        mantissa *= _POWERS[tenths]
        mantissa += fraction
        is_plain &= (invalid | invalid_too) == 0
        values = mantissa.astype(np.float64)
        values /= _FLOAT_POWERS[tenths]
        long = np.flatnonzero(is_plain & (mantissa > _EXACT_MAX))
        values[long], is_plain[long] = _divided(mantissa[long], _FLOAT_POWERS[tenths[long]])
        np.negative(values, out=values, where=is_negative)
        return values, self._one_by_one(values, np.flatnonzero(~is_plain))

    def texts(self, column: int, columns: int) -> tuple[Positions, list[str]]:
        """Return which text each cell of a column is, and the different texts."""
        known: dict[bytes, int] = {}
        starts = self._starts[column::columns].tolist()
        ends = self._ends[column::columns].tolist()
        indices = [
            known.setdefault(self._data[start:end], len(known))
            for start, end in zip(starts, ends, strict=True)
        ]
        return np.array(indices, np.int64), [_decoded(text) for text in known]

    def _strip(self) -> None:
        """Leave out blanks around the cells."""
        if self._dialect.delimiter == " " or b" " not in self._data:
            return
        for _ in range(_BLANKS_MAX):
            is_blank = (self._bytes[self._starts] == ord(" ")) & (self._starts < self._ends)
            if not is_blank.any():
                break
            self._starts += is_blank
        for _ in range(_BLANKS_MAX):
            is_blank = (self._bytes[self._ends - 1] == ord(" ")) & (self._starts < self._ends)
            if not is_blank.any():
                break
            self._point_at -= is_blank & (self._point_at == self._ends)
            self._ends -= is_blank

    def _digits(self, ends: Positions, counts: Positions) -> tuple[Words, Words]:
        """Return the integers of up to 18 digits before `ends`, and nonzero where not digits."""
        low, invalid = self._eight_digits(ends, np.minimum(counts, 8))
        for done in (8, 16):
            long = np.flatnonzero(counts > done)
            if not len(long):
                break
            count = np.minimum(counts[long] - done, 8)
            high, invalid_high = self._eight_digits(ends[long] - done, count)
            low[long] += high * _POWERS[done]
            invalid[long] |= invalid_high
        return low, invalid

    def _eight_digits(self, ends: Positions, counts: Positions) -> tuple[Words, Words]:
        words = self._words[ends - 8]
        words ^= _ZEROS
        words &= _MASKS[counts]
        invalid = words + _ABOVE_NINE
        invalid |= words
        invalid &= _HIGH_BITS
        # Pairs of digits, then four, then eight; the first digit is in the lowest byte.
        words = words * np.uint64(10) + (words >> np.uint64(8))
        high = (words >> np.uint64(16)) & _EVEN_BYTES
        words &= _EVEN_BYTES
        words *= np.uint64(0x000F424000000064)
        high *= np.uint64(0x0000271000000001)
        words += high
        words >>= np.uint64(32)
        return words, invalid

    def _one_by_one(self, values: npt.NDArray[np.float64], cells: Positions) -> Positions:
        """Read the other cells as float() does; return those that are no numbers."""
        failed = []
        starts, ends = self._starts[cells].tolist(), self._ends[cells].tolist()
        for cell, start, end in zip(cells.tolist(), starts, ends, strict=True):
            text = self._data[start:end]
            try:
                values[cell] = float(text)
                is_number = b"_" not in text  # Python takes 1_000; no microscope means that.
            except ValueError:
                value = self._special(text.strip())
                is_number = value is not None
                values[cell] = math.nan if value is None else value
            if not is_number:
                failed.append(cell)
        return np.array(failed, np.int64)

    def _special(self, text: bytes) -> float | None:
        if self._dialect.missing_is_nan and text in MISSING:
            return float("nan")
        return SPECIAL.get(text)


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _divided(
    mantissa: Words, power: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return mantissa / power, and where that is certain to be the nearest float64.

    The quotient of the leading 49 bits leaves an exact remainder; what this and the other bits add
    to the quotient is known to 90 bits. Only a sum that lies as good as half-way between two
    float64 values, or on a power of two, could be rounded wrong.
    """
    low = (mantissa & _LOW_BITS).astype(np.float64)
    high = (mantissa & ~_LOW_BITS).astype(np.float64)
    quotient = high / power
    product, error = _product(quotient, power)
    rest = ((high - product) - error + low) / power
    value = quotient + rest
    lost = rest - (value - quotient)
    is_certain = np.abs(lost) < _HALF_UNIT * np.spacing(value)
    return value, is_certain & (np.frexp(value)[0] != 0.5)


def _product(
    one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the product of floats and its rounding error, exactly.

    Source:
        T. J. Dekker, "A floating-point technique for extending the available precision", 1971.
    """
    product = one * other
    (high, low), (other_high, other_low) = _halves(one), _halves(other)
    error = low * other_low - (
        ((product - high * other_high) - low * other_high) - high * other_low
    )
    return product, error


def _halves(
    values: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    scaled = _SPLITTER * values
    high = scaled - (scaled - values)
    return high, values - high
