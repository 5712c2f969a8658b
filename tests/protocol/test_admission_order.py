"""Whatever records exist and in whatever order they come in, catalogs end up the same."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from protocol.admission import Action, ChainKey, Verdict
from protocol.envelope import Envelope
from protocol.identity import SigningKey
from protocol.records import Dataset, Identity, type_of
from tests.protocol.catalog import Catalog
from tests.protocol.lab import START, Lab, key

LABS = (Lab(1), Lab(2))
KEYS = tuple(key(number) for number in range(100, 106))
times = st.integers(START, START + 30)


class World(RuleBasedStateMachine):
    """Honest, careless and thievish records; two catalogs hear of them in different orders."""

    datasets = Bundle("datasets")
    identities = Bundle("identities")

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, Envelope] = {}
        self.near, self.far = Catalog(), Catalog()
        for lab in LABS:
            self._make(lab.identity)

    def _make(self, envelope: Envelope) -> Envelope:
        self.made[envelope.to_bytes().hex()] = envelope
        return envelope

    @rule(
        target=datasets,
        lab=st.sampled_from(LABS),
        by=st.none() | st.sampled_from(KEYS),
        name=st.sampled_from("ab"),
        issued=times,
    )
    def publish(self, lab: Lab, by: SigningKey | None, name: str, issued: int) -> Envelope:
        return self._make(lab.dataset(name, by=by, issued=issued))

    @rule(
        target=datasets,
        before=datasets,
        lab=st.sampled_from(LABS),
        by=st.none() | st.sampled_from(KEYS),
        name=st.sampled_from("ab"),
        issued=times,
    )
    def revise(
        self, before: Envelope, lab: Lab, by: SigningKey | None, name: str, issued: int
    ) -> Envelope:
        old = Dataset.from_bytes(before.payload)
        assert isinstance(old, Dataset)
        return self._make(lab.revise(before, name, by=by, issued=issued, publisher=lab.publisher))

    @rule(before=datasets, lab=st.sampled_from(LABS), issued=times)
    def withdraw(self, before: Envelope, lab: Lab, issued: int) -> None:
        self._make(lab.withdraw(before, issued=issued))

    @rule(lab=st.sampled_from(LABS), name=st.sampled_from("ab"))
    def introduce(self, lab: Lab, name: str) -> None:
        first = self._make(lab.node(name=name))
        self._make(lab.node(revision=2, previous=first.id, name=name))

    @rule(
        target=identities,
        lab=st.sampled_from(LABS),
        by_recovery=st.booleans(),
        new=st.sampled_from(KEYS),
        keep=st.booleans(),
        issued=times,
    )
    def rotate(
        self, lab: Lab, *, by_recovery: bool, new: SigningKey, keep: bool, issued: int
    ) -> tuple[Lab, Envelope, SigningKey]:
        signed_by = lab.recovery if by_recovery else lab.online
        online = [new, lab.online] if keep else [new]
        envelope = lab.rotation(signed_by=signed_by, online=online, added=[new], issued=issued)
        return lab, self._make(envelope), new

    @rule(before=identities, by_recovery=st.booleans(), new=st.sampled_from(KEYS), issued=times)
    def rotate_again(
        self,
        before: tuple[Lab, Envelope, SigningKey],
        *,
        by_recovery: bool,
        new: SigningKey,
        issued: int,
    ) -> None:
        lab, envelope, held = before
        self._make(
            lab.rotation(
                signed_by=lab.recovery if by_recovery else held,
                online=[new],
                added=[] if new is held else [new],
                revision=3,
                previous=envelope.id,
                issued=issued,
            )
        )

    @rule(lab=st.sampled_from(LABS), count=st.integers(0, 1), sequence=st.integers(1, 3))
    def sign_head(self, lab: Lab, count: int, sequence: int) -> None:
        self._make(lab.head(count=count, sequence=sequence))

    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        catalog = data.draw(st.sampled_from([self.near, self.far]))
        envelope = data.draw(st.sampled_from(sorted(self.made)))
        self._offer(catalog, self.made[envelope])

    @rule(data=st.data(), place=st.floats(0, 0.999), bit=st.integers(0, 7))
    def forge(self, data: st.DataObject, place: float, bit: int) -> None:
        honest = self.made[data.draw(st.sampled_from(sorted(self.made)))]
        payload = bytearray(honest.payload)
        payload[int(place * len(payload))] ^= 1 << bit
        forged = Envelope(
            payload_type=honest.payload_type,
            payload=bytes(payload),
            signatures=honest.signatures,
        )
        before = (dict(self.near.accepted), dict(self.near.heads))
        assert self._offer(self.near, forged).action is Action.REJECT
        assert (self.near.accepted, self.near.heads) == before

    @staticmethod
    def _offer(catalog: Catalog, envelope: Envelope) -> Verdict:
        shown = catalog.view()
        verdict = catalog.offer(envelope, now=START + 30)
        if verdict.lineage is None:
            # Only a change of keys can take a revision back; no record can.
            for chain, record in catalog.view().items():
                was = catalog.accepted[shown[chain]] if chain in shown else None
                now = catalog.accepted[record]
                assert was is None or Catalog.revision(now) >= Catalog.revision(was)
        return verdict

    @invariant()
    def everything_accepted_is_signed_by_a_key_that_counts(self) -> None:
        for catalog in (self.near, self.far):
            for candidate in catalog.accepted.values():
                lineage = catalog.lineages[candidate.publisher]
                signers = candidate.envelope.signers(candidate.envelope.signatures)
                assert signers == candidate.envelope.signatures.keys()
                if isinstance(candidate.record, Identity):
                    assert candidate.id in lineage.records
                else:
                    assert lineage.allows(candidate.signer, candidate.record.issued)

    @invariant()
    def every_chain_is_whole(self) -> None:
        for candidate in self.near.accepted.values():
            previous = candidate.record.previous  # type: ignore[union-attr]
            assert previous is None or previous in self.near.accepted

    def teardown(self) -> None:
        envelopes = list(self.made.values())
        fresh = Catalog()
        for catalog, order in (
            (self.near, envelopes),
            (self.far, envelopes[::-1]),
            (fresh, sorted(envelopes, key=lambda item: item.id)),
        ):
            catalog.offer_until_settled(order, now=START + 30)
        assert self.near.accepted.keys() == self.far.accepted.keys() == fresh.accepted.keys()
        assert self.near.view() == self.far.view() == fresh.view()
        assert self.near.lineages == self.far.lineages == fresh.lineages
        assert self.near.heads == self.far.heads == fresh.heads


World.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestWorld = World.TestCase


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_history_with_a_theft_settles_the_same_in_any_order(random: object) -> None:
    lab, thief = LABS[0], KEYS[0]
    one = lab.dataset("one")
    two = lab.revise(one, "two")
    theft = lab.rotation(signed_by=lab.online, online=[thief], added=[thief])
    loot = lab.revise(two, "loot", by=thief, issued=START + 20)
    rescue = lab.rotation(
        signed_by=lab.recovery, online=[lab.spare], added=[lab.spare], issued=START + 10
    )
    three = lab.revise(two, "three", by=lab.spare, issued=START + 20)
    history = [lab.identity, one, two, theft, loot, rescue, three]
    random.shuffle(history)  # type: ignore[attr-defined]
    catalog = Catalog()
    catalog.offer_until_settled(history, now=START + 30)
    assert catalog.accepted.keys() == {item.id for item in history} - {loot.id}
    assert catalog.view()[ChainKey(kind="dataset", id=one.id)] == three.id
    assert {type_of(item.record) for item in catalog.accepted.values()} == {"dataset", "identity"}
