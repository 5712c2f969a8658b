"""What this node says as a publisher: records sealed, admitted like anybody's, and summed up.

Every change is decided under one lock of the home, by whichever process makes it. A record and the
head that counts it are admitted in one transaction. Before that, a draft keeps its sealed record:
whoever finds it after a crash publishes this very record and never a second one.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from node import __version__
from node.catalog.catalog import Catalog
from node.catalog.views import DatasetView, Viewer
from node.config import Config
from node.errors import ConflictError, ForbiddenError, InputError, NodeError, NotFoundError
from node.lock import FileLock
from node.publishing.drafts import Draft, Drafts, draft_of
from node.publishing.keyring import Keyring
from node.publishing.marks import HeadMarks
from protocol import limits
from protocol.dataset import Dataset
from protocol.envelope import Envelope, seal
from protocol.errors import LocalProtocolError
from protocol.head import next_head
from protocol.identity import DatasetId, DigestHex, RecordId
from protocol.records import Head, NodeInfo, Withdrawal

__all__ = ["Published", "Publishing"]

SCOPES = ("public", "members")
SOURCE = "self"
LOCK_FILE = "publish.lock"
MARKS_FILE = "published.json"
LOCK_TIMEOUT_S = 60.0
LOCK_POLL_S = 0.02
HEAD_CHECK_S = 300.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A revision that is out."""

    dataset: DatasetId
    record: RecordId
    revision: int
    visibility: str


