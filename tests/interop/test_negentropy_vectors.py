"""Every message of recorded conversations of the reference implementation, byte for byte."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from protocol.reconcile import Initiator, ItemSet, respond

ROOT = Path(__file__).parents[2]
OWN = Path(__file__).with_name("vectors") / "negentropy.json"
SHARED = ROOT.parent / "shared" / "data" / "negentropy" / "vectors.json"

Case = dict[str, Any]  # As JSON has it.


def cases(path: Path) -> list[Any]:
    if not path.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"no {path.name} beside this tree"))]
    return [pytest.param(case, id=case["name"]) for case in json.loads(path.read_text())["cases"]]


def timestamp_at(rule: Case, index: int) -> int:
    match rule["kind"]:
        case "linear":
            return int(rule["start"] + index * rule["step"])
        case "modulo":
            return int(rule["start"] + index % rule["n"])
        case _:
            return int(rule["value"])


def item_set(side: Case, case: Case) -> ItemSet:
    start, end = (side[name] for name in (("start", "end") if "start" in side else ("from", "to")))
    rule: Case = side.get("timestamp") or case["timestamp"]
    without = set(side.get("without", []))
    if every := side.get("without_every"):
        without |= set(range(0, end, every))
    return ItemSet.from_items(
        (timestamp_at(rule, index), sha256(str(index).encode()).digest())
        for index in range(start, end)
        if index not in without
    )


def digest(ids: set[bytes]) -> str:
    return sha256("".join(sorted(item_id.hex() for item_id in ids)).encode()).hexdigest()


def matches(recorded: Case, message: bytes) -> bool:
    if "hex" in recorded:
        return bool(recorded["hex"] == message.hex())
    return bool(recorded["sha256"] == sha256(message).hexdigest())


def check_conversation(case: Case) -> None:
    here, there = item_set(case["client"], case), item_set(case["server"], case)
    initiator = Initiator(here, frame_limit=case["frame_limit_client"])
    recorded = iter(case["messages"])
    message: bytes | None = initiator.initiate()
    while message is not None:
        assert matches(next(recorded), message)
        answer = respond(there, message, frame_limit=case["frame_limit_server"])
        assert matches(next(recorded), answer)
        message = initiator.reconcile(answer)
    assert next(recorded, None) is None
    assert (len(initiator.have), digest(initiator.have)) == (
        case["have_count"],
        case["have_sha256"],
    )
    assert (len(initiator.need), digest(initiator.need)) == (
        case["need_count"],
        case["need_sha256"],
    )


@pytest.mark.parametrize("case", cases(OWN))
def test_conversation_is_that_of_the_reference(case: Case) -> None:
    check_conversation(case)


@pytest.mark.shared
@pytest.mark.parametrize("case", cases(SHARED))
def test_shared_conversation_is_that_of_the_reference(case: Case) -> None:
    check_conversation(case)


def run_harness(text: str, frame_limit: int = 0) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.interop.negentropy_harness"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "FRAMESIZELIMIT": str(frame_limit)},
    )
    return done.stdout.split()


def test_harness_answers_as_a_responder() -> None:
    assert run_harness("seal\nmsg,62aabb\nmsg,6100000200\n") == ["msg,61", "msg,6100000200"]
    item = "ee" * 32
    lines = run_harness(f"item,12345,{item}\nseal\nmsg,6100000200\n")
    assert lines == [f"msg,6100000201{item}"]


def test_harness_reports_findings_as_an_initiator() -> None:
    ours, theirs = "aa" * 32, "bb" * 32
    lines = run_harness(f"item,1,{ours}\nseal\ninitiate\nmsg,6100000201{theirs}\n")
    assert lines == [f"msg,6100000201{ours}", f"have,{ours}", f"need,{theirs}", "done"]


def test_harness_keeps_its_frame_limit() -> None:
    items = "".join(f"item,{i},{sha256(str(i).encode()).hexdigest()}\n" for i in range(1000))
    (line,) = run_harness(items + "seal\nmsg,6100000200\n", 4096)
    assert len(line) <= 2 * 4096 + len("msg,")
