# ruff: noqa: PLC0415 - a case imports what it measures, and nothing else.
"""Build pyramids at full size, and show how true their density is beside Potree's.

    python -m tests.benchmarks.bench_pyramid [--rows 47800000] [--stream 200000000] [--density]

Every build runs in a fresh process, once to compile and once to measure; times are of the second,
from columns in memory to the file on disk, and the peak memory is that of the process, its input
included. PotreeConverter is in no package index; the peer that is, py3dtiles, makes 3D Tiles from
a LAS file (`--peer-python` of an environment that has py3dtiles and laspy), on fewer rows, scaled.
"numpy, sorting" is the same tree and planes with nothing but numpy: what a build without numba
would cost.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tests.benchmarks.contest import peak_bytes

Floats: TypeAlias = npt.NDArray[np.float64]

FIELD_NM = 50_000.0
PEER_ROWS = 1_000_000
CLUSTER = 150
PEER_CODE = """
import json, resource, sys, time
from pathlib import Path
from py3dtiles.convert import convert
if __name__ == "__main__":
    start = time.perf_counter()
    convert(sys.argv[1], outfolder=sys.argv[2], overwrite=True, rgb=False, verbose=-1)
    wall = time.perf_counter() - start
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    peak = max(one.ru_maxrss for one in used) * 1024
    size = sum(path.stat().st_size for path in Path(sys.argv[2]).rglob("*") if path.is_file())
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "peak_bytes": peak, "size": size}))
"""


def columns(rows: int, seed: int = 1) -> dict[str, npt.NDArray[Any]]:
    """Clusters of localizations in a field of 50 um, 0.6 um deep, frames in order."""
    rng = np.random.default_rng(seed)
    found: dict[str, npt.NDArray[Any]] = {}
    for axis, side in (("x", FIELD_NM), ("y", FIELD_NM), ("z", 600.0)):
        centres = rng.uniform(0, side, rows // CLUSTER + 1).astype(np.float32)
        found[axis] = np.repeat(centres, CLUSTER)[:rows]
        found[axis] += rng.standard_normal(rows, np.float32) * np.float32(25)
    found["frame"] = (np.arange(rows) * (60_000 / max(rows, 1))).astype(np.int32)
    found["intensity"] = np.exp(rng.standard_normal(rows, np.float32) * np.float32(0.7) + 7)
    spread = np.exp(rng.standard_normal(rows, np.float32) * np.float32(0.3))
    found["uncertainty_xy"] = np.float32(10) * spread
    return found


def stream(rows: int) -> Callable[[], Iterator[dict[str, npt.NDArray[Any]]]]:
    """Fields side by side, as a stitched scan; made again at each reading, never held."""
    size = 1_000_000
    field = columns(size)

    def read() -> Iterator[dict[str, npt.NDArray[Any]]]:
        for number in range(rows // size):
            step = np.float32(FIELD_NM)
            shifted = {"x": field["x"] + number % 20 * step, "y": field["y"] + number // 20 * step}
            yield field | shifted

    return read


def measured(call: Callable[[Path], object], path: Path) -> dict[str, Any]:
    start, cpu = time.perf_counter(), time.process_time()
    call(path)
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    return {"wall_s": wall_s, "cpu_s": cpu_s, "size": path.stat().st_size}


def run_case(case: str, rows: int, path: Path) -> dict[str, Any]:
    """Run one case in this process."""
    from smlmfmt import LocTable, pyramid

    what, _, rest = case.partition(" ")
    dimension = int(rest[0])
    options = pyramid.Options(dimension=dimension)
    units = dict.fromkeys(("x", "y", "z", "uncertainty_xy"), "nm")
    small = LocTable(columns(100_000), units)

    def build(table: LocTable | pyramid.RowBlocks) -> Callable[[Path], object]:
        return lambda path: pyramid.build(table, path, options=options)

    build(small)(path)
    if what == "stream":
        call = build(pyramid.RowBlocks(read=stream(rows), units=units))
    elif what == "numpy":
        from tests.benchmarks.numpy_pyramid import build_sorting

        data = columns(rows)
        call = lambda path: build_sorting(data, path, dimension)  # noqa: E731
    else:
        call = build(LocTable(columns(rows), units))
    found = measured(call, path)
    found["peak_bytes"] = peak_bytes()
    if what != "numpy":
        with pyramid.open(path) as opened:
            found["tiles"] = len(opened.nodes)
            found["largest"] = int(opened.nodes["n"].max())
            found["first_paint"] = int(opened.nodes["offset"][0] + opened.nodes["byte_len"][0])
    return found


def fresh(case: str, rows: int, path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_pyramid", "--case", case]
    command += ["--rows", str(rows), "--file", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path.unlink(missing_ok=True)
    if done.returncode:
        raise SystemExit(f"{case} failed:\n{done.stderr}")
    return {"what": case, "rows": rows, **json.loads(done.stdout.splitlines()[-1])}


def peer(python: str, folder: Path) -> dict[str, Any] | None:
    """Convert to 3D Tiles with py3dtiles, from a LAS file."""
    data = columns(PEER_ROWS)
    las = folder / "points.las"
    np.save(folder / "points.npy", np.stack([data[axis] for axis in ("x", "y", "z")]))
    make = (
        "import laspy, numpy as np, sys\n"
        "x, y, z = np.load(sys.argv[1]).astype(float)\n"
        "las = laspy.create(point_format=0, file_version='1.2')\n"
        "las.header.scales = [0.01] * 3\n"
        "las.x, las.y, las.z = x, y, z\n"
        "las.write(sys.argv[2])\n"
    )
    written = [python, "-c", make, str(folder / "points.npy"), str(las)]
    done = subprocess.run(written, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"py3dtiles and laspy are not installed for {python}: left out", file=sys.stderr)
        return None
    script = folder / "peer.py"
    script.write_text(PEER_CODE)
    command = [python, str(script), str(las), str(folder / "tiles")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"py3dtiles failed:\n{done.stderr}")
    shutil.rmtree(folder / "tiles")
    found = json.loads(done.stdout.splitlines()[-1])
    return {"what": "py3dtiles 3D", "rows": PEER_ROWS, **found}


def show(results: list[dict[str, Any]]) -> None:
    print(
        f"\n{'':20}{'rows':>13}{'wall s':>9}{'cpu s':>9}{'M rows/s':>10}{'peak MB':>9}{'B/row':>7}"
    )
    for item in results:
        rows, peak = item["rows"], (item["peak_bytes"] or 0) / 1e6
        print(
            f"{item['what']:20}{rows:13,}{item['wall_s']:9.2f}{item['cpu_s']:9.2f}"
            f"{rows / item['wall_s'] / 1e6:10.2f}{peak:9.0f}{item['size'] / rows:7.2f}"
        )


def density(rows: int, folder: Path) -> list[dict[str, Any]]:
    """Slopes of shown on true density, of Potree's samplers and of the tau-tree."""
    from smlmfmt import LocTable, pyramid
    from smlmfmt.simulate import simulate
    from tests.benchmarks.potree import Octree
    from tests.smlmfmt.pyramids import Variance, grid_of, slope_of, true_density

    simulated = simulate("microtubules", seed=1, localizations=rows)
    table = LocTable({axis: simulated[axis] for axis in ("x", "y")}, {"x": "nm", "y": "nm"})
    grid = grid_of(table, 200.0)
    true = true_density(table, grid)
    middle = (table["x"].min() + table["x"].max()) / 2
    found = []
    order = np.argsort(true.ravel(), kind="stable")
    parts = np.array_split(order[true.ravel()[order] > 0], 20)
    left = np.arange(true.size) % grid.width < grid.width // 2

    def add(scheme: str, cut: str, shown: int, *, density: Floats, variance: Floats) -> None:
        fit = slope_of(true, density, variance)
        ratios = [
            float(density.ravel()[part].sum() / true.ravel()[part].sum())
            for part in (parts[0], parts[-1], left, ~left)
        ]
        found.append(
            {
                "scheme": scheme,
                "cut": cut,
                "shown": shown,
                "slope": fit.slope,
                "error": fit.error,
                "sparsest": ratios[0],
                "densest": ratios[1],
                "left_to_right": ratios[2] / ratios[3],
            }
        )

    points = np.stack([table["x"], table["y"], np.zeros(rows)], axis=1).astype(np.float64)
    for method in ("poisson", "random"):
        level = Octree(points, method).level
        for name, wanted in cuts(level.max(), points[:, 0] < middle):
            seen = level <= wanted
            index, _ = grid.pixels(points[seen, 0], points[seen, 1])
            counts = np.bincount(index, minlength=true.size).reshape(true.shape).astype(float)
            factor = rows / seen.sum()
            shown, variance = int(seen.sum()), counts * factor**2
            add(f"Potree {method}", name, shown, density=counts * factor, variance=variance)
    path = folder / "a.pyramid"
    pyramid.build(table, path)
    with pyramid.open(path) as opened:
        nodes, variances = opened.nodes, Variance(opened, grid)
        side = opened.about.side / 2.0 ** nodes["level"]
        centre = opened.about.origin[0] + (nodes["ix"] + 0.5) * side
        for name, wanted in cuts(int(nodes["level"].max()), centre < middle):
            cut = nodes["level"] <= wanted
            cut[0] = True
            estimate = pyramid.estimate(opened, grid, cut)
            shown, known = int(nodes["n"][cut].sum()), variances.under(cut)
            add("tau-tree", name, shown, density=estimate.density, variance=known)
    return found


