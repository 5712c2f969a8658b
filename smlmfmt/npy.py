"""NumPy's .npy files, read without evaluating a word that a stranger wrote.

numpy's own reader hands the header to `ast.literal_eval`, believes the shape it declares, and
can be asked to unpickle. Here the header is a small text of known signs, the shape must be
explained by the bytes that are there, and objects are refused.

Source: numpy.lib.format, "Format Version 1.0" to "3.0" (NEP 1).
"""

from __future__ import annotations

import ast
import math
import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import ArchiveError, HeaderError, SizeLimitError

__all__ = ["MAGIC", "NpyHeader", "parse_npy", "parse_npy_header"]

MAGIC = b"\x93NUMPY"
HEADER_SIZE_MAX = 16 << 10
BRACKET_DEPTH_MAX = 16
DIMENSION_COUNT_MAX = 32

_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
# What is left of a header without its texts: brackets, whole numbers, and three words.
_STRAY = re.compile(r"[^\s(){}\[\],:\d]+|\d{19,}")
_WORDS = {"True", "False", "None"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NpyHeader:
    """What a file says about its array; `data_start` is where the numbers begin."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_fortran: bool
    data_start: int


def parse_npy_header(head: bytes, *, name: str) -> NpyHeader:
    """Return what the first bytes of a .npy file say; at most HEADER_SIZE_MAX are looked at.

    Raises:
        HeaderError: They are no header of a .npy file.
        SizeLimitError: The header is longer or nested deeper than a reader grants.
    """
    code = _LENGTHS.get(head[6]) if len(head) > 12 and head.startswith(MAGIC) else None
    if code is None:
        raise HeaderError(f"{name}: no .npy file of version 1, 2 or 3")
    (size,) = struct.unpack_from(code, head, 8)
    start = 8 + struct.calcsize(code)
    if size > HEADER_SIZE_MAX:
        raise SizeLimitError(f"{name}: a header of {size} B, at most {HEADER_SIZE_MAX} B allowed")
    if start + size > len(head):
        raise ArchiveError(f"{name}: cut short in its header")
    encoding = "utf-8" if head[6] == 3 else "latin-1"
    fields = _literal(head[start : start + size].decode(encoding, "replace"), name)
    shape = fields.get("shape")
    is_fortran = fields.get("fortran_order")
    if not isinstance(shape, tuple) or not isinstance(is_fortran, bool):
        raise HeaderError(f"{name}: the header must have 'shape' and 'fortran_order'")
    if len(shape) > DIMENSION_COUNT_MAX or not all(type(length) is int for length in shape):
        raise HeaderError(f"{name}: 'shape' must be at most {DIMENSION_COUNT_MAX} whole numbers")
    return NpyHeader(
        dtype=_dtype(fields.get("descr"), name),
        shape=shape,
        is_fortran=is_fortran,
        data_start=start + size,
    )


def parse_npy(data: bytes, *, name: str) -> npt.NDArray[Any]:
    """Return the array of a .npy file; it shares the memory of `data`.

    Raises:
        ArchiveError: The bytes are fewer than the shape needs.
        HeaderError: The header is none, or the array holds objects.
        SizeLimitError: As `parse_npy_header`.
    """
    header = parse_npy_header(data[: HEADER_SIZE_MAX + 12], name=name)
    count = math.prod(header.shape)
    size = count * header.dtype.itemsize
    if header.data_start + size > len(data):
        raise ArchiveError(
            f"{name}: {len(data) - header.data_start} B of numbers, but {size} B for shape"
            f" {header.shape}; the file is cut short"
        )
    if not count:
        return np.empty((0,) * len(header.shape), header.dtype)
    values = np.frombuffer(data, header.dtype, count, header.data_start)
    return values.reshape(header.shape, order="F" if header.is_fortran else "C")


def _literal(text: str, name: str) -> dict[str, Any]:
    plain = _QUOTED.sub(" ", text)
    if not _WORDS.issuperset(_STRAY.findall(plain)):
        raise HeaderError(f"{name}: the header holds more than names, types and sizes")
    depth = 0
    for sign in re.findall(r"[(\[{]|[)\]}]", plain):
        depth += 1 if sign in "([{" else -1
        if depth > BRACKET_DEPTH_MAX:
            raise SizeLimitError(f"{name}: header nested deeper than {BRACKET_DEPTH_MAX}")
    try:
        fields = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise HeaderError(f"{name}: the header is not readable: {error}") from error
    if not isinstance(fields, dict):
        raise HeaderError(f"{name}: the header must be a dictionary")
    return fields


def _dtype(description: object, name: str) -> np.dtype[Any]:
    try:
        dtype = np.lib.format.descr_to_dtype(description)  # type: ignore[arg-type]
    except (
        ValueError, TypeError, SyntaxError, LookupError, AttributeError, OverflowError, MemoryError
    ) as error:  # fmt: skip
        raise HeaderError(f"{name}: 'descr' names no type of numbers: {error}") from error
    if dtype.hasobject:
        raise HeaderError(
            f"{name}: the array holds Python objects, which are never read: they can run programs"
        )
    if not dtype.itemsize:
        raise HeaderError(f"{name}: 'descr' names a type without content")
    return dtype
