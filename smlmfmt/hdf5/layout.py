"""How the numbers of one HDF5 dataset lie in the file, checked before a byte of them is read."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import ArchiveError, RowError, SizeLimitError

__all__ = ["Chunks", "Dataset", "Field", "dataset_of"]

RANK_MAX = 8
ITEM_SIZE_MAX = 1 << 20
CHUNK_SIZE_MAX = 256 << 20

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
# What HDF5 calls the filters of others by number; those above are read.
FILTERS = {4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf", 32001: "blosc", 32026: "blosc2"}

_CODES = frozenset(f"{order}{kind}" for order in "<>" for kind in
                   ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A number in each value of a dataset: its name ("" if it is all of it), offset and dtype."""

    name: str
    offset: int
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """The pieces that a dataset is stored in.

    Attributes:
        shape: Values in a whole chunk, by dimension.
        filters: (code, parameters) of what was done to each chunk, in that order.
        places: Shape (n, rank): where each chunk begins in the dataset.
        starts: Shape (n,): where it begins in the file.
        sizes: Shape (n,): its stored size in bytes.
        masks: Shape (n,): bit i is set if filter i was left out.
    """

    shape: tuple[int, ...]
    filters: tuple[tuple[int, tuple[int, ...]], ...]
    places: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    masks: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset as the file describes it.

    Attributes:
        path: From the root, as in "/data/xyz".
        shape: None if it is declared empty (a null dataspace).
        item_size: Bytes of one value.
        fields: The numbers in one value.
        left_out: Names of members that are no plain numbers.
        text: The text, if it is a single one.
        offset: Where its values begin in the file, if they lie there in one piece.
        inline: Its values' bytes, if they came with the description.
        chunks: Its pieces, if it is stored in pieces.
        problem: Why it cannot be read, or "".
    """

    path: str
    shape: tuple[int, ...] | None
    item_size: int
    fields: tuple[Field, ...] = ()
    left_out: tuple[str, ...] = ()
    text: str | None = None
    offset: int | None = None
    inline: bytes | None = None
    chunks: Chunks | None = None
    problem: str = ""

    @property
    def count(self) -> int:
        """The number of values."""
        return 0 if self.shape is None else math.prod(self.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the numbers in one value."""
        return tuple(field.name for field in self.fields)

    @property
    def size(self) -> int:
        """Bytes that its numbers take in memory."""
        return self.count * sum(field.dtype.itemsize for field in self.fields)

    def check(self, *, file_size: int, what: str) -> None:
        """Check that the file can hold the values it declares, and how.

        Raises:
            ArchiveError: They lie elsewhere, in chunks that contradict one another, or behind a
                filter that is not known here.
            RowError: The file does not hold them all.
            SizeLimitError: One value or one chunk is larger than any table's.
        """
        if self.problem:
            raise ArchiveError(f"{what}: cannot be read: {self.problem}")
        if self.item_size > ITEM_SIZE_MAX:
            raise SizeLimitError(f"{what}: values of {self.item_size} B, {ITEM_SIZE_MAX} B allowed")
        if not self.count:
            return
        if self.inline is not None:
            is_there = len(self.inline) == self.count * self.item_size
        elif self.chunks is not None:
            _check_chunks(self.chunks, self, file_size=file_size, what=what)
            is_there = True
        else:
            end = (self.offset or 0) + self.count * self.item_size
            is_there = self.offset is not None and end <= file_size
        if not is_there:
            raise RowError(
                f"{what}: {self.count} values are declared, but the file does not hold them"
            )


