from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.catalog import peers as peers_module
from node.catalog.mirrors import Mirrors
from node.catalog.peers import Peers
from node.catalog.publishers import add_publisher
from node.catalog.views import Reachability
from node.errors import AmbiguousError, ConflictError, NotFoundError
from node.storage.database import Database

A, B, C = "aa" * 32, "bb" * 32, "cc" * 32


class Clock:
    now = 1_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    db = Database(tmp_path / "catalog.db")
    yield db
    await db.close()


@pytest.fixture
def peers(db: Database, clock: Clock) -> Peers:
    return Peers(db, clock=clock)


async def test_a_peer_is_a_suggestion_until_it_is_approved(peers: Peers) -> None:
    peer = await peers.add("http://a", source="exchange", publisher=A)
    assert (peer.url, peer.publisher, peer.source, peer.state) == (
        "http://a",
        A,
        "exchange",
        "suggested",
    )
    assert not await peers.is_approved(A)
    await peers.approve(A)
    assert await peers.is_approved(A)
    assert [peer.state for peer in await peers.list()] == ["approved"]
    assert await peers.list("suggested") == ()


async def test_adding_again_never_lowers_the_state(peers: Peers) -> None:
    await peers.add("http://a", source="operator", state="approved", publisher=A)
    assert (await peers.add("http://a", source="mdns")).state == "approved"
    assert (await peers.add("http://other", source="mdns", publisher=A)).state == "approved"
    await peers.block(A)
    again = await peers.add("http://third", source="operator", state="approved", publisher=A)
    assert again.state == "blocked"
    assert {peer.state for peer in await peers.by_publisher(A)} == {"blocked"}


async def test_an_address_gets_its_publisher_when_it_answers(peers: Peers) -> None:
    await peers.add("http://a", source="operator", state="approved")
    assert (await peers.identify("http://a", A)).publisher == A
    assert await peers.is_approved(A)
    # Somebody else answering there was never approved.
    assert (await peers.identify("http://a", B)).state == "suggested"
    assert not await peers.is_approved(B)
    with pytest.raises(NotFoundError):
        await peers.identify("http://nowhere", A)


async def test_a_suggested_address_of_an_approved_publisher_is_approved(peers: Peers) -> None:
    await peers.add(None, source="offer", publisher=A)
    await peers.approve(A)
    await peers.add("http://a", source="mdns")
    peer = await peers.identify("http://a", A)
    assert peer.state == "approved"
    assert [peer.url for peer in await peers.by_publisher(A)] == ["http://a"]


async def test_peers_are_found_by_what_people_type(peers: Peers) -> None:
    first = await peers.add("http://a", source="operator", publisher=A)
    await peers.add("http://b", source="operator", publisher=A[:10] + "0" * 54)
    for ref in ("http://a", A, A[:12], str(first.id)):
        assert (await peers.get(ref)).url == "http://a"
    with pytest.raises(AmbiguousError):
        await peers.get(A[:9])
    for ref in ("", "nobody", C, "999", A[:7]):
        with pytest.raises(NotFoundError, match="peer list"):
            await peers.get(ref)


async def test_success_and_errors_are_kept_in_words(peers: Peers, clock: Clock) -> None:
    await peers.add("http://a", source="operator")
    await peers.note_error("http://a", "refused the connection" + "!" * 1000)
    peer = await peers.get("http://a")
    assert peer.last_error.startswith("refused the connection")
    assert len(peer.last_error) == 500
    assert (peer.last_error_at, peer.last_success) == (1_000, None)
    clock.now = 2_000
    await peers.note_success("http://a")
    peer = await peers.get("http://a")
    assert (peer.last_error, peer.last_success) == ("", 2_000)


async def test_our_own_experience_goes_before_what_others_say(peers: Peers, db: Database) -> None:
    await db.write(lambda rows: add_publisher(rows, A, now=1))
    assert await peers.reachability(A) == Reachability(state="unknown")
    assert await peers.note_reachability(A, via=B, reachable=False, since=10)
    assert await peers.note_reachability(A, via=C, reachable=False, since=20)
    assert await peers.reachability(A) == Reachability(state="unreachable", since=20, via=C)
    assert not await peers.note_reachability(A, via=C, reachable=False, since=30)
    assert await peers.reachability(A) == Reachability(state="unreachable", since=20, via=C)
    assert await peers.note_reachability(A, via=None, reachable=True, since=15)
    assert await peers.reachability(A) == Reachability(state="reachable", since=15)


async def test_hearsay_of_unknown_publishers_is_not_kept(peers: Peers) -> None:
    assert not await peers.note_reachability(C, via=B, reachable=True, since=10)
    assert await peers.reachability(C) == Reachability(state="unknown")
    assert await peers.note_reachability(C, via=None, reachable=True, since=10)


async def test_strangers_cannot_fill_the_list(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_module, "SUGGESTIONS_MAX", 2)
    await peers.add("http://a", source="exchange")
    await peers.add("http://b", source="exchange")
    with pytest.raises(ConflictError, match="2 suggested"):
        await peers.add("http://c", source="exchange")
    assert (await peers.add("http://d", source="operator", state="approved")).state == "approved"


async def test_a_removed_peer_leaves_nothing(peers: Peers) -> None:
    await peers.add("http://a", source="operator", publisher=A)
    await peers.add("http://b", source="operator", publisher=A)
    await peers.set_holdings(A, [C])
    await peers.note_reachability(A, via=None, reachable=True, since=1)
    assert len(await peers.remove("http://b")) == 2
    assert await peers.list() == ()
    assert await peers.holders(C) == ()
    assert (await peers.reachability(A)).state == "unknown"


async def test_mirrors_remember_their_query_and_progress(db: Database, clock: Clock) -> None:
    mirrors = Mirrors(db, clock=clock)
    mirror = await mirrors.add({"text": "pores", "tags": ["a:b"]}, max_size=500, from_publisher=A)
    assert (mirror.query, mirror.max_size) == ({"text": "pores", "tags": ["a:b"]}, 500)
    assert (mirror.from_publisher, mirror.added, mirror.last_run) == (A, 1_000, None)
    clock.now = 3_000
    await mirrors.progress(
        mirror.id, datasets_matched=4, datasets_held=3, bytes_held=99, error="no holder answers"
    )
    mirror = await mirrors.get(mirror.id)
    assert (mirror.datasets_matched, mirror.datasets_held, mirror.bytes_held) == (4, 3, 99)
    assert (mirror.last_run, mirror.last_error) == (3_000, "no holder answers")
    assert await mirrors.list() == (mirror,)
    assert await mirrors.remove(mirror.id) == mirror
    with pytest.raises(NotFoundError, match="mirror list"):
        await mirrors.remove(mirror.id)
