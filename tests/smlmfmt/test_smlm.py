"""Reading .smlm as its writers write it: one test for each way in which they stray."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smlmfmt
from smlmfmt import smlm
from smlmfmt.errors import HeaderError, RowError, SizeLimitError, UnitError
from tests.smlmfmt.archives import ROWS, entry, layout, manifest, pack, read, saved, table

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def deviations(tmp_path: Path, data: bytes) -> list[str]:
    return smlm.deviations(saved(tmp_path / "a.smlm", data))


def good_hash() -> str:
    return hashlib.md5(b"".join(ROWS[:, c].tobytes() for c in range(3))).hexdigest()


def test_table_is_read() -> None:
    found = table(pack())
    assert found.columns == ("frame", "x", "y")
    np.testing.assert_array_equal(np.stack([found[c] for c in found.columns], axis=1), ROWS)
    assert all(found[c].dtype == np.float32 for c in found.columns)
    assert all(found[c].flags.c_contiguous for c in found.columns)
    assert (found.name, found.channel, found.format) == ("a.bin", "default", "smlm")


def test_common_dialect_has_no_deviations(tmp_path: Path) -> None:
    about = manifest(files=[entry(hash=good_hash())])
    assert deviations(tmp_path, pack(about)) == []


@pytest.mark.parametrize("units", [{}, [], None, ["nm"], "nm"])
def test_units_need_not_be_a_full_list(units: object, tmp_path: Path) -> None:
    data = pack(manifest({"table": layout(units=units)}))
    assert table(data).units == {"frame": "", "x": "nm", "y": "nm"}
    assert any("units" in text for text in deviations(tmp_path, data))


def test_units_may_be_an_object_by_header() -> None:
    data = pack(manifest({"table": layout(units={"x": "um", "y": "um"})}))
    np.testing.assert_allclose(table(data)["x"], ROWS[:, 1] * 1000)


def test_numbers_may_be_written_as_text(tmp_path: Path) -> None:
    data = pack(manifest({"table": layout(columns="3", shape=["1"] * 3)}, [entry(rows="3")]))
    assert len(table(data)) == 3
    assert sum("is text" in text for text in deviations(tmp_path, data)) == 3


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint64", "float64"])
def test_types_beside_the_specification(kind: str, tmp_path: Path) -> None:
    rows = np.array(
        [(-3 if kind[0] != "u" else 3, 1.5, 2.5)], [("f", kind), ("x", "<f4"), ("y", "<f4")]
    )
    about = manifest({"table": layout(dtype=[kind, "float32", "float32"])}, [entry(rows=1)])
    data = pack(about, {"a.bin": rows.tobytes()})
    assert table(data)["frame"].tolist() == rows["f"].tolist()
    assert table(data)["x"].tolist() == [1.5]
    assert any(kind in text for text in deviations(tmp_path, data))


@pytest.mark.parametrize("kind", ["Uint8", "UINT8", "Uint16", "FLOAT32"])
def test_type_names_in_any_case(kind: str, tmp_path: Path) -> None:
    rows = np.array([(7, 1.5, 2.5)], [("f", kind.lower()), ("x", "<f4"), ("y", "<f4")])
    about = manifest({"table": layout(dtype=[kind, "float32", "float32"])}, [entry(rows=1)])
    data = pack(about, {"a.bin": rows.tobytes()})
    assert table(data)["frame"].tolist() == [7]
    assert any("spelled" in text for text in deviations(tmp_path, data))


def test_members_may_be_stored(tmp_path: Path) -> None:
    data = pack(compression=zipfile.ZIP_STORED)
    np.testing.assert_array_equal(table(data)["x"], ROWS[:, 1])
    assert any("DEFLATE" in text for text in deviations(tmp_path, data))


def test_positions_under_another_name(tmp_path: Path) -> None:
    headers = ["frame", "position_x", "position_y"]
    data = pack(manifest({"table": layout(headers=headers, extension=None)}))
    found = table(data)
    assert found.columns == ("frame", "x", "y")
    assert found.source_names["x"] == "position_x"
    stray = deviations(tmp_path, data)
    assert any("named x and y" in text for text in stray)
    assert any("extension" in text for text in stray)


def transposed(rows: np.ndarray[Any, Any]) -> bytes:
    columns = rows.shape[1]
    flat = bytearray(rows.size * 4)
    for column in range(columns):
        for index, byte in enumerate(rows[:, column].tobytes()):
            flat[index * columns + column] = byte
    return bytes(flat)


@pytest.mark.parametrize("version", [1, 1.0, "1"])
def test_first_version_is_transposed_byte_by_byte(version: object, tmp_path: Path) -> None:
    data = pack(manifest(format_version=version), {"a.bin": transposed(ROWS)})
    found = table(data)
    np.testing.assert_array_equal(np.stack([found[c] for c in found.columns], axis=1), ROWS)
    assert any("format_version" in text for text in deviations(tmp_path, data))


def test_leading_underscore_and_unit_in_the_name(tmp_path: Path) -> None:
    headers = ["_frame", "x", "y", "sigma_nm_", "uncertainty_xy_nm_", "intensity_photon_"]
    headers += ["Precision_nm_", "Amplitude_0_0", "bkgstd_photon_"]
    rows = np.ones((1, 9), "<f4")
    about = manifest({"table": layout(headers=headers, units=[])}, [entry(rows=1)])
    data = pack(about, {"a.bin": rows.tobytes()})
    found = table(data)
    assert found.columns == (
        *("frame", "x", "y", "sigma", "uncertainty_xy", "intensity"),
        *("precision_nm", "amplitude_0_0", "background_std"),
    )
    assert found.units["sigma"] == found.units["uncertainty_xy"] == "nm"
    assert found.units["intensity"] == found.units["background_std"] == "photon"
    assert found.source_names["uncertainty_xy"] == "uncertainty_xy_nm_"
    assert any("'_'" in text for text in deviations(tmp_path, data))


def test_float32_frames_beyond_exactness_are_named() -> None:
    rows = ROWS.copy()
    rows[2, 0] = 2**25
    bundle = read(pack(members={"a.bin": rows.tobytes()}))
    assert any("frame goes beyond" in text for text in bundle.warnings)


def test_hash_is_the_md5_of_frame_x_y(tmp_path: Path) -> None:
    stray = deviations(tmp_path, pack(manifest(files=[entry(hash="0" * 32)])))
    assert [text for text in stray if "md5" in text]
    # The manifest's own hash goes stale in the app as soon as there are two files.
    about = manifest(files=[entry(hash=good_hash())], hash="stale")
    assert deviations(tmp_path, pack(about)) == []


@pytest.mark.parametrize(
    "statistic", [{"x": 1.23}, [1, 2, 3], None, {"x": float("inf")}, {"x": "1"}, "none"]
)
def test_statistics_in_the_manifest_are_kept_and_not_believed(statistic: object) -> None:
    about = manifest(files=[entry(min=statistic, max=statistic, avg=statistic)])
    bundle = read(pack(about))
    assert bundle.tables[0]["x"].max() == 30.5
    json.dumps(bundle.manifest, allow_nan=False)


@pytest.mark.parametrize("offset", [{}, None, [], {"x": 0.0, "y": 0.0}, {"frame": 0, "x": "0"}])
def test_offset_may_be_empty_or_complete(offset: object) -> None:
    np.testing.assert_array_equal(
        table(pack(manifest(files=[entry(offset=offset)])))["x"], ROWS[:, 1]
    )


def test_offset_is_applied_and_said(tmp_path: Path) -> None:
    data = pack(manifest(files=[entry(offset={"x": 100, "y": -1.5})]))
    np.testing.assert_array_equal(table(data)["x"], ROWS[:, 1] + 100)
    np.testing.assert_array_equal(table(data)["y"], ROWS[:, 2] - 1.5)
    assert any("offset" in text for text in read(data).warnings)
    assert any("offset is not 0" in text for text in deviations(tmp_path, data))


def test_offset_of_whole_numbers_cannot_overflow() -> None:
    rows = np.array([(250, 1, 2)], [("f", "u1"), ("x", "u1"), ("y", "u1")])
    about = manifest({"table": layout(dtype="uint8")}, [entry(rows=1, offset={"x": -14, "y": 300})])
    found = table(pack(about, {"a.bin": rows.tobytes()}))
    assert (found["x"].tolist(), found["y"].tolist()) == ([-13], [302])


def test_manifest_may_come_first_or_last_and_be_indented() -> None:
    about = b"\xef\xbb\xbf" + json.dumps(manifest(), indent="\t").encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", about)
        archive.writestr("a.bin", ROWS.tobytes())
    assert len(table(file.getvalue())) == len(table(pack(about))) == 3


def test_archive_of_a_folder() -> None:
    data = pack(
        members={"cell/a.bin": ROWS.tobytes(), "__MACOSX/x": b""}, name="cell/manifest.json"
    )
    assert len(table(data)) == 3


def test_columns_in_any_order() -> None:
    about = manifest({"table": layout(headers=["y", "frame", "x"], units=["nm", "frame", "nm"])})
    found = table(pack(about))
    np.testing.assert_array_equal(found["y"], ROWS[:, 0])
    np.testing.assert_array_equal(found["x"], ROWS[:, 2])


def test_unknown_keys_are_kept() -> None:
    about = manifest(license="CC BY 4.0", citeAs="", tags="[]", locdata_meta={"a": [1]})
    about["files"][0] |= {"exposure": -1, "pixel_size": 20, "metadata": {}}
    bundle = read(pack(about))
    assert bundle.manifest["license"] == "CC BY 4.0"
    assert bundle.manifest["locdata_meta"] == {"a": [1]}
    assert bundle.tables[0].metadata["pixel_size"] == 20


@pytest.mark.parametrize("kind", ["png", "PNG", "unknown"])
def test_images_without_rows(kind: str, tmp_path: Path) -> None:
    image = {"name": "b.png", "type": "image", "format": kind, "channel": "wf", "size": [1, 1]}
    about = manifest(files=[image, entry()])
    data = pack(about, {"a.bin": ROWS.tobytes(), "b.png": PNG})
    bundle = read(data)
    assert len(bundle.tables) == 1
    found = bundle.images[0]
    assert (found.data, found.media_type, found.shape, found.channel) == (
        PNG,
        "image/png",
        (1, 1),
        "wf",
    )
    assert any("image comes before" in text for text in deviations(tmp_path, data))


def test_raw_image() -> None:
    raw = {
        "type": "image",
        "mode": "binary",
        "extension": ".raw",
        "dtype": "uint32",
        "shape": [2, 3, None],
        "offset": 0,
    }
    image = {"name": "b.bin", "type": "image", "format": "raw"}
    about = manifest({"table": layout(), "raw": raw}, [entry(), image])
    found = read(pack(about, {"a.bin": ROWS.tobytes(), "b.bin": bytes(24)})).images[0]
    assert (found.shape, found.dtype, found.media_type) == (
        (2, 3, 1),
        "uint32",
        "application/octet-stream",
    )


def test_absent_image_is_a_warning() -> None:
    about = manifest(files=[entry(), {"name": "b.png", "type": "image", "format": "png"}])
    bundle = read(pack(about))
    assert len(bundle.tables[0]) == 3
    assert any("b.png" in text for text in bundle.warnings)


def test_columns_of_several_elements(tmp_path: Path) -> None:
    rows = np.arange(21, dtype="<f4").reshape(3, 7)
    headers = ["frame", "x", "y", "patch"]
    about = manifest({"table": layout(headers=headers, shape=[1, 1, [1], [2, 2]])})
    data = pack(about, {"a.bin": rows.tobytes()})
    found = table(data)
    assert found.columns == ("frame", "x", "y", "patch_0", "patch_1", "patch_2", "patch_3")
    np.testing.assert_array_equal(found["patch_3"], rows[:, 6])
    assert any("several elements" in text for text in deviations(tmp_path, data))


def test_unsigned_values_stay_unsigned() -> None:
    # The Java reader takes 200 for -56.
    rows = np.array([(200, 60000, 4e9)], [("f", "u1"), ("x", "<u2"), ("y", "<u4")])
    about = manifest({"table": layout(dtype=["uint8", "uint16", "uint32"])}, [entry(rows=1)])
    found = table(pack(about, {"a.bin": rows.tobytes()}))
    assert [found[c][0] for c in found.columns] == [200, 60000, 4_000_000_000]


def text_manifest(**changes: Any) -> dict[str, Any]:
    layout_ = {
        "type": "table", "mode": "text", "extension": ".csv", "dtype": "float32",
        "delimiter": ",", "comments": "#", "header_row": 0, "header_transform": {},
    }  # fmt: skip
    return manifest({"table": layout_ | changes}, [entry(name="a.csv", rows=2)])


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (b"frame,x,y\n1,10.5,2\n# note\n2,11.5,3\n", {}),
        (b'"frame","x [nm]","y [nm]"\r\n1,10.5,2\r\n2,11.5,3', {}),
        (
            b"t;a;b\n1;10.5;2\n2;11.5;3\n",
            {"delimiter": ";", "header_transform": {"t": "frame", "a": "x", "b": "y"}},
        ),
        (
            b"1\t10.5\t2\n2\t11.5\t3\n",
            {
                "delimiter": "\t",
                "header_row": -1,
                "header_transform": {"0": "frame", "1": "x", "2": "y"},
            },
        ),
    ],
)
def test_tables_kept_as_text(text: bytes, changes: dict[str, Any], tmp_path: Path) -> None:
    data = pack(text_manifest(**changes), {"a.csv": text})
    found = table(data)
    assert found["x"].tolist() == [10.5, 11.5]
    assert found["frame"].tolist() == [1, 2]
    assert found.units["x"] == "nm"
    assert any("kept as text" in entry_ for entry_ in deviations(tmp_path, data))


def test_text_table_with_fewer_rows_than_promised() -> None:
    with pytest.raises(RowError, match=r"a\.csv.*2 rows promised, 1 found"):
        read(pack(text_manifest(), {"a.csv": b"frame,x,y\n1,2,3\n"}))


def test_column_names_that_come_twice(tmp_path: Path) -> None:
    rows = np.arange(12, dtype="<f4").reshape(3, 4)
    data = pack(
        manifest({"table": layout(headers=["frame", "x", "y", "x"])}), {"a.bin": rows.tobytes()}
    )
    found = table(data)
    assert found.columns == ("frame", "x", "y", "x_2")
    np.testing.assert_array_equal(found["x"], rows[:, 1])
    assert any("twice" in text for text in deviations(tmp_path, data))


def test_arbitrary_units_are_kept() -> None:
    about = manifest(
        {"table": layout(dtype=["uint32", "float32", "float32"], units=["a.u.", "nm", "nm"])}
    )
    rows = np.array([(4_000_000_000, 1, 2)] * 3, [("f", "<u4"), ("x", "<f4"), ("y", "<f4")])
    found = table(pack(about, {"a.bin": rows.tobytes()}))
    assert found["frame"][0] == 4_000_000_000
    assert found.units["frame"] == "a.u."


def test_thumbnail_as_member() -> None:
    data = pack(manifest(thumbnail="t.png"), {"a.bin": ROWS.tobytes(), "t.png": PNG})
    image = read(data).images[0]
    assert (image.name, image.data, image.media_type) == ("thumbnail", PNG, "image/png")


def test_thumbnail_beside_the_files_is_found() -> None:
    assert (
        read(pack(members={"a.bin": ROWS.tobytes(), "_thumbnail.png": PNG})).images[0].data == PNG
    )


def test_thumbnail_as_data_uri() -> None:
    uri = "data:image/png;base64," + base64.b64encode(PNG).decode()
    image = read(pack(manifest(thumbnail=uri))).images[0]
    assert (image.name, image.data, image.media_type) == ("thumbnail", PNG, "image/png")


@pytest.mark.parametrize(
    "uri", ["data:image/png;base64,%%%", "data:text/html,x", "gone.png", 7, "", []]
)
def test_bad_thumbnail_does_not_stand_in_the_way(uri: object) -> None:
    bundle = read(pack(manifest(thumbnail=uri)))
    assert (len(bundle.tables), len(bundle.images)) == (1, 0)


@pytest.mark.parametrize(
    ("unit", "factor"), [("um", 1e3), ("µm", 1e3), ("m", 1e9), ("angstrom", 0.1), ("pixel", 100.0)]
)
def test_lengths_are_brought_to_nm(unit: str, factor: float) -> None:
    data = pack(manifest({"table": layout(units=["frame", unit, unit])}))
    found = table(data, pixel_size_nm=100)
    np.testing.assert_allclose(found["x"], ROWS[:, 1] * factor, rtol=1e-6)
    assert found.units["x"] == "nm"


def test_pixels_without_a_pixel_size() -> None:
    with pytest.raises(UnitError, match="pixel size"):
        read(pack(manifest({"table": layout(units=["frame", "px", "px"])})))


def test_rows_may_be_left_out() -> None:
    assert len(table(pack(manifest(files=[entry(rows=None)])))) == 3


def test_not_finite_values_are_data() -> None:
    rows = np.array([[1, np.nan, np.inf]] * 3, "<f4")
    found = table(pack(members={"a.bin": rows.tobytes()}))
    assert np.isnan(found["x"]).all()
    assert np.isinf(found["y"]).all()


@pytest.mark.parametrize("rows", [2, 4, 10**12, 10**15])
def test_rows_that_the_bytes_do_not_hold(rows: int) -> None:
    with pytest.raises((RowError, HeaderError), match="rows"):
        read(pack(manifest(files=[entry(rows=rows)])))


@pytest.mark.parametrize("rows", [-1, 1.5, "many", "1e400", True, [3], 10**300, "9" * 40, "nan"])
def test_row_counts_that_are_none(rows: object) -> None:
    with pytest.raises(HeaderError, match="rows"):
        read(pack(manifest(files=[entry(rows=rows)])))


@pytest.mark.parametrize("rows", [float("nan"), float("inf")])
def test_numbers_that_are_no_json_are_as_if_nothing_were_said(rows: float) -> None:
    assert len(table(pack(manifest(files=[entry(rows=rows)])))) == 3


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"columns": 4}, HeaderError),
        ({"headers": []}, SizeLimitError),
        ({"headers": "x"}, HeaderError),
        ({"headers": [1, 2, 3]}, HeaderError),
        ({"headers": ["x"] * 5000}, SizeLimitError),
        ({"dtype": ["float32"]}, HeaderError),
        ({"dtype": "complex64"}, HeaderError),
        ({"dtype": [None] * 3}, HeaderError),
        ({"shape": [1, 1]}, HeaderError),
        ({"shape": [1, 1, 0]}, SizeLimitError),
        ({"shape": [1, 1, [4096, 4096, 4096]]}, SizeLimitError),
        ({"shape": [1, 1, 10**9]}, HeaderError),
        ({"shape": [1, 1, -1]}, HeaderError),
        ({"dtype": "float64"}, RowError),
        ({"mode": "text", "header_row": "x"}, HeaderError),
        ({"mode": "text", "header_row": 10**9}, HeaderError),
    ],
)
def test_layouts_that_do_not_fit(changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match="file"):
        read(pack(manifest({"table": layout() | changes})))


@pytest.mark.parametrize(
    "about",
    [
        b"", b"{", b"[]", b"null", b"7", b'{"files": 1}', b'{"files": [1]}', b'{"files": [{}]}',
        b'{"files": [{"name": 1}]}', b'{"files": [{"name": "a.bin"}]}', b"\xff\xfe\x00",
        b'{"files": [{"name": "a.bin", "format": "x"}], "formats": []}', b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"files": [], "a": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_manifests_that_are_none(about: bytes) -> None:
    with pytest.raises((HeaderError, SizeLimitError), match=r"manifest\.json"):
        read(pack(about))


def test_manifest_nested_too_deep() -> None:
    about = json.dumps(manifest(extra=json.loads("[" * 40 + "]" * 40))).encode()
    with pytest.raises(SizeLimitError, match="nested deeper"):
        read(pack(about))


@pytest.mark.parametrize("name", ["a.bin", "./a.bin"])
def test_a_member_is_listed_once(name: str) -> None:
    with pytest.raises(HeaderError, match="listed twice"):
        read(pack(manifest(files=[entry(), entry(name=name)])))


def test_lone_surrogates_do_not_travel_on() -> None:
    bundle = read(pack(json.dumps(manifest(name="\ud800")).encode()))
    assert bundle.manifest["name"] == "?"


def test_rows_by_range_and_blocks(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.smlm", pack())
    assert smlmfmt.read(path, rows=(1, 3)).tables[0]["frame"].tolist() == [2, 3]
    assert len(smlmfmt.read(path, rows=(1, 1)).tables[0]) == 0
    assert [block["frame"].tolist() for block in smlmfmt.iter_blocks(path, rows=2)] == [[1, 2], [3]]
    with pytest.raises(RowError, match="there are 3"):
        smlmfmt.read(path, rows=(0, 4)).tables[0]
    with pytest.raises(smlmfmt.FormatError, match="no table 1"):
        smlmfmt.read(path, rows=(0, 1), table=1).tables[0]


def test_text_and_transposed_tables_by_range_and_blocks(tmp_path: Path) -> None:
    old = saved(
        tmp_path / "old.smlm", pack(manifest(format_version=1), {"a.bin": transposed(ROWS)})
    )
    text = saved(tmp_path / "a.zip", pack(text_manifest(), {"a.csv": b"frame,x,y\n1,2,3\n2,4,5\n"}))
    for path in (old, text):
        assert smlmfmt.read(path, rows=(1, 2)).tables[0]["frame"].tolist() == [2]
        assert next(smlmfmt.iter_blocks(path, rows=1))["frame"].tolist() == [1]
