"""How long `import smlmfmt` takes, beside numpy's import, which is a part of it.

    python -m tests.benchmarks.bench_import [--repeats 10] [--json FILE]

Each import runs in a fresh interpreter that finds compiled modules, as an installed package has
them; the fastest and the median of the rounds are told. The goal is 150 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

GOAL_MS = 150.0
ROOT = Path(__file__).resolve().parents[2]
TIMED = "import time; w, c = time.perf_counter, time.process_time; s = w(), c(); import {}; "
TIMED += "print(w() - s[0], c() - s[1])"


def milliseconds(module: str, *, compiled: str) -> tuple[float, float]:
    """Return wall and processor time of an import, compiled modules being kept in a folder."""
    kept = {"PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", TIMED.format(module)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | kept
    )
    wall_s, cpu_s = map(float, done.stdout.split())
    return 1000 * wall_s, 1000 * cpu_s


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    options = parser.parse_args()
    runs: dict[str, list[tuple[float, float]]] = {"smlmfmt": [], "numpy": []}
    with tempfile.TemporaryDirectory() as compiled:
        for module in runs:
            milliseconds(module, compiled=compiled)
        for _ in range(options.repeats):
            for module, found in runs.items():
                found.append(milliseconds(module, compiled=compiled))
    results = {
        module: {
            "best_ms": min(wall for wall, _ in found),
            "median_ms": statistics.median(wall for wall, _ in found),
            "cpu_ms": min(cpu for _, cpu in found),
        }
        for module, found in runs.items()
    }
    print(f"{'':10}{'best ms':>10}{'median ms':>11}{'cpu ms':>8}")
    for module, figures in results.items():
        print(
            f"{module:10}{figures['best_ms']:10.0f}{figures['median_ms']:11.0f}"
            f"{figures['cpu_ms']:8.0f}"
        )
    ratio = results["smlmfmt"]["best_ms"] / results["numpy"]["best_ms"]
    document = {"goal_ms": GOAL_MS, "ratio": ratio, "results": results}
    text = json.dumps(document, indent=1)
    if options.json:
        options.json.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
