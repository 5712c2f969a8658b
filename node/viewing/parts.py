"""A file of which some parts are here: enough for a reader that asks for no others."""

from __future__ import annotations

import io
from collections.abc import Mapping

__all__ = ["Parts"]


class Parts(io.BytesIO):
    """Bytes at some places of a file; what lies between them reads as if the file ended there.

    Args:
        parts: By where they begin; they do not overlap.
        size: Of the whole file.
    """

    def __init__(self, parts: Mapping[int, bytes], *, size: int) -> None:
        super().__init__()
        self._parts = dict(sorted(parts.items()))
        self._size = size
        self._at = 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        base = {0: 0, 1: self._at, 2: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Say where it is."""
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the bytes of the part that lies here, as many as it has and are asked for."""
        for start, data in self._parts.items():
            within = self._at - start
            if 0 <= within < len(data):
                end = len(data) if size is None or size < 0 else within + size
                found = data[within:end]
                self._at += len(found)
                return found
        return b""
