"""Pyramid files come from strangers: whatever the bytes are, a pyramid or FormatError."""

from __future__ import annotations

import contextlib
import io
import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smlmfmt import FormatError, LocTable, pyramid
from smlmfmt.pyramid.file import Pyramid
from smlmfmt.pyramid.layout import (
    COLUMNS_MAX,
    ENTRY,
    HEADER,
    HEADER_SIZE,
    LEVEL_MAX,
    NODES_MAX,
)


def make(path: Path, *, dimension: int = 2) -> bytes:
    r = np.random.default_rng(3)
    x, y, z = r.normal(0, 1000, (3, 1500))
    x[700:1000], y[700:1000], z[700:1000] = 4.0, 5.0, 6.0
    columns = {
        "x": x,
        "y": y,
        "z": z,
        "frame": np.arange(1500),
        "intensity": r.lognormal(7, 1, 1500),
    }
    table = LocTable(columns, {"x": "nm", "y": "nm"}, name="ä")
    options = pyramid.Options(rows_per_tile=32, dimension=dimension)
    pyramid.build(table, path, options=options)
    return path.read_bytes()


@pytest.fixture(scope="module", params=[2, 3])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make(tmp_path_factory.mktemp("pyramid") / "a", dimension=request.param)


def read_all(data: bytes) -> int:
    """Open, read every tile, estimate; return the number of rows."""
    opened = Pyramid(io.BytesIO(data))
    rows = sum(len(opened.read(node)["x"]) for node in range(len(opened.nodes)))
    grid = pyramid.Grid(x=-1000.0, y=-1000.0, pixel=100.0, width=20, height=20)
    cut = pyramid.choose_cut(opened, grid, rows_max=500)
    pyramid.estimate(opened, grid, cut)
    return rows


def parts(data: bytes) -> tuple[list[int], dict[str, Any], np.ndarray[Any, Any]]:
    """Return the header's numbers, the metadata and the index."""
    numbers = list(HEADER.unpack(data[:HEADER_SIZE])[1:])
    about = json.loads(data[HEADER_SIZE : HEADER_SIZE + numbers[1]])
    index = np.frombuffer(data, ENTRY, numbers[4], numbers[5]).copy()
    return numbers, about, index


