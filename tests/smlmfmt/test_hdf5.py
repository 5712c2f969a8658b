"""HDF5 from strangers: read right, within what the file's size allows, and never another file."""

from __future__ import annotations

import contextlib
import io
import os
import time
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import smlmfmt
from smlmfmt.errors import ArchiveError, FormatError, HeaderError, RowError, SizeLimitError
from smlmfmt.hdf5 import Hdf5File, process
from smlmfmt.hdf5.layout import dataset_of
from smlmfmt.hdf5.rows import read_fields
from tests.smlmfmt.hdf5_files import LOCS_DTYPE, build, decode, endless, locs, picasso

XY = [("x", "f4"), ("y", "f4")]


def opened(data: bytes) -> Hdf5File:
    return Hdf5File(io.BytesIO(data), name="a.hdf5")


def read(data: bytes, path: str = "/locs") -> dict[str, Any]:
    file = opened(data)
    dataset = file.dataset(path)
    assert dataset is not None
    return file.read(dataset)


def read_picasso(data: bytes) -> smlmfmt.LocTable:
    return smlmfmt.read(io.BytesIO(data), format="picasso", pixel_size_nm=100).tables[0]


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"chunks": (7,)}, {"chunks": (40,), "compression": "gzip"},
        {"chunks": (7,), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": (5,), "shuffle": True}, {"chunks": (3,), "maxshape": (None,)},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("userblock", [0, 512])
def test_every_layout_gives_what_h5py_gives(
    options: dict[str, Any], libver: str, userblock: int
) -> None:
    mixed = [
        ("frame", ">u2"),
        ("x", ">f8"),
        ("y", "<f4"),
        ("n", "i8"),
        ("inner", XY),
        ("a", "f4", 3),
    ]
    values = np.zeros(50, mixed)
    raw = np.random.default_rng(0).integers(0, 100, values.nbytes, np.uint8)
    values.view(np.uint8)[:] = raw

    def fill(file: Any) -> None:
        file.create_dataset("locs", data=values, **options)

    found = read(build(fill, libver=libver, userblock_size=userblock))
    assert list(found) == ["frame", "x", "y", "n", "inner_x", "inner_y", "a_0", "a_1", "a_2"]
    for name in ("frame", "x", "y", "n"):
        np.testing.assert_array_equal(found[name], values[name])
        assert found[name].dtype.isnative
    np.testing.assert_array_equal(found["inner_y"], values["inner"]["y"])
    np.testing.assert_array_equal(found["a_2"], values["a"][:, 2])


@settings(max_examples=30)
@given(
    st.integers(0, 40), st.integers(1, 4), st.integers(1, 50), st.integers(1, 5),
    st.sampled_from([None, "gzip"]),
)  # fmt: skip
def test_chunks_of_two_dimensions(
    rows: int, columns: int, chunk: int, width: int, compression: str | None
) -> None:
    values = np.arange(rows * columns, dtype="f8").reshape(rows, columns)

    def fill(file: Any) -> None:
        shape = (max(1, min(chunk, rows)), min(width, columns))
        file.create_dataset(
            "v", data=values, chunks=shape, compression=compression, maxshape=(None, columns)
        )

    np.testing.assert_array_equal(read(build(fill), "/v")[""], values)


def test_a_file_object_is_described_once_and_a_changed_one_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = 0
    describe = process.description_of

    def counted(file: Any) -> dict[str, Any]:
        nonlocal count
        count += 1
        return describe(file)

    monkeypatch.setattr("smlmfmt.hdf5.file.description_of", counted)
    file = io.BytesIO(picasso())
    assert len(smlmfmt.read(file).tables[0]) == 20
    assert count == 1
    file.seek(0)
    file.write(decode())
    file.truncate()
    file.seek(0)
    assert smlmfmt.read(file).format == "decode"
    assert count == 2


@pytest.mark.parametrize("cut", [10, 100, 2000, 2400])
def test_a_file_that_is_cut_short(cut: int) -> None:
    data = picasso(50)
    assert len(data) > 2400
    with pytest.raises(FormatError, match=r"a\.hdf5"):
        read(data[:cut])


def declared(shape: Any, **options: Any) -> bytes:
    return build(lambda file: file.create_dataset("locs", shape, XY, **options))


def test_rows_that_are_declared_and_not_there() -> None:
    for data in (declared(10**12), declared(10**12, chunks=(1000,)), declared(5, chunks=(5,))):
        assert len(data) < 10_000
        with pytest.raises(RowError, match="declared"):
            read_picasso(data)


def packed(size: int) -> bytes:
    """Return `size` zeros as zlib makes them small."""
    stream = zlib.compressobj(9)
    pieces = [stream.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*pieces, stream.flush()])


