"""A contest: the same work by us and by others, each time in a fresh process, turn and turn about.

A benchmark script names its cases and calls `Contest.main`. Every figure is that of the fastest of
`--repeats` rounds; in a round every contestant runs once, so that what else the machine does
falls on all of them. Wall and processor seconds are of the call alone, after its imports; peak
memory is that of the process.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS = "Locmesh"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What a case works on: a file to read, one to write, and how many rows there are."""

    source: Path
    target: Path
    rows: int


Prepare = Callable[[Files], Callable[[], object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One contestant at one piece of work.

    Attributes:
        work: What is done, as the table names it.
        who: By whom.
        prepare: Imports what is needed and returns the call to be measured.
        source: Name of the file to read, made by the contest.
        module: The import that must be there; "" for none.
        rows_max: Slower programs are measured on so many rows and scaled up; 0 for all rows.
        rows_limit: Left out beyond so many rows; 0 for never.
    """

    work: str
    who: str
    prepare: Prepare
    source: str
    module: str = ""
    rows_max: int = 0
    rows_limit: int = 0


class Contest:
    """Cases, and how to make the files that they read.

    Args:
        script: The file of the benchmark, to be run for one case.
        title: Its first line of help.
        cases: Whom to let run; those with the same `work` are compared.
        make: Makes a source, by its name, of so many rows.
    """

    def __init__(
        self,
        script: str,
        title: str,
        *,
        cases: Sequence[Case],
        make: Callable[[str, Path, int], None],
    ) -> None:
        self._script = script
        self._title = title
        self._cases = list(cases)
        self._make = make

    def main(self) -> None:
        """Run all cases, or one of them in this process."""
        parser = argparse.ArgumentParser(description=self._title)
        parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000])
        parser.add_argument("--repeats", type=int, default=3)
        parser.add_argument("--json", type=Path, help="write the figures here, too")
        parser.add_argument("--data", type=Path, help="keep the files to read here, for next time")
        parser.add_argument("--only", help="only work whose name contains this")
        parser.add_argument("--peer-python", default=sys.executable, help="who has the peers")
        parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
        parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
        parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)
        options = parser.parse_args()
        if options.case is not None:
            files = Files(source=options.source, target=options.target, rows=options.rows[0])
            print(json.dumps(_measured(self._cases[options.case], files)))
            return
        results = []
        for rows in options.rows:
            results += self._results(rows, options)
        document = {
            "script": Path(self._script).stem,
            "machine": platform.machine(),
            "processors": os.cpu_count(),
            "repeats": options.repeats,
            "results": results,
        }
        text = json.dumps(document, indent=1)
        if options.json:
            options.json.write_text(text + "\n")
        else:
            print(text)

    def _results(self, rows: int, options: argparse.Namespace) -> list[dict[str, Any]]:
        chosen = [
            index
            for index, case in enumerate(self._cases)
            if (not options.only or options.only in case.work)
            and not (case.rows_limit and rows > case.rows_limit)
            and _is_present(case, options.peer_python)
        ]
        with tempfile.TemporaryDirectory() as temporary:
            folder = options.data or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            runs: dict[int, list[dict[str, Any]]] = {index: [] for index in chosen}
            for _ in range(options.repeats):
                for index in chosen:
                    runs[index].append(self._run(index, rows, folder, Path(temporary), options))
        results = [_best(self._cases[index], rows, runs[index]) for index in chosen]
        _add_ratios(results)
        _show(results, rows)
        return results

    def _run(
        self, index: int, rows: int, folder: Path, temporary: Path, options: argparse.Namespace
    ) -> dict[str, Any]:
        case = self._cases[index]
        count = min(rows, case.rows_max or rows)
        source = folder / f"{count}-{case.source}"
        if case.source and not source.exists():
            self._make(case.source, source, count)
        if case.source:
            _warm(source)
        target = temporary / f"{index}-out"
        python = sys.executable if case.who.startswith(OURS) else options.peer_python
        command = [python, self._script, "--case", str(index), "--source", str(source),
                   "--target", str(target), "--rows", str(count)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise SystemExit(f"{case.work}, {case.who} failed:\n{done.stderr}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        found["size_bytes"] = target.stat().st_size if target.exists() else None
        target.unlink(missing_ok=True)
        return found | {"rows_measured": count, "load": os.getloadavg()[0]}


def peak_bytes() -> int | None:
    """Return the peak memory of this process, if the platform tells."""
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike getrusage, this does not begin with the peak of the process that started us.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        if "VmHWM" in lines:
            return int(lines["VmHWM"].split()[0]) * 1024
    try:
        import resource  # noqa: PLC0415 - not on every platform.
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _measured(case: Case, files: Files) -> dict[str, Any]:
    call = case.prepare(files)
    start, cpu = time.perf_counter(), time.process_time()
    kept = call()
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    del kept
    return {"wall_s": wall_s, "cpu_s": cpu_s, "peak_bytes": peak_bytes()}


def _is_present(case: Case, python: str) -> bool:
    if not case.module:
        return True
    if case.who.startswith(OURS) or python == sys.executable:
        is_there = importlib.util.find_spec(case.module) is not None
    else:
        test = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
        done = subprocess.run([python, "-c", test, case.module], check=False)
        is_there = done.returncode == 0
    if not is_there:
        print(f"{case.who} is not installed for {python}: left out", file=sys.stderr)
    return is_there


def _warm(path: Path) -> None:
    """Bring a file into the system's cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(16 << 20):
            pass


def _best(case: Case, rows: int, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    best = min(runs, key=lambda run: run["wall_s"])
    factor = rows / best["rows_measured"]
    return {
        "work": case.work,
        "who": case.who,
        "rows": rows,
        "rows_measured": best["rows_measured"],
        "wall_s": best["wall_s"] * factor,
        "cpu_s": min(run["cpu_s"] for run in runs) * factor,
        "peak_bytes": best["peak_bytes"],
        "size_bytes": best["size_bytes"],
        "load": best["load"],
        "wall_s_of_all": [run["wall_s"] * factor for run in runs],
    }


def _add_ratios(results: list[dict[str, Any]]) -> None:
    """Add how many times as long, as much work and as much memory each takes as we do."""
    ours = {item["work"]: item for item in results if item["who"] == OURS}
    for item in results:
        base = ours.get(item["work"])
        for key in ("wall_s", "cpu_s", "peak_bytes"):
            both = base is not None and item[key] and base[key]
            name = key.partition("_")[0] + "_ratio"
            item[name] = item[key] / base[key] if base is not None and both else None


def _show(results: Sequence[dict[str, Any]], rows: int) -> None:
    heads = (
        f"{'wall s':>9}{'cpu s':>9}{'peak MB':>9}{'x wall':>8}{'x cpu':>7}{'x peak':>8}{'load':>6}"
    )
    print(f"\n{rows:,} rows\n{'':50}{heads}{'MB written':>12}")
    for item in results:
        ratios = [item[f"{key}_ratio"] or float("nan") for key in ("wall", "cpu", "peak")]
        size = f"{item['size_bytes'] / 1e6:12.1f}" if item["size_bytes"] else " " * 12
        note = "" if item["rows_measured"] == rows else f"  scaled from {item['rows_measured']:,}"
        print(
            f"{item['work']:26}{item['who']:24}{item['wall_s']:9.2f}{item['cpu_s']:9.2f}"
            f"{(item['peak_bytes'] or 0) / 1e6:9.0f}{ratios[0]:8.2f}{ratios[1]:7.2f}"
            f"{ratios[2]:8.2f}{item['load']:6.1f}{size}{note}"
        )
