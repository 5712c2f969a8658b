"""Tagged spot files: what protocol buffers' own library writes, and what we write and read back."""

from __future__ import annotations

import io
import struct
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import smlmfmt
from smlmfmt import Bundle, FormatError, LocTable
from smlmfmt.errors import ArchiveError, HeaderError, RowError, SizeLimitError, UnitError
from smlmfmt.format import WriteOptions
from smlmfmt.tsf import spots, write_tsf
from smlmfmt.tsf.fields import FWHM_OF_SIGMA, SPOT, SPOT_GDSC, SPOT_LIST, SPOT_THUNDERSTORM, Field
from smlmfmt.tsf.spot_list import encode_spot_list, encode_varint
from smlmfmt.tsf.write import LeftOutWarning

INT32 = st.integers(-(2**31), 2**31 - 1)
FLOAT32 = st.floats(width=32)


def messages() -> tuple[Any, Any]:
    """Return classes of Spot and SpotList that protocol buffers made from the fields."""
    pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    pool = pytest.importorskip("google.protobuf.descriptor_pool").DescriptorPool()
    factory = pytest.importorskip("google.protobuf.message_factory")
    file = pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto2")
    kinds = {"int32": 5, "int64": 3, "float": 2, "double": 1, "bool": 8, "string": 9}
    for name, fields in (
        ("Spot", (*SPOT, *SPOT_THUNDERSTORM, *SPOT_GDSC)),
        ("SpotList", SPOT_LIST),
    ):
        message = file.message_type.add(name=name)
        for field in fields:
            if field.kind != "message":
                label = 3 if field.is_repeated else 2 if field.is_required else 1
                message.field.add(
                    name=field.name, number=field.tag, type=kinds[field.kind], label=label
                )
    pool.Add(file)
    return tuple(
        factory.GetMessageClass(pool.FindMessageTypeByName(f"t.{name}"))
        for name in ("Spot", "SpotList")
    )


def spot_file(spots_: list[dict[str, Any]], facts: dict[str, Any]) -> bytes:
    """Return a file as protocol buffers' library writes its messages."""
    spot_class, list_class = messages()
    body = b"".join(_delimited(spot_class(**spot)) for spot in spots_)
    listed = {"application_id": 1} | facts
    return bytes(4) + struct.pack(">q", len(body)) + body + _delimited(list_class(**listed))


