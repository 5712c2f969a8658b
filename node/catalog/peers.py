"""Rows about other nodes: where they answer, whether they are trusted, and what they hold."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import sqlite_utils

from node.catalog.changes import note_change
from node.catalog.views import Reachability
from node.errors import AmbiguousError, ConflictError, NotFoundError
from node.storage.database import Database

__all__ = ["STATES", "Peer", "Peers"]

STATES = ("suggested", "approved", "blocked")
ERROR_LENGTH_MAX = 500
SUGGESTIONS_MAX = 1_000
_PREFIX_LENGTH_MIN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One address of another node; without `url`, a node that only dials in.

    `publisher` is None until the node has proved who it is. `source` says how we heard of it:
    operator, mdns, exchange or offer. `last_refusal` says why something of it was refused last.
    """

    id: int
    url: str | None
    publisher: str | None
    source: str
    state: str
    name: str
    institution: str
    added: int
    last_success: int | None
    last_error: str
    last_error_at: int | None
    last_refusal: str


class Peers:
    """The peers of this home.

    Args:
        db: The home's database.
        clock: The seconds since 1970.
    """

    def __init__(self, db: Database, *, clock: Callable[[], int]) -> None:
        self._db = db
        self._clock = clock

    async def add(
        self,
        url: str | None,
        *,
        source: str,
        state: str = "suggested",
        publisher: str | None = None,
    ) -> Peer:
        """Note an address or a publisher; adding twice is safe and never lowers its state.

        Raises:
            ConflictError: There are too many suggestions; approve, block or remove some.
        """
        assert state in STATES
        assert url is not None or publisher is not None
        fields = {"source": source, "state": state, "publisher": publisher}
        return await self._db.write(lambda db: _add(db, url, fields, now=self._clock()))

    async def list(self, state: str | None = None) -> tuple[Peer, ...]:
        """Return all peers, or those in one state, in the order in which they were added."""
        where = "true" if state is None else "state = ?"
        return await self._db.read(lambda db: _select(db, where, [] if state is None else [state]))

    async def get(self, ref: str) -> Peer:
        """Return the peer with that URL, publisher id, number, or 8+ first digits of the id.

        Raises:
            NotFoundError: There is none.
            AmbiguousError: Several publishers begin so.
        """
        return (await self._db.read(lambda db: _matching(db, ref)))[0]

    async def by_publisher(self, publisher: str) -> tuple[Peer, ...]:
        """Return the rows of one publisher: an address each."""
        return await self._db.read(lambda db: _select(db, "publisher = ?", [publisher]))

    async def is_approved(self, publisher: str) -> bool:
        """Say whether an administrator knows this publisher."""
        sql = "select 1 from peers where publisher = ? and state = 'approved'"
        return await self._db.read(lambda db: db.execute(sql, [publisher]).fetchone() is not None)

    async def approve(self, ref: str) -> tuple[Peer, ...]:
        """Trust a peer; with it, every other address of its publisher."""
        return await self._db.write(lambda db: _set_state(db, ref, "approved"))

    async def block(self, ref: str) -> tuple[Peer, ...]:
        """Refuse a peer and hide all that its publisher signed. What is stored stays."""
        return await self._db.write(lambda db: _set_state(db, ref, "blocked"))

    async def remove(self, ref: str) -> tuple[Peer, ...]:
        """Forget a peer, with all addresses of its publisher; its records stay."""
        return await self._db.write(lambda db: _remove(db, ref))

    async def identify(self, url: str, publisher: str) -> Peer:
        """Note which publisher proved to be the one who answers at a URL.

        The state of the publisher counts for the new address, too; a URL that was approved for
        one publisher is only a suggestion when another answers there.
        """
        return await self._db.write(lambda db: _identify(db, url, publisher))

    async def note_success(self, url: str) -> None:
        """Note that a contact has just gone well."""
        sql = "update peers set last_success = ?, last_error = '' where url = ?"
        now = self._clock()
        await self._db.write(lambda db: db.execute(sql, [now, url]))

    async def note_error(self, url: str, error: str) -> None:
        """Note in words why a contact has just failed."""
        sql = "update peers set last_error = ?, last_error_at = ? where url = ?"
        values = [error[:ERROR_LENGTH_MAX], self._clock(), url]
        await self._db.write(lambda db: db.execute(sql, values))

    async def note_reachability(
        self, publisher: str, *, via: str | None, reachable: bool, since: int
    ) -> bool:
        """Note whether a publisher answers, as `via` (None: we ourselves) sees it.

        Returns:
            Whether that is news.
        """
        row = [publisher, via or "", int(reachable), since]
        return await self._db.write(lambda db: _note_reachability(db, row))

    async def reachability(self, publisher: str) -> Reachability:
        """Return the newest word on whether a publisher answers; our own goes first."""
        return await self._db.read(lambda db: read_reachability(db, publisher))

    async def set_holdings(self, publisher: str, blobs: Iterable[str]) -> None:
        """Replace what is known of the blobs that a publisher's node holds."""
        held = {bytes.fromhex(blob) for blob in blobs}
        await self._db.write(lambda db: _set_holdings(db, publisher, held))

    async def change_holdings(
        self, publisher: str, *, added: Iterable[str] = (), removed: Iterable[str] = ()
    ) -> None:
        """Note blobs that a publisher's node has got or lost."""
        more = [(bytes.fromhex(blob), publisher) for blob in added]
        less = [(bytes.fromhex(blob), publisher) for blob in removed]
        await self._db.write(lambda db: _change_holdings(db, more, less))

    async def holdings(self, publisher: str) -> tuple[str, ...]:
        """Return the blobs that a publisher's node says it holds."""
        sql = "select blob from holdings where publisher = ?"
        return await self._db.read(
            lambda db: tuple(row[0].hex() for row in db.execute(sql, [publisher]))
        )

    async def holders(self, blob: str) -> tuple[str, ...]:
        """Return the publishers whose nodes say that they hold a blob."""
        sql = "select publisher from holdings where blob = ? order by publisher"
        digest = bytes.fromhex(blob)
        return await self._db.read(lambda db: tuple(row[0] for row in db.execute(sql, [digest])))


