"""Locan's .asdf files, as the asdf package writes them, and as a stranger might."""

from __future__ import annotations

import bz2
import io
import json
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smlmfmt
from smlmfmt import FormatError
from smlmfmt import asdf as our_asdf
from smlmfmt.errors import ArchiveError, HeaderError, SizeLimitError

HEAD = b"#ASDF 1.0.0\n#ASDF_STANDARD 1.6.0\n%YAML 1.1\n%TAG ! tag:stsci.edu:asdf/\n--- !core/a\n"
NODE = """columns: [position_x, position_y, frame]
data: !core/ndarray-1.1.0
  source: 0
  datatype: float64
  byteorder: little
  shape: [2, 3]
"""


def block(data: bytes, *, compression: bytes = bytes(4), used: int | None = None,
          size: int | None = None, flags: int = 0) -> bytes:  # fmt: skip
    used = len(data) if used is None else used
    size = len(data) if size is None else size
    return b"\xd3BLK" + struct.pack(">HI4sQQQ16s", 48, flags, compression, used, used, size,
                                    bytes(16)) + data  # fmt: skip


ROWS = np.arange(6.0).tobytes()


def file(tree: str = NODE, *blocks: bytes) -> bytes:
    return HEAD + tree.encode() + b"...\n" + b"".join(blocks or (block(ROWS),))


def read(data: bytes) -> Any:
    return smlmfmt.read(io.BytesIO(data))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", ">f4", "i4"])
@pytest.mark.parametrize("compression", [None, "zlib", "bzp2"])
def test_reads_what_asdf_writes(order: Any, dtype: str, compression: str | None) -> None:
    asdf = pytest.importorskip("asdf")
    data: npt.NDArray[Any] = np.asarray(np.arange(51).reshape(17, 3), dtype, order=order)
    tree = {
        "data": data,
        "columns": ["position_x", "position_y", "local_background"],
        "properties": {"localization_count": 17, "region": None, "x": float("nan")},
        "meta": json.dumps({"identifier": "1", "history": [{"name": "load"}]}),
    }
    out = io.BytesIO()
    asdf.AsdfFile(tree).write_to(out, all_array_compression=compression)
    bundle = read(out.getvalue())
    table = bundle.tables[0]
    assert bundle.format == "locan"
    for index, name in enumerate(("x", "y", "background")):
        np.testing.assert_array_equal(table[name], data[:, index])
    assert table.units["x"] == "nm"
    assert table.source_names["background"] == "local_background"
    assert table.metadata["meta"]["history"] == [{"name": "load"}]
    assert table.metadata["properties"] == {"localization_count": 17, "region": None, "x": None}


def test_blocks_found_and_inflated() -> None:
    packed = zlib.compress(ROWS)
    for blocks in (
        [block(ROWS)], [block(packed, compression=b"zlib", size=48)],
        [block(bz2.compress(ROWS), compression=b"bzp2", size=48)],
    ):  # fmt: skip
        assert read(file(NODE, *blocks)).tables[0]["y"].tolist() == [1, 4]
    second = NODE.replace("source: 0", "source: 1")
    assert read(file(second, block(b"abc"), block(ROWS))).tables[0]["frame"].tolist() == [2, 5]
    empty = file(NODE.replace("[2, 3]", "[0, 3]"), block(b""))
    assert len(read(empty).tables[0]) == 0


