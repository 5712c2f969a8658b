"""Nodes for one test, gone after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import smlmfmt
from tests.processes import nodes

Start = Callable[..., nodes.RunningNode]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start nodes that are killed when the test ends, however it ends."""
    running: list[nodes.RunningNode] = []

    def start_one(home: Path, *, port: int = 0) -> nodes.RunningNode:
        node = nodes.serve(home, port=port)
        running.append(node)
        return node

    yield start_one
    for node in running:
        if node.process.poll() is None:
            node.kill()
        if node.process.stdout is not None:
            node.process.stdout.close()


@pytest.fixture
def table_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a small ThunderSTORM table of its own for each seed."""

    def write(seed: int = 0, rows: int = 5000) -> Path:
        random = np.random.default_rng(seed)
        table = smlmfmt.LocTable(
            {
                "frame": np.sort(random.integers(1, 500, rows)),
                "x": random.normal(5000, 900, rows),
                "y": random.normal(5000, 900, rows),
                "intensity": random.exponential(900, rows),
                "uncertainty_xy": random.gamma(9, 1.2, rows),
            },
            units={"x": "nm", "y": "nm", "intensity": "photon", "uncertainty_xy": "nm"},
        )
        path = tmp_path / f"cell{seed}.csv"
        smlmfmt.write(path, table, format="thunderstorm")
        return path

    return write
