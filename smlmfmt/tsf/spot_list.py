"""The SpotList message: what a tagged spot file says about all its spots.

Source: Protocol Buffers, "Encoding" (protobuf.dev).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from smlmfmt.documents import plain
from smlmfmt.errors import ArchiveError, HeaderError, SizeLimitError
from smlmfmt.tsf.fields import HEADER_SIZE, SPOT_LIST, Field

__all__ = ["encode_spot_list", "encode_varint", "read_spot_list"]

SPOT_LIST_SIZE_MAX = 16 << 20
VALUE_COUNT_MAX = 4096

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRE = {"int32": _VARINT, "int64": _VARINT, "bool": _VARINT, "double": _FIXED64,
         "float": _FIXED32, "string": _BYTES, "message": _BYTES}  # fmt: skip
# Fields of a SpotList that are of another type in a Spot, which begins with them.
_PLAIN_TAGS = frozenset((1, 2, 3))
_FIXED = {_FIXED32: struct.Struct("<f"), _FIXED64: struct.Struct("<d")}
_MESSAGES = {
    "fluorophore_types": (
        Field(1, "id", "int32"),
        Field(2, "description", "string"),
        Field(3, "is_fiducial", "bool"),
    ),
    "roi": (
        Field(1, "x", "int32"),
        Field(2, "y", "int32"),
        Field(3, "x_width", "int32"),
        Field(4, "y_width", "int32"),
    ),
}


def read_spot_list(file: BinaryIO, *, name: str) -> tuple[dict[str, Any], int]:
    """Return the SpotList's fields by name, as plain JSON, and where it begins.

    Raises:
        ArchiveError: The file is no finished tagged spot file, damaged or cut short.
        HeaderError: The SpotList lacks the application's id.
        SizeLimitError: The SpotList is larger than any.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(HEADER_SIZE)
    if len(head) < HEADER_SIZE or head[:4] != b"\0\0\0\0":
        raise ArchiveError(f"{name}: no binary tagged spot file")
    start = struct.unpack(">q", head[4:])[0] + HEADER_SIZE
    if not HEADER_SIZE <= start < size:
        raise ArchiveError(
            f"{name}: its SpotList should begin at byte {start} of {size}; the file is cut short"
        )
    file.seek(start)
    length, after = _varint(file.read(10), 0, name)
    if length > SPOT_LIST_SIZE_MAX:
        raise SizeLimitError(f"{name}: a SpotList of {length} B, {SPOT_LIST_SIZE_MAX} B allowed")
    file.seek(start + after)
    data = file.read(length)
    if len(data) < length:
        raise ArchiveError(f"{name}: its SpotList is cut short")
    fields = _message(data, SPOT_LIST, name)
    if "application_id" not in fields:
        raise HeaderError(f"{name}: the SpotList names no application; the file is not finished")
    return fields, start


def encode_spot_list(values: Mapping[str, Any]) -> bytes:
    """Return a SpotList message of these fields, after its length."""
    known = {field.name: field for field in SPOT_LIST}
    body = b"".join(_encoded(known[name], value) for name, value in values.items())
    return encode_varint(len(body)) + body


def encode_varint(value: int) -> bytes:
    """Return a whole number as protocol buffers write it; negative ones take ten bytes."""
    value &= (1 << 64) - 1
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _encoded(field: Field, value: Any) -> bytes:
    wire = _WIRE[field.kind]
    tag = encode_varint(field.tag << 3 | wire)
    if wire == _VARINT:
        return tag + encode_varint(int(value))
    if wire == _BYTES:
        text = str(value).encode("utf-8", "replace")
        return tag + encode_varint(len(text)) + text
    return tag + _FIXED[wire].pack(float(value))


def _message(data: bytes, schema: Sequence[Field], name: str) -> dict[str, Any]:
    known = {(field.tag, _WIRE[field.kind]): field for field in schema}
    found: dict[str, Any] = {}
    for count, (tag, wire, raw) in enumerate(_values(data, name)):
        if count >= VALUE_COUNT_MAX:
            raise SizeLimitError(f"{name}: more than {VALUE_COUNT_MAX} values in the SpotList")
        field = known.get((tag, wire))
        if field is None and tag in _PLAIN_TAGS:
            raise ArchiveError(
                f"{name}: there is no SpotList where it should be; the program that wrote the file"
                " did not finish"
            )
        if field is None:
            continue
        value = _value(field, raw, name)
        if field.is_repeated:
            found.setdefault(field.name, []).append(value)
        else:
            found[field.name] = value
    return found


def _value(field: Field, raw: int | bytes, name: str) -> Any:
    if isinstance(raw, int):
        return bool(raw) if field.kind == "bool" else _signed(raw, field.kind)
    if field.kind == "message":
        return _message(raw, _MESSAGES[field.name], name)
    if field.kind == "string":
        return plain(raw)
    return plain(_FIXED[_WIRE[field.kind]].unpack(raw)[0])


def _signed(value: int, kind: str) -> int:
    bits = 32 if kind == "int32" else 64
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _values(data: bytes, name: str) -> Iterator[tuple[int, int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at, name)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(data, at, name)
            yield key >> 3, wire, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at, name)
        elif wire in _FIXED:
            size = _FIXED[wire].size
        else:
            raise ArchiveError(f"{name}: its SpotList is damaged: wire type {wire}")
        if at + size > len(data):
            raise ArchiveError(f"{name}: its SpotList is damaged: a value is cut short")
        yield key >> 3, wire, data[at : at + size]
        at += size


def _varint(data: bytes, at: int, name: str) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & ((1 << 64) - 1), at
    raise ArchiveError(f"{name}: its SpotList is damaged: a whole number is cut short")
