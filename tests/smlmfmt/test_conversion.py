"""Converting is reading and writing, in less memory."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smlmfmt
from smlmfmt import Bundle, Image, LocTable, smlm
from smlmfmt.errors import FormatError, HeaderError, RowError
from smlmfmt.known_formats import KNOWN
from smlmfmt.smlm import write as smlm_write
from smlmfmt.smlm.write import ExactnessWarning
from tests.smlmfmt.test_smlm import PNG
from tests.smlmfmt.test_stream import FORMATS, sample, written


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", ["smlm", "thunderstorm", "thunderstorm-xls"])
def test_converting_is_reading_and_writing(source: str, target: str, tmp_path: Path) -> None:
    path = written(tmp_path, source, sample())
    done = smlmfmt.convert(path, tmp_path / "b", format=target)
    assert (done.format, done.tables, done.rows) == (source, 1, 1000)
    whole = smlmfmt.read(path)
    assert list(done.warnings) == list(whole.warnings)
    smlmfmt.write(tmp_path / "c", whole, format=target)
    one, other = (smlmfmt.read(tmp_path / name).tables[0] for name in "bc")
    assert (one.columns, one.units, one.frame_origin) == (
        other.columns, other.units, other.frame_origin,
    )  # fmt: skip
    for name in one.columns:
        np.testing.assert_array_equal(one[name], other[name])
    if target == "smlm":
        assert smlm.deviations(tmp_path / "b") == []
        assert all(item.agrees for item in smlm.hashes(tmp_path / "b"))
        entries = [smlmfmt.read(tmp_path / name).manifest["files"][0] for name in "bc"]
        for entry in entries:
            for key in ("min", "max", "avg"):
                entry[key] = pytest.approx(entry[key], rel=1e-12)
        assert entries[0]["hash"] == entries[1]["hash"]
    else:
        assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_segments_and_hash_of_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smlm_write, "SEGMENT_SIZE", 16 * 64)
    path = written(tmp_path, "csv", sample())
    smlmfmt.convert(path, tmp_path / "b.smlm")
    found = smlmfmt.read(tmp_path / "b.smlm")
    assert len(found.manifest["files"][0]["segments"]["sizes"]) == 16
    assert found.warnings == ()
    assert all(item.agrees for item in smlm.hashes(tmp_path / "b.smlm"))
    part = smlmfmt.read(tmp_path / "b.smlm", rows=(500, 510)).tables[0]
    np.testing.assert_array_equal(part["x"], sample()["x"][500:510])


def test_tables_images_and_manifest_come_along(tmp_path: Path) -> None:
    picture = Image(name="b.png", data=PNG, media_type="image/png")
    said = {"license": "CC BY 4.0", "author": "A"}
    tables = (sample(3), sample(5))
    smlmfmt.write(tmp_path / "a.smlm", Bundle(tables=tables, images=(picture,), manifest=said))
    done = smlmfmt.convert(tmp_path / "a.smlm", tmp_path / "b.smlm", only=("x", "y"))
    assert (done.tables, done.rows) == (2, 8)
    found = smlmfmt.read(tmp_path / "b.smlm")
    assert [(len(table), table.columns) for table in found.tables] == [
        (3, ("x", "y")), (5, ("x", "y")),
    ]  # fmt: skip
    assert found.images[0].data == PNG
    assert {key: found.manifest[key] for key in said} == said
    with pytest.raises(FormatError, match="one table, not 2"):
        smlmfmt.convert(tmp_path / "a.smlm", tmp_path / "b.csv")


@pytest.mark.parametrize("text", ["x,y\n1,2\n3\n", "x,y\n1,2\n3,abc\n", "a,b\n1,2\n"])
def test_a_source_that_fails_leaves_the_old_target(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.smlm").write_text("old")
    with pytest.raises(FormatError):
        smlmfmt.convert(tmp_path / "a.csv", tmp_path / "b.smlm", source_format="csv")
    assert (tmp_path / "b.smlm").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.smlm"]


def test_bad_rows_are_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x [nm],y [nm]\n1,2\n3\n5,6\n")
    with pytest.raises(RowError, match="line 3"):
        smlmfmt.convert(tmp_path / "a.csv", tmp_path / "b.smlm")
    done = smlmfmt.convert(tmp_path / "a.csv", tmp_path / "b.smlm", on_error="skip")
    assert done.rows == 2
    assert "1 bad rows skipped" in done.warnings[0]


@pytest.mark.parametrize("source", ["smlm", "csv"])
@pytest.mark.parametrize("is_streamed", ["streamed", "whole"])
def test_progress_goes_up_to_the_size_of_the_source(
    source: str, is_streamed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smlm_write, "SEGMENT_SIZE", 16 * 100)
    path = written(tmp_path, source, sample())
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExactnessWarning)
        smlmfmt.convert(path, tmp_path / "b.smlm", exact=is_streamed == "whole", progress=progress)
    size = path.stat().st_size
    assert {total for _, total in told} == {size}
    counts = [done for done, _ in told]
    assert counts == sorted(counts)
    assert counts[-1] == size


def test_exact_types_survive(tmp_path: Path) -> None:
    table = LocTable({"frame": np.array([1, 2, 3_000_000_000], np.uint32),
                      "x": [0.1, 0.2, 0.3], "y": [1.0, 2.0, 3.0]})  # fmt: skip
    with pytest.warns(ExactnessWarning):
        smlmfmt.write(tmp_path / "a.smlm", table, exact=True)
    with pytest.warns(ExactnessWarning, match="exact types"):
        done = smlmfmt.convert(tmp_path / "a.smlm", tmp_path / "b.smlm", exact=True)
    found = smlmfmt.read(tmp_path / "b.smlm").tables[0]
    assert done.rows == 3
    assert found["frame"].tolist() == [1, 2, 3_000_000_000]
    assert found["x"].tolist() == [0.1, 0.2, 0.3]
    with pytest.warns(ExactnessWarning, match="frame goes beyond"):
        smlmfmt.convert(tmp_path / "a.smlm", tmp_path / "b.smlm")


def test_a_writer_without_streams_gets_the_tables_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    plain = KNOWN["thunderstorm"]

    def write(file: Any, bundle: Bundle, options: Any) -> None:
        seen.extend(map(len, bundle.tables))
        assert plain.write is not None
        plain.write(file, bundle, options)

    whole = dataclasses.replace(plain, write_stream=None, write=write)
    monkeypatch.setitem(KNOWN, "thunderstorm", whole)
    path = written(tmp_path, "smlm", sample())
    done = smlmfmt.convert(path, tmp_path / "b.csv")
    assert seen == [1000]
    assert done.rows == 1000
    found = smlmfmt.read(tmp_path / "b.csv").tables[0]
    np.testing.assert_array_equal(found["x"].astype(np.float32), sample()["x"])


def test_a_target_without_positions_is_refused_before_it_is_written(tmp_path: Path) -> None:
    path = written(tmp_path, "smlm", sample())
    with pytest.raises(HeaderError):
        smlmfmt.convert(path, tmp_path / "b.smlm", only=("x", "frame"))
    assert not (tmp_path / "b.smlm").exists()
