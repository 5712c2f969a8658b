"""The index of a pyramid file: its nodes, checked to be a tree whose tiles fill the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from smlmfmt.errors import ArchiveError
from smlmfmt.pyramid.about import About
from smlmfmt.pyramid.layout import (
    AXES,
    CONTINUES,
    ENTRY,
    FINE,
    LEVEL_MAX,
    LIMIT_MAX,
    Header,
    tile_rows_max,
)

__all__ = ["NODE", "read_index"]

Array: TypeAlias = npt.NDArray[Any]
Rule: TypeAlias = tuple[str, Any]  # What is broken if this is not true throughout.

NODE = np.dtype(
    [
        ("level", np.int64),
        ("ix", np.int64),
        ("iy", np.int64),
        ("iz", np.int64),
        ("n", np.int64),
        ("tau", np.float64),
        ("n_total", np.int64),
        ("offset", np.int64),
        ("byte_len", np.int64),
        ("parent", np.int64),
        ("first_child", np.int64),
        ("children", np.int64),
        ("limit", np.int64),
        ("flags", np.int64),
    ]
)


def read_index(entries: Array, about: About, header: Header, *, what: str) -> Array:
    """Return the nodes of an index, shape (nodes,), NODE.

    Args:
        entries: Shape (nodes,), ENTRY, at least one.
        about: The file's metadata.
        header: The file's header.
        what: The file's name.

    Raises:
        ArchiveError: They are not the nodes of one tree, breadth first, of these rows, whose
            tiles follow one another to the file's end.
    """
    counts = np.bitwise_count(entries["children"]).astype(np.int64)
    if counts.sum() != len(entries) - 1:
        raise ArchiveError(f"{what}: damaged index: there are not as many nodes as children")
    nodes = _nodes(entries, counts, about)
    for rule, holds in (*_tree_rules(nodes, counts, about), *_tile_rules(nodes, about, header)):
        if not np.all(holds):
            raise ArchiveError(f"{what}: damaged index: {rule}")
    return nodes


def _nodes(entries: Array, counts: Array, about: About) -> Array:
    nodes = np.zeros(len(entries), NODE)
    same = ("level", "ix", "iy", "iz", "n", "n_total", "first_child", "children", "limit", "flags")
    for name in same:
        nodes[name] = entries[name]
    nodes["tau"] = (nodes["limit"] + 1) / 2.0**32
    fine = np.where(nodes["level"] < about.fine_levels, about.fine_planes, 0)
    nodes["byte_len"] = 4 * nodes["n"] * (about.planes + fine)
    # An offset of 2**63 or more becomes negative here, and equals none that is expected.
    nodes["offset"] = entries["offset"].astype(np.int64)
    nodes["parent"] = np.concatenate([[-1], np.repeat(np.arange(len(nodes)), counts)])
    return nodes


def _tree_rules(nodes: Array, counts: Array, about: About) -> Iterator[Rule]:
    """Yield what must hold of the cells; nothing here takes more memory than the index does."""
    root, child = nodes[0], nodes[1:]
    parent = nodes[child["parent"]]
    has_children, continues = counts > 0, (nodes["flags"] & CONTINUES) > 0
    first = np.where(has_children, np.cumsum(counts) - counts + 1, 0)
    down = np.where(parent["flags"] & CONTINUES, 0, 1)
    octant = _octants(nodes["children"])
    yield "the root is not the root", [root[key] == 0 for key in ("level", "ix", "iy", "iz")]
    yield "the root does not have all rows", root["n_total"] == about.placed
    yield "children do not follow one another", nodes["first_child"] == first
    yield "a child comes before its parent", child["parent"] <= np.arange(len(child))
    yield "a level is not one below the parent's", child["level"] == parent["level"] + down
    yield "levels go too deep", nodes["level"] <= LEVEL_MAX
    for bit, axis in enumerate(AXES):
        place = (parent[f"i{axis}"] << down) + ((octant >> bit) & 1)
        yield "a cell is not in its parent's octant", child[f"i{axis}"] == place
    yield "there is z in 2D", nodes["children"] < (16 if about.dimension == 2 else 256)
    yield "flags are not known", nodes["flags"] <= FINE | CONTINUES
    yield "a node continues in another cell", nodes["children"][continues] == 1
    yield "a node continues above the last level", nodes["level"][continues] == LEVEL_MAX
    yield "a limit is not above the parent's", child["limit"] > parent["limit"]
    yield "a leaf leaves rows out", (nodes["limit"] == LIMIT_MAX) == ~has_children
    below = np.bincount(child["parent"], child["n_total"], len(nodes))
    yield "cells do not add up", (below == nodes["n_total"])[has_children]


def _tile_rules(nodes: Array, about: About, header: Header) -> Iterator[Rule]:
    rest = header.index_offset + len(nodes) * ENTRY.itemsize
    sizes = nodes["byte_len"]
    offsets = rest + np.cumsum(sizes[1:]) - sizes[1:]
    fine = (nodes["flags"] & FINE) > 0
    yield "header and metadata differ in rows", about.placed == header.placed
    yield "fine tiles are not where they should be", fine == (nodes["level"] < about.fine_levels)
    yield "a tile has more rows than its cell", nodes["n"] <= nodes["n_total"]
    yield "a tile is too large", nodes["n"] <= tile_rows_max(about.rows_per_tile)
    yield "tiles do not hold every row once", nodes["n"].sum() == about.placed
    yield "the root's tile is elsewhere", nodes["offset"][0] == header.root_offset
    yield "the root's tile has another size", sizes[0] == header.root_size
    yield "tiles do not follow one another", nodes["offset"][1:] == offsets
    yield "the file does not end with its tiles", rest + int(sizes[1:].sum()) == header.file_size


def _octants(masks: Array) -> npt.NDArray[np.int64]:
    """Return the octant of every child, in the order of the parents and of the octants."""
    bits = np.unpackbits(masks.astype(np.uint8)[:, None], axis=1, bitorder="little")
    return np.nonzero(bits)[1].astype(np.int64)
