"""A pyramid of any table: each row once, in the right tile, as precisely as is promised."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smlmfmt import FormatError, LocTable, pyramid
from smlmfmt.errors import HeaderError, RowError, SizeLimitError
from smlmfmt.pyramid.layout import lay_out, tile_rows_max
from tests.smlmfmt.pyramids import build, check, numbered

K = 16
IDS = {"id": pyramid.Carry()}
ANY = st.floats(width=64) | st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e12, -1e12, 1e300])
PLACES = st.lists(st.tuples(*[st.floats(-1e5, 1e5) | ANY] * 3), max_size=120)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def clusters(rows: int, *, side: float = 50_000.0, sigma: float = 30.0) -> dict[str, Any]:
    """Columns x, y, z, frame, uncertainty_xy, intensity of clustered rows in frame order."""
    r = rng()
    centres = r.uniform(0, side, (3, rows // 100 + 1)).repeat(100, axis=1)[:, :rows]
    x, y, z = centres * np.array([[1], [1], [0.02]]) + r.normal(0, sigma, (3, rows))
    return {
        "x": x.astype(np.float32),
        "y": y.astype(np.float32),
        "z": z.astype(np.float32),
        "frame": np.sort(r.integers(1, 20_000, rows)),
        "uncertainty_xy": r.lognormal(2.3, 0.4, rows).astype(np.float32),
        "intensity": r.lognormal(7, 0.8, rows).astype(np.float32),
    }


def line(rows: int) -> dict[str, Any]:
    return {"x": np.linspace(0, 1000, rows), "y": np.full(rows, 7.0), "z": np.zeros(rows)}


def with_missing(rows: int) -> dict[str, Any]:
    columns = clusters(rows)
    for index, name in enumerate(("x", "y", "z", "intensity", "uncertainty_xy")):
        columns[name] = columns[name].copy()
        columns[name][index::11] = (np.nan, np.inf, -np.inf, np.nan, -1.0)[index]
    return columns


def stray(rows: int) -> dict[str, Any]:
    """Rows within a hundredth of a nanometre, and one 10 mm away."""
    r = rng()
    x, y, z = 100 + r.uniform(0, 0.01, (3, rows))
    x[0] = 1e7
    return {"x": x, "y": y, "z": z}


TABLES: dict[str, dict[str, Any]] = {
    "no rows": {"x": [], "y": [], "z": []},
    "one row": {"x": [5.0], "y": [-3.0], "z": [1.0]},
    "one place": {"x": [5.0] * 700, "y": [-3.0] * 700, "z": [1e6] * 700},
    "no place": {"x": [np.nan] * 50, "y": [1.0] * 50, "z": [1.0] * 50},
    "two places": {"x": [0.0, 1.0] * 300, "y": [0.0, 1.0] * 300, "z": [0.0, 1.0] * 300},
    "a line": line(900),
    "clusters": clusters(3000),
    "missing values": with_missing(1500),
    "a wide field": clusters(2000, side=1e7),
    "a stray": stray(900),
    "sorted by x": {"x": np.sort(rng().normal(0, 1e4, 2000)), "y": rng().normal(0, 1e4, 2000)},
    "whole numbers": {"x": rng().integers(0, 99, 800), "y": rng().integers(0, 99, 800)},
    "few ulps": {"x": 1e11 + rng().integers(0, 9, 300) * 2.0**-16, "y": np.zeros(300)},
}


@pytest.mark.parametrize("dimension", [2, 3, None])
@pytest.mark.parametrize("name", TABLES)
def test_every_promise_holds(name: str, dimension: int | None, tmp_path: Path) -> None:
    columns = TABLES[name]
    if dimension == 3 and "z" not in columns:
        columns = {**columns, "z": np.zeros(len(columns["x"]))}
    table = numbered(columns)
    carried = IDS | {n: pyramid.Carry() for n in table.columns if n not in ("x", "y", "z", "id")}
    path = tmp_path / "a.pyramid"
    build(table, path, columns=carried, dimension=dimension, rows_per_tile=K)
    with pyramid.open(path) as opened:
        assert dimension in (None, opened.about.dimension)
        check(table, opened)
        assert opened.nodes["n"].max() <= tile_rows_max(K)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PLACES, st.sampled_from([2, 3]), st.integers(0, 2**63 - 1))
def test_every_promise_holds_for_any_table(
    tmp_path: Path, places: list[tuple[float, ...]], dimension: int, seed: int
) -> None:
    x, y, z = np.array(places, np.float64).reshape(-1, 3).T
    table = numbered({"x": x, "y": y, "z": z, "frame": np.flip(x), "intensity": y})
    path = tmp_path / "a.pyramid"
    carried = IDS | {"frame": pyramid.Carry(), "intensity": pyramid.Carry(scale="log", bits=8)}
    build(table, path, columns=carried, dimension=dimension, seed=seed, rows_per_tile=K)
    with pyramid.open(path) as opened:
        check(table, opened)


CARRIES = [
    pyramid.Carry(),
    pyramid.Carry(scale="log"),
    *(pyramid.Carry(bits=bits) for bits in (8, 16, 24, 32)),
    pyramid.Carry(scale="linear", bits=8),
    pyramid.Carry(scale="log", bits=8),
]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ANY | st.floats(0, 1e6) | st.integers(-9, 10**7), min_size=1, max_size=40))
def test_values_come_back_as_close_as_promised(tmp_path: Path, values: list[float]) -> None:
    columns = {f"c{i}": np.array(values, np.float64) for i in range(len(CARRIES))}
    zeros = np.zeros(len(values))
    table = numbered({"x": zeros, "y": zeros, **columns})
    carried = IDS | dict(zip(columns, CARRIES, strict=True))
    path = tmp_path / "a.pyramid"
    build(table, path, columns=carried, rows_per_tile=64)
    with pyramid.open(path) as opened:
        check(table, opened)
        for column in opened.about.columns[1:]:
            carry = carried[column.name]
            assert carry.bits in (None, column.encoding.bits)


def test_frames_are_exact_beyond_16_bits(tmp_path: Path) -> None:
    columns = clusters(2000)
    for top in (65_534, 65_535, 70_000, 2**24 - 2, 2**24, 2**32 - 2):
        columns["frame"] = np.linspace(0, top, 2000).round()
        build(numbered(columns), tmp_path / "a", columns={**IDS, "frame": pyramid.Carry()})
        with pyramid.open(tmp_path / "a") as opened:
            (frame,) = [c for c in opened.about.columns if c.name == "frame"]
            assert frame.encoding.error == 0
            tile = opened.read(0)
            order = tile["id"].astype(int)
            np.testing.assert_array_equal(tile["frame"], columns["frame"][order])


def test_columns_carried_by_default(tmp_path: Path) -> None:
    columns = {**clusters(500), "background": np.ones(500), "channel": np.ones(500, np.int8)}
    table = LocTable(
        columns, {"x": "nm", "y": "nm", "uncertainty_xy": "nm"}, name="cell", channel="A"
    )
    build(table, tmp_path / "a")
    with pyramid.open(tmp_path / "a") as opened:
        assert opened.about.name == "cell"
        assert opened.about.channel == "A"
        names = [column.name for column in opened.about.columns]
        assert names == ["frame", "uncertainty_xy", "intensity", "channel"]
        assert opened.about.planes == 3
        assert set(opened.read(0)) == {"x", "y", "z", *names}
        assert opened.bounds == tuple(
            (float(table[axis].min()), float(table[axis].max())) for axis in ("x", "y", "z")
        )


def test_precision_of_two_axes_is_carried_as_uncertainty(tmp_path: Path) -> None:
    columns = {
        "x": [1.0, 2.0],
        "y": [1.0, 2.0],
        "x_precision": [3.0, 5.0],
        "y_precision": [4.0, 5.0],
    }
    build(LocTable(columns, dict.fromkeys(columns, "nm")), tmp_path / "a")
    with pyramid.open(tmp_path / "a") as opened:
        found = np.sort(opened.read(0)["uncertainty_xy"])
        np.testing.assert_allclose(found, [np.sqrt(12.5), 5.0], rtol=0.01)


def test_size_with_what_is_carried_by_default(tmp_path: Path) -> None:
    columns = clusters(400_000)
    units = dict.fromkeys(("x", "y", "z", "uncertainty_xy"), "nm")
    for dimension, size_max in ((2, 8.2), (3, 12.3)):
        data = build(LocTable(columns, units), tmp_path / "a", dimension=dimension)
        with pyramid.open(tmp_path / "a") as opened:
            fine = 4 * (dimension - 1) * int(opened.nodes["n"][opened.nodes["flags"] & 1 > 0].sum())
        # The fine positions of the root's 16,384 rows weigh nothing beside millions of rows.
        assert (len(data) - fine) / 400_000 <= size_max


def test_position_steps_stay_below_the_precision(tmp_path: Path) -> None:
    for side in (5_000.0, 50_000.0, 1e6, 1e7):
        table = LocTable(
            clusters(30_000, side=side), {"x": "nm", "y": "nm", "uncertainty_xy": "nm"}
        )
        build(table, tmp_path / "a", rows_per_tile=256, dimension=2)
        with pyramid.open(tmp_path / "a") as opened:
            sigma = opened.about.measured["uncertainty_xy"].low
            assert sigma is not None
            coarse = opened.about.fine_levels
            np.testing.assert_array_equal(opened.nodes["flags"] & 1, opened.nodes["level"] < coarse)
            assert opened.about.side / 2.0 ** (coarse + 16) <= max(sigma / 10, 0.5)
            assert (opened.about.fine_levels > 0) == (side / 65536 > max(sigma / 10, 0.5))


def test_first_paint_is_small_for_any_columns(tmp_path: Path) -> None:
    columns = clusters(300_000)
    columns |= {f"c{i}": rng().normal(0, 1, 300_000) for i in range(29)}
    names = [name for name in columns if name not in ("x", "y", "z")]
    build(LocTable(columns), tmp_path / "a", columns=names)
    with pyramid.open(tmp_path / "a") as opened:
        index = opened.nodes["offset"][0] + opened.nodes["byte_len"][0]
        assert index + 40 * len(opened.nodes) < 400_000
        assert opened.about.rows_per_tile < 16_384


def test_many_rows_in_one_nanometre(tmp_path: Path) -> None:
    r = rng()
    x, y = r.uniform(0, 1, (2, 1_000_000))
    x[:1000], y[:1000] = r.uniform(-25_000, 25_000, (2, 1000))
    x[500_000:] = y[500_000:] = 0.5
    table = LocTable({"x": x, "y": y})
    build(table, tmp_path / "a")
    with pyramid.open(tmp_path / "a") as opened:
        assert opened.nodes["n"].max() <= tile_rows_max(16_384)
        assert opened.nodes["n"].sum() == 1_000_000
        # Half of the rows are one place: slabs of its last cell, one below the other.
        assert (opened.nodes["flags"] & 2 > 0).sum() >= 10
        grid = pyramid.Grid(x=-0.5, y=-0.5, pixel=2.0, width=1, height=1)
        for rows_max in (50_000, 200_000, 600_000):
            cut = pyramid.choose_cut(opened, grid, rows_max=rows_max, rows_per_pixel=1e9)
            found = pyramid.estimate(opened, grid, cut)
            assert found.rows <= rows_max
            truth = ((np.abs(x - 0.5) <= 1) & (np.abs(y - 0.5) <= 1)).sum()
            assert abs(found.density.sum() - truth) <= 4 * np.sqrt(found.variance.sum())


def test_order_of_rows_in_a_tile_is_the_morton_curve(tmp_path: Path) -> None:
    build(LocTable(clusters(5000)), tmp_path / "a", rows_per_tile=500)
    with pyramid.open(tmp_path / "a") as opened:
        for node in range(len(opened.nodes)):
            keys = []
            for codes in zip(*(opened.positions(node, opened.planes(node)) >> 16), strict=True):
                bits = [f"{int(code):016b}" for code in reversed(codes)]
                keys.append("".join("".join(digit) for digit in zip(*bits, strict=True)))
            assert keys == sorted(keys)


def blocks_of(table: LocTable, size: int) -> pyramid.RowBlocks:
    def read() -> Iterator[dict[str, Any]]:
        for start in range(0, len(table), size):
            yield {name: table[name][start : start + size] for name in table}

    return pyramid.RowBlocks(read=read, units=table.units, name=table.name)


def test_same_rows_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = LocTable(clusters(20_000), {"x": "nm", "y": "nm", "uncertainty_xy": "nm"}, name="a")
    first = build(table, tmp_path / "a", rows_per_tile=200)
    assert build(table, tmp_path / "a", rows_per_tile=200) == first
    assert build(table, tmp_path / "a", rows_per_tile=200, memory_size=0) == first
    assert build(blocks_of(table, 777), tmp_path / "a", rows_per_tile=200) == first
    monkeypatch.setattr("smlmfmt.pyramid.source.BLOCK_ROWS", 999)
    monkeypatch.setattr("smlmfmt.pyramid.spill.GROUP_WORDS", 1000)
    monkeypatch.setattr("smlmfmt.pyramid.tree.CELLS_MAX", 64)
    assert build(table, tmp_path / "a", rows_per_tile=200) == first
    assert build(table, tmp_path / "a", rows_per_tile=200, seed=1) != first
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_same_bytes_on_every_machine(tmp_path: Path) -> None:
    """Only a change of the format may change this hash; then VERSION changes, too."""
    i = np.arange(3000)
    table = LocTable(
        {
            "x": (i * 7919 % 10_007) * 1.25,
            "y": (i * i % 9973) * 0.75,
            "z": (i * 31 % 601) * 0.5,
            "frame": i // 3,
            "uncertainty_xy": 2 + (i % 97) / 7,
            "intensity": 50.0 + i * i % 100_003,
        },
        {"x": "nm", "y": "nm", "uncertainty_xy": "nm"},
    )
    data = build(table, tmp_path / "a", rows_per_tile=100)
    assert hashlib.sha256(data).hexdigest() == GOLDEN_SHA256


GOLDEN_SHA256 = "a5ad84f5bac7006c6317e431544086a1d2de8c129c150662d8f9a639b964eb98"


def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smlmfmt.pyramid.source.BLOCK_ROWS", 1 << 14)
    monkeypatch.setattr("smlmfmt.pyramid.spill.GROUP_WORDS", 1 << 17)
    monkeypatch.setattr("smlmfmt.pyramid.tree.CELLS_MAX", 1 << 14)

    def peak(count: int) -> int:
        def read() -> Iterator[dict[str, Any]]:
            for seed in range(count):
                r = np.random.default_rng(seed)
                x, y = r.normal(0, 5000, (2, 50_000))
                yield {"x": x, "y": y, "frame": np.arange(50_000.0)}

        tracemalloc.start()
        options = pyramid.Options(memory_size=0)
        pyramid.build(pyramid.RowBlocks(read=read), tmp_path / "a", options=options)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(1)  # Compiles what is to be compiled.
    few, many = peak(4), peak(40)
    assert (tmp_path / "a").stat().st_size > 16_000_000
    assert many < few + 2_000_000


@pytest.mark.parametrize(
    ("columns", "options", "error"),
    [
        ({"x": [1.0]}, {}, HeaderError),
        ({}, {}, HeaderError),
        ({"x": [1.0], "y": [1.0]}, {"columns": ["frame"]}, HeaderError),
        ({"x": [1.0], "y": [1.0]}, {"columns": ["x"]}, HeaderError),
        ({"x": [1.0], "y": [1.0]}, {"dimension": 3}, HeaderError),
        ({"x": [1.0], "y": [1.0]}, {"dimension": 4}, FormatError),
        ({"x": [1.0], "y": [1.0]}, {"rows_per_tile": 1}, FormatError),
        ({"x": [1.0], "y": [1.0]}, {"seed": -1}, FormatError),
    ],
)
def test_what_cannot_be_built_says_so(
    columns: dict[str, Any], options: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(error):
        build(LocTable(columns), tmp_path / "a", **options)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "carry", [{"bits": 7}, {"scale": "root"}, {"scale": "log", "bits": 32}], ids=str
)
def test_an_encoding_that_there_is_not_says_so(carry: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match=r"carried"):
        pyramid.Carry(**carry)


def test_a_stream_that_changes_says_so(tmp_path: Path) -> None:
    sizes = iter([50, 50, 60, 60])

    def read() -> Iterator[dict[str, Any]]:
        size = next(sizes)
        yield {"x": np.arange(size), "y": np.arange(size)}

    with pytest.raises(RowError, match="50 rows in one reading, 60"):
        build(pyramid.RowBlocks(read=read), tmp_path / "a", rows_per_tile=16)
    for block in (
        {"x": np.zeros(3), "y": np.zeros(2)},
        {"x": np.zeros(3)},
        {"x": np.zeros((3, 1)), "y": np.zeros((3, 1))},
        {"x": np.array(["a"]), "y": np.zeros(1)},
    ):
        blocks = [{"x": np.zeros(1), "y": np.zeros(1)}, block]
        with pytest.raises(RowError):
            build(pyramid.RowBlocks(read=lambda b=blocks: b), tmp_path / "a")  # type: ignore[misc]


def test_too_many_tiles_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smlmfmt.pyramid.tree.NODES_MAX", 50)
    with pytest.raises(SizeLimitError, match="rows_per_tile"):
        build(LocTable(clusters(5000)), tmp_path / "a", rows_per_tile=16)


def test_rows_that_defeat_the_seed_say_so(tmp_path: Path) -> None:
    """Whoever knows the seed could order rows so that all of a place's come first."""
    from tests.smlmfmt.pyramids import hashes  # noqa: PLC0415

    near = hashes(np.arange(4000), 0) < 2**32 // 8
    x = np.where(near, 1.0, rng().uniform(0, 1000, 4000))
    table = LocTable({"x": x, "y": x})
    with pytest.raises(FormatError, match="seed"):
        build(table, tmp_path / "a", rows_per_tile=16)
    build(table, tmp_path / "a", rows_per_tile=16, seed=1)


