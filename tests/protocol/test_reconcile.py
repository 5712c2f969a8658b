from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalProtocolError, MalformedError, SizeLimitError
from protocol.ranges import RANGE_COUNT_MAX, Received
from protocol.reconcile import Initiator, ItemSet, respond

INFINITE_LIST = bytes.fromhex("6100000200")  # "I hold nothing at all": everything, please.


def item_id(index: int) -> bytes:
    return sha256(str(index).encode()).digest()


def make(indices: set[int], *, per_second: int = 1) -> ItemSet:
    return ItemSet.from_items((1000 + index // per_second, item_id(index)) for index in indices)


def run(here: ItemSet, there: ItemSet, limits: tuple[int, int] = (0, 0)) -> Initiator:
    initiator = Initiator(here, frame_limit=limits[0])
    message: bytes | None = initiator.initiate()
    while message is not None:
        assert not limits[0] or len(message) <= limits[0]
        answer = respond(there, message, frame_limit=limits[1])
        assert not limits[1] or len(answer) <= limits[1]
        message = initiator.reconcile(answer)
    return initiator


@given(
    st.sets(st.integers(0, 3000), max_size=300),
    st.sets(st.integers(0, 3000), max_size=300),
    st.sampled_from([0, 40, 900, 2500]),
    st.sampled_from([1, 30, 10_000]),
    st.tuples(st.sampled_from([0, 4096, 6000]), st.sampled_from([0, 4096, 6000])),
)
def test_both_differences_are_found(
    here: set[int], there: set[int], shared: int, per_second: int, limits: tuple[int, int]
) -> None:
    here, there = here | set(range(shared)), there | set(range(shared))
    result = run(make(here, per_second=per_second), make(there, per_second=per_second), limits)
    assert result.have == {item_id(index) for index in here - there}
    assert result.need == {item_id(index) for index in there - here}


def test_identical_sets_need_one_round_and_one_byte() -> None:
    items = make(set(range(1000)))
    initiator = Initiator(items)
    assert respond(items, initiator.initiate(), frame_limit=4096) == b"\x61"
    assert initiator.reconcile(b"\x61") is None


def test_opening_messages_are_those_of_the_reference() -> None:
    assert Initiator(make(set())).initiate() == INFINITE_LIST
    opening = Initiator(make(set(range(40)))).initiate()
    assert len(opening) == 306
    digest = "05191dfffcd60a9881f5b3bf2b7f5357dd73853a432d34d1fbfee0340f923a62"
    assert sha256(opening).hexdigest() == digest
    opening = Initiator(ItemSet.from_items((7, item_id(i)) for i in range(40))).initiate()
    digest = "bb0de26024fb10b433bce4e173f7c9028fb3d7c2cc6c532f2298e97d62dba00f"
    assert sha256(opening).hexdigest() == digest


def test_a_few_bytes_cannot_ask_for_more_than_the_frame_limit() -> None:
    items = make(set(range(20_000)))
    assert len(respond(items, INFINITE_LIST, frame_limit=0)) > 640_000
    assert 3800 < len(respond(items, INFINITE_LIST, frame_limit=4096)) <= 4096


def test_many_ranges_cannot_make_more_than_the_frame_limit() -> None:
    items = make(set(range(100_000)))
    # 1,000 wrong fingerprints, each of which is to be cut into sixteen.
    ranges = b"".join(b"\x65\x00\x01" + bytes(16) for _ in range(1000))
    assert len(respond(items, b"\x61" + ranges, frame_limit=8192)) <= 8192


def test_another_version_is_answered_with_ours() -> None:
    assert respond(make({1}), bytes.fromhex("62aabbcc"), frame_limit=0) == b"\x61"
    initiator = Initiator(make({1}))
    initiator.initiate()
    with pytest.raises(MalformedError, match="0x62"):
        initiator.reconcile(b"\x62")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "version byte"),
        ("70", "version byte"),
        ("6101", "ends inside"),
        ("610100", "ends inside"),
        ("6101000300", "unknown mode"),
        ("61010080", "unknown mode"),
        ("61000001" + "00" * 15, "ends inside"),
        ("61000002", "ends inside"),
        ("6100000201" + "00" * 31, "ends inside"),
        ("610000028fffffff7f", "ends inside"),
        ("61000002ffffffffffffffffff7f", "64 bits"),
        ("610000028000", "leading zero"),
        ("6180010000", "zero-led"),
        ("6182808080808080808000" + "0000", "over 64 bits"),
        ("61" + "ff" * 40, "ends inside"),
        ("610221" + "00" * 33 + "00", "prefix of 33 bytes"),
        ("61000100" + "00", "prefix of 1 bytes"),
        ("61020120" + "00" + "010110" + "00", "ascend"),
    ],
)
def test_malformed_messages_are_refused(message: str, reason: str) -> None:
    items = make(set(range(100)))
    with pytest.raises(MalformedError, match=reason):
        respond(items, bytes.fromhex(message), frame_limit=4096)


