"""The bytes of a pyramid file: header, index entries, and where a column's bits lie in a tile.

docs/pyramid.md describes them completely; a change here is a change there, and a new VERSION.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smlmfmt.pyramid.encoding import Encoding

__all__ = [
    "AXES",
    "BINS_MAX",
    "COLUMNS_MAX",
    "CONTINUES",
    "ENTRY",
    "FINE",
    "FINE_LEVELS_MAX",
    "FORMAT",
    "HEADER",
    "HEADER_SIZE",
    "LEVEL_MAX",
    "LIMIT_MAX",
    "MAGIC",
    "METADATA_SIZE_MAX",
    "NODES_MAX",
    "POSITION_LANES",
    "ROWS_PER_TILE_MAX",
    "ROWS_PER_TILE_MIN",
    "SEED_MAX",
    "VERSION",
    "Column",
    "Header",
    "Lane",
    "codes_per_bin",
    "lay_out",
    "tile_rows_max",
]

FORMAT = "pyramid"
MAGIC = b"\x89LPYR\r\n\x1a"  # As PNG's: a transfer as text damages it visibly.
VERSION = 1
HEADER = struct.Struct("<8sIIQIIQQQQ")
HEADER_SIZE = HEADER.size
METADATA_SIZE_MAX = 1 << 20
COLUMNS_MAX = 32
BINS_MAX = 256
NODES_MAX = 1 << 18
LEVEL_MAX = (
    24  # A cell's side is at least the root's / 2**24; its positions keep 8 bits below that.
)
LIMIT_MAX = (1 << 32) - 1
SEED_MAX = (1 << 63) - 1
ROWS_PER_TILE_MIN, ROWS_PER_TILE_MAX = 16, 1 << 20
FINE_LEVELS_MAX = 16  # Below, 16 bits already are all that is kept.

FINE = 1  # The tile begins with fine planes: the next 16 bits of each position.
CONTINUES = 2  # The one child is more of the same cell.

ENTRY = np.dtype(
    [
        ("offset", "<u8"),
        ("n", "<u4"),
        ("n_total", "<u4"),
        ("limit", "<u4"),
        ("first_child", "<u4"),
        ("ix", "<u4"),
        ("iy", "<u4"),
        ("iz", "<u4"),
        ("level", "u1"),
        ("children", "u1"),
        ("flags", "<u2"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first 64 bytes."""

    metadata_size: int
    root_offset: int
    root_size: int
    node_count: int
    index_offset: int
    file_size: int
    placed: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Header:
        """Return the header of the numbers between version and reserved bytes."""
        return cls(**dict(zip(cls.__slots__, numbers, strict=True)))

    def to_bytes(self) -> bytes:
        """Return the header's bytes."""
        return HEADER.pack(
            MAGIC,
            VERSION,
            self.metadata_size,
            self.root_offset,
            self.root_size,
            self.node_count,
            self.index_offset,
            self.file_size,
            self.placed,
            0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Some bits of a column: code >> shift, in bytes `byte` to `byte + size` of a plane's words."""

    plane: int
    byte: int
    size: int
    shift: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """An attribute: its name, unit, codes, and the lanes these lie in."""

    name: str
    unit: str
    encoding: Encoding
    lanes: tuple[Lane, ...]


AXES = ("x", "y", "z")
POSITION_LANES = (
    (Lane(plane=0, byte=0, size=2, shift=16),),
    (Lane(plane=0, byte=2, size=2, shift=16),),
    (Lane(plane=1, byte=0, size=2, shift=16),),
)


def codes_per_bin(codes: int) -> int:
    """Return how many codes share a bin of a histogram: as few as give 256 bins or fewer."""
    return -(-codes // BINS_MAX)


def tile_rows_max(rows_per_tile: int) -> int:
    """Return how many rows a tile may have: 1.5 K are expected at most, by chance it is more."""
    expected = 1.5 * rows_per_tile
    return int(expected + 10 * math.sqrt(expected) + 10)


def lay_out(dimension: int, bits: Sequence[int]) -> tuple[list[tuple[Lane, ...]], int]:
    """Return the lanes of each column, and how many planes that makes.

    Plane 0 is x and y; in 3D z is the lower half of plane 1. Then all halves come in the columns'
    order, then all quarters, each at the first free and aligned place.
    """
    taken = [{0, 1, 2, 3}, {0, 1}] if dimension == 3 else [{0, 1, 2, 3}]
    lanes: list[list[Lane]] = [[] for _ in bits]
    for size in (2, 1):
        for index, count in enumerate(bits):
            shifts = range(0, count - 8, 16) if size == 2 else range(0, count % 16, 16)
            for shift in shifts:
                plane, byte = _place(taken, size)
                below = shift if size == 2 else count - 8
                lanes[index].append(Lane(plane=plane, byte=byte, size=size, shift=below))
    return [tuple(found) for found in lanes], len(taken)


def _place(taken: list[set[int]], size: int) -> tuple[int, int]:
    for plane, bytes_taken in enumerate(taken):
        for byte in range(0, 4, size):
            wanted = set(range(byte, byte + size))
            if not wanted & bytes_taken:
                bytes_taken.update(wanted)
                return plane, byte
    taken.append(set(range(size)))
    return len(taken) - 1, 0