def bomb(rows: int, chunk: int) -> bytes:
    """Return a file whose chunks hold nothing but zeros."""
    content = packed(chunk * 8)

    def fill(file: Any) -> None:
        dataset = file.create_dataset("locs", (rows,), XY, chunks=(chunk,), compression=1)
        for start in range(0, rows, chunk):
            dataset.id.write_direct_chunk((start,), content)

    return build(fill)


def test_chunks_larger_than_any() -> None:
    with pytest.raises(SizeLimitError, match="chunks of 536870912 B"):
        read_picasso(bomb(1 << 26, 1 << 26))


def test_chunks_that_inflate_to_more_than_the_file_may() -> None:
    data = bomb(1 << 26, 1 << 21)
    assert len(data) < 2 << 20
    start = time.perf_counter()
    with pytest.raises(SizeLimitError, match="250 times the file's size"):
        read_picasso(data)
    assert time.perf_counter() - start < 10


def test_a_chunk_that_inflates_to_more_than_it_says() -> None:
    def fill(file: Any) -> None:
        dataset = file.create_dataset("locs", (1000,), XY, chunks=(1000,), compression=1)
        dataset.id.write_direct_chunk((0,), packed(8 << 20))

    with pytest.raises(ArchiveError, match="holds more than it may"):
        read_picasso(build(fill))


@pytest.mark.parametrize("fletcher32", [False, True])
def test_a_damaged_chunk(fletcher32: bool) -> None:  # noqa: FBT001
    options: dict[str, Any] = {
        "compression": None if fletcher32 else "gzip",
        "fletcher32": fletcher32,
    }
    data = picasso(500, chunks=(500,), **options)
    file = opened(data)
    dataset = file.dataset("/locs")
    assert dataset is not None
    assert dataset.chunks is not None
    broken = bytearray(data)
    broken[int(dataset.chunks.starts[0]) + 100] ^= 0x10
    with pytest.raises(ArchiveError, match=r"a\.hdf5: /locs: a chunk"):
        read(bytes(broken))


@pytest.mark.parametrize(("options", "name"), [({"compression": "lzf"}, "lzf"),
                                               ({"scaleoffset": 3}, "scaleoffset")])  # fmt: skip
def test_filters_that_are_not_known_are_named(options: dict[str, Any], name: str) -> None:
    def fill(file: Any) -> None:
        file.create_dataset("locs", data=np.arange(100), chunks=(10,), **options)

    with pytest.raises(ArchiveError, match=f"filter {name}.*gzip"):
        read(build(fill))


def secret(folder: Path) -> Path:
    path = folder / "secret.hdf5"
    path.write_bytes(picasso())
    return path


def test_other_files_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = secret(tmp_path)
    monkeypatch.chdir(tmp_path)

    def link(file: Any) -> None:
        file["locs"] = h5py.ExternalLink(str(path), "/locs")
        file["metadata"] = h5py.ExternalLink(path.name, "/metadata")

    def storage(file: Any) -> None:
        places = [(str(path), 2048, 80)]
        file.create_dataset("locs", (10,), XY, external=places)

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout(shape=(20,), dtype=LOCS_DTYPE)
        layout[:] = h5py.VirtualSource(str(path), "locs", shape=(20,))
        file.create_virtual_dataset("locs", layout)

    for fill, error, text in (
        (link, HeaderError, "no dataset 'locs'"),
        (storage, ArchiveError, "another file"),
        (virtual, ArchiveError, "other datasets"),
    ):
        with pytest.raises(error, match=text):
            read_picasso(build(fill))
        (tmp_path / "linked.hdf5").write_bytes(build(fill))
        with pytest.raises(error, match=text):
            smlmfmt.read(tmp_path / "linked.hdf5", format="picasso", pixel_size_nm=100)


def test_links_that_go_round_in_circles() -> None:
    def fill(file: Any) -> None:
        file.create_dataset("locs", data=locs())
        file["a"] = h5py.SoftLink("/b")
        file["b"] = h5py.SoftLink("/a")
        inner = file.create_group("c/d")
        inner["up"] = file["c"]
        inner["root"] = file["/"]

    assert len(read_picasso(build(fill))) == 20


