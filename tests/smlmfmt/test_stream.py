"""Part of a file is the same part of the whole, for every format, however it is read."""

from __future__ import annotations

import dataclasses
import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smlmfmt
from smlmfmt import Bundle, LocTable
from smlmfmt.errors import FormatError, HeaderError, RowError
from smlmfmt.format import WriteOptions
from smlmfmt.known_formats import KNOWN
from smlmfmt.smlm import write as smlm_write
from tests.smlmfmt.archives import ROWS, entry, layout, manifest, pack, saved

ROW_COUNT = 1000


def sample(rows: int = ROW_COUNT) -> LocTable:
    rng = np.random.default_rng(rows)
    columns = {
        "frame": np.arange(1, rows + 1, dtype=np.float32),
        "x": rng.uniform(0, 4e4, rows).astype(np.float32),
        "y": rng.uniform(0, 4e4, rows).astype(np.float32),
        "intensity": rng.gamma(4, 300, rows).astype(np.float32),
    }
    return LocTable(
        columns, {"x": "nm", "y": "nm", "intensity": "photon"}, name="a", frame_origin=1
    )


def written(folder: Path, name: str, table: LocTable) -> Path:
    """Write a table in a format, or as a plain csv."""
    path = folder / f"a.{name}"
    if name == "csv":
        rows = zip(*(table[column].tolist() for column in table.columns), strict=True)
        lines = [",".join(table.columns), *(",".join(map(repr, row)) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    else:
        smlmfmt.write(path, table, format=name)
    return path


def same(one: LocTable, other: LocTable) -> None:
    assert one.columns == other.columns
    assert one.units == other.units
    assert one.source_names == other.source_names
    assert (one.name, one.channel, one.format) == (other.name, other.channel, other.format)
    assert (one.frame_origin, one.metadata) == (other.frame_origin, other.metadata)
    for name in one.columns:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name])


def joined(blocks: list[LocTable]) -> dict[str, Any]:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0].columns}


FORMATS = ["smlm", "thunderstorm", "thunderstorm-xls", "csv"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rows", [1, 7, 999, 1000, 1001, 10**12])
def test_blocks_are_the_whole(name: str, rows: int, tmp_path: Path) -> None:
    path = written(tmp_path, name, sample())
    whole = smlmfmt.read(path).tables[0]
    blocks = list(smlmfmt.iter_blocks(path, rows=rows))
    assert [len(block) for block in blocks[:-1]] == [rows] * (len(blocks) - 1)
    found = LocTable(
        joined(blocks),
        blocks[0].units,
        name=blocks[0].name,
        channel=blocks[0].channel,
        frame_origin=blocks[0].frame_origin,
        source_names=blocks[0].source_names,
        metadata=blocks[0].metadata,
        format=blocks[0].format,
    )
    same(whole, found)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "bounds", [(0, 0), (0, 1), (10, 500), (999, 1000), (0, 1000), (1000, 1000)]
)
def test_rows_are_a_part_of_the_whole(name: str, bounds: tuple[int, int], tmp_path: Path) -> None:
    path = written(tmp_path, name, sample())
    whole = smlmfmt.read(path).tables[0]
    part = smlmfmt.read(path, rows=bounds, only=("y", "x")).tables[0]
    assert part.columns == ("y", "x")
    for column in part.columns:
        np.testing.assert_array_equal(part[column], whole[column][slice(*bounds)])
        assert part[column].dtype == whole[column].dtype


@pytest.mark.parametrize("name", FORMATS)
def test_columns_are_a_part_of_the_whole(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, sample())
    whole = smlmfmt.read(path).tables[0]
    part = smlmfmt.read(path, only=("frame", "x", "frame")).tables[0]
    assert part.columns == ("frame", "x")
    assert part.source_names == {name: whole.source_names[name] for name in part.columns}
    np.testing.assert_array_equal(part["x"], whole["x"])
    assert smlmfmt.read(path, only="x").tables[0].columns == ("x",)
    with pytest.raises(HeaderError, match="'sigma'; the columns are frame, x, y, intensity"):
        smlmfmt.read(path, only=("x", "sigma"))
    with pytest.raises(HeaderError, match="no column"):
        smlmfmt.read(path, only=())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("bounds", [(0, 1001), (1001, 1001), (-1, 5), (5, 3), (990, 2000)])
