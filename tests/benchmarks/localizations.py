"""The table that the format benchmarks read and write, of any length, and files of it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

COLUMNS = [
    "frame",
    "x",
    "y",
    "sigma",
    "intensity",
    "background",
    "background_std",
    "chi2",
    "uncertainty_xy",
]
# As ThunderSTORM heads them.
HEADERS = [
    "frame",
    "x [nm]",
    "y [nm]",
    "sigma [nm]",
    "intensity [photon]",
    "offset [photon]",
    "bkgstd [photon]",
    "chi2",
    "uncertainty_xy [nm]",
]
CLUSTER_SIZE = 200
CHUNK_ROWS = 1_000_000
FRAMES_PER_CHUNK = 2_000
DECIMALS = 5

Columns = dict[str, npt.NDArray[np.float32]]


def chunks(rows: int) -> Iterator[Columns]:
    """Clusters of localizations, continuous values, frames in order; the same at every call."""
    for index, start in enumerate(range(0, rows, CHUNK_ROWS)):
        count = min(CHUNK_ROWS, rows - start)
        rng = np.random.default_rng([1, index])
        found = {name: rng.gamma(2, 50, count) for name in COLUMNS}
        for name in ("x", "y"):
            centres = rng.uniform(0, 40_000, count // CLUSTER_SIZE + 1)
            found[name] = np.repeat(centres, CLUSTER_SIZE)[:count] + rng.normal(0, 15, count)
        frames = np.sort(rng.integers(1, FRAMES_PER_CHUNK + 1, count))
        found["frame"] = (frames + index * FRAMES_PER_CHUNK).astype(np.float64)
        yield {name: values.astype(np.float32) for name, values in found.items()}


def columns(rows: int) -> Columns:
    """Return the whole table."""
    found = {name: np.empty(rows, np.float32) for name in COLUMNS}
    at = 0
    for chunk in chunks(rows):
        for name, values in chunk.items():
            found[name][at : at + len(values)] = values
        at += len(chunk["x"])
    return found


def write_csv(path: Path, rows: int) -> None:
    """Write the table as ThunderSTORM does, with up to five decimals."""
    import pyarrow as pa  # noqa: PLC0415 - only who makes the file needs it.
    from pyarrow import csv  # noqa: PLC0415 - as above.

    plain = csv.WriteOptions(include_header=False)
    with path.open("wb") as file:
        file.write((",".join(f'"{name}"' for name in HEADERS) + "\n").encode())
        for chunk in chunks(rows):
            rounded = {
                name: np.round(values.astype(np.float64), DECIMALS)
                for name, values in chunk.items()
            }
            csv.write_csv(pa.table(rounded), file, plain)


def write_foreign(path: Path, parts: Iterator[Columns], rows: int) -> None:
    """Write a table as the ShareLoc app lays it out, deflated by zlib, without any index."""
    count = len(COLUMNS)
    layout = {
        "name": "t", "type": "table", "mode": "binary", "extension": ".bin", "columns": count,
        "headers": COLUMNS, "dtype": ["float32"] * count, "shape": [1] * count,
        "units": [""] * count,
    }  # fmt: skip
    entry = {
        "name": "t.bin", "type": "table", "format": "t", "channel": "default", "rows": rows,
        "offset": {"x": 0, "y": 0}, "metadata": {}, "exposure": -1,
    }  # fmt: skip
    about = {"format_version": "0.2", "formats": {"t": layout}, "files": [entry], "name": "t"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        with archive.open("t.bin", "w", force_zip64=rows * 4 * count >= 1 << 31) as member:
            for part in parts:
                matrix = np.stack([part[name] for name in COLUMNS], axis=1)
                member.write(matrix.tobytes())
        archive.writestr("manifest.json", json.dumps(about))
