"""Small .smlm archives, well-formed but for what a test changes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import smlmfmt
from smlmfmt import Bundle, LocTable

HEADERS = ("frame", "x", "y")
ROWS = np.array([[1, 10.5, 20.25], [2, 30.5, 40.75], [3, -50.5, 0]], "<f4")


def layout(**changes: Any) -> dict[str, Any]:
    """A binary table's format object; a value of None takes a key away."""
    count = len(changes.get("headers") or HEADERS)
    return _changed(
        {
            "name": "table",
            "type": "table",
            "mode": "binary",
            "extension": ".bin",
            "columns": count,
            "headers": list(HEADERS),
            "dtype": ["float32"] * count,
            "shape": [1] * count,
            "units": ["", "nm", "nm"] + [""] * (count - 3),
        },
        changes,
    )


def entry(**changes: Any) -> dict[str, Any]:
    """A table's file entry."""
    return _changed(
        {
            "name": "a.bin",
            "type": "table",
            "format": "table",
            "channel": "default",
            "rows": 3,
            "offset": {"x": 0, "y": 0},
        },
        changes,
    )


def manifest(
    formats: Mapping[str, Any] | None = None,
    files: Sequence[Mapping[str, Any]] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    return _changed(
        {
            "format_version": "0.2",
            "formats": {"table": layout()} if formats is None else dict(formats),
            "files": [entry()] if files is None else list(files),
            "name": "test",
        },
        changes,
    )


def pack(
    about: Mapping[str, Any] | bytes | None = None,
    members: Mapping[str, bytes] | None = None,
    *,
    compression: int = zipfile.ZIP_DEFLATED,
    name: str = "manifest.json",
) -> bytes:
    """The archive's bytes; members in the given order, the manifest last as the app has it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for member, data in ({"a.bin": ROWS.tobytes()} if members is None else members).items():
            archive.writestr(member, data)
        if not isinstance(about, bytes):
            about = json.dumps(manifest() if about is None else about).encode()
        archive.writestr(name, about)
    return file.getvalue()


def read(data: bytes, **options: Any) -> Bundle:
    return smlmfmt.read(io.BytesIO(data), format="smlm", **options)


def table(data: bytes, **options: Any) -> LocTable:
    return read(data, **options).tables[0]


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _changed(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in (base | dict(changes)).items() if value is not None}
