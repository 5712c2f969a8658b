"""What a worker process finds out about one file: format, facts, picture, rendition."""

from __future__ import annotations

import errno
import hashlib
import mimetypes
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import smlmfmt
from node.errors import InputError
from node.ingest.reading import ReadingOptions
from node.storage.intake import disk_trouble
from protocol import limits
from smlmfmt import smlm
from smlmfmt.errors import FormatError
from smlmfmt.png import encode_png
from smlmfmt.render import render
from smlmfmt.summary import lateral_uncertainty
from smlmfmt.table import Bundle, LocTable

__all__ = ["Measured", "Task", "measure"]

THUMBNAIL_SIZES_PX = (512, 384, 256, 128)
_IMAGE = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".svg")
_RAW = (".nd2", ".czi", ".lif", ".lsm", ".dcimg", ".spe", ".sif", ".oif", ".oib", ".ims", ".raw")
_ROLE_BY_SUFFIX = dict.fromkeys(_IMAGE, "image") | dict.fromkeys(_RAW, "raw")
# What the system's own table may not know, or name differently from machine to machine.
_MEDIA_TYPES = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
    ".zip": "application/zip",
    ".hdf5": "application/x-hdf5",
    ".h5": "application/x-hdf5",
}
_OCTETS = "application/octet-stream"
NOTES_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One file to measure.

    Attributes:
        rendition: Where to write the .smlm, if one is due.
        thumbnail: Where to write the picture, if there is one.
        pyramid: Where to write pyramids; each table's number is put into the name.
    """

    path: Path
    reading: ReadingOptions
    rendition: Path
    thumbnail: Path
    pyramid: Path

    def pyramid_of(self, table: int) -> Path:
        """Return where the pyramid of a table is written."""
        return self.pyramid.with_suffix(f".{table}{self.pyramid.suffix}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found: `tables` as TableSummary in JSON, and which files were written.

    Attributes:
        pyramids: The numbers of those tables that have one.
    """

    role: str
    media_type: str
    format: str
    tables: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    has_rendition: bool
    has_thumbnail: bool
    pyramids: frozenset[int] = frozenset()

    @property
    def rows(self) -> int:
        """Localizations of all tables."""
        return sum(table["rows"] for table in self.tables)


def measure(task: Task) -> Measured:
    """Read one file and write its rendition, its picture and the pyramids of its tables.

    Raises:
        InputError: It claims a format that it breaks; the message says where and what to do.
        StorageError: The disk for rendition and picture is full or fails.
    """
    path = task.path
    try:
        name = task.reading.format_of(path)
        if name is None or not _can_read(name):
            return _kept_as_it_is(path, name)
        bundle = task.reading.read(path)
        notes = [*bundle.warnings, *_beyond_limits(bundle)]
        has_rendition = name != "smlm" or bool(smlm.deviations(path))
        if has_rendition:
            notes += _write_rendition(bundle, task.rendition)
            has_rendition = task.rendition.exists()
        has_thumbnail = _draw(bundle, task.thumbnail)
        pyramids, more = _build_pyramids(bundle, task)
        notes += more
    except FormatError as error:
        raise InputError(f"{_named(path.name, str(error))}. Nothing was imported.") from error
    except MemoryError as error:
        raise InputError(f"{path.name}: too large for the memory of this machine") from error
    except OSError as error:
        if error.filename in (None, str(path)) and error.errno != errno.ENOSPC:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        raise disk_trouble(error, task.rendition.parent) from error
    return Measured(
        role="original",
        media_type=smlmfmt.media_type(name),
        format=name,
        tables=tuple(_facts(bundle)),
        notes=_few(_named(path.name, note) for note in notes),
        has_rendition=has_rendition,
        has_thumbnail=has_thumbnail,
        pyramids=pyramids,
    )


def _can_read(name: str) -> bool:
    return any(item.reads for item in smlmfmt.formats() if item.name == name)


def _kept_as_it_is(path: Path, name: str | None) -> Measured:
    suffix = path.suffix.lower()
    role = _ROLE_BY_SUFFIX.get(suffix, "other")
    known = f"{name} files are not read yet" if name else "not a localization table known here"
    return Measured(
        role=role,
        media_type=_MEDIA_TYPES.get(suffix) or _guessed(path.name),
        format=name or "",
        tables=(),
        notes=() if role != "other" else (f"{path.name}: {known}; kept as it is",),
        has_rendition=False,
        has_thumbnail=False,
    )


