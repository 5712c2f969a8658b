"""Who reads whose file: written and read again by every program there is, and compared.

    python -m tests.interop.reader_matrix [--python PYTHON ...] [--print]

writes the table between the marks `reader-matrix` in docs/formats.md. Peers are looked for in this
Python and in those named: `pip install 'locmesh[benchmark]'` brings Locan and shareloc-utils,
Picasso (`picassosr`) and napari-storm are heavy and better live in environments of their own. What
is not installed is "not run", never guessed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import smlmfmt
from smlmfmt.errors import FormatError
from tests.interop.peers import DISTRIBUTIONS, PIXEL_SIZE_NM, READERS
from tests.smlmfmt.from_registry import DOC, with_block
from tests.smlmfmt.test_shared_files import SHARED, TRUTH

__all__ = ["Case", "compare", "table"]

PEERS = Path(__file__).with_name("peers.py")
ROWS = 200
TOLERANCE_NM = 0.01
# Formats whose files count frames from 0, and readers that hand on what the file says.
FROM_ZERO = frozenset(("picasso", "decode"))
AS_IN_FILE = frozenset(("Locan", "shareloc-utils", "napari-storm"))
# What each peer writes, by our name of the format, and under which suffix.
PEER_FILES = (
    ("Locan", "smlm", ".smlm"),
    ("Locan", "thunderstorm", ".csv"),
    ("Locan", "smap-csv", ".csv"),
    ("Locan", "locan", ".asdf"),
    ("shareloc-utils", "thunderstorm", ".csv"),
    ("Picasso", "picasso", ".hdf5"),
    ("Picasso", "thunderstorm", ".csv"),
    ("Picasso", "smap", ".mat"),
)

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One file: who wrote it, what it is, and what is in it.

    Attributes:
        truth: Columns in nm, frames from 1; None if the writer failed, for the reason in `failed`.
        is_from_zero: Whether the file itself counts frames from 0.
    """

    writer: str
    kind: str
    path: Path
    truth: Columns | None
    is_from_zero: bool = False
    failed: str = ""


class Programs:
    """The programs there are, each with the Python that has it."""

    def __init__(self, pythons: Sequence[str]) -> None:
        self.versions: dict[str, str] = {}
        self._python: dict[str, str] = {}
        for python in (sys.executable, *pythons):
            for program, version in _answer([python, str(PEERS), "versions"]).items():
                if self._python.setdefault(program, python) == python:
                    self.versions[program] = version

    def run(self, command: str, program: str, *args: str | Path) -> dict[str, str]:
        """Run one reader or writer; `{"state": "not run"}` if the program is not there."""
        if program not in self._python:
            return {"state": "not run"}
        return _answer([self._python[program], str(PEERS), command, program, *map(str, args)])


def _answer(command: Sequence[str]) -> dict[str, str]:
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=120, encoding="utf-8"
        )
        answer: dict[str, str] = json.loads(done.stdout.strip().rpartition("\n")[2])
    except subprocess.TimeoutExpired:
        return {"state": "refused", "error": "no answer in 120 s"}
    except json.JSONDecodeError:
        return {"state": "refused", "error": "a crash"}
    return answer


def source() -> Columns:
    """Return what is written: 3D, frames from 3, numbers with as many decimals as vendors write."""
    random = np.random.default_rng(7)
    return {
        "frame": np.sort(random.integers(3, 900, ROWS)).astype(np.float64),
        "x": np.round(random.uniform(500, 24_000, ROWS), 3),
        "y": np.round(random.uniform(500, 18_000, ROWS), 3),
        "z": np.round(random.uniform(-400, 400, ROWS), 3),
        "sigma_x": np.round(random.uniform(110, 180, ROWS), 3),
        "sigma_y": np.round(random.uniform(110, 180, ROWS), 3),
        "intensity": np.round(random.gamma(4, 300, ROWS), 3),
        "background": np.round(random.uniform(5, 60, ROWS), 3),
        "uncertainty_xy": np.round(random.uniform(4, 25, ROWS), 3),
    }


def written(programs: Programs, folder: Path) -> Iterator[Case]:
    """Write the same table in every format of every program."""
    columns = source()
    np.savez(folder / "source.npz", **columns)  # type: ignore[arg-type]  # As in peers.py.
    ours = [("Locmesh", item.name, item.suffixes[0]) for item in smlmfmt.formats() if item.writes]
    for number, (writer, kind, suffix) in enumerate([*ours, *PEER_FILES]):
        path = folder / f"{number:02d}-{kind}{suffix}"
        answer = programs.run("write", writer, kind, folder / "source.npz", path)
        if answer["state"] == "written":
            is_from_zero = kind in FROM_ZERO
            yield Case(
                writer=writer, kind=kind, path=path, truth=columns, is_from_zero=is_from_zero
            )
        else:
            failed = answer.get("error", answer["state"])
            yield Case(writer=writer, kind=kind, path=path, truth=None, failed=failed)


def samples() -> Iterator[Case]:
    """Yield real files, where they are; tests/smlmfmt holds our reading of them against peers."""
    for name in sorted(TRUTH):
        path = SHARED / name
        if not path.is_file() or (kind := smlmfmt.sniff(path)) is None:
            continue
        try:
            table = smlmfmt.read(path).tables[0]
        except FormatError:
            continue
        truth = {column: table[column].astype(np.float64) for column in table}
        is_from_zero = table.frame_origin == 0 and "frame" in truth
        if is_from_zero:
            truth["frame"] = truth["frame"] + 1
        yield Case(writer="sample", kind=kind, path=path, truth=truth, is_from_zero=is_from_zero)


