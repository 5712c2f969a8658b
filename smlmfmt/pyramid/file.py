"""An open pyramid file. It may come from a stranger: nothing is believed before it is checked."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import ArchiveError, SizeLimitError
from smlmfmt.pyramid.about import About, parse
from smlmfmt.pyramid.index import read_index
from smlmfmt.pyramid.layout import (
    AXES,
    ENTRY,
    FINE,
    HEADER,
    HEADER_SIZE,
    MAGIC,
    METADATA_SIZE_MAX,
    NODES_MAX,
    VERSION,
    Column,
    Header,
)

__all__ = ["Pyramid", "open"]

Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float64]


def open(path: str | Path) -> Pyramid:  # noqa: A001 - smlmfmt.pyramid.open, as gzip.open.
    """Open a pyramid file and check its header, metadata and index.

    Raises:
        ArchiveError: It is not a pyramid, or its parts do not fit together.
        HeaderError: Its metadata breaks a rule.
        SizeLimitError: It asks for more memory than any pyramid needs.
    """
    file = builtins.open(path, "rb")  # noqa: SIM115, PTH123 - Pyramid closes it.
    try:
        return Pyramid(file, what=str(Path(path).name))
    except BaseException:
        file.close()
        raise


class Pyramid:
    """A pyramid's tree, and its tiles on demand; for one thread at a time.

    Close it, or use it in a `with` statement.

    Attributes:
        about: The metadata.
        nodes: Structured array of NODE, breadth first. tau is the probability with which a row of
            the cell is in a tile on the way from the root to this node; n rows are in this
            node's tile, n_total in its cell. parent is -1 for the root; children is a mask of
            octants, whose nodes begin at first_child.
    """

    def __init__(self, file: BinaryIO, *, what: str = "pyramid") -> None:
        self._file, self._what = file, what
        size = file.seek(0, 2)
        file.seek(0)
        header = self._header(file.read(HEADER_SIZE), size)
        text = self._read(HEADER_SIZE, header.metadata_size)
        self.about: About = parse(text, what=what)
        entries = np.frombuffer(
            self._read(header.index_offset, header.node_count * ENTRY.itemsize), ENTRY
        )
        self.nodes: Array = read_index(entries, self.about, header, what=what)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what has been read stays."""
        self._file.close()

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        """The least and greatest x, y (and z) of the rows, exactly; all 0 if there is no row."""
        facts = (self.about.measured[axis] for axis in AXES[: self.about.dimension])
        return tuple((fact.low or 0.0, fact.high or 0.0) for fact in facts)

    def planes(self, node: int) -> npt.NDArray[np.uint32]:
        """Return a node's tile as it is in the file: shape (planes, n)."""
        entry = self.nodes[node]
        data = self._read(int(entry["offset"]), int(entry["byte_len"]))
        planes = np.frombuffer(data, "<u4").astype(np.uint32, copy=False)
        return planes.reshape(self.about.planes + self._fine(node), int(entry["n"]))

    def read(self, node: int) -> dict[str, Floats]:
        """Return the columns of a node's tile, float64, in their units; a missing value is NaN.

        Raises:
            ArchiveError: A column has a code that its encoding does not know.
        """
        entry = self.nodes[node]
        planes = self.planes(node)
        found = {}
        for axis, codes in zip(AXES, self.positions(node, planes), strict=False):
            cell = int(entry[f"i{axis}"]) << (32 - int(entry["level"]))
            known = 32 if entry["flags"] & FINE else min(32, int(entry["level"]) + 16)
            place = cell + (codes >> int(entry["level"])) + 2.0 ** (32 - known) / 2
            found[axis] = self.about.origin[AXES.index(axis)] + place * (self.about.side / 2**32)
        for column in self.about.columns:
            found[column.name] = self._values(column, planes, node)
        return found

    def positions(self, node: int, planes: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """Return where in its cell each row is: of 2**32 along each axis, shape (d, n).

        Without fine planes, the lower 16 bits are 0.
        """
        fine = self._fine(node)
        words = planes.astype(np.int64)
        codes = [words[fine] & 0xFFFF, words[fine] >> 16]
        below = [words[0] & 0xFFFF, words[0] >> 16] if fine else [0, 0]
        if self.about.dimension == 3:
            codes.append(words[fine + 1] & 0xFFFF)
            below.append(words[1] & 0xFFFF if fine else 0)
        return np.stack([(high << 16) | low for high, low in zip(codes, below, strict=True)])

    def _fine(self, node: int) -> int:
        return self.about.fine_planes if self.nodes["flags"][node] & FINE else 0

    def _values(self, column: Column, planes: npt.NDArray[np.uint32], node: int) -> Floats:
        fine = self._fine(node)
        codes = np.zeros(planes.shape[1], np.int64)
        for lane in column.lanes:
            word = planes[fine + lane.plane].astype(np.int64) >> (8 * lane.byte)
            codes |= (word & ((1 << (8 * lane.size)) - 1)) << lane.shift
        if codes.max(initial=0) > column.encoding.last:
            where = f"{self._what}: tile {node}: column {column.name!r}"
            raise ArchiveError(f"{where} has codes above {column.encoding.last}, its last")
        return column.encoding.decode(codes)

    def _header(self, data: bytes, size: int) -> Header:
        what = self._what
        if len(data) < HEADER_SIZE or not data.startswith(MAGIC):
            raise ArchiveError(f"{what}: not a pyramid file")
        _, version, *numbers, reserved = HEADER.unpack(data)
        if version != VERSION or reserved:
            raise ArchiveError(f"{what}: version {version} of pyramid files is not known here")
        header = Header.of(numbers)
        if header.file_size != size:
            raise ArchiveError(f"{what}: {size} B of {header.file_size}: cut short or added to")
        if header.metadata_size > METADATA_SIZE_MAX or header.metadata_size % 4:
            raise SizeLimitError(f"{what}: {header.metadata_size} B of metadata")
        if not 1 <= header.node_count <= NODES_MAX:
            raise SizeLimitError(f"{what}: {header.node_count} nodes; there are 1 to {NODES_MAX}")
        end = header.index_offset + header.node_count * ENTRY.itemsize
        in_order = HEADER_SIZE + header.metadata_size == header.root_offset
        in_order &= header.root_offset + header.root_size == header.index_offset
        if not in_order or end > size:
            raise ArchiveError(f"{what}: metadata, root and index do not follow one another")
        return header

    def _read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise ArchiveError(f"{self._what}: cut short at byte {offset + len(data)}")
        return data