def read_reachability(db: sqlite_utils.Database, publisher: str) -> Reachability:
    """Return the newest word on whether a publisher answers; our own goes first."""
    sql = """select reachable, since, via from reachability where publisher = ?
             order by via = '' desc, since desc, via limit 1"""
    row = db.execute(sql, [publisher]).fetchone()
    if row is None:
        return Reachability(state="unknown")
    state = "reachable" if row[0] else "unreachable"
    return Reachability(state=state, since=row[1], via=row[2] or None)


def _add(db: sqlite_utils.Database, url: str | None, fields: dict[str, Any], *, now: int) -> Peer:
    publisher = fields["publisher"]
    if url is not None:
        known = _select(db, "peers.url = ?", [url])
    else:
        known = _select(db, "peers.publisher = ?", [publisher])
    # One state for all addresses of a publisher.
    states = [peer.state for peer in known + _of_publisher(db, publisher)]
    state = max([*states, fields["state"]], key=STATES.index)
    if not known:
        _check_room(db, state)
        row = {"url": url, "added": now} | fields | {"state": state}
        db.table("peers").insert(row)
        where, values = ("peers.url = ?", url) if url else ("peers.publisher = ?", publisher)
        return _select(db, where, [values])[0]
    peer = known[0]
    db.execute(
        # What the operator names may lie anywhere, though we heard of it from others before.
        """update peers set state = ?, publisher = coalesce(publisher, ?),
                            source = case when ? = 'operator' then 'operator' else source end
           where seq = ?""",
        [state, publisher, fields["source"], peer.id],
    )
    if publisher is not None:
        db.execute("update peers set state = ? where publisher = ?", [state, publisher])
    return _select(db, "peers.seq = ?", [peer.id])[0]


def _check_room(db: sqlite_utils.Database, state: str) -> None:
    # Strangers suggest themselves; an endless list of them would help nobody.
    count = db.execute("select count(*) from peers where state = 'suggested'").fetchone()[0]
    if state == "suggested" and count >= SUGGESTIONS_MAX:
        raise ConflictError(
            f"there are {count} suggested peers already; approve, block or remove some"
        )


def _select(db: sqlite_utils.Database, where: str, values: list[Any]) -> tuple[Peer, ...]:
    sql = f"""select peers.seq as id, url, publisher, source, state, peers.added,
                     last_success, last_error, last_error_at,
                     coalesce(publishers.name, '') as name,
                     coalesce(publishers.institution, '') as institution,
                     coalesce((select detail from rejections where source = peers.publisher
                               order by rejections.seq desc limit 1), '') as last_refusal
              from peers left join publishers on publishers.id = peers.publisher
              where {where} order by peers.seq"""
    return tuple(Peer(**row) for row in db.query(sql, values))


