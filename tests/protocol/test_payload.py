import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.errors import LocalProtocolError, MalformedError, RemoteProtocolError, SizeLimitError
from protocol.payload import Fields, encode_json, parse_json

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-limits.INTEGER_MAX, limits.INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc", max_size=2), json_values, max_size=4))
def test_round_trip(value: dict[str, object]) -> None:
    assert parse_json(encode_json(value)) == value


@given(st.binary(max_size=100) | st.text('{}[]",:0123456789.eE-\\ud8aNInfity', max_size=60))
def test_any_bytes_give_an_object_or_our_error(data: bytes | str) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse_json(data if isinstance(data, bytes) else data.encode())


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        (b"", "not a JSON payload"),
        (b"[]", "want a JSON object"),
        (b"null", "want a JSON object"),
        (b'{"a":1}x', "Extra data"),
        (b"\xef\xbb\xbf{}", "not a JSON payload"),
        (b'{"a":"\xff"}', "utf-8"),
        ('{"a":1}'.encode("utf-16"), "not a JSON payload"),
        (b'{"a":1,"a":1}', "twice"),
        (b'{"b":[{"a":1,"\\u0061":2}]}', "twice"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":[-Infinity]}', "-Infinity is not JSON"),
        (b'{"a":1e400}', "too large"),
        (b'{"a":[[-1e400]]}', "too large"),
        (b'{"a":9007199254740993}', "beyond 2"),
        (b'{"a":{"b":-9007199254740993}}', "beyond 2"),
        (b'{"a":' + b"9" * 5000 + b"}", "not a JSON payload"),
        (b'{"a":"\\ud800"}', "surrogates"),
        (b'{"a":"\\uDFFF\\uD800"}', "surrogates"),
        (b'{"\\ud83d":1}', "surrogates"),
        (b'{"a":"\n"}', "control character"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "more than 16"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "."),
    ],
)
def test_what_some_parsers_forgive_is_malformed(payload: bytes, rule: str) -> None:
    with pytest.raises(MalformedError, match=rule):
        parse_json(payload)


def test_limits_are_included() -> None:
    assert parse_json(b'{"a":9007199254740992}') == {"a": 2**53}
    assert parse_json(b'{"a":"\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}
    deep = b'{"a":' * 15 + b"{}" + b"}" * 15
    assert encode_json(parse_json(deep)) == deep


def test_a_payload_over_the_limit_is_not_parsed() -> None:
    payload = b'{"a":"' + b"x" * limits.PAYLOAD_SIZE_MAX + b'"}'
    with pytest.raises(SizeLimitError, match="over the limit of 1048576"):
        parse_json(payload)


def test_our_json_is_deterministic() -> None:
    assert encode_json({"b": [1, 2.5, None], "a": "ä"}) == '{"a":"ä","b":[1,2.5,null]}'.encode()
    for value in (float("nan"), float("inf"), "\ud800"):
        with pytest.raises(LocalProtocolError):
            encode_json({"a": value})


@pytest.mark.parametrize(
    "text",
    ["\x00", "a\nb", "a\x7f", "a\u2028b", "a\u202eb", "a\u2066b", " ", "", "x" * 11],
)
def test_a_line_has_no_control_characters(text: str) -> None:
    with pytest.raises(MalformedError, match=r"people\[0\]\.name: want"):
        Fields({"name": text}, "people[0]").line("name", length_max=10)


@pytest.mark.parametrize(
    "text", ["a b", "\u03b1-tubulin", "a\u00a0b", "\u05d0\u05d1", "x" * 10, "\U0001f52c"]
)
def test_a_line_may_be_in_any_script(text: str) -> None:
    assert Fields({"name": text}).line("name", length_max=10) == text


@pytest.mark.parametrize("value", [True, "1", 1.0, -1, 11, None, 2**60])
def test_an_integer_is_one(value: object) -> None:
    fields = Fields(json.loads(json.dumps({"n": value})))
    with pytest.raises(MalformedError, match="n: want an integer from 0 to 10"):
        fields.integer("n", maximum=10)


@pytest.mark.parametrize("value", [True, "1", [], {}])
def test_a_number_is_one_or_null(value: object) -> None:
    with pytest.raises(MalformedError, match="n: want a number or null"):
        Fields({"n": value}).number_or_null("n")
    assert Fields({"n": 1}).number_or_null("n") == 1.0
    assert Fields({"n": None}).number_or_null("n") is None
    with pytest.raises(MalformedError):
        Fields({}).number_or_null("n")
