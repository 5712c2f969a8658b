"""Whatever the bytes: a result, or FormatError, and nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import smlmfmt
from smlmfmt import Bundle, FormatError, LocTable
from smlmfmt.format import ReadOptions, WriteOptions
from smlmfmt.registry import opened_stream
from smlmfmt.smlm.manifest import parse_manifest
from smlmfmt.smlm.write import write_smlm
from smlmfmt.smlm.zip import ZipWriter
from smlmfmt.stream import gathered
from smlmfmt.thunderstorm import write_thunderstorm
from tests.smlmfmt.archives import ROWS, entry, layout, manifest, pack
from tests.smlmfmt.test_smlm import PNG, transposed

FORMATS = [info.name for info in smlmfmt.formats()]


def attempt(data: bytes, format_name: str | None = None, **options: Any) -> Bundle | None:
    """Read a file whole and in blocks: both give the same, or both give FormatError."""
    try:
        whole = smlmfmt.read(io.BytesIO(data), format=format_name, **options)
    except FormatError:
        with pytest.raises(FormatError):
            in_blocks(data, format_name, **options)
        return None
    found = in_blocks(data, format_name, **options)
    assert len(found) == len(whole.tables)
    for one, other in zip(whole.tables, found, strict=True):
        assert (one.columns, one.units) == (other.columns, other.units)
        for name in one.columns:
            np.testing.assert_array_equal(one[name], other[name])
    return whole


def in_blocks(data: bytes, format_name: str | None, **options: Any) -> list[LocTable]:
    reading = ReadOptions(**options)
    with opened_stream(io.BytesIO(data), format=format_name, options=reading) as (stream, _):
        return [
            gathered(dataclasses.replace(item, whole=None, section=None)) for item in stream.tables
        ]


def own_archive() -> bytes:
    file = io.BytesIO()
    table = LocTable({"frame": ROWS[:, 0], "x": ROWS[:, 1], "y": ROWS[:, 2]}, frame_origin=1)
    write_smlm(file, Bundle(tables=(table, table)), WriteOptions())
    return file.getvalue()


def text_table() -> bytes:
    file = io.BytesIO()
    table = LocTable({"frame": ROWS[:, 0], "x": ROWS[:, 1], "y": ROWS[:, 2]}, frame_origin=1)
    write_thunderstorm(file, Bundle(tables=(table,)), WriteOptions())
    return file.getvalue()


SAMPLES = {
    "app": pack(manifest(thumbnail="t.png"), {"a.bin": ROWS.tobytes(), "t.png": PNG}),
    "stored": pack(compression=0),
    "first": pack(manifest(format_version=1), {"a.bin": transposed(ROWS)}),
    "own": own_archive(),
    "text": text_table(),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_single_byte_replaced(name: str) -> None:
    data = SAMPLES[name]
    for position in range(len(data)):
        for mask in (0x01, 0x80, 0xFF):
            broken = bytearray(data)
            broken[position] ^= mask
            attempt(bytes(broken), "thunderstorm" if name == "text" else "smlm")


@given(
    st.binary(max_size=500), st.sampled_from([None, *FORMATS]), st.sampled_from(["raise", "skip"])
)
def test_any_bytes(data: bytes, format_name: str | None, on_error: str) -> None:
    attempt(data, format_name, on_error=on_error)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_bytes_cut_out_and_put_in(name: str, data: st.DataObject) -> None:
    sample = SAMPLES[name]
    start = data.draw(st.integers(0, len(sample)))
    end = data.draw(st.integers(start, min(len(sample), start + 50)))
    attempt(sample[:start] + data.draw(st.binary(max_size=20)) + sample[end:])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["a.bin", "table", "image", "x", "float32", "text", "1", "nm", "px"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["name", "type", "format", "rows", "offset", "x", "y", "headers", "units"])
        | st.text(max_size=4),
        inner,
        max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip
LAYOUT_KEYS = [*layout(), "header_row", "header_transform", "delimiter", "comments"]
ENTRY_KEYS = [*entry(), "segments", "frame_origin", "min", "hash"]
TOP_KEYS = ["format_version", "formats", "files", "thumbnail", "name"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(LAYOUT_KEYS), JSON, max_size=3),
    st.dictionaries(st.sampled_from(ENTRY_KEYS), JSON, max_size=3),
    st.dictionaries(st.sampled_from(TOP_KEYS), JSON, max_size=1),
)
def test_any_manifest(layout_: dict[str, Any], entry_: dict[str, Any], top: dict[str, Any]) -> None:
    about = manifest({"table": layout() | layout_}, [entry() | entry_]) | top
    bundle = attempt(pack(json.dumps(about).encode()), "smlm", pixel_size_nm=100)
    if bundle is not None:
        json.dumps(bundle.manifest, allow_nan=False)


@given(JSON)
def test_any_json_as_manifest(value: object) -> None:
    with contextlib.suppress(FormatError):
        parse_manifest(json.dumps(value).encode(), name="a.smlm")


@given(st.binary(max_size=200), st.integers(0, 100), st.sampled_from([40, None]))
def test_any_bytes_as_compressed_table(body: bytes, rows: int, step: int | None) -> None:
    file = io.BytesIO()
    writer = ZipWriter(file)
    index = {"rows": step, "sizes": [len(body) // 2, len(body) - len(body) // 2]}
    about = manifest(files=[entry(rows=rows, segments=index if step else None)])
    writer.add("manifest.json", json.dumps(about).encode())
    member = writer.begin("a.bin", size_max=12 * rows)
    file.write(body)
    member.size, member.compressed_size = 12 * rows, len(body)
    writer.end(member)
    writer.close()
    attempt(file.getvalue(), "smlm")


@given(
    st.lists(
        st.lists(
            st.sampled_from(["1", "2.5", "NaN", "x", "", '"', "é", "\0", "1e5", " "]), max_size=4
        ),
        max_size=6,
    ),
    st.sampled_from([",", ";", "\t", " "]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-16", "latin-1"]),
)
def test_any_text_table(rows: list[list[str]], delimiter: str, end: str, encoding: str) -> None:
    head = delimiter.join(('"x [nm]"', '"y [nm]"', "frame"))
    text = end.join([head, *(delimiter.join(row) for row in rows)])
    for format_name in (None, "csv", "thunderstorm"):
        attempt(text.encode(encoding), format_name, on_error="skip")
        attempt(text.encode(encoding), format_name)
