"""Files in: what is measured, what is stored, and what a bad file or dead worker leaves."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

import smlmfmt
from node.errors import InputError, StorageError
from node.ingest.ingest import Ingest
from node.ingest.measuring import Task, measure
from node.ingest.reading import ReadingOptions
from node.ingest.selection import select
from node.ingest.workers import Workers
from node.storage.blobs import DirectoryBlobs
from protocol import limits
from smlmfmt import pyramid, smlm
from smlmfmt.errors import SizeLimitError
from smlmfmt.png import encode_png
from smlmfmt.render import render
from tests.smlmfmt import archives

READING = ReadingOptions()


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    pool = Workers(1)
    yield pool
    await pool.close()


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[DirectoryBlobs]:
    store = DirectoryBlobs(tmp_path / "blobs")
    yield store
    await store.close()


@pytest.fixture
def ingest(tmp_path: Path, workers: Workers, blobs: DirectoryBlobs) -> Ingest:
    return Ingest(blobs, workers, staging=tmp_path / "staging")


def write_table(path: Path, rows: int = 300, *, seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    table = smlmfmt.LocTable(
        {
            "frame": np.sort(random.integers(1, 90, rows)),
            "x": random.normal(5000, 900, rows),
            "y": random.normal(5000, 900, rows),
            "uncertainty_xy": random.gamma(9, 1.2, rows),
        },
        units={"x": "nm", "y": "nm", "uncertainty_xy": "nm"},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    smlmfmt.write(path, table, format="thunderstorm")
    return path


async def stored(blobs: DirectoryBlobs, sha256: str, size: int) -> bytes:
    return b"".join([part async for part in blobs.open_range(sha256, 0, size)])


async def test_a_table_is_kept_measured_drawn_and_rendered_as_smlm(
    ingest: Ingest, blobs: DirectoryBlobs, tmp_path: Path
) -> None:
    path = write_table(tmp_path / "in" / "cell1.csv")
    done = await ingest.run(select([path]), READING)
    (sample,) = done.samples
    original, rendition = sample.files
    assert (original.name, original.role, original.format) == (
        "cell1.csv",
        "original",
        "thunderstorm",
    )
    assert await stored(blobs, original.sha256, original.size) == path.read_bytes()
    assert original.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    (table,) = original.tables
    truth = smlmfmt.read(path).tables[0].summary()
    assert (table.rows, table.dimension) == (300, 2)
    assert table.uncertainty_nm == truth.uncertainty_nm
    assert (rendition.name, rendition.role) == ("cell1.smlm", "rendition")
    copy = tmp_path / "copy.smlm"
    copy.write_bytes(await stored(blobs, rendition.sha256, rendition.size))
    assert smlm.deviations(copy) == []
    assert len(smlmfmt.read(copy).tables[0]) == 300
    assert sample.thumbnail is not None
    picture = await stored(blobs, sample.thumbnail.sha256, sample.thumbnail.size)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) <= limits.THUMBNAIL_SIZE_MAX


async def test_a_table_gets_a_pyramid_that_everybody_builds_alike(
    ingest: Ingest, blobs: DirectoryBlobs, tmp_path: Path
) -> None:
    path = write_table(tmp_path / "cell1.csv", 5_000)
    (sample,) = (await ingest.run(select([path]), READING)).samples
    (reference,) = sample.pyramids
    assert reference.media_type == "application/vnd.locmesh.pyramid"
    data = await stored(blobs, reference.sha256, reference.size)
    with pyramid.Pyramid(io.BytesIO(data)) as opened:
        assert opened.about.rows == 5_000
        assert (opened.about.dimension, opened.about.unit) == (2, "nm")
        digest = hashlib.sha256(path.read_bytes()).digest()
        assert opened.about.seed == int.from_bytes(digest[:8], "big") >> 1
    (again,) = (await ingest.run(select([path]), READING)).samples
    assert again.pyramids == sample.pyramids


async def test_an_empty_table_has_no_pyramid(ingest: Ingest, tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text('"frame","x [nm]","y [nm]"\r\n')
    (sample,) = (await ingest.run(select([path]), READING)).samples
    assert sample.pyramids == ()


@pytest.mark.parametrize("error", [SizeLimitError("too many tiles"), MemoryError()])
def test_a_pyramid_that_fails_is_a_note(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(pyramid, "build", fail)
    task = Task(
        path=write_table(tmp_path / "cell1.csv"),
        reading=READING,
        rendition=tmp_path / "a.smlm",
        thumbnail=tmp_path / "a.png",
        pyramid=tmp_path / "a.pyramid",
    )
    measured = measure(task)
    assert not measured.pyramids
    assert measured.has_rendition
    assert any("the viewer cannot show table 1" in note for note in measured.notes)


async def test_an_smlm_that_everybody_reads_gets_no_second_copy(
    ingest: Ingest, tmp_path: Path
) -> None:
    table = smlmfmt.read(write_table(tmp_path / "cell1.csv"))
    smlmfmt.write(tmp_path / "cell2.smlm", table)
    done = await ingest.run(select([tmp_path / "cell2.smlm"]), READING)
    assert [file.role for file in done.samples[0].files] == ["original"]


async def test_other_files_keep_their_bytes_and_get_a_role(ingest: Ingest, tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_table(root / "cell1" / "locs.csv")
    (root / "cell1" / "overview.png").write_bytes(b"\x89PNG not really")
    (root / "cell1" / "movie.nd2").write_bytes(b"raw")
    (root / "cell1" / "notes.pdf").write_bytes(b"%PDF")
    done = await ingest.run(select([root]), READING)
    roles = {file.name: (file.role, file.media_type) for file in done.samples[0].files}
    assert roles["overview.png"] == ("image", "image/png")
    assert roles["movie.nd2"] == ("raw", "application/octet-stream")
    assert roles["notes.pdf"] == ("other", "application/pdf")
    assert any("notes.pdf" in note for note in done.notes)


async def test_a_bad_line_refuses_everything_and_says_where(
    ingest: Ingest, blobs: DirectoryBlobs, tmp_path: Path
) -> None:
    good = write_table(tmp_path / "in" / "good.csv")
    bad = write_table(tmp_path / "in" / "bad.csv", seed=1)
    lines = bad.read_text().splitlines()
    lines[10] = "1,2"
    bad.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"bad\.csv.*11.*--on-error skip.*Nothing was imported"):
        await ingest.run(select([good, bad]), READING)
    assert await blobs.list() == []
    assert not [path for path in (tmp_path / "staging").rglob("*") if path.suffix == ".smlm"]
    done = await ingest.run(select([good, bad]), ReadingOptions(on_error="skip"))
    rows = [sample.files[0].tables[0].rows for sample in done.samples]
    assert rows == [300, 299]
    assert any("bad.csv" in note for note in done.notes)


async def test_names_of_renditions_avoid_those_that_are_there(
    ingest: Ingest, tmp_path: Path
) -> None:
    root = tmp_path / "in"
    path = write_table(root / "cell" / "a.csv")
    smlmfmt.write(root / "cell" / "a.smlm", smlmfmt.read(path))
    done = await ingest.run(select([root]), READING)
    assert [file.name for file in done.samples[0].files] == ["a.csv", "a.rendition.smlm", "a.smlm"]


async def test_a_dead_worker_fails_one_file_and_is_replaced(workers: Workers) -> None:
    with pytest.raises(InputError, match=r"bomb\.csv.*died"):
        await workers.run(os._exit, 3, what="bomb.csv")
    assert await workers.run(abs, -4, what="good.csv") == 4


async def test_a_cancelled_call_gives_its_place_back(workers: Workers) -> None:
    assert await workers.run(abs, -1, what="warm up") == 1
    task = asyncio.create_task(workers.run(time.sleep, 60, what="slow"))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await workers.run(abs, -2, what="next") == 2


async def test_what_a_killed_ingest_left_is_swept(ingest: Ingest, tmp_path: Path) -> None:
    left = tmp_path / "staging" / "0123456789abcdef"
    left.mkdir(parents=True)
    (left / "half.smlm").write_bytes(b"half")
    await ingest.run(select([write_table(tmp_path / "cell1.csv")]), READING)
    assert not left.exists()


async def test_what_a_file_calls_things_cannot_keep_it_out(
    ingest: Ingest, blobs: DirectoryBlobs, tmp_path: Path
) -> None:
    path = tmp_path / "odd\x1b[31m.csv"
    path.write_text(f"x [nm],y [nm],a\x07b [\u202e],{'n' * 5000}\n1,2,3,4\n5,6,7,8\n")
    done = await ingest.run(select([path]), READING)
    (table,) = done.samples[0].files[0].tables
    assert [column.source for column in table.columns[:3]] == ["x [nm]", "y [nm]", "a b [ ]"]
    assert len(table.columns[3].source) == limits.NAME_LENGTH_MAX
    file = done.samples[0].files[0]
    assert await stored(blobs, file.sha256, file.size) == path.read_bytes()


async def test_what_a_record_has_no_room_for_is_said_not_refused(
    ingest: Ingest, tmp_path: Path
) -> None:
    table = smlmfmt.LocTable({"x": [1.0, 2.0], "y": [3.0, 4.0]}, units={"x": "nm", "y": "nm"})
    smlmfmt.write(tmp_path / "many.smlm", smlmfmt.Bundle(tables=[table] * 70))
    names = ["x [nm]", "y [nm]", *(f"c{number}" for number in range(300))]
    wide = ",".join(names) + "\n" + 2 * (",".join(["1"] * len(names)) + "\n")
    (tmp_path / "wide.csv").write_text(wide)
    done = await ingest.run(select([tmp_path]), READING)
    many, wide_one = (sample.files[0] for sample in done.samples)
    assert len(many.tables) == limits.TABLES_MAX
    assert len(wide_one.tables[0].columns) == limits.COLUMNS_MAX
    said = "\n".join(done.notes)
    assert "64 of its 70 tables" in said
    assert "256 of its 302 columns" in said


async def test_an_archive_without_positions_is_kept_as_it_is(
    ingest: Ingest, tmp_path: Path
) -> None:
    path = tmp_path / "odd.smlm"
    layout = archives.layout(headers=["frame", "a", "b"])
    path.write_bytes(archives.pack(archives.manifest(formats={"table": layout})))
    done = await ingest.run(select([path]), READING)
    assert [file.role for file in done.samples[0].files] == ["original"]
    assert done.samples[0].files[0].tables[0].rows == 3
    assert any("no .smlm copy" in note for note in done.notes)


async def test_thumbnails_show_localizations_as_wide_as_they_are_uncertain(
    ingest: Ingest, blobs: DirectoryBlobs, tmp_path: Path
) -> None:
    path = write_table(tmp_path / "sparse.csv", rows=30)
    thumbnail = (await ingest.run(select([path]), READING)).samples[0].thumbnail
    assert thumbnail is not None
    drawn = encode_png(render(smlmfmt.read(path).tables[0], mode="gaussian"))
    assert await stored(blobs, thumbnail.sha256, thumbnail.size) == drawn


async def test_what_does_not_fit_is_refused_before_it_is_read(
    workers: Workers, tmp_path: Path
) -> None:
    path = write_table(tmp_path / "cell1.csv")
    store = DirectoryBlobs(tmp_path / "blobs", quota_bytes=path.stat().st_size - 1)
    with pytest.raises(StorageError, match="quota_bytes"):
        await Ingest(store, workers, staging=tmp_path / "staging").run(select([path]), READING)
    assert not (tmp_path / "staging").exists()
    await store.close()


def test_a_failing_disk_is_told_from_a_failing_file(tmp_path: Path) -> None:
    path = write_table(tmp_path / "cell1.csv")
    gone = tmp_path / "gone"
    task = Task(
        path=path,
        reading=READING,
        rendition=gone / "a.smlm",
        thumbnail=gone / "a.png",
        pyramid=gone / "a.pyramid",
    )
    with pytest.raises(StorageError, match="gone"):
        measure(task)
    path.unlink()
    with pytest.raises(InputError, match=r"cell1\.csv: cannot be read"):
        measure(task)