def with_metadata(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    numbers, about, index = parts(data)
    change(about)
    text = json.dumps(about).encode()
    text += b" " * (-len(text) % 4)
    moved = len(text) - numbers[1]
    index["offset"] += np.uint64(moved) if moved >= 0 else np.uint64(2**64 + moved)
    rest = numbers[5] + index.nbytes
    root = data[numbers[2] : numbers[5]]
    numbers = [1, len(text), *(numbers[2] + moved, numbers[3], numbers[4], numbers[5] + moved),
               numbers[6] + moved, *numbers[7:]]  # fmt: skip
    header = HEADER.pack(data[:8], *numbers)
    return header + text + root + index.tobytes() + data[rest:]


def with_index(data: bytes, name: str, node: int, value: int) -> bytes:
    numbers, _, index = parts(data)
    index[name][node] = value
    return data[: numbers[5]] + index.tobytes() + data[numbers[5] + index.nbytes :]


def test_untouched_it_opens(data: bytes) -> None:
    assert read_all(data) == 1500
    assert read_all(with_metadata(data, lambda about: about.update(name="b" * 100))) == 1500


def test_every_length_cut_short(data: bytes) -> None:
    for size in [*range(300), *range(300, len(data), 997)]:
        with pytest.raises(FormatError):
            read_all(data[:size])
    with pytest.raises(FormatError, match="cut short or added to"):
        read_all(data + b"\0")


@pytest.mark.parametrize("field", range(9))
@pytest.mark.parametrize("value", [0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, "+4", "-4"])
def test_header_that_lies(data: bytes, field: int, value: int | str) -> None:
    numbers = list(HEADER.unpack(data[:HEADER_SIZE])[1:])
    is_small = field in (0, 1, 3, 4)
    new = numbers[field] + int(value) if isinstance(value, str) else value
    new = max(new, 0) % (2**32 if is_small else 2**64)
    if new == numbers[field]:
        return
    numbers[field] = new
    with pytest.raises(FormatError):
        read_all(HEADER.pack(data[:8], *numbers) + data[HEADER_SIZE:])


INDEX_LIES = [
    *((name, 0, 1) for name in ("level", "ix", "iy", "iz", "offset", "first_child", "flags")),
    *((name, 1, 2**31) for name in ("n", "n_total", "ix", "limit", "first_child", "offset")),
    *((name, 1, 2**32 - 1) for name in ("n", "n_total", "ix", "iy", "iz", "limit", "first_child")),
    *((name, 2, 0) for name in ("n", "n_total", "limit", "level", "offset")),
    *((name, -1, 1) for name in ("first_child", "children", "limit", "flags", "level")),
    ("offset", 3, 2**64 - 1),
    ("offset", 3, 2**63),
    ("children", 0, 255),
    ("children", 0, 0),
    ("level", 3, 255),
    ("flags", 3, 2**16 - 1),
    ("flags", 3, 2),
    ("limit", 0, 2**32 - 1),
]


@pytest.mark.parametrize(("name", "node", "value"), INDEX_LIES)
def test_index_that_lies(data: bytes, name: str, node: int, value: int) -> None:
    _, _, index = parts(data)
    if index[name][node] == value:
        value ^= 1
    with pytest.raises(FormatError):
        read_all(with_index(data, name, node, value))


def column(index: int, **change: Any) -> Callable[[dict[str, Any]], object]:
    return lambda about: about["columns"][index].update(change)


LIES: list[Callable[[dict[str, Any]], object]] = [
    *(lambda about, key=key: about.pop(key) for key in (
        "format", "version", "name", "channel", "rows", "placed", "dimension", "origin", "side",
        "unit", "seed", "rows_per_tile", "planes", "fine_levels", "columns",
    )),
    lambda about: about.update(side=0),
    lambda about: about.update(side=-1.0),
    lambda about: about.update(side=10**400),
    lambda about: about.update(side=True),
    lambda about: about.update(origin=[0.0] * 9),
    lambda about: about.update(origin=["0"] * about["dimension"]),
    lambda about: about.update(dimension=4),
    lambda about: about.update(dimension=5 - about["dimension"]),
    lambda about: about.update(planes=about["planes"] + 1),
    lambda about: about.update(fine_levels=9),
    lambda about: about.update(fine_levels=17),
    lambda about: about.update(rows_per_tile=2**21),
    lambda about: about.update(placed=about["placed"] - 1),
    lambda about: about.update(rows=about["placed"] - 1),
    lambda about: about.update(name="x" * 300),
    lambda about: about.update(columns=about["columns"] * 20),
    lambda about: about.update(columns=about["columns"][:1]),
    lambda about: about.update(columns=[*about["columns"], about["columns"][-1]]),
    lambda about: about.update(columns=[[], {}, 3]),
    lambda about: about["columns"].reverse(),
    lambda about: about["columns"][-1]["histogram"].pop(),
    lambda about: about["columns"][-1]["histogram"].append(1),
    lambda about: about["columns"][-1]["lanes"][0].update(plane=200),
    lambda about: about["columns"][-1]["lanes"][0].update(byte=3, size=2),
    column(0, codes=2**33),
    column(0, first=-1),
    column(0, scale="linear"),
    column(-1, scale="log", lo=0.0),
    column(-1, lo=5.0, hi=4.0),
    column(-1, bits=7),
    column(-1, bits=32),
    column(-1, codes=0),
    column(-1, codes=2**16),
    column(-1, first=0),
    column(-1, finite=10**9),
    column(-1, missing=1),
    column(-1, min=None),
    column(-1, lanes=[]),
    column(-1, name=7),
    column(-1, name="frame"),
]  # fmt: skip


@pytest.mark.parametrize("lie", range(len(LIES)))
def test_metadata_that_lies(data: bytes, lie: int) -> None:
    with pytest.raises(FormatError):
        read_all(with_metadata(data, LIES[lie]))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"a":1,"a":1}',
        b'{"a":NaN}',
        b"\xff",
        b"9" * 10_000,
        b"null",
    ],
)
def test_metadata_that_is_none(data: bytes, text: bytes) -> None:
    text += b" " * (-len(text) % 4)
    numbers, _, _ = parts(data)
    moved = len(text) - numbers[1]
    for index in (2, 5, 6):
        numbers[index] += moved
    size, numbers[1] = numbers[1], len(text)
    head = HEADER.pack(data[:8], *numbers)
    with pytest.raises(FormatError, match="metadata"):
        read_all(head + text + data[HEADER_SIZE + size :])


