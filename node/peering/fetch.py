"""Verified bytes from whoever holds them: the driver of protocol/transfer.py over HTTP."""

import asyncio
import hashlib
import logging
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node.errors import DamagedError, StorageError
from node.peering.client import Connections
from node.peering.partial import PartialBlob
from node.peering.pieces import Transfer
from node.peering.sources import Sources
from node.storage.blobs import BlobStore
from protocol.errors import MalformedError
from protocol.merkle import piece_length_for
from protocol.records import BlobRef
from protocol.transfer import Download

__all__ = ["FetchReport", "Fetcher"]

BUSY_POLL_S = 0.2
BUFFERED_PIECES_MAX = 8

Progress = Callable[[int, int], None]
"""Called with the verified and the total bytes."""

NoteBreach = Callable[[str, BaseException], Awaitable[None]]
"""Called with a publisher whose node sent bytes that are not the blob's, and what was wrong."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchReport:
    """What a fetch took.

    Attributes:
        size: Bytes of the blob.
        fetched: Bytes that came from each source, by its title; empty if the blob was here.
        faults: What went wrong on the way, and at whom, in words.
    """

    size: int
    fetched: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


class Fetcher:
    """Fetch blobs, piece by piece, from all known holders at once.

    Args:
        blobs: The store of this home.
        folder: Where unfinished copies lie.
        sources: Who may have a blob.
        connections: The way to them.

    Attributes:
        note_breach: Told of sources that send wrong bytes.
    """

    def __init__(
        self, blobs: BlobStore, folder: Path, *, sources: Sources, connections: Connections
    ) -> None:
        self.note_breach: NoteBreach | None = None
        self._blobs = blobs
        self._folder = folder
        self._sources = sources
        self._connections = connections

    async def fetch(
        self,
        blob: BlobRef,
        *,
        origin: str | None = None,
        into: Path | None = None,
        progress: Progress | None = None,
    ) -> FetchReport:
        """Bring a blob into the store, or into a file. Goes on where an earlier try ended.

        Args:
            blob: Its name, size and Merkle root, from a signed record.
            origin: The publisher of the record, who should have it.
            into: A file to write instead of the store; replaced whole, at the very end.
            progress: Told after each piece.

        Raises:
            PeerError: Nobody has it whole and right; the message says how each of them failed.
            DamagedError: The pieces are what the record's Merkle root says, but together they are
                not what its SHA-256 says: the record itself is wrong.
            StorageError: It does not fit.
        """
        if await self._blobs.has(blob.sha256):
            if into is None:
                return FetchReport(size=blob.size)
            try:
                return await self._copy(blob, into, progress)
            except DamagedError as error:
                _logger.warning("fetching from others instead: %s", error)
        partial = await asyncio.to_thread(PartialBlob, self._folder, blob)
        while not await asyncio.to_thread(partial.try_open):  # noqa: ASYNC110 - other processes.
            await asyncio.sleep(BUSY_POLL_S)
        try:
            if into is None and await self._blobs.has(blob.sha256):
                return FetchReport(size=blob.size)
            report = await self._complete(partial, origin, progress)
            await self._deliver(partial, into)
            return report
        finally:
            await asyncio.to_thread(partial.close)

    async def stream(
        self, blob: BlobRef, start: int, end: int, *, origin: str | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes [start, end) of a blob that is not here, each piece verified first.

        Holds at most a few pieces in memory, however slow the reader.

        Raises:
            PeerError: Nobody has them right.
        """
        if start >= end:
            return
        length = piece_length_for(blob.size)
        wanted = range(start // length, -(-end // length))
        download = _download(blob, pieces=wanted)
        transfer = Transfer(download, await self._sources.of(blob.sha256, origin=origin))
        waiting: dict[int, bytes] = {}
        transfer.may_ask = lambda: len(waiting) < BUFFERED_PIECES_MAX
        following = iter(wanted)
        index = next(following)
        try:
            async for arrived, data in transfer.pieces(self._connections):
                waiting[arrived] = data
                while index in waiting:
                    piece, base = waiting.pop(index), index * length
                    yield piece[max(0, start - base) : end - base]
                    index = next(following, -1)
        finally:
            await self._note_breaches(transfer)

    async def pieces(
        self,
        blob: BlobRef,
        wanted: Sequence[int],
        *,
        piece_length: int,
        layer: bytes = b"",
        origin: str | None = None,
    ) -> AsyncIterator[tuple[int, bytes, bytes]]:
        """Yield verified pieces of a blob that is not here, as they arrive, and their layer.

        Args:
            blob: Its name, size and Merkle root, from a signed record.
            wanted: The pieces.
            piece_length: How it is cut.
            layer: As it was yielded before, to save asking for it.
            origin: The publisher of the record.

        Raises:
            PeerError: Nobody has them right.
        """
        download = _download(blob, pieces=wanted, piece_length=piece_length)
        transfer = Transfer(download, await self._sources.of(blob.sha256, origin=origin))
        if layer and not download.layer:
            transfer.use_layer(layer)
        try:
            async for index, data in transfer.pieces(self._connections):
                yield index, data, download.layer
        finally:
            await self._note_breaches(transfer)

    async def _copy(self, blob: BlobRef, into: Path, progress: Progress | None) -> FetchReport:
        """Write a blob that is held here to a file."""
        partial = into.with_name(into.name + ".partial")
        done = 0
        try:
            with partial.open("wb") as file:
                async for data in self._blobs.open_range(blob.sha256, 0, blob.size):
                    await asyncio.to_thread(file.write, data)
                    done += len(data)
                    if progress:
                        progress(done, blob.size)
            partial.replace(into)
        except OSError as error:
            raise StorageError(f"cannot write {into}: {error.strerror}") from error
        return FetchReport(size=blob.size)

    async def _complete(
        self, partial: PartialBlob, origin: str | None, progress: Progress | None
    ) -> FetchReport:
        have = await asyncio.to_thread(partial.verified_pieces)
        blob = partial.blob
        download = _download(blob, have=have)
        if progress:
            progress(download.bytes_verified, blob.size)
        if download.done:
            return FetchReport(size=blob.size)
        transfer = Transfer(download, await self._sources.of(blob.sha256, origin=origin))
        if partial.layer:
            transfer.use_layer(partial.layer)
        try:
            async for index, data in transfer.pieces(self._connections):
                if partial.layer is None:
                    await asyncio.to_thread(partial.keep_layer, download.layer)
                await asyncio.to_thread(partial.keep_piece, index, data, bitmap=download.bitmap)
                if progress:
                    progress(download.bytes_verified, blob.size)
        finally:
            await self._note_breaches(transfer)
        return FetchReport(size=blob.size, fetched=transfer.fetched, faults=tuple(transfer.faults))

    async def _note_breaches(self, transfer: Transfer) -> None:
        for source, error in transfer.breaches:
            if self.note_breach is not None and source.publisher is not None:
                await self.note_breach(source.publisher, error)

    async def _deliver(self, partial: PartialBlob, into: Path | None) -> None:
        """Check the whole and give it its name."""
        try:
            if into is None:
                await self._blobs.put_file(partial.path, expected=partial.blob.sha256)
            else:
                await asyncio.to_thread(_move, partial, into)
        except DamagedError:
            await asyncio.to_thread(partial.drop)
            raise
        await asyncio.to_thread(partial.drop)


def _download(
    blob: BlobRef,
    *,
    have: bytes = b"",
    pieces: Sequence[int] | None = None,
    piece_length: int | None = None,
) -> Download:
    try:
        return Download(
            blob, have=have, pieces=pieces, piece_length=piece_length, seed=os.urandom(8)
        )
    except MalformedError as error:
        raise DamagedError(f"the record that names it is wrong: {error}") from error


def _move(partial: PartialBlob, into: Path) -> None:
    """Give a complete copy its name outside the store.

    Raises:
        DamagedError: Its SHA-256 is not the wanted one.
    """
    with partial.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != partial.blob.sha256:
        raise DamagedError(
            f"the pieces of blob {partial.blob.sha256} match its Merkle root, but its bytes hash "
            f"to {digest}: the record that names it is wrong"
        )
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        moved = into.with_name(into.name + ".partial")
        shutil.copyfile(partial.path, moved)
        moved.replace(into)
    except OSError as error:
        raise StorageError(f"cannot write {into}: {error.strerror}") from error
