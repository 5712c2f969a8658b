"""How long and how many bytes two sides need to find what they do not share.

    python -m tests.benchmarks.bench_reconcile
        [--items 1000000] [--repeat 3]
        [--peer NAME=COMMAND]       a program that speaks the harness language in both roles
        [--nostr-tools DIRECTORY]   where `npm install nostr-tools` was run; initiates only

Every row of a table is measured in the same run, on the same sets. "in process" is what a node
does: two of our sides handing bytes to one another, from `initiate` on. The other rows are two
processes each, talking hexadecimal lines over pipes, from the initiator's first message on; ours
is among them, so that the peers have company under their own conditions. Loading and sorting are
not in the seconds of the conversation; building our set is a row of its own.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protocol.reconcile import Initiator, ItemSet, respond

OURS = [sys.executable, "-m", "tests.interop.negentropy_harness"]
NOSTR_TOOLS = Path(__file__).with_name("nostr_tools_harness.mjs")
SCENARIOS = [("scattered", 100), ("newest", 100), ("scattered", 10_000)]

Arrays = tuple[NDArray[np.uint64], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One conversation."""

    scenario: str
    initiator: str
    responder: str
    seconds: float
    initiator_s: float
    responder_s: float
    rounds: int
    bytes_up: int
    bytes_down: int
    have: int
    need: int


def make_sets(kind: str, differences: int, items: int) -> tuple[Arrays, Arrays]:
    """Return both sides: `items` each, half of the differences only here, half only there."""
    rng = np.random.default_rng(differences)
    half = differences // 2
    total = items + half
    ids = rng.integers(0, 256, (total, 32), np.uint8)
    timestamps = rng.integers(1_500_000_000, 1_750_000_000, total).astype(np.uint64)
    if kind == "newest":
        timestamps[-2 * half :] = 1_760_000_000 + np.arange(2 * half)
    shared = items - half
    here = np.arange(items)
    there = np.concatenate((np.arange(shared), np.arange(items, total)))
    return (timestamps[here], ids[here]), (timestamps[there], ids[there])


