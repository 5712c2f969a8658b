"""MINFLUX recordings as Imspector exports them, small: built from the description of the format."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

ITERATION = np.dtype([
    ("itr", "<i4"), ("tic", "<u8"), ("loc", "<f8", (3,)), ("lnc", "<f8", (3,)), ("eco", "<i4"),
    ("ecc", "<i4"), ("efo", "<f8"), ("efc", "<f8"), ("sta", "<i4"), ("cfr", "<f8"),
    ("dcr", "<f8"), ("ext", "<f8", (3,)), ("gvx", "<f8"), ("fbg", "<f8"),
])  # fmt: skip
OUTER = [("sqi", "<u4"), ("gri", "<u4"), ("tim", "<f8"), ("tid", "<i4"), ("vld", "?"),
         ("act", "?"), ("dos", "<i4"), ("sky", "<i4")]  # fmt: skip
# Imspector 24.10: one row per iteration.
FLAT = np.dtype([
    ("vld", "?"), ("fnl", "?"), ("bot", "?"), ("eot", "?"), ("sta", "u1"), ("tim", "<f8"),
    ("tid", "<u4"), ("gri", "<u4"), ("thi", "u1"), ("sqi", "u1"), ("itr", "<i4"),
    ("loc", "<f8", (3,)), ("lnc", "<f8", (3,)), ("eco", "<u4"), ("ecc", "<u4"), ("efo", "<f4"),
    ("efc", "<f4"), ("cfr", "<f2"), ("dcr", "<f2", (2,)), ("fbg", "<f4"),
])  # fmt: skip
NOT_MEASURED = -1 / 32768


def nested(count: int = 6, iterations: int = 4, *, seed: int = 1) -> npt.NDArray[Any]:
    """Return rows of before Imspector 24.10: row 1 not valid, row 2 lost in its last iteration."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, np.dtype([("itr", ITERATION, (iterations,)), *OUTER]))
    inner = rows["itr"]
    inner["itr"] = np.arange(iterations)
    inner["loc"] = rng.normal(0, 1e-6, (count, iterations, 3))
    inner["lnc"] = inner["loc"] - 1e-9
    inner["eco"] = rng.integers(50, 500, (count, iterations))
    inner["efo"] = rng.uniform(1e4, 1e5, (count, iterations))
    inner["cfr"] = NOT_MEASURED
    inner["cfr"][:, iterations // 2] = rng.uniform(0.1, 0.8, count)
    inner["ext"] = 2.88e-7
    # The first two iterations look at where the third begins; later rows of a trace have none.
    inner["loc"][1:, 0] = np.nan
    rows["tim"] = np.arange(count) / 8
    rows["tid"] = np.arange(count) // 2 + 7
    rows["vld"] = True
    rows["vld"][1:2] = False
    inner["loc"][2:3, -1] = np.nan
    return rows


def flat(traces: int = 3, iterations: int = 4, *, seed: int = 2) -> npt.NDArray[Any]:
    """Return rows of since Imspector 24.10: each trace found once, then its last step again."""
    rng = np.random.default_rng(seed)
    numbers = [*range(iterations), iterations - 2, iterations - 1]
    count = traces * len(numbers)
    rows = np.zeros(count, FLAT)
    rows["itr"] = numbers * traces
    rows["tid"] = np.repeat(np.arange(traces) + 5, len(numbers))
    rows["fnl"] = rows["itr"] == iterations - 1
    rows["vld"] = True
    rows["tim"] = np.arange(count) / 16
    rows["loc"] = rng.normal(0, 1e-6, (count, 3))
    rows["lnc"] = rows["loc"]
    rows["eco"] = rng.integers(50, 500, count)
    rows["cfr"] = np.where(rows["itr"] == iterations - 2, rng.uniform(0.1, 0.8, count), -1)
    rows["dcr"][:, 0] = rng.uniform(0, 1, count)
    rows["dcr"][:, 1] = 1 - rows["dcr"][:, 0]
    rows["vld"][len(numbers) - 1 : len(numbers)] = False
    return rows


def npy(array: npt.NDArray[Any], *, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=True)
    return file.getvalue()


def zipped(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def as_json(rows: npt.NDArray[Any]) -> bytes:
    """Return rows as a list of objects, NaN as Python and Imspector write it."""
    return json.dumps([_plain(row) for row in rows]).encode()


def mat_variables(rows: npt.NDArray[Any]) -> dict[str, Any]:
    """Return rows as the variables of a .mat file: (1, n) each, iterations in a struct."""
    found: dict[str, Any] = {}
    for name in rows.dtype.names or ():
        values = rows[name]
        if values.dtype.names:
            found[name] = {inner: values[inner] for inner in values.dtype.names}
        else:
            found[name] = values[None, :] if values.ndim == 1 else values
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.void):
        return {name: _plain(value[name]) for name in value.dtype.names or ()}
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    return value.item()
