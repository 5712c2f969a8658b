from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from smlmfmt.errors import ArchiveError, FormatError, HeaderError, SizeLimitError
from smlmfmt.npy import parse_npy
from tests.smlmfmt.recordings import npy

DTYPES = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(),
    arrays.unsigned_integer_dtypes(),
    arrays.floating_dtypes(sizes=(16, 32, 64)),
    arrays.array_dtypes(arrays.floating_dtypes(sizes=(32, 64)), allow_subarrays=True, max_size=3),
)


@given(
    arrays.arrays(DTYPES, arrays.array_shapes(min_side=0, max_side=4)),
    st.sampled_from("CF"),
    st.sampled_from([None, (3, 0)]),
)
def test_reads_what_numpy_writes(
    array: np.ndarray[Any, Any], order: str, version: tuple[int, int] | None
) -> None:
    if order == "F":
        array = np.asfortranarray(array)
    found = parse_npy(npy(array, version=version), name="a")
    assert found.dtype == array.dtype
    if array.size:
        assert found.tobytes() == array.tobytes()
        assert found.shape == array.shape
    assert not found.size or found.size == array.size


def header(text: str, *, size: int | None = None) -> bytes:
    raw = text.encode()
    return b"\x93NUMPY\x01\x00" + (len(raw) if size is None else size).to_bytes(2, "little") + raw


def described(descr: str = "'<f8'", shape: str = "(1,)", order: str = "False") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", HeaderError), (b"\x93NUMPY\x04\x00" + bytes(20), HeaderError),
        (header("{}      ", size=400), ArchiveError),
        (header("{}      ", size=40_000), SizeLimitError),
        (header("[1]        "), HeaderError), (header("open('a')   "), HeaderError),
        (header("{'descr': 1, 'shape': (1,)} "), HeaderError), (described("'|O'"), HeaderError),
        (described("[('a', '|O')]"), HeaderError), (described("'<f8', 'x': 2**9"), HeaderError),
        (described(shape="(-1,)"), HeaderError), (described(shape="(9" + "9" * 30 + ",)"),
         HeaderError), (described(shape="(True,)"), HeaderError),
        (described(shape="3"), HeaderError),
        (described(order="0"), HeaderError), (described("'V0'"), HeaderError),
        (described("[]"), HeaderError),
        (described("None"), HeaderError), (described("[('a', '<f8', (1000000000000,))]"),
         HeaderError), (described("[('a', '<f8', (-3,))]"), HeaderError),
        (described(shape="(" * 20 + ")" * 20), SizeLimitError), (described(), ArchiveError),
        (described(shape="(" + "1," * 40 + ")"), HeaderError),
        (described(shape="(999999999999999999, 999999999999999999)"), ArchiveError),
        (described(shape="(0, 999999999999999999)"), None),
    ],
)  # fmt: skip
def test_headers_that_lie(data: bytes, kind: type[FormatError] | None) -> None:
    if kind is None:
        assert not parse_npy(data, name="a.npy").size
        return
    with pytest.raises(kind, match=r"a\.npy"):
        parse_npy(data, name="a.npy")


@pytest.mark.parametrize("text", ["1" * 15_000, "[" * 15_000, "'" * 15_001, "-" * 15_000,
                                  "(1,)" * 3_700, "not " * 3_700, "{'a':" * 3_000])  # fmt: skip
def test_headers_made_to_be_slow(text: str) -> None:
    start = time.process_time()
    with pytest.raises(FormatError):
        parse_npy(described(shape=text), name="a")
    assert time.process_time() - start < 1


@given(st.text(alphabet="{}[]()'\",:0123456789<fi|OTrueFalsNon\\ -+*\n", max_size=200))
def test_any_header(text: str) -> None:
    try:
        parse_npy(header(text) + bytes(64), name="a")
    except FormatError:
        return


def test_pickles_are_never_opened() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("a pickle was opened",))

    file = io.BytesIO()
    np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(HeaderError, match="objects"):
        parse_npy(file.getvalue(), name="a")