def test_rows_that_are_not_there(name: str, bounds: tuple[int, int], tmp_path: Path) -> None:
    path = written(tmp_path, name, sample())
    with pytest.raises(RowError):
        smlmfmt.read(path, rows=bounds)


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_without_rows(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, sample(0))
    assert sum(map(len, smlmfmt.iter_blocks(path))) == 0
    part = smlmfmt.read(path, rows=(0, 0), only=("x", "y")).tables[0]
    assert (len(part), part.columns) == (0, ("x", "y"))


def test_blocks_need_a_row(tmp_path: Path) -> None:
    path = written(tmp_path, "smlm", sample(3))
    with pytest.raises(FormatError, match="at least 1"):
        next(smlmfmt.iter_blocks(path, rows=0))


def test_one_of_several_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.smlm"
    smlmfmt.write(path, Bundle(tables=(sample(3), sample(5))))
    assert [len(table) for table in smlmfmt.read(path, only="x").tables] == [3, 5]
    assert [len(table) for table in smlmfmt.read(path, table=1).tables] == [5]
    assert len(smlmfmt.read(path, table=1, rows=(1, 3)).tables[0]) == 2
    assert sum(map(len, smlmfmt.iter_blocks(path, table=0))) == 3
    for ambiguous in (
        lambda: smlmfmt.read(path, rows=(0, 1)),
        lambda: next(smlmfmt.iter_blocks(path)),
    ):
        with pytest.raises(FormatError, match="2 tables; say which one"):
            ambiguous()
    for index in (2, -1):
        with pytest.raises(FormatError, match=f"no table {index}"):
            smlmfmt.read(path, table=index)


def test_a_bad_row_shows_when_it_is_come_upon(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,2\n3,4\n5\n7,8\n")
    blocks = smlmfmt.iter_blocks(path, rows=1)
    with pytest.raises(RowError, match="line 4"):
        list(blocks)
    assert joined(list(smlmfmt.iter_blocks(path, rows=2, on_error="skip")))["x"].tolist() == [
        1, 3, 7,
    ]  # fmt: skip
    part = smlmfmt.read(path, only=("y",), on_error="skip")
    assert part.tables[0]["y"].tolist() == [2, 4, 8]
    assert any("1 bad rows skipped" in warning for warning in part.warnings)


def test_what_is_said_of_the_file_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,2\n3,4\n5,6\n")
    part = smlmfmt.read(path, only=("x", "y"))
    assert list(part.warnings) == list(smlmfmt.read(path).warnings)
    assert len(part.warnings) == 1


def test_trailer_and_pixels_hold_for_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"frame\tx\ty\r\n1\t2\t3\r\n2\t4\t5\r\n\0\r\nVoxel : 0.1 \xb5m\r\n")
    whole = smlmfmt.read(path, pixel_size_nm=100).tables[0]
    (block,) = smlmfmt.iter_blocks(path, pixel_size_nm=100)
    same(whole, block)
    assert block["x"].tolist() == [200, 400]
    assert block.metadata["trailer"] == "Voxel : 0.1 µm"


def test_utf16_and_files_not_on_disk() -> None:
    data = "x,y\n1,2\n3,4\n".encode("utf-16")
    (block,) = smlmfmt.iter_blocks(io.BytesIO(data), columns={"x": "x", "y": "y"})
    assert block["y"].tolist() == [2, 4]