class Publishing:
    """Signs for the publisher of this home.

    Args:
        config: Says who runs the node, and where the home is.
        keyring: Signs.
        catalog: Takes the records.
        drafts: What datasets are made of.
        clock: Gives whole seconds since 1970.
    """

    def __init__(
        self,
        config: Config,
        keyring: Keyring,
        *,
        catalog: Catalog,
        drafts: Drafts,
        clock: Callable[[], int],
    ) -> None:
        self._config = config
        self._keyring = keyring
        self._catalog = catalog
        self._drafts = drafts
        self._clock = clock
        self._marks = HeadMarks(config.home / MARKS_FILE, key=keyring.signer.did)

    async def publish(self, ref: str) -> Published:
        """Publish a draft, named by its id or by its dataset's.

        Raises:
            NotFoundError: There is no such draft.
            InputError: Mandatory fields are missing (all are named), or a field breaks a limit.
            ConflictError: The dataset was withdrawn, or another process changed the draft.
        """
        async with self._locked():
            try:
                draft = await self._drafts.get(ref)
            except NotFoundError as error:
                raise await self._why_no_draft(ref, error) from None
            return await self._publish(draft)

    async def revise(self, ref: str) -> Draft:
        """Return the draft of a published dataset's next revision; it is made if there is none.

        Raises:
            NotFoundError: There is no such dataset.
            ForbiddenError: It is another publisher's.
            ConflictError: It was withdrawn.
        """
        view = await self._own(ref)
        draft = await self._drafts.of_dataset(view.dataset)
        if draft is not None:
            return draft
        metadata, samples = draft_of(view.metadata)
        return await self._drafts.add(metadata, samples, dataset=view.dataset)

    async def withdraw(self, ref: str, reason: str, *, successor: str | None = None) -> Published:
        """End a dataset; its draft, if there is one, goes with it.

        Raises:
            NotFoundError: There is no such dataset, or no such successor.
            ForbiddenError: It is another publisher's.
            ConflictError: It was withdrawn before.
            InputError: The reason is empty or too long.
        """
        async with self._locked():
            view = await self._own(ref)
            following = None
            if successor is not None:
                _, found = await self._catalog.resolve(successor, kinds=("dataset",))
                following = DatasetId(DigestHex(found))
            record = Withdrawal(
                publisher=self._keyring.publisher,
                dataset=DigestHex(view.dataset),
                revision=view.revision + 1,
                previous=DigestHex(view.record),
                issued=max(self._clock(), view.issued),
                reason=reason.strip(),
                successor=following,
            )
            envelope = self._seal(record)
            await self._admit(envelope, view.visibility)
            draft = await self._drafts.of_dataset(view.dataset)
            if draft is not None:
                await self._drafts.remove(draft.id)
            return Published(
                dataset=record.dataset,
                record=envelope.id,
                revision=record.revision,
                visibility=view.visibility,
            )

    async def publish_node_info(self, urls: tuple[str, ...]) -> bool:
        """Say who runs this node and where it answers, if that is news. Return whether it was."""
        async with self._locked():
            await self._admit_identity()
            publisher = self._keyring.publisher
            wanted = NodeInfo(
                publisher=publisher,
                revision=1,
                issued=self._clock(),
                name=self._config.name or f"Locmesh node {publisher[:8]}",
                institution=self._config.institution,
                contact=self._config.contact,
                urls=urls,
                software=f"locmesh {__version__}",
            )
            current = await self._catalog.node_record(publisher)
            if current is not None:
                record_id, known = current
                if _without_chain(known) == _without_chain(wanted):
                    return False
                wanted = dataclasses.replace(
                    wanted,
                    revision=known.revision + 1,
                    previous=DigestHex(record_id),
                    issued=max(wanted.issued, known.issued),
                )
            await self._admit(self._seal(wanted), "public")
            return True

    async def repair(self) -> None:
        """Finish what an interrupted process began, and make the heads count what is there."""
        async with self._locked():
            await self._admit_identity()
            for draft in await self._drafts.list():
                if draft.envelope is not None:
                    try:
                        await self._publish(draft)
                    except NodeError:
                        _logger.exception("draft %s could not be published", draft.id[:8])
            for scope in SCOPES:
                await self._resign_head(scope)

    async def resign_head(self, scope: str) -> bool:
        """Sign a new head if the present one is wrong or soon at its end. Return whether."""
        async with self._locked():
            return await self._resign_head(scope)

    async def run(self) -> None:
        """Keep the heads right and fresh while the node runs, until cancelled."""
        while True:
            try:
                await self.repair()
            except NodeError:
                _logger.exception("could not sign a new head")
            await asyncio.sleep(HEAD_CHECK_S)

    async def _publish(self, draft: Draft) -> Published:
        """Publish a draft while holding the lock."""
        await self._admit_identity()
        envelope = draft.envelope
        if envelope is None:
            record = await self._revision_of(draft)
            envelope = self._seal(record)
            await self._drafts.seal(draft, envelope)
        else:
            record = Dataset.from_bytes(envelope.payload)
        try:
            await self._admit(envelope, record.visibility)
        except ConflictError:
            await self._drafts.unseal(draft.id)
            raise
        await self._drafts.remove(draft.id)
        return Published(
            dataset=record.dataset or envelope.id,
            record=envelope.id,
            revision=record.revision,
            visibility=record.visibility,
        )

    async def _why_no_draft(self, ref: str, error: NotFoundError) -> NodeError:
        try:
            view = await self._own(ref)
        except NodeError:
            return error
        return ConflictError(
            f"dataset {view.dataset[:8]} is published as it is; change something first: "
            f"locmesh edit {view.dataset[:8]}"
        )

    async def _revision_of(self, draft: Draft) -> Dataset:
        missing = draft.missing()
        if missing:
            raise InputError(
                f"draft {draft.id[:8]} cannot be published yet; still missing: {', '.join(missing)}"
            )
        said = draft.metadata
        first = Dataset(
            publisher=self._keyring.publisher,
            revision=1,
            issued=self._clock(),
            visibility=said.visibility,
            name=said.name,
            description=said.description,
            authors=said.authors,
            uploaded_by=said.uploaded_by,
            contact=said.contact,
            license=said.license,
            tags=said.tags,
            documentation=said.documentation,
            citation=said.citation,
            doi=said.doi,
            funding=said.funding,
            links=said.links,
            samples=draft.described_samples(),
            views=draft.described_views(),
        )
        if draft.dataset is None:
            return first
        view = await self._own(draft.dataset)
        if said.visibility != view.visibility:
            raise InputError(
                f"dataset {view.dataset[:8]} was published as {view.visibility}, which is fixed; "
                f"publish a new dataset to make it {said.visibility}"
            )
        return dataclasses.replace(
            first,
            dataset=DigestHex(view.dataset),
            revision=view.revision + 1,
            previous=DigestHex(view.record),
            issued=max(first.issued, view.issued),
        )

    async def _own(self, ref: str) -> DatasetView:
        _, dataset = await self._catalog.resolve(ref, kinds=("dataset",))
        view = await self._catalog.dataset(dataset, viewer=Viewer.ADMIN)
        if view.publisher.id != self._keyring.publisher:
            raise ForbiddenError(
                f"dataset {view.dataset[:8]} was published by {view.publisher.name}; only its "
                "publisher can change it"
            )
        if view.withdrawal is not None:
            raise ConflictError(f"dataset {view.dataset[:8]} was withdrawn; nothing can follow")
        return view

    def _seal(self, record: Dataset | Withdrawal | NodeInfo | Head) -> Envelope:
        try:
            return seal(record.to_bytes(), [self._keyring.signer])
        except LocalProtocolError as error:
            raise InputError(f"this cannot be published: {error}") from error

    async def _admit(self, envelope: Envelope, visibility: str) -> None:
        """Admit a record of ours together with the head that counts it."""
        offered = [envelope]
        if visibility in SCOPES:
            offered.append(await self._head(visibility, with_record=envelope))
        outcome = (await self._catalog.admit(offered, source=SOURCE))[0]
        await self._mark(visibility)
        # A later revision may be here already, when an earlier process got this far and no further.
        if outcome.action not in {"accept", "duplicate"} and outcome.reason != "superseded":
            await self._resign_head(visibility)
            raise ConflictError(f"record {envelope.id[:8]} was refused: {outcome.detail}")

    async def _admit_identity(self) -> None:
        """Make sure that the catalog knows our keys: it may be new, or they may be."""
        identity = self._keyring.identity
        known = await self._catalog.identities(self._keyring.publisher)
        if identity.id not in {envelope.id for envelope in known}:
            outcome = (await self._catalog.admit([identity], source=SOURCE))[0]
            if outcome.action != "accept":
                raise ConflictError(f"our own identity was refused: {outcome.detail}")

    async def _resign_head(self, scope: str) -> bool:
        if scope not in SCOPES:
            return False
        publisher = self._keyring.publisher
        completeness = await self._catalog.completeness(publisher, scope)
        head = completeness.head
        if head is None and completeness.count == 0:
            return False
        fresh_until = self._clock() + limits.HEAD_LIFETIME_S // 2
        if head is not None and completeness.complete and head.expires > fresh_until:
            return False
        await self._catalog.admit([await self._head(scope)], source=SOURCE)
        await self._mark(scope)
        return True

    async def _mark(self, scope: str) -> None:
        head = (await self._catalog.completeness(self._keyring.publisher, scope)).head
        if head is not None:
            self._marks.note(scope, head.sequence)

    async def _head(self, scope: str, *, with_record: Envelope | None = None) -> Envelope:
        """Seal the head of all records of a scope, one more among them if it is given."""
        publisher = self._keyring.publisher
        items = await self._catalog.items(publisher, scope)
        ids = {row.tobytes() for row in items.ids}
        if with_record is not None:
            ids.add(bytes.fromhex(with_record.id))
        newest = (await self._catalog.completeness(publisher, scope)).head
        signed, known = self._marks.sequence(scope), newest.sequence if newest else 0
        if known < signed:
            raise ConflictError(
                f"the catalog of this home ends at head {known}, but head {signed} was signed "
                "here; to publish from an older catalog would contradict what others have. Let it "
                "take the records back from a peer (locmesh peer add URL, then locmesh sync); if "
                f"nobody has them, remove {self._marks.path}"
            )
        now = max(self._clock(), newest.issued if newest else 0)
        return self._seal(next_head(newest, ids, publisher=publisher, scope=scope, now=now))

    @contextlib.asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Hold the home's publishing lock, against other processes and other tasks alike."""
        lock = FileLock(self._config.home / LOCK_FILE)
        end = time.monotonic() + LOCK_TIMEOUT_S
        while not lock.try_acquire():
            if time.monotonic() > end:
                raise ConflictError(
                    f"another process has been publishing from {self._config.home} for "
                    f"{LOCK_TIMEOUT_S:.0f} s; try again when it is done"
                )
            await asyncio.sleep(LOCK_POLL_S)
        try:
            yield
        finally:
            lock.release()


def _without_chain(info: NodeInfo) -> NodeInfo:
    return dataclasses.replace(info, revision=1, previous=None, issued=0)
