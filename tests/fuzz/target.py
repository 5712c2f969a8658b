"""The process that is fuzzed: `python -m tests.fuzz.target FORMAT [libFuzzer's options]`.

Anything but a result or a FormatError ends it, and so does an input that takes too much time or
memory; libFuzzer then keeps the input.
"""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Literal

import atheris

with atheris.instrument_imports(include=["smlmfmt"]):
    import smlmfmt

    smlmfmt.formats()  # Imports every reader.

PIXEL_SIZE_NM = 100.0
ON_ERROR: tuple[Literal["raise", "skip"], ...] = ("raise", "skip")


def _read(data: bytes, format_name: str) -> None:
    for on_error in ON_ERROR:
        with contextlib.suppress(smlmfmt.FormatError):
            smlmfmt.read(
                io.BytesIO(data),
                format=format_name,
                pixel_size_nm=PIXEL_SIZE_NM,
                on_error=on_error,
            )


def _sniff(data: bytes) -> None:
    smlmfmt.sniff(io.BytesIO(data))


def main() -> None:
    """Hand the process over to libFuzzer, which ends it."""
    format_name, options = sys.argv[1], sys.argv[2:]

    def run(data: bytes) -> None:
        if format_name == "sniff":
            _sniff(data)
        else:
            _read(data, format_name)

    atheris.Setup([sys.argv[0], *options], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