@pytest.mark.parametrize(
    ("dimension", "bits", "planes"),
    [(2, [16, 8, 8], 2), (3, [16, 8, 8], 3), (3, [24, 8, 8, 8], 3), (2, [24, 8, 8], 3), (2, [], 1)],
)
def test_lanes_fill_whole_words(dimension: int, bits: list[int], planes: int) -> None:
    lanes, count = lay_out(dimension, bits)
    assert count == planes
    assert [8 * sum(lane.size for lane in found) for found in lanes] == bits
    taken = [
        (lane.plane, lane.byte + i) for found in lanes for lane in found for i in range(lane.size)
    ]
    assert len(taken) == len(set(taken))
    assert all(lane.byte % lane.size == 0 for found in lanes for lane in found)


def test_reading_needs_no_compiler() -> None:
    """What serves and draws pyramids starts fast: numba is for building them."""
    code = "import sys, smlmfmt.pyramid; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_worker_processes_build_the_same(tmp_path: Path) -> None:
    table = LocTable(clusters(500))
    expected = build(table, tmp_path / "own")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        paths = [tmp_path / name for name in "abcd"]
        assert list(pool.map(build, [table] * 4, paths)) == [expected] * 4


def test_building_works_where_nothing_can_be_cached(tmp_path: Path) -> None:
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
        "from smlmfmt import LocTable, pyramid\n"
        "pyramid.build(LocTable({'x': [1.0], 'y': [2.0]}), 'a')\n"
        "print(pyramid.open('a').bounds)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "((1.0, 1.0), (2.0, 2.0))"
