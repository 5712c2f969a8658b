"""Files in: measured by worker processes, stored as blobs, described as samples.

Nothing is stored before every file has been read and found good. What an interrupted ingest leaves
behind is temporary files, which the next start sweeps, and at most blobs that nothing refers to,
which `Housekeeping` removes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node.errors import InputError
from node.ingest.measuring import Measured, Task, measure
from node.ingest.reading import ReadingOptions
from node.ingest.selection import SelectedFile, SelectedSample, Selection
from node.ingest.workers import Workers
from node.storage.blobs import BlobStore
from node.storage.intake import Landing
from protocol.blob import PYRAMID_TYPE
from protocol.dataset import BlobRef, File, Sample, TableSummary
from protocol.errors import ProtocolError
from protocol.identity import DigestHex

__all__ = ["Ingest", "Ingested", "Progress"]

Progress = Callable[[int, str], None]
THUMBNAIL_TYPE = "image/png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """Samples whose blobs are all in place, and what people should know about their files."""

    samples: tuple[Sample, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A file that a worker has read, with the state the file was in before."""

    file: SelectedFile
    task: Task
    measured: Measured
    stamp: tuple[int, int]


class Ingest:
    """Turns selected files into samples.

    Args:
        blobs: Where the bytes go.
        workers: Who reads them.
        staging: A folder for what workers write.
    """

    def __init__(self, blobs: BlobStore, workers: Workers, *, staging: Path) -> None:
        self._blobs = blobs
        self._workers = workers
        self._staging = staging

    async def run(
        self, selection: Selection, reading: ReadingOptions, *, progress: Progress | None = None
    ) -> Ingested:
        """Read all files, then store them; `progress` counts the bytes of both.

        Raises:
            InputError: A file is not what it claims; nothing was stored.
            StorageError: The disk or the quota is full.
        """
        await self._blobs.check_room(selection.size)
        landing = await asyncio.to_thread(Landing, self._staging)
        try:
            read = await self._read(
                selection, reading, landing=landing, progress=progress or _silent
            )
            samples = [
                await self._store(sample, read, progress or _silent) for sample in selection.samples
            ]
        finally:
            await asyncio.shield(asyncio.to_thread(landing.close))
        notes = [note for item in read.values() for note in item.measured.notes]
        return Ingested(samples=tuple(samples), notes=tuple(notes))

    async def _read(
        self,
        selection: Selection,
        reading: ReadingOptions,
        *,
        landing: Landing,
        progress: Progress,
    ) -> dict[Path, _Read]:
        files = {file.path: file for sample in selection.samples for file in sample.files}

        async def read_one(file: SelectedFile) -> _Read:
            temporary = landing.temporary()
            task = Task(
                path=file.path,
                reading=reading,
                rendition=temporary.with_suffix(".smlm"),
                thumbnail=temporary.with_suffix(".png"),
                pyramid=temporary.with_suffix(".pyramid"),
            )
            progress(0, file.path.name)
            stamp = await asyncio.to_thread(_stamp, file.path)
            measured = await self._workers.run(measure, task, what=file.path.name)
            progress(file.size, file.path.name)
            return _Read(file=file, task=task, measured=measured, stamp=stamp)

        tasks = [asyncio.ensure_future(read_one(file)) for file in files.values()]
        try:
            done = await asyncio.gather(*tasks)
        finally:
            for pending in tasks:
                pending.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {item.file.path: item for item in done}

    async def _store(
        self, sample: SelectedSample, read: dict[Path, _Read], progress: Progress
    ) -> Sample:
        files: list[File] = []
        taken = {file.name for file in sample.files}
        for selected in sample.files:
            item = read[selected.path]
            progress(0, selected.name)
            files.append(await self._store_original(selected, item))
            progress(selected.size, selected.name)
            if item.measured.has_rendition:
                name = _rendition_name(selected.name, taken)
                taken.add(name)
                files.append(await self._store_rendition(name, item))
        pictured = [read[file.path] for file in sample.files]
        pictured = [item for item in pictured if item.measured.has_thumbnail]
        thumbnail = None
        if pictured:
            best = max(pictured, key=lambda item: item.measured.rows)
            thumbnail = await self._store_view(best.task.thumbnail, THUMBNAIL_TYPE)
        return Sample(name=sample.name, files=tuple(files), thumbnail=thumbnail)

    async def _store_original(self, selected: SelectedFile, item: _Read) -> File:
        blob = await self._blobs.put_file(selected.path)
        if await asyncio.to_thread(_stamp, selected.path) != item.stamp:
            raise InputError(
                f"{selected.path} changed while it was read; add it again when it is complete"
            )
        measured = item.measured
        try:
            tables = tuple(TableSummary.from_dict(table) for table in measured.tables)
        except ProtocolError as error:
            raise InputError(f"{selected.path}: cannot be described: {error}") from error
        return File(
            name=selected.name,
            role=measured.role,
            media_type=measured.media_type,
            size=blob.size,
            sha256=DigestHex(blob.sha256),
            merkle_root=DigestHex(blob.merkle_root),
            format=measured.format,
            tables=await self._with_pyramids(tables, item),
        )

    async def _with_pyramids(
        self, tables: tuple[TableSummary, ...], item: _Read
    ) -> tuple[TableSummary, ...]:
        found = list(tables)
        for number in sorted(item.measured.pyramids):
            blob = await self._store_view(item.task.pyramid_of(number), PYRAMID_TYPE)
            found[number] = dataclasses.replace(found[number], pyramid=blob)
        return tuple(found)

    async def _store_rendition(self, name: str, item: _Read) -> File:
        blob = await self._blobs.put_file(item.task.rendition)
        return File(
            name=name,
            role="rendition",
            media_type="application/zip",
            size=blob.size,
            sha256=DigestHex(blob.sha256),
            merkle_root=DigestHex(blob.merkle_root),
            format="smlm",
        )

    async def _store_view(self, path: Path, media_type: str) -> BlobRef:
        blob = await self._blobs.put_file(path)
        return BlobRef(
            sha256=DigestHex(blob.sha256),
            size=blob.size,
            merkle_root=DigestHex(blob.merkle_root),
            media_type=media_type,
        )


def _rendition_name(name: str, taken: set[str]) -> str:
    stem = name.rpartition(".")[0] or name
    numbered = (f"{stem}.rendition-{number}.smlm" for number in itertools.count(2))
    usual = (f"{stem}.smlm", f"{stem}.rendition.smlm")
    return next(found for found in itertools.chain(usual, numbered) if found not in taken)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    return status.st_size, status.st_mtime_ns


def _silent(size: int, name: str) -> None:
    del size, name