def test_thousands_of_groups_and_members() -> None:
    dtype = [*XY, *((f"m{number}", "f4") for number in range(900))]

    def fill(file: Any) -> None:
        file.create_dataset("locs", data=np.zeros(3, dtype))
        for number in range(6000):
            file.create_group(f"z{number:04}")

    assert len(read_picasso(build(fill)).columns) == 902


def test_members_that_are_no_numbers_are_left_out_and_named() -> None:
    others = [("name", "S5"), ("who", h5py.ref_dtype), ("text", h5py.string_dtype()),
              ("list", h5py.vlen_dtype("f4")), ("many", "f4", 100), ("good", "?")]  # fmt: skip

    def fill(file: Any) -> None:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        kind = h5py.h5t.py_create(np.dtype([*XY, *others]), logical=True)
        h5py.h5d.create(file.id, b"locs", kind, h5py.h5s.create_simple((4,)), dcpl=plan)

    bundle = smlmfmt.read(io.BytesIO(build(fill)), format="picasso", pixel_size_nm=100)
    assert bundle.tables[0].columns == ("x", "y", "good")
    assert "name, who, text, list, many" in bundle.warnings[0]


def test_positions_that_are_no_numbers() -> None:
    dtype = np.dtype([("x", "S5"), ("y", "f4")])
    with pytest.raises(HeaderError, match="members x and y"):
        read_picasso(build(lambda file: file.create_dataset("locs", data=np.zeros(4, dtype))))
    with pytest.raises(HeaderError, match="members x and y"):
        read_picasso(build(lambda file: file.create_dataset("locs", data="text")))
    with pytest.raises(HeaderError, match="members x and y"):
        read_picasso(build(lambda file: file.create_group("locs")))


def test_a_long_text_is_not_taken_for_notes() -> None:
    bundle = smlmfmt.read(io.BytesIO(picasso(notes="x" * (6 << 20))), pixel_size_nm=100)
    assert bundle.manifest == {"documents": []}


def test_a_file_that_libhdf5_never_finishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SECONDS_MAX", 3)
    file = io.BytesIO(endless())
    start = time.perf_counter()
    with pytest.raises(FormatError, match="takes more than 3 s; the file is damaged"):
        smlmfmt.read(file, format="picasso")
    file.seek(0)
    assert smlmfmt.sniff(file) == "picasso"  # By its first bytes; nothing is described anew.
    assert time.perf_counter() - start < 20


def test_a_process_that_crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "crash.py"
    script.write_text("import os; os.abort()", encoding="utf-8")
    monkeypatch.setattr(process, "_SCRIPT", script)
    with pytest.raises(ArchiveError, match="makes the library fail"):
        opened(picasso())


