"""DECODE's emitter sets: swapped axes, pixels of two sizes, what is declared empty, and back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smlmfmt
from smlmfmt import Bundle, FormatError, LocTable
from smlmfmt.decode import read_decode
from smlmfmt.decode_write import write_decode
from smlmfmt.errors import HeaderError, RowError, UnitError
from smlmfmt.format import ReadOptions, WriteOptions
from tests.smlmfmt.hdf5_files import build, decode


def read(data: bytes, **options: Any) -> LocTable:
    return smlmfmt.read(io.BytesIO(data), **options).tables[0]


XYZ = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


def test_axes_are_swapped_and_each_has_its_pixel_size() -> None:
    data = decode(2, xyz=XYZ, xyz_sig=XYZ, xyz_cr=XYZ)
    assert smlmfmt.sniff(io.BytesIO(data)) == "decode"
    table = read(data)
    # DECODE's second column is our x, and its pixels are 110 nm there.
    assert table["x"].tolist() == [220, 550]
    assert table["y"].tolist() == [100, 400]
    assert table["z"].tolist() == [3, 6]
    assert table["x_precision"].tolist() == [220, 550]
    assert table["z_precision"].tolist() == [3, 6]
    np.testing.assert_allclose(table["x_cr"], [2 * 110**2, 5 * 110**2])
    assert table["z_cr"].tolist() == [3, 6]
    assert table.units["x"] == table.units["z"] == table.units["y_precision"] == "nm"
    assert table.units["x_cr"] == table.units["z_cr"] == "nm^2"
    assert table.source_names["x"] == "xyz[:, 1]"
    assert {"intensity", "background", "prob", "id", "frame"} < set(table.columns)
    assert table.frame_origin == 0
    assert table["frame"].tolist() == [0, 1]
    assert table["frame"].dtype == np.int64
    assert table["x"].dtype == np.float32
    assert table.metadata["meta"] == {"px_size": [100, 110], "xy_unit": "px"}
    assert "pixel_size_nm" not in table.metadata
    assert read(decode(2, size=(90, 90))).metadata["pixel_size_nm"] == 90


def test_units_and_the_caller() -> None:
    assert read(decode(2, xyz=XYZ, unit="nm"))["x"].tolist() == [2, 5]
    assert read(decode(2, xyz=XYZ, unit="nm"), pixel_size_nm=10)["x"].tolist() == [2, 5]
    assert read(decode(2, xyz=XYZ), pixel_size_nm=10)["x"].tolist() == [20, 50]
    assert read(decode(2, xyz=XYZ, size=None), pixel_size_nm=10)["y"].tolist() == [10, 40]
    for size in (None, (0.0, 1.0), (1.0, 2.0, 3.0), (float("nan"), 1.0), 100.0):
        with pytest.raises(UnitError, match=r"no px_size.*pixel_size_nm="):
            read(decode(2, size=size))
    with pytest.raises(UnitError, match="'um'"):
        read(decode(2, unit="um"))


def test_several_channels_are_columns() -> None:
    two = np.array([[1, 10], [2, 20]], np.float32)
    table = read(decode(2, phot=two, phot_sig=two, code=np.array([0, 1])))
    assert table["intensity_0"].tolist() == [1, 2]
    assert table["intensity_1"].tolist() == [10, 20]
    assert table["phot_sig_1"].tolist() == [10, 20]
    assert table["code"].tolist() == [0, 1]
    assert table.units["intensity_1"] == "photon"


def test_an_empty_set() -> None:
    none = np.zeros(0, np.float32)
    table = read(decode(0, phot=none, prob=none, bg=none, frame_ix=np.zeros(0, int)))
    assert len(table) == 0
    assert {"frame", "x", "y", "z"} <= set(table.columns)


def test_what_has_no_row_for_each_emitter_is_named() -> None:
    bundle = smlmfmt.read(io.BytesIO(decode(5, odd=np.zeros(3), deep=np.zeros((5, 2, 2)))))
    assert len(bundle.warnings) == 2
    assert "/data/deep" in bundle.warnings[0]
    assert not {"odd", "deep"} & set(bundle.tables[0].columns)


@pytest.mark.parametrize("xyz", [np.zeros((5, 2)), np.zeros(5), h5py.Empty("f"), None, "text"])
def test_no_positions(xyz: Any) -> None:
    data = decode(5, xyz=xyz)
    assert smlmfmt.sniff(io.BytesIO(data)) is None
    with pytest.raises(HeaderError, match=r"\(n, 3\)"):
        read(data, format="decode")


def loaded(path: Path) -> dict[str, Any]:
    """Return what DECODE's load_h5 returns as emitter data, None for what is declared empty."""
    with h5py.File(path) as file:
        assert set(file["meta"].attrs) <= {"xy_unit", "px_size"}
        assert "version" in file["decode"].attrs
        return {
            name: None if value.shape is None else value[:] for name, value in file["data"].items()
        }


QUANTITIES = {"xyz", "xyz_sig", "xyz_cr", "phot", "phot_cr", "phot_sig", "bg", "bg_cr", "bg_sig",
              "frame_ix", "id", "prob"}  # fmt: skip


