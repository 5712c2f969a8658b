"""Our side of the reference project's conformance harness: lines on stdin, lines on stdout.

In: `item,<timestamp>,<hex id>` ..., `seal`, then `initiate` or `msg,<hex>` ...
Out: `have,<hex id>` and `need,<hex id>` (the initiator's findings, each once), then `msg,<hex>` or
`done`. FRAMESIZELIMIT in the environment limits our messages. Any program that speaks these lines
can be run against ours: python -m tests.interop.negentropy_harness.
"""

import os
import sys
from array import array
from typing import BinaryIO

import numpy as np

from protocol.errors import ProtocolError
from protocol.reconcile import Initiator, ItemSet, respond


class Harness:
    """One side of one conversation."""

    def __init__(self, *, frame_limit: int) -> None:
        self._frame_limit = frame_limit
        self._timestamps = array("Q")
        self._ids = bytearray()
        self._items = ItemSet.from_items([])
        self._initiator: Initiator | None = None

    def answer(self, line: bytes) -> bytes:
        """Return what to print after this line; often nothing."""
        command, _, rest = line.partition(b",")
        if command == b"item":
            timestamp, _, item_id = rest.partition(b",")
            self._timestamps.append(int(timestamp))
            self._ids += bytes.fromhex(item_id.decode())
            return b""
        if command == b"seal":
            timestamps = np.array(self._timestamps, np.uint64)
            ids = np.frombuffer(bytes(self._ids), np.uint8).reshape(-1, 32)
            self._items = ItemSet.from_arrays(timestamps, ids)
            return b""
        if command == b"initiate":
            self._initiator = Initiator(self._items, frame_limit=self._frame_limit)
            return _message(self._initiator.initiate())
        if command == b"msg":
            return self._answer_message(bytes.fromhex(rest.decode()))
        raise SystemExit(f"unknown command {command!r}")

    def _answer_message(self, message: bytes) -> bytes:
        initiator = self._initiator
        if initiator is None:
            return _message(respond(self._items, message, frame_limit=self._frame_limit))
        had, needed = set(initiator.have), set(initiator.need)
        question = initiator.reconcile(message)
        lines = [b"have,%s\n" % found.hex().encode() for found in initiator.have - had]
        lines += [b"need,%s\n" % found.hex().encode() for found in initiator.need - needed]
        lines.append(b"done\n" if question is None else _message(question))
        return b"".join(lines)


def _message(message: bytes) -> bytes:
    return b"msg,%s\n" % message.hex().encode()


def main(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answer line by line until the input ends."""
    harness = Harness(frame_limit=int(os.environ.get("FRAMESIZELIMIT", "0")))
    for line in iter(stdin.readline, b""):
        if not line.strip():
            continue
        try:
            output = harness.answer(line.strip())
        except ProtocolError as error:
            raise SystemExit(f"{type(error).__name__}: {error}") from error
        if output:
            stdout.write(output)
            stdout.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
