"""Notes in YAML and JSON from strangers: plain values, in little time and memory."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smlmfmt.documents import json_documents, plain, yaml_documents
from smlmfmt.errors import FormatError, SizeLimitError


def test_documents_are_the_mappings() -> None:
    text = b"\xef\xbb\xbfa: 1\n---\n- 2\n---\nb: [x, null, .nan, 1.5]\n3: y\n"
    assert yaml_documents(text, name="a") == [{"a": 1}, {"b": ["x", None, None, 1.5], "3": "y"}]
    assert json_documents('[{"a": NaN}, 3]', name="a") == [{"a": None}]
    assert json_documents('{"a": 1}', name="a") == [{"a": 1}]


def test_python_objects_are_what_they_are_made_of() -> None:
    text = (
        "a: !!python/tuple [1, 2]\nb: !!python/object/apply:os.system ['exit 1']\n"
        "c: !!python/object/new:x.Y {d: 1}\ne: !!python/name:os.system ''\n"
    )
    found = {"a": [1, 2], "b": ["exit 1"], "c": {"d": 1}, "e": ""}
    assert yaml_documents(text.encode(), name="a") == [found]


BOMB = "a0: &a0 {k: v}\n" + "".join(
    f"a{step}: &a{step} [*a{step - 1}, *a{step - 1}]\n" for step in range(1, 40)
)
MERGE = "a0: &a0 {k: v}\n" + "".join(
    f"a{step}: &a{step} {{<<: [*a{step - 1}, *a{step - 1}]}}\n" for step in range(1, 40)
)


@pytest.mark.parametrize(
    "text",
    [BOMB, MERGE, "a: &a [*a]\n", "[" * 100_000, "{a: " * 100_000, "- " * 100_000,
     "a: " + "1:" * 400_000 + "1", "a: " + "1" * 900_000, "a: 1e" + "9" * 1000, "? " * 100_000],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_small_texts_that_would_grow(text: str) -> None:
    start = time.process_time()
    with contextlib.suppress(FormatError):
        json.dumps(yaml_documents(text.encode(), name="a"), allow_nan=False)
    assert time.process_time() - start < 20


def test_what_is_too_large() -> None:
    with pytest.raises(SizeLimitError, match=r"a: .* B of YAML"):
        yaml_documents(bytes(2 << 20), name="a")
    with pytest.raises(SizeLimitError, match="a: nested"):
        yaml_documents(BOMB.encode(), name="a")
    with pytest.raises(SizeLimitError, match="a: nested"):
        json_documents("[" * 40 + "]" * 40, name="a")


@given(st.text() | st.text(alphabet="-:[]{}&*!<>|?'\"# \n,a1"))
def test_any_text(text: str) -> None:
    with contextlib.suppress(FormatError):
        json.dumps(yaml_documents(text.encode(), name="a"), allow_nan=False)
    with contextlib.suppress(FormatError):
        json.dumps(json_documents(text, name="a"), allow_nan=False)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_any_value_becomes_plain(value: object) -> None:
    json.dumps(plain(value), allow_nan=False).encode()
