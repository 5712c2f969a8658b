"""Make a pyramid: read the rows three times, keep counters and records of a few bytes a row.

1. `plan`: bounds, least and greatest values. 2. `tree`: counts per cell, which say what nodes
there are (once more for each round that dense places need). 3. Here: each row's node and record,
sorted by node within its block. Then the blocks' records of a node are brought together, ordered,
split into planes, and written from the file's first byte to its last.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt.deflate import in_threads
from smlmfmt.errors import FormatError
from smlmfmt.pyramid.encoding import log_steps
from smlmfmt.pyramid.layout import (
    CONTINUES,
    ENTRY,
    FINE,
    HEADER_SIZE,
    Column,
    Header,
    codes_per_bin,
    tile_rows_max,
)
from smlmfmt.pyramid.metadata import describe
from smlmfmt.pyramid.plan import Columns, Options, Plan, make_plan
from smlmfmt.pyramid.source import Block, RowBlocks, Source
from smlmfmt.pyramid.spill import Group, Spill
from smlmfmt.pyramid.tree import Frontier, Tree, grow
from smlmfmt.table import LocTable

__all__ = ["build"]

Words: TypeAlias = npt.NDArray[np.uint32]
Counts: TypeAlias = npt.NDArray[np.int64]
Make: TypeAlias = Callable[[], Block]


def build(
    table: LocTable | RowBlocks,
    path: str | Path,
    *,
    columns: Columns | None = None,
    options: Options | None = None,
) -> None:
    """Write a table's pyramid to a file; the same rows and options give the same bytes.

    Args:
        table: A table, which may lie in memory maps, or blocks of rows to be read several times.
        path: Written anew; removed again if the build fails.
        columns: What to carry beside the position: names, or how to carry each by name. None takes
            frame, uncertainty_xy, intensity and channel, as far as there are.
        options: Dimension, rows per tile, seed.

    Raises:
        HeaderError: There is no x or y, or no such column.
        RowError: The blocks of a stream do not fit together.
        SizeLimitError: That would be too many tiles.
    """
    options = options or Options()
    source = Source(table)
    plan = make_plan(source, columns, options)
    tree = _grow(source, plan)
    path = Path(path)
    fine_nodes = int(np.searchsorted(tree.nodes["level"], plan.fine_levels))
    width = np.full(len(tree.nodes), plan.planes, np.int64)
    width[:fine_nodes] += plan.fine_planes
    size = 4 * plan.placed * int(width[0])
    with Spill(path.parent if size > options.memory_size else None) as spill:
        work = _Scatter(plan=plan, tree=tree, fine_nodes=fine_nodes, width=width)
        counts = np.zeros(len(tree.nodes), np.int64)
        bins = work.bins()
        for part in in_threads(work, source.blocks(plan.axes, work.names)):
            spill.add(part.records, part.starts)
            counts += part.counts
            for total, more in zip(bins, part.bins, strict=True):
                np.add(total, more, out=total)
        assert counts.sum() == plan.placed
        if counts.max() > tile_rows_max(plan.rows_per_tile):
            # By chance less often than once in 10**20 tiles; but rows can be ordered to do it.
            raise FormatError(
                f"{source.name}: the rows' order defeats seed {plan.seed}; take another"
            )
        text = describe(source, plan, bins)
        try:
            with path.open("wb") as file:
                _write(file, text, work, groups=spill.groups(counts * width), counts=counts)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _places(block: Block, plan: Plan) -> Words:
    from smlmfmt.pyramid.kernels import quantise  # noqa: PLC0415 - numba is slow to import.

    places = np.empty(block.axes.shape, np.uint32)
    for axis, values in enumerate(block.axes):
        quantise(values, plan.cube.origin[axis], plan.cube.scale, places[axis])
    return places


def _grow(source: Source, plan: Plan) -> Tree:
    from smlmfmt.pyramid.kernels import count_cells  # noqa: PLC0415 - numba is slow to import.

    def count(frontier: Frontier) -> Words:
        free: queue.SimpleQueue[Words] = queue.SimpleQueue()
        used: list[Words] = []

        def work(make: Make) -> None:
            places = _places(make(), plan)
            try:
                counts = free.get_nowait()
            except queue.Empty:  # As many as there are threads.
                counts = np.zeros(frontier.cells, np.uint32)
                used.append(counts)
            f = frontier
            count_cells(places, f.child, f.slot, f.depth, f.height, counts)
            free.put(counts)

        for _ in in_threads(work, source.blocks(plan.axes)):
            pass
        total = used[0]
        for counts in used[1:]:
            total += counts
        return total

    z_top = plan.cube.place(plan.cube.bounds[2][1], 2) if plan.dimension == 3 else 0
    return grow(
        count,
        total=plan.placed,
        rows_per_tile=plan.rows_per_tile,
        dimension=plan.dimension,
        z_top=z_top,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One block's records sorted by node, and what there is to count in it."""

    records: Words
    starts: Words
    counts: Counts
    bins: list[Counts]


