"""Strict msgpack: no duplicate keys, no extension types, nothing after the value.

The one extension type the library reads by itself, a timestamp, becomes a value no field takes.
"""

from __future__ import annotations

from typing import NoReturn

import msgpack

from protocol import limits
from protocol.errors import MalformedError, SizeLimitError

__all__ = ["ObjectStream", "map_of", "pack", "unpack"]

_ERRORS = (
    msgpack.exceptions.UnpackException,
    msgpack.exceptions.ExtraData,
    ValueError,
    TypeError,
    RecursionError,
)


def pack(value: object) -> bytes:
    """Return the msgpack bytes of plain values: dict, list, str, bytes, int, float, bool, None."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(data: bytes, *, size_max: int) -> object:
    """Return the one value that the bytes hold, else MalformedError or SizeLimitError."""
    if len(data) > size_max:
        raise SizeLimitError(f"a message of {len(data)} bytes is over the limit of {size_max}")
    try:
        value: object = msgpack.unpackb(
            data, raw=False, strict_map_key=True, object_pairs_hook=_object, ext_hook=_extension
        )
    except MalformedError:
        raise
    except _ERRORS as error:
        raise MalformedError(f"not one msgpack value: {_reason(error)}") from None
    return value


class ObjectStream:
    """Msgpack values one after another, from bytes that arrive in any pieces."""

    def __init__(self, *, size_max: int) -> None:
        self._size_max = size_max
        self._fed = 0
        self._read = 0
        self._unpacker = msgpack.Unpacker(
            raw=False,
            strict_map_key=True,
            object_pairs_hook=_object,
            ext_hook=_extension,
            max_buffer_size=limits.MESSAGE_SIZE_MAX + size_max,
        )

    def feed(self, data: bytes) -> list[object]:
        """Return the values that are whole now; a value over `size_max` bytes raises."""
        values: list[object] = []
        try:
            self._unpacker.feed(data)
            self._fed += len(data)
            for value in self._unpacker:
                end = self._unpacker.tell()
                self._limit(end - self._read)
                self._read = end
                values.append(value)
        except (MalformedError, SizeLimitError):
            raise
        except msgpack.exceptions.BufferFull:
            raise SizeLimitError(f"more than {self._size_max} bytes without a value") from None
        except _ERRORS as error:
            raise MalformedError(f"not a stream of msgpack values: {_reason(error)}") from None
        self._limit(self._fed - self._read)
        return values

    def _limit(self, size: int) -> None:
        if size > self._size_max:
            raise SizeLimitError(f"one value of {size} bytes is over the limit of {self._size_max}")

    def close(self) -> None:
        """Raise MalformedError if the stream ended inside a value."""
        rest = self._fed - self._read
        if rest:
            raise MalformedError(f"the stream ended inside a value, {rest} bytes into it")


def map_of(value: object, what: str) -> dict[str, object]:
    """Return the value if it is a map (its keys are then texts), else MalformedError."""
    if type(value) is not dict:
        raise MalformedError(f"{what}: want a map, got {type(value).__name__}")
    return value


def _object(pairs: list[tuple[object, object]]) -> dict[object, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedError("a msgpack map has a key twice")
    if not all(type(key) is str for key in value):
        raise MalformedError("a msgpack map has a key that is not text")
    return value


def _extension(code: int, _data: bytes) -> NoReturn:
    raise MalformedError(f"msgpack extension type {code} is not part of the protocol")


def _reason(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