def dataset_of(path: str, plain: Mapping[str, Any], *, what: str) -> Dataset:
    """Return a dataset from its description, of which nothing is taken on trust.

    Raises:
        ArchiveError: The description contradicts itself.
    """
    try:
        shape = plain["shape"]
        if shape is not None:
            shape = tuple(_whole(size) for size in shape[:RANK_MAX])
        item_size = _whole(plain["item_size"])
        inline, offset, text = plain.get("inline"), plain.get("offset"), plain.get("text")
        return Dataset(
            path=path,
            shape=shape,
            item_size=item_size,
            fields=_fields(plain.get("fields", []), item_size),
            left_out=tuple(str(name) for name in plain.get("left_out", [])),
            text=text if isinstance(text, str) else None,
            offset=None if offset is None else _whole(offset),
            inline=None if inline is None else base64.b64decode(inline, validate=True),
            chunks=_chunks(plain, len(shape or ())) if "chunks" in plain else None,
            problem=str(plain.get("problem", "")),
        )
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise ArchiveError(f"{what}: its description is contradictory ({error})") from error


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError(f"{value!r} is no size")
    return value


def _fields(given: Sequence[Any], item_size: int) -> tuple[Field, ...]:
    fields: list[Field] = []
    taken: set[str] = set()
    for number, (given_name, offset, code) in enumerate(given):
        if code not in _CODES:
            raise ValueError(f"type {code!r}")
        # Nested members may come to the same name.
        name = str(given_name) if given_name not in taken else f"{given_name}_{number}"
        taken.add(name)
        fields.append(Field(name, _whole(offset), np.dtype(code)))
    end = 0
    for field in sorted(fields, key=lambda field: field.offset):
        if field.offset < end:
            raise ValueError(f"member {field.name!r} overlaps another")
        end = field.offset + field.dtype.itemsize
    if end > item_size:
        raise ValueError(f"members take {end} B of {item_size} B")
    return tuple(fields)


def _chunks(plain: Mapping[str, Any], rank: int) -> Chunks:
    shape = tuple(_whole(size) for size in plain["chunk_shape"])
    flat = np.array(plain["chunks"], np.int64).reshape(-1, rank + 3)
    if len(shape) != rank or not rank or 0 in shape:
        raise ValueError(f"chunks of shape {shape}")
    return Chunks(
        shape=shape,
        filters=tuple(
            (_whole(code), tuple(_whole(value) for value in values))
            for code, values, _ in plain["filters"]
        ),
        places=flat[:, :rank],
        starts=flat[:, rank],
        sizes=flat[:, rank + 1],
        masks=flat[:, rank + 2],
    )


def _check_chunks(chunks: Chunks, dataset: Dataset, *, file_size: int, what: str) -> None:
    assert dataset.shape is not None
    for code, _ in chunks.filters:
        if code not in (DEFLATE, SHUFFLE, FLETCHER32):
            known = FILTERS.get(code, f"number {code}")
            raise ArchiveError(
                f"{what}: compressed with the filter {known}, which is not read here; save it with"
                " gzip or uncompressed"
            )
    size = math.prod(chunks.shape) * dataset.item_size
    if size > CHUNK_SIZE_MAX:
        raise SizeLimitError(f"{what}: chunks of {size} B, at most {CHUNK_SIZE_MAX} B allowed")
    grid = [-(-whole // part) for whole, part in zip(dataset.shape, chunks.shape, strict=True)]
    if len(chunks.starts) != math.prod(grid):
        raise RowError(
            f"{what}: {math.prod(grid)} chunks are declared, the file holds {len(chunks.starts)}"
        )
    index, rest = np.divmod(chunks.places, chunks.shape)
    is_inside = (index >= 0) & (index < grid)
    if rest.any() or not is_inside.all() or len(np.unique(index, axis=0)) != len(index):
        raise ArchiveError(f"{what}: its chunks do not tile it; the file is damaged")
    order = np.argsort(chunks.starts)
    starts, sizes = chunks.starts[order], chunks.sizes[order]
    if starts[0] < 0 or (sizes < 0).any() or (sizes > 2 * size + 1024).any():
        raise ArchiveError(f"{what}: a chunk's size is impossible; the file is damaged")
    ends = starts + sizes
    if (ends[:-1] > starts[1:]).any() or ends[-1] > file_size:
        raise ArchiveError(f"{what}: its chunks overlap or end beyond the file; it is damaged")