def _guessed(name: str) -> str:
    # Built-in types only: the machine's own list would make records differ between machines.
    guess, encoding = mimetypes.MimeTypes(filenames=()).guess_type(name)
    return _OCTETS if guess is None or encoding else guess.lower()


def _beyond_limits(bundle: Bundle) -> list[str]:
    """Say what a record has no room for; the file itself is kept whole."""
    notes = []
    if len(bundle.tables) > limits.TABLES_MAX:
        notes.append(f"the record describes {limits.TABLES_MAX} of its {len(bundle.tables)} tables")
    columns = max((len(table.columns) for table in bundle.tables), default=0)
    if columns > limits.COLUMNS_MAX:
        notes.append(f"the record describes {limits.COLUMNS_MAX} of its {columns} columns")
    return notes


def _facts(bundle: Bundle) -> list[dict[str, Any]]:
    """Describe the tables as far as a record can, whatever a file calls things."""
    facts = []
    for table in bundle.tables[: limits.TABLES_MAX]:
        summary = table.summary().as_dict()
        columns = summary["columns"][: limits.COLUMNS_MAX]
        for column in columns:
            column["name"] = _line(column["name"], limits.NAME_LENGTH_MAX) or "unnamed"
            column["source"] = _line(column["source"], limits.NAME_LENGTH_MAX)
            column["unit"] = _line(column["unit"], limits.TERM_LENGTH_MAX)
        name = _line(table.name, limits.NAME_LENGTH_MAX)
        channel = _line(table.channel, limits.NAME_LENGTH_MAX)
        facts.append({"name": name, "channel": channel, **summary, "columns": columns})
    return facts


def _line(text: str, length_max: int) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain.strip()[:length_max]


def _write_rendition(bundle: Bundle, path: Path) -> list[str]:
    """Write the .smlm copy; return what it cannot say, or why there can be none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            smlmfmt.write(path, bundle, format="smlm")
        except FormatError as error:
            return [f"there is no .smlm copy: {error}"]
    return [f"the .smlm copy: {warning.message}" for warning in caught]


def _draw(bundle: Bundle, path: Path) -> bool:
    """Draw the longest table as a picture within the size that every node keeps."""
    tables = [table for table in bundle.tables if len(table) and "x" in table and "y" in table]
    if not tables:
        return False
    longest = max(tables, key=len)
    mode = "gaussian" if _has_uncertainty(longest) else "histogram"
    for size_px in THUMBNAIL_SIZES_PX:
        data = encode_png(render(longest, size_px=size_px, mode=mode))
        if len(data) <= limits.THUMBNAIL_SIZE_MAX:
            path.write_bytes(data)
            return True
    return False


def _build_pyramids(bundle: Bundle, task: Task) -> tuple[frozenset[int], list[str]]:
    """Write the pyramids; return the numbers of the tables that have one, and why others do not.

    A picture is never worth a lost import: what a pyramid cannot be made of gets a note.
    """
    from smlmfmt import pyramid  # noqa: PLC0415 - numba is slow to import.

    built, notes = set(), []
    with task.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    # Nobody chooses the hash of a file, so nobody can order rows to make a sample mislead.
    options = pyramid.Options(seed=int.from_bytes(digest[:8], "big") >> 1)
    for number, table in enumerate(bundle.tables[: limits.TABLES_MAX]):
        if not len(table) or "x" not in table or "y" not in table:
            continue
        try:
            pyramid.build(table, task.pyramid_of(number), options=options)
        except (FormatError, MemoryError) as error:
            notes.append(f"the viewer cannot show table {number + 1}: {_reason(error)}")
        else:
            built.add(number)
    return frozenset(built), notes


def _reason(error: FormatError | MemoryError) -> str:
    return str(error) if isinstance(error, FormatError) else "out of memory"


def _has_uncertainty(table: LocTable) -> bool:
    return lateral_uncertainty(table, slice(0, 0)) is not None


def _named(name: str, message: str) -> str:
    message = message.rstrip(".")
    return message if name in message else f"{name}: {message}"


def _few(notes: Iterable[str]) -> tuple[str, ...]:
    listed = list(notes)
    more = len(listed) - NOTES_MAX
    return (*listed[:NOTES_MAX], *([f"{more} more notes of this kind"] if more > 0 else []))
