import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.catalog import taglists
from node.catalog.taglists import TagLists

ROWS = 12
puts = st.lists(
    st.tuples(st.integers(1, ROWS), st.lists(st.integers(1, 9), max_size=4, unique=True)),
    max_size=60,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(puts=puts, shown=st.sets(st.integers(1, ROWS)), sweeps=st.integers(0, 5))
def test_lists_count_what_was_put_last(
    monkeypatch: pytest.MonkeyPatch,
    puts: list[tuple[int, list[int]]],
    shown: set[int],
    sweeps: int,
) -> None:
    monkeypatch.setattr(taglists, "_SWEEP_COUNT", sweeps)
    lists, model = TagLists(), {row: list[int]() for row in range(1, ROWS + 1)}
    for row in model:
        lists.put(row, [])
    for row, terms in puts:
        lists.put(row, terms)
        model[row] = terms
    mask = np.zeros(ROWS + 1, np.bool_)
    mask[list(shown)] = True
    counts = lists.count(np.flatnonzero(mask), mask)
    for term in range(1, 10):
        having = {row for row, terms in model.items() if term in terms}
        assert set(np.flatnonzero(lists.rows_with(term, count=ROWS + 1)).tolist()) == having
        assert (int(counts[term]) if term < len(counts) else 0) == len(having & shown)
    totals = lists.totals()
    for term in range(1, 10):
        having = {row for row, terms in model.items() if term in terms}
        assert (int(totals[term]) if term < len(totals) else 0) == len(having)


@pytest.mark.parametrize("share", [0, 1_000_000])
def test_both_ways_of_counting_agree(monkeypatch: pytest.MonkeyPatch, share: int) -> None:
    monkeypatch.setattr(taglists, "_WALK_SHARE", share)
    lists = TagLists()
    for row in range(1, 1001):
        lists.put(row, [1 + row % 7, 8 + row % 3])
    mask = np.zeros(1001, np.bool_)
    mask[1:1001:5] = True
    counts = lists.count(np.flatnonzero(mask), mask)
    terms = [term for row in range(1, 1001, 5) for term in (1 + row % 7, 8 + row % 3)]
    assert counts.tolist() == np.bincount(terms).tolist()
    others = ~mask
    others[0] = False
    most = lists.count(np.flatnonzero(others), others)
    assert (most[: len(counts)] + counts).tolist() == lists.totals()[: len(counts)].tolist()
    everything = lists.count(np.arange(1, 1001), mask | others)
    assert everything.tolist() == lists.totals().tolist()