class Side:
    """One process that speaks the harness language, its set loaded."""

    def __init__(self, command: list[str], items: bytes) -> None:
        """Start it; it may still be loading when this returns."""
        self.seconds = 0.0
        self.found = {"have": 0, "need": 0}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._send(items + b"seal")

    def _send(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def ask(self, line: bytes) -> bytes | None:
        """Return the answer in hexadecimal, None when done."""
        assert self._process.stdout is not None
        begun = time.perf_counter()
        self._send(line)
        for answer in self._process.stdout:
            name, _, rest = answer.strip().partition(b",")
            if name in {b"msg", b"done"}:
                self.seconds += time.perf_counter() - begun
                return rest if name == b"msg" else None
            self.found[name.decode()] += 1
        raise SystemExit(f"{self._process.args!r} ended in the middle")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def measure_pipes(
    scenario: str, sides: dict[str, list[str]], lines: tuple[bytes, bytes]
) -> Measurement:
    """Let two processes talk; `sides` are the initiator's and the responder's command by name."""
    (initiator_name, initiator_command), (responder_name, responder_command) = (
        list(sides.items()) * 2
    )[:2]
    initiator, responder = Side(initiator_command, lines[0]), Side(responder_command, lines[1])
    responder.ask(b"msg,62")  # Of another version: answered at once, when all is loaded.
    message = initiator.ask(b"initiate")
    responder.seconds = initiator.seconds = 0.0
    rounds = bytes_up = bytes_down = 0
    begun = time.perf_counter()
    while message is not None:
        answer = responder.ask(b"msg," + message)
        assert answer is not None
        rounds, bytes_up = rounds + 1, bytes_up + len(message) // 2
        bytes_down += len(answer) // 2
        message = initiator.ask(b"msg," + answer)
    seconds = time.perf_counter() - begun
    initiator.close()
    responder.close()
    return Measurement(
        scenario=scenario,
        initiator=initiator_name,
        responder=responder_name,
        seconds=seconds,
        initiator_s=initiator.seconds,
        responder_s=responder.seconds,
        rounds=rounds,
        bytes_up=bytes_up,
        bytes_down=bytes_down,
        **initiator.found,
    )


def measure_in_process(scenario: str, here: ItemSet, there: ItemSet) -> Measurement:
    """Hand the messages of two of our sides to one another."""
    initiator_s = responder_s = 0.0
    rounds = bytes_up = bytes_down = 0
    at = time.perf_counter()
    initiator = Initiator(here)
    message: bytes | None = initiator.initiate()
    while message is not None:
        asked = time.perf_counter()
        answer = respond(there, message, frame_limit=0)
        answered = time.perf_counter()
        rounds, bytes_up, bytes_down = (
            rounds + 1,
            bytes_up + len(message),
            bytes_down + len(answer),
        )
        message = initiator.reconcile(answer)
        initiator_s += asked - at
        responder_s += answered - asked
        at = answered
    initiator_s += time.perf_counter() - at
    return Measurement(
        scenario=scenario,
        initiator="locmesh in process",
        responder="locmesh in process",
        seconds=initiator_s + responder_s,
        initiator_s=initiator_s,
        responder_s=responder_s,
        rounds=rounds,
        bytes_up=bytes_up,
        bytes_down=bytes_down,
        have=len(initiator.have),
        need=len(initiator.need),
    )


def build(arrays: Arrays) -> tuple[ItemSet, float]:
    """Return the set, and how long sorting and summing took."""
    begun = time.perf_counter()
    return ItemSet.from_arrays(*arrays), time.perf_counter() - begun


def item_lines(arrays: Arrays) -> bytes:
    """Return a side's items in the harness language."""
    timestamps, ids = arrays
    digits = ids.tobytes().hex()
    return "".join(
        f"item,{timestamp},{digits[64 * index : 64 * index + 64]}\n"
        for index, timestamp in enumerate(timestamps.tolist())
    ).encode()


def run_scenario(options: argparse.Namespace, kind: str, differences: int) -> list[Measurement]:
    """Measure one pair of sets with everyone."""
    scenario = f"{differences:,} {kind}"
    arrays = make_sets(kind, differences, options.items)
    (here, seconds), (there, _) = build(arrays[0]), build(arrays[1])
    print(f"{scenario}: sets of {options.items:,} built in {seconds:.2f} s each")
    results = [
        min(
            (measure_in_process(scenario, here, there) for _ in range(options.repeat)),
            key=lambda result: result.seconds,
        )
    ]
    del here, there
    lines = item_lines(arrays[0]), item_lines(arrays[1])
    pairs = [{"locmesh": OURS}]
    for text in options.peer:
        name, _, command = text.partition("=")
        pairs += [{name: shlex.split(command)}]
        pairs += [{"locmesh": OURS, name: shlex.split(command)}]
        pairs += [{name: shlex.split(command), "locmesh": OURS}]
    if options.nostr_tools:
        command = ["node", str(NOSTR_TOOLS), options.nostr_tools]
        pairs += [{"nostr-tools": command, "locmesh": OURS}]
    results += [measure_pipes(scenario, pair, lines) for pair in pairs]
    return results


def main() -> None:
    """Print a table for each scenario, and all of it as one line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3, help="in process, of which the best")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--nostr-tools", metavar="DIRECTORY")
    options = parser.parse_args()
    everything: list[Measurement] = []
    for kind, differences in SCENARIOS:
        results = run_scenario(options, kind, differences)
        print(f"  {'initiator':20}{'responder':20}{'s':>8}{'up':>12}{'down':>12}{'rounds':>8}")
        for result in results:
            assert result.have == result.need == differences // 2
            print(
                f"  {result.initiator:20}{result.responder:20}{result.seconds:8.3f}"
                f"{result.bytes_up:12,}{result.bytes_down:12,}{result.rounds:8}"
            )
        everything += results
    print(
        json.dumps({"items": options.items, "measurements": [asdict(item) for item in everything]})
    )


if __name__ == "__main__":
    os.environ.pop("FRAMESIZELIMIT", None)
    main()
