"""Spot messages to columns, thousands at a time.

A Spot is a protocol buffer message: fields in any order, each a tag and a value, whole numbers of
one to ten bytes. Message by message that is a slow loop; here all messages of a block take one
step at a time: the next tag of each, then the value behind it. Spots of one file nearly always
have the same fields in the same order, so that a step is a few operations on whole arrays; where
they have not, the step is done once for each field that comes next somewhere.

Source: Protocol Buffers, "Encoding" (protobuf.dev).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import ArchiveError, RowError, SizeLimitError
from smlmfmt.tsf.fields import Field

__all__ = ["read_spots"]

SPOT_SIZE_MAX = 64 << 10
FIELD_COUNT_MAX = 256
REPEAT_COUNT_MAX = 16
BLOCK_SIZE = 1 << 20

_TAG_COUNT = 2048
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRE = {"int32": _VARINT, "float": _FIXED32, "double": _FIXED64}

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]


def read_spots(
    file: BinaryIO, start: int, end: int, *, fields: Sequence[Field], name: str
) -> tuple[dict[str, Array], int]:
    """Return the fields of all spots in a part of a file.

    Args:
        file: Seekable.
        start: Where the first spot's length stands.
        end: Where the last spot ends.
        fields: Which fields to return; others are passed over.
        name: The file's name, for messages.

    Returns:
        Arrays of shape (n,) by field name, int32, float32 or float64, and n. A field that no
        spot has is left out; where only some have it, the others have NaN, or 0 if it is a
        whole number (as protocol buffers say). Repeated fields are numbered: name_0, name_1.

    Raises:
        ArchiveError: A message is damaged or cut short.
        RowError: A spot lacks a field that every spot must have.
        SizeLimitError: A spot is larger than any.
    """
    parts: list[tuple[int, dict[str, Array]]] = []
    absent: dict[str, _Absent] = {}
    count = 0
    for block in _blocks(file, start, end, name=name):
        spots = _Block(*block, fields=fields, where=f"{name}: spots from number {count}")
        parts.append((spots.count, spots.parse()))
        absent |= spots.absent
        count += spots.count
    return {key: _joined(parts, key, value) for key, value in absent.items()}, count


_Absent = np.int32 | np.float32 | np.float64


def _joined(parts: Sequence[tuple[int, dict[str, Array]]], key: str, absent: _Absent) -> Array:
    # Taken out of the parts as they are joined, so that no more than one column is held twice.
    return np.concatenate(
        [columns.pop(key) if key in columns else np.full(count, absent) for count, columns in parts]
    )


def _absent(field: Field) -> _Absent:
    if field.kind == "int32":
        return np.int32(field.absent)
    return np.float64(np.nan) if field.kind == "double" else np.float32(np.nan)


def _blocks(
    file: BinaryIO, start: int, end: int, *, name: str
) -> Iterator[tuple[npt.NDArray[np.uint8], Indices]]:
    """Yield bytes and where in them the messages' lengths stand; the last is where they end."""
    file.seek(start)
    rest, left = b"", end - start
    while left:
        piece = file.read(min(BLOCK_SIZE, left))
        if not piece:
            raise ArchiveError(f"{name}: the file ended while it was read")
        left -= len(piece)
        data = rest + piece
        heads = _heads(data, name)
        rest = data[heads[-1] :]
        if len(heads) > 1:
            yield np.frombuffer(data, np.uint8), np.array(heads, np.int64)
    if rest:
        raise ArchiveError(f"{name}: the last spot is cut short; the file is damaged")


def _heads(data: bytes, name: str) -> list[int]:
    """Return where whole messages begin, and last where the one begins that is not whole."""
    at, end = 0, len(data)
    heads = [0]
    while at < end:
        size = data[at]
        if size < 0x80:
            at += size + 1
        else:
            size, at = _long_size(data, at)
            if size > SPOT_SIZE_MAX:
                raise SizeLimitError(f"{name}: a spot of {size} B, {SPOT_SIZE_MAX} B allowed")
            at += size
        heads.append(at)
    if at > end:
        heads.pop()
    return heads


def _long_size(data: bytes, at: int) -> tuple[int, int]:
    size = shift = 0
    while at < len(data) and shift < 35:
        byte = data[at]
        size |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return size, at
    # Cut off within its length: the rest comes with the next block, if there is any.
    return (0, len(data) + 1) if shift < 35 else (SPOT_SIZE_MAX + 1, at)


