from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smlmfmt
from smlmfmt import Bundle, FormatError
from smlmfmt.errors import ArchiveError, HeaderError, RowError, SizeLimitError
from smlmfmt.minflux import load
from tests.smlmfmt.recordings import (
    NOT_MEASURED,
    as_json,
    flat,
    mat_variables,
    nested,
    npy,
    zipped,
)


def read(data: bytes, **options: Any) -> Bundle:
    bundle = smlmfmt.read(io.BytesIO(data), **options)
    assert bundle.format == "minflux"
    return bundle


def mat(rows: npt.NDArray[Any]) -> bytes:
    scipy_io = pytest.importorskip("scipy.io")
    file = io.BytesIO()
    scipy_io.savemat(file, mat_variables(rows), do_compression=True)
    return file.getvalue()


FILES: dict[str, Callable[[npt.NDArray[Any]], bytes]]
FILES = {"npy": npy, "zip": lambda rows: zipped(("a/x.npy", npy(rows))), "json": as_json,
         "mat": mat}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_last_iteration_of_valid_rows_in_nanometres(kind: str) -> None:
    rows = nested()
    bundle = read(FILES[kind](rows))
    table = bundle.tables[0]
    kept = [0, 3, 4, 5]
    for place, axis in enumerate("xyz"):
        wanted = rows["itr"]["loc"][kept, -1, place] * 1e9
        np.testing.assert_allclose(table[axis], wanted, rtol=1e-15)
        original = rows["itr"]["lnc"][kept, -1, place] * 1e9
        np.testing.assert_allclose(table[f"{axis}_original"], original, rtol=1e-15)
        assert table.units[axis] == table.units[f"{axis}_original"] == "nm"
    np.testing.assert_array_equal(table["time"], rows["tim"][kept])
    np.testing.assert_array_equal(table["tid"], rows["tid"][kept])
    np.testing.assert_array_equal(table["eco"], rows["itr"]["eco"][kept, -1])
    np.testing.assert_array_equal(table["efo"], rows["itr"]["efo"][kept, -1])
    np.testing.assert_allclose(table["ext_x"], 288)
    assert table.units["time"] == "s"
    assert table.source_names["x"] == "loc"
    assert table.frame_origin is None
    assert table.metadata["iteration"] == 3
    text = "\n".join(bundle.warnings)
    for part in ("1 rows that the file marks as not valid", "1 rows without", "refractive"):
        assert part in text


def test_ratio_is_given_where_it_was_measured() -> None:
    rows = nested()
    table = read(npy(rows)).tables[0]
    np.testing.assert_array_equal(table["cfr_measured"], rows["itr"]["cfr"][[0, 3, 4, 5], 2])
    assert (table["cfr"] == NOT_MEASURED).all()
    assert table.metadata["cfr_iteration"] == 2
    assert "cfr_measured" not in read(npy(rows), variant="2").tables[0]


def test_other_iterations_on_request() -> None:
    rows = nested()
    every = read(npy(rows), variant="all").tables[0]
    is_there = np.isfinite(rows["itr"]["loc"][..., 0]) & rows["vld"][:, None]
    np.testing.assert_array_equal(every["x"], rows["itr"]["loc"][is_there][:, 0] * 1e9)
    np.testing.assert_array_equal(every["itr"], rows["itr"]["itr"][is_there])
    np.testing.assert_array_equal(every["tid"], rows["tid"][np.nonzero(is_there)[0]])
    first = read(npy(rows), variant="0").tables[0]
    assert first["x"].tolist() == [rows["itr"]["loc"][0, 0, 0] * 1e9]
    for variant in ("4", "999999", "-1", "first", "1.0", "٣", "1" * 9999):
        with pytest.raises(FormatError, match=r"last.*all"):
            read(npy(rows), variant=variant)


@pytest.mark.parametrize("kind", FILES)
def test_rows_by_iteration(kind: str) -> None:
    rows = flat()
    bundle = read(FILES[kind](rows))
    table = bundle.tables[0]
    kept = np.flatnonzero(rows["vld"] & (rows["itr"] == 3))
    np.testing.assert_allclose(table["x"], rows["loc"][kept, 0] * 1e9, rtol=1e-15)
    np.testing.assert_array_equal(table["itr"], 3)
    np.testing.assert_array_equal(table["tid"], rows["tid"][kept])
    np.testing.assert_array_equal(table["dcr"], rows["dcr"][kept, 0])
    np.testing.assert_array_equal(table["dcr_1"], rows["dcr"][kept, 1])
    # Each row has the ratio of the step before it, in the same trace.
    np.testing.assert_array_equal(table["cfr_measured"], rows["cfr"][kept - 1])
    assert len(read(FILES[kind](rows), variant="1").tables[0]) == 3
    assert len(read(FILES[kind](rows), variant="all").tables[0]) == rows["vld"].sum()
    with pytest.raises(FormatError, match="no iteration 4"):
        read(FILES[kind](rows), variant="4")


def test_ratio_of_another_trace_is_not_taken() -> None:
    rows = flat()
    rows["vld"][(rows["tid"] == 6) & (rows["itr"] == 2)] = False
    table = read(npy(rows)).tables[0]
    assert np.isnan(table["cfr_measured"][table["tid"] == 6]).all()
    assert np.isfinite(table["cfr_measured"][table["tid"] != 6]).all()


def test_a_recording_without_depth_says_nothing_of_refraction() -> None:
    rows = nested()
    rows["itr"]["loc"][..., 2] = 0
    assert not any("refractive" in text for text in read(npy(rows)).warnings)


