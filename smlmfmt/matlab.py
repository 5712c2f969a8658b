"""MATLAB's level 5 .mat files: numbers, texts, cells and structs, read without trusting them.

Written here because the known reader is part of a library of 100 MB, opens objects, and believes
the sizes a file declares. Objects, function handles and sparse matrices are passed over; nothing
in a file is ever executed. (Files of version 7.3 are HDF5.)

Source: MATLAB MAT-File Format, R2024b (MathWorks), chapter 1, "Level 5 MAT-File Format".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt import deflate
from smlmfmt.errors import ArchiveError, SizeLimitError

__all__ = ["MatValue", "is_mat", "read_mat", "variable_names"]

# A number array of MATLAB's shape; a text (one per row of a char matrix); a struct (one per
# element of a struct array); a cell array's content, column by column; None for what is not read.
MatValue: TypeAlias = (
    "npt.NDArray[np.number | np.bool_] | str | dict[str, MatValue] | list[MatValue] | None"
)

VARIABLE_COUNT_MAX = 4096
MATRIX_COUNT_MAX = 1 << 18
DEPTH_MAX = 16
DIMENSION_COUNT_MAX = 32
# Arrays of one value compress a thousandfold, measured ones less than tenfold.
RATIO_MAX = 250
RATIO_FREE_SIZE = 64 << 20

HEADER_SIZE = 128
_MAGIC = b"MATLAB 5.0"
_HEAD_SIZE = 4096
_CHUNK_SIZE_OF_NAME = 512
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
            13: "u8"}  # fmt: skip
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR = 1, 2, 4
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8",
            15: "u8"}  # fmt: skip
_COMPLEX, _LOGICAL = 0x0800, 0x0200


def is_mat(head: bytes) -> bool:
    """Say whether a file begins as one of level 5 does."""
    return head.startswith(_MAGIC) and head[126:128] in (b"IM", b"MI")


def variable_names(file: BinaryIO, *, name: str) -> list[str]:
    """Return the names of a file's variables; hardly more than these is read.

    Raises:
        ArchiveError: The file is no .mat file of level 5, damaged or cut short.
        SizeLimitError: It has more variables than a reader grants.
    """
    return [variable for variable, _ in _Mat(file, name).variables()]


def read_mat(
    file: BinaryIO, *, name: str, variables: Collection[str] | None = None
) -> dict[str, MatValue]:
    """Return the variables of a .mat file of level 5.

    Args:
        file: The file, seekable.
        name: Its name, for messages.
        variables: Which to read; None for all.

    Returns:
        The values by name. Arrays have MATLAB's shape (at least two dimensions) and class, and
        may be read-only.

    Raises:
        ArchiveError: The file is no .mat file of level 5, damaged or cut short.
        SizeLimitError: It asks for more than a reader grants.
    """
    mat = _Mat(file, name)
    return {
        variable: mat.value(place)
        for variable, place in mat.variables()
        if variables is None or variable in variables
    }


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a variable's element lies in the file."""

    start: int
    end: int
    is_compressed: bool


