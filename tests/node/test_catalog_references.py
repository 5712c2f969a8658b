"""Which datasets refer to a blob: whatever came when, and after an older home is upgraded."""

from pathlib import Path

import sqlite_utils
from hypothesis import given, settings
from hypothesis import strategies as st

from node.catalog.references import add_references, blobs_beginning, datasets_with
from node.storage.database import Database
from node.storage.schema import MIGRATIONS, upgrade

# Few different first digits, so that some agree in all that the index holds, and some in more.
blobs = st.tuples(
    st.sampled_from([b"\x00" * 8, b"\xff" * 8, b"\xab\xcd" * 4, b"\xab\xcd" * 3 + b"\xab\xce"]),
    st.sampled_from([b"\x00" * 24, b"\xff" * 24, b"\x0f" * 24]),
).map(b"".join)
# Batches of (record, dataset, blobs).
batches = st.lists(
    st.lists(
        st.tuples(st.integers(1, 9), st.lists(blobs, min_size=1, max_size=4, unique=True)),
        max_size=4,
    ),
    max_size=5,
)


def _fill(db: sqlite_utils.Database, rows: list[tuple[int, list[bytes]]]) -> None:
    """Add records 1, 2, 3 ... of datasets 1 to 3 in turn, as far as they are not there yet."""
    for record, found in rows:
        dataset = record % 3 + 1
        db.conn.execute("insert or ignore into publishers (seq, id, added) values (1, 'p', 0)")
        db.conn.execute(
            """insert or ignore into records (seq, id, type, publisher, chain, revision, scope,
                                              issued, signer, received, source)
               values (?, ?, 'dataset', 1, ?, 1, 'public', 0, x'', 0, '')""",
            [record, f"record {record}", f"dataset {dataset}"],
        )
        db.conn.execute(
            """insert or ignore into datasets (seq, id, publisher, record, current, revision,
                   visibility, status, forked, issued, text, name, license, size)
               values (?, ?, 1, ?, ?, 1, 'public', 0, 0, 0, 1, '', '', 0)""",
            [dataset, f"dataset {dataset}", record, record],
        )
        db.conn.executemany(
            "insert or ignore into dataset_blobs values (?, ?, 'file', 1)",
            [(dataset, blob) for blob in found],
        )


@settings(deadline=None)
@given(batches=batches, asked=blobs, length=st.integers(8, 64))
def test_what_was_noted_is_found(
    batches: list[list[tuple[int, list[bytes]]]], asked: bytes, length: int
) -> None:
    db = sqlite_utils.Database(memory=True, execute_plugins=False)
    upgrade(db)
    for batch in batches:
        with db.atomic():
            _fill(db, batch)
            add_references(db, batch)
    of = {(blob, record % 3 + 1) for batch in batches for record, found in batch for blob in found}
    assert datasets_with(db, asked) == sorted({dataset for blob, dataset in of if blob == asked})
    prefix = asked.hex()[:length]
    beginning = sorted({blob for blob, _ in of if blob.hex().startswith(prefix)})
    assert sorted(blobs_beginning(db, prefix, limit=99)) == beginning


async def test_an_older_home_knows_its_blobs_and_cards_after_the_upgrade(tmp_path: Path) -> None:
    old = sqlite_utils.Database(tmp_path / "a.db", execute_plugins=False)
    MIGRATIONS.apply(old, stop_before="0006_lean_catalog")
    # The older table wants a card with each row.
    old.conn.execute("alter table datasets rename column card to card_before")
    old.conn.execute("alter table datasets drop column card_before")
    old.conn.execute("alter table datasets add column card text not null default '{\"a\":1}'")
    rows = [(1, [b"\x01" * 32, b"\x02" * 32]), (2, [b"\x02" * 32, b"\xfe" * 32])]
    _fill(old, rows)
    old.conn.commit()
    old.conn.close()
    db = Database(tmp_path / "a.db")
    assert await db.read(lambda sql: datasets_with(sql, b"\x01" * 32)) == [2]
    assert await db.read(lambda sql: datasets_with(sql, b"\x02" * 32)) == [2, 3]
    assert await db.read(lambda sql: datasets_with(sql, b"\x03" * 32)) == []
    assert await db.read(lambda sql: blobs_beginning(sql, "fe" * 4, limit=5)) == [b"\xfe" * 32]
    cards = await db.read(lambda sql: sql.conn.execute("select * from cards").fetchall())
    assert cards == [(2, '{"a":1}'), (3, '{"a":1}')]
    await db.close()
