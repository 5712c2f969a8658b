"""Level 5 .mat files: those that SciPy writes, and those made to deceive."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from smlmfmt import matlab
from smlmfmt.errors import ArchiveError, FormatError, SizeLimitError
from smlmfmt.matlab import read_mat, variable_names

HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"

DTYPES = st.one_of(
    st.sampled_from(["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "c16"]).map(
        np.dtype
    ),
    arrays.boolean_dtypes(),
)
LEAVES = (
    arrays.arrays(DTYPES, arrays.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=4))
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=9)
)  # fmt: skip
NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9]{0,9}", fullmatch=True)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.dictionaries(NAMES, inner, min_size=1, max_size=3)
        | st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=5,
)


def saved(variables: dict[str, Any], *, compressed: bool = True) -> bytes:
    scipy_io = pytest.importorskip("scipy.io")
    cells = {name: _with_cells(value) for name, value in variables.items()}
    file = io.BytesIO()
    scipy_io.savemat(file, cells, do_compression=compressed)
    return file.getvalue()


def _with_cells(value: Any) -> Any:
    """Return a value as SciPy wants it: a cell array is an array of objects."""
    if isinstance(value, dict):
        return {name: _with_cells(item) for name, item in value.items()}
    if isinstance(value, list):
        cells = np.empty((1, len(value)), dtype=object)
        for index, item in enumerate(value):
            cells[0, index] = _with_cells(item)
        return cells
    return value


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, str):
        return bool(found == wanted)
    # MATLAB has no trailing dimensions of 1 beyond the second; an empty array is any empty one.
    shape = wanted.shape[:2] if wanted.shape[2:] == (1,) else wanted.shape
    equal = np.array_equal(found.reshape(shape), wanted.reshape(shape), equal_nan=True)
    return found.dtype == wanted.dtype and (equal or not wanted.size)


@settings(max_examples=200)
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=3), st.booleans())
def test_reads_what_scipy_writes(variables: dict[str, Any], is_compressed: bool) -> None:  # noqa: FBT001
    file = io.BytesIO(saved(variables, compressed=is_compressed))
    assert variable_names(file, name="a") == list(variables)
    found = read_mat(file, name="a")
    assert same(found, variables)
    first = next(iter(variables))
    assert read_mat(file, name="a", variables=(first,)).keys() == {first}
    assert read_mat(file, name="a", variables=()) == {}


def test_rows_of_text_and_arrays_of_structs() -> None:
    structs = np.array([(1.0, "a"), (2.0, "b")], [("n", object), ("t", object)])
    found = read_mat(
        io.BytesIO(saved({"text": np.array(["abc", "xyz"]), "structs": structs})), name="a"
    )
    assert found["text"] == ["abc", "xyz"]
    structs_found = found["structs"]
    assert isinstance(structs_found, list)
    assert [one["t"] for one in structs_found if isinstance(one, dict)] == ["a", "b"]


def element(kind: int, content: bytes, *, size: int | None = None) -> bytes:
    size = len(content) if size is None else size
    padding = b"" if kind == 15 else bytes(-len(content) % 8)
    return struct.pack("<II", kind, size) + content + padding


def matrix(
    kind: int = 6,
    shape: tuple[int, ...] = (1, 2),
    *parts: bytes,
    name: bytes = b"a",
    flags: int = 0,
) -> bytes:
    return element(
        14,
        element(6, struct.pack("<II", kind | flags, 0))
        + element(5, struct.pack(f"<{len(shape)}i", *shape))
        + element(1, name)
        + b"".join(parts),
    )


NUMBERS = element(9, struct.pack("<2d", 1, 2))
SMALL = struct.pack("<HHBBxx", 2, 2, 3, 4)


def read(body: bytes) -> Any:
    return read_mat(io.BytesIO(HEADER + body), name="a.mat").get("a")


def test_numbers_kept_small_and_in_small_elements() -> None:
    assert read(matrix(6, (1, 2), NUMBERS)).tolist() == [[1, 2]]
    found = read(matrix(6, (2, 1), SMALL))
    assert found.tolist() == [[3], [4]]
    assert found.dtype == np.float64


def test_what_is_not_read_is_none() -> None:
    for kind in (3, 5, 16, 17):
        assert read(matrix(kind, (1, 1), NUMBERS)) is None
    assert read(element(14, b"") + matrix(6, (1, 2), NUMBERS)) is not None


def nest(depth: int) -> bytes:
    body = element(14, b"")
    for _ in range(depth):
        body = matrix(1, (1, 1), body, name=b"")
    return matrix(1, (1, 1), body)


BAD = {
    "nothing": (b"", ArchiveError, "level 5"),
    "level 4": (bytes(200), ArchiveError, "level 5"),
    "no matrix": (HEADER + element(9, bytes(8)), ArchiveError, "no matrix at byte 128"),
    "cut": (HEADER + matrix(6, (1, 2), NUMBERS)[:-8], ArchiveError, "cut short"),
    "count": (HEADER + matrix(6, (1, 3), NUMBERS), ArchiveError, r"shape \(1, 3\)"),
    "huge": (HEADER + matrix(6, (2**31 - 1, 2**31 - 1), NUMBERS), ArchiveError, "2 numbers"),
    "negative": (HEADER + matrix(6, (-1, -2), NUMBERS), ArchiveError, "shape"),
    "flat": (HEADER + matrix(6, (2,), NUMBERS), ArchiveError, "dimensions"),
    "type": (HEADER + matrix(6, (1, 2), element(3, bytes(3))), ArchiveError, "numbers of type 3"),
    "cells": (HEADER + matrix(1, (2**31 - 1, 2**31 - 1), NUMBERS), ArchiveError, "no room"),
    "cell": (HEADER + matrix(1, (1, 1), NUMBERS), ArchiveError, "holds no matrix"),
    "text": (HEADER + matrix(4, (1, 2), NUMBERS), ArchiveError, "text of type 9"),
    "rows": (HEADER + matrix(4, (2**30, 1), element(16, b"ab")), SizeLimitError, "values"),
    "names": (HEADER + matrix(2, (1, 1), element(5, bytes(4)), element(1, b"x")), ArchiveError,
              "no length"),
    "deep": (HEADER + nest(40), SizeLimitError, "nested deeper"),
    "zlib": (HEADER + element(15, b"nonsense"), ArchiveError, "damaged"),
    "variables": (HEADER + element(14, b"") * 5000, SizeLimitError, "variables"),
    "compressed": (HEADER + element(15, zlib.compress(element(9, bytes(8)))), ArchiveError,
                   "no matrix"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_files_that_lie(name: str) -> None:
    data, kind, text = BAD[name]
    with pytest.raises(kind, match=text):
        read_mat(io.BytesIO(data), name="a.mat")


def test_memory_is_granted_by_the_size_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab, "RATIO_FREE_SIZE", 1 << 16)
    body = matrix(9, (1, 1 << 21), element(2, bytes(1 << 21)))
    bomb = HEADER + element(15, zlib.compress(body, 9))
    with pytest.raises(SizeLimitError, match="250 times"):
        read_mat(io.BytesIO(bomb), name="a")
    # Its name costs next to nothing.
    assert variable_names(io.BytesIO(bomb), name="a") == ["a"]


def test_too_many_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab, "MATRIX_COUNT_MAX", 100)
    with pytest.raises(SizeLimitError, match="100 values"):
        read(matrix(1, (1, 101), element(14, b"") * 101))


NAMES_OF_TWO = struct.pack("<HHi", 5, 4, 2) + element(1, b"x\0y\0")
SAMPLE = HEADER + matrix(
    2,
    (1, 1),
    NAMES_OF_TWO,
    matrix(6, (1, 2), NUMBERS, name=b""),
    matrix(4, (1, 2), element(16, b"ab"), name=b""),
)


@given(st.data())
def test_damage(data: st.DataObject) -> None:
    sample = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(126, len(sample) - 1))
        sample[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(sample)))
    try:
        read_mat(io.BytesIO(bytes(sample[: cut or None])), name="a")
    except FormatError:
        return