@pytest.mark.parametrize("rows", [nested(0), flat(0), nested(1, 1), flat(1, 2)], ids=str)
def test_small_recordings(rows: npt.NDArray[Any]) -> None:
    assert len(read(npy(rows)).tables[0]) in (0, 1)
    assert (
        len(read(npy(rows), variant="all").tables[0])
        == np.isfinite(rows["itr"]["loc"] if rows["itr"].dtype.names else rows["loc"])[..., 0].sum()
        - (~rows["vld"]).sum()
    )


def test_struct_of_ostersehlt() -> None:
    scipy_io = pytest.importorskip("scipy.io")
    file = io.BytesIO()
    position = np.arange(12.0).reshape(4, 3)
    struct = {
        "meta": {"Dye": "Atto655", "Power": 14.0},
        "t": np.arange(4.0)[:, None],
        "id": np.array([[1], [1], [2], [2]], np.int32),
        "pos": position,
        "rpos": position - 1,
    }
    scipy_io.savemat(file, {"minflux": struct})
    bundle = read(file.getvalue())
    table = bundle.tables[0]
    np.testing.assert_array_equal(table["y"], position[:, 1])
    np.testing.assert_array_equal(table["rpos_z"], position[:, 2] - 1)
    assert table["tid"].tolist() == [1, 1, 2, 2]
    assert table.source_names["tid"] == "id"
    assert table.units["x"] == table.units["rpos_x"] == "nm"
    assert table.metadata == {"meta": {"Dye": "Atto655", "Power": 14.0}}
    with pytest.raises(FormatError, match="final positions only"):
        read(file.getvalue(), variant="1")


BAD = {
    "objects": (npy(np.array([{}], dtype=object)), HeaderError, "objects"),
    "no fields": (npy(np.zeros((3, 2))), HeaderError, "named fields"),
    "no loc": (npy(np.zeros(2, [("itr", "<i4"), ("vld", "?"), ("tid", "i4")])), HeaderError, "loc"),
    "whole loc": (npy(np.zeros(2, [("itr", "<i4"), ("loc", "<i4", (3,))])), HeaderError, "in m"),
    "short": (npy(nested())[:-1], ArchiveError, "cut short"),
    "two": (zipped(("a.npy", npy(nested())), ("b.npy", b"")), HeaderError, "exactly one"),
    "list": (b"[1, 2]", HeaderError, "list of objects"),
    "no list": (b"{}", HeaderError, "list of objects"),
    "cut": (as_json(nested())[:-1], ArchiveError, "cut short"),
    "deep": (b'[{"itr":' + b"[" * 100_000, ArchiveError, "damaged"),
    "text": (b'[{"itr": 1, "loc": [1.0, "a", 2.0]}]', HeaderError, "loc"),
    "ragged": (b'[{"itr":1,"loc":[1.0,2.0]},{"itr":1,"loc":[1.0]}]', RowError, "'loc'"),
    "fields": (b'[{"itr":1,"loc":[1.0,2.0]},{"itr":1,"loc":[1.0,2.0],"a":1}]', RowError, "same"),
    "missing": (b'[{"itr":1,"loc":[1.0,2.0]},{"itr":1,"a":[1.0,2.0]}]', RowError, "'loc'"),
    "steps": (b'[{"itr":[{"a":1}]},{"itr":[]}]', RowError, "equally many"),
    "no steps": (b'[{"itr":[],"vld":true}]', RowError, "objects"),
    "huge": (b'[{"itr":' + b"9" * 40 + b',"loc":[1.0,2.0]}]', HeaderError, "itr"),
    "empty": (b"[]", HeaderError, "itr and loc"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_recording(name: str) -> None:
    data, kind, text = BAD[name]
    with pytest.raises(kind, match=text):
        read(data, format="minflux")


def test_long_json_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = nested(50)
    whole = read(npy(rows)).tables[0]
    monkeypatch.setattr(load, "BATCH_ROWS", 7)
    table = read(as_json(rows)).tables[0]
    for name in ("x", "y", "z", "tid", "eco", "cfr_measured"):
        np.testing.assert_allclose(table[name], whole[name], rtol=1e-15)
    monkeypatch.setattr(load, "JSON_SIZE_MAX", 100)
    with pytest.raises(SizeLimitError, match=r"\.npy or \.mat"):
        read(as_json(rows), format="minflux")


def test_content_decides() -> None:
    assert smlmfmt.sniff(io.BytesIO(as_json(flat()))) == "minflux"
    for other in (
        npy(np.zeros(3)), zipped(("a.npy", npy(np.zeros(3)))), zipped(("a.txt", b"")),
        json.dumps([{"itr": 1}]).encode(), npy(np.zeros(2, [("itr", "f4")])), b"\x93NUMPY",
    ):  # fmt: skip
        assert smlmfmt.sniff(io.BytesIO(other)) is None


@given(st.integers(0, 40), st.integers(1, 6), st.integers(0, 2**32), st.sampled_from(["a", "l"]))
def test_every_localized_position_is_there(count: int, steps: int, seed: int, which: str) -> None:
    rows = nested(count, steps, seed=seed)
    rng = np.random.default_rng(seed)
    rows["vld"] = rng.random(count) < 0.7
    rows["itr"]["loc"][rng.random((count, steps)) < 0.3] = np.nan
    there = rows["vld"][:, None] & np.isfinite(rows["itr"]["loc"][..., 0])
    table = read(npy(rows), variant="all" if which == "a" else "last").tables[0]
    if which == "l":
        last = np.flatnonzero(there.any(axis=0))
        there[:, np.arange(steps) != (last[-1] if len(last) else -1)] = False
    np.testing.assert_array_equal(table["x"], rows["itr"]["loc"][there][:, 0] * 1e9)
