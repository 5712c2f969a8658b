# ruff: noqa: PLC0415 - a case imports what it measures, and nothing else.
"""Read and write .smlm at full size, beside the programs people use for it today.

    python -m tests.benchmarks.bench_smlm [--rows 5000000] [--json FILE] [--peer-python PYTHON]

The peers come from the `benchmark` extra (pip install 'locmesh[benchmark]'); those that are not
installed are named and left out. Every figure is the best of `--repeats` fresh processes: wall
seconds of the call alone, the peak memory of the process, and by how much the call raised it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

COLUMNS = [
    "frame",
    "x",
    "y",
    "sigma",
    "intensity",
    "background",
    "background_std",
    "chi2",
    "uncertainty_xy",
]
CLUSTER_SIZE = 200
PEERS = {"shareloc-utils": "shareloc_utils", "Locan": "locan"}
# Locan formats value by value; what it takes is measured on fewer rows and scaled up.
LOCAN_WRITE_ROWS = 20_000

Case = Callable[[Path, int], Callable[[], object]]


def columns(rows: int) -> dict[str, npt.NDArray[np.float32]]:
    """Clusters of localizations, continuous values, frames in order."""
    rng = np.random.default_rng(1)
    found = {name: rng.gamma(2, 50, rows).astype(np.float32) for name in COLUMNS}
    for name in ("x", "y"):
        centres = np.repeat(rng.uniform(0, 40_000, rows // CLUSTER_SIZE + 1), CLUSTER_SIZE)[:rows]
        found[name] = (centres + rng.normal(0, 15, rows)).astype(np.float32)
    found["frame"] = np.sort(rng.integers(1, 20_000, rows)).astype(np.float32)
    return found


def read_locmesh(path: Path, _rows: int) -> Callable[[], object]:
    import smlmfmt

    return lambda: smlmfmt.read(path)


def read_shareloc(path: Path, _rows: int) -> Callable[[], object]:
    from shareloc_utils.smlm_file import read_smlm_file

    return lambda: read_smlm_file(str(path))


def read_locan(path: Path, _rows: int) -> Callable[[], object]:
    import locan

    return lambda: locan.load_SMLM_file(path)


def write_locmesh(path: Path, rows: int) -> Callable[[], object]:
    import smlmfmt

    table = smlmfmt.LocTable(columns(rows), name="bench")
    return lambda: smlmfmt.write(path, table)


def write_locan(path: Path, rows: int) -> Callable[[], object]:
    import locan

    pd = importlib.import_module("pandas")
    names = {"x": "position_x", "y": "position_y"}
    frame = pd.DataFrame({names.get(key, key): data for key, data in columns(rows).items()})
    data = locan.LocData.from_dataframe(frame)
    return lambda: locan.save_SMLM(data, path)


CASES: dict[str, Case] = {
    "read Locmesh": read_locmesh,
    "read shareloc-utils": read_shareloc,
    "read Locan": read_locan,
    "write Locmesh": write_locmesh,
    "write Locan": write_locan,
}


def peak_bytes() -> int | None:
    """Return the peak memory of this process, if the platform tells."""
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike getrusage, this does not begin with the peak of the process that started us.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "VmHWM" in lines:
            return int(lines["VmHWM"].split()[0]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def run_case(name: str, path: Path, rows: int) -> dict[str, Any]:
    """Run one case in this process."""
    call = CASES[name](path, rows)
    before = peak_bytes()
    start, cpu = time.perf_counter(), time.process_time()
    call()
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    after = peak_bytes()
    grown = None if before is None or after is None else after - before
    return {"wall_s": wall_s, "cpu_s": cpu_s, "peak_bytes": after, "grown_bytes": grown}


def fresh(name: str, path: Path, rows: int, python: str) -> dict[str, Any]:
    """Run one case in a process of its own."""
    command = [python, __file__, "--case", name, "--file", str(path), "--rows", str(rows)]
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def write_foreign(path: Path, rows: int) -> None:
    """A table as the ShareLoc app lays it out, deflated by zlib, without any index of ours."""
    data = columns(rows)
    matrix = np.stack([data[name] for name in COLUMNS], axis=1)
    count = len(COLUMNS)
    layout = {
        "name": "t", "type": "table", "mode": "binary", "extension": ".bin", "columns": count,
        "headers": COLUMNS, "dtype": ["float32"] * count, "shape": [1] * count,
        "units": [""] * count,
    }  # fmt: skip
    entry = {
        "name": "t.bin", "type": "table", "format": "t", "channel": "default", "rows": rows,
        "offset": {"x": 0, "y": 0}, "metadata": {}, "exposure": -1,
    }  # fmt: skip
    about = {"format_version": "0.2", "formats": {"t": layout}, "files": [entry], "name": "t"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr("t.bin", matrix.tobytes())
        archive.writestr("manifest.json", json.dumps(about))


def peers_of(python: str) -> set[str]:
    """Return the peers that an interpreter has."""
    if python == sys.executable:
        return {name for name, module in PEERS.items() if importlib.util.find_spec(module)}
    test = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    return {
        name
        for name, module in PEERS.items()
        if subprocess.run([python, "-c", test, module], check=False).returncode == 0
    }


def measure(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Measure all cases that can run here."""
    python = options.peer_python
    present = peers_of(python)
    for name in PEERS.keys() - present:
        print(f"{name} is not installed for {python}: left out", file=sys.stderr)
    own, foreign = folder / "own.smlm", folder / "foreign.smlm"
    write_foreign(foreign, options.rows)
    plan = [("write", "Locmesh", own, options.rows)]
    for what, path in (("read, no index", foreign), ("read, written by Locmesh", own)):
        plan += [(what, who, path, options.rows) for who in ("Locmesh", *sorted(present))]
    if "Locan" in present:
        plan.insert(1, ("write", "Locan", folder / "locan.smlm", LOCAN_WRITE_ROWS))
    results = []
    for what, who, path, rows in plan:
        case = f"{what.split(',')[0]} {who}"
        runner = sys.executable if who == "Locmesh" else python
        repeats = options.repeats if rows == options.rows else 1
        runs = [fresh(case, path, rows, runner) for _ in range(repeats)]
        best = min(runs, key=lambda run: run["wall_s"])
        factor = options.rows / rows
        results.append(
            {
                "what": what,
                "who": who,
                "rows_measured": rows,
                "wall_s": best["wall_s"] * factor,
                "cpu_s": best["cpu_s"] * factor,
                "peak_bytes": best["peak_bytes"],
                "grown_bytes": best["grown_bytes"],
                "size_bytes": path.stat().st_size,
            }
        )
    return results


