# ruff: noqa: PLC0415 - a case imports what it measures, and nothing else.
"""Measure a table as ingest does, and NeNA and FRC beside Picasso's, on the same numbers.

    python -m tests.benchmarks.bench_summary [--rows 47800000] [--json FILE] [--peer-python PYTHON]

Picasso comes from the `benchmark` extra (pip install 'locmesh[benchmark]'), or another
interpreter's packages; where it is missing it is named and left out. It is given --peer-rows of
the same kind and, for FRC, a square of 6 um: it renders at half a precision per pixel, which no
memory holds for a whole field. Every figure is of a fresh process: wall and CPU seconds of the
call alone and by how much it raised the process's peak memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from smlmfmt import LocTable

CELL_ROWS = 1_000_000
CELL_NM = 20_000.0
PIXEL_NM = 100.0
SQUARE_NM = 6_000.0
PEER = "Picasso"

Columns = dict[str, npt.NDArray[Any]]
Case = Callable[["LocTable"], Callable[[], object]]


def make_columns(rows: int) -> Columns:
    """Simulated microtubules, cell beside cell, in order of frames: 9 columns of float32."""
    from smlmfmt.simulate import simulate

    cell = simulate("microtubules", seed=1, localizations=min(rows, CELL_ROWS))
    index = np.arange(rows)
    number, row = np.divmod(index, len(cell))
    order = np.argsort(cell["frame"][row], kind="stable")
    row, number = row[order], number[order]
    side = int(np.ceil((rows / len(cell)) ** 0.5))
    found = {name: cell[name][row].astype(np.float32) for name in cell}
    found["x"] += (number % side * CELL_NM).astype(np.float32)
    found["y"] += (number // side * CELL_NM).astype(np.float32)
    random = np.random.default_rng(1)
    found |= {name: random.random(rows, np.float32) for name in ("chi2", "background_std")}
    return found


def make_table(rows: int) -> LocTable:
    from smlmfmt import LocTable

    return LocTable(make_columns(rows), units={"x": "nm", "y": "nm", "uncertainty_xy": "nm"})


def square_of(table: LocTable) -> LocTable:
    """Return the middle of the field, SQUARE_NM wide."""
    from smlmfmt import LocTable

    keep = np.ones(len(table), np.bool_)
    for axis in ("x", "y"):
        keep &= np.abs(table[axis] - np.median(table[axis])) < SQUARE_NM / 2
    return LocTable({name: table[name][keep] for name in table}, units=table.units)


def whole(table: LocTable) -> Callable[[], object]:
    return lambda: table.summary().as_dict()


def columns_alone(table: LocTable) -> Callable[[], object]:
    from smlmfmt.measures.columns import measure_column

    return lambda: [measure_column(table, name)[0].median for name in table]


def looked_at(table: LocTable) -> tuple[Any, Any]:
    from smlmfmt.measures.sample import field_of, sample_positions

    positions = sample_positions(table)
    assert positions is not None
    return positions, field_of(positions)


def sample_alone(table: LocTable) -> Callable[[], object]:
    return lambda: looked_at(table)[1].side_nm


def nena(table: LocTable) -> Callable[[], object]:
    from smlmfmt.measures.nena import nearest_neighbour_precision

    def call() -> float | None:
        found = nearest_neighbour_precision(table, *looked_at(table))
        return None if found is None else found.precision_nm

    return call


def frc(table: LocTable) -> Callable[[], object]:
    from smlmfmt.measures.frc import fourier_ring_resolution

    def call() -> float | None:
        found = fourier_ring_resolution(table, *looked_at(table), precision_nm=6.0)
        return None if found is None else found.resolution_nm

    return call


def frc_by_rows(table: LocTable) -> Callable[[], object]:
    """Deal single rows to the halves, as Picasso does, instead of runs of frames."""
    from smlmfmt import LocTable

    names = [name for name in table if name != "frame"]
    return frc(LocTable({name: table[name] for name in names}, units=table.units))


def drift(table: LocTable) -> Callable[[], object]:
    from smlmfmt.measures.drift import remaining_drift

    def call() -> float | None:
        found = remaining_drift(*looked_at(table))
        return None if found is None else found.drift_nm

    return call


def signature(table: LocTable) -> Callable[[], object]:
    from smlmfmt.measures.signature import structure_signature

    return lambda: str(structure_signature(*looked_at(table)))


def for_picasso(table: LocTable) -> tuple[Any, list[dict[str, Any]]]:
    pd = importlib.import_module("pandas")
    x, y = ((table[a] - table[a].min()).astype(np.float32) / PIXEL_NM for a in ("x", "y"))
    error = table["uncertainty_xy"] / PIXEL_NM
    frame = table["frame"].astype(np.uint32)
    locs = pd.DataFrame({"frame": frame, "x": x, "y": y, "lpx": error, "lpy": error})
    sides = {"Width": int(x.max()) + 1, "Height": int(y.max()) + 1}
    return locs, [{"Pixelsize": PIXEL_NM, "Frames": int(frame.max()) + 1, **sides}]


def picasso_nena(table: LocTable) -> Callable[[], object]:
    from picasso import postprocess

    locs, about = for_picasso(table)
    postprocess.nena(locs.iloc[:2_000].copy(), about)  # Compiles.
    return lambda: float(postprocess.nena(locs, about)[1] * PIXEL_NM)


def picasso_frc(table: LocTable) -> Callable[[], object]:
    from picasso import postprocess

    locs, about = for_picasso(table)
    side = SQUARE_NM / PIXEL_NM
    postprocess.nena(locs.iloc[:2_000].copy(), about)

    def call() -> float | None:
        found = postprocess.frc(locs, about, ((0, 0), (side, side)))["resolution"]
        return None if found is None else float(found)

    return call


CASES: dict[str, Case] = {
    "all facts": whole,
    "columns and medians": columns_alone,
    "the sample, in all below": sample_alone,
    "NeNA": nena,
    "FRC": frc,
    "drift": drift,
    "signature": signature,
    "FRC by rows": frc_by_rows,
    "NeNA, Picasso": picasso_nena,
    "FRC, Picasso": picasso_frc,
}


def run_case(name: str, rows: int, *, is_square: bool) -> dict[str, Any]:
    """Run one case in this process."""
    from tests.benchmarks.contest import peak_bytes

    table = make_table(rows)
    if is_square:
        table = square_of(table)
    call = CASES[name](table)
    refs = Path("/proc/self/clear_refs")
    if refs.exists():
        refs.write_text("5")  # What making the table took does not count.
    before = peak_bytes()
    start, cpu = time.perf_counter(), time.process_time()
    value = call()
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    after = peak_bytes()
    grown = None if before is None or after is None else after - before
    shown = value if isinstance(value, float | str) else None
    return {
        "rows": len(table),
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "grown_bytes": grown,
        "value": shown,
    }


def fresh(name: str, rows: int, python: str, *, is_square: bool) -> dict[str, Any]:
    """Run one case in a process of its own."""
    command = [python, __file__, "--case", name, "--rows", str(rows)]
    command += ["--square"] if is_square else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def has_picasso(python: str) -> bool:
    if python == sys.executable:
        return importlib.util.find_spec("picasso") is not None
    test = "import importlib.util, sys; sys.exit(importlib.util.find_spec('picasso') is None)"
    return subprocess.run([python, "-c", test], check=False).returncode == 0


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all cases that can run here."""
    alone = [name for name in CASES if "Picasso" not in name and name != "FRC by rows"]
    plan = [(name, options.rows, False) for name in alone]
    plan += [("NeNA", options.peer_rows, False), ("FRC by rows", options.peer_rows, True)]
    if has_picasso(options.peer_python):
        plan += [(f"NeNA, {PEER}", options.peer_rows, False)]
        plan += [(f"FRC, {PEER}", options.peer_rows, True)]
    else:
        print(f"{PEER} is not installed for {options.peer_python}: left out", file=sys.stderr)
    results = []
    for name, rows, is_square in plan:
        python = options.peer_python if PEER in name else sys.executable
        found = fresh(name, rows, python, is_square=is_square)
        results.append({"what": name, **found})
        print(line_of(results[-1]), flush=True)
    return results


