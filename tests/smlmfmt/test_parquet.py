from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import smlmfmt
from smlmfmt import Bundle, FormatError, LocTable, parquet
from smlmfmt.errors import ArchiveError, HeaderError, SizeLimitError, UnitError
from smlmfmt.format import WriteOptions

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

DTYPES = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="="),
    arrays.unsigned_integer_dtypes(endianness="="),
    arrays.floating_dtypes(sizes=(16, 32, 64), endianness="="),
)


def as_bytes(table: LocTable) -> bytes:
    file = io.BytesIO()
    parquet.write_parquet(file, Bundle(tables=(table,)), WriteOptions())
    return file.getvalue()


def others(columns: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def read(data: bytes, **options: Any) -> Bundle:
    return smlmfmt.read(io.BytesIO(data), **options)


def columns(count: int) -> st.SearchStrategy[dict[str, npt.NDArray[Any]]]:
    one = arrays.arrays(DTYPES, count)
    names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
    positions = st.fixed_dictionaries({"x": one, "y": one})
    extra = st.dictionaries(names, one, max_size=4)
    return st.tuples(positions, extra).map(lambda pair: pair[1] | pair[0])


@settings(max_examples=100)
@given(
    st.integers(0, 20).flatmap(columns),
    st.sampled_from([0, 1, None]),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)
def test_round_trip(
    written: dict[str, npt.NDArray[Any]], origin: int | None, notes: dict[str, Any]
) -> None:
    units = {"x": "nm", "y": "nm"} | {name: "Hz" for name in written if name not in "xy"}
    table = LocTable(written, units, frame_origin=origin, name="ä", channel="c",
                     source_names={"x": "X (px)"}, metadata=notes)  # fmt: skip
    bundle = read(as_bytes(table))
    found = bundle.tables[0]
    assert bundle.format == found.format == "parquet"
    assert found.columns == table.columns
    for name in table:
        assert found[name].dtype == table[name].dtype
        np.testing.assert_array_equal(found[name], table[name])
    assert (found.units, found.source_names) == (table.units, table.source_names)
    assert (found.name, found.channel, found.frame_origin) == ("ä", "c", origin)
    assert found.metadata == notes


def test_files_of_others() -> None:
    bundle = read(others({"x [um]": [1.0, 2.0], "ynm": [3, None], "sigma": [0.5, 0.5],
                          "frame": [1, 2], "label": ["a", "b"]}))  # fmt: skip
    table = bundle.tables[0]
    assert table["x"].tolist() == [1000, 2000]
    np.testing.assert_array_equal(table["y"], [3, np.nan])
    assert table["frame"].dtype == np.int64
    assert table.units == {"x": "nm", "y": "nm", "sigma": "nm", "frame": ""}
    assert table.source_names["y"] == "ynm"
    assert "label" in bundle.warnings[0]
    pixels = others({"x": [1.0], "y": [2.0], "z": [3.0]})
    table = read(pixels, pixel_size_nm=100).tables[0]
    assert [table[name][0] for name in "xyz"] == [100, 200, 3]
    with pytest.raises(UnitError, match="pixel_size_nm"):
        read(others({"x [px]": [1.0], "y [px]": [2.0]}))
    with pytest.raises(HeaderError, match="a, b"):
        read(others({"a": [1], "b": [2]}))


def test_names_that_come_twice() -> None:
    file = io.BytesIO()
    fields = pa.schema([("x", pa.float64()), ("y", pa.float64()), ("x", pa.float64())])
    one = pa.array([1.0])
    pq.write_table(pa.Table.from_arrays([one, one, one], schema=fields), file)
    assert read(file.getvalue()).tables[0].columns == ("x", "y", "x_2")


def test_memory_is_granted_by_the_size_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "RATIO_FREE_SIZE", 1 << 16)
    with pytest.raises(SizeLimitError, match="from a file of"):
        read(others({"x": np.zeros(5_000_000), "y": np.zeros(5_000_000)}))
    table = LocTable({"x": [1.0], "y": [1.0]})
    with pytest.raises(FormatError, match="one table, not 2"):
        parquet.write_parquet(io.BytesIO(), Bundle(tables=(table, table)), WriteOptions())


def test_damaged_files() -> None:
    data = as_bytes(LocTable({"x": np.arange(50.0), "y": np.arange(50.0)}))
    with pytest.raises(ArchiveError, match="damaged"):
        read(data[:-1])
    damaged = 0
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 0xFF
        try:
            smlmfmt.read(io.BytesIO(bytes(broken)), format="parquet")
        except FormatError:
            damaged += 1
    assert damaged > len(data) // 2
