"""Fuzz the readers, guided by what they cover: `python -m tests.fuzz [FORMAT ...] --seconds N`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from smlmfmt.known_formats import FORMATS
from tests.fuzz.campaign import SNIFF, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formats", nargs="*", default=[*FORMATS, SNIFF], metavar="FORMAT")
    parser.add_argument("--seconds", type=int, default=60, help="for each format")
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"), help="where inputs are kept")
    arguments = parser.parse_args()
    failed = 0
    for name in arguments.formats:
        outcome = run(name, arguments.folder / name, seconds=arguments.seconds)
        sys.stdout.write(f"{name}: {outcome.runs} runs, {len(outcome.findings)} findings\n")
        sys.stdout.flush()
        if outcome.findings:
            failed += 1
            sys.stdout.write(f"{outcome.report}\n" + "".join(f"  {f}\n" for f in outcome.findings))
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
