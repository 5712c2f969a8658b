"""SMAP's MATLAB files: rows of one row, fields that are empty, z as it once was."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import smlmfmt
from smlmfmt import Bundle
from smlmfmt.errors import HeaderError, UnitError
from tests.smlmfmt.hdf5_files import build, smap


def read(data: bytes, **options: Any) -> Bundle:
    return smlmfmt.read(io.BytesIO(data), **options)


def row(*values: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array([values], np.float32)


def test_fields_of_loc_are_columns() -> None:
    data = smap()
    assert data.startswith(b"MATLAB 7.3")
    assert smlmfmt.sniff(io.BytesIO(data)) == "smap"
    bundle = read(data)
    table = bundle.tables[0]
    assert set(table.columns) == {"filenumber", "frame", "intensity", "x", "y"}
    assert len(table) == 200
    assert table["frame"].tolist() == list(range(1, 201))
    assert table["x"].dtype == np.float32
    assert table["y"].dtype == np.float64
    assert 900 < table["y"].max() < 1000
    assert table.units["x"] == "nm"
    assert table.source_names["x"] == "xnm"
    assert table.frame_origin == 1
    assert "nothing" in bundle.warnings[0]
    assert table.metadata == {"left_out": ["nothing"]}


def test_precisions_widths_and_channels() -> None:
    two = {name: row(1, 2) for name in (
        "xnm", "ynm", "znm", "frame", "phot", "filenumber", "locprecnm", "locprecznm", "PSFxnm",
        "channel", "LLrel", "xnmerr")}  # fmt: skip
    table = read(smap(2, **two)).tables[0]
    assert {"x", "y", "z", "uncertainty_xy", "uncertainty_z", "sigma_x", "channel", "llrel",
            "x_precision", "filenumber"} <= set(table.columns)  # fmt: skip
    for name in ("z", "uncertainty_xy", "uncertainty_z", "sigma_x", "x_precision"):
        assert table.units[name] == "nm"


def test_the_old_z_is_brought_to_nm_as_smap_does() -> None:
    table = read(smap(2, xnm=row(1, 2), ynm=row(1, 2), z=row(0.5, -1), znm=row(7, 7))).tables[0]
    assert table["z"].tolist() == [400, -800]
    assert table["z"].dtype == np.float32
    assert table.units["z"] == "nm"


def test_a_flat_file_has_no_z() -> None:
    assert "z" not in read(smap(3)).tables[0]


def test_pixels_stay_pixels_unless_their_size_is_given() -> None:
    data = smap(2, xnm=row(1, 2), ynm=row(1, 2), xpix=row(3, 4), ypix=row(3, 4))
    table = read(data).tables[0]
    assert table["x"].tolist() == [1, 2]
    assert table.units["x_pixels"] == "px"
    assert read(data, pixel_size_nm=10).tables[0]["x_pixels"].tolist() == [30, 40]
    with pytest.raises(UnitError, match="positive"):
        read(data, pixel_size_nm=-10)


@pytest.mark.parametrize("shape", [(1, 1), (4, 1), (1, 4), (4,), (0, 0), (1, 0), (0,)])
def test_rows_and_columns_of_one(shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype="f4").reshape(shape)
    table = read(smap(5, xnm=values, ynm=values), format="smap").tables[0]
    assert table["x"].tolist() == list(range(values.size))


@pytest.mark.parametrize("xnm", [np.zeros((2, 5)), np.zeros((1, 1, 5)), np.bytes_("text")])
def test_no_positions(xnm: Any) -> None:
    data = smap(5, xnm=xnm)
    assert smlmfmt.sniff(io.BytesIO(data)) is None
    with pytest.raises(HeaderError, match=r"saveloc\.loc\.xnm"):
        read(data, format="smap")
    with pytest.raises(HeaderError, match="x and y"):
        read(smap(5, ynm=np.zeros((1, 4))), format="smap")
    with pytest.raises(HeaderError, match=r"saveloc\.loc\.xnm"):
        read(build(lambda file: file.create_group("saveloc")), format="smap")


def level_5(**fields: Any) -> bytes:
    scipy_io = pytest.importorskip("scipy.io")
    file = io.BytesIO()
    values = {
        "xnm": np.array([[1.0], [2.0], [3.0]], np.float32),
        "ynm": np.array([[4.0], [5.0], [6.0]]),
        "frame": np.array([[1], [2], [2]], np.uint32),
        "z": np.array([[0.5], [1], [2]]),
        "nothing": np.empty((0, 0)),
        "image": np.ones((2, 2)),
        "label": "abc",
    } | fields
    scipy_io.savemat(file, {"saveloc": {"loc": values, "history": {"a": 1.0}}, "fileformat": 1})
    return file.getvalue()


def test_files_of_matlabs_older_format() -> None:
    data = level_5()
    assert data.startswith(b"MATLAB 5.0")
    bundle = read(data)
    table = bundle.tables[0]
    assert bundle.format == "smap"
    assert table["x"].tolist() == [1, 2, 3]
    assert table["x"].dtype == np.float32
    assert table["frame"].dtype == np.uint32
    np.testing.assert_allclose(table["z"], [400, 800, 1600])
    assert table.frame_origin == 1
    assert all(name in bundle.warnings[0] for name in ("nothing", "image", "label"))
    with pytest.raises(HeaderError, match="xnm"):
        read(level_5(xnm="abc"))
