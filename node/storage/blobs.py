"""Bytes by their SHA-256: one narrow interface, and the store that keeps them in a folder.

A name that exists is whole: bytes are written elsewhere, synced, then renamed. What leaves has been
checked against the blob's Merkle tree first, so a flipped bit is found here and never passed on.
"""

import asyncio
import logging
import os
import re
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from pathlib import Path
from typing import Protocol

from node.errors import DamagedError, NotFoundError, StorageError
from node.storage.intake import Intake, Landing, Room, disk_trouble
from node.storage.tree import PIECE_LENGTH, StoredBlob, Tree, TreeCache, write_synced
from protocol.merkle import MerkleBuilder

__all__ = ["BlobStore", "DirectoryBlobs", "StoredBlob"]

CHUNK_SIZE = 1 << 20  # A multiple of PIECE_LENGTH: what is read, checked and handed out at once.
RECOUNT_S = 60.0
_NAME = re.compile(r"[0-9a-f]{64}")
_TREE_SUFFIX = ".tree"
_DAMAGED_SUFFIX = ".damaged"

_logger = logging.getLogger(__name__)


class BlobStore(Protocol):
    """Where blobs are kept. Names are 64 lowercase hex digits; ranges are half open.

    Every method raises StorageError when the store itself fails.
    """

    async def put_file(
        self, source: Path | AsyncIterable[bytes], *, expected: str | None = None
    ) -> StoredBlob:
        """Store a file's or stream's bytes; if they are here already, nothing changes.

        Raises:
            DamagedError: They are not the expected blob; nothing is stored.
        """

    async def check_room(self, size: int) -> None:
        """Make sure, as far as can be known now, that so many bytes more can be stored.

        Raises:
            StorageError: They would break the quota or the reserve.
        """

    async def stat(self, sha256: str) -> StoredBlob:
        """Return size and Merkle root of a blob.

        Raises:
            NotFoundError: It is not here, or was found damaged.
        """

    async def has(self, sha256: str) -> bool:
        """Say whether the blob is here and not known to be damaged."""

    def open_range(self, sha256: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from start to end, each piece verified before it is yielded.

        Raises:
            NotFoundError: It is not here, or was found damaged.
            DamagedError: A piece does not match; the blob counts as not held from now on.
        """

    async def layer(self, sha256: str, piece_length: int) -> bytes:
        """Return the Merkle layer of that piece length, 32 bytes for each piece."""

    async def verify(self, sha256: str) -> None:
        """Read all of a blob and check it.

        Raises:
            DamagedError: It does not match; the blob counts as not held from now on.
        """

    async def delete(self, sha256: str) -> None:
        """Remove a blob if it is here."""

    async def list(self) -> list[str]:
        """Return the names of all blobs that are here and not known to be damaged, sorted."""

    async def stamp(self) -> str:
        """Return a text that changes whenever a blob comes or goes, whoever brings or takes it."""

    async def close(self) -> None:
        """Give back what the store holds open."""


class DirectoryBlobs:
    """A BlobStore in a folder, which several processes may use at once.

    Args:
        root: The folder; made if it is not there.
        quota_bytes: How much may be stored in all; None for no limit.
        reserve_bytes: How much of the disk stays free.
    """

    def __init__(
        self, root: Path, *, quota_bytes: int | None = None, reserve_bytes: int = 0
    ) -> None:
        self.root = root
        try:
            self._landing = Landing(root / "incoming")
        except OSError as error:
            raise disk_trouble(error, root) from error
        self._room = Room(root, quota_bytes=quota_bytes, reserve_bytes=reserve_bytes)
        self._counted_at: float | None = None
        self._count_lock = threading.Lock()
        self._trees = TreeCache()

    def path(self, sha256: str) -> Path:
        """Return where the blob lies or would lie. Reading there is reading unverified bytes."""
        assert _NAME.fullmatch(sha256) is not None  # Else a name could point outside the store.
        return self.root / sha256[:2] / sha256

    async def put_file(
        self,
        source: Path | AsyncIterable[bytes],
        *,
        expected: str | None = None,
    ) -> StoredBlob:
        """See BlobStore.put_file."""
        intake = await asyncio.to_thread(self._intake)
        cancelled = threading.Event()
        try:
            if isinstance(source, Path):
                await asyncio.to_thread(_take_file, intake, source, cancelled)
            else:
                async for data in source:
                    await asyncio.to_thread(intake.write, data)
            return await asyncio.to_thread(self._keep, intake, expected)
        finally:
            cancelled.set()
            await asyncio.shield(asyncio.to_thread(intake.drop))

    async def check_room(self, size: int) -> None:
        """See BlobStore.check_room."""
        await asyncio.to_thread(self._recount)
        self._room.check(size)

    async def stat(self, sha256: str) -> StoredBlob:
        """See BlobStore.stat."""
        tree = await asyncio.to_thread(self._tree, sha256)
        return StoredBlob(sha256=sha256, size=tree.size, merkle_root=tree.root.hex())

    async def has(self, sha256: str) -> bool:
        """See BlobStore.has."""
        return self.holds(sha256)

    def holds(self, sha256: str) -> bool:
        """Say the same as `has`, for callers in threads: two look-ups in the file system."""
        path = self.path(sha256)
        return path.is_file() and not path.with_suffix(_DAMAGED_SUFFIX).exists()

    async def open_range(self, sha256: str, start: int, end: int) -> AsyncIterator[bytes]:
        """See BlobStore.open_range."""
        tree = await asyncio.to_thread(self._tree, sha256)
        end = min(end, tree.size)
        position = start
        while position < end:
            base = position - position % PIECE_LENGTH
            # Whole pieces, but no more of them than are asked for: tiles are small.
            most = -(-(end - base) // PIECE_LENGTH) * PIECE_LENGTH
            data = await asyncio.to_thread(self._read_verified, sha256, tree, base, size_max=most)
            yield data[position - base : end - base]
            position = base + len(data)

    async def layer(self, sha256: str, piece_length: int) -> bytes:
        """See BlobStore.layer."""
        return await asyncio.to_thread(self._layer, sha256, piece_length)

    async def verify(self, sha256: str) -> None:
        """See BlobStore.verify."""
        tree = await asyncio.to_thread(self._tree, sha256)
        for base in range(0, tree.size, CHUNK_SIZE):
            await asyncio.to_thread(self._read_verified, sha256, tree, base)

    async def delete(self, sha256: str) -> None:
        """See BlobStore.delete."""
        await asyncio.to_thread(self._delete, sha256)

    async def list(self) -> list[str]:
        """See BlobStore.list."""
        return await asyncio.to_thread(lambda: sorted(name for name, _ in self._entries()))

    async def stamp(self) -> str:
        """See BlobStore.stamp."""
        return await asyncio.to_thread(self._stamp)

    async def damaged(self) -> dict[str, str]:
        """Return what was found damaged and not replaced yet: name and what was wrong."""
        return await asyncio.to_thread(self._damaged)

    async def used(self) -> int:
        """Return how many bytes the store holds."""
        return await asyncio.to_thread(self._recount)

    async def close(self) -> None:
        """See BlobStore.close."""
        await asyncio.to_thread(self._landing.close)

    def _intake(self) -> Intake:
        if self._counted_at is None or time.monotonic() - self._counted_at > RECOUNT_S:
            self._recount()  # Other processes store and delete here, too.
        try:
            return Intake(self._landing.temporary(), room=self._room)
        except OSError as error:
            raise disk_trouble(error, self.root) from error

    def _keep(self, intake: Intake, expected: str | None) -> StoredBlob:
        stored, tree = intake.finish(expected=expected)
        path = self.path(stored.sha256)
        if not self.holds(stored.sha256):
            intake.keep(path, tree, tree_path=path.with_suffix(_TREE_SUFFIX))
            path.with_suffix(_DAMAGED_SUFFIX).unlink(missing_ok=True)
            self._trees.forget(stored.sha256)
        return stored

    def _tree(self, sha256: str) -> Tree:
        if not self.holds(sha256):
            raise NotFoundError(f"the blob {sha256} is not held here")
        tree = self._trees.get(sha256)
        if tree is None:
            path = self.path(sha256)
            tree = self._stored_tree(sha256, path.with_suffix(_TREE_SUFFIX))
            self._trees.put(sha256, tree)
        return tree

    def _stored_tree(self, sha256: str, tree_path: Path) -> Tree:
        try:
            return Tree.from_bytes(tree_path.read_bytes())
        except (OSError, DamagedError) as error:
            # Lost or damaged itself: the blob's name still tells whether the blob is good.
            _logger.warning("measuring the blob %s again: %s", sha256, error)
        with self.path(sha256).open("rb") as file:
            digest, tree = Tree.measured(file)
        if digest != sha256:
            raise self._mark_damaged(sha256, f"its bytes hash to {digest}")
        write_synced(tree_path, tree.to_bytes(), temporary=self._landing.temporary())
        return tree

    def _read_verified(
        self, sha256: str, tree: Tree, base: int, *, size_max: int = CHUNK_SIZE
    ) -> bytes:
        size = min(CHUNK_SIZE, size_max, tree.size - base)
        try:
            with self.path(sha256).open("rb") as file:
                file.seek(base)
                data = file.read(size)
        except FileNotFoundError as error:
            raise NotFoundError(f"the blob {sha256} is not held here any more") from error
        except OSError as error:
            raise StorageError(f"cannot read the blob {sha256}: {error}; check the disk") from error
        bad = tree.first_bad_piece(data, base=base)
        if len(data) < size:
            raise self._mark_damaged(sha256, f"it ends after {base + len(data)} bytes")
        if bad is not None:
            raise self._mark_damaged(sha256, f"its piece {bad} of {PIECE_LENGTH} bytes is wrong")
        return data

    def _layer(self, sha256: str, piece_length: int) -> bytes:
        tree = self._tree(sha256)
        if piece_length >= PIECE_LENGTH:
            return tree.layer_at(piece_length)
        builder = MerkleBuilder(finest=piece_length)
        for base in range(0, tree.size, CHUNK_SIZE):
            builder.update(self._read_verified(sha256, tree, base))
        return builder.layer(piece_length)

    def _mark_damaged(self, sha256: str, reason: str) -> DamagedError:
        message = (
            f"the blob {sha256} is damaged here: {reason}; it counts as not held until fetched anew"
        )
        _logger.error("%s", message)
        self._trees.forget(sha256)
        marker = self.path(sha256).with_suffix(_DAMAGED_SUFFIX)
        write_synced(marker, reason.encode(), temporary=self._landing.temporary())
        return DamagedError(message)

    def _delete(self, sha256: str) -> None:
        path = self.path(sha256)
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            size = 0
        except OSError as error:
            raise disk_trouble(error, path) from error
        for suffix in (_TREE_SUFFIX, _DAMAGED_SUFFIX):
            path.with_suffix(suffix).unlink(missing_ok=True)
        self._trees.forget(sha256)
        self._room.settle(0, stored=-size)

    def _damaged(self) -> dict[str, str]:
        markers = self.root.glob(f"[0-9a-f][0-9a-f]/*{_DAMAGED_SUFFIX}")
        return {marker.stem: marker.read_text("utf-8") for marker in markers}

    def _recount(self) -> int:
        with self._count_lock:
            files = self.root.glob("[0-9a-f][0-9a-f]/*")
            self._room.recount(sum(file.stat().st_size for file in files))
            self._counted_at = time.monotonic()
        return self._room.used

    def _stamp(self) -> str:
        # A folder's own time changes with every name in it: 256 look-ups, however many blobs.
        folders = sorted(self.root.glob("[0-9a-f][0-9a-f]"))
        return " ".join(f"{folder.name}{folder.stat().st_mtime_ns}" for folder in folders)

    def _entries(self) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
        for folder in self.root.iterdir():
            if len(folder.name) != 2 or not folder.is_dir():
                continue
            with os.scandir(folder) as entries:
                found = {entry.name: entry for entry in entries}
            for name, entry in found.items():
                if _NAME.fullmatch(name) and name + _DAMAGED_SUFFIX not in found:
                    yield name, entry


def _take_file(intake: Intake, source: Path, cancelled: threading.Event) -> None:
    try:
        intake.take_file(source, chunk_size=CHUNK_SIZE, cancelled=cancelled)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {source}") from error
    except OSError as error:
        raise StorageError(f"cannot read {source}: {error}") from error