def line_of(item: dict[str, Any]) -> str:
    value = item["value"]
    text = f"{value:.2f} nm" if isinstance(value, float) else (value or "")
    return (
        f"{item['what']:26}{item['rows']:12,}{item['wall_s']:9.2f}{item['cpu_s']:9.2f}"
        f"{(item['grown_bytes'] or 0) / 1e6:8.0f}  {text}"
    )


def ratios(results: list[dict[str, Any]]) -> dict[str, float]:
    """Return how many times as long Picasso takes, and how far its figures are from ours."""
    by_name = {item["what"]: item for item in results}
    found = {}
    for ours, theirs in (("NeNA", f"NeNA, {PEER}"), ("FRC by rows", f"FRC, {PEER}")):
        if theirs in by_name:
            one, other = by_name[ours], by_name[theirs]
            found[f"{ours}: times as long"] = other["wall_s"] / one["wall_s"]
            found[f"{ours}: value ratio"] = other["value"] / one["value"]
    return found


def main() -> None:
    """Run the benchmark, or one case of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=47_800_000)
    parser.add_argument("--peer-rows", type=int, default=CELL_ROWS)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter with Picasso")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--square", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(run_case(options.case, options.rows, is_square=options.square)))
        return
    print(f"{'':26}{'rows':>12}{'wall s':>9}{'cpu s':>9}{'+ MB':>8}")
    results = measure(options)
    document = {"machine": platform.machine(), "results": results, "ratios": ratios(results)}
    text = json.dumps(document, indent=1)
    if options.json:
        options.json.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
