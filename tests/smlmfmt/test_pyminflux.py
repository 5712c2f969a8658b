from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np
import pytest

import smlmfmt
from smlmfmt import FormatError
from smlmfmt.errors import HeaderError, RowError
from tests.smlmfmt.hdf5_files import build

COLUMNS = {"tid": "uint32", "tim": "float64", "x": "float64", "y": "float64", "z": "float64",
           "efo": "float32", "cfr": "float16", "eco": "uint32", "fluo": "uint8"}  # fmt: skip


def pmx(version: str = "3.0", *, rows: int = 5, **changes: Any) -> bytes:
    """Return what pyMINFLUX's writer makes, built from its source."""
    values = np.arange(rows * len(COLUMNS), dtype=float).reshape(rows, -1)

    def fill(file: Any) -> None:
        file.attrs["file_version"] = version
        file.attrs["reader_version"] = 2
        table = file.create_dataset("paraview/dataframe", data=values, compression="gzip")
        notes = {"column_names": list(COLUMNS), "column_types": list(COLUMNS.values())} | changes
        for name, note in notes.items():
            table.attrs[name] = note
        file["paraview/dataframe_index"] = np.arange(rows)
        parameters = file.create_group("parameters")
        parameters["z_scaling_factor"] = 0.7
        parameters["applied_efo_thresholds"] = (1e4, np.nan)
        parameters["unknown"] = h5py.Empty("f")
        parameters.attrs["fluorophore_names"] = '{"1": "a"}'

    return build(fill)


@pytest.mark.parametrize("version", ["1.0", "2.0", "3.0"])
def test_pmx(version: str) -> None:
    bundle = smlmfmt.read(io.BytesIO(pmx(version)))
    table = bundle.tables[0]
    assert bundle.format == "pyminflux"
    assert table.columns == ("tid", "time", "x", "y", "z", "efo", "cfr", "eco", "fluo")
    assert table["x"].tolist() == [2, 11, 20, 29, 38]
    assert table["tid"].dtype == np.uint32
    assert table["cfr"].dtype == np.float16
    assert table["fluo"].dtype == np.uint8
    assert table.units["x"] == "nm"
    assert table.units["time"] == "s"
    assert table.metadata["file_version"] == version
    parameters = table.metadata["parameters"]
    assert parameters["z_scaling_factor"] == 0.7
    assert parameters["applied_efo_thresholds"] == [1e4, None]
    assert parameters["fluorophore_names"] == '{"1": "a"}'


def test_pmx_that_cannot_be_read() -> None:
    for data, text in (
        (pmx("4.0"), "version"),
        (pmx(column_names=["tid", "x"]), "9 columns named"),
        (pmx(column_names=["x"] * 9), "9 columns named"),
        (pmx(column_types=["uint8"]), "9 columns"),
        (pmx(column_names=3.0), "column_names"),
    ):
        with pytest.raises(HeaderError, match=text):
            smlmfmt.read(io.BytesIO(data))
    whole = pmx()
    with pytest.raises(FormatError):
        smlmfmt.read(io.BytesIO(whole[:-100]), format="pyminflux")


def test_a_type_that_cannot_hold_its_numbers_is_not_taken() -> None:
    types = ["uint8"] * 9
    table = smlmfmt.read(io.BytesIO(pmx(rows=60, column_types=types))).tables[0]
    assert table["x"].dtype == np.float64
    assert table["x"].max() == 59 * 9 + 2


def test_positions_times_and_traces() -> None:
    bundle = smlmfmt.read(io.BytesIO(b"tid,t,x,y,z\n110,0.5,-308.9,313,-42\n110,0.75,1,2,3\n"))
    table = bundle.tables[0]
    assert bundle.format == "pyminflux"
    assert table.columns == ("tid", "time", "x", "y", "z")
    assert table["x"].tolist() == [-308.9, 1]
    assert table.units == {"tid": "", "time": "s", "x": "nm", "y": "nm", "z": "nm"}
    assert table.source_names["time"] == "t"
    assert bundle.warnings == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"tid,t,x,y\n1,2,3,4\n", "pyminflux"), (b"tid,tim,x,y,z,efo\n", "pyminflux"),
        (b"tid,x,y\n1,2,3\n", "csv"), (b"t,x,y\n1,2,3\n", "csv"), (b"tid,t,a,b\n1,2,3,4\n", None),
    ],
)  # fmt: skip
def test_content_decides(text: bytes, name: str | None) -> None:
    assert smlmfmt.sniff(io.BytesIO(text)) == name


def test_bad_rows() -> None:
    data = b"tid,t,x,y\n1,2,3,4\n1,2,x,4\n"
    with pytest.raises(RowError, match="line 3"):
        smlmfmt.read(io.BytesIO(data))
    bundle = smlmfmt.read(io.BytesIO(data), on_error="skip")
    assert len(bundle.tables[0]) == 1
    assert "1 bad rows" in bundle.warnings[0]
    with pytest.raises(HeaderError, match="each name once"):
        smlmfmt.read(io.BytesIO(b"tid,t,x,y,x\n"), format="pyminflux")
