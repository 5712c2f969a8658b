"""What is remembered of the text index is what asking it anew finds, whatever came in between."""

import numpy as np
import pytest
import sqlite_utils
from hypothesis import given, settings
from hypothesis import strategies as st

from node.catalog.postings import Posting, Postings, newest_text
from node.catalog.taglists import Mask
from node.storage.schema import upgrade

EXPRESSIONS = ('"pore"', '"po"*', '"nuclear pore"', '{name} : "pore"', '{name tags} : "actin"')
words = st.lists(st.sampled_from(["nuclear", "pore", "pores", "actin"]), max_size=4)
texts = st.tuples(words, words, words)
steps = st.lists(st.lists(texts, max_size=9) | st.sampled_from(EXPRESSIONS), max_size=25)


def _database() -> sqlite_utils.Database:
    db = sqlite_utils.Database(memory=True, execute_plugins=False)
    upgrade(db)
    return db


def _add(db: sqlite_utils.Database, parts: tuple[list[str], list[str], list[str]]) -> None:
    db.conn.execute(
        "insert into dataset_text (rowid, name, tags, description) values (?, ?, ?, ?)",
        [newest_text(db) + 1, *(" ".join(part) for part in parts)],
    )


def _found(posting: Posting, count: int) -> list[int]:
    return np.flatnonzero(posting.has(np.arange(count + 1))).tolist()


@settings(deadline=None)
@given(steps=steps)
def test_what_is_remembered_is_kept_up(
    steps: list[list[tuple[list[str], list[str], list[str]]] | str],
) -> None:
    db, postings = _database(), Postings()
    for step in steps:
        if isinstance(step, str):
            last = newest_text(db)
            found = postings.find(db, step, last=last)
            rows = db.conn.execute(
                "select rowid from dataset_text where dataset_text match ? order by rowid", [step]
            ).fetchall()
            assert _found(found, last) == [row[0] for row in rows]
            assert found.count == len(rows)
            assert bool(found) == bool(rows)
        else:
            for text in step:
                _add(db, text)


def test_a_word_is_asked_for_once_and_then_only_from_where_it_ended() -> None:
    db, postings = _database(), Postings()
    asked: list[str] = []
    for _ in range(3):
        _add(db, (["pore"], [], []))
        db.conn.set_trace_callback(asked.append)
        for _ in range(2):
            postings.find(db, '"pore"', last=newest_text(db))
        db.conn.set_trace_callback(None)
    looked_up = [sql for sql in asked if "match" in sql]
    assert len(looked_up) == 3
    assert [("rowid >" in sql) for sql in looked_up] == [False, True, True]


def test_a_snapshot_before_the_remembered_one_is_answered_with_what_is_known() -> None:
    db, postings = _database(), Postings()
    for _ in range(20):
        _add(db, (["pore"], [], []))
    newer = postings.find(db, '"pore"', last=20)
    assert postings.find(db, '"pore"', last=12) is newer


masks = st.lists(st.booleans(), min_size=1, max_size=60)


@given(one=masks, other=masks)
@pytest.mark.parametrize("combined", ["and", "or"])
def test_bits_combine_as_sets_do(combined: str, one: list[bool], other: list[bool]) -> None:
    def posting(flags: list[bool]) -> Posting:
        return Posting(len(flags) - 1, np.packbits(np.array(flags, np.bool_)))

    first, second = posting(one), posting(other)
    both = first & second if combined == "and" else first | second
    sets = [{place for place, flag in enumerate(flags) if flag} for flags in (one, other)]
    wanted = sets[0] & sets[1] if combined == "and" else sets[0] | sets[1]
    assert _found(both, 60) == sorted(wanted)


def test_texts_after_the_last_do_not_match() -> None:
    flags: Mask = np.ones(10, np.bool_)
    posting = Posting(9, np.packbits(flags))
    assert posting.has(np.array([0, 9, 10, 11, 16, 10**9])).tolist() == [True] * 2 + [False] * 4