def compare(truth: Columns, found: Columns, *, is_as_in_file: bool = False) -> str:
    """Return "ok", or in few words what is wrong with what was read.

    Args:
        truth: x, y, perhaps z in nm, frame from 1, perhaps intensity.
        found: The same as a program read it.
        is_as_in_file: Frames are as the file counts them, from 0.
    """
    if not {"x", "y"} <= found.keys():
        return "names no x and y"
    if len(found["x"]) != len(truth["x"]):
        return f"wrong: {len(found['x'])} rows of {len(truth['x'])}"
    faults = []
    positions = [axis for axis in ("x", "y", "z") if axis in truth and np.ptp(truth[axis]) > 0]
    if lost := [axis for axis in positions if axis not in found]:
        faults.append(f"{', '.join(lost)} lost")
    faults += _position_faults(truth, found, [axis for axis in positions if axis in found])
    if "frame" in truth:
        faults += _frame_faults(truth["frame"] - is_as_in_file, found.get("frame"))
    if "intensity" in truth and "intensity" in found:
        off = np.nanmax(
            np.abs(truth["intensity"] - found["intensity"].astype(np.float64)), initial=0
        )
        relative = off / max(1.0, float(np.nanmax(np.abs(truth["intensity"]), initial=1)))
        if relative > 1e-6 and off > TOLERANCE_NM:
            faults.append("photons cut to whole" if off < 1 else "photons differ")
    return "wrong: " + ", ".join(faults) if faults else "ok"


def _equal(truth: npt.NDArray[Any], found: npt.NDArray[Any]) -> bool:
    gap = np.abs(truth.astype(np.float64) - found.astype(np.float64))
    return bool(np.nanmax(gap, initial=0) <= TOLERANCE_NM)


def _position_faults(truth: Columns, found: Columns, axes: Sequence[str]) -> list[str]:
    swapped = {"x": "y", "y": "x"}
    faults, others = [], []
    for axis in axes:
        if not _equal(truth[axis], found[axis]):
            faults.append(_position_fault(axis, truth[axis], found[axis]))
            other = swapped.get(axis, axis)
            if not _equal(truth[other], found[axis]):
                others.append(_position_fault(axis, truth[other], found[axis]))
    if faults and not any("differs" in fault for fault in others):
        # As they should be but for the names, as in programs that count rows as x.
        lateral = [fault for fault in faults if fault[0] in swapped and "differs" in fault]
        return ["x and y swapped", *others] if lateral else faults
    return faults


def _position_fault(axis: str, truth: npt.NDArray[Any], found: npt.NDArray[Any]) -> str:
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = found.astype(np.float64) / truth
    factor = float(np.nanmedian(factors))
    is_scaled = np.nanmax(np.abs(factors / factor - 1), initial=0) < 1e-3
    if not is_scaled or abs(factor - 1) < 0.01:
        return f"{axis} differs"
    return f"{axis} in pixels" if abs(factor * PIXEL_SIZE_NM - 1) < 1e-3 else f"{axis} x {factor:g}"


def _frame_faults(truth: npt.NDArray[Any], found: npt.NDArray[Any] | None) -> list[str]:
    if found is None:
        return ["frame lost"]
    shift = np.unique(found.astype(np.float64) - truth)
    if shift.size == 1 and shift[0] == 0:
        return []
    if shift.size == 1:
        return [f"frames {shift[0]:+g}"]
    return ["frames cut to whole" if np.abs(shift).max() < 1 else "frames differ"]


def _photon_faults(truth: npt.NDArray[Any], found: npt.NDArray[Any]) -> list[str]:
    off = float(np.nanmax(np.abs(truth - found.astype(np.float64)), initial=0))
    # float32 is enough for photons.
    if off <= max(TOLERANCE_NM, 1e-6 * float(np.nanmax(np.abs(truth), initial=0))):
        return []
    return ["photons cut to whole" if off < 1 else "photons differ"]


def outcome(programs: Programs, case: Case, reader: str, folder: Path) -> str:
    """Return what becomes of a file in a program."""
    target = folder / "found.npz"
    answer = programs.run("read", reader, case.kind, case.path, target)
    if answer["state"] == "none":
        return "\u2013"
    if answer["state"] == "refused":
        return f"refuses: {answer['error']}"
    if answer["state"] != "read" or case.truth is None:
        return "not run"
    with np.load(target) as found:
        is_as_in_file = reader in AS_IN_FILE and case.is_from_zero
        return compare(case.truth, dict(found), is_as_in_file=is_as_in_file)


def table(programs: Programs) -> str:
    """Return the block for docs/formats.md: versions, date and the table."""
    known = ", ".join(
        f"{program} {programs.versions.get(program, '(not run)')}" for program in DISTRIBUTIONS
    )
    lines = [
        f"Run {datetime.now(UTC):%Y-%m-%d} with {known}.",
        "",
        "| file | written by | " + " | ".join(READERS) + " |",
        "|---|---|" + "---|" * len(READERS),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in [*written(programs, folder), *samples()]:
            if case.truth is None:
                cells = [f"not written: {case.failed}", *[""] * (len(READERS) - 1)]
            else:
                cells = [outcome(programs, case, reader, folder) for reader in READERS]
            label = case.path.name if case.writer == "sample" else case.kind
            by = "(sample)" if case.writer == "sample" else case.writer
            lines.append(f"| `{label}` | {by} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", action="append", default=[], help="a Python that has a peer")
    parser.add_argument("--print", action="store_true", help="print the block instead")
    args = parser.parse_args()
    block = table(Programs(args.python))
    if args.print:
        sys.stdout.write(block + "\n")
        return
    DOC.write_text(
        with_block(DOC.read_text(encoding="utf-8"), "reader-matrix", block), encoding="utf-8"
    )


if __name__ == "__main__":
    _main()
