"""Datasets as folders of files: which, under what names, from whom, in which format."""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import re
import shutil
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import smlmfmt
from node.errors import DamagedError, InputError, PeerError
from node.ingest.workers import Workers
from node.peering.fetch import Fetcher
from protocol.dataset import Dataset, File
from smlmfmt.errors import FormatError

__all__ = ["Delivered", "Delivery", "deliver", "plan"]

WORK_FOLDER = ".locmesh"
NAME_LENGTH_MAX = 120
NAME_SIZE_MAX = 200  # File systems take 255 bytes; unfinished files have longer names.
SUFFIX_LENGTH_MAX = 20
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]+')
_RESERVED = re.compile(
    r"(con|conin\$|conout\$|prn|aux|nul|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE
)

Progress = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One file to bring: to which path, and in which format if not in its own."""

    sample: str
    file: File
    path: Path
    to_format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What became of one file: `fetched`, `present`, `converted` or `failed`, and how."""

    delivery: Delivery
    state: str
    sources: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conversion:
    source: Path
    source_format: str
    target: Path
    target_format: str


def plan(
    dataset: Dataset,
    folder: Path,
    *,
    patterns: Sequence[str] = (),
    to_format: str | None = None,
) -> list[Delivery]:
    """Return what to bring of a dataset, each sample in a folder of its own.

    Args:
        dataset: Its record.
        folder: Where to.
        patterns: Shell patterns for file names or SAMPLE/FILE; () takes all.
        to_format: Deliver localization tables in this format instead of their own.

    Raises:
        InputError: No file fits the patterns.
    """
    deliveries: list[Delivery] = []
    taken: set[str] = set()
    for sample in dataset.samples:
        for file in sample.files:
            if patterns and not _fits(f"{sample.name}/{file.name}", file.name, patterns):
                continue
            if to_format and file.role == "rendition":
                continue  # Made from the original, which is converted itself.
            is_converted = to_format is not None and bool(file.tables) and file.format != to_format
            name = _safe(file.name)
            if to_format is not None and is_converted:
                name = f"{name.rpartition('.')[0] or name}{_suffix(to_format)}"
            path = _unused(folder / _safe(sample.name), name, taken)
            deliveries.append(
                Delivery(
                    sample=sample.name,
                    file=file,
                    path=path,
                    to_format=to_format if is_converted else None,
                )
            )
    if not deliveries:
        raise InputError(f"no file of {dataset.name!r} fits {' '.join(patterns) or 'this'}")
    return deliveries


def folder_name(dataset: Dataset, dataset_id: str) -> str:
    """Return the folder of a dataset: its name as far as file systems take it, and its id."""
    return f"{_safe(dataset.name)[:60].strip(' .')}-{dataset_id[:8]}"


async def deliver(
    deliveries: Sequence[Delivery],
    fetcher: Fetcher,
    *,
    origin: str,
    workers: Workers,
    progress: Progress,
) -> list[Delivered]:
    """Bring the files, one after the other; one that fails does not stop the others.

    Raises:
        StorageError: The disk is full.
        InputError: A path is taken by another file.
    """
    return [
        await _deliver(delivery, fetcher, origin=origin, workers=workers, progress=progress)
        for delivery in deliveries
    ]


async def _deliver(
    delivery: Delivery, fetcher: Fetcher, *, origin: str, workers: Workers, progress: Progress
) -> Delivered:
    file, path = delivery.file, delivery.path
    if path.exists() and delivery.to_format is None:
        if await asyncio.to_thread(_sha256, path) == file.sha256:
            progress(file.size, file.name)
            return Delivered(delivery=delivery, state="present")
        raise InputError(f"{path} is there already, and another file; move it or choose another -o")
    path.parent.mkdir(parents=True, exist_ok=True)
    seen = 0

    def count(verified: int, _: int) -> None:
        nonlocal seen
        progress(verified - seen, file.name)
        seen = verified

    raw = path if delivery.to_format is None else path.with_name(f".{path.name}.original")
    try:
        report = await fetcher.fetch(file.blob, origin=origin, into=raw, progress=count)
        if delivery.to_format is not None:
            conversion = _Conversion(
                source=raw,
                source_format=file.format,
                target=path,
                target_format=delivery.to_format,
            )
            await workers.run(_convert, conversion, what=file.name)
    except (PeerError, DamagedError, InputError) as error:
        return Delivered(delivery=delivery, state="failed", error=str(error))
    finally:
        if raw != path:
            raw.unlink(missing_ok=True)
    return Delivered(
        delivery=delivery,
        state="fetched" if delivery.to_format is None else "converted",
        sources=report.fetched,
        faults=report.faults,
    )


def _convert(task: _Conversion) -> None:
    """Runs in a worker process: the file is a stranger's."""
    try:
        bundle = smlmfmt.read(task.source, format=task.source_format)
        with warnings.catch_warnings():  # What a format cannot hold stands in the documentation.
            warnings.simplefilter("ignore")
            smlmfmt.write(task.target, bundle, format=task.target_format)
    except FormatError as error:
        raise InputError(f"{task.target.name}: cannot be converted: {error}") from error


def _fits(full: str, name: str, patterns: Sequence[str]) -> bool:
    return any(
        fnmatch.fnmatchcase(text.lower(), pattern.lower())
        for pattern in patterns
        for text in (full, name)
    )


def _suffix(format_name: str) -> str:
    return next(item.suffixes[0] for item in smlmfmt.formats() if item.name == format_name)


def _safe(name: str) -> str:
    """Return a name that every file system takes, whatever a stranger called the thing."""
    text = _FORBIDDEN.sub("_", name)
    text = "".join(letter for letter in text if letter.isprintable()).strip(" .")
    stem, dot, suffix = text.rpartition(".")
    if not dot or len(suffix) > SUFFIX_LENGTH_MAX:
        stem, dot, suffix = text, "", ""
    end = dot + suffix
    cut = stem[: NAME_LENGTH_MAX - len(end)].encode()[: NAME_SIZE_MAX - len(end.encode())]
    text = (cut.decode(errors="ignore") + end).strip(" .")
    return f"_{text}" if not text or _RESERVED.fullmatch(text) else text


def _unused(folder: Path, name: str, taken: set[str]) -> Path:
    """Return a path that no other file of this delivery has, on any file system."""
    stem, dot, suffix = name.rpartition(".")
    number, candidate = 1, name
    while _spelling(folder / candidate) in taken:
        number += 1
        candidate = f"{stem or suffix}-{number}{dot}{suffix if stem else ''}".rstrip(".")
    taken.add(_spelling(folder / candidate))
    return folder / candidate


def _spelling(path: Path) -> str:
    """Return what is the same for paths that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def clear_work_folder(folder: Path) -> None:
    """Remove what unfinished downloads left in a folder."""
    shutil.rmtree(folder / WORK_FOLDER, ignore_errors=True)
