"""What is read fast is what is read exactly, and what might not be is not read fast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smlmfmt
from smlmfmt import text
from smlmfmt.errors import FormatError
from smlmfmt.text_arrow import plain_numbers
from smlmfmt.text_cells import Dialect, parse_block
from smlmfmt.text_numbers import FAST_ROWS_MIN, format_column, format_rows

COMMA = Dialect(delimiter=",")
ODD = ["NaN", "nan", "-nan", "Infinity", "-inf", "inf", "1e400", "-1e400", "1e-400", "nan(1)",
       "0x10", "1_0", "NA", "null", "", "-", "None", "N/A", "N/A ", " NA", "1.#QNAN", "\x0b1",
       "\x0c1", "1\x1c", "\xa01", "+1", "1.", ".5", ".", "1,5", "1 2", '"1"', "1e", "#1", "--1",
       "5e-324", "2.2250738585072011e-308", "1.7976931348623159e308", "0e999999999999"]  # fmt: skip
CELLS = st.one_of(
    st.text('0123456789.+-eExXnNaAiIfFtTyY()_ \t"#,d', max_size=10),
    st.floats().map(repr),
    st.floats(width=32).map(str),
    st.from_regex(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.sampled_from(ODD),
)
LINES = st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=3)


def same_as_exact(data: bytes, dialect: Dialect, columns: int) -> bool:
    """Say whether a block is read fast; if so it must be what is read cell by cell."""
    found = plain_numbers(data, dialect, columns=columns)
    if found is None:
        return False
    exact = parse_block(data, dialect, columns=columns)
    assert not exact.bad
    values = np.array(found).T
    np.testing.assert_array_equal(values, exact.values)
    is_number = ~np.isnan(values)
    np.testing.assert_array_equal(
        np.signbit(values)[is_number], np.signbit(exact.values)[is_number]
    )
    return True


@settings(max_examples=1000, deadline=None)
@given(LINES, st.sampled_from(",;\t "), st.booleans(), st.sampled_from(".,"), st.integers(1, 3))
def test_what_is_read_fast_is_what_float_reads(
    lines: list[list[str]],
    delimiter: str,
    missing: bool,  # noqa: FBT001 - hypothesis passes it.
    decimal: str,
    columns: int,
) -> None:
    if decimal == delimiter:
        return
    data = ("\n".join(delimiter.join(cells) for cells in lines) + "\n").encode("latin-1")
    dialect = Dialect(delimiter=delimiter, missing_is_nan=missing, decimal=decimal)
    same_as_exact(data, dialect, columns)


@pytest.mark.parametrize(
    ("data", "dialect"),
    [
        (b"1,2.5\n-3e5,1e-7\n", COMMA),
        (b"1,NaN\n2,Infinity\n", COMMA),
        (b" 1 ,2\n\n3,4\n", COMMA),
        (b'"1","2"\n', COMMA),
        (b"1;2,5\n", Dialect(delimiter=";", decimal=",")),
        (b"1 2\n3 4\n", Dialect(delimiter=" ")),
        (b"1,\nNA,2\n", Dialect(delimiter=",", missing_is_nan=True)),
        (b"1,+2\n1e400,1e-400\n", COMMA),
        (b"0.1,123456789012345678901234567890\n", COMMA),
    ],
)
def test_ordinary_text_is_read_fast(data: bytes, dialect: Dialect) -> None:
    assert same_as_exact(data, dialect, 2)


@pytest.mark.parametrize(
    "data",
    [b"1,nan(2)\n", b"1,0x10\n", b"1,1_0\n", b"1,\n", b"1,2,3\n", b"1\n", b"1,x\n", b"# 1\n1,2\n",
     b"1,2\r3,4\n"],
)  # fmt: skip
def test_what_might_differ_is_left_to_the_exact_way(data: bytes) -> None:
    assert plain_numbers(data, COMMA, columns=2) is None


@given(st.lists(st.floats(width=64), min_size=2, max_size=20))
def test_every_float64_comes_back(values: list[float]) -> None:
    data = "".join(f"{value!r},{value:.17g}\n" for value in values).encode()
    found = plain_numbers(data, COMMA, columns=2)
    assert found is not None
    np.testing.assert_array_equal(found, [values, values])


def large(path: Path, *, odd: bytes = b"", at: int = 0) -> Path:
    """A table of more bytes than are read cell by cell, with an odd line in it."""
    rng = np.random.default_rng(3)
    lines = [b"%d,%.5f,%.5f" % (n, *xy) for n, xy in enumerate(rng.uniform(0, 4e4, (9000, 2)))]
    lines *= 60
    if odd:
        lines[at] = odd
    path.write_bytes(b'"frame","x [nm]","y [nm]"\n' + b"\n".join(lines) + b"\n")
    assert path.stat().st_size > text.FAST_SIZE_MIN
    return path


def test_a_bad_line_in_a_large_file_is_named(tmp_path: Path) -> None:
    path = large(tmp_path / "a.csv", odd=b"1,2,abc", at=500_000)
    with pytest.raises(FormatError, match=r"a\.csv: line 500002: .*1,2,abc"):
        smlmfmt.read(path)
    found = smlmfmt.read(path, on_error="skip")
    assert len(found.tables[0]) == 539_999
    assert "1 bad rows skipped" in found.warnings[0]


def test_an_odd_spelling_in_a_large_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = large(tmp_path / "a.csv", odd=b"+1,0.1,1.#QNAN", at=400_000)
    table = smlmfmt.read(path).tables[0]
    assert table["frame"][400_000] == 1
    assert np.isnan(table["y"][400_000])
    monkeypatch.setattr(text, "FAST_SIZE_MIN", 1 << 40)
    exact = smlmfmt.read(path).tables[0]
    for name in table.columns:
        np.testing.assert_array_equal(table[name], exact[name])


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.floats(width=32),
            st.integers(-(2**53), 2**53).map(float),
            st.sampled_from([0.0, -0.0, 1e-4, 9.9e-5, 1e10, 9999999999.0]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["f4", "f8", "i8"]),
)
def test_rows_are_written_fast_as_they_are_one_by_one(values: list[float], dtype: str) -> None:
    with np.errstate(all="ignore"):
        column = np.nan_to_num(np.array(values), posinf=1, neginf=1).astype(dtype)
    many = np.resize(column, FAST_ROWS_MIN)
    texts = format_column(column)
    wanted = [f"{text},{text}" for text in np.resize(np.array(texts), FAST_ROWS_MIN).tolist()]
    assert format_rows([many, many], delimiter=",").decode().splitlines() == wanted