class _Mat:
    """A file: its byte order, and how much has been inflated of it."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._size = file.seek(0, 2)
        self._granted = max(RATIO_FREE_SIZE, RATIO_MAX * self._size)
        file.seek(0)
        head = file.read(HEADER_SIZE)
        if len(head) < HEADER_SIZE or not is_mat(head):
            raise ArchiveError(f"{name}: no .mat file of level 5 (saved by MATLAB with -v7 or -v6)")
        self._order = "<" if head[126:128] == b"IM" else ">"
        self._context = _Context(name=name, order=self._order)

    def variables(self) -> Iterator[tuple[str, _Place]]:
        """Yield the variables' names and places."""
        seen: set[str] = set()
        for count, place in enumerate(self._places()):
            if count >= VARIABLE_COUNT_MAX:
                raise SizeLimitError(f"{self._name}: more than {VARIABLE_COUNT_MAX} variables")
            variable = self._element(place, is_whole=False).name()
            if variable is not None and variable not in seen:
                seen.add(variable)
                yield variable, place

    def value(self, place: _Place) -> MatValue:
        return self._element(place, is_whole=True).value()

    def _places(self) -> Iterator[_Place]:
        at = HEADER_SIZE
        while at + 8 <= self._size:
            self._file.seek(at)
            kind, size = struct.unpack(f"{self._order}II", self._file.read(8))
            if kind not in (_MATRIX, _COMPRESSED):
                raise ArchiveError(f"{self._name}: no matrix at byte {at}; the file is damaged")
            end = at + 8 + size
            if end > self._size:
                raise ArchiveError(
                    f"{self._name}: a variable ends at byte {end} of {self._size}; the file is"
                    " cut short"
                )
            yield _Place(at, end, kind == _COMPRESSED)
            at = end if kind == _COMPRESSED else end + -end % 8

    def _element(self, place: _Place, *, is_whole: bool) -> _Element:
        if place.is_compressed:
            data = self._inflated(place.start + 8, place.end, is_whole=is_whole)
        else:
            size = place.end - place.start
            self._file.seek(place.start)
            data = self._file.read(size if is_whole else min(size, _HEAD_SIZE))
        return _Element(data, self._context)

    def _inflated(self, start: int, end: int, *, is_whole: bool) -> bytes:
        # So little of a stream that is only asked for its name, that it cannot grow large.
        step = deflate.CHUNK_SIZE if is_whole else _CHUNK_SIZE_OF_NAME
        pieces = deflate.inflate(self._raw(start, end, step), has_header=True)
        try:
            if not is_whole:
                return next(pieces, b"")[:_HEAD_SIZE]
            data = bytearray()
            for piece in pieces:
                self._granted -= len(piece)
                if self._granted < 0:
                    raise SizeLimitError(
                        f"{self._name}: inflates to more than {RATIO_MAX} times its {self._size} B"
                    )
                data += piece
        except deflate.DeflateError as error:
            raise ArchiveError(f"{self._name}: {error}; the file is damaged") from error
        return bytes(data)

    def _raw(self, start: int, end: int, step: int) -> Iterator[bytes]:
        while start < end:
            self._file.seek(start)
            piece = self._file.read(min(step, end - start))
            if not piece:
                raise ArchiveError(f"{self._name}: the file ended while it was read")
            start += len(piece)
            yield piece


@dataclass(slots=True, kw_only=True)
class _Context:
    """What every element of a file shares: name, byte order, and how many values it has."""

    name: str
    order: str
    count: int = 0

    def add(self, count: int) -> None:
        self.count += count
        if self.count > MATRIX_COUNT_MAX:
            raise SizeLimitError(f"{self.name}: more than {MATRIX_COUNT_MAX} values in its cells")


@dataclass(frozen=True, slots=True)
class _Part:
    """A data element: the type of its content, and where that lies."""

    kind: int
    start: int
    end: int
    after: int


