"""Runs a fuzzer over one reader for a while, and says what it found."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.seeds import seeds

SECONDS_PER_INPUT_MAX = 30
MEMORY_MB_MAX = 2048
INPUT_SIZE_MAX = 64 << 10
SNIFF = "sniff"

_RUNS = re.compile(r"Done (\d+) runs|#(\d+)\s")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How often a reader was run, and the inputs it failed on, with the end of what it said."""

    runs: int
    findings: list[Path]
    report: str


def run(format_name: str, folder: Path, *, seconds: int, seed: int = 0) -> Outcome:
    """Fuzz one reader (or `sniff`) in a process of its own.

    Args:
        format_name: A format, or SNIFF.
        folder: Where inputs are kept: `corpus` what covers new ground, `findings` what failed.
        seconds: For how long.
        seed: Of the fuzzer's chance; 0 takes the clock.
    """
    corpus, found = folder / "corpus", folder / "findings"
    for path in (corpus, found):
        path.mkdir(parents=True, exist_ok=True)
    known = seeds()
    contents = (
        known[format_name] if format_name != SNIFF else [d for c in known.values() for d in c]
    )
    for number, data in enumerate(contents):
        (corpus / f"seed-{number}").write_bytes(data)
    command = [
        *(sys.executable, "-m", "tests.fuzz.target", format_name, str(corpus)),
        *(f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={INPUT_SIZE_MAX}"),
        *(f"-timeout={SECONDS_PER_INPUT_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}"),
        f"-artifact_prefix={found}/",
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    report = done.stderr + done.stdout
    counts = [int(one or other) for one, other in _RUNS.findall(report)]
    findings = sorted(found.iterdir())
    if done.returncode and not findings:
        raise RuntimeError(f"the fuzzer of {format_name} failed: {report[-2000:]}")
    return Outcome(runs=max(counts, default=0), findings=findings, report=report[-4000:])
