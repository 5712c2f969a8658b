from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.catalog import waiting
from node.catalog.views import Query, Viewer
from node.errors import NotFoundError
from protocol.envelope import Envelope
from protocol.records import Dataset, NodeInfo
from protocol.verdict import Policy
from tests.node.catalogs import NOW, Home, head_of, opened
from tests.protocol.catalog import Catalog as Reference
from tests.protocol.lab import START, Lab, key

LAB = Lab(1)
OTHER = Lab(2)


async def test_a_batch_in_any_order_goes_in_at_once(tmp_path: Path) -> None:
    first = LAB.dataset()
    second = LAB.revise(first, "again")
    head = head_of(LAB, LAB.identity, first, second)
    async with opened(tmp_path) as home:
        assert await home.actions(head, second, first, LAB.identity) == ["accept"] * 4
        assert await home.actions(second, head) == ["duplicate"] * 2
        assert (await home.catalog.completeness(LAB.publisher, "public")).complete


async def test_what_waits_goes_in_when_its_predecessor_comes(tmp_path: Path) -> None:
    chain = [LAB.dataset()]
    for number in range(5):
        chain.append(LAB.revise(chain[-1], f"revision {number}"))
    async with opened(tmp_path) as home:
        for envelope in reversed(chain):
            (outcome,) = await home.admit(envelope)
            assert (outcome.action, outcome.reason) == ("hold", "unknown-publisher")
        assert await home.actions(LAB.identity) == ["accept"]
        view = await home.catalog.dataset(chain[0].id)
        assert (view.revision, view.metadata.name) == (6, "revision 4")
        assert [revision.record for revision in view.revisions] == [item.id for item in chain]


async def test_what_waits_survives_a_restart(tmp_path: Path) -> None:
    first = LAB.dataset()
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, LAB.revise(first, "again"))
    async with opened(tmp_path) as home:
        await home.admit(first)
        assert (await home.catalog.dataset(first.id)).revision == 2


async def test_an_older_revision_changes_nothing_whoever_sends_it(tmp_path: Path) -> None:
    first = LAB.dataset()
    second = LAB.revise(first, "again")
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, first, second)
        (outcome,) = await home.admit(first, source="replayer")
        assert (outcome.action, outcome.reason) == ("reject", "superseded")
        assert (await home.catalog.dataset(first.id)).metadata.name == "again"
        (rejection,) = await home.catalog.rejections("replayer")
        assert (rejection.record, rejection.reason) == (first.id, "superseded")


async def test_a_wrong_signature_is_refused_also_on_a_record_that_is_held(tmp_path: Path) -> None:
    first = LAB.dataset()
    forged = replace(first, signatures={LAB.online.public: bytes(64)})
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, first)
        (outcome,) = await home.admit(forged, source="forger")
        assert (outcome.action, outcome.reason) == ("reject", "bad-signature")
        assert (await home.catalog.envelope(first.id)).signatures == first.signatures
        assert [item.reason for item in await home.catalog.rejections()] == ["bad-signature"]


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        (LAB.dataset(issued=NOW + 601), "future"),
        (LAB.dataset(by=key(99)), "unknown-key"),
        (LAB.dataset(by=LAB.recovery), "wrong-key-role"),
        (LAB.dataset(visibility="private"), "private"),
        (Envelope(payload_type="x", payload=b"{}", signatures={}), "wrong-payload-type"),
    ],
)
async def test_refusals_have_their_reasons_and_change_nothing(
    tmp_path: Path, envelope: Envelope, reason: str
) -> None:
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity)
        (outcome,) = await home.admit(envelope)
        assert outcome.reason == reason
        with pytest.raises(NotFoundError):
            await home.catalog.payload(envelope.id)
        assert len(await home.catalog.items(LAB.publisher, "public")) == 1


