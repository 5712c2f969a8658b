"""The files a MINFLUX recording comes in, turned into its fields."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from smlmfmt import matlab, npy
from smlmfmt.errors import ArchiveError, HeaderError, RowError, SizeLimitError
from smlmfmt.minflux.recording import Recording
from smlmfmt.smlm.archive import Archive, Entry

__all__ = ["fields_of_mat", "from_json", "from_mat", "from_npy", "from_zip", "only_npy"]

JSON_SIZE_MAX = 1 << 29
JSON_FIELD_COUNT_MAX = 256
BATCH_ROWS = 4096

_WHITESPACE = " \t\r\n"

Array = npt.NDArray[Any]


def from_npy(data: bytes, *, name: str) -> Recording:
    """Return the recording of a .npy file: a structured array, its iterations nested or not.

    Raises:
        FormatError: As `npy.parse_npy`, or the array is no recording.
    """
    array = npy.parse_npy(data, name=name)
    if array.ndim != 1 or array.dtype.names is None:
        raise HeaderError(f"{name}: the array must be a list of records with named fields")
    fields = {key: array[key] for key in array.dtype.names}
    names = fields["itr"].dtype.names if "itr" in fields else None
    if names is None:
        return _recording(fields, {}, name)
    inner = fields.pop("itr")
    if inner.ndim == 1:
        inner = inner[:, None]
    return _recording(fields, {key: inner[key] for key in names}, name)


def only_npy(archive: Archive) -> Entry | None:
    """Return an archive's one .npy member; None if there is none, or more."""
    members = [
        entry
        for entry in archive.entries.values()
        if entry.name.endswith(".npy") and not entry.name.startswith("__MACOSX/")
    ]
    return members[0] if len(members) == 1 else None


def from_zip(file: BinaryIO, *, name: str) -> Recording:
    """Return the recording of a ZIP archive with one .npy file in it.

    Raises:
        FormatError: As `from_npy`, or the archive is damaged or has no or several .npy files.
    """
    archive = Archive(file, name=name)
    entry = only_npy(archive)
    if entry is None:
        raise HeaderError(f"{name}: the archive must hold exactly one .npy file")
    return from_npy(archive.read(entry, size_max=entry.size), name=f"{name}: {entry.name}")


def from_mat(file: BinaryIO, *, name: str) -> Recording:
    """Return the recording of a .mat file as Imspector exports it: a variable for each field.

    Raises:
        FormatError: As `matlab.read_mat`, or the variables are no recording.
    """
    variables = matlab.read_mat(file, name=name)
    inner = variables.pop("itr", None)
    if isinstance(inner, dict):
        iterations = fields_of_mat(inner)
        shape = iterations["itr"].shape if "itr" in iterations else ()
        if len(shape) != 2:
            raise HeaderError(f"{name}: itr.itr must have a row for each position")
        return _recording(_by_row(fields_of_mat(variables), shape[0]), iterations, name)
    fields = fields_of_mat({"itr": inner} | variables)
    count = fields["loc"].shape[0] if "loc" in fields else 0
    return _recording(_by_row(fields, count), {}, name)


def fields_of_mat(variables: Mapping[str, matlab.MatValue]) -> dict[str, Array]:
    """Return those of some variables that are arrays of numbers."""
    return {key: value for key, value in variables.items() if isinstance(value, np.ndarray)}


def from_json(file: BinaryIO, *, name: str) -> Recording:
    """Return the recording of a .json file: a list of objects, one for each row.

    The objects are parsed and turned into arrays a few thousand at a time, so that the memory
    needed is a small multiple of the file.

    Raises:
        HeaderError: It is no such list.
        RowError: An object has other fields or shapes than those before it.
        SizeLimitError: The file is larger than JSON_SIZE_MAX.
    """
    size = file.seek(0, 2)
    if size > JSON_SIZE_MAX:
        raise SizeLimitError(
            f"{name}: {size} B of JSON, at most {JSON_SIZE_MAX} B; export it as .npy or .mat"
        )
    file.seek(0)
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HeaderError(f"{name}: the JSON is not UTF-8: {error}") from error
    rows: dict[str, list[Array]] = {}
    iterations: dict[str, list[Array]] = {}
    for start, batch in _batches(text, name):
        _add_batch(batch, rows, iterations, where=f"{name}: objects from number {start}")
    return _recording(_joined(rows, name), _joined(iterations, name), name)


