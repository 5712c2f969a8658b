"""Files to be read from their start, and files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import io
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["opened", "replaced"]


@contextlib.contextmanager
def opened(source: str | Path | BinaryIO) -> Iterator[tuple[BinaryIO, str]]:
    """Give a seekable file and its name for messages; close only what was opened here."""
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            yield file, Path(source).name
        return
    name = getattr(source, "name", "")
    label = Path(name).name if isinstance(name, str) and name else "file"
    if source.seekable() and source.tell() == 0:
        yield source, label
    else:
        yield io.BytesIO(source.read()), label


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write, which takes the name once all is well, and is gone otherwise.

    Raises:
        OSError: It cannot be written; it names the path.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("x+b") as file:
            yield file
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(path)  # A write that fails does not say where.
        raise