class _Element:
    """One miMATRIX element in memory, with its tag, maybe only the beginning of it."""

    def __init__(self, data: bytes, context: _Context) -> None:
        self._data = data
        self._context = context
        self._order = context.order

    def name(self) -> str | None:
        """Return the variable's name; None if it has none, as MATLAB's own notes to itself."""
        start, end = self._content_of_tag()
        if end - start < 8:
            return None
        flags = self._part(start, end)
        dimensions = self._part(flags.after, end)
        name = self._part(dimensions.after, end)
        return self._bytes(name).decode("latin-1") or None

    def value(self) -> MatValue:
        start, end = self._content_of_tag()
        if end > len(self._data):
            raise self._damaged("a variable is cut short")
        return self._matrix(start, end, depth=0)

    def _content_of_tag(self) -> tuple[int, int]:
        if len(self._data) < 8:
            raise self._damaged("a variable is cut short")
        kind, size = struct.unpack_from(f"{self._order}II", self._data)
        if kind != _MATRIX:
            raise self._damaged("a variable is no matrix")
        return 8, 8 + size

    def _matrix(self, start: int, end: int, *, depth: int) -> MatValue:
        if depth > DEPTH_MAX:
            raise SizeLimitError(f"{self._context.name}: structs nested deeper than {DEPTH_MAX}")
        if start == end:
            return np.empty((0, 0))
        part = self._part(start, end)
        flags = self._numbers(part)
        if flags.dtype.kind != "u" or len(flags) != 2:
            raise self._damaged("a matrix without its flags")
        part = self._part(part.after, end)
        shape = self._shape(part)
        part = self._part(part.after, end)  # Its name, which only variables have.
        kind = int(flags[0]) & 0xFF
        if kind in _CLASSES:
            return self._array(part.after, end, shape=shape, flags=int(flags[0]))
        if kind == _CHAR:
            return self._text(part.after, end, shape)
        if kind == _CELL:
            return list(self._matrices_at(part.after, end, math.prod(shape), depth=depth))
        if kind == _STRUCT:
            return self._struct(part.after, end, shape=shape, depth=depth)
        return None

    def _array(
        self, start: int, end: int, *, shape: tuple[int, ...], flags: int
    ) -> npt.NDArray[np.number | np.bool_]:
        dtype = np.dtype(bool) if flags & _LOGICAL else np.dtype(_CLASSES[flags & 0xFF])
        part = self._part(start, end)
        values = self._shaped(self._numbers(part), shape)
        if not flags & _COMPLEX:
            return values.astype(dtype, copy=False)
        imaginary = self._shaped(self._numbers(self._part(part.after, end)), shape)
        joined = np.empty(shape, np.complex128)
        joined.real, joined.imag = values, imaginary
        return joined

    def _text(self, start: int, end: int, shape: tuple[int, ...]) -> MatValue:
        if not math.prod(shape):
            return ""
        part = self._part(start, end)
        encoding = _TEXTS.get(part.kind)
        if encoding is None:
            raise self._damaged(f"a text of type {part.kind}")
        if encoding.startswith("utf-") and encoding != "utf-8":
            encoding += "-le" if self._order == "<" else "-be"
        text = self._bytes(part).decode(encoding, "replace")
        rows = shape[0]
        if rows == 1:
            return text
        self._context.add(rows)
        return [text[row::rows] for row in range(rows)]

    def _struct(self, start: int, end: int, *, shape: tuple[int, ...], depth: int) -> MatValue:
        part = self._part(start, end)
        sizes = self._numbers(part)
        names_part = self._part(part.after, end)
        raw = self._bytes(names_part)
        size = int(sizes[0]) if len(sizes) == 1 else 0
        if not 0 < size <= 256:
            raise self._damaged("a struct whose field names have no length")
        names = [raw[at : at + size].split(b"\0")[0].decode("latin-1")
                 for at in range(0, len(raw), size)]  # fmt: skip
        count = math.prod(shape)
        self._context.add(len(names))
        if not names:
            return {} if count == 1 else []
        values = self._matrices_at(names_part.after, end, count * len(names), depth=depth)
        structs: list[MatValue] = []
        while fields := list(islice(values, len(names))):
            structs.append(dict(zip(names, fields, strict=True)))
        return structs[0] if count == 1 else structs

    def _matrices_at(self, start: int, end: int, count: int, *, depth: int) -> Iterator[MatValue]:
        if count * 8 > end - start:
            raise self._damaged(f"{count} values where there is no room for them")
        self._context.add(count)
        for _ in range(count):
            part = self._part(start, end)
            if part.kind != _MATRIX:
                raise self._damaged("a cell or field that holds no matrix")
            yield self._matrix(part.start, part.end, depth=depth + 1)
            start = part.after

    def _shape(self, part: _Part) -> tuple[int, ...]:
        sizes = self._numbers(part)
        if not 2 <= len(sizes) <= DIMENSION_COUNT_MAX or sizes.dtype.kind not in "iu":
            raise self._damaged("a matrix without its dimensions")
        shape = tuple(int(size) for size in sizes)
        if min(shape) < 0:
            raise self._damaged(f"a matrix of shape {shape}")
        return shape

    def _shaped(
        self, values: npt.NDArray[np.number], shape: tuple[int, ...]
    ) -> npt.NDArray[np.number]:
        if len(values) != math.prod(shape):
            raise self._damaged(f"{len(values)} numbers in a matrix of shape {shape}")
        return values.reshape(shape, order="F")

    def _numbers(self, part: _Part) -> npt.NDArray[np.number]:
        code = _NUMBERS.get(part.kind)
        if code is None or (part.end - part.start) % int(code[1]):
            raise self._damaged(f"numbers of type {part.kind} in {part.end - part.start} B")
        count = (part.end - part.start) // int(code[1])
        values = np.frombuffer(self._data, f"{self._order}{code}", count, part.start)
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def _bytes(self, part: _Part) -> bytes:
        return self._data[part.start : part.end]

    def _part(self, at: int, end: int) -> _Part:
        """Return the data element at a place; small ones have their content in their tag."""
        end = min(end, len(self._data))
        if at + 8 > end:
            raise self._damaged("a data element is cut short")
        kind, size = struct.unpack_from(f"{self._order}II", self._data, at)
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise self._damaged(f"a small data element of {size} B")
            return _Part(kind, at + 4, at + 4 + size, at + 8)
        start = at + 8
        if start + size > end:
            raise self._damaged(f"a data element of {size} B is cut short")
        after = start + size
        return _Part(kind, start, after, min(after + -(after - start) % 8, end))

    def _damaged(self, what: str) -> ArchiveError:
        return ArchiveError(f"{self._context.name}: {what}; the file is damaged")