class _Scatter:
    """Turns blocks into records; called in threads."""

    def __init__(self, *, plan: Plan, tree: Tree, fine_nodes: int, width: Counts) -> None:
        self.plan, self.tree, self.fine_nodes, self.width = plan, tree, fine_nodes, width
        self.names = tuple(column.name for column in plan.columns)
        self._limit = tree.limit
        self._level = np.ascontiguousarray(tree.nodes["level"].astype(np.uint8))
        self._log = {
            column.name: log_steps(column.encoding)
            for column in plan.columns
            if column.encoding.scale == "log"
        }
        spans = [plan.cube.place(high, axis) - plan.cube.place(low, axis) + 1
                 for axis, (low, high) in enumerate(plan.cube.bounds)]  # fmt: skip
        spans += [column.encoding.codes for column in plan.columns]
        self._codes_per_bin = [codes_per_bin(span) for span in spans]
        self._bin_counts = [-(-span // self._codes_per_bin[i]) for i, span in enumerate(spans)]

    def bins(self) -> list[Counts]:
        """Return empty histograms of the axes, then of the columns."""
        return [np.zeros(count, np.int64) for count in self._bin_counts]

    def __call__(self, make: Make) -> _Part:
        from smlmfmt.pyramid import kernels  # noqa: PLC0415 - numba is slow to import.

        block = make()
        places = _places(block, self.plan)
        bins = self.bins()
        words = self._words(block, bins)
        for axis, codes in enumerate(places):
            first = self.plan.cube.place(self.plan.cube.bounds[axis][0], axis)
            kernels.tally(codes, first, 1 / self._codes_per_bin[axis], bins[axis])
        tree = self.tree
        nodes = np.empty(places.shape[1], np.int32)
        counts = np.zeros(len(tree.nodes), np.int64)
        kernels.assign(
            places,
            block.first_row,
            block.rows,
            self.plan.seed,
            self._limit,
            tree.child,
            tree.chain,
            tree.slabs,
            nodes,
            counts,
        )
        starts = np.concatenate([[0], np.cumsum(counts * self.width)])
        records = np.empty(int(starts[-1]), np.uint32)
        at = starts[:-1].copy()
        kernels.pack(places, nodes, self._level, self.fine_nodes, words, at, records)
        return _Part(records=records, starts=starts.astype(np.uint32), counts=counts, bins=bins)

    def _words(self, block: Block, bins: list[Counts]) -> Words:
        """Return the planes of a block's rows, the columns' bits in them."""
        from smlmfmt.pyramid import kernels  # noqa: PLC0415 - numba is slow to import.

        words = np.zeros((self.plan.planes, block.axes.shape[1]), np.uint32)
        for index, column in enumerate(self.plan.columns, start=self.plan.dimension):
            part = 1 / self._codes_per_bin[index]
            codes = self._codes(column, block.columns[column.name], part=part, bins=bins[index])
            for lane in column.lanes:
                mask = (1 << (8 * lane.size)) - 1
                kernels.lay(codes, lane.shift, mask, 8 * lane.byte, words[lane.plane])
        return words

    def _codes(
        self, column: Column, values: npt.NDArray[np.float64], *, part: float, bins: Counts
    ) -> Words:
        from smlmfmt.pyramid import kernels  # noqa: PLC0415 - numba is slow to import.

        encoding, codes = column.encoding, np.empty(values.size, np.uint32)
        if encoding.scale == "log":
            steps, guess, key = self._log[column.name]
            kernels.encode_log(values, steps, guess, key, part, bins, codes)
        else:
            kernels.encode_linear(
                values, encoding.lo, encoding.step, encoding.codes, part, bins, codes
            )
        return codes

    def tiles(self, group: Group) -> Words:
        """Return a group's tiles as they are in the file."""
        from smlmfmt.pyramid.kernels import finish_tile, merge  # noqa: PLC0415

        records = np.empty(group.pieces.size, np.uint32)
        merge(group.pieces, group.bases, group.starts, records)
        out = np.empty_like(records)
        ends = np.cumsum((group.starts[:, 1:] - group.starts[:, :-1]).sum(axis=0))
        start = 0
        for node, end in zip(range(group.start, group.end), ends.tolist(), strict=True):
            fine = self.plan.fine_planes if node < self.fine_nodes else 0
            width = int(self.width[node])
            has_z = self.plan.dimension == 3
            finish_tile(records[start:end], width, fine, has_z, out[start:end])
            start = end
        return out


def _write(
    file: BinaryIO, text: bytes, work: _Scatter, *, groups: Iterator[Group], counts: Counts
) -> None:
    """Write header, metadata, the root's tile, the index and the other tiles."""
    sizes = 4 * counts * work.width
    root = HEADER_SIZE + len(text)
    index = root + int(sizes[0])
    rest = index + ENTRY.itemsize * len(counts)
    header = Header(
        metadata_size=len(text),
        root_offset=root,
        root_size=int(sizes[0]),
        node_count=len(counts),
        index_offset=index,
        file_size=rest + int(sizes[1:].sum()),
        placed=work.plan.placed,
    )
    file.write(header.to_bytes())
    file.write(text)
    offsets = np.concatenate([[root], rest + np.cumsum(sizes[1:]) - sizes[1:]])
    for number, tiles in enumerate(in_threads(work.tiles, groups)):
        # Little endian in the file, whatever the machine.
        file.write(tiles.astype("<u4", copy=False).view(np.uint8).data)
        if number == 0:
            file.write(_entries(work, counts, offsets).tobytes())
    assert file.tell() == header.file_size


def _entries(work: _Scatter, counts: Counts, offsets: Counts) -> npt.NDArray[Any]:
    nodes = work.tree.nodes
    entries = np.zeros(len(nodes), ENTRY)
    entries["offset"], entries["n"] = offsets, counts
    entries["n_total"] = nodes["total"]
    for name in ("limit", "ix", "iy", "iz", "level"):
        entries[name] = nodes[name]
    parents = nodes["parent"][1:]
    np.bitwise_or.at(entries["children"], parents, (1 << nodes["octant"][1:]).astype(np.uint8))
    first = np.searchsorted(parents, np.arange(len(nodes))) + 1
    entries["first_child"] = np.where(entries["children"] > 0, first, 0)
    entries["flags"][: work.fine_nodes] |= FINE
    entries["flags"][parents[nodes["is_slab"][1:]]] |= CONTINUES
    return entries