async def test_a_forged_head_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, head_of(LAB, LAB.identity))
        forged = LAB.head(by=OTHER.online, sequence=9)
        assert (await home.admit(forged))[0].reason == "unknown-key"
        replayed = LAB.head(sequence=1, issued=START - 5)
        await home.admit(LAB.head(sequence=5))
        assert (await home.admit(replayed))[0].reason == "replayed-head"
        head = (await home.catalog.completeness(LAB.publisher, "public")).head
        assert head is not None
        assert head.sequence == 5


async def test_of_a_fork_both_are_kept_and_the_lower_is_shown(tmp_path: Path) -> None:
    first = LAB.dataset()
    forks = sorted((LAB.revise(first, name) for name in ("b", "c", "d")), key=lambda e: e.id)
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, first)
        assert await home.actions(forks[1], forks[2], forks[0]) == ["accept"] * 3
        view = await home.catalog.dataset(first.id)
        assert (view.record, view.status) == (forks[0].id, "forked")
        assert view.publisher.forked
        assert {item.record for item in view.revisions} == {first.id, *(f.id for f in forks)}
        (hit,) = (await home.catalog.search(Query())).hits
        assert (hit.record, hit.status) == (forks[0].id, "forked")


async def test_a_withdrawn_dataset_is_hidden_from_search_alone(tmp_path: Path) -> None:
    first = LAB.dataset()
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, first)
        assert (await home.catalog.search(Query())).total == 1
        await home.admit(LAB.withdraw(first))
        assert (await home.catalog.search(Query())).total == 0
        view = await home.catalog.dataset(first.id)
        assert view.status == "withdrawn"
        assert view.withdrawal is not None
        assert view.withdrawal.reason == "mislabelled"
        assert view.metadata.name == "pores"
        assert await home.catalog.payload(first.id) == first.payload


async def test_a_publisher_at_its_quota_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.catalog._policy = Policy(publisher_records_max=2)
    assert await home.actions(LAB.identity, LAB.dataset("a")) == ["accept"] * 2
    assert [item.reason for item in await home.admit(LAB.dataset("b"))] == ["quota"]
    await home.close()


async def test_members_records_are_apart(tmp_path: Path) -> None:
    secret = LAB.dataset(visibility="members")
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, secret, LAB.dataset("open"), LAB.node())
        assert len(await home.catalog.items(LAB.publisher, "public")) == 3
        assert len(await home.catalog.items(LAB.publisher, "members")) == 1
        assert (await home.catalog.search(Query())).total == 1
        for viewer in (Viewer.MEMBER, Viewer.ADMIN):
            assert (await home.catalog.search(Query(viewer=viewer))).total == 2
        with pytest.raises(NotFoundError):
            await home.catalog.dataset(secret.id)
        assert (await home.catalog.dataset(secret.id, viewer=Viewer.MEMBER)).visibility == "members"


async def test_own_private_records_are_for_the_administrator(tmp_path: Path) -> None:
    private = LAB.dataset(visibility="private")
    async with opened(tmp_path, own=LAB) as home:
        assert await home.actions(LAB.identity, private) == ["accept"] * 2
        assert (await home.catalog.search(Query(viewer=Viewer.MEMBER))).total == 0
        assert (await home.catalog.search(Query(viewer=Viewer.ADMIN))).total == 1


async def test_records_of_a_stolen_key_stop_counting(tmp_path: Path) -> None:
    good = LAB.dataset("good", issued=START)
    bad = LAB.dataset("bad", issued=START + 20)
    follows = LAB.revise(bad, "worse", issued=START + 21)
    fresh = key(7)
    rotated = LAB.rotation(signed_by=LAB.recovery, online=[fresh], added=[fresh], issued=START + 10)
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, good, bad, follows, LAB.head(sequence=9))
        assert (await home.catalog.search(Query())).total == 2
        assert await home.actions(rotated) == ["accept"]
        (hit,) = (await home.catalog.search(Query())).hits
        assert hit.name == "good"
        with pytest.raises(NotFoundError):
            await home.catalog.dataset(bad.id)
        items = await home.catalog.items(LAB.publisher, "public")
        ids = {row.tobytes().hex() for row in items.ids}
        assert ids == {LAB.identity.id, good.id, rotated.id}
        assert (await home.catalog.completeness(LAB.publisher, "public")).head is None
        assert [item.reason for item in await home.admit(bad)] == ["retired-key"]
        view = await home.catalog.publisher(LAB.publisher)
        assert (view.records, view.datasets) == (3, 1)
        new_head = LAB.head(by=fresh, sequence=1, issued=START + 11)
        assert await home.actions(new_head) == ["accept"]