BAD = {
    "no tree": (HEAD, ArchiveError, "does not end"),
    "no columns": (file(NODE.replace("columns", "cols")), None, ""),
    "no yaml": (file("a: [}\n"), HeaderError, "no YAML"),
    "text": (file("hello\n"), HeaderError, "mapping"),
    "alias": (file("columns: &a [x]\ndata: *a\n"), HeaderError, "aliases"),
    "deep": (file("columns: " + "[" * 50 + "]" * 50 + "\n"), SizeLimitError, "deeper"),
    "key": (file("[a, b]: 1\n"), HeaderError, "key of the tree"),
    "names": (file(NODE.replace("frame", "3")), HeaderError, "list of names"),
    "shape": (file(NODE.replace("[2, 3]", "[3, 2]")), HeaderError, "3 columns"),
    "short": (file(NODE.replace("[2, 3]", "[2000000000000, 3]")), ArchiveError, "needs"),
    "dims": (file(NODE.replace("[2, 3]", "[1, 1, 1, 2, 3]")), HeaderError, "at most 4"),
    "negative": (file(NODE.replace("[2, 3]", "[-2, -3]")), HeaderError, "not negative"),
    "unbounded": (file(NODE.replace("[2, 3]", "['*', 3]")), HeaderError, "whole numbers"),
    "strides": (file(NODE + "  strides: [0, 8]\n" .replace("0", "999")), ArchiveError, "needs"),
    "overlap": (file(NODE.replace("[2, 3]", "[2000, 3]") + "  strides: [0, 8]\n"), ArchiveError,
                "needs 48000 B"),
    "offset": (file(NODE + "  offset: 8\n"), ArchiveError, "needs 56 B"),
    "type": (file(NODE.replace("float64", "[ascii, 8]")), HeaderError, "datatype"),
    "inline": (file("columns: [x, y]\ndata: [[1, 2]]\n"), HeaderError, "block of the file"),
    "no block": (file(NODE, b"abc"), ArchiveError, "no block 0"),
    "cut": (file(NODE)[:-1], ArchiveError, "cut short"),
    "header": (file(NODE, b"\xd3BLK\x00\x01" + bytes(60)), ArchiveError, "header is damaged"),
    "streamed": (file(NODE, block(ROWS, flags=1)), ArchiveError, "ends beyond"),
    "lz4": (file(NODE, block(ROWS, compression=b"lz4\0")), ArchiveError, "compressed with"),
    "zlib": (file(NODE, block(ROWS, compression=b"zlib")), ArchiveError, "damaged"),
    "bzip2": (file(NODE, block(ROWS, compression=b"bzp2")), ArchiveError, "damaged"),
    "more": (file(NODE, block(zlib.compress(ROWS), compression=b"zlib", size=47)), SizeLimitError,
             "holds more than the 47 B"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_files_that_lie(name: str) -> None:
    data, kind, text = BAD[name]
    if kind is None:
        assert smlmfmt.sniff(io.BytesIO(data)) is None
        return
    with pytest.raises(kind, match=text):
        smlmfmt.read(io.BytesIO(data), format="locan")


def test_memory_is_granted_by_the_size_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(our_asdf, "RATIO_FREE_SIZE", 1 << 16)
    zeros = zlib.compress(bytes(64 << 20), 9)
    data = file(NODE, block(zeros, compression=b"zlib", size=64 << 20))
    with pytest.raises(SizeLimitError, match="may hold"):
        read(data)
    monkeypatch.setattr(our_asdf, "TREE_SIZE_MAX", 100)
    with pytest.raises(SizeLimitError, match="a tree of more"):
        smlmfmt.read(io.BytesIO(data), format="locan")


@given(st.data())
def test_damage(data: st.DataObject) -> None:
    sample = bytearray(file(NODE, block(zlib.compress(ROWS), compression=b"zlib", size=48)))
    for _ in range(data.draw(st.integers(1, 3))):
        sample[data.draw(st.integers(0, len(sample) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(sample)))
    try:
        smlmfmt.read(io.BytesIO(bytes(sample[: cut or None])), format="locan")
    except FormatError:
        return


@given(st.text(alphabet="abxy:-[]{}&*!|>'\"#,0.19 \n?%", max_size=120))
def test_any_tree(tree: str) -> None:
    try:
        smlmfmt.read(io.BytesIO(file(tree + "\n")), format="locan")
    except FormatError:
        return
