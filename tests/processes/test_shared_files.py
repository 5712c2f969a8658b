"""Real files on three nodes: what each node says of them is what other programs measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.processes import nodes
from tests.processes.conftest import Start
from tests.processes.test_federation import befriend, files, names, publish

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
TRUTH: dict[str, Any] = {}
if (SHARED / "truth.json").is_file():
    TRUTH = json.loads((SHARED / "truth.json").read_text())

pytestmark = [
    pytest.mark.processes,
    pytest.mark.shared,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not TRUTH, reason="the shared sample files are not here"),
]

# By the node that publishes them.
FILES = (
    ("eiffel_tower.smlm", "app_colicoords_03_storm.smlm"),
    ("locan_saved_elyra.smlm", "java_smlmio_storm_table.smlm"),
    ("colicoords_03_storm.csv",),
)


def tables_of(name: str) -> list[dict[str, Any]]:
    """Return the tables that other programs read in a file."""
    truth = TRUTH[name]
    return list(truth.get("tables") or truth.get("locan", {}).get("tables") or [truth])


def compare(table: dict[str, Any], truth: dict[str, Any]) -> None:
    """Compare column by column, in the file's order: names differ between programs."""
    assert table["rows"] == truth["rows"]
    assert len(table["columns"]) == len(truth["columns"])
    for column, source in zip(table["columns"], truth["columns"], strict=True):
        wanted = truth["stats"][source]
        assert column["min"] == wanted["min"], source
        assert column["max"] == wanted["max"], source
        assert column["mean"] == pytest.approx(wanted["mean"], rel=1e-12), source


def test_every_node_says_of_every_file_what_others_measured(tmp_path: Path, start: Start) -> None:
    homes = [tmp_path / name for name in ("a", "b", "c")]
    for home in homes:
        nodes.init(home, f"Node {home.name}")
    running = [start(home) for home in homes]
    befriend(running[0], running[1])
    befriend(running[1], running[2])
    datasets = {
        name: publish(home, SHARED / name, name)
        for home, published in zip(homes, FILES, strict=True)
        for name in published
    }

    def all_find_all() -> bool:
        return all(names(node) == set(datasets) for node in running)

    nodes.until(all_find_all, what="every node finds every dataset", seconds=90)
    for node in running:
        for name, dataset in datasets.items():
            original = next(entry for entry in files(node, dataset) if entry["name"] == name)
            for table, truth in zip(original["tables"], tables_of(name), strict=True):
                compare(table, truth)
            assert original["sha256"] == hashlib.sha256((SHARED / name).read_bytes()).hexdigest()
            record = node.get(f"/api/v1/datasets/{dataset}")["record"]
            body = nodes.fetch(f"{node.url}/records/{record}")
            assert hashlib.sha256(body).hexdigest() == record