async def test_what_waits_for_a_key_goes_in_with_the_key(tmp_path: Path) -> None:
    fresh = key(7)
    later = LAB.dataset("later", by=fresh)
    rotated = LAB.rotation(signed_by=LAB.recovery, online=[fresh, LAB.online], added=[fresh])
    async with opened(tmp_path) as home:
        assert await home.actions(LAB.identity, later) == ["accept", "hold"]
        await home.admit(rotated)
        assert (await home.catalog.dataset(later.id)).metadata.name == "later"


async def test_rejections_are_a_bounded_ring_for_each_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "REJECTIONS_OF_SOURCE_MAX", 3)
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity)
        for number in range(5):
            forged = LAB.dataset(f"{number}", issued=NOW + 10_000 + number)
            await home.admit(forged, source="noisy")
        await home.admit(LAB.dataset(issued=NOW + 10_000), source="quiet")
        assert len(await home.catalog.rejections("noisy")) == 3
        assert len(await home.catalog.rejections("quiet")) == 1
        assert (await home.catalog.rejections())[0].source == "quiet"


async def test_one_source_cannot_crowd_out_what_waits_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "HELD_OF_SOURCE_MAX", 2)
    waits = LAB.dataset("waits")
    async with opened(tmp_path) as home:
        await home.admit(waits, source="honest")
        for number in range(4):
            await home.admit(OTHER.dataset(f"{number}"), source="flood")
        await home.admit(LAB.identity, OTHER.identity)
        names = {hit.name for hit in (await home.catalog.search(Query())).hits}
        assert names == {"waits", "2", "3"}


async def test_records_come_back_byte_for_byte(tmp_path: Path) -> None:
    first = LAB.dataset()
    head = head_of(LAB, LAB.identity, first)
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, first, head)
        for envelope in (LAB.identity, first, head):
            assert await home.catalog.payload(envelope.id) == envelope.payload
            assert await home.catalog.envelope(envelope.id) == envelope
        ids = [first.id, "00" * 32, LAB.identity.id]
        assert await home.catalog.envelopes(ids) == [first, LAB.identity]
        assert await home.catalog.heads("public") == [head]
        assert await home.catalog.heads("members") == []
        assert await home.catalog.head(LAB.publisher, "public") == head
        assert await home.catalog.head(OTHER.publisher, "public") is None
        assert await home.catalog.identities(LAB.publisher) == [LAB.identity]
        with pytest.raises(NotFoundError):
            await home.catalog.payload("00" * 32)


async def test_a_node_record_names_its_publisher(tmp_path: Path) -> None:
    node = LAB.node(name="Ries lab")
    renamed = LAB.node(revision=2, previous=node.id, name="Lelek lab")
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, node, LAB.dataset())
        assert (await home.catalog.publisher(LAB.publisher)).name == "Ries lab"
        assert (await home.catalog.search(Query(text="ries"))).total == 1
        await home.admit(renamed)
        assert (await home.catalog.publisher(LAB.publisher)).name == "Lelek lab"
        assert (await home.catalog.search(Query(text="ries"))).total == 0
        assert (await home.catalog.search(Query(text="lelek"))).hits[
            0
        ].publisher_name == "Lelek lab"
        known = NodeInfo.from_bytes(renamed.payload)
        assert await home.catalog.node_record(LAB.publisher) == (renamed.id, known)
        assert await home.catalog.node_record(OTHER.publisher) is None


