"""Numbers read many at once are the numbers float() reads."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smlmfmt.text_cells import Dialect, parse_block

COMMA = Dialect(delimiter=",")


def numbers(text: str, dialect: Dialect = COMMA, *, columns: int = 1) -> list[list[float]]:
    block = parse_block(text.encode(), dialect, columns=columns)
    assert not block.bad
    return block.values.tolist()  # type: ignore[no-any-return]


DECIMALS = st.one_of(
    st.from_regex(r"[+-]?[0-9]{1,20}(\.[0-9]{0,20})?", fullmatch=True),
    st.from_regex(r"[+-]?\.[0-9]{1,20}", fullmatch=True),
    st.from_regex(r"[+-]?[0-9]{1,3}(\.[0-9]{0,5})?[eE][+-]?[0-9]{1,3}", fullmatch=True),
    st.floats().map(repr),
    st.floats(width=32).map(str),
    st.integers(-(10**18), 10**18).map(str),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "nan", "inf", "+Infinity"]),
)


@given(st.lists(DECIMALS, min_size=1, max_size=30))
def test_every_number_is_rounded_as_float_does(cells: list[str]) -> None:
    found = parse_block(("\n".join(cells) + "\n").encode(), COMMA, columns=1)
    assert not found.bad
    wanted = np.array([float(cell) for cell in cells])
    assert found.values[:, 0].tobytes() == wanted.tobytes() or np.array_equal(
        found.values[:, 0], wanted, equal_nan=True
    )
    is_number = ~np.isnan(wanted)
    assert (np.signbit(found.values[:, 0]) == np.signbit(wanted))[is_number].all()


@given(st.integers(2**52, 2**53 - 1), st.integers(0, 6), st.integers(-1, 1))
def test_what_lies_half_way_between_two_floats_is_rounded_to_even(
    half: int, halvings: int, shift: int
) -> None:
    number = Decimal(2 * half + 1) / 2**halvings + shift * Decimal("1e-4")
    text = f"{number:f}"[:19]
    assert numbers(text + "\n") == [[float(text)]]


def test_the_longest_numbers_of_other_programs_are_exact() -> None:
    random = np.random.default_rng(5)
    values = np.concatenate([10.0 ** random.uniform(-3, 6, 20_000), 2.0 ** np.arange(-9, 60)])
    text = "".join(f"{value!r}\n{value:.17f}\n" for value in values.tolist())
    found = np.array(numbers(text))[:, 0]
    assert np.array_equal(found[::2], values)
    assert np.array_equal(found[1::2], [float(f"{value:.17f}") for value in values.tolist()])


@given(st.lists(st.text('0123456789.+-eE, \t_nfia"', max_size=12), min_size=1, max_size=8))
def test_a_cell_is_a_number_exactly_if_float_says_so(lines: list[str]) -> None:
    for line in lines:
        block = parse_block((line + "\n").encode(), COMMA, columns=1)
        bare = line.replace('"', "")
        try:
            wanted = float(bare) if "_" not in bare else None
        except ValueError:
            wanted = None
        if wanted is None:
            assert len(block.values) == 0
            assert len(block.bad) == bool(bare.strip())
        else:
            np.testing.assert_equal(block.values, [[wanted]])


@given(st.binary(max_size=200), st.sampled_from([",", "\t", ";", " "]), st.integers(1, 4))
def test_any_bytes_give_rows_or_bad_rows(data: bytes, delimiter: str, columns: int) -> None:
    dialect = Dialect(delimiter=delimiter, comment="#", missing_is_nan=True)
    block = parse_block(data + b"\n", dialect, columns=columns)
    assert block.values.shape[1] == columns
    assert len(block.values) + len(block.bad) <= block.lines


def test_rows_and_what_is_wrong_with_the_others() -> None:
    text = b"1,2\n3\n\n4,5,6\n7,x\n 8 , 9 \n"
    block = parse_block(text, COMMA, columns=2)
    assert block.values.tolist() == [[1, 2], [8, 9]]
    assert block.lines == 6
    assert [(bad.line, bad.content) for bad in block.bad] == [(1, "3"), (3, "4,5,6"), (4, "7,x")]


def test_comments_and_blank_lines_are_passed_over() -> None:
    dialect = Dialect(delimiter=",", comment="#")
    assert numbers("#a,b\n1,2\n\n  \n# x\n3,4\n", dialect, columns=2) == [[1, 2], [3, 4]]


def test_runs_of_blanks_set_apart() -> None:
    dialect = Dialect(delimiter=" ")
    assert numbers(" 1  2\t3 \n4 5 6\n", dialect, columns=3) == [[1, 2, 3], [4, 5, 6]]


def test_decimal_commas() -> None:
    assert numbers("1,5;2\n", Dialect(delimiter=";", decimal=","), columns=2) == [[1.5, 2]]


def test_quotes_and_windows_line_ends() -> None:
    assert numbers('"1","2.5"\r\n3,4\r\n', columns=2) == [[1, 2.5], [3, 4]]


@pytest.mark.parametrize("cell", ["", "NA", "null"])
def test_missing_cells(cell: str) -> None:
    lenient = Dialect(delimiter=",", missing_is_nan=True)
    assert math.isnan(numbers(f"1,{cell},3\n", lenient, columns=3)[0][1])
    assert parse_block(f"1,{cell},3\n".encode(), COMMA, columns=3).bad


@pytest.mark.parametrize(
    ("cell", "value"), [("1.#QNAN", math.nan), ("-1.#IND", math.nan), ("1.#INF", math.inf)]
)
def test_what_c_libraries_write(cell: str, value: float) -> None:
    np.testing.assert_equal(numbers(cell + "\n"), [[value]])


def test_no_digits_are_joined_over_blanks() -> None:
    assert parse_block(b"1 234,5\n", COMMA, columns=2).bad


def test_underscores_are_no_digits() -> None:
    assert parse_block(b"1_000,5\n", COMMA, columns=2).bad