class _Block:
    """Some thousands of messages, one step of all of them at a time.

    The arrays `_row`, `_at` and `_end` have one element for each message that is not done: its
    number, where its next field begins, and where it ends.
    """

    def __init__(
        self,
        data: npt.NDArray[np.uint8],
        heads: Indices,
        *,
        fields: Sequence[Field],
        where: str,
    ) -> None:
        self.count = len(heads) - 1
        self._data = data
        self._where = where
        self._fields = fields
        self._known = np.full(_TAG_COUNT, -1, np.int64)
        for index, field in enumerate(fields):
            self._known[field.tag] = index
        self._columns: dict[str, Array] = {}
        self.absent: dict[str, _Absent] = {}
        self._required = np.zeros(self.count, np.uint32)
        self._repeats: dict[int, Indices] = {}
        self._row = np.arange(self.count)
        self._end = heads[1:]
        self._at = heads[:-1]
        _, self._at = self._varints(self._at, self._end)

    def parse(self) -> dict[str, Array]:
        """Return the columns of the block."""
        for _ in range(FIELD_COUNT_MAX):
            is_open = self._at < self._end
            if not is_open.all():
                self._row, self._at, self._end = (
                    values[is_open] for values in (self._row, self._at, self._end)
                )
            if not len(self._at):
                break
            self._step()
        else:
            raise SizeLimitError(f"{self._where}: more than {FIELD_COUNT_MAX} fields in a spot")
        self._check_required()
        return self._columns

    def _step(self) -> None:
        tag, self._at = self._varints(self._at, self._end)
        number = (tag >> np.uint64(3)).astype(np.int64)
        wire = (tag & np.uint64(7)).astype(np.int64)
        is_small = (number >= 0) & (number < _TAG_COUNT)
        index = np.where(is_small, self._known[np.where(is_small, number, 0)], -1)
        key = index * 8 + wire
        first = int(key[0])
        if (key == first).all():
            self._at = self._value(first, self._row, self._at, self._end)
        else:
            at = self._at.copy()
            for one in np.unique(key):
                same = np.flatnonzero(key == one)
                at[same] = self._value(int(one), self._row[same], self._at[same], self._end[same])
            self._at = at
        if (self._at > self._end).any():
            raise self._damaged("a field reaches beyond its spot")

    def _value(self, key: int, row: Indices, at: Indices, end: Indices) -> Indices:  # noqa: PLR0917
        """Take the value of one field from some messages; return where it ends in each."""
        index, wire = key >> 3, key & 7
        field = self._fields[index] if index >= 0 else None
        if field is not None and _WIRE.get(field.kind) != wire:
            field = None  # As protocol buffers say: of another type, it is another field.
        if wire == _VARINT:
            values, after = self._varints(at, end)
            if field is not None:
                # Negative numbers have ten bytes; the upper half goes.
                self._store(field, row, values.view(np.int64).astype(np.int32))
            return after
        if wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
            if (at + size > end).any():
                raise self._damaged("a number is cut short")
            if field is not None:
                self._store(field, row, self._floats(at, size))
            return at + size
        if wire == _BYTES:
            sizes, after = self._varints(at, end)
            if (sizes > SPOT_SIZE_MAX).any():
                raise self._damaged("a text is longer than its spot")
            return after + sizes.astype(np.int64)
        raise self._damaged(f"a value of wire type {wire}")

    def _store(self, field: Field, row: Indices, values: Array) -> None:
        if field.is_repeated:
            counter = self._repeats.setdefault(field.tag, np.zeros(self.count, np.int64))
            turns = counter[row]
            counter[row] += 1
            for turn in np.unique(turns):
                if turn < REPEAT_COUNT_MAX:
                    same = turns == turn
                    self._column(f"{field.name}_{turn}", field)[row[same]] = values[same]
            return
        if field.is_required:
            self._required[row] |= np.uint32(1 << self._fields.index(field))
        if len(row) == self.count:
            self._columns[field.name] = values
            self.absent[field.name] = _absent(field)
        else:
            self._column(field.name, field)[row] = values

    def _column(self, name: str, field: Field) -> Array:
        if name not in self._columns:
            self.absent[name] = _absent(field)
            self._columns[name] = np.full(self.count, self.absent[name])
        return self._columns[name]

    def _check_required(self) -> None:
        for index, field in enumerate(self._fields):
            if not field.is_required:
                continue
            missing = (self._required & np.uint32(1 << index)) == 0
            if missing.any():
                raise RowError(
                    f"{self._where}: spot {int(np.argmax(missing))} of these has no {field.name}"
                )

    def _floats(self, at: Indices, size: int) -> Array:
        gathered = self._data[at[:, None] + np.arange(size)]
        values: Array = gathered.view(f"<f{size}")[:, 0].astype(f"=f{size}", copy=False)
        return values

    def _varints(self, at: Indices, end: Indices) -> tuple[npt.NDArray[np.uint64], Indices]:
        """Return the whole numbers at some places, and where each of them ends."""
        if (at >= end).any():
            raise self._damaged("a field is cut short")
        byte = self._data[at]
        values = (byte & 0x7F).astype(np.uint64)
        after = at + 1
        more = np.flatnonzero(byte >= 0x80)
        shift = 7
        while len(more):
            place = after[more]
            if shift > 63 or (place >= end[more]).any():
                raise self._damaged("a whole number is cut short")
            byte = self._data[place]
            values[more] |= (byte & 0x7F).astype(np.uint64) << np.uint64(shift)
            after[more] += 1
            more = more[byte >= 0x80]
            shift += 7
        return values, after

    def _damaged(self, what: str) -> ArchiveError:
        return ArchiveError(f"{self._where}: {what}; the file is damaged")
