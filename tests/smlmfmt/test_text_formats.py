"""What holds for all delimited formats: told apart, written and read again, never another error."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import smlmfmt
from smlmfmt import FormatError, LocTable
from smlmfmt.errors import HeaderError, UnitError
from smlmfmt.known_formats import KNOWN
from tests.smlmfmt.test_fuzz import attempt
from tests.smlmfmt.text_samples import SAMPLES

NAMES = sorted({name for name, _ in SAMPLES.values()})
WRITERS = ["thunderstorm", "thunderstorm-xls", "smap-csv", "csv"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_is_of_its_own_format_and_of_no_other(name: str) -> None:
    format_name, data = SAMPLES[name]
    assert smlmfmt.sniff(io.BytesIO(data)) == format_name


@pytest.mark.parametrize("name", SAMPLES)
def test_the_order_of_detection_does_not_decide(name: str) -> None:
    """Only the plain csv, tried last, knows files that others know better."""
    format_name, data = SAMPLES[name]
    formats = KNOWN
    found = {key for key, item in formats.items() if item.sniff(data[:65_536], io.BytesIO(data))}
    # Abbelight's tables are ThunderSTORM's with more columns.
    also = {"csv"} | ({"thunderstorm"} if format_name == "abbelight" else set())
    assert format_name in found
    assert found - also <= {format_name}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("format_name", NAMES)
def test_a_file_read_as_another_format_is_right_or_refused(name: str, format_name: str) -> None:
    own, data = SAMPLES[name]
    try:
        found = smlmfmt.read(io.BytesIO(data), format=format_name, pixel_size_nm=100).tables[0]
    except FormatError:
        return
    true = smlmfmt.read(io.BytesIO(data), format=own, pixel_size_nm=100).tables[0]
    if (own, format_name) in {("nstorm", "csv"), ("decode-csv", "csv"), ("trackmate", "csv")}:
        return  # Raw for corrected positions, x for y: what the names alone say.
    np.testing.assert_array_equal(found["x"], true["x"])
    np.testing.assert_array_equal(found["y"], true["y"])


@pytest.mark.parametrize("name", SAMPLES)
def test_blocks_are_the_whole(name: str) -> None:
    format_name, data = SAMPLES[name]
    whole = smlmfmt.read(io.BytesIO(data), pixel_size_nm=100).tables[0]
    blocks = list(smlmfmt.iter_blocks(io.BytesIO(data), rows=1, pixel_size_nm=100))
    assert len(blocks) == len(whole)
    for index, block in enumerate(blocks):
        assert (block.columns, block.units) == (whole.columns, whole.units)
        assert (block.format, block.frame_origin) == (format_name, whole.frame_origin)
        for column in whole.columns:
            np.testing.assert_array_equal(block[column], whole[column][index : index + 1])


OPTIONS = st.fixed_dictionaries(
    {
        "on_error": st.sampled_from(["raise", "skip"]),
        "pixel_size_nm": st.sampled_from([None, 100.0]),
    }
)


@settings(max_examples=300)
@given(data=st.binary(max_size=300), name=st.sampled_from([None, *NAMES]), options=OPTIONS)
def test_any_bytes(data: bytes, name: str | None, options: dict[str, Any]) -> None:
    attempt(data, name, **options)


@settings(max_examples=600)
@given(sample=st.sampled_from(sorted(SAMPLES)), data=st.data(), options=OPTIONS)
def test_bytes_cut_out_and_put_in(
    sample: str, data: st.DataObject, options: dict[str, Any]
) -> None:
    name, text = SAMPLES[sample]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    filling = data.draw(
        st.binary(max_size=12)
        | st.sampled_from(
            [b"\t", b",", b";", b"\n", b"\0", b'"', b"#", b"NaN", b"\xb5", b"<field/>"]
        )
    )
    broken = text[:start] + filling + text[end:]
    attempt(broken, None, **options)
    attempt(broken, name, **options)


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_truncation(sample: str) -> None:
    name, text = SAMPLES[sample]
    for end in range(0, len(text), 2):
        attempt(text[:end], name, pixel_size_nm=100, on_error="skip")


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_byte_replaced(sample: str) -> None:
    name, text = SAMPLES[sample]
    for position in range(len(text)):
        broken = bytearray(text)
        broken[position] = b'\0\n,\t"\xff'[position % 6]
        attempt(bytes(broken), name, pixel_size_nm=100)


def tables(kind: type[np.number[Any]]) -> st.SearchStrategy[LocTable]:
    """Return tables as a reader may make them, with any names and units."""
    names = ["frame", "z", "intensity", "sigma", "sigma_x", "uncertainty_xy", "odd_name", "time",
             "x_precision", "background", "left_width"]  # fmt: skip
    units = {"z": "nm", "time": "s", "left_width": "px", "odd_name": "nm^2", "sigma": "nm"}

    @st.composite
    def table(draw: st.DrawFn) -> LocTable:
        count = draw(st.integers(0, 8))
        chosen = ["x", "y", *draw(st.lists(st.sampled_from(names), unique=True))]
        columns = {name: draw(hnp.arrays(kind, count)) for name in draw(st.permutations(chosen))}
        origin = draw(st.sampled_from([0, 1, None]))
        if "frame" in columns:
            columns["frame"] = draw(hnp.arrays(np.uint16, count))
        return LocTable(columns, units | {"x": "nm", "y": "nm"}, frame_origin=origin)

    return table()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from([np.float32, np.float64, np.int32, np.uint8]))
@pytest.mark.parametrize("format_name", WRITERS)
def test_written_and_read_again(
    data: st.DataObject, kind: type[np.number[Any]], format_name: str, tmp_path: Path
) -> None:
    table = data.draw(tables(kind))
    path = tmp_path / "a.dat"
    smlmfmt.write(path, table, format=format_name)
    assert smlmfmt.sniff(path) == format_name
    found = smlmfmt.read(path).tables[0]
    assert len(found.columns) == len(table.columns)
    for one, other in zip(table.columns, found.columns, strict=True):
        wanted: npt.NDArray[Any] = table[one]
        if one == "frame" and format_name != "csv" and table.frame_origin == 0:
            wanted = wanted.astype(np.int64) + 1
        with np.errstate(over="ignore", invalid="ignore"):
            np.testing.assert_array_equal(found[other].astype(wanted.dtype), wanted)
    assert found.units["x"] == found.units["y"] == "nm"
    if format_name == "csv":
        assert found.columns == table.columns
        assert {name: found.units[name] for name in found} == {
            name: table.units[name] or ("nm" if name in smlmfmt.columns.LENGTHS else "")
            for name in table
        }


def test_smap_csv_as_smap_names_things(tmp_path: Path) -> None:
    table = LocTable(
        {"frame": [0, 1], "x": [1.5, 2], "y": [3, 4], "uncertainty_xy": [5, 6], "sigma": [7, 8],
         "intensity": [9, 10], "time": [1, 2]},
        {"x": "nm", "y": "nm", "uncertainty_xy": "nm", "sigma": "nm", "intensity": "photon"},
        frame_origin=0,
    )  # fmt: skip
    smlmfmt.write(tmp_path / "a.csv", table, format="smap-csv")
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        "frame,xnm,ynm,locprecnm,PSFxnm,phot,time",
        "1,1.5,3,5,7,9,1",
        "2,2,4,6,8,10,2",
    ]
    assert smlmfmt.read(tmp_path / "a.csv").tables[0].columns == table.columns


def test_csv_keeps_names_units_and_frames(tmp_path: Path) -> None:
    table = LocTable(
        {"frame": [0], "x": [1.5], "y": [3], "intensity": [9], "odd": [1]},
        {"x": "nm", "intensity": "photon", "odd": "a, b"},
        frame_origin=0,
    )
    smlmfmt.write(tmp_path / "a.csv", table, format="csv")
    text = (tmp_path / "a.csv").read_text()
    assert text == 'frame,x (nm),y (nm),intensity (photon),"odd (a, b)"\n0,1.5,3,9,1\n'
    found = smlmfmt.read(tmp_path / "a.csv").tables[0]
    assert found.units["odd"] == "a, b"
    assert found["frame"].tolist() == [0]


def test_suffixes_of_written_files(tmp_path: Path) -> None:
    table = LocTable({"x": [1.0], "y": [1.0]})
    for suffix, format_name in (
        (".csv", "thunderstorm"),
        (".txt", "csv"),
        (".xls", "thunderstorm-xls"),
    ):
        smlmfmt.write(tmp_path / f"a{suffix}", table)
        assert smlmfmt.sniff(tmp_path / f"a{suffix}") == format_name


@pytest.mark.parametrize("format_name", WRITERS)
def test_what_cannot_be_written(format_name: str, tmp_path: Path) -> None:
    for table, error in (
        (LocTable({"x": [1.0]}), HeaderError),
        (LocTable({"x": [1.0], "y": [1.0]}, {"y": "px"}), UnitError),
        (LocTable({"x": [1.0], "y": [1.0], 'a"b': [1.0]}), HeaderError),
        (LocTable({"x": [1.0], "y": [1.0], "a\nb": [1.0]}), HeaderError),
    ):
        with pytest.raises(error):
            smlmfmt.write(tmp_path / "a.dat", table, format=format_name)
    assert list(tmp_path.iterdir()) == []


def test_the_last_frame_of_a_narrow_type_has_a_successor(tmp_path: Path) -> None:
    table = LocTable({"frame": np.array([255], np.uint8), "x": [1.0], "y": [1.0]}, frame_origin=0)
    smlmfmt.write(tmp_path / "a.csv", table)
    assert smlmfmt.read(tmp_path / "a.csv").tables[0]["frame"].tolist() == [256]
