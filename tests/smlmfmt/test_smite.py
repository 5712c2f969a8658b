from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import smlmfmt
from smlmfmt.errors import HeaderError, RowError, UnitError

scipy_io = pytest.importorskip("scipy.io")


def smd(**fields: Any) -> bytes:
    count = 4
    column = np.arange(count, dtype=float)[:, None]
    struct = {
        "NDims": 3.0, "PixelSize": 0.1, "X": column + 1, "Y": column + 2, "Z": column / 10,
        "X_SE": column * 0.01, "Photons": column * 100, "Bg": column, "FrameNum":
        np.arange(1, count + 1, dtype=np.uint32)[:, None], "DatasetNum": column * 0 + 1,
        "PSFSigma": np.empty((0, 0)), "DriftX": np.ones((7, 2)), "Note": "hello",
    }  # fmt: skip
    struct |= fields
    file = io.BytesIO()
    kept = {key: value for key, value in struct.items() if value is not None}
    scipy_io.savemat(file, {"SMD": kept, "SMF": {"a": 1.0}}, do_compression=True)
    return file.getvalue()


def read(data: bytes, **options: Any) -> Any:
    return smlmfmt.read(io.BytesIO(data), **options)


def test_pixels_and_micrometres_become_nanometres() -> None:
    bundle = read(smd())
    table = bundle.tables[0]
    assert bundle.format == "smite"
    np.testing.assert_allclose(table["x"], [100, 200, 300, 400])
    np.testing.assert_allclose(table["z"], [0, 100, 200, 300])
    np.testing.assert_allclose(table["x_precision"], [0, 1, 2, 3])
    np.testing.assert_array_equal(table["frame"], [1, 2, 3, 4])
    assert table["frame"].dtype == np.uint32
    assert table.units["background"] == "photon"
    assert table.frame_origin == 1
    assert "sigma" not in table
    assert table.metadata["Note"] == "hello"
    assert table.metadata["DriftX"][0] == [1, 1]
    assert read(smd(), pixel_size_nm=50).tables[0]["x"].tolist() == [50, 100, 150, 200]


def test_failed_fits_have_no_standard_error() -> None:
    table = read(smd(X_SE=np.array([[1], [1j], [2], [3]]))).tables[0]
    np.testing.assert_allclose(table["x_precision"], [100, np.nan, 200, 300])


def test_an_empty_table() -> None:
    none = np.empty((0, 0))
    table = read(smd(X=none, Y=none, Z=none, X_SE=none, FrameNum=none)).tables[0]
    assert len(table) == 0
    assert {"frame", "x", "y"} <= set(table.columns)


def test_what_is_missing() -> None:
    with pytest.raises(UnitError, match="pixel_size_nm"):
        read(smd(PixelSize=None))
    with pytest.raises(UnitError, match=r"PixelSize is -1"):
        read(smd(PixelSize=-1.0))
    with pytest.raises(HeaderError, match="FrameNum"):
        read(smd(FrameNum=None))
    with pytest.raises(RowError, match="Y has 2"):
        read(smd(Y=np.zeros((2, 1))))
    file = io.BytesIO()
    scipy_io.savemat(file, {"SMD": 3.0})
    with pytest.raises(HeaderError, match="single struct"):
        read(file.getvalue())
