"""Datasets that are being prepared: rows of this home alone, until they are published."""

from __future__ import annotations

import dataclasses
import json
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlite_utils

from node.errors import AmbiguousError, ConflictError, InputError, NotFoundError
from node.publishing.metadata import Metadata, parse_metadata
from node.storage.database import Database
from protocol import limits
from protocol.dataset import Dataset, Sample, SavedView, read_samples
from protocol.envelope import Envelope
from protocol.errors import MalformedError
from protocol.payload import Fields, encode_json, plain

__all__ = ["Draft", "Drafts", "draft_of"]

PREFIX_LENGTH_MIN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A dataset in preparation.

    Attributes:
        dataset: The dataset whose next revision this is; None for a new dataset.
        envelope: The sealed record, once publishing it was decided.
    """

    id: str
    dataset: str | None
    metadata: Metadata
    samples: tuple[Sample, ...]
    created: int
    updated: int
    envelope: Envelope | None = None

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for sample in self.samples for file in sample.files)

    def described_samples(self) -> tuple[Sample, ...]:
        """Return the samples with what the metadata says about each."""
        descriptions = dict(self.metadata.samples)
        return tuple(
            dataclasses.replace(sample, description=descriptions.get(sample.name, ""))
            for sample in self.samples
        )

    def described_views(self) -> tuple[SavedView, ...]:
        """Return the saved views; one that names no sample looks at the first.

        Raises:
            InputError: One names a sample that is not there.
        """
        names = [sample.name for sample in self.samples]
        for view in self.metadata.views:
            if view.sample and view.sample not in names:
                raise InputError(
                    f"the view {view.name!r} looks at a sample {view.sample!r}, which is not "
                    f"there; there are {', '.join(names)}"
                )
        return tuple(
            dataclasses.replace(view, sample=view.sample or names[0])
            for view in self.metadata.views
        )

    def missing(self) -> list[str]:
        """Return what is still to be said before this can be published, with what sets it."""
        missing = self.metadata.missing()
        if not self.samples:
            missing.append("a sample (locmesh add FILE ...)")
        return missing


class Drafts:
    """The drafts of this home."""

    def __init__(self, db: Database, *, clock: Callable[[], int]) -> None:
        self._db = db
        self._clock = clock

    async def add(
        self, metadata: Metadata, samples: tuple[Sample, ...], *, dataset: str | None = None
    ) -> Draft:
        """Keep a new draft. The blobs of its samples are in place already.

        Raises:
            InputError: There is more to say about the samples than a record can hold.
            ConflictError: There is a draft of that dataset's next revision already.
        """
        _check_describable(samples)
        now = self._clock()
        draft = Draft(
            id=secrets.token_hex(16),
            dataset=dataset,
            metadata=metadata,
            samples=samples,
            created=now,
            updated=now,
        )

        def insert(db: sqlite_utils.Database) -> None:
            try:
                db.table("drafts").insert(_row(draft))
            except sqlite3.IntegrityError as error:
                raise ConflictError(
                    f"dataset {dataset} has a draft of its next revision already; edit that one"
                ) from error

        await self._db.write(insert)
        return draft

    async def get(self, ref: str) -> Draft:
        """Return the draft with this id, the first digits of it, or of its dataset.

        Raises:
            NotFoundError: There is none.
            AmbiguousError: There are several.
        """
        found = await self._db.read(lambda db: _matching(db, ref.lower()))
        if len(found) > 1:
            names = ", ".join(draft.id[:12] for draft in found)
            raise AmbiguousError(f"{ref} fits several drafts: {names}; give more digits")
        if not found:
            raise NotFoundError(f"there is no draft {ref}; `locmesh list` shows all")
        return found[0]

    async def of_dataset(self, dataset: str) -> Draft | None:
        """Return the draft of a dataset's next revision, if there is one."""
        found = await self._db.read(lambda db: _select(db, "dataset = ?", [dataset]))
        return found[0] if found else None

    async def list(self) -> list[Draft]:
        """Return all drafts, the last changed first."""
        return await self._db.read(lambda db: _select(db, "1", []))

    async def change(self, draft_id: str, edit: Callable[[Metadata], Metadata]) -> Draft:
        """Let `edit` change what is said about a draft, as it is by then, whoever else edits it.

        Raises:
            ConflictError: The draft is gone, or is being published.
        """

        def update(db: sqlite_utils.Database) -> Draft:
            found = _select(db, "id = ? and envelope is null", [draft_id])
            if not found:
                raise ConflictError(
                    f"draft {draft_id[:8]} is being published, or was published or removed in the "
                    "meantime; if `locmesh list` still shows it, publish it again"
                )
            draft = found[0]
            changed = dataclasses.replace(
                draft, metadata=edit(draft.metadata), updated=self._clock()
            )
            db.table("drafts").upsert(_row(changed), pk="id")
            return changed

        return await self._db.write(update)

    async def seal(self, draft: Draft, envelope: Envelope) -> None:
        """Keep the sealed record, from now on the only one that this draft can become.

        Raises:
            ConflictError: The draft was changed, published or removed since it was read.
        """

        def update(db: sqlite_utils.Database) -> bool:
            # Compared as read, not as written: how a row is spelled may change with the program.
            if _select(db, "id = ? and envelope is null", [draft.id]) != [draft]:
                return False
            db.table("drafts").update(draft.id, {"envelope": envelope.to_bytes()})
            return True

        if not await self._db.write(update):
            raise ConflictError(f"draft {draft.id[:8]} was changed in the meantime; publish again")

    async def unseal(self, draft_id: str) -> None:
        """Make a draft editable again whose sealed record was refused."""
        sql = "update drafts set envelope = null where id = ?"
        await self._db.write(lambda db: db.conn.execute(sql, [draft_id]))

    async def remove(self, draft_id: str) -> None:
        """Forget a draft; without effect if there is none."""
        sql = "delete from drafts where id = ?"
        await self._db.write(lambda db: db.conn.execute(sql, [draft_id]))

    async def blobs(self) -> set[str]:
        """Return the blobs that drafts refer to."""
        names: set[str] = set()
        for draft in await self.list():
            for sample in draft.samples:
                names.update(file.sha256 for file in sample.files)
                names.update(pyramid.sha256 for pyramid in sample.pyramids)
                if sample.thumbnail is not None:
                    names.add(sample.thumbnail.sha256)
        return names


