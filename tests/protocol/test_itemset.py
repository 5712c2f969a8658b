from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalProtocolError
from protocol.itemset import Bounds, ItemSet

# Few different bytes and timestamps, so that ties and shared prefixes are common.
ids = st.builds(
    lambda head, size, tail: (bytes([head]) * size + tail)[:32],
    st.sampled_from([0, 1, 255]),
    st.integers(0, 31),
    st.binary(min_size=32, max_size=32),
)
timestamps = st.sampled_from([0, 1, 7, 2**40, 2**64 - 2])
items = st.lists(st.tuples(timestamps, ids), max_size=60)


def naive_fingerprint(members: list[tuple[int, bytes]]) -> bytes:
    total = sum(int.from_bytes(item_id, "little") for _, item_id in members) % 2**256
    assert len(members) < 128  # One digit is enough for the count.
    return sha256(total.to_bytes(32, "little") + bytes([len(members)])).digest()[:16]


@given(items)
def test_items_are_sorted_and_each_held_once(given_items: list[tuple[int, bytes]]) -> None:
    built = ItemSet.from_items(given_items)
    expected = sorted(set(given_items))
    assert len(built) == len(expected)
    assert built.timestamps.tolist() == [timestamp for timestamp, _ in expected]
    assert bytes(built.id_bytes(0, len(built))) == b"".join(item_id for _, item_id in expected)
    assert built.ids.shape == (len(expected), 32)


@given(items, st.data())
def test_fingerprints_are_those_of_the_definition(
    given_items: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    built = ItemSet.from_items(given_items)
    expected = sorted(set(given_items))
    start = data.draw(st.integers(0, len(built)))
    end = data.draw(st.integers(start, len(built)))
    (fingerprint,) = built.fingerprints(np.array([start]), np.array([end]))
    assert fingerprint.tobytes() == naive_fingerprint(expected[start:end])


def test_sums_wrap_at_256_bits() -> None:
    members = [(index, b"\xff" * 31 + bytes([index])) for index in range(100)]
    built = ItemSet.from_items(members)
    (fingerprint,) = built.fingerprints(np.array([0]), np.array([100]))
    assert fingerprint.tobytes() == naive_fingerprint(members)


@given(items, st.lists(st.tuples(timestamps, ids, st.integers(0, 32)), min_size=1))
def test_bounds_are_located_as_by_comparing_one_by_one(
    given_items: list[tuple[int, bytes]], wanted: list[tuple[int, bytes, int]]
) -> None:
    built = ItemSet.from_items(given_items)
    ordered = sorted(set(given_items))
    keys = [(timestamp, item_id[:size].ljust(32, b"\0")) for timestamp, item_id, size in wanted]
    bounds = Bounds(
        np.array([timestamp for timestamp, _ in keys], np.uint64),
        np.array([size for _, _, size in wanted], np.intp),
        np.frombuffer(b"".join(prefix for _, prefix in keys), np.uint8).reshape(-1, 32),
    )
    expected = [sum(item < key for item in ordered) for key in keys]
    assert built.locate(bounds).tolist() == expected
    assert built.locate(Bounds.infinity()).tolist() == [len(built)]


@given(items)
def test_a_bound_divides_its_item_from_the_one_before(
    given_items: list[tuple[int, bytes]],
) -> None:
    built = ItemSet.from_items(given_items)
    indices = np.arange(1, len(built))
    bounds = built.bounds_before(indices)
    assert built.locate(bounds).tolist() == indices.tolist()
    shorter = Bounds(bounds.timestamps, np.maximum(bounds.lengths - 1, 0), bounds.prefixes.copy())
    shorter.prefixes[np.arange(32) >= shorter.lengths[:, np.newaxis]] = 0
    cut = bounds.lengths > 0
    # A byte less would let the item before slip behind it, or stand at it.
    assert (built.locate(shorter)[cut] < indices[cut]).all()


def test_arrays_are_copied_and_read_only() -> None:
    source_timestamps, source_ids = np.array([5], np.uint64), np.zeros((1, 32), np.uint8)
    built = ItemSet.from_arrays(source_timestamps, source_ids)
    source_ids[0, 0] = 9
    assert built.ids[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        built.ids[0, 0] = 1


def test_strided_arrays_are_taken() -> None:
    rows = np.arange(20 * 64, dtype=np.uint8).reshape(20, 64)
    built = ItemSet.from_arrays(np.arange(40, dtype=np.uint64)[::2], rows[:, ::2])
    assert bytes(built.id_bytes(3, 4)) == rows[3, ::2].tobytes()


@pytest.mark.parametrize(
    ("timestamps_array", "ids_array"),
    [
        (np.zeros(2, np.uint64), np.zeros((1, 32), np.uint8)),
        (np.zeros(1, np.uint64), np.zeros((1, 31), np.uint8)),
        (np.zeros(1, np.int64), np.zeros((1, 32), np.uint8)),
        (np.zeros(1, np.uint64), np.zeros((1, 32), np.int8)),
        (np.array([2**64 - 1], np.uint64), np.zeros((1, 32), np.uint8)),
    ],
)
def test_wrong_arrays_are_refused(
    timestamps_array: np.ndarray[tuple[int], np.dtype[np.uint64]],
    ids_array: np.ndarray[tuple[int, int], np.dtype[np.uint8]],
) -> None:
    with pytest.raises(LocalProtocolError):
        ItemSet.from_arrays(timestamps_array, ids_array)


@pytest.mark.parametrize("item", [(0, b"short"), (-1, bytes(32)), (2**64 - 1, bytes(32))])
def test_wrong_items_are_refused(item: tuple[int, bytes]) -> None:
    with pytest.raises(LocalProtocolError):
        ItemSet.from_items([item])
