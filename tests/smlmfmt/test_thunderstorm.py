from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import smlmfmt
from smlmfmt import Bundle, LocTable
from smlmfmt.errors import FormatError, HeaderError, RowError, UnitError

HEADER = '"id","frame","x [nm]","y [nm]","sigma [nm]","intensity [photon]"'
ROWS = "1,2001,10.5,20.25,95,1000\n2,2002,30.125,40,96.5,NaN\n"


def read(text: str | bytes, **options: object) -> Bundle:
    data = text.encode() if isinstance(text, str) else text
    return smlmfmt.read(io.BytesIO(data), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{ROWS}",
        f"{HEADER}\r\n{ROWS}".replace("\n", "\r\n").replace("\r\r", "\r"),
        f"{HEADER}\n{ROWS}".rstrip(),
        f"\ufeff{HEADER}\n{ROWS}",
        f"\n\n{HEADER}\n\n{ROWS}\n\n",
        f"{HEADER}\n{ROWS}".replace('"', ""),
        f"{HEADER}\n{ROWS}".replace(" [", "  ["),
        # Re-saved by a spreadsheet: the header is one quoted cell, frames have a point.
        '"id,""frame"",""x [nm]"",""y [nm]"",""sigma [nm]"",""intensity [photon]"""\n'
        + ROWS.replace("2001", "2001.0"),
        f"{HEADER}\n{ROWS}".replace("\n", "\r"),
    ],
)
def test_the_same_table_however_it_was_saved(text: str) -> None:
    bundle = read(text)
    table = bundle.tables[0]
    assert bundle.format == table.format == "thunderstorm"
    assert table.columns == ("id", "frame", "x", "y", "sigma", "intensity")
    assert table["x"].tolist() == [10.5, 30.125]
    assert table["frame"].tolist() == [2001, 2002]
    np.testing.assert_equal(table["intensity"], [1000, np.nan])
    assert table.units["x"] == "nm"
    assert table.units["intensity"] == "photon"
    assert table.frame_origin == 1


def test_latin1_micrometres_and_utf16() -> None:
    text = '"frame","x [µm]","y [µm]"\n1,1.5,2\n'
    for data in (text.encode("latin-1"), text.encode(), text.encode("utf-16")):
        table = read(data, format="thunderstorm").tables[0]
        assert (table["x"].tolist(), table.units["x"]) == ([1500], "nm")
        assert table.source_names["x"] == "x [µm]"


def test_columns_in_any_order_and_unknown_ones() -> None:
    table = read(
        '"y [nm]","odd thing [deg]","x [nm]","uncertainty [nm]","infinite"\n1,2,3,4,-Infinity\n'
    ).tables[0]
    assert table.columns == ("y", "odd_thing", "x", "uncertainty_xy", "infinite")
    assert table.units["odd_thing"] == "deg"
    assert table["infinite"].tolist() == [-np.inf]


def test_pixels() -> None:
    text = '"x [px]","y [px]","sigma [px]"\n1,2,1.5\n'
    with pytest.raises(UnitError, match=r"pixel_size_nm"):
        read(text)
    table = read(text, pixel_size_nm=130).tables[0]
    assert (table["x"].tolist(), table["sigma"].tolist()) == ([130], [195])
    assert table.units == {"x": "nm", "y": "nm", "sigma": "nm"}


def test_no_rows() -> None:
    assert len(read(HEADER + "\n").tables[0]) == 0
    assert len(read(HEADER).tables[0]) == 0


@pytest.mark.parametrize("row", ["1,2,3", "1,2,3,4,5,6,7", "1,2,x,4,5,6", "1,2,,4,5,6", "1;2"])
def test_a_bad_row_is_named_or_skipped(row: str, tmp_path: Path) -> None:
    path = tmp_path / "cell.csv"
    path.write_text(f"{HEADER}\n{ROWS}{row}\n{ROWS}")
    with pytest.raises(RowError) as caught:
        smlmfmt.read(path)
    assert "cell.csv: line 4" in str(caught.value)
    assert repr(row) in str(caught.value)
    bundle = smlmfmt.read(path, on_error="skip")
    assert len(bundle.tables[0]) == 4
    assert "1 bad rows skipped" in bundle.warnings[0]
    assert "line 4" in bundle.warnings[0]


