"""Pyramids as they are looked at: the top of each is kept, tiles are read when they are wanted.

Blobs come from here, or from whoever holds them; either way their bytes were checked against the
Merkle root of a signed record. Their authors are strangers all the same: a file that is no sound
pyramid is told as such, and remembered, so that it is not read again and again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from node.errors import InputError, NotFoundError
from node.viewing.parts import Parts
from smlmfmt.errors import FormatError
from smlmfmt.pyramid import Pyramid
from smlmfmt.pyramid.layout import ENTRY, HEADER, HEADER_SIZE, MAGIC, METADATA_SIZE_MAX, NODES_MAX

__all__ = ["ENTRY_SIZE", "Read", "Shelf", "Top", "read_each", "read_tiles"]

Read: TypeAlias = Callable[[int, int], Awaitable[bytes]]
"""Gives the verified bytes [start, end) of a blob."""

ENTRY_SIZE = ENTRY.itemsize
FIRST_SIZE = 32 << 10  # Header and, usually, metadata.
TOP_SIZE_MAX = 16 << 20
KEPT_SIZE_MAX = 64 << 20
TILES_MAX = 64
TILES_SIZE_MAX = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Top:
    """Header, metadata, the root's tile and the whole index of a pyramid, all checked.

    Attributes:
        data: The bytes, from the file's first.
        size: Of the whole file.
        index_offset: Where the index begins; it ends where `data` does.
        spans: int64, shape (nodes, 2): where each tile begins and ends in the file.
    """

    data: bytes
    size: int
    index_offset: int
    spans: npt.NDArray[np.int64]

    @property
    def node_count(self) -> int:
        """How many nodes there are."""
        return len(self.spans)

    def span(self, node: int) -> tuple[int, int]:
        """Return where a node's tile begins and ends.

        Raises:
            NotFoundError: There is no such node.
        """
        if not 0 <= node < len(self.spans):
            raise NotFoundError(f"there is no tile {node}: the pyramid has {len(self.spans)}")
        start, end = self.spans[node].tolist()
        return start, end

    def open(self, tiles: dict[int, bytes]) -> Pyramid:
        """Return the pyramid as far as it is here: the top, and these tiles by node."""
        parts = {0: self.data} | {self.span(node)[0]: data for node, data in tiles.items() if data}
        parts[0] = self.data  # The root's tile is in there.
        return Pyramid(Parts(parts, size=self.size))


class Shelf:
    """The tops of the pyramids that were looked at last."""

    def __init__(self, *, size_max: int = KEPT_SIZE_MAX) -> None:
        self._size_max = size_max
        self._size = 0
        self._kept: OrderedDict[str, Top | str] = OrderedDict()

    async def top(self, sha256: str, size: int, read: Read) -> Top:
        """Return the top of a pyramid.

        Args:
            sha256: Its name.
            size: Its size in bytes, as its Merkle root vouches for.
            read: Gives its bytes.

        Raises:
            NotFoundError: It is not a sound pyramid.
        """
        kept = self._kept.get(sha256)
        if kept is None:
            try:
                data = await _read_top(size, read)
                kept = await asyncio.to_thread(_check, data, size)
            except FormatError as error:
                kept = f"{sha256} is not a pyramid that can be shown: {error}"
            self._keep(sha256, kept)
        else:
            self._kept.move_to_end(sha256)
        if isinstance(kept, str):
            raise NotFoundError(kept)
        return kept

    def _keep(self, sha256: str, top: Top | str) -> None:
        before = self._kept.pop(sha256, None)
        self._size += _weight(top) - (0 if before is None else _weight(before))
        self._kept[sha256] = top
        while self._size > self._size_max and len(self._kept) > 1:
            self._size -= _weight(self._kept.popitem(last=False)[1])


async def read_tiles(top: Top, nodes: Sequence[int], read: Read) -> bytes:
    """Return tiles behind one another; neighbours in the file are read as one.

    Raises:
        InputError: That is too much for one answer.
        NotFoundError: There is no such node.
    """
    if not 0 < len(nodes) <= TILES_MAX:
        raise InputError(f"1 to {TILES_MAX} tiles at once, not {len(nodes)}")
    spans = [top.span(node) for node in nodes]
    total = sum(end - start for start, end in spans)
    if total > TILES_SIZE_MAX and len(nodes) > 1:
        raise InputError(f"these tiles have {total} bytes; {TILES_SIZE_MAX} are given at once")
    runs: list[tuple[int, int]] = []
    for start, end in spans:
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return b"".join(await asyncio.gather(*(read(start, end) for start, end in runs)))


async def read_each(top: Top, nodes: Sequence[int], read: Read) -> dict[int, bytes]:
    """Return tiles by node, however many; neighbours in the file are read as one."""
    spans = {node: top.span(node) for node in nodes}
    runs: list[list[int]] = []
    for node in sorted(nodes, key=lambda node: spans[node]):
        start, end = spans[node]
        last = runs[-1] if runs else []
        is_near = last and spans[last[-1]][1] == start
        if is_near and end - spans[last[0]][0] <= TILES_SIZE_MAX:
            last.append(node)
        else:
            runs.append([node])
    found: dict[int, bytes] = {}
    for run in runs:
        start = spans[run[0]][0]
        data = await read(start, spans[run[-1]][1])
        found |= {node: data[spans[node][0] - start : spans[node][1] - start] for node in run}
    return found


async def _read_top(size: int, read: Read) -> bytes:
    first = await read(0, min(FIRST_SIZE, size))
    end = _top_end(first, size)
    if end <= len(first):
        return first[:end]
    return first + await read(len(first), end)


def _top_end(first: bytes, size: int) -> int:
    """Return where the index ends, as the header says; Pyramid judges whether that is true."""
    if len(first) < HEADER_SIZE or not first.startswith(MAGIC):
        raise FormatError("it does not begin as a pyramid does")
    _, _, metadata_size, _, root_size, node_count, index_offset, *_ = HEADER.unpack_from(first)
    end = int(index_offset) + ENTRY_SIZE * int(node_count)
    if metadata_size > METADATA_SIZE_MAX or node_count > NODES_MAX or end > TOP_SIZE_MAX:
        raise FormatError(f"its metadata, root ({root_size} bytes) and index are too large")
    if end > size:
        raise FormatError(f"its index ends at byte {end} of {size}")
    return end


def _check(data: bytes, size: int) -> Top:
    with Pyramid(Parts({0: data}, size=size)) as pyramid:
        nodes = pyramid.nodes
    spans = np.stack([nodes["offset"], nodes["offset"] + nodes["byte_len"]], axis=1)
    index_offset = len(data) - ENTRY_SIZE * len(nodes)
    return Top(data=data, size=size, index_offset=index_offset, spans=spans)


def _weight(top: Top | str) -> int:
    return 1_024 if isinstance(top, str) else len(top.data) + top.spans.nbytes
