from dataclasses import replace

import pytest

from protocol import limits
from protocol.admission import Action, Policy, Reason, Verdict, admit, admit_head, examine
from protocol.envelope import Envelope, seal
from protocol.errors import LocalProtocolError
from protocol.records import Dataset, Withdrawal
from tests.protocol.catalog import Catalog
from tests.protocol.lab import START, Lab, key

LAB = Lab()
ONE = LAB.dataset()


def catalog_with(*envelopes: Envelope, policy: Policy | None = None) -> Catalog:
    catalog = Catalog(policy)
    for envelope in (LAB.identity, *envelopes):
        verdict = catalog.offer(envelope, now=START)
        assert verdict.action is Action.ACCEPT, verdict.detail
    return catalog


def refused(verdict: Verdict, reason: Reason, *words: str) -> None:
    assert verdict.action is Action.REJECT
    assert verdict.reason is reason
    assert all(word in verdict.detail for word in words), verdict.detail
    assert verdict.scope is None
    assert not verdict.current


def test_a_first_revision_is_accepted_and_current() -> None:
    catalog = catalog_with()
    verdict = catalog.offer(ONE, now=START)
    assert (verdict.action, verdict.reason) == (Action.ACCEPT, Reason.ACCEPTED)
    assert (verdict.id, verdict.scope, verdict.current, verdict.fork) == (
        ONE.id,
        "public",
        True,
        False,
    )
    assert isinstance(verdict.record, Dataset)


def test_reason_codes_are_stable() -> None:
    assert {reason.value for reason in Reason} == {
        "accepted",
        "known",
        "unknown-publisher",
        "unknown-key",
        "missing-predecessor",
        "too-large",
        "wrong-payload-type",
        "bad-signature",
        "malformed",
        "signature-count",
        "blocked",
        "future",
        "retired-key",
        "wrong-key-role",
        "bad-succession",
        "superseded",
        "foreign-chain",
        "visibility-changed",
        "already-withdrawn",
        "private",
        "quota",
        "replayed-head",
    }


# What the envelope alone decides.


def test_a_flipped_bit_anywhere_in_the_payload_is_a_bad_signature() -> None:
    catalog = catalog_with()
    for place in range(0, len(ONE.payload), 97):
        payload = bytearray(ONE.payload)
        payload[place] ^= 1
        forged = replace(ONE, payload=bytes(payload))
        refused(catalog.offer(forged, now=START), Reason.BAD_SIGNATURE, forged.id[:12])
    assert ONE.id not in catalog.accepted


def test_the_signature_is_checked_before_the_payload_is_parsed() -> None:
    garbage = replace(ONE, payload=b"not JSON")
    refused(catalog_with().offer(garbage, now=START), Reason.BAD_SIGNATURE, LAB.online.did)
    signed = seal(b"not JSON", [LAB.online])
    refused(catalog_with().offer(signed, now=START), Reason.MALFORMED, "not a JSON payload")


def test_one_bad_signature_beside_a_good_one_spoils_the_envelope() -> None:
    forged = replace(ONE, signatures={**ONE.signatures, key(9).public: b"\x00" * 64})
    refused(catalog_with().offer(forged, now=START), Reason.BAD_SIGNATURE, key(9).did)


def test_a_record_carries_one_signature() -> None:
    twice = seal(ONE.payload, [LAB.online, key(9)])
    refused(catalog_with().offer(twice, now=START), Reason.SIGNATURE_COUNT, "this has 2")
    none = replace(ONE, signatures={})
    refused(catalog_with().offer(none, now=START), Reason.SIGNATURE_COUNT)


def test_another_payload_type_is_no_record() -> None:
    hello = seal(ONE.payload, [LAB.online], payload_type="application/vnd.locmesh.hello.v1+json")
    refused(catalog_with().offer(hello, now=START), Reason.WRONG_PAYLOAD_TYPE)