def test_line_numbers_far_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cell.csv"
    row = "1,2001,10.5,20.25,95,1000.123456789\n"
    path.write_text(HEADER + "\n" + row * 50_000 + "broken\n" + row)
    with pytest.raises(RowError, match=r"line 50002: .*'broken'"):
        smlmfmt.read(path)
    assert len(smlmfmt.read(path, on_error="skip").tables[0]) == 50_001


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ('"frame","x [nm]"', HeaderError), ('"x [nm]","y [nm]","x [nm]"', HeaderError),
        ('"x [photon]","y [nm]"', UnitError), ("", HeaderError), ("\n\n", HeaderError),
    ],
)  # fmt: skip
def test_headers_that_do_not_do(header: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(header + "\n1,2,3\n" if header.strip() else header, format="thunderstorm")


def test_tab_separated() -> None:
    bundle = read("frame\tx [nm]\ty [nm]\n1\t2.5\t3\n")
    assert bundle.format == "thunderstorm-xls"
    assert bundle.tables[0]["x"].tolist() == [2.5]


def test_written_as_thunderstorm_writes(tmp_path: Path) -> None:
    table = LocTable(
        {
            "id": np.array([1, 2]), "frame": np.array([0, 1], np.uint32),
            "x": np.array([0.1, 30.125], np.float32), "y": np.array([1 / 3, 40]),
            "sigma_x": [1.0, np.nan], "background": [np.inf, -0.0], "background_std": [1e-7, 1e20],
            "intensity": [1.0, 2.0],
        },
        {"x": "nm", "y": "nm", "sigma_x": "nm", "background": "photon", "intensity": "photon"},
        frame_origin=0,
    )  # fmt: skip
    smlmfmt.write(tmp_path / "a.csv", table)
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        (
            '"id","frame","x [nm]","y [nm]","sigma1 [nm]","offset [photon]",'
            '"bkgstd","intensity [photon]"'
        ),
        "1,1,0.1,0.3333333333333333,1,Infinity,1e-07,1",
        "2,2,30.125,40,NaN,-0.0,1e+20,2",
    ]
    found = smlmfmt.read(tmp_path / "a.csv").tables[0]
    assert found.columns == table.columns
    np.testing.assert_array_equal(found["x"].astype(np.float32), table["x"])
    assert np.signbit(found["background"][1])


def test_what_cannot_be_written(tmp_path: Path) -> None:
    table = LocTable({"x": [1.0], "y": [1.0]})
    with pytest.raises(FormatError, match="one table"):
        smlmfmt.write(tmp_path / "a.csv", Bundle(tables=(table, table)))
    with pytest.raises(HeaderError, match="x and y"):
        smlmfmt.write(tmp_path / "a.csv", LocTable({"x": [1.0]}))
    with pytest.raises(UnitError, match="px"):
        smlmfmt.write(tmp_path / "a.csv", LocTable({"x": [1.0], "y": [1.0]}, {"x": "px"}))
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(), kind=st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.float16])
)
@pytest.mark.parametrize("suffix", ["csv", "xls"])
def test_round_trip(data: st.DataObject, kind: type, suffix: str, tmp_path: Path) -> None:
    values: npt.NDArray[np.generic] = data.draw(hnp.arrays(kind, st.integers(0, 20)))
    if np.issubdtype(kind, np.integer):
        values = np.clip(values, -(2**53), 2**53) if kind is np.int64 else values
    table = LocTable({"x": values, "y": values}, {"x": "nm", "y": "nm"})
    path = tmp_path / f"a.{suffix}"
    smlmfmt.write(path, table)
    found = smlmfmt.read(path).tables[0]
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found["x"].astype(kind), values)