async def test_completeness_is_said_against_the_head(tmp_path: Path) -> None:
    first, second = LAB.dataset("a"), LAB.dataset("b")
    head = head_of(LAB, LAB.identity, first, second)
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, first, head)
        told = await home.catalog.completeness(LAB.publisher, "public")
        assert (told.count, told.missing, told.complete, told.stale) == (2, 1, False, False)
        await home.admit(second)
        assert (await home.catalog.completeness(LAB.publisher, "public")).complete
        assert told.head is not None
        home.now = told.head.expires
        assert (await home.catalog.completeness(LAB.publisher, "public")).stale
        assert (await home.catalog.publisher(LAB.publisher)).completeness.stale
        nobody = await home.catalog.completeness(OTHER.publisher, "public")
        assert (nobody.count, nobody.head, nobody.complete) == (0, None, False)


def _world() -> list[Envelope]:
    """Return honest, careless and thievish records of two labs."""
    made = []
    for lab in (LAB, OTHER):
        fresh, thief = key(100), key(101)
        first, stolen = lab.dataset("a"), lab.dataset("b", issued=START + 20)
        second = lab.revise(first, "c", issued=START + 5)
        fork = lab.revise(first, "d", issued=START + 25)
        node = lab.node()
        made += [
            lab.identity,
            first,
            second,
            fork,
            stolen,
            lab.withdraw(stolen, issued=START + 21),
            lab.withdraw(second, issued=START + 6),
            node,
            lab.node(revision=2, previous=node.id, name="new"),
            lab.rotation(signed_by=lab.online, online=[thief], added=[thief], issued=START + 2),
            lab.rotation(
                signed_by=lab.recovery,
                online=[fresh, lab.online],
                added=[fresh],
                issued=START + 15,
            ),
            lab.rotation(signed_by=lab.recovery, online=[fresh], added=[fresh], issued=START + 10),
            lab.dataset("thief", by=thief, issued=START + 3),
            lab.dataset("fresh", by=fresh, issued=START + 16),
            lab.head(sequence=2),
            lab.head(sequence=3, by=fresh, count=1),
        ]
    return made


WORLD = _world()


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(WORLD), cuts=st.lists(st.integers(1, 9), min_size=40, max_size=40))
async def test_whatever_the_order_the_catalog_ends_as_the_rules_say(
    tmp_path_factory: pytest.TempPathFactory, order: list[Envelope], cuts: list[int]
) -> None:
    reference = Reference()
    reference.offer_until_settled(WORLD, now=NOW)
    async with opened(tmp_path_factory.mktemp("home")) as home:
        for _ in range(3):
            rest, sizes = list(order), iter(cuts)
            while rest:
                size = next(sizes)
                await home.admit(*rest[:size])
                rest = rest[size:]
        for lab in (LAB, OTHER):
            items = await home.catalog.items(lab.publisher, "public")
            ids = {row.tobytes().hex() for row in items.ids}
            assert ids == {
                item.id for item in reference.accepted.values() if item.publisher == lab.publisher
            }
            state = reference.state(lab.publisher)
            assert state is not None
            assert (await home.catalog.publisher(lab.publisher)).records == state.records
        shown = {
            chain.id: record
            for chain, record in reference.view().items()
            if chain.kind == "dataset"
        }
        for dataset, record in shown.items():
            assert (await home.catalog.dataset(dataset)).record == record
        current = {
            dataset
            for dataset, record in shown.items()
            if isinstance(reference.accepted[record].record, Dataset)
        }
        hits = (await home.catalog.search(Query(limit=100))).hits
        assert {hit.dataset for hit in hits} == current
        heads = {envelope.id for envelope in await home.catalog.heads("public")}
        assert heads == {known.id for known in reference.heads.values()}
