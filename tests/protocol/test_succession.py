import pytest

from protocol import limits
from protocol.admission import Action, Reason
from protocol.envelope import Envelope, seal
from protocol.records import Identity
from protocol.succession import Lineage
from tests.protocol.catalog import Catalog
from tests.protocol.lab import START, Lab, key, keys

LAB = Lab()
THIEF = key(66)
NEW = LAB.spare


def catalog_with(*envelopes: Envelope) -> Catalog:
    catalog = Catalog()
    for envelope in (LAB.identity, *envelopes):
        assert catalog.offer(envelope, now=START).action is Action.ACCEPT
    return catalog


def refusal(envelope: Envelope, catalog: Catalog | None = None) -> str:
    verdict = (catalog or catalog_with()).offer(envelope, now=START)
    assert verdict.action is Action.REJECT
    assert verdict.reason is Reason.BAD_SUCCESSION
    return verdict.detail


def test_the_first_record_names_the_publisher_and_all_its_keys_sign() -> None:
    lineage = catalog_with().lineages[LAB.publisher]
    assert lineage.publisher == LAB.identity.id
    assert lineage.identity == LAB.first
    assert lineage.online == {LAB.online.public: None}
    assert lineage.recovery == {LAB.recovery.public}
    one = seal(LAB.first.to_bytes(), [LAB.online])
    assert "the first by all its keys" in refusal(one, Catalog())
    more = seal(LAB.first.to_bytes(), [LAB.online, LAB.recovery, THIEF])
    assert "the first by all its keys" in refusal(more, Catalog())


def test_an_online_key_hands_over_to_a_new_one() -> None:
    rotation = LAB.rotation(signed_by=LAB.online, online=[NEW], added=[NEW], issued=START + 5)
    lineage = catalog_with(rotation).lineages[LAB.publisher]
    assert lineage.online == {LAB.online.public: START + 5, NEW.public: None}
    assert lineage.allows(LAB.online.public, START + 5)
    assert not lineage.allows(LAB.online.public, START + 6)
    assert lineage.allows(NEW.public, START)
    assert not lineage.allows(LAB.recovery.public, START)
    assert not lineage.forked


def test_every_added_key_signs_and_nobody_else() -> None:
    rule = "signed by signed_by and every key it adds"
    assert rule in refusal(LAB.rotation(signed_by=LAB.online, online=[LAB.online, NEW]))
    extra = LAB.rotation(signed_by=LAB.online, online=[LAB.online, NEW], added=[NEW, LAB.recovery])
    assert rule in refusal(extra)


def test_a_stranger_cannot_rotate() -> None:
    theft = LAB.rotation(signed_by=THIEF, online=[THIEF], added=[THIEF])
    assert "is no key of revision 1" in refusal(theft)


@pytest.mark.parametrize("recovery", [[THIEF], [LAB.recovery, THIEF]])
def test_an_online_key_cannot_touch_recovery_keys(recovery: list[object]) -> None:
    theft = LAB.rotation(
        signed_by=LAB.online,
        online=[LAB.online],
        recovery=recovery,  # type: ignore[arg-type]
        added=[THIEF],
    )
    assert "may not add or remove recovery keys" in refusal(theft)


def test_a_recovery_key_may_change_everything() -> None:
    fresh = key(7)
    change = LAB.rotation(
        signed_by=LAB.recovery, online=[NEW], recovery=[fresh], added=[NEW, fresh]
    )
    lineage = catalog_with(change).lineages[LAB.publisher]
    assert lineage.identity.dids("recovery") == {fresh.did}
    assert lineage.online[LAB.online.public] == START


def test_a_retired_key_never_returns() -> None:
    away = LAB.rotation(signed_by=LAB.online, online=[NEW], added=[NEW])
    back = LAB.rotation(
        signed_by=NEW, online=[LAB.online], added=[LAB.online], revision=3, previous=away.id
    )
    assert "a retired key never returns" in refusal(back, catalog_with(away))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"revision": 3}, "revision 3 after revision 1"),
        ({"issued": START - 1}, "lies before its predecessor's"),
    ],
)
def test_a_revision_follows_its_predecessor(changes: dict[str, object], rule: str) -> None:
    envelope = LAB.rotation(signed_by=LAB.online, online=[LAB.online], **changes)  # type: ignore[arg-type]
    assert rule in refusal(envelope)


def test_an_identity_of_another_publisher_says_nothing_about_this_one() -> None:
    record = Identity(
        publisher=Lab(2).publisher,
        revision=2,
        previous=LAB.publisher,
        issued=START,
        keys=keys(online=[LAB.online], recovery=[LAB.recovery]),
        signed_by=LAB.online.did,
    )
    envelope = seal(record.to_bytes(), [LAB.online])
    catalog = catalog_with()
    assert catalog.offer(envelope, now=START).reason is Reason.UNKNOWN_PUBLISHER
    catalog.offer(Lab(2).identity, now=START)
    assert catalog.offer(envelope, now=START).reason is Reason.MISSING_PREDECESSOR


