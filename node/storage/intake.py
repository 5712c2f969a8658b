"""How bytes come into a directory store: a temporary name, all hashes in one pass, then a rename.

Every store object has a folder of its own under `incoming/`, with a lock on it for as long as the
process lives. What a killed process left behind has no lock and is swept by the next that starts.
"""

import errno
import hashlib
import os
import secrets
import shutil
import threading
from pathlib import Path

from node.errors import DamagedError, StorageError
from node.lock import FileLock
from node.storage.tree import PIECE_LENGTH, StoredBlob, Tree, write_synced
from protocol.merkle import MerkleBuilder

__all__ = ["Intake", "Landing", "Room", "disk_trouble", "sync_folder"]

SWEEP_LOCK = "sweep.lock"
SESSION_LOCK = "session.lock"
LOCK_TIMEOUT_S = 30.0
# How often a running write looks at quota and free space again.
ROOM_CHECK_SIZE = 8 << 20


class Room:
    """How many bytes may still be stored, counting what is being written right now."""

    def __init__(self, root: Path, *, quota_bytes: int | None, reserve_bytes: int) -> None:
        self._root = root
        self._quota = quota_bytes
        self._reserve = reserve_bytes
        self._lock = threading.Lock()
        self._stored = 0
        self._pending = 0

    @property
    def used(self) -> int:
        """Bytes stored, or on their way."""
        return self._stored + self._pending

    def recount(self, stored: int) -> None:
        """Take over a fresh count of what the folder holds."""
        with self._lock:
            self._stored = stored

    def check(self, size: int) -> None:
        """Make sure that so many bytes fit as things are, before much is done for them.

        Raises:
            StorageError: They would break the quota or the reserve.
        """
        with self._lock:
            self._check(size)

    def take(self, size: int) -> None:
        """Count so many bytes in, before they are written.

        Raises:
            StorageError: They would break the quota or the reserve; nothing is counted then.
        """
        with self._lock:
            self._check(size)
            self._pending += size

    def settle(self, taken: int, *, stored: int) -> None:
        """Of what was taken, so much has been stored and the rest is free again."""
        with self._lock:
            self._pending -= taken
            self._stored = max(0, self._stored + stored)

    def _check(self, size: int) -> None:
        if self._quota is not None and self.used + size > self._quota:
            raise StorageError(
                f"the store holds {self.used} bytes and quota_bytes is {self._quota}: "
                f"{size} more do not fit; raise quota_bytes or remove a mirror"
            )
        free = shutil.disk_usage(self._root).free
        if free - size < self._reserve:
            raise StorageError(
                f"the disk of {self._root} has {free} bytes free and reserve_bytes keeps "
                f"{self._reserve} of them: {size} more do not fit; free some space"
            )


class Landing:
    """The folder of temporary files of one store object."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / SWEEP_LOCK) as lock:
            assert lock.held  # Else a sweeper could take our folder before we have locked it.
            _sweep(folder)
            self.folder = folder / secrets.token_hex(8)
            self.folder.mkdir()
            self._lock = FileLock(self.folder / SESSION_LOCK)
            self._lock.acquire(timeout_s=LOCK_TIMEOUT_S)

    def temporary(self) -> Path:
        """Return a name nobody else has."""
        return self.folder / secrets.token_hex(8)

    def close(self) -> None:
        """Remove the folder."""
        self._lock.release()
        shutil.rmtree(self.folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    for entry in folder.iterdir():
        if not entry.is_dir():
            continue
        lock = FileLock(entry / SESSION_LOCK)
        if lock.try_acquire():
            lock.release()
            shutil.rmtree(entry, ignore_errors=True)


class Intake:
    """One blob on its way in. Not for several threads at once."""

    def __init__(self, path: Path, *, room: Room) -> None:
        self._path = path
        self._room = room
        self._reserved = 0
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._merkle = MerkleBuilder(finest=PIECE_LENGTH)
        self._file = path.open("xb")

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            StorageError: They do not fit.
        """
        self._reserve(len(data))
        self._hash(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise disk_trouble(error, self._path) from error

    def take_file(self, source: Path, *, chunk_size: int, cancelled: threading.Event) -> None:
        """Append a file's bytes, until someone says it is not wanted any more."""
        with source.open("rb") as file:
            while not cancelled.is_set() and (chunk := file.read(chunk_size)):
                self.write(chunk)

    def finish(self, *, expected: str | None) -> tuple[StoredBlob, Tree]:
        """Put the bytes on the disk for good, still under the temporary name.

        Raises:
            DamagedError: They are not what was expected.
            StorageError: The disk refuses.
        """
        digest = self._sha256.hexdigest()
        if expected is not None and digest != expected:
            raise DamagedError(
                f"want the blob {expected}, but its {self._size} bytes hash to {digest}: "
                "fetch it again from somebody else"
            )
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise disk_trouble(error, self._path) from error
        tree = Tree.of(self._merkle)
        return StoredBlob(sha256=digest, size=self._size, merkle_root=tree.root.hex()), tree

    def keep(self, path: Path, tree: Tree, *, tree_path: Path) -> None:
        """Give the bytes their final name; what makes them checkable is there before."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_synced(tree_path, tree.to_bytes(), temporary=self._path.with_suffix(".tree"))
            self._path.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            raise disk_trouble(error, path) from error
        self._room.settle(self._reserved, stored=self._size)
        self._reserved = 0

    def drop(self) -> None:
        """Forget the bytes; without effect after `keep`."""
        self._file.close()
        self._room.settle(self._reserved, stored=0)
        self._reserved = 0
        self._path.unlink(missing_ok=True)

    def _reserve(self, size: int) -> None:
        missing = self._size + size - self._reserved
        if missing > 0:
            amount = max(missing, ROOM_CHECK_SIZE)
            try:
                self._room.take(amount)
            except StorageError:
                amount = missing  # Near the limit, count exactly.
                self._room.take(amount)
            self._reserved += amount

    def _hash(self, data: bytes) -> None:
        self._sha256.update(data)
        self._merkle.update(data)
        self._size += len(data)


def disk_trouble(error: OSError, path: Path) -> StorageError:
    """Return the error in words."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return StorageError(f"the disk is full at {path}; free some space")
    return StorageError(f"cannot write {path}: {error.strerror or error}; check the disk")


def sync_folder(folder: Path) -> None:
    """Make renames in the folder survive a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
