import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlite_utils

from node.errors import ConfigError, StorageError
from node.storage.database import Database
from node.storage.schema import MIGRATIONS

INSERT = "insert into mirrors (query, added) values (?, 1)"
COUNT = "select count(*) from mirrors"


async def count(db: Database) -> int:
    return int(await db.read(lambda sql: sql.execute(COUNT).fetchone()[0]))


async def test_what_was_written_is_read_and_survives_reopening(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    await db.write(lambda sql: sql.execute(INSERT, ["q"]))
    assert await count(db) == 1
    await db.close()
    db = Database(tmp_path / "a.db")
    assert await count(db) == 1
    await db.close()


async def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")

    def fails(sql: sqlite_utils.Database) -> None:
        sql.execute(INSERT, ["q"])
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        await db.write(fails)
    assert await count(db) == 0
    await db.write(lambda sql: sql.execute(INSERT, ["q"]))
    assert await count(db) == 1
    await db.close()


async def test_a_reader_cannot_write(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    with pytest.raises((sqlite3.OperationalError, StorageError), match="readonly"):
        await db.read(lambda sql: sql.conn.execute(INSERT, ["q"]))
    await db.close()


async def test_a_read_sees_one_moment(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    loop = asyncio.get_running_loop()

    def reads_twice(sql: sqlite_utils.Database) -> tuple[int, int]:
        first = sql.execute(COUNT).fetchone()[0]
        write = db.write(lambda writer: writer.execute(INSERT, ["q"]))
        asyncio.run_coroutine_threadsafe(write, loop).result()
        return first, sql.execute(COUNT).fetchone()[0]

    assert await db.read(reads_twice) == (0, 0)
    assert await count(db) == 1
    await db.close()


async def test_two_processes_of_one_home_take_turns(tmp_path: Path) -> None:
    first, second = Database(tmp_path / "a.db"), Database(tmp_path / "a.db")
    writes = [
        db.write(lambda sql: sql.execute(INSERT, ["q"]))
        for _ in range(50)
        for db in (first, second)
    ]
    await asyncio.gather(*writes)
    assert await count(first) == 100
    await first.close()
    assert await count(second) == 100
    await second.close()


async def test_commits_of_another_process_are_told(tmp_path: Path) -> None:
    first, second = Database(tmp_path / "a.db"), Database(tmp_path / "a.db")
    changes = second.changes()
    told = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0.05)
    await first.write(lambda sql: sql.execute(INSERT, ["q"]))
    await asyncio.wait_for(told, 10)
    await second.close()
    assert [change async for change in changes] == []
    await first.close()


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    await db.close()
    await db.close()
    with pytest.raises(StorageError, match="closed"):
        await count(db)


async def test_every_older_schema_is_upgraded(tmp_path: Path) -> None:
    empty = sqlite_utils.Database(memory=True)
    names = [migration.name for migration in MIGRATIONS.pending(empty)]
    for place, name in enumerate(names):
        path = tmp_path / f"{place}.db"
        old = sqlite_utils.Database(path)
        MIGRATIONS.apply(old, stop_before=name)
        old.conn.close()
        db = Database(path)
        applied = await db.read(lambda sql: [item.name for item in MIGRATIONS.applied(sql)])
        assert applied == names
        assert await count(db) == 0
        await db.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    asyncio.run(Database(path).close())
    newer = sqlite_utils.Database(path)
    newer.table("_sqlite_migrations").insert(
        {"migration_set": "locmesh", "name": "9999_telepathy", "applied_at": "2100"}
    )
    newer.conn.commit()
    newer.conn.close()
    with pytest.raises(ConfigError, match=r"newer Locmesh \(it has 9999_telepathy\)"):
        Database(path)


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"certainly not a database" * 100)
    with pytest.raises(ConfigError, match=r"a\.db"):
        Database(path)
    assert path.read_bytes().startswith(b"certainly")


async def test_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    db = Database(tmp_path / "a.db")
    await db.write(lambda sql: sql.execute(INSERT, ["q"]))

    def fill(sql: sqlite_utils.Database) -> None:
        pages = sql.execute("pragma page_count").fetchone()[0]
        sql.execute(f"pragma max_page_count={pages}")
        sql.execute(INSERT, ["x" * 1_000_000])

    with pytest.raises(StorageError, match="free some space"):
        await db.write(fill)
    assert await count(db) == 1
    await db.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from node.storage.database import Database

async def main():
    db = Database(Path(sys.argv[1]))
    while True:
        await db.write(lambda sql: sql.execute("insert into mirrors (query, added) values ('', 1)"))
        print("done", flush=True)

asyncio.run(main())
"""


def start(script: str, path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", script, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path.cwd())


async def test_a_killed_writer_loses_nothing_that_it_answered_for(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    answered = 0
    for stop_after in (1, 7, 20):
        writer = start(WRITER, path)
        assert writer.stdout is not None
        for _ in range(stop_after):
            writer.stdout.readline()
            answered += 1
        os.kill(writer.pid, signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
        answered += len(writer.stdout.readlines())
        writer.wait()
        writer.stdout.close()
        db = Database(path)
        # One more may have been committed and not yet answered for.
        found = await count(db)
        assert answered <= found <= answered + 1
        answered = found
        await db.close()


async def test_opening_waits_for_no_writer(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    await Database(path).close()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("begin immediate")
    # Were a lock wanted, this would fail after the half minute that a writer may take.
    db = Database(path)
    assert await db.read(lambda found: found.table("records").count) == 0
    await db.close()
    writer.close()


CANCELLED_WATCHERS = """
import asyncio, sys
from pathlib import Path
from node.storage import database

database.CHANGE_POLL_S = 0.0

async def watch(db):
    async for _ in db.changes():
        pass

async def main():
    db = database.Database(Path(sys.argv[1]))
    for _ in range(700):
        watchers = [asyncio.create_task(watch(db)) for _ in range(3)]
        await asyncio.sleep(0.0005)
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
    await db.close()

asyncio.run(main())
"""


def test_cancelling_a_watcher_leaves_no_thread_on_a_closed_connection(tmp_path: Path) -> None:
    # In a process of its own: were it wrong, SQLite would end the process at once.
    command = [sys.executable, "-c", CANCELLED_WATCHERS, str(tmp_path / "catalog.db")]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