def test_an_oversized_payload_is_refused_with_its_size() -> None:
    large = seal(b" " * (limits.PAYLOAD_SIZE_MAX + 1), [LAB.online])
    refused(catalog_with().offer(large, now=START), Reason.TOO_LARGE, "1048577", "1048576")


# Who signs, and when.


def test_a_record_of_an_unknown_publisher_waits_for_its_identity() -> None:
    verdict = Catalog().offer(ONE, now=START)
    assert (verdict.action, verdict.reason) == (Action.HOLD, Reason.UNKNOWN_PUBLISHER)
    assert verdict.awaits == LAB.publisher


def test_a_strangers_key_is_held_until_an_identity_names_it_and_never_accepted() -> None:
    verdict = catalog_with().offer(LAB.dataset(by=key(66)), now=START)
    assert (verdict.action, verdict.reason) == (Action.HOLD, Reason.UNKNOWN_KEY)
    assert verdict.awaits == LAB.publisher
    assert key(66).did in verdict.detail


def test_a_recovery_key_signs_identities_only() -> None:
    refused(catalog_with().offer(LAB.dataset(by=LAB.recovery), now=START), Reason.WRONG_KEY_ROLE)


def test_a_retired_key_signs_nothing_issued_later() -> None:
    rotation = LAB.rotation(
        signed_by=LAB.online, online=[LAB.spare], added=[LAB.spare], issued=START + 10
    )
    catalog = catalog_with(rotation)
    assert catalog.offer(LAB.dataset("a", issued=START + 10), now=START).action is Action.ACCEPT
    late = LAB.dataset("b", issued=START + 11)
    refused(catalog.offer(late, now=START), Reason.RETIRED_KEY, str(START + 10), str(START + 11))
    assert catalog.offer(LAB.dataset("b", by=LAB.spare), now=START).action is Action.ACCEPT


def test_a_record_from_the_future_is_refused_until_its_time_comes() -> None:
    catalog = catalog_with()
    early = LAB.dataset(issued=START + 601)
    refused(catalog.offer(early, now=START), Reason.FUTURE, "601 s ahead", "600 s")
    assert catalog.offer(early, now=START + 1).action is Action.ACCEPT


def test_a_blocked_publisher_gets_nothing_in() -> None:
    catalog = catalog_with()
    catalog.blocked.add(LAB.publisher)
    refused(catalog.offer(ONE, now=START), Reason.BLOCKED)
    refused(catalog.offer(LAB.head(), now=START), Reason.BLOCKED)


# Chains.


def test_a_revision_replaces_its_predecessor_and_a_replay_does_not() -> None:
    two = LAB.revise(ONE, "better")
    catalog = catalog_with(ONE, two)
    replay = catalog.offer(ONE, now=START)
    refused(replay, Reason.SUPERSEDED, ONE.id[:12], "revision 2 is current")
    assert catalog.offer(two, now=START).action is Action.DUPLICATE
    assert catalog.view()[catalog.accepted[ONE.id].chain] == two.id


def test_a_revision_without_its_predecessor_is_held() -> None:
    two = LAB.revise(ONE, "two")
    three = LAB.revise(two, "three")
    catalog = catalog_with(ONE)
    verdict = catalog.offer(three, now=START)
    assert (verdict.action, verdict.reason) == (Action.HOLD, Reason.MISSING_PREDECESSOR)
    assert verdict.awaits == two.id
    catalog.offer(two, now=START)
    assert catalog.offer(three, now=START).current


def test_a_revision_must_be_one_more_than_what_it_follows() -> None:
    jump = LAB.revise(ONE, "jump", revision=3)
    assert catalog_with(ONE).offer(jump, now=START).reason is Reason.MISSING_PREDECESSOR