def test_codes_that_are_none(data: bytes) -> None:
    numbers, about, _ = parts(data)
    frame = next(c for c in about["columns"] if c["name"] == "frame")
    assert frame["codes"] < 2**16 - 1
    root = bytearray(data)
    root[numbers[2] : numbers[5]] = b"\xff" * numbers[3]
    with pytest.raises(FormatError, match="codes above"):
        read_all(bytes(root))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_bytes_changed(data: bytes, choice: st.DataObject) -> None:
    numbers, _, index = parts(data)
    end = numbers[5] + index.nbytes
    changed = bytearray(data)
    for _ in range(choice.draw(st.integers(1, 4))):
        # Mostly where it hurts: header, metadata and index.
        at = choice.draw(st.integers(0, end - 1) | st.integers(0, len(data) - 1))
        changed[at] = choice.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        assert read_all(bytes(changed)) == 1500


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes(noise: bytes) -> None:
    for start in (b"", b"\x89LPYR\r\n\x1a", b"\x89LPYR\r\n\x1a\1\0\0\0"):
        with pytest.raises(FormatError):
            read_all(start + noise)


def test_a_small_file_takes_little_memory(data: bytes) -> None:
    numbers = [1, 2**20 - 4, 64, 0, 2**18, 64, 2**62, 0, 0]
    lies = [HEADER.pack(data[:8], *numbers) + data[HEADER_SIZE:]]
    lies += [with_index(data, "n", 1, 2**32 - 1), with_index(data, "children", 0, 255)]
    for lie in lies:
        tracemalloc.start()
        with contextlib.suppress(FormatError):
            read_all(lie)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4_000_000


def test_the_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.pyramid"
    path.write_bytes(b"no pyramid")
    with pytest.raises(FormatError, match=r"mine\.pyramid: not a pyramid file"):
        pyramid.open(path)


@pytest.mark.parametrize("cut", [[], [False, True], [True, False]])
def test_a_cut_that_is_none(data: bytes, cut: list[bool]) -> None:
    opened = Pyramid(io.BytesIO(data))
    wanted = np.zeros(len(opened.nodes), np.bool_)
    wanted[: len(cut)] = cut
    wanted[-1] = True
    grid = pyramid.Grid(x=0.0, y=0.0, pixel=1.0, width=1, height=1)
    with pytest.raises(FormatError, match="cut"):
        pyramid.estimate(opened, grid, wanted)


@pytest.mark.parametrize(
    "change",
    [{"pixel": 0.0}, {"x": np.nan}, {"width": 0}, {"width": 10**6, "height": 10**6}],
    ids=str,
)
def test_a_grid_that_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        pyramid.Grid(**({"x": 0.0, "y": 0.0, "pixel": 1.0, "width": 1, "height": 1} | change))


def test_every_field_is_documented(data: bytes) -> None:
    document = (Path(__file__).parents[2] / "docs" / "pyramid.md").read_text(encoding="utf-8")
    _, about, index = parts(data)
    fields = {*about, *about["columns"][0], *about["columns"][0]["lanes"][0]} - {"columns"}
    for field in {*fields, "columns", *index.dtype.names} - {"flags"}:
        assert re.search(rf"`[^`]*\b{field}\b[^`]*`", document), field
    assert f"{NODES_MAX:,}" in document
    assert f"at most {COLUMNS_MAX}" in document
    assert f"`level`, 0 to {LEVEL_MAX}" in document
