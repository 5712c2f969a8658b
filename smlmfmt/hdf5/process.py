"""What an HDF5 file holds, found out in a process that may crash or hang without harm."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from smlmfmt.errors import ArchiveError, SizeLimitError

__all__ = ["description_of"]

BLOCK_SIZE = 64 << 10
SERVED_SIZE_MAX = 1 << 30
ANSWER_SIZE_MAX = 128 << 20
SECONDS_MAX = 30

_SCRIPT = Path(__file__).with_name("describe.py")


def description_of(file: BinaryIO) -> dict[str, Any]:
    """Return what `smlmfmt.hdf5.describe` says of a file. Errors do not name the file.

    Args:
        file: Seekable; the process sees the bytes it asks for and nothing else.

    Raises:
        ArchiveError: It is no HDF5 file, or damaged so that libhdf5 fails or does not come to an
            end.
        SizeLimitError: Its structure alone is larger than a reader grants.
    """
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and script.
        [sys.executable, "-P", str(_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    is_late = threading.Event()

    def stop() -> None:
        is_late.set()
        process.kill()

    clock = threading.Timer(SECONDS_MAX, stop)
    clock.daemon = True
    clock.start()
    try:
        answer = _served(process, file)
    finally:
        clock.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            _close(pipe)
    if answer is None:
        how = f"takes more than {SECONDS_MAX} s" if is_late.is_set() else "makes the library fail"
        raise ArchiveError(f"reading its HDF5 structure {how}; the file is damaged")
    return _checked(answer)


def _environment() -> dict[str, str]:
    """Return the environment of the process: our modules, one thread, and no plug-in filters."""
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "HDF5_PLUGIN_PRELOAD": "::",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def _served(process: subprocess.Popen[bytes], file: BinaryIO) -> bytes | None:
    """Hand out blocks until the answer comes; None if the process ends without one."""
    blocks, requests = process.stdin, process.stdout
    assert blocks is not None
    assert requests is not None
    size = file.seek(0, os.SEEK_END)
    served = 0
    try:
        blocks.write(struct.pack("<QQ", size, BLOCK_SIZE))
        blocks.flush()
        while len(request := requests.read(8)) == 8:
            (index,) = struct.unpack("<q", request)
            if index < 0:
                return _answer(requests)
            served += BLOCK_SIZE
            if served > SERVED_SIZE_MAX:
                raise SizeLimitError(
                    f"more than {SERVED_SIZE_MAX} B of its structure would have to be read"
                )
            file.seek(index * BLOCK_SIZE)
            blocks.write(file.read(BLOCK_SIZE))
            blocks.flush()
    except (BrokenPipeError, ConnectionResetError):
        pass
    return None


def _answer(requests: Any) -> bytes | None:
    header = requests.read(8)
    size = int.from_bytes(header, "little")
    if size > ANSWER_SIZE_MAX:
        raise SizeLimitError(f"its structure takes {size} B, {ANSWER_SIZE_MAX} B allowed")
    body: bytes = requests.read(size)
    return body if len(header) == 8 and len(body) == size else None


def _checked(answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise ArchiveError("its HDF5 structure cannot be told; it is damaged") from error
    if not isinstance(found, dict) or not isinstance(found.get("objects"), dict):
        problem = found.get("problem") if isinstance(found, dict) else None
        raise ArchiveError(f"not a readable HDF5 file: {problem or 'no objects'}")
    return found


def _close(pipe: Any) -> None:
    with contextlib.suppress(OSError):  # What was still to be written has nobody to read it.
        pipe.close()