def test_two_records_of_one_revision_are_a_fork_and_the_lower_id_is_shown() -> None:
    forks = sorted((LAB.revise(ONE, name) for name in ("a", "b")), key=lambda item: item.id)
    for order in (forks, forks[::-1]):
        catalog = catalog_with(ONE)
        verdicts = [catalog.offer(envelope, now=START) for envelope in order]
        assert [verdict.fork for verdict in verdicts] == [False, True]
        assert verdicts[1].current == (order[1] is forks[0])
        assert catalog.view()[catalog.accepted[ONE.id].chain] == forks[0].id
        assert {fork.id for fork in forks} <= catalog.accepted.keys()


def test_a_fork_of_an_older_revision_is_kept_and_not_shown() -> None:
    two = LAB.revise(ONE, "two")
    catalog = catalog_with(ONE, two, LAB.revise(two, "three"))
    verdict = catalog.offer(LAB.revise(ONE, "other two"), now=START)
    assert (verdict.action, verdict.fork, verdict.current) == (Action.ACCEPT, True, False)


def test_nobody_revises_anothers_dataset() -> None:
    other = Lab(2)
    catalog = catalog_with(ONE)
    catalog.offer(other.identity, now=START)
    theft = LAB.revise(ONE, "mine", by=other.online, publisher=other.publisher)
    refused(catalog.offer(theft, now=START), Reason.FOREIGN_CHAIN, LAB.publisher[:12])


@pytest.mark.parametrize("visibility", ["members", "private"])
def test_visibility_never_changes(visibility: str) -> None:
    policy = Policy(own=LAB.publisher)
    catalog = catalog_with(ONE, policy=policy)
    change = LAB.revise(ONE, "hidden", visibility=visibility)
    refused(catalog.offer(change, now=START), Reason.VISIBILITY_CHANGED, "public", visibility)


def test_a_withdrawal_ends_the_chain_in_its_scope() -> None:
    hidden = LAB.dataset("hidden", visibility="members")
    end = LAB.withdraw(hidden)
    catalog = catalog_with(hidden)
    verdict = catalog.offer(end, now=START)
    assert (verdict.action, verdict.scope) == (Action.ACCEPT, "members")
    assert isinstance(verdict.record, Withdrawal)
    again = Dataset.from_bytes(LAB.revise(hidden, "again").payload)
    again = replace(again, revision=3, previous=end.id)
    verdict = catalog.offer(seal(again.to_bytes(), [LAB.online]), now=START)
    refused(verdict, Reason.ALREADY_WITHDRAWN, end.id[:12])


def test_private_records_are_taken_from_ourselves_only() -> None:
    hidden = LAB.dataset(visibility="private")
    refused(catalog_with().offer(hidden, now=START), Reason.PRIVATE)
    own = catalog_with(policy=Policy(own=LAB.publisher))
    assert own.offer(hidden, now=START).scope == "private"


def test_node_records_are_a_chain_per_publisher() -> None:
    first = LAB.node()
    second = LAB.node(revision=2, previous=first.id, name="New name")
    catalog = catalog_with(first, second)
    assert catalog.offer(second, now=START).action is Action.DUPLICATE
    verdict = catalog.offer(LAB.node(name="Other"), now=START)
    assert (verdict.fork, verdict.current, verdict.scope) == (True, False, "public")


# Quota.


def test_the_quota_counts_records_and_keeps_room_for_withdrawals() -> None:
    catalog = catalog_with(ONE, policy=Policy(publisher_records_max=10))
    for number in range(8):
        assert catalog.offer(LAB.dataset(str(number)), now=START).action is Action.ACCEPT
    refused(catalog.offer(LAB.dataset("more"), now=START), Reason.QUOTA, "11 records", "10 records")
    assert catalog.offer(LAB.withdraw(ONE), now=START).action is Action.ACCEPT


def test_the_quota_counts_bytes() -> None:
    size = len(LAB.first.to_bytes()) + len(ONE.payload)
    catalog = catalog_with(ONE, policy=Policy(publisher_bytes_max=size))
    more = LAB.dataset("x")
    refused(catalog.offer(more, now=START), Reason.QUOTA, str(size + len(more.payload)), str(size))