def _of_publisher(db: sqlite_utils.Database, publisher: str | None) -> tuple[Peer, ...]:
    return () if publisher is None else _select(db, "publisher = ?", [publisher])


def _matching(db: sqlite_utils.Database, ref: str) -> tuple[Peer, ...]:
    found = _select(db, "url = ? or publisher = ?", [ref, ref])
    if not found and ref.isdecimal() and len(ref) < _PREFIX_LENGTH_MIN:
        found = _select(db, "peers.seq = ?", [int(ref)])
    if not found and len(ref) >= _PREFIX_LENGTH_MIN:
        found = _select(db, "publisher >= ? and publisher < ?", [ref, ref + "g"])
    if not found:
        raise NotFoundError(f"there is no peer {ref!r}; `locmesh peer list` shows them all")
    if len({peer.publisher for peer in found}) > 1:
        raise AmbiguousError(f"several peers begin with {ref}; give more digits")
    return found


def _set_state(db: sqlite_utils.Database, ref: str, state: str) -> tuple[Peer, ...]:
    peer = _matching(db, ref)[0]
    if peer.publisher is None:
        db.execute("update peers set state = ? where seq = ?", [state, peer.id])
        return _select(db, "peers.seq = ?", [peer.id])
    db.execute("update peers set state = ? where publisher = ?", [state, peer.publisher])
    _set_blocked(db, peer.publisher, blocked=state == "blocked")
    return _of_publisher(db, peer.publisher)


def _set_blocked(db: sqlite_utils.Database, publisher: str, *, blocked: bool) -> None:
    row = db.execute("select seq, blocked from publishers where id = ?", [publisher]).fetchone()
    if row is not None and bool(row[1]) != blocked:
        db.execute("update publishers set blocked = ? where seq = ?", [int(blocked), row[0]])
        note_change(db, row[0])


def _remove(db: sqlite_utils.Database, ref: str) -> tuple[Peer, ...]:
    peer = _matching(db, ref)[0]
    gone = (peer,) if peer.publisher is None else _of_publisher(db, peer.publisher)
    for one in gone:
        db.execute("delete from peers where seq = ?", [one.id])
    if peer.publisher is not None:
        _set_blocked(db, peer.publisher, blocked=False)
        db.execute("delete from holdings where publisher = ?", [peer.publisher])
        db.execute("delete from reachability where publisher = ?", [peer.publisher])
        db.execute("delete from reachability where via = ?", [peer.publisher])
    return gone


def _identify(db: sqlite_utils.Database, url: str, publisher: str) -> Peer:
    known = _select(db, "url = ?", [url])
    if not known:
        raise NotFoundError(f"there is no peer at {url}")
    peer, others = known[0], _of_publisher(db, publisher)
    state = peer.state
    if peer.publisher not in (None, publisher):
        state = "suggested"
    if others and others[0].id != peer.id:
        state = max((other.state for other in others), key=STATES.index)
    db.execute(
        "update peers set publisher = ?, state = ? where seq = ?", [publisher, state, peer.id]
    )
    # The row that stood for this publisher while it had no address has served its turn.
    db.execute("delete from peers where publisher = ? and url is null", [publisher])
    return _select(db, "url = ?", [url])[0]


def _note_reachability(db: sqlite_utils.Database, row: list[Any]) -> bool:
    sql = """insert into reachability (publisher, via, reachable, since) select ?, ?, ?, ?
             where ? = '' or exists (select 1 from publishers where id = ?)
             on conflict (publisher, via) do update
             set reachable = excluded.reachable, since = excluded.since
             where reachable != excluded.reachable"""
    # Hearsay counts only of those we know: a peer could name others without end.
    return db.execute(sql, [*row, row[1], row[0]]).rowcount > 0


def _set_holdings(db: sqlite_utils.Database, publisher: str, held: set[bytes]) -> None:
    sql = "select blob from holdings where publisher = ?"
    known = {row[0] for row in db.execute(sql, [publisher])}
    more = [(blob, publisher) for blob in sorted(held - known)]
    _change_holdings(db, more, [(blob, publisher) for blob in known - held])


def _change_holdings(
    db: sqlite_utils.Database, more: list[tuple[bytes, str]], less: list[tuple[bytes, str]]
) -> None:
    db.conn.executemany("insert or ignore into holdings (blob, publisher) values (?, ?)", more)
    db.conn.executemany("delete from holdings where blob = ? and publisher = ?", less)