def _recording(rows: Mapping[str, Array], iterations: Mapping[str, Array], name: str) -> Recording:
    if not {"loc", "itr"} <= (iterations or rows).keys():
        raise HeaderError(
            f"{name}: a MINFLUX recording has fields itr and loc; there are"
            f" {', '.join((*rows, *iterations)) or 'none'}"
        )
    return Recording(rows=_numeric(rows), iterations=_numeric(iterations))


def _numeric(fields: Mapping[str, Array]) -> dict[str, Array]:
    return {key: values for key, values in fields.items() if values.dtype.kind in "biuf"}


def _by_row(fields: Mapping[str, Array], count: int) -> dict[str, Array]:
    """Bring MATLAB's (1, n) and (n, 1) to (n,); leave out what has no value for each row."""
    found = {}
    for key, values in fields.items():
        if values.size == count and 1 in values.shape[:2]:
            found[key] = values.reshape(-1, order="F")
        elif values.shape[0] == count:
            found[key] = values
    return found


def _batches(text: str, name: str) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield a list's objects, a few thousand at a time, with the number of the first."""
    decoder = json.JSONDecoder()
    at = _after_blanks(text, 0)
    if text[at : at + 1] != "[":
        raise HeaderError(f"{name}: the JSON must be a list of objects")
    at = _after_blanks(text, at + 1)
    start, batch = 0, []
    is_first = True
    while text[at : at + 1] != "]":
        if not is_first:
            if text[at : at + 1] != ",":
                raise ArchiveError(f"{name}: the JSON is damaged or cut short at character {at}")
            at = _after_blanks(text, at + 1)
        is_first = False
        try:
            item, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise ArchiveError(f"{name}: the JSON is damaged or cut short: {error}") from error
        if not isinstance(item, dict):
            raise HeaderError(f"{name}: the JSON must be a list of objects")
        batch.append(item)
        at = _after_blanks(text, at)
        if len(batch) == BATCH_ROWS:
            yield start, batch
            start, batch = start + len(batch), []
    if batch or not start:
        yield start, batch


def _after_blanks(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _WHITESPACE:
        at += 1
    return at


def _add_batch(
    batch: Sequence[Mapping[str, Any]],
    rows: dict[str, list[Array]],
    iterations: dict[str, list[Array]],
    *,
    where: str,
) -> None:
    if not batch:
        return
    is_nested = isinstance(batch[0].get("itr"), list)
    outer = [key for key in batch[0] if not (is_nested and key == "itr")]
    for key, values in _arrays(batch, outer, where):
        rows.setdefault(key, []).append(values)
    if not is_nested:
        return
    inner = [item.get("itr") or [] for item in batch]
    if not all(isinstance(steps, list) and len(steps) == len(inner[0]) for steps in inner):
        raise RowError(f"{where}: not equally many iterations in each")
    flat = [step for steps in inner for step in steps]
    if not flat or not all(isinstance(step, dict) for step in flat):
        raise RowError(f"{where}: itr must be a list of objects")
    for key, values in _arrays(flat, list(flat[0]), where):
        shaped = values.reshape(len(batch), -1, *values.shape[1:])
        iterations.setdefault(key, []).append(shaped)


def _arrays(
    batch: Sequence[Mapping[str, Any]], keys: Sequence[str], where: str
) -> Iterator[tuple[str, Array]]:
    if len(keys) > JSON_FIELD_COUNT_MAX:
        raise SizeLimitError(f"{where}: more than {JSON_FIELD_COUNT_MAX} fields")
    if any(len(item) != len(batch[0]) for item in batch):
        raise RowError(f"{where}: not the same fields in each")
    for key in keys:
        try:
            values = np.array([item[key] for item in batch])
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise RowError(f"{where}: {key!r} is not the same kind of number in all") from error
        if values.dtype.kind in "biuf":
            yield key, values


def _joined(parts: Mapping[str, Sequence[Array]], name: str) -> dict[str, Array]:
    try:
        return {key: np.concatenate(arrays) for key, arrays in parts.items()}
    except ValueError as error:
        raise RowError(f"{name}: objects have fields of different shapes: {error}") from error