# Heads.


def test_a_newer_head_replaces_and_an_older_one_is_a_replay() -> None:
    catalog = catalog_with()
    one, two = LAB.head(), LAB.head(sequence=2)
    assert catalog.offer(one, now=START).current
    assert catalog.offer(two, now=START).current
    refused(catalog.offer(one, now=START), Reason.REPLAYED_HEAD, "head 1", "head 2")
    assert catalog.offer(two, now=START).action is Action.DUPLICATE


def test_a_forged_head_is_refused() -> None:
    catalog = catalog_with(LAB.head())
    forged = replace(LAB.head(sequence=2), signatures=LAB.head().signatures)
    refused(catalog.offer(forged, now=START), Reason.BAD_SIGNATURE)
    strangers = LAB.head(sequence=2, by=key(66))
    assert catalog.offer(strangers, now=START).action is Action.HOLD
    assert catalog.heads[LAB.publisher, "public"].head.sequence == 1


def test_two_heads_of_one_sequence_are_a_fork_unless_they_say_the_same() -> None:
    plain, longer = LAB.head(), LAB.head(expires=START + 2_000)
    other = LAB.head(count=7)
    assert not catalog_with(plain).offer(longer, now=START).fork
    for one, two in ((plain, other), (other, plain)):
        catalog = catalog_with(one)
        verdict = catalog.offer(two, now=START)
        assert (verdict.action, verdict.fork) == (Action.ACCEPT, True)
        assert catalog.heads[LAB.publisher, "public"].id == min(one.id, two.id)


def test_scopes_have_heads_of_their_own() -> None:
    catalog = catalog_with(LAB.head(sequence=5))
    assert catalog.offer(LAB.head(scope="members"), now=START).current


def test_an_expired_head_is_taken_so_that_its_publisher_is_known_to_be_stale() -> None:
    assert catalog_with().offer(LAB.head(), now=START + 5_000).current


def test_a_head_from_the_future_is_refused() -> None:
    head = LAB.head(issued=START + 601, expires=START + 2_000)
    refused(catalog_with().offer(head, now=START), Reason.FUTURE)


def test_a_retired_key_signs_no_heads_and_its_heads_bind_nobody() -> None:
    catalog = catalog_with(LAB.head(sequence=limits.INTEGER_MAX))
    rotation = LAB.rotation(signed_by=LAB.recovery, online=[LAB.spare], added=[LAB.spare])
    old = catalog.heads[LAB.publisher, "public"]
    assert catalog.offer(rotation, now=START).action is Action.ACCEPT
    refused(catalog.offer(LAB.head(sequence=3), now=START), Reason.RETIRED_KEY)
    catalog.heads[LAB.publisher, "public"] = old  # Even where it is still remembered.
    assert catalog.offer(LAB.head(sequence=2, by=LAB.spare), now=START).current


def test_a_head_of_an_unknown_publisher_is_held() -> None:
    assert Catalog().offer(LAB.head(), now=START).reason is Reason.UNKNOWN_PUBLISHER


def test_the_caller_may_not_mix_heads_and_records_up() -> None:
    with pytest.raises(LocalProtocolError):
        admit(LAB.head(), None, None, policy=Policy(), now=START)
    with pytest.raises(LocalProtocolError):
        admit_head(ONE, None, None, policy=Policy(), now=START)


def test_admission_changes_nothing_it_is_given() -> None:
    catalog = catalog_with(ONE)
    candidate = examine(LAB.revise(ONE, "two"))
    assert not isinstance(candidate, Verdict)
    state, chain = catalog.state(LAB.publisher), catalog.chain(candidate)
    first = admit(candidate, state, chain, policy=Policy(), now=START)
    assert admit(candidate, state, chain, policy=Policy(), now=START) == first
    assert admit(candidate.envelope, state, chain, policy=Policy(), now=START) == first
