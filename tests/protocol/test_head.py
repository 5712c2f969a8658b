import hashlib

from hypothesis import given
from hypothesis import strategies as st

from protocol.head import completeness, ids_root, next_head
from protocol.identity import DigestHex
from protocol.limits import HEAD_LIFETIME_S
from protocol.records import Head

P = DigestHex("ab" * 32)
NOW = 1_790_000_000
ids = st.lists(st.binary(min_size=32, max_size=32), unique=True, max_size=6)


@given(ids, st.randoms(use_true_random=False))
def test_the_root_is_over_the_sorted_ids(items: list[bytes], random: object) -> None:
    expected = hashlib.sha256(b"".join(sorted(items))).hexdigest()
    random.shuffle(items)  # type: ignore[attr-defined]
    assert ids_root(items) == expected


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert ids_root([]) == hashlib.sha256(b"").hexdigest()


@given(ids)
def test_next_heads_count_up_and_parse(items: list[bytes]) -> None:
    one = next_head(None, items, publisher=P, scope="public", now=NOW)
    two = next_head(one, items, publisher=P, scope="public", now=NOW + 5)
    assert (one.sequence, two.sequence) == (1, 2)
    assert one.count == len(items)
    assert one.expires == NOW + HEAD_LIFETIME_S
    assert Head.from_bytes(two.to_bytes()) == two


def test_holding_exactly_what_was_signed_is_complete() -> None:
    items = [bytes([number]) * 32 for number in range(3)]
    head = next_head(None, items, publisher=P, scope="public", now=NOW)
    whole = completeness(head, count=3, root=ids_root(items), now=NOW)
    assert (whole.complete, whole.missing, whole.stale) == (True, 0, False)
    part = completeness(head, count=1, root=ids_root(items[:1]), now=NOW)
    assert (part.complete, part.missing) == (False, 2)
    other = [*items[:2], b"\xff" * 32]
    wrong = completeness(head, count=3, root=ids_root(other), now=NOW)
    assert (wrong.complete, wrong.missing) == (False, 0)


def test_a_head_is_stale_from_the_second_it_expires() -> None:
    head = next_head(None, [], publisher=P, scope="members", now=NOW)
    root = ids_root([])
    assert not completeness(head, count=0, root=root, now=head.expires - 1).stale
    late = completeness(head, count=0, root=root, now=head.expires)
    assert late.stale
    assert late.complete


def test_without_a_head_nothing_is_complete() -> None:
    state = completeness(None, count=4, root=ids_root([]), now=NOW)
    assert (state.count, state.head, state.complete, state.stale) == (4, None, False, True)