def test_written_in_decodes_layout(tmp_path: Path) -> None:
    table = LocTable(
        {"frame": [1, 2], "x": [10.0, 20.0], "y": [1.0, 2.0], "intensity": [5.0, 6.0],
         "uncertainty_xy": [3.0, 4.0], "chi2": [7.5, 8.5]},
        {"x": "nm", "y": "nm", "uncertainty_xy": "nm"},
        frame_origin=1,
    )  # fmt: skip
    path = tmp_path / "a.h5"
    smlmfmt.write(path, table, pixel_size_nm=100)
    data = loaded(path)
    assert set(data) == QUANTITIES
    assert data["xyz"].tolist() == [[1, 10, 0], [2, 20, 0]]
    assert data["xyz"].dtype == data["phot"].dtype == np.float32
    assert data["frame_ix"].tolist() == [0, 1]
    assert data["frame_ix"].dtype == data["id"].dtype == np.int64
    np.testing.assert_array_equal(data["xyz_sig"], [[3, 3, np.nan], [4, 4, np.nan]])
    assert data["xyz_cr"] is None
    assert data["phot_sig"] is None
    assert data["phot"].tolist() == [5, 6]
    assert data["id"].tolist() == [-1, -1]
    assert data["prob"].tolist() == [1, 1]
    assert np.isnan(data["bg"]).all()
    with h5py.File(path) as file:
        assert list(file) == ["data", "decode", "meta", "smlmfmt"]
        assert file["meta"].attrs["px_size"].tolist() == [100, 100]
        assert file["meta"].attrs["xy_unit"] == "nm"
    again = smlmfmt.read(path).tables[0]
    assert again["chi2"].tolist() == [7.5, 8.5]
    assert again["x"].tolist() == [10, 20]


def test_locan_loads_it(tmp_path: Path) -> None:
    locan = pytest.importorskip("locan", reason="the extra `benchmark` is not installed")
    positions = {"x": [10.0, 20.0], "y": [1.0, 2.0], "z": [3.0, 4.0]}
    smlmfmt.write(tmp_path / "a.h5", LocTable({"frame": [0, 1], **positions}))
    found = locan.load_decode_file(tmp_path / "a.h5").data
    # Locan keeps DECODE's order of axes.
    assert found["position_x"].tolist() == positions["y"]
    assert found["position_y"].tolist() == positions["x"]
    assert found["position_z"].tolist() == positions["z"]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    positions: dict[str, list[float]] = {"x": [1.0, 2.0], "y": [1.0, 2.0]}
    bad: list[tuple[dict[str, list[float]], dict[str, str], type[FormatError], str]] = [
        ({}, {}, HeaderError, "frame"),
        ({"frame": [0, 0.5]}, {}, RowError, r"row 1.*0\.5"),
        ({"frame": [0, np.nan]}, {}, RowError, "row 1"),
        ({"frame": [0, 1], "id": [0, 1e300]}, {}, RowError, "'id'"),
        ({"frame": [0, 1]}, {"x": "px"}, UnitError, "'px'"),
    ]
    for columns, units, error, text in bad:
        with pytest.raises(error, match=text):
            smlmfmt.write(tmp_path / "a.h5", LocTable({**positions, **columns}, units))
    table = LocTable({**positions, "frame": [0, 1]})
    with pytest.raises(FormatError, match="one table"):
        smlmfmt.write(tmp_path / "a.h5", Bundle(tables=(table, table)))
    assert list(tmp_path.iterdir()) == []


def test_extras_that_are_none_are_not_read() -> None:
    def fill(file: Any) -> None:
        with h5py.File(io.BytesIO(decode(4))) as other:
            for name in other:
                other.copy(name, file)
        for number, (name, values) in enumerate(
            [("a/b", np.arange(4)), (None, np.arange(4)), ("long", np.arange(5))]
        ):
            file[f"smlmfmt/{number}"] = values
            if name is not None:
                file[f"smlmfmt/{number}"].attrs["name"] = name

    table = read(build(fill))
    assert [name for name in table.columns if name in ("a_b", "long")] == ["a_b"]


NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
NAMES = ("x", "y", "z", "x_precision", "y_precision", "z_precision", "intensity", "background",
         "prob", "x_cr", "y_cr", "z_cr", "phot_sig", "bg_cr", "sigma", "chi2")  # fmt: skip


@settings(max_examples=20)
@given(
    st.lists(st.lists(NUMBERS, min_size=len(NAMES), max_size=len(NAMES)), max_size=10),
    st.lists(st.integers(0, 2**40), min_size=10, max_size=10),
    st.sampled_from([0, 1, None]),
)
def test_round_trip(rows: list[list[float]], frames: list[int], origin: int | None) -> None:
    values = np.array(rows, np.float32).reshape(-1, len(NAMES))
    first = 1 if origin == 1 else 0
    table = LocTable(
        {
            "frame": np.array(frames[: len(values)], np.int64) + first,
            "id": np.arange(len(values)),
            **{name: values[:, index] for index, name in enumerate(NAMES)},
        },
        {"x": "nm", "y": "nm", "x_cr": "nm^2", "sigma": "nm"},
        frame_origin=origin,
    )
    file = io.BytesIO()
    write_decode(file, Bundle(tables=(table,)), WriteOptions())
    again = read_decode(file, ReadOptions(name="a")).tables[0]
    assert set(again.columns) == set(table.columns)
    np.testing.assert_array_equal(again["frame"], table["frame"] - first)
    for name in ("id", *NAMES):
        np.testing.assert_array_equal(again[name], table[name], err_msg=name)
        assert again[name].dtype == table[name].dtype
    assert again.units["sigma"] == "nm"
    assert again.units["x_cr"] == "nm^2"
