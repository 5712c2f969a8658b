"""The numbers of an HDF5 dataset, from the file's bytes straight into columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from smlmfmt import deflate
from smlmfmt.errors import ArchiveError, RowError
from smlmfmt.hdf5.layout import DEFLATE, SHUFFLE, Chunks, Dataset, Field

__all__ = ["read_fields"]

BLOCK_SIZE = 1 << 20
_FLETCHER_MODULUS = 65_535
_CHECKSUM_SIZE = 4

Numbers = npt.NDArray[Any]


def read_fields(
    file: BinaryIO, dataset: Dataset, *, names: Collection[str] | None = None, what: str
) -> dict[str, Numbers]:
    """Return numbers of a checked dataset by field name, each of the dataset's shape.

    Memory for all of them is taken at once: `Dataset.check` has shown that the bytes are there.

    Args:
        file: Seekable.
        dataset: As `Dataset.check` let it pass.
        names: The fields to read; None for all.
        what: File and dataset, for messages.

    Raises:
        ArchiveError: A chunk is damaged.
        RowError: The file ended while it was read.
    """
    fields = [field for field in dataset.fields if names is None or field.name in names]
    shape = dataset.shape or ()
    arrays = [np.empty(shape, field.dtype.newbyteorder("=")) for field in fields]
    if dataset.count and fields:
        reader = _Reader(file=file, dataset=dataset, fields=fields, arrays=arrays, what=what)
        if dataset.chunks is not None:
            reader.read_chunks(dataset.chunks)
        else:
            reader.read_whole()
    return {field.name: array for field, array in zip(fields, arrays, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """One dataset on its way into arrays."""

    file: BinaryIO
    dataset: Dataset
    fields: list[Field]
    arrays: list[Numbers]
    what: str

    def read_whole(self) -> None:
        """Read values that lie behind one another."""
        item_size, count = self.dataset.item_size, self.dataset.count
        record = self._record()
        flat = [array.reshape(-1) for array in self.arrays]
        step = max(1, BLOCK_SIZE // item_size)

        def part(start: int) -> tuple[int, bytes]:
            return start, self._bytes(start * item_size, min(step, count - start) * item_size)

        def split(block: tuple[int, bytes]) -> None:
            start, data = block
            values = np.frombuffer(data, record)
            for index, array in enumerate(flat):
                array[start : start + len(values)] = values[f"f{index}"]

        for _ in deflate.in_threads(split, map(part, range(0, count, step))):
            pass

    def read_chunks(self, chunks: Chunks) -> None:
        """Read values that lie in compressed pieces all over the file."""
        record = self._record()

        def unpack(piece: tuple[int, bytes]) -> None:
            number, data = piece
            content = self._unfiltered(data, chunks, mask=int(chunks.masks[number]))
            values = np.frombuffer(content, record).reshape(chunks.shape)
            place = [int(start) for start in chunks.places[number]]
            target = tuple(
                slice(start, start + size) for start, size in zip(place, chunks.shape, strict=True)
            )
            for index, array in enumerate(self.arrays):
                there = array[target]  # Shorter than a chunk at the dataset's edge.
                inside = tuple(slice(0, size) for size in there.shape)
                there[...] = values[f"f{index}"][inside]

        for _ in deflate.in_threads(unpack, self._pieces(chunks)):
            pass

    def _pieces(self, chunks: Chunks) -> Iterator[tuple[int, bytes]]:
        for number in np.argsort(chunks.starts):
            start, size = int(chunks.starts[number]), int(chunks.sizes[number])
            yield int(number), self._at(start, size)

    def _record(self) -> np.dtype[Any]:
        return np.dtype(
            {
                "names": [f"f{index}" for index in range(len(self.fields))],
                "formats": [field.dtype for field in self.fields],
                "offsets": [field.offset for field in self.fields],
                "itemsize": self.dataset.item_size,
            }
        )

    def _bytes(self, start: int, size: int) -> bytes:
        if self.dataset.inline is not None:
            return self.dataset.inline[start : start + size]
        return self._at((self.dataset.offset or 0) + start, size)

    def _at(self, start: int, size: int) -> bytes:
        self.file.seek(start)
        data = self.file.read(size)
        if len(data) != size:
            raise RowError(f"{self.what}: the file ended while it was read")
        return data

    def _unfiltered(self, data: bytes, chunks: Chunks, *, mask: int) -> bytes:
        """Return a chunk's values, the filters undone in reverse."""
        size = self.dataset.item_size
        for part in chunks.shape:
            size *= part
        for position in reversed(range(len(chunks.filters))):
            code, values = chunks.filters[position]
            if mask >> position & 1:
                continue
            if code == DEFLATE:
                # Checksums of filters before this one come on top of the values.
                data = self._inflated(data, size_max=size + _CHECKSUM_SIZE * len(chunks.filters))
            elif code == SHUFFLE:
                data = _unshuffled(data, values[0] if values else 1)
            else:
                data = self._summed(data)
        if len(data) != size:
            raise ArchiveError(f"{self.what}: a chunk holds {len(data)} B instead of {size} B")
        return data

    def _inflated(self, data: bytes, *, size_max: int) -> bytes:
        stream = isal_zlib.decompressobj()
        try:
            content = stream.decompress(data, size_max + 1)
        except deflate.ERROR as error:
            raise ArchiveError(f"{self.what}: a chunk is damaged ({error})") from error
        if not stream.eof or len(content) > size_max:
            raise ArchiveError(f"{self.what}: a chunk is cut short or holds more than it may")
        return content

    def _summed(self, data: bytes) -> bytes:
        content, stored = data[:-_CHECKSUM_SIZE], data[-_CHECKSUM_SIZE:]
        if len(data) < _CHECKSUM_SIZE or not _is_fletcher32(content, stored):
            raise ArchiveError(f"{self.what}: a chunk's checksum differs; the file is damaged")
        return content


def _unshuffled(data: bytes, size: int) -> bytes:
    """Return values whose first bytes come first, then the second ones, as values again."""
    count = len(data) // size if size > 1 else 0
    if not count:
        return data
    planes = np.frombuffer(data, np.uint8, count * size).reshape(size, count)
    return np.ascontiguousarray(planes.T).tobytes() + data[count * size :]


def _is_fletcher32(content: bytes, stored: bytes) -> bool:
    """Compare with HDF5's variant: sums of big-endian 16-bit words, modulo 65,535."""
    words = np.frombuffer(content + b"\0" * (len(content) % 2), ">u2").astype(np.uint64)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64) % _FLETCHER_MODULUS
    sums = int(words.sum()) % _FLETCHER_MODULUS, int((words * weights).sum()) % _FLETCHER_MODULUS
    found = int.from_bytes(stored, "little")
    halves = (found & 0xFFFF) % _FLETCHER_MODULUS, (found >> 16) % _FLETCHER_MODULUS
    return sums == halves
