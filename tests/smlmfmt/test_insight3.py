from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smlmfmt
from smlmfmt import FormatError
from smlmfmt.errors import ArchiveError, RowError, UnitError

FLOATS = ("x", "y", "xc", "yc", "h", "a", "w", "phi", "ax", "bg", "i")
WHOLES = ("c", "fi", "fr", "tl", "lk")
ROW = np.dtype([*((name, "<f4") for name in FLOATS), *((name, "<i4") for name in WHOLES),
                ("z", "<f4"), ("zc", "<f4")])  # fmt: skip


def rows(count: int) -> npt.NDArray[Any]:
    values = np.arange(18 * count, dtype=np.float32).reshape(count, 18)
    found = np.zeros(count, ROW)
    for index, name in enumerate(ROW.names or ()):
        found[name] = values[:, index]
    return found


def file(
    values: npt.NDArray[Any], *, count: int | None = None, status: int = 6, trailer: bytes = b""
) -> bytes:
    head = struct.pack("<4s3i", b"M425", 1, status, len(values) if count is None else count)
    return head + values.tobytes() + trailer


def read(data: bytes, **options: Any) -> Any:
    return smlmfmt.read(io.BytesIO(data), **options)


def test_positions_are_drift_corrected_pixels() -> None:
    values = rows(5)
    bundle = read(file(values), pixel_size_nm=160)
    table = bundle.tables[0]
    assert bundle.format == "insight3"
    np.testing.assert_allclose(table["x"], values["xc"] * 160)
    np.testing.assert_allclose(table["y_original"], values["y"] * 160)
    np.testing.assert_array_equal(table["z"], values["zc"])
    np.testing.assert_array_equal(table["z_original"], values["z"])
    np.testing.assert_array_equal(table["sigma"], values["w"] / 2)
    np.testing.assert_array_equal(table["frame"], values["fr"])
    assert table["frame"].dtype == np.int32
    assert table.frame_origin == 1
    assert table.source_names["x"] == "xc"
    assert {table.units[name] for name in ("x", "y", "z", "x_original", "sigma")} == {"nm"}


def test_raw_positions_on_request() -> None:
    values = rows(5)
    table = read(file(values), pixel_size_nm=100, variant="raw").tables[0]
    np.testing.assert_allclose(table["x"], values["x"] * 100)
    np.testing.assert_allclose(table["x_corrected"], values["xc"] * 100)
    assert "x_original" not in table


def test_settings_behind_the_rows() -> None:
    text = b"<?xml version='1.0'?><a/>"
    bundle = read(file(rows(2), trailer=bytes(4) + text), pixel_size_nm=100)
    assert bundle.tables[0].metadata["settings"] == text.decode()
    other = read(file(rows(2), trailer=rows(3).tobytes()), pixel_size_nm=100)
    assert len(other.tables[0]) == 2
    assert "settings" not in other.tables[0].metadata
    assert len(read(file(rows(0)), pixel_size_nm=100).tables[0]) == 0


def test_files_that_cannot_be_read() -> None:
    with pytest.raises(UnitError, match="pixel_size_nm"):
        read(file(rows(1)))
    with pytest.raises(ArchiveError, match="status is 2"):
        read(file(rows(1), status=2))
    for count in (-1, 2, 2**31 - 1):
        with pytest.raises(RowError, match=r"room for 1"):
            read(file(rows(1), count=count))
    with pytest.raises(ArchiveError, match="no Insight3"):
        read(b"M425", format="insight3")


@given(st.binary(max_size=200), st.integers(0, 300))
def test_damage(extra: bytes, cut: int) -> None:
    try:
        read((file(rows(2)) + extra)[:cut], format="insight3", pixel_size_nm=1)
    except FormatError:
        return
