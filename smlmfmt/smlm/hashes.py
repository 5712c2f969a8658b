"""The md5 sums a manifest states, beside those of the data: a fact about a file, not a verdict.

Source: the ShareLoc app's calculate_hash and update_hash. It copies the manifest's own hash before
the last update, so that of a file with several members is stale as a rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smlmfmt.smlm.file import SmlmFile, StoredTable
from smlmfmt.smlm.images import IMAGE_SIZE_MAX, find
from smlmfmt.smlm.spec import TableSpec

__all__ = ["HASHED_COLUMNS", "StatedHash", "stated_hashes", "table_hash"]

HASHED_COLUMNS = ("frame", "x", "y")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedHash:
    """A hash in a manifest.

    Attributes:
        name: The member it is of; "manifest.json" for the manifest's own, which is the md5 of the
            members' hashes behind one another.
        stated: What the manifest says, "" if nothing.
        agrees: Whether it is the md5 of what the file holds.
    """

    name: str
    stated: str
    agrees: bool


def stated_hashes(opened: SmlmFile) -> Iterator[StatedHash]:
    """Yield the hash of every table and image that is there, then that of the manifest.

    Raises:
        FormatError: A table cannot be read.
    """
    manifest = opened.manifest
    for spec in manifest.tables:
        yield _stated(spec.member, spec.entry, table_hash(_hashed_columns(opened, spec)))
    for image in manifest.images:
        entry = find(opened.archive, opened.folder, image.member)
        if entry is not None:
            data = opened.archive.read(entry, size_max=IMAGE_SIZE_MAX)
            yield _stated(image.member, image.entry, _md5(data))
    files = manifest.plain["files"]
    joined = "".join(str(entry.get("hash", "")) for entry in files)
    yield _stated("manifest.json", manifest.plain, _md5(joined.encode()))


def table_hash(columns: Mapping[str, npt.NDArray[Any]]) -> str:
    """Return the md5 over frame, x and y as float32, one behind the other; absent ones left out."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in HASHED_COLUMNS:
        if name in columns:
            with np.errstate(over="ignore"):  # As in the app, what float32 cannot say is infinite.
                digest.update(np.ascontiguousarray(columns[name], "<f4").data.cast("B"))
    return digest.hexdigest()


def _hashed_columns(opened: SmlmFile, spec: TableSpec) -> dict[str, npt.NDArray[Any]]:
    names = StoredTable(opened, spec).names
    only = tuple(name for name in HASHED_COLUMNS if name in names)
    return StoredTable(opened, spec, only=only).stored() if only else {}


def _stated(name: str, entry: Mapping[str, Any], found: str) -> StatedHash:
    stated = entry.get("hash")
    text = stated if isinstance(stated, str) else ""
    return StatedHash(name=name, stated=text, agrees=text.lower() == found)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