@pytest.mark.parametrize(
    "answer", ["", "[]", "{}", '{"objects": 3}', '{"problem": []}', "{", "[" * 9999]
)
def test_answers_that_are_none(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process says that damage has led astray."""
    script = tmp_path / "astray.py"
    script.write_text(
        "import struct, sys\n"
        f"body = {answer!r}.encode()\n"
        "sys.stdout.buffer.write(struct.pack('<qQ', -1, len(body)) + body)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(process, "_SCRIPT", script)
    with pytest.raises(ArchiveError, match=r"a\.hdf5"):
        opened(picasso())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs the resource module")
def test_the_process_can_open_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(process.__file__).with_name("describe.py").read_text(encoding="utf-8")
    path = secret(tmp_path)
    script = tmp_path / "describe.py"
    script.write_text(
        source.replace("answer = describe(file)", f"answer = describe({str(path)!r})"),
        encoding="utf-8",
    )
    monkeypatch.setattr(process, "_SCRIPT", script)
    with pytest.raises(ArchiveError, match=r"[Tt]oo many open files"):
        opened(decode())


CHUNK = {"shape": [4], "item_size": 4, "fields": [["", 0, "<f4"]], "chunk_shape": [2],
         "filters": [], "chunks": [0, 100, 8, 0, 2, 108, 8, 0]}  # fmt: skip


def test_chunks_as_described() -> None:
    data = bytes(100) + np.arange(4, dtype="<f4").tobytes()
    dataset = dataset_of("/v", CHUNK, what="a")
    dataset.check(file_size=len(data), what="a")
    found = read_fields(io.BytesIO(data), dataset, what="a")
    assert found[""].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"chunks": [0, 100, 8, 0, 2, 104, 8, 0]}, "overlap"),
        ({"chunks": [0, 100, 8, 0, 2, 112, 8, 0]}, "beyond the file"),
        ({"chunks": [0, 100, 8, 0, 0, 108, 8, 0]}, "tile"),
        ({"chunks": [0, 100, 8, 0, 3, 108, 8, 0]}, "tile"),
        ({"chunks": [0, 100, 8, 0, 4, 108, 8, 0]}, "tile"),
        ({"chunks": [0, 100, 8, 0, -2, 108, 8, 0]}, "tile"),
        ({"chunks": [0, 100, 8, 0]}, "2 chunks"),
        ({"chunks": [0, -100, 8, 0, 2, 108, 8, 0]}, "impossible"),
        ({"chunks": [0, 100, -8, 0, 2, 108, 8, 0]}, "impossible"),
        ({"chunks": [0, 100, 9999, 0, 2, 108, 8, 0]}, "impossible"),
        ({"chunks": [0, 100, 8]}, "contradictory"),
        ({"chunks": [0, 1 << 80, 8, 0]}, "contradictory"),
        ({"chunks": "0"}, "contradictory"),
        ({"chunk_shape": [0]}, "contradictory"),
        ({"chunk_shape": [2, 2]}, "contradictory"),
        ({"filters": [[1, ["x"], ""]]}, "contradictory"),
        ({"filters": 5}, "contradictory"),
        ({"shape": [-1]}, "contradictory"),
        ({"shape": 4}, "contradictory"),
        ({"item_size": None}, "contradictory"),
        ({"fields": [["", 0, "O"]]}, "contradictory"),
        ({"fields": [["", 2, "<f4"]]}, "contradictory"),
        ({"fields": [["a", 0, "<f4"], ["b", 2, "<i2"]]}, "contradictory"),
        ({"fields": [[]]}, "contradictory"),
        ({"inline": "!"}, "contradictory"),
        ({"problem": "odd"}, "odd"),
        ({"item_size": 1 << 30}, "values of"),
        ({"shape": [1 << 61]}, "declared"),
        ({"shape": [False]}, "is no size"),
    ],
    ids=str,
)  # fmt: skip
def test_descriptions_that_contradict_themselves(change: dict[str, Any], error: str) -> None:
    with pytest.raises(FormatError, match=error):
        dataset_of("/v", CHUNK | change, what="a").check(file_size=116, what="a")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 70) | st.text(max_size=4)
    | st.sampled_from(["<f4", ">u2", "", "AAAA"]),
    lambda inner: st.lists(inner, max_size=9),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from([*CHUNK, "inline", "offset", "text", "problem"]), PLAIN),
    st.booleans(),
    st.binary(max_size=120),
)
def test_any_description(change: dict[str, Any], is_chunked: bool, data: bytes) -> None:  # noqa: FBT001
    plain = {**CHUNK, **change}
    if not is_chunked:
        del plain["chunks"]
    with contextlib.suppress(FormatError):
        dataset = dataset_of("/v", plain, what="a")
        dataset.check(file_size=len(data), what="a")
        if dataset.size < 1 << 20:
            read_fields(io.BytesIO(data), dataset, what="a")


@given(st.binary(max_size=300), st.lists(st.sampled_from([1, 2, 3]), max_size=4),
       st.integers(0, 15), st.integers(0, 70))  # fmt: skip
def test_any_bytes_as_a_chunk(data: bytes, filters: list[int], mask: int, size: int) -> None:
    plain = {**CHUNK, "shape": [2], "chunks": [0, 0, len(data), mask],
             "filters": [[code, [size], ""] for code in filters]}  # fmt: skip
    with contextlib.suppress(FormatError):
        dataset = dataset_of("/v", plain, what="a")
        dataset.check(file_size=len(data), what="a")
        assert read_fields(io.BytesIO(data), dataset, what="a")[""].shape == (2,)


SAMPLES = {"picasso": picasso(8), "decode": decode(8), "chunked": picasso(8, chunks=(4,))}


@settings(max_examples=25)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_any_damage(name: str, data: st.DataObject) -> None:
    broken = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(broken) - 1))
        change = data.draw(st.binary(min_size=1, max_size=8))
        broken[start : start + len(change)] = change
    for format_name in (None, "picasso", "decode"):
        with contextlib.suppress(FormatError):
            smlmfmt.read(io.BytesIO(broken), format=format_name, pixel_size_nm=1)
