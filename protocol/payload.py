"""Strict JSON: what a payload may hold, and fields read from it with an error that names them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import NoReturn, Protocol, Self

from protocol import limits
from protocol.errors import LocalProtocolError, MalformedError, RemoteProtocolError, SizeLimitError
from protocol.identity import DigestHex

__all__ = [
    "Fields",
    "encode_json",
    "encode_record",
    "has_control_characters",
    "is_prose",
    "open_record",
    "parse_json",
    "plain",
]

_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_NOT_IN_LINE = re.compile("[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NOT_IN_PROSE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DIGEST = re.compile("[0-9a-f]{64}")
_MOST = limits.INTEGER_MAX


def parse_json(payload: bytes, *, size_max: int = limits.PAYLOAD_SIZE_MAX) -> dict[str, object]:
    """Return the one JSON object that the bytes hold.

    Raises:
        SizeLimitError: More than `size_max` bytes.
        MalformedError: Not UTF-8 JSON, not an object, a key twice, NaN or infinity, an integer
            beyond 2^53, a lone surrogate, or arrays and objects too deep inside one another.
    """
    if len(payload) > size_max:
        raise SizeLimitError(f"a payload of {len(payload)} bytes is over the limit of {size_max}")
    try:
        value = _DECODER.decode(payload.decode())
        if _SURROGATE_ESCAPE.search(payload):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not a JSON payload: {str(error)[:200]}") from None
    if type(value) is not dict:
        raise MalformedError(f"want a JSON object, got {type(value).__name__}")
    _check_values(value)
    return value


def encode_json(value: object) -> bytes:
    """Return our deterministic JSON: sorted keys, no spaces, UTF-8. Nobody may rely on the order.

    Raises:
        LocalProtocolError: The value holds NaN, an infinity or a lone surrogate.
    """
    try:
        text = json.dumps(
            value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        )
        return text.encode()
    except ValueError as error:
        raise LocalProtocolError(f"no JSON for this: {error}") from None


def plain(value: object) -> object:
    """Return a dataclass as JSON values; a field that equals its default is left out."""
    if is_dataclass(value) and not isinstance(value, type):
        items = [(field, getattr(value, field.name)) for field in fields(value)]
        return {
            field.name: plain(item)
            for field, item in items
            if field.default is MISSING or item != field.default
        }
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def has_control_characters(text: str) -> bool:
    """Say whether a text is not fit for one line: control, line or direction characters."""
    return _NOT_IN_LINE.search(text) is not None


def is_prose(text: str) -> bool:
    """Say whether a text of many lines is free of control characters that no text needs."""
    # The first two answer for nearly all texts, ten times faster than the rule itself.
    return (
        text.isprintable()
        or text.replace("\n", "").isprintable()
        or _NOT_IN_PROSE.search(text) is None
    )


class Fields:
    """The fields of one JSON object; every error names the field from the payload's root."""

    __slots__ = ("_object", "path")

    def __init__(self, value: object, path: str = "") -> None:
        self.path = path
        if type(value) is not dict:
            raise MalformedError(f"{path or 'payload'}: want an object")
        self._object: dict[str, object] = value

    def fail(self, name: str, rule: str) -> NoReturn:
        """Raise MalformedError for a field."""
        where = f"{self.path}.{name}" if self.path else name
        value = self._object.get(name, "nothing")
        raise MalformedError(f"{where}: want {rule}, got {str(value)[:80]!r}")

    def has(self, name: str) -> bool:
        """Say whether the field is there."""
        return name in self._object

    def is_null(self, name: str) -> bool:
        """Say whether the field is null or absent."""
        return self._object.get(name) is None

    def line(self, name: str, *, length_max: int, optional: bool = False) -> str:
        """Return one line of text without control characters; absent and optional is ""."""
        value = self._object.get(name, "" if optional else None)
        if type(value) is not str or len(value) > length_max:
            self.fail(name, f"a text of at most {length_max} characters")
        if not value.isprintable() and has_control_characters(value):
            self.fail(name, "one line without control characters")
        if not optional and not value.strip():
            self.fail(name, "a text that is not empty")
        return value

    def prose(self, name: str, *, length_max: int, optional: bool = False) -> str:
        """Return a text of many lines; absent and optional is ""."""
        value = self._object.get(name, "" if optional else None)
        if type(value) is not str or len(value) > length_max or not is_prose(value):
            self.fail(name, f"text of at most {length_max} characters, no control characters")
        if not optional and not value.strip():
            self.fail(name, "a text that is not empty")
        return value

    def matching(
        self, name: str, pattern: re.Pattern[str], rule: str, *, optional: bool = False
    ) -> str:
        """Return a text that the pattern matches as a whole; absent and optional is ""."""
        value = self._object.get(name, "" if optional else None)
        if type(value) is not str or ((value or not optional) and not pattern.fullmatch(value)):
            self.fail(name, rule)
        return value

    def choice(self, name: str, choices: frozenset[str]) -> str:
        """Return a text that is one of the choices."""
        value = self._object.get(name)
        if type(value) is not str or value not in choices:
            self.fail(name, f"one of {', '.join(sorted(choices))}")
        return value

    def integer(self, name: str, *, minimum: int = 0, maximum: int = limits.INTEGER_MAX) -> int:
        """Return an integer within the bounds, both included."""
        value = self._object.get(name)
        if type(value) is not int or not minimum <= value <= maximum:
            self.fail(name, f"an integer from {minimum} to {maximum}")
        return value

    def number_or_null(self, name: str, *, optional: bool = False) -> float | None:
        """Return a finite number, or None where the field is null, or absent and optional."""
        value = self._object.get(name, None if optional else "")
        if value is None:
            return None
        if type(value) is not float and type(value) is not int:
            self.fail(name, "a number or null")
        return float(value)

    def digest(self, name: str) -> DigestHex:
        """Return a SHA-256 in hex."""
        value = self._object.get(name)
        if type(value) is not str or _DIGEST.fullmatch(value) is None:
            self.fail(name, "64 lowercase hex digits")
        return DigestHex(value)

    def digest_in(self, name: str, value: object) -> DigestHex:
        """Return an item of a field's array that must be a SHA-256 in hex."""
        if type(value) is not str or _DIGEST.fullmatch(value) is None:
            self.fail(name, "64 lowercase hex digits each")
        return DigestHex(value)

    def flag(self, name: str) -> bool:
        """Return true or false; absent is false."""
        value = self._object.get(name, False)
        if type(value) is not bool:
            self.fail(name, "true or false")
        return value

    def digest_or_none(self, name: str) -> DigestHex | None:
        """Return a SHA-256 in hex, or None if the field is absent."""
        return self.digest(name) if name in self._object else None

    def link(self, name: str, *, absent: bool) -> DigestHex | None:
        """Return a SHA-256 in hex; in the first revision of a chain it must be absent."""
        if not absent:
            return self.digest(name)
        if name in self._object:
            self.fail(name, "no such field in the first revision")
        return None

    def items(self, name: str, *, count_max: int, count_min: int = 0) -> list[object]:
        """Return an array; absent is empty."""
        value = self._object.get(name)
        if value is None and name not in self._object:
            value = []
        if type(value) is not list or not count_min <= len(value) <= count_max:
            self.fail(name, f"an array of {count_min} to {count_max} items")
        return value

    def objects(self, name: str, *, count_max: int, count_min: int = 0) -> list[Fields]:
        """Return the objects of an array; absent is empty."""
        where = f"{self.path}.{name}" if self.path else name
        items = self.items(name, count_max=count_max, count_min=count_min)
        return [Fields(item, f"{where}[{index}]") for index, item in enumerate(items)]

    def child(self, name: str) -> Fields | None:
        """Return the object in a field, or None where it is absent or null."""
        value = self._object.get(name)
        return None if value is None else Fields(value, f"{self.path}.{name}".lstrip("."))

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return the object in a field as it is."""
        value = self._object.get(name)
        if type(value) is not dict:
            self.fail(name, "an object")
        return value


class _Record(Protocol):
    @classmethod
    def from_bytes(cls, payload: bytes) -> Self: ...


def open_record(payload: bytes, kind: str = "") -> Fields:
    """Return the fields of a payload of our protocol version, of this type if one is given."""
    fields = Fields(parse_json(payload))
    fields.integer("protocol", minimum=limits.PROTOCOL_VERSION, maximum=limits.PROTOCOL_VERSION)
    if kind:
        fields.choice("type", frozenset({kind}))
    return fields


def encode_record(kind: str, record: _Record) -> bytes:
    """Return the payload of a record, having read it back as a peer would.

    Raises:
        LocalProtocolError: Peers would refuse the record; the message names the field.
    """
    values = plain(record)
    assert isinstance(values, dict)
    payload = encode_json({"type": kind, "protocol": limits.PROTOCOL_VERSION, **values})
    try:
        same = type(record).from_bytes(payload) == record
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"this {kind} would be refused: {error}") from None
    if not same:
        raise LocalProtocolError(f"this {kind} does not survive JSON: are all values plain?")
    return payload


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object has a key twice")
    return value


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)


def _check_values(root: dict[str, object]) -> None:
    """Raise MalformedError for what JSON allows and we do not: deep, infinite or over 2^53."""
    level: list[dict[str, object] | list[object]] = [root]
    for _ in range(limits.NESTING_MAX):
        below: list[dict[str, object] | list[object]] = []
        for item in level:
            for child in item.values() if type(item) is dict else item:
                kind = type(child)
                if kind is str:
                    continue
                if kind is float or kind is int:
                    if not -_MOST <= child <= _MOST:  # type: ignore[operator]
                        _check_number(child)
                elif kind is dict or kind is list:
                    below.append(child)  # type: ignore[arg-type]
        if not below:
            return
        level = below
    raise MalformedError(f"arrays and objects more than {limits.NESTING_MAX} inside one another")


def _check_number(value: object) -> None:
    if not isinstance(value, float):
        raise MalformedError(f"the integer {str(value)[:32]} is beyond 2^53")
    if not math.isfinite(value):
        raise MalformedError("a number is too large for a 64-bit float")