def with_ratios(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add how many times as long and as much each takes as Locmesh does."""
    ours = {item["what"]: item for item in results if item["who"] == "Locmesh"}
    for item in results:
        base = ours[item["what"]]
        item["wall_ratio"] = item["wall_s"] / base["wall_s"]
        both = item["peak_bytes"] and base["peak_bytes"]
        item["peak_ratio"] = item["peak_bytes"] / base["peak_bytes"] if both else None
    return results


def show(results: list[dict[str, Any]], rows: int) -> None:
    """Print the table."""
    raw = rows * 4 * len(COLUMNS)
    print(f"\n{rows:,} rows x {len(COLUMNS)} float32 = {raw / 1e6:.0f} MB raw")
    heads = f"{'wall s':>9}{'cpu s':>9}{'peak MB':>9}{'+ MB':>7}{'x wall':>8}{'x peak':>8}"
    print(f"{'':42}{heads}")
    for item in results:
        peak, ratio, grown = item["peak_bytes"], item["peak_ratio"], item["grown_bytes"]
        note = "" if item["rows_measured"] == rows else f"  scaled from {item['rows_measured']:,}"
        print(
            f"{item['what']:26}{item['who']:16}{item['wall_s']:9.2f}{item['cpu_s']:9.2f}"
            f"{(peak or 0) / 1e6:9.0f}{(grown or 0) / 1e6:7.0f}{item['wall_ratio']:8.1f}"
            f"{ratio or float('nan'):8.1f}{note}"
        )


def main() -> None:
    """Run the benchmark, or one case of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter with the peers")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(run_case(options.case, options.file, options.rows)))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = with_ratios(measure(options, Path(folder)))
    show(results, options.rows)
    document = {"rows": options.rows, "columns": len(COLUMNS), "machine": platform.machine()}
    text = json.dumps(document | {"results": results}, indent=1)
    if options.json:
        options.json.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
