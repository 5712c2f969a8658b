"""What other nodes ask about: which records and blobs are whose, and what was refused from whom."""

from collections.abc import Callable, Iterable, Sequence

import sqlite_utils

from node.catalog.records import chain_name, read_envelopes
from node.catalog.waiting import note_rejections
from node.storage.database import Database
from protocol.envelope import Envelope
from protocol.errors import SizeLimitError
from protocol.identity import DigestHex
from protocol.records import Identity
from protocol.succession import Lineage
from protocol.verdict import Action, ChainKey, Reason, Verdict

__all__ = ["Serving"]

_VARIABLES_MAX = 500


class Serving:
    """Questions of peers, answered from the rows of the catalog.

    Args:
        db: The home's database.
        clock: The seconds since 1970.
    """

    def __init__(self, db: Database, *, clock: Callable[[], int]) -> None:
        self._db = db
        self._clock = clock

    async def scopes(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return publisher and scope of those records that are here, by record id."""
        return await self._db.read(lambda db: _scopes(db, ids))

    async def missing(self, ids: Sequence[str]) -> list[str]:
        """Return those of the record ids that are not here, in their order."""
        known = await self.scopes(ids)
        return [record for record in ids if record not in known]

    async def node_record(self, publisher: str) -> Envelope | None:
        """Return the newest node record of a publisher."""
        chain = await self._db.read(lambda db: _chain(db, "node", publisher))
        return chain[-1] if chain else None

    async def online_keys(self, publisher: str) -> frozenset[bytes]:
        """Return the raw keys that speak for a publisher now; none if it is unknown."""
        envelopes = await self._db.read(lambda db: _chain(db, "identity", publisher))
        if not envelopes:
            return frozenset()
        records = [(item.id, Identity.from_bytes(item.payload)) for item in envelopes]
        online = Lineage.of(records).online
        return frozenset(key for key, retired in online.items() if retired is None)

    async def is_blocked(self, publisher: str) -> bool:
        """Say whether an administrator has blocked this publisher."""
        sql = "select blocked from publishers where id = ?"
        row = await self._db.read(lambda db: db.execute(sql, [publisher]).fetchone())
        return row is not None and bool(row[0])

    async def public_blobs(self) -> set[str]:
        """Return every blob that a public dataset names, now or in its history."""
        sql = """select distinct blob from dataset_blobs join datasets on datasets.seq = dataset
                 where visibility = 'public'"""
        return await self._db.read(lambda db: {row[0].hex() for row in db.execute(sql)})

    async def thumbnails(self) -> dict[str, str]:
        """Return the pictures of current datasets, and one record that names each."""
        sql = """select blob, records.id from dataset_blobs
                 join datasets on datasets.seq = dataset
                 join records on records.seq = datasets.current
                 where dataset_blobs.current and kind = 'thumbnail'"""
        return await self._db.read(lambda db: {row[0].hex(): row[1] for row in db.execute(sql)})

    async def note_refusal(self, source: str, error: BaseException | None, *, what: str) -> None:
        """Write down that a peer's message could not be read, for the page of that peer."""
        reason = Reason.TOO_LARGE if isinstance(error, SizeLimitError) else Reason.MALFORMED
        verdict = Verdict(
            action=Action.REJECT, reason=reason, detail=f"{what}: {error}", id=DigestHex("")
        )
        origin = (source, self._clock())
        await self._db.write(lambda db: note_rejections(db, [verdict], origin=origin))


def _scopes(db: sqlite_utils.Database, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for part in _parts(ids):
        marks = ",".join("?" * len(part))
        rows = db.execute(
            f"""select records.id, publishers.id, scope from records
                join publishers on publishers.seq = records.publisher
                where records.id in ({marks})""",
            part,
        )
        found |= {row[0]: (row[1], row[2]) for row in rows}
    return found


def _chain(db: sqlite_utils.Database, kind: str, publisher: str) -> list[Envelope]:
    name = chain_name(ChainKey(kind=kind, id=DigestHex(publisher)))
    # Of two records of one revision the lower id counts more, so it comes last.
    rows = db.execute(
        "select id from records where chain = ? and counts order by revision, id desc", [name]
    )
    return read_envelopes(db, [row[0] for row in rows])


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _VARIABLES_MAX] for start in range(0, len(ids), _VARIABLES_MAX))