def test_a_refused_answer_changes_nothing() -> None:
    initiator = Initiator(make({1, 2}))
    initiator.initiate()
    with pytest.raises(MalformedError):
        initiator.reconcile(bytes.fromhex("6100000201") + bytes(32) + b"\x01")
    assert (initiator.have, initiator.need) == (set(), set())
    assert initiator.reconcile(bytes.fromhex("6100000201") + bytes(32)) is None
    assert initiator.need == {bytes(32)}


def test_a_peer_cannot_name_ids_without_end() -> None:
    initiator = Initiator(make(set()), need_max=2)
    initiator.initiate()
    with pytest.raises(SizeLimitError, match="over 2 ids"):
        initiator.reconcile(bytes.fromhex("6100000203") + b"".join(map(item_id, range(3))))
    assert initiator.need == set()


def test_a_message_of_too_many_ranges_is_refused() -> None:
    skips = b"\x02\x00\x00" * (RANGE_COUNT_MAX + 1)
    with pytest.raises(SizeLimitError, match="ranges"):
        respond(make({1}), b"\x61" + skips, frame_limit=4096)


def test_infinity_may_come_again_but_nothing_behind_it() -> None:
    items = make(set(range(3)))
    assert respond(items, bytes.fromhex("61000000000000"), frame_limit=0) == b"\x61"
    huge = "61" + "81ffffffffffffffff7f0000" * 2  # Twice 2^64 - 2: an overflow is infinity.
    received = Received.from_message(bytes.fromhex(huge))
    assert received.bounds.timestamps.tolist() == [2**64 - 2, 2**64 - 1]


@given(st.binary(max_size=200))
def test_random_bytes_give_an_answer_or_our_error(tail: bytes) -> None:
    items = make(set(range(200)), per_second=20)
    for head in (b"", b"\x61", INFINITE_LIST):
        with suppress(MalformedError):
            assert len(respond(items, head + tail, frame_limit=4096)) <= 4096


@given(st.data())
def test_damaged_messages_give_an_answer_or_our_error(data: st.DataObject) -> None:
    items = make(set(range(500)), per_second=20)
    message = bytearray(Initiator(make(set(range(250, 800)), per_second=20)).initiate())
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(1, len(message) - 1))] = data.draw(st.integers(0, 255))
    size = data.draw(st.integers(0, len(message)))
    initiator = Initiator(items)
    initiator.initiate()
    for receive in (lambda m: respond(items, m, frame_limit=4096), initiator.reconcile):
        with suppress(MalformedError):
            receive(bytes(message[:size]))


@pytest.mark.parametrize("frame_limit", [1, 4095, -1])
def test_frames_too_small_to_carry_anything_are_refused(frame_limit: int) -> None:
    with pytest.raises(LocalProtocolError, match="4096"):
        Initiator(make(set()), frame_limit=frame_limit)
    with pytest.raises(LocalProtocolError, match="4096"):
        respond(make(set()), b"\x61", frame_limit=frame_limit)


def test_initiating_comes_first_and_once() -> None:
    initiator = Initiator(make(set()))
    with pytest.raises(LocalProtocolError, match="comes before"):
        initiator.reconcile(b"\x61")
    initiator.initiate()
    with pytest.raises(LocalProtocolError, match="once"):
        initiator.initiate()