def test_a_thief_cannot_fill_the_lineage_so_that_the_owner_has_no_room() -> None:
    catalog = catalog_with()
    reasons = []
    for number in range(limits.IDENTITY_RECORDS_MAX):
        fork = LAB.rotation(signed_by=LAB.online, online=[LAB.online], issued=START + number % 500)
        if number >= 500:
            fork = LAB.rotation(
                signed_by=LAB.online, online=[LAB.online, NEW], added=[NEW], issued=START + number
            )
        reasons.append(catalog.offer(fork, now=START + number).reason)
    assert reasons[-1] is Reason.QUOTA
    rescue = LAB.rotation(signed_by=LAB.recovery, online=[NEW], added=[NEW])
    assert catalog.offer(rescue, now=START).current


def test_an_identity_without_its_predecessor_is_held() -> None:
    away = LAB.rotation(signed_by=LAB.online, online=[NEW], added=[NEW])
    further = LAB.rotation(
        signed_by=NEW, online=[NEW, THIEF], added=[THIEF], revision=3, previous=away.id
    )
    catalog = catalog_with()
    verdict = catalog.offer(further, now=START)
    assert (verdict.action, verdict.awaits) == (Action.HOLD, away.id)
    catalog.offer_until_settled([further, away], now=START)
    assert catalog.lineages[LAB.publisher].identity.revision == 3


def test_online_keys_run_out_of_revisions_before_recovery_keys_do() -> None:
    catalog = catalog_with()
    previous = LAB.publisher
    for revision in range(2, 241):
        step = LAB.rotation(
            signed_by=LAB.online, online=[LAB.online], revision=revision, previous=previous
        )
        assert catalog.offer(step, now=START).action is Action.ACCEPT
        previous = step.id
    theft = LAB.rotation(signed_by=LAB.online, online=[LAB.online], revision=241, previous=previous)
    assert "revisions above 240 take a recovery key" in refusal(theft, catalog)
    rescue = LAB.rotation(
        signed_by=LAB.recovery, online=[NEW], added=[NEW], revision=241, previous=previous
    )
    assert catalog.offer(rescue, now=START).current


def test_a_recovery_key_wins_a_fork_whatever_the_ids_and_order() -> None:
    for number in range(67, 73):  # Ids fall either way round.
        thief = key(number)
        theft = LAB.rotation(signed_by=LAB.online, online=[thief], added=[thief])
        more = LAB.rotation(
            signed_by=thief, online=[thief, THIEF], added=[THIEF], revision=3, previous=theft.id
        )
        rescue = LAB.rotation(signed_by=LAB.recovery, online=[NEW], added=[NEW], issued=START + 9)
        for order in ([theft, more, rescue], [rescue, theft, more], [theft, rescue, more]):
            lineage = catalog_with(*order).lineages[LAB.publisher]
            assert lineage.current == rescue.id
            assert lineage.forked
            # What the losing branch named counts until the winner was issued, and no longer.
            assert lineage.online[thief.public] == START + 9
            assert lineage.online[THIEF.public] == START + 9
            assert lineage.online[NEW.public] is None


def test_the_lower_id_wins_a_fork_among_equals() -> None:
    forks = [
        LAB.rotation(signed_by=LAB.online, online=[item], added=[item])
        for item in (key(71), key(72))
    ]
    verdicts = [catalog_with(forks[0]).offer(forks[1], now=START)]
    verdicts += [catalog_with(forks[1]).offer(forks[0], now=START)]
    assert all(verdict.fork for verdict in verdicts)
    lower = min(fork.id for fork in forks)
    lineages = [verdict.lineage for verdict in verdicts if verdict.lineage is not None]
    assert [lineage.current for lineage in lineages] == [lower, lower]


def test_records_of_a_retired_key_stop_counting_and_so_does_what_follows_them() -> None:
    one = LAB.dataset("one")
    late = LAB.revise(one, "late", issued=START + 6)
    after = LAB.revise(late, "after", by=NEW, issued=START + 7)
    fresh = LAB.dataset("fresh", by=NEW, issued=START + 7)
    away = LAB.rotation(
        signed_by=LAB.online, online=[LAB.online, NEW], added=[NEW], issued=START + 5
    )
    gone = LAB.rotation(signed_by=NEW, online=[NEW], revision=3, previous=away.id, issued=START + 5)
    catalog = catalog_with(away, one, late, after, fresh)
    assert catalog.offer(gone, now=START).action is Action.ACCEPT
    assert catalog.accepted.keys() == {item.id for item in (LAB.identity, away, gone, one, fresh)}


def test_a_lineage_is_the_same_in_any_order() -> None:
    away = LAB.rotation(signed_by=LAB.online, online=[NEW], added=[NEW])
    catalog = catalog_with(away)
    records = list(catalog.lineages[LAB.publisher].records.items())
    assert Lineage.of(reversed(records)) == Lineage.of(records)