def test_text_and_transposed_tables_in_part(tmp_path: Path) -> None:
    changes = {"mode": "text", "extension": ".csv", "header_row": 0, "delimiter": ","}
    text = manifest({"table": layout(**changes)}, [entry(name="a.csv")])
    path = saved(tmp_path / "t.zip", pack(text, {"a.csv": b"frame,x,y\n1,2,3\n2,4,5\n3,6,7\n"}))
    part = smlmfmt.read(path, only=("y",), rows=(1, 3)).tables[0]
    assert part["y"].tolist() == [5, 7]
    transposed = ROWS.T.copy().view(np.uint8).reshape(3, -1)
    data = np.ascontiguousarray(transposed.T).tobytes()
    path = saved(tmp_path / "v1.smlm", pack(manifest(format_version=1), {"a.bin": data}))
    part = smlmfmt.read(path, only=("x",), rows=(0, 2)).tables[0]
    np.testing.assert_array_equal(part["x"], ROWS[:2, 1])


def test_damage_shows_at_the_last_block_at_the_latest(tmp_path: Path) -> None:
    path = written(tmp_path, "smlm", sample())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(FormatError):
        list(smlmfmt.iter_blocks(path, rows=10))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 300), st.integers(1, 64), st.data())
def test_any_part_of_any_segments(rows: int, segment_rows: int, data: st.DataObject) -> None:
    table = sample(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smlm_write, "SEGMENT_SIZE", 16 * segment_rows)
        file = io.BytesIO()
        smlm_write.write_smlm(file, Bundle(tables=(table,)), WriteOptions())
    start = data.draw(st.integers(0, rows))
    end = data.draw(st.integers(start, rows))
    part = smlmfmt.read(io.BytesIO(file.getvalue()), rows=(start, end), only="y").tables[0]
    np.testing.assert_array_equal(part["y"], table["y"][start:end])
    blocks = smlmfmt.iter_blocks(io.BytesIO(file.getvalue()), rows=data.draw(st.integers(1, 400)))
    found = [block["x"] for block in blocks]
    np.testing.assert_array_equal(np.concatenate([np.empty(0, "f4"), *found]), table["x"])


def test_every_reader_of_text_says_that_it_streams() -> None:
    streams = {info.name for info in smlmfmt.formats() if info.streams}
    assert {"smlm", "thunderstorm", "thunderstorm-xls", "csv"} <= streams


def test_a_format_without_streams_is_read_whole_and_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = dataclasses.replace(KNOWN["smlm"], stream=None)
    monkeypatch.setitem(KNOWN, "smlm", plain)
    path = written(tmp_path, "smlm", sample())
    blocks = list(smlmfmt.iter_blocks(path, rows=300, only=("y", "frame")))
    assert [len(block) for block in blocks] == [300, 300, 300, 100]
    np.testing.assert_array_equal(joined(blocks)["y"], sample()["y"])
    assert smlmfmt.read(path, rows=(5, 7)).tables[0]["frame"].tolist() == [6, 7]


@pytest.mark.parametrize("kind", ["indexed", "plain"])
def test_blocks_of_a_large_table_stay_small(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 2_000_000
    pattern = np.random.default_rng(1).integers(0, 4000, 4099).astype(np.float32)
    table = LocTable({name: np.resize(pattern, rows) for name in ("frame", "x", "y")})
    path = tmp_path / "a.smlm"
    if kind == "indexed":
        monkeypatch.setattr(smlm_write, "SEGMENT_SIZE", 1 << 20)
        smlmfmt.write(path, table)
    else:
        matrix = np.stack([table[name] for name in table.columns], axis=1)
        saved(path, pack(manifest(files=[entry(rows=rows)]), {"a.bin": matrix.tobytes()}))
    size = 12 * rows
    del table
    tracemalloc.start()
    try:
        assert sum(map(len, smlmfmt.iter_blocks(path, rows=10_000))) == rows
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * size  # A few pieces of 1 MiB are in flight.
