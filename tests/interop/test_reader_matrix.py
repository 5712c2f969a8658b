"""The comparison behind "who reads whose file" finds what is wrong; our column of it is right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smlmfmt
from tests.interop.reader_matrix import Programs, compare, outcome, source, written
from tests.smlmfmt.from_registry import DOC, block


def changed(**columns: Any) -> dict[str, Any]:
    return source() | columns


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (changed(), "ok"),
        (changed(x=source()["x"] + 0.004), "ok"),
        (changed(x=source()["x"] + 0.5), "wrong: x differs"),
        (changed(x=source()["x"] / 100), "wrong: x in pixels"),
        (changed(z=source()["z"] * 100), "wrong: z x 100"),
        (changed(x=source()["y"], y=source()["x"]), "wrong: x and y swapped"),
        (
            changed(x=source()["y"] / 100, y=source()["x"] / 100),
            "wrong: x and y swapped, x in pixels, y in pixels",
        ),
        (changed(x=source()["x"] / 100, y=source()["y"] / 100), "wrong: x in pixels, y in pixels"),
        (changed(x=source()["z"], y=source()["z"]), "wrong: x differs, y differs"),
        (
            changed(frame=source()["frame"] + 0.5 * (source()["x"] > 9e3)),
            "wrong: frames cut to whole",
        ),
        (changed(frame=source()["frame"] - 1), "wrong: frames -1"),
        (changed(frame=np.zeros(200)), "wrong: frames differ"),
        (changed(intensity=np.floor(source()["intensity"])), "wrong: photons cut to whole"),
        (changed(intensity=source()["background"]), "wrong: photons differ"),
        ({"x": np.zeros(3), "y": np.zeros(3)}, "wrong: 3 rows of 200"),
        ({"a": np.zeros(200)}, "names no x and y"),
        ({"x": source()["x"], "y": source()["y"]}, "wrong: z lost, frame lost"),
    ],
)
def test_what_is_wrong_is_named(found: dict[str, Any], said: str) -> None:
    assert compare(source(), found) == said


def test_frames_may_be_as_in_a_file_that_counts_from_zero() -> None:
    found = changed(frame=source()["frame"] - 1)
    assert compare(source(), found, is_as_in_file=True) == "ok"


def test_what_we_write_we_read(tmp_path: Path) -> None:
    programs = Programs([sys.executable])
    kinds = [item.name for item in smlmfmt.formats() if item.writes]
    cases = [case for case in written(programs, tmp_path) if case.writer == "Locmesh"]
    assert [case.kind for case in cases] == kinds
    for case in cases:
        assert outcome(programs, case, "Locmesh", tmp_path) == "ok", case.kind


def test_the_table_is_in_the_documentation() -> None:
    lines = block(DOC.read_text(encoding="utf-8"), "reader-matrix").splitlines()
    assert lines[0].startswith("Run 20")
    assert "| `smlm` | Locmesh | ok | ok | ok |" in "\n".join(lines)
