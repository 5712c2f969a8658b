"""One SQLite file: one writer thread, a pool of readers, and word of other processes' commits.

Every command and a running node may share one home, so nothing here assumes to be alone: a write
waits for its turn, a read sees one snapshot, and `changes` tells when anybody has committed.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import sqlite_utils

from node.errors import ConfigError, StorageError
from node.storage.schema import is_current, upgrade

__all__ = ["Database"]

BUSY_TIMEOUT_S = 30
CHANGE_POLL_S = 0.1
CACHE_KIB = 32_768
WAL_SIZE_MAX = 64 << 20
# Pages that every batch touches are copied back once in a while, not with each batch.
CHECKPOINT_PAGES = 8_000

T = TypeVar("T")
A = TypeVar("A")


class Database:
    """The database of one home, open until `close`.

    Args:
        path: The file; made if it is not there, brought to the newest schema if it is older.
        readers: How many reads may run at once.

    Raises:
        ConfigError: The file is not a database, was written by a newer Locmesh, or its folder
            cannot be written.
    """

    def __init__(self, path: Path, *, readers: int = 4) -> None:
        self.path = path
        self._writer = _open_writer(path)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="database-write")
        self._read_threads = ThreadPoolExecutor(readers, thread_name_prefix="database-read")
        # The last one back is the next one out: its cache is the warmest.
        self._idle: queue.LifoQueue[sqlite_utils.Database] = queue.LifoQueue()
        self._connections = [_open_reader(path) for _ in range(readers)]
        for connection in self._connections:
            self._idle.put(connection)
        self._is_closed = False

    async def read(self, fn: Callable[[sqlite_utils.Database], T]) -> T:
        """Run fn on a read-only connection in a thread; all it reads is of one moment."""
        return await self._run(self._read_threads, self._read, fn)

    async def write(self, fn: Callable[[sqlite_utils.Database], T]) -> T:
        """Run fn on the writer thread in one transaction: all of it is on disk, or nothing.

        Raises:
            StorageError: The disk is full or unwritable, or another process kept its write lock
                for longer than half a minute.
        """
        return await self._run(self._write_thread, self._write, fn)

    async def changes(self) -> AsyncIterator[None]:
        """Yield after commits, this process's own among them, until the database is closed.

        Several commits within a tenth of a second count as one.
        """
        watcher = _open_reader(self.path)
        turn = threading.Lock()  # Whoever is cancelled here leaves a look running in its thread.

        def look(db: sqlite_utils.Database) -> int:
            with turn:
                return int(db.conn.execute("PRAGMA data_version").fetchone()[0])

        try:
            seen = await self._run(self._read_threads, look, watcher)
            while not self._is_closed:
                await asyncio.sleep(CHANGE_POLL_S)
                if self._is_closed:
                    return
                version = await self._run(self._read_threads, look, watcher)
                if version != seen:
                    seen = version
                    yield
        finally:
            with turn:
                watcher.conn.close()

    async def close(self) -> None:
        """Finish what runs, refuse what comes, and fold the write-ahead log into the file."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._write_thread.shutdown()
        self._read_threads.shutdown()
        for connection in self._connections:
            connection.conn.close()
        self._writer.conn.close()  # Last, so that SQLite folds in the log and removes it.

    async def _run(
        self,
        threads: ThreadPoolExecutor,
        work: Callable[[A], T],
        argument: A,
    ) -> T:
        try:
            running = asyncio.get_running_loop().run_in_executor(threads, work, argument)
        except RuntimeError as error:  # "cannot schedule new futures after shutdown"
            raise StorageError(f"the database {self.path} is already closed") from error
        return await running

    def _read(self, fn: Callable[[sqlite_utils.Database], T]) -> T:
        db = self._idle.get()
        try:
            with _explained(self.path), _transaction(db, "BEGIN"):
                return fn(db)
        finally:
            self._idle.put(db)

    def _write(self, fn: Callable[[sqlite_utils.Database], T]) -> T:
        with _explained(self.path), _transaction(self._writer, "BEGIN IMMEDIATE"):
            return fn(self._writer)


def _open_writer(path: Path) -> sqlite_utils.Database:
    connection: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        # FULL: a record that was answered for must survive the power going.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit={WAL_SIZE_MAX}")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        db = sqlite_utils.Database(connection, execute_plugins=False)
        if not is_current(db, path=path):
            with _transaction(db, "BEGIN IMMEDIATE"):
                upgrade(db)
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise ConfigError(
            f"cannot open the database {path}: {error}; check that the disk has room, the folder "
            "can be written and the file is Locmesh's"
        ) from error
    except ConfigError:
        if connection is not None:
            connection.close()
        raise
    return db


def _open_reader(path: Path) -> sqlite_utils.Database:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA query_only=1")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    return sqlite_utils.Database(connection, execute_plugins=False)


@contextlib.contextmanager
def _transaction(db: sqlite_utils.Database, begin: str) -> Iterator[None]:
    db.conn.execute(begin)
    try:
        yield
        db.conn.execute("COMMIT")
    except BaseException:
        if db.conn.in_transaction:
            db.conn.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say a failing disk in words; a wrong statement stays the bug it is."""
    try:
        yield
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", None)
        primary = code & 0xFF if isinstance(code, int) else None
        if primary in _DISK_TROUBLE:
            raise StorageError(f"database {path}: {error}; {_DISK_TROUBLE[primary]}") from error
        raise
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CORRUPT:
            raise StorageError(f"database {path} is damaged: {error}; restore a copy") from error
        raise


_DISK_TROUBLE = {
    sqlite3.SQLITE_FULL: "free some space",
    sqlite3.SQLITE_IOERR: "check the disk",
    sqlite3.SQLITE_READONLY: "make the folder writable",
    sqlite3.SQLITE_CANTOPEN: "make the folder readable and writable",
    sqlite3.SQLITE_BUSY: "another Locmesh process holds it; try again when that one is done",
}