def _delimited(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return encode_varint(len(data)) + data


def raw_file(body: bytes, facts: dict[str, Any] | None = None) -> bytes:
    listed = {"application_id": 1, "location_units": 0} | (facts or {})
    return bytes(4) + struct.pack(">q", len(body)) + body + encode_spot_list(listed)


def read(data: bytes, **options: Any) -> Bundle:
    return smlmfmt.read(io.BytesIO(data), format="tsf", **options)


def spot(**fields: Any) -> dict[str, Any]:
    return {"molecule": 1, "channel": 1, "frame": 1, "x": 1.5, "y": 2.5, "intensity": 10.0} | fields


REQUIRED = {"molecule": INT32, "channel": INT32, "frame": INT32, "x": FLOAT32, "y": FLOAT32,
            "intensity": FLOAT32}  # fmt: skip
OPTIONAL = {
    field.name: INT32 if field.kind == "int32" else FLOAT32
    for field in (*SPOT, *SPOT_THUNDERSTORM)
    if not field.is_required and field.name not in ("location_units", "intensity_units", "width")
}


@settings(max_examples=100)
@given(st.lists(st.fixed_dictionaries(REQUIRED, optional=OPTIONAL), max_size=8))
def test_reads_what_protocol_buffers_write(rows: list[dict[str, Any]]) -> None:
    table = read(spot_file(rows, {"location_units": 0})).tables[0]
    assert len(table) == len(rows)
    names = {"molecule": "id", "bkgstd": "background_std"}
    for name, kind in (REQUIRED | OPTIONAL).items():
        own = names.get(name, name)
        if not any(name in row for row in rows):
            assert own not in table
            continue
        absent = 0 if kind is INT32 else np.nan
        wanted = np.array([row.get(name, absent) for row in rows], table[own].dtype)
        np.testing.assert_array_equal(table[own], wanted)
        assert table[own].dtype == (np.int32 if kind is INT32 else np.float32)


def test_thunderstorm_says_fwhm_and_reads_back_sigma() -> None:
    facts = {"location_units": 2, "intensity_units": 1, "pixel_size": 100.0, "fit_mode": 1}
    rows = [spot(width=2.0 * FWHM_OF_SIGMA, a=4.0, bkgstd=3.0, detections=2, x_precision=0.1)]
    bundle = read(spot_file(rows, facts))
    table = bundle.tables[0]
    np.testing.assert_allclose(table["x"], 150)
    np.testing.assert_allclose(table["sigma_x"], 400, rtol=1e-6)
    np.testing.assert_allclose(table["sigma_y"], 100, rtol=1e-6)
    np.testing.assert_allclose(table["x_precision"], 10, rtol=1e-6)
    assert table["detections"].tolist() == [2]
    assert table.units["background_std"] == table.units["intensity"] == "photon"
    assert table.units["sigma_x"] == table.units["x"] == "nm"
    assert table.source_names["sigma_x"] == "width"
    assert table.source_names["id"] == "molecule"
    assert table.frame_origin == 1
    assert table.metadata["spot_list"]["pixel_size"] == 100
    assert bundle.warnings == ()
    one_axis = read(spot_file(rows, facts | {"fit_mode": 0})).tables[0]
    np.testing.assert_allclose(one_axis["sigma"], 200, rtol=1e-6)
    assert one_axis["a"].tolist() == [4]


def test_gdsc_has_numbers_of_its_own() -> None:
    rows = [
        spot(
            error=0.25, noise=2.0, end_frame=4, parameter_deviation=[1.0, 2.0, 3.0], x_precision=7
        ),
        spot(error=0.5, parameter_deviation=[4.0]),
    ]
    facts = {"application_id": 4, "location_units": 2, "pixel_size": 100.0, "theta_units": 1,
             "psf": "{}", "ecf": [1.0, 2.0]}  # fmt: skip
    table = read(spot_file(rows, facts)).tables[0]
    assert table["error"].tolist() == [0.25, 0.5]
    assert table["error"].dtype == np.float64
    assert table["end_frame"].tolist() == [4, 0]
    assert table["parameter_deviation_0"].tolist() == [1, 4]
    np.testing.assert_array_equal(table["parameter_deviation_2"], [3, np.nan])
    # Its precision is in nm although its positions are pixels.
    np.testing.assert_array_equal(table["x_precision"], [7, np.nan])
    assert table.metadata["spot_list"]["ecf"] == [1, 2]
    other = read(spot_file(rows, facts | {"application_id": 2})).tables[0]
    assert "error" not in other


def test_units_of_single_spots() -> None:
    rows = [spot(x=1.0), spot(x=1.0, location_units=1), spot(x=1.0, location_units=2)]
    table = read(spot_file(rows, {"location_units": 0}), pixel_size_nm=50).tables[0]
    assert table["x"].tolist() == [1, 1000, 50]
    assert "location_units" not in table
    with pytest.raises(UnitError, match="pixel_size_nm"):
        read(spot_file(rows, {"location_units": 0}))
    with pytest.raises(UnitError, match="number 9"):
        read(spot_file([spot(location_units=9)], {}))
    mixed = [spot(intensity_units=0), spot(intensity_units=1)]
    with pytest.raises(UnitError, match="one unit"):
        read(spot_file(mixed, {"location_units": 0}))
    table = read(spot_file([spot(intensity_units=0)], {"location_units": 0})).tables[0]
    assert table.units["intensity"] == "digital"


def test_a_file_without_units_says_so() -> None:
    bundle = read(spot_file([spot()], {"nr_spots": 3}))
    assert bundle.tables[0]["x"].tolist() == [1.5]
    assert ["taken as nm" in text or "there are 1" in text for text in bundle.warnings] == [
        True
    ] * 2
    pixels = read(spot_file([spot()], {}), pixel_size_nm=100)
    assert pixels.tables[0]["x"].tolist() == [150]
    assert "camera pixels" in pixels.warnings[0]


def test_unknown_fields_are_passed_over() -> None:
    body = _fields(SPOT[0], 5) + b"\xf8\x7f\x01" + b"\xfa\x7f\x03abc" + b"\xf9\x7f" + bytes(8)
    rest = b"".join(_fields(field, 1) for field in SPOT if field.is_required)
    table = read(raw_file(encode_varint(len(body + rest)) + body + rest)).tables[0]
    assert table["id"].tolist() == [1]  # The last of two wins.


def _fields(field: Field, value: float) -> bytes:
    if field.kind == "float":
        return encode_varint(field.tag << 3 | 5) + struct.pack("<f", value)
    return encode_varint(field.tag << 3) + encode_varint(int(value))


ONE = b"".join(_fields(field, 1) for field in SPOT if field.is_required)
MESSAGE = encode_varint(len(ONE)) + ONE

BAD = {
    "empty": (b"", ArchiveError, "no binary"),
    "text": (b"Position X [nm]\n1\n", ArchiveError, "no binary"),
    "unfinished": (bytes(12) + MESSAGE * 3, ArchiveError, "SpotList"),
    "zeros": (bytes(100), HeaderError, "not finished"),
    "beyond": (bytes(4) + struct.pack(">q", 1 << 60) + MESSAGE, ArchiveError, "cut short"),
    "before": (bytes(4) + struct.pack(">q", -5) + MESSAGE, ArchiveError, "cut short"),
    "list cut": (raw_file(MESSAGE)[:-1], ArchiveError, "cut short"),
    "list huge": (bytes(12) + b"\xff\xff\xff\xff\x0f", SizeLimitError, "SpotList"),
    "list varint": (bytes(12) + b"\xff" * 11, ArchiveError, "whole number"),
    "list wire": (bytes(12) + b"\x02\x0b\x00", ArchiveError, "wire type"),
    "spot cut": (raw_file(MESSAGE[:-1]), ArchiveError, "last spot is cut short"),
    "no y": (raw_file(MESSAGE + encode_varint(len(ONE) - 5) + ONE[:-10] + ONE[-5:]), RowError,
             "spot 1 of these has no y"),
    "spot wire": (raw_file(b"\x01\x0b"), ArchiveError, "wire type 3"),
    "float cut": (raw_file(b"\x03\x3d\x00\x00"), ArchiveError, "cut short"),
    "long text": (raw_file(b"\x05\x12\xff\xff\xff\x7f"), ArchiveError, "text"),
    "reaches": (raw_file(b"\x02\x12\x05"), ArchiveError, "beyond its spot"),
    "huge spot": (raw_file(b"\xff\xff\xff\x7f" + bytes(200)), SizeLimitError, "a spot of"),
    "huge size": (raw_file(b"\xff" * 12), SizeLimitError, "a spot of"),
    "many fields": (raw_file(b"\xe8\x07" + b"\x20\x00" * 500), SizeLimitError, "256 fields"),
    "long number": (raw_file(b"\x0c\x08" + b"\xff" * 10 + b"\x01"), ArchiveError, "cut short"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_files_that_lie(name: str) -> None:
    data, kind, text = BAD[name]
    with pytest.raises(kind, match=text):
        read(data)


def test_many_empty_messages_end_soon() -> None:
    with pytest.raises(RowError, match="has no molecule"):
        read(raw_file(bytes(50 << 20)))


def columns(count: int) -> st.SearchStrategy[dict[str, npt.NDArray[Any]]]:
    whole = arrays.arrays(np.int32, count)
    real = arrays.arrays(np.float32, count)
    return st.fixed_dictionaries(
        {"frame": whole, "x": real, "y": real},
        optional={
            "id": whole, "channel": whole, "slice": whole, "cluster": whole, "z": real,
            "intensity": real, "background": real, "background_std": real, "detections": whole,
            "theta": real, "x_original": real, "x_precision": real, "y_precision": real,
            "z_precision": real, "x_position": whole, "y_position": whole, "flag": whole,
        },
    )  # fmt: skip


@settings(max_examples=100)
@given(st.integers(0, 12).flatmap(columns), st.sampled_from(["photon", "digital", ""]))
def test_round_trip(written: dict[str, npt.NDArray[Any]], unit: str) -> None:
    units = {"x": "nm", "y": "nm", "intensity": unit, "background": unit}
    table = LocTable(written, units, frame_origin=1, name="a")
    data = as_bytes(table)
    bundle = smlmfmt.read(io.BytesIO(data))
    assert bundle.format == "tsf"
    found = bundle.tables[0]
    assert {"id", "channel", "intensity"} <= set(found.columns) or not len(table)
    for name in written:
        if len(table):
            np.testing.assert_array_equal(found[name], table[name])
            assert found[name].dtype == table[name].dtype
    if "intensity" in written and len(table):
        assert found.units["intensity"] == unit


@given(arrays.arrays(np.float64, (2, 6), elements=st.floats(1e-3, 1e6)))
def test_widths_round_trip(sigmas: npt.NDArray[np.float64]) -> None:
    base = {"frame": np.arange(6), "x": np.zeros(6), "y": np.zeros(6)}
    both = {"sigma_x": sigmas[0], "sigma_y": sigmas[1], "uncertainty_xy": sigmas[1]}
    found = smlmfmt.read(io.BytesIO(as_bytes(LocTable(base | both)))).tables[0]
    np.testing.assert_allclose(found["sigma_x"], sigmas[0], rtol=1e-6)
    np.testing.assert_allclose(found["sigma_y"], sigmas[1], rtol=1e-6)
    np.testing.assert_array_equal(found["x_precision"], sigmas[1].astype(np.float32))
    np.testing.assert_array_equal(found["y_precision"], found["x_precision"])
    one = smlmfmt.read(io.BytesIO(as_bytes(LocTable(base | {"sigma": sigmas[0]})))).tables[0]
    np.testing.assert_allclose(one["sigma"], sigmas[0], rtol=1e-6)


def as_bytes(table: LocTable) -> bytes:
    file = io.BytesIO()
    write_tsf(file, Bundle(tables=(table,)), WriteOptions())
    return file.getvalue()


def test_protocol_buffers_read_what_we_write() -> None:
    table = LocTable(
        {"frame": [0, 300], "x": [1.5, -2.5], "y": [3, 4], "sigma": [100, 200],
         "id": [-1, 2**31 - 1]},
        {"x": "nm", "y": "nm"}, frame_origin=0, name="β",
    )  # fmt: skip
    data = as_bytes(table)
    spot_class, list_class = messages()
    (offset,) = struct.unpack(">q", data[4:12])
    at, found = 12, []
    while at < offset + 12:
        one = spot_class()
        one.ParseFromString(data[at + 1 : at + 1 + data[at]])
        found.append(one)
        at += 1 + data[at]
    assert [one.frame for one in found] == [1, 301]
    assert [one.molecule for one in found] == [-1, 2**31 - 1]
    assert [one.x for one in found] == [1.5, -2.5]
    assert [one.width for one in found] == pytest.approx([235.482, 470.964])
    listed = list_class()
    listed.ParseFromString(data[at + 1 :])
    assert (listed.application_id, listed.nr_spots, listed.nr_frames) == (1, 2, 301)
    assert (listed.name, listed.location_units, listed.fit_mode) == ("β", 0, 0)


def test_what_cannot_be_written(tmp_path: Any) -> None:
    base: dict[str, Any] = {"frame": [1], "x": [1.0], "y": [1.0]}
    bad = [
        (base | {"frame": [1.5]}, {}, RowError, "frame must be whole"),
        (base | {"frame": [2**31]}, {}, RowError, "frame must be whole"),
        (base | {"channel": [np.nan]}, {}, RowError, "channel must be whole"),
        ({"x": [1.0], "y": [1.0]}, {}, HeaderError, "no frame"),
        ({"frame": [1]}, {}, HeaderError, "no x and no y"),
        (base, {"x": "px"}, UnitError, "'x' must be in nm"),
        (base | {"intensity": [1], "background": [1]}, {"intensity": "photon", "background":
         "digital"}, UnitError, "one unit"),
    ]  # fmt: skip
    for values, units, kind, text in bad:
        with pytest.raises(kind, match=text):
            smlmfmt.write(tmp_path / "a.tsf", LocTable(values, units))
    table = LocTable(base)
    with pytest.raises(FormatError, match="one table"):
        smlmfmt.write(tmp_path / "a.tsf", Bundle(tables=(table, table)))
    assert list(tmp_path.iterdir()) == []
    with pytest.warns(LeftOutWarning, match="chi2, lab"):
        smlmfmt.write(tmp_path / "a.tsf", LocTable(base | {"chi2": [1], "lab": [2]}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        smlmfmt.write(tmp_path / "a.tsf", table)
    assert np.isnan(smlmfmt.read(tmp_path / "a.tsf").tables[0]["intensity"]).all()


@pytest.mark.parametrize("block", [40, 41, 100, 1000])
def test_spots_across_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 300
    rng = np.random.default_rng(1)
    table = LocTable({"frame": rng.integers(1, 2**31 - 1, count), "x": rng.random(count),
                      "y": rng.random(count), "id": rng.integers(0, 2**31 - 1, count)})  # fmt: skip
    data = as_bytes(table)
    monkeypatch.setattr(spots, "BLOCK_SIZE", block)
    found = read(data).tables[0]
    for name in table:
        np.testing.assert_array_equal(found[name], table[name].astype(found[name].dtype))


@given(st.data())
def test_damage(data: st.DataObject) -> None:
    sample = bytearray(raw_file(MESSAGE * 4))
    for _ in range(data.draw(st.integers(1, 3))):
        sample[data.draw(st.integers(0, len(sample) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(sample)))
    try:
        read(bytes(sample[: cut or None]), pixel_size_nm=100)
    except FormatError:
        return
