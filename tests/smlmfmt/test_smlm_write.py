"""Writing .smlm in the dialect that all readers accept."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import smlmfmt
from smlmfmt import Bundle, Image, LocTable, deflate, smlm
from smlmfmt.errors import HeaderError, RowError, UnitError
from smlmfmt.smlm import write as smlm_write
from smlmfmt.smlm import zip as smlm_zip
from smlmfmt.smlm.write import ExactnessWarning
from tests.smlmfmt.archives import ROWS, entry, layout, manifest, pack
from tests.smlmfmt.test_smlm import PNG


def sample(rows: int = 1000, **more: npt.ArrayLike) -> LocTable:
    rng = np.random.default_rng(rows)
    columns: dict[str, npt.ArrayLike] = {
        "frame": np.arange(1, rows + 1, dtype=np.float32),
        "x": rng.uniform(0, 4e4, rows).astype(np.float32),
        "y": rng.uniform(0, 4e4, rows).astype(np.float32),
        "uncertainty_xy": rng.gamma(4, 3, rows).astype(np.float32),
    }
    units = {"x": "nm", "y": "nm", "uncertainty_xy": "nm"}
    return LocTable(columns | more, units, name="cell 1.csv", frame_origin=1)


def written(
    path: Path, data: Bundle | LocTable, *, exact: bool = False
) -> tuple[dict[str, object], Bundle]:
    smlmfmt.write(path, data, exact=exact)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        about = json.loads(archive.read("manifest.json"))
    return about, smlmfmt.read(path)


def same(one: LocTable, other: LocTable) -> None:
    assert one.columns == other.columns
    for name in one.columns:
        np.testing.assert_array_equal(one[name], other[name])


def test_round_trip_and_dialect(tmp_path: Path) -> None:
    table = sample()
    about, bundle = written(tmp_path / "a.smlm", table)
    same(table, bundle.tables[0])
    assert bundle.tables[0].frame_origin == 1
    assert bundle.tables[0].units == table.units
    assert smlm.deviations(tmp_path / "a.smlm") == []
    assert about["format_version"] == "0.2"
    layout = about["formats"]["smlm-table(binary)-0"]  # type: ignore[index]
    assert layout["dtype"] == ["float32"] * 4
    assert layout["shape"] == [1] * 4
    assert layout["units"] == ["", "nm", "nm", "nm"]
    entry = about["files"][0]  # type: ignore[index]
    assert entry["offset"] == {"x": 0, "y": 0}
    assert entry["name"] == "cell_1.bin"
    assert entry["max"]["frame"] == 1000
    digest = hashlib.md5(b"".join(table[c].tobytes() for c in ("frame", "x", "y")))
    assert entry["hash"] == digest.hexdigest()
    assert about["hash"] == hashlib.md5(digest.hexdigest().encode()).hexdigest()


def test_manifest_comes_first_and_all_members_are_deflated(tmp_path: Path) -> None:
    smlmfmt.write(tmp_path / "a.smlm", sample())
    with zipfile.ZipFile(tmp_path / "a.smlm") as archive:
        assert archive.namelist()[0] == "manifest.json"
        assert {item.compress_type for item in archive.infolist()} == {zipfile.ZIP_DEFLATED}
        assert all(not item.flag_bits & 8 for item in archive.infolist())


def test_same_data_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.smlm", "b.smlm"):
        smlmfmt.write(tmp_path / name, sample())
    assert (tmp_path / "a.smlm").read_bytes() == (tmp_path / "b.smlm").read_bytes()


@pytest.mark.parametrize("rows", [0, 1, 15, 16, 17, 160, 1000])
def test_segments_of_whole_rows(rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smlm_write, "SEGMENT_SIZE", 16 * 16)
    table = sample(rows)
    path = tmp_path / "a.smlm"
    about, bundle = written(path, table)
    index = about["files"][0]["segments"]  # type: ignore[index]
    assert len(index["sizes"]) == max(1, -(-rows // 16))
    assert index["rows"] == 16
    assert bundle.warnings == ()
    same(table, bundle.tables[0])
    for start, end in (
        (0, rows),
        (rows // 3, rows // 2),
        (rows // 2, rows // 2),
        (max(0, rows - 1), rows),
    ):
        np.testing.assert_array_equal(
            smlmfmt.read(path, rows=(start, end)).tables[0]["x"], table["x"][start:end]
        )
    blocks = list(smlmfmt.iter_blocks(path, rows=37))
    assert sum(map(len, blocks)) == rows
    if rows:
        np.testing.assert_array_equal(np.concatenate([b["y"] for b in blocks]), table["y"])


def test_range_inflates_only_its_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smlm_write, "SEGMENT_SIZE", 16 * 100)
    path = tmp_path / "a.smlm"
    smlmfmt.write(path, sample())
    asked: list[int] = []
    inflate = deflate.inflate_segment

    def counted(data: bytes, *, size: int, is_last: bool) -> Iterator[bytes]:
        asked.append(size)
        return inflate(data, size=size, is_last=is_last)

    monkeypatch.setattr(deflate, "inflate_segment", counted)
    assert smlmfmt.read(path, rows=(450, 520)).tables[0]["frame"][0] == 451
    assert len(asked) == 2


def altered(path: Path, change: object) -> None:
    """Rewrite the manifest of an archive, keeping the compressed tables as they are."""
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read("manifest.json"))
        size = archive.getinfo("manifest.json").file_size
        infos = {item.filename: item for item in archive.infolist()}
    about["files"][0]["segments"] = change
    text = json.dumps(about).encode().ljust(size)
    assert len(text) == size
    file = io.BytesIO()
    writer = smlm_zip.ZipWriter(file)
    writer.add("manifest.json", text)
    for name, info in infos.items():
        if name == "manifest.json":
            continue
        member = writer.begin(name, size_max=info.file_size)
        start = info.header_offset + 30 + len(name)
        file.write(data[start : start + info.compress_size])
        member.crc, member.size, member.compressed_size = (
            info.CRC,
            info.file_size,
            info.compress_size,
        )
        writer.end(member)
    writer.close()
    path.write_bytes(file.getvalue())


@pytest.mark.parametrize(
    "kind", ["shifted", "swapped", "one", "negative", "text", "rows", "zero", "huge"]
)
def test_an_index_that_lies_is_not_used(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smlm_write, "SEGMENT_SIZE", 16 * 100)
    path = tmp_path / "a.smlm"
    about, _ = written(path, sample())
    index = about["files"][0]["segments"]  # type: ignore[index]
    sizes = index["sizes"]
    index["sizes"] = {
        "shifted": [sizes[0] + 1, sizes[1] - 1, *sizes[2:]],
        "swapped": sizes[::-1],
        "one": [sum(sizes)],
        "negative": [-1, sizes[0] + sizes[1] + 1, *sizes[2:]],
        "text": ["a"],
    }.get(kind, sizes)
    index["rows"] = {"rows": 99, "zero": 0, "huge": 10**15}.get(kind, index["rows"])
    altered(path, index)
    bundle = smlmfmt.read(path)
    same(sample(), bundle.tables[0])
    xs = [block["x"] for block in smlmfmt.iter_blocks(path, rows=70)]
    np.testing.assert_array_equal(np.concatenate(xs), sample()["x"])
    for start, end in ((0, 5), (120, 450), (990, 1000)):
        part = smlmfmt.read(path, rows=(start, end)).tables[0]
        np.testing.assert_array_equal(part["x"], sample()["x"][start:end])


def test_several_tables_images_and_thumbnail(tmp_path: Path) -> None:
    images = (
        Image(name="wide field.png", data=PNG, media_type="image/png", channel="wf", shape=(1, 1)),
        Image(
            name="raw",
            data=bytes(24),
            media_type="application/octet-stream",
            shape=(2, 3),
            dtype="uint32",
        ),
        Image(name="thumbnail", data=PNG, media_type="image/png"),
    )
    two = (sample(5), sample(7))
    about, bundle = written(tmp_path / "a.smlm", Bundle(tables=two, images=images))
    assert [item["name"] for item in about["files"]] == [  # type: ignore[attr-defined]
        "cell_1.bin", "cell_1-2.bin", "wide_field.png", "raw.raw",
    ]  # fmt: skip
    for one, other in zip(two, bundle.tables, strict=True):
        same(one, other)
    found = {image.name: image for image in bundle.images}
    assert found["wide_field.png"].data == found["thumbnail"].data == PNG
    assert (found["wide_field.png"].shape, found["wide_field.png"].channel) == ((1, 1), "wf")
    assert (found["raw.raw"].shape, found["raw.raw"].dtype) == ((2, 3), "uint32")
    assert about["thumbnail"] == "thumbnail.png"
    assert smlm.deviations(tmp_path / "a.smlm") == []


def test_whatever_was_read_is_read_again(tmp_path: Path) -> None:
    """Raw pixels with shape and offset, pictures in their place, offsets, patches, every width."""
    kinds = ["uint8", "uint16", "uint32", "int8", "int16", "int32", "float64"]
    record = np.dtype([("frame", "<f4"), ("x", "<f4"), ("y", "<f4"), ("patch", "<f4", (2, 2)),
                       *((kind, np.dtype(kind).newbyteorder("<")) for kind in kinds)])  # fmt: skip
    rows = np.zeros(3, record)
    for name in record.names or ():
        rows[name] = np.arange(rows[name].size).reshape(rows[name].shape) + 1
    headers = ["frame", "x", "y", "patch", *kinds]
    raw = {"type": "image", "mode": "binary", "extension": ".raw", "dtype": "uint16",
           "shape": [2, 2, None], "offset": 4, "description": "two planes"}  # fmt: skip
    table = layout(
        headers=headers, dtype=["float32"] * 4 + kinds, shape=[1, 1, 1, [2, 2], *([1] * 7)]
    )
    place = {"x": 14, "y": -12}
    files = [
        entry(offset={"x": 100, "uint8": -3}),
        {"name": "wf.bin", "type": "image", "format": "raw", "channel": "wf", "offset": place},
        {"name": "b.jpg", "type": "image", "format": "jpg", "size": [1, 1], "min": 0, "max": 255},
    ]
    uri = "data:image/png;base64," + base64.b64encode(PNG).decode()
    about = manifest({"table": table, "raw": raw}, files, thumbnail=uri)
    members = {"a.bin": rows.tobytes(), "wf.bin": bytes(range(20)), "b.jpg": b"\xff\xd8\xff"}
    first = smlmfmt.read(io.BytesIO(pack(about, members)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExactnessWarning)
        again, second = written(tmp_path / "a.smlm", first, exact=True)
    same(first.tables[0], second.tables[0])
    assert second.tables[0]["x"].tolist() == [101, 102, 103]
    assert second.tables[0]["uint8"].tolist() == [-2, -1, 0]
    assert second.tables[0]["patch_3"].tolist() == [4, 8, 12]
    pixels, picture, thumbnail = second.images
    assert pixels.data == bytes(range(20))
    assert (pixels.shape, pixels.dtype, pixels.channel) == ((2, 2, 2), "uint16", "wf")
    assert pixels.metadata["offset"] == place
    assert (picture.data, picture.metadata["max"]) == (b"\xff\xd8\xff", 255)
    assert (thumbnail.name, thumbnail.data) == ("thumbnail", PNG)
    formats = again["formats"]
    assert isinstance(formats, dict)
    written_raw = next(value for value in formats.values() if value["extension"] == ".raw")
    assert {key: written_raw[key] for key in raw} == raw
    third = written(tmp_path / "b.smlm", second, exact=True)[1]
    assert [image.data for image in third.images] == [image.data for image in first.images]


@pytest.mark.parametrize("kind", ["text", "first version"])
def test_tables_of_other_kinds_are_written_as_rows(kind: str, tmp_path: Path) -> None:
    if kind == "text":
        changes = {"mode": "text", "extension": ".csv", "header_row": 0, "delimiter": ","}
        about = manifest({"table": layout(**changes)}, [entry(name="a.csv")])
        data = pack(about, {"a.csv": b"frame,x,y\n1,2.5,3\n2,4,5\n3,6,7.25\n"})
    else:
        columns = np.ascontiguousarray(ROWS.T).view(np.uint8).reshape(3, -1)
        data = pack(manifest(format_version=1), {"a.bin": columns.T.tobytes()})
    first = smlmfmt.read(io.BytesIO(data))
    again = written(tmp_path / "a.smlm", first)[1]
    for name in first.tables[0].columns:
        np.testing.assert_array_equal(first.tables[0][name], again.tables[0][name])
    assert smlm.deviations(tmp_path / "a.smlm") == []


def test_stated_hashes_are_a_fact(tmp_path: Path) -> None:
    picture = Image(name="b.png", data=PNG, media_type="image/png")
    smlmfmt.write(tmp_path / "a.smlm", Bundle(tables=(sample(),), images=(picture,)))
    found = smlm.hashes(tmp_path / "a.smlm")
    assert [(item.name, item.agrees) for item in found] == [
        ("cell_1.bin", True), ("b.png", True), ("manifest.json", True),
    ]  # fmt: skip
    about = manifest(files=[entry(hash="0" * 32)], hash=5)
    (tmp_path / "b.smlm").write_bytes(pack(about))
    found = smlm.hashes(tmp_path / "b.smlm")
    assert [(item.name, item.stated, item.agrees) for item in found] == [
        ("a.bin", "0" * 32, False), ("manifest.json", "", False),
    ]  # fmt: skip
    assert smlmfmt.read(tmp_path / "b.smlm").warnings == ()


def test_what_the_manifest_says_is_kept(tmp_path: Path) -> None:
    said = {"license": "CC BY 4.0", "tags": ["a"], "description": "é", "formats": 1, "hash": "x"}
    about, bundle = written(tmp_path / "a.smlm", Bundle(tables=(sample(3),), manifest=said))
    assert (about["license"], about["tags"], about["description"]) == ("CC BY 4.0", ["a"], "é")
    smlmfmt.write(tmp_path / "b.smlm", bundle)
    again = smlmfmt.read(tmp_path / "b.smlm")
    assert again.manifest == bundle.manifest


def test_a_manifest_that_is_no_json(tmp_path: Path) -> None:
    for said in ({"a": float("nan")}, {"a": object()}):
        with pytest.raises(HeaderError, match="JSON"):
            smlmfmt.write(tmp_path / "a.smlm", Bundle(tables=(sample(3),), manifest=said))
    assert list(tmp_path.iterdir()) == []


def test_without_positions_in_nm(tmp_path: Path) -> None:
    with pytest.raises(HeaderError, match="x and y"):
        smlmfmt.write(tmp_path / "a.smlm", LocTable({"x": [1.0]}))
    with pytest.raises(UnitError, match="nm"):
        smlmfmt.write(tmp_path / "a.smlm", LocTable({"x": [1.0], "y": [1.0]}, {"x": "px"}))
    with pytest.raises(HeaderError, match="once"):
        smlmfmt.write(
            tmp_path / "a.smlm", LocTable({"x": [1.0], "y": [1.0], "a b": [1], "a_b": [1]})
        )


def test_exact_types_are_kept_and_warned_of(tmp_path: Path) -> None:
    table = LocTable(
        {
            "frame": np.array([1, 2**31], np.int64),
            "id": np.array([1, 2**53], np.int64),
            "channel": np.array([0, 200], np.uint8),
            "x": np.array([1 / 3, 2 / 3]),
            "y": np.array([1 / 3, 2 / 3], np.float32),
            "charge": np.array([-3, 3], np.int8),
        }
    )
    with pytest.warns(ExactnessWarning, match="refuse"):
        about, bundle = written(tmp_path / "a.smlm", table, exact=True)
    same(table, bundle.tables[0])
    assert about["formats"]["smlm-table(binary)-0"]["dtype"] == [  # type: ignore[index]
        "uint32", "float64", "uint8", "float64", "float32", "float64",
    ]  # fmt: skip
    assert any("uint32" in text for text in smlm.deviations(tmp_path / "a.smlm"))


def test_counts_that_float32_cannot_hold_are_warned_of(tmp_path: Path) -> None:
    table = LocTable({"frame": np.array([2**24 + 1]), "x": [1.0], "y": [1.0]})
    with pytest.warns(ExactnessWarning, match="frame"):
        smlmfmt.write(tmp_path / "a.smlm", table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        smlmfmt.write(tmp_path / "a.smlm", sample(3))


def test_not_finite_values_are_written_and_null_in_the_manifest(tmp_path: Path) -> None:
    table = LocTable({"frame": [1.0, np.nan], "x": [np.nan, np.inf], "y": [1e300, -0.0]})
    about, bundle = written(tmp_path / "a.smlm", table)
    found = bundle.tables[0]
    assert np.isnan(found["x"][0])
    assert np.isinf(found["x"][1])
    assert np.isinf(found["y"][0])
    assert about["files"][0]["min"]["x"] is None  # type: ignore[index]


def test_failing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.smlm"
    smlmfmt.write(path, sample(3))
    with pytest.raises(HeaderError):
        smlmfmt.write(path, LocTable({"a": [1]}))
    assert len(smlmfmt.read(path).tables[0]) == 3
    assert [item.name for item in tmp_path.iterdir()] == ["a.smlm"]


def test_zip64_sizes_are_written_where_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smlm_zip, "_LARGE", 10)
    monkeypatch.setattr(smlm_zip, "_U16", 2)
    file = io.BytesIO()
    writer = smlm_zip.ZipWriter(file)
    for name in ("a", "b", "c"):
        writer.add(name, b"0123456789" * 10)
    writer.close()
    assert b"PK\6\6" in file.getvalue()
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.read("c") == b"0123456789" * 10


def test_rows_beyond_the_table(tmp_path: Path) -> None:
    smlmfmt.write(tmp_path / "a.smlm", sample(3))
    with pytest.raises(RowError):
        smlmfmt.read(tmp_path / "a.smlm", rows=(2, 5)).tables[0]


FLOATS = hnp.arrays(np.float32, st.just(7), elements=st.floats(width=32))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    columns=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,5})?", fullmatch=True), FLOATS, max_size=5
    ),
    x=FLOATS,
    y=FLOATS,
)
def test_any_columns_survive(
    columns: dict[str, npt.NDArray[np.float32]],
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    tmp_path: Path,
) -> None:
    table = LocTable({**columns, "x": x, "y": y}, {"x": "nm", "y": "nm"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExactnessWarning)
        smlmfmt.write(tmp_path / "a.smlm", table)
    found = smlmfmt.read(tmp_path / "a.smlm").tables[0]
    sources = {source: name for name, source in found.source_names.items()}
    for name in table.columns:
        np.testing.assert_array_equal(table[name], found[sources[name]])


def test_columns_of_nothing_but_no_numbers_warn_of_nothing(tmp_path: Path) -> None:
    nothing = np.full(3, np.nan)
    huge = np.array([1e308, 1e308, -1e308])
    table = LocTable({"frame": nothing, "x": huge, "y": nothing, "z": np.full(3, np.inf)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        smlmfmt.write(tmp_path / "a.smlm", table)
        smlm.deviations(tmp_path / "a.smlm")
        summary = table.summary()
    assert summary.non_finite == 9
    assert summary.frames is None
