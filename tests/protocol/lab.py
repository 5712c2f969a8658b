"""A publisher that signs records, for tests: honest, careless or with a thief in the house."""

from __future__ import annotations

from dataclasses import replace

from protocol.envelope import Envelope, seal
from protocol.identity import DatasetId, PublisherId, RecordId, SigningKey
from protocol.records import Dataset, Head, Identity, Key, NodeInfo, Withdrawal
from tests.protocol.test_dataset import DATASET

START = 1_790_000_000


def key(number: int) -> SigningKey:
    return SigningKey.from_seed(number.to_bytes(32, "big"))


def keys(*, online: list[SigningKey], recovery: list[SigningKey]) -> tuple[Key, ...]:
    return tuple(
        [Key(key=item.did, role="online") for item in online]
        + [Key(key=item.did, role="recovery") for item in recovery]
    )


class Lab:
    """One publisher with one online and one recovery key to begin with."""

    def __init__(self, number: int = 1, *, issued: int = START) -> None:
        self.online = key(1_000 * number)
        self.recovery = key(1_000 * number + 1)
        self.spare = key(1_000 * number + 2)
        self.first = Identity(
            revision=1,
            issued=issued,
            keys=keys(online=[self.online], recovery=[self.recovery]),
        )
        self.identity = seal(self.first.to_bytes(), [self.online, self.recovery])
        self.publisher: PublisherId = self.identity.id

    def rotation(
        self,
        *,
        signed_by: SigningKey,
        online: list[SigningKey],
        recovery: list[SigningKey] | None = None,
        added: list[SigningKey] | None = None,
        **changes: object,
    ) -> Envelope:
        """Return the identity of revision 2 (or as `changes` say), signed as it must be."""
        fields: dict[str, object] = {"revision": 2, "previous": self.publisher, "issued": START}
        fields |= changes
        record = Identity(
            publisher=self.publisher,
            keys=keys(online=online, recovery=[self.recovery] if recovery is None else recovery),
            signed_by=signed_by.did,
            **fields,  # type: ignore[arg-type]
        )
        signers = {signed_by.did: signed_by} | {item.did: item for item in added or []}
        return seal(record.to_bytes(), list(signers.values()))

    def dataset(
        self,
        name: str = "pores",
        *,
        issued: int = START,
        visibility: str = "public",
        by: SigningKey | None = None,
    ) -> Envelope:
        record = replace(
            DATASET, publisher=self.publisher, name=name, issued=issued, visibility=visibility
        )
        return seal(record.to_bytes(), [by or self.online])

    def revise(
        self, before: Envelope, name: str, *, by: SigningKey | None = None, **changes: object
    ) -> Envelope:
        old = Dataset.from_bytes(before.payload)
        record = replace(
            old,
            dataset=old.dataset or before.id,
            revision=old.revision + 1,
            previous=before.id,
            name=name,
        )
        record = replace(record, **changes)  # type: ignore[arg-type]
        return seal(record.to_bytes(), [by or self.online])

    def withdraw(self, before: Envelope, *, issued: int = START) -> Envelope:
        old = Dataset.from_bytes(before.payload)
        record = Withdrawal(
            publisher=self.publisher,
            dataset=old.dataset or before.id,
            revision=old.revision + 1,
            previous=before.id,
            issued=issued,
            reason="mislabelled",
        )
        return seal(record.to_bytes(), [self.online])

    def node(
        self, *, revision: int = 1, previous: RecordId | None = None, name: str = "Lab"
    ) -> Envelope:
        record = NodeInfo(
            publisher=self.publisher, revision=revision, previous=previous, issued=START, name=name
        )
        return seal(record.to_bytes(), [self.online])

    def head(self, *, by: SigningKey | None = None, **changes: object) -> Envelope:
        record = Head(
            publisher=self.publisher,
            issued=START,
            scope="public",
            sequence=1,
            count=0,
            root=DatasetId(self.publisher),
            expires=START + 1_000,
        )
        record = replace(record, **changes)  # type: ignore[arg-type]
        return seal(record.to_bytes(), [by or self.online])
