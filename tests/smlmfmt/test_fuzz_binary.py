"""Binary formats, damaged in every way: a result, or FormatError, and little memory."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import smlmfmt
from smlmfmt import Bundle, FormatError, LocTable
from smlmfmt.format import WriteOptions
from smlmfmt.tsf import write_tsf
from tests.smlmfmt import test_insight3, test_locan, test_matlab
from tests.smlmfmt.recordings import as_json, flat, nested, npy, zipped

FORMATS = ("minflux", "smite", "locan", "insight3", "tsf", "pyminflux", "parquet")
# Objects, containers and decoded texts cost more than the bytes that ask for them, but so much.
MEMORY_RATIO_MAX = 60
MEMORY_FREE_SIZE = 24 << 20


def attempt(data: bytes, format_name: str | None = None, **options: Any) -> Bundle | None:
    try:
        return smlmfmt.read(io.BytesIO(data), format=format_name, pixel_size_nm=100, **options)
    except FormatError:
        return None


def spots() -> bytes:
    file = io.BytesIO()
    table = LocTable({"frame": [1, 200, 3], "x": [1.0, 2, 3], "y": [1.0, 2, 3],
                      "sigma": [1.0, 2, 3], "id": [-5, 2, 70_000]})  # fmt: skip
    write_tsf(file, Bundle(tables=(table,)), WriteOptions())
    return file.getvalue()


def struct_file() -> bytes:
    fields = ("pos", "t", "id")
    names = b"".join(name.encode().ljust(4, b"\0") for name in fields)
    values = (
        test_matlab.matrix(6, (2, 3), test_matlab.element(9, np.arange(6.0).tobytes()), name=b""),
        test_matlab.matrix(6, (2, 1), test_matlab.SMALL, name=b""),
        test_matlab.matrix(12, (2, 1), test_matlab.SMALL, name=b""),
    )
    body = test_matlab.matrix(
        2, (1, 1), struct.pack("<HHi", 5, 4, 4), test_matlab.element(1, names), *values,
        name=b"minflux",
    )  # fmt: skip
    return test_matlab.HEADER + test_matlab.element(15, zlib.compress(body))


SAMPLES = {
    "nested": ("minflux", npy(nested(2, 2))),
    "flat": ("minflux", npy(flat(1, 3))),
    "zip": ("minflux", zipped(("a.npy", npy(nested(2, 2))))),
    "json": ("minflux", as_json(nested(1, 2))),
    "struct": ("minflux", struct_file()),
    "spots": ("tsf", spots()),
    "insight3": ("insight3", test_insight3.file(test_insight3.rows(3))),
    "locan": ("locan", test_locan.file()),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_whole(name: str) -> None:
    format_name, data = SAMPLES[name]
    assert smlmfmt.sniff(io.BytesIO(data)) == format_name
    bundle = attempt(data)
    assert bundle is not None
    assert len(bundle.tables[0])


@pytest.mark.parametrize("name", SAMPLES)
def test_every_single_byte_replaced(name: str) -> None:
    format_name, data = SAMPLES[name]
    for position in range(len(data)):
        for mask in (0x01, 0x80, 0xFF):
            broken = bytearray(data)
            broken[position] ^= mask
            attempt(bytes(broken), format_name)


@pytest.mark.parametrize("name", SAMPLES)
def test_cut_at_every_byte(name: str) -> None:
    format_name, data = SAMPLES[name]
    for end in range(len(data)):
        attempt(data[:end], format_name)
        smlmfmt.sniff(io.BytesIO(data[:end]))


NUMBERS = st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80",
                           b"\1\0\0\0", b"\0\0\1\0", b"\xff" * 8, b"\0\0\0\0\1\0\0\0"])  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_numbers_that_lie_cost_no_memory(name: str, data: st.DataObject) -> None:
    format_name, sample = SAMPLES[name]
    broken = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(NUMBERS)
        place = data.draw(st.integers(0, len(broken) - 1))
        broken[place : place + len(number)] = number
    tracemalloc.start()
    try:
        attempt(bytes(broken), format_name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= MEMORY_FREE_SIZE + MEMORY_RATIO_MAX * len(broken)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_bytes_cut_out_and_put_in(name: str, data: st.DataObject) -> None:
    format_name, sample = SAMPLES[name]
    start = data.draw(st.integers(0, len(sample)))
    end = data.draw(st.integers(start, min(len(sample), start + 50)))
    broken = sample[:start] + data.draw(st.binary(max_size=20)) + sample[end:]
    attempt(broken, data.draw(st.sampled_from([None, format_name])))


HEADS = [b"", b"\x93NUMPY\1\0", b"PK\3\4", test_matlab.HEADER, b"#ASDF 1.0.0\n", b"M425", bytes(12),
         b"[{", b"tid,t,x,y\n", b"PAR1", b"\x93NUMPY\1\0\x76\0{'descr': [('itr', "]  # fmt: skip


@settings(max_examples=300)
@given(st.sampled_from(HEADS), st.binary(max_size=300), st.sampled_from([None, *FORMATS]))
def test_any_bytes(head: bytes, body: bytes, format_name: str | None) -> None:
    attempt(head + body, format_name)
    smlmfmt.sniff(io.BytesIO(head + body))


@given(st.sampled_from(FORMATS), st.sampled_from(sorted(SAMPLES)))
def test_the_wrong_format_named(format_name: str, name: str) -> None:
    with contextlib.suppress(FormatError):
        smlmfmt.read(io.BytesIO(SAMPLES[name][1]), format=format_name)