def _check_describable(samples: tuple[Sample, ...]) -> None:
    """Refuse samples that could never be published, or not even be read again as a draft."""
    if not samples:
        return
    document = {"samples": [plain(sample) for sample in samples]}
    try:
        read_samples(Fields(document))
    except MalformedError as error:
        raise InputError(f"these files cannot be described in a record: {error}") from error
    size = len(encode_json(document))
    if size > limits.PAYLOAD_SIZE_MAX:
        count = sum(len(sample.files) for sample in samples)
        raise InputError(
            f"what was measured in these {count} files takes {size} bytes of a record, which has "
            f"at most {limits.PAYLOAD_SIZE_MAX}; add them as several datasets"
        )


def draft_of(dataset: Dataset) -> tuple[Metadata, tuple[Sample, ...]]:
    """Return what a published record says, as the start of its next revision."""
    document: Any = plain(dataset)
    names = [field.name for field in dataclasses.fields(Metadata)]
    given = {name: document[name] for name in names if name in document}
    given["samples"] = [
        {"name": sample.name, "description": sample.description}
        for sample in dataset.samples
        if sample.description
    ]
    given["views"] = [
        {"name": view.name, "sample": view.sample, "state": view.state} for view in dataset.views
    ]
    return Metadata().changed(parse_metadata(given)), dataset.samples


def _matching(db: sqlite_utils.Database, ref: str) -> list[Draft]:
    if len(ref) < PREFIX_LENGTH_MIN or not all(digit in "0123456789abcdef" for digit in ref):
        return []
    pattern = f"{ref}*"  # Only hex digits, so nothing in it is a wildcard.
    return _select(db, "id glob ? or dataset glob ?", [pattern, pattern])


def _select(db: sqlite_utils.Database, where: str, values: list[Any]) -> list[Draft]:
    sql = f"select * from drafts where {where} order by updated desc, id"
    return [_draft(row) for row in db.query(sql, values)]


def _row(draft: Draft) -> dict[str, Any]:
    samples = [plain(sample) for sample in draft.samples]
    return {
        "id": draft.id,
        "dataset": draft.dataset,
        "metadata": json.dumps(draft.metadata.to_json()),
        "samples": json.dumps(samples),
        "created": draft.created,
        "updated": draft.updated,
        "envelope": None if draft.envelope is None else draft.envelope.to_bytes(),
    }


def _draft(row: dict[str, Any]) -> Draft:
    samples = json.loads(row["samples"])
    return Draft(
        id=row["id"],
        dataset=row["dataset"],
        metadata=Metadata().changed(parse_metadata(json.loads(row["metadata"]))),
        samples=read_samples(Fields({"samples": samples})) if samples else (),
        created=row["created"],
        updated=row["updated"],
        envelope=None if row["envelope"] is None else Envelope.from_bytes(row["envelope"]),
    )