def cuts(deepest: int, is_left: npt.NDArray[np.bool_]) -> Iterator[tuple[str, Any]]:
    """Yield the deepest level to show: the same everywhere, and two more in the left half."""
    for level in range(deepest):
        yield f"levels 0 to {level}", level
    for level in range(max(deepest - 1, 1)):
        yield f"0 to {level}, left half to {level + 2}", np.where(is_left, level + 2, level)


def main() -> None:
    """Run the benchmark, or one case of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=47_800_000)
    parser.add_argument("--stream", type=int, default=0, help="also build so many rows, streamed")
    parser.add_argument("--density", action="store_true", help="only the table of slopes")
    parser.add_argument("--density-rows", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path, help="where the files go; default: temporary")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter with py3dtiles")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(run_case(options.case, options.rows, options.file)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        results: list[dict[str, Any]] = []
        if not options.density:
            sizes = [PEER_ROWS, options.rows]
            cases = [("Locmesh", rows, d) for rows in sizes for d in (2, 3)]
            cases += [("numpy", rows, d) for rows in sizes for d in (2, 3)]
            if options.stream:
                cases.append(("stream", options.stream, 2))
            for what, rows, dimension in cases:
                results.append(fresh(f"{what} {dimension}D", rows, folder / "a.pyramid"))
            if beside := peer(options.peer_python, folder):
                results.append(beside)
            show(results)
        slopes = density(options.density_rows, folder)
    heads = f"{'slope':>8}{'+-':>7}{'sparse':>8}{'dense':>8}{'left/right':>12}"
    print(f"\n{'scheme':16}{'shown':28}{'rows':>10}{heads}")
    for item in slopes:
        print(
            f"{item['scheme']:16}{item['cut']:28}{item['shown']:10,}{item['slope']:8.3f}"
            f"{item['error']:7.3f}{item['sparsest']:8.2f}{item['densest']:8.2f}"
            f"{item['left_to_right']:12.2f}"
        )
    text = json.dumps({"cores": os.cpu_count(), "builds": results, "density": slopes}, indent=1)
    if options.json:
        options.json.write_text(text)


if __name__ == "__main__":
    main()
