import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.app import DATABASE_FILE, Node
from node.catalog.views import Viewer
from node.errors import ForbiddenError
from node.web.auth import LINK_LIFETIME_S, SESSION_LIFETIME_S, SignIns
from tests.node.web_nodes import open_node, serve


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "home") as node:
        yield node


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000

    def __call__(self) -> int:
        return self.now


async def test_a_link_works_once(node: Node) -> None:
    sign_ins = SignIns(node.db, clock=node.clock)
    secret = await sign_ins.issue()
    session = await sign_ins.redeem(secret)
    assert await sign_ins.viewer(session) is Viewer.ADMIN
    with pytest.raises(ForbiddenError, match="used before"):
        await sign_ins.redeem(secret)
    await sign_ins.end(session)
    assert await sign_ins.viewer(session) is Viewer.ANONYMOUS


async def test_links_and_sessions_end(node: Node) -> None:
    clock = Clock()
    sign_ins = SignIns(node.db, clock=clock)
    late, used = await sign_ins.issue(), await sign_ins.issue()
    session = await sign_ins.redeem(used)
    clock.now += LINK_LIFETIME_S
    with pytest.raises(ForbiddenError):
        await sign_ins.redeem(late)
    clock.now += SESSION_LIFETIME_S - LINK_LIFETIME_S
    assert await sign_ins.viewer(session) is Viewer.ANONYMOUS


async def test_a_link_is_no_session_and_a_session_no_link(node: Node) -> None:
    sign_ins = SignIns(node.db, clock=node.clock)
    secret = await sign_ins.issue()
    assert await sign_ins.viewer(secret) is Viewer.ANONYMOUS
    session = await sign_ins.redeem(secret)
    with pytest.raises(ForbiddenError):
        await sign_ins.redeem(session)


async def test_the_database_holds_no_secret(node: Node) -> None:
    sign_ins = SignIns(node.db, clock=node.clock)
    secret = await sign_ins.issue()
    session = await sign_ins.redeem(secret)
    with sqlite3.connect(node.config.home / DATABASE_FILE) as db:
        stored = str(db.execute("select * from sign_ins").fetchall())
    db.close()
    assert secret not in stored
    assert session not in stored


async def test_signing_in_and_out_in_a_browser(node: Node) -> None:
    async with serve(node) as client:
        secret = await SignIns(node.db, clock=node.clock).issue()
        # A prefetch that only looks must not use the link up.
        assert (await client.head(f"/login?token={secret}")).status == 405
        answer = await client.get(f"/login?token={secret}", allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert (await client.get("/drafts")).status == 200
        again = await client.get(f"/login?token={secret}", headers={"Accept": "text/html"})
        assert again.status == 403
        assert "used before" in await again.text()
        same = {"Sec-Fetch-Site": "same-origin"}
        assert (await client.post("/logout", headers=same)).status == 200
        assert (await client.get("/drafts")).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://x.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://x.example"},
        {"Origin": "null"},
        {},
    ],
)
async def test_other_sites_cannot_act_for_the_administrator(
    node: Node, headers: dict[str, str]
) -> None:
    peer = await node.peers.add("http://10.0.0.9:8750", source="mdns")
    async with serve(node, signed_in=True) as client:
        form = {"action": "approve"}
        answer = await client.post(f"/network/{peer.id}", data=form, headers=headers)
        assert answer.status == 403
        assert (await node.peers.get(str(peer.id))).state == "suggested"
        origin = {"Origin": f"http://{client.host}:{client.port}"}
        answer = await client.post(f"/network/{peer.id}", data=form, headers=origin)
        assert answer.status == 200
        assert (await node.peers.get(str(peer.id))).state == "approved"
        page = await client.get(f"/network/{peer.id}")
        assert "10.0.0.9" in await page.text()


async def test_strangers_decide_nothing(node: Node) -> None:
    peer = await node.peers.add("http://10.0.0.9:8750", source="mdns")
    async with serve(node) as client:
        origin = {"Origin": f"http://{client.host}:{client.port}"}
        for action in ("approve", "block"):
            answer = await client.post(
                f"/network/{peer.id}", data={"action": action}, headers=origin
            )
            assert answer.status == 403
        assert (await client.get(f"/network/{peer.id}")).status == 404
        assert (await node.peers.get(str(peer.id))).state == "suggested"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"garbage"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="t'),
        ("application/json", b"{}"),
        ("application/x-www-form-urlencoded; charset=nonsense", b"theme=dark"),
        ("application/x-www-form-urlencoded", b"\xff\xfe=&%zz"),
    ],
)
async def test_what_is_no_form_is_refused_in_words(node: Node, kind: str, body: bytes) -> None:
    peer = await node.peers.add("http://10.0.0.9:8750", source="mdns")
    async with serve(node, signed_in=True) as client:
        headers = {"Content-Type": kind, "Origin": f"http://{client.host}:{client.port}"}
        for address in ("/theme", f"/network/{peer.id}"):
            answer = await client.post(address, data=body, headers=headers, allow_redirects=False)
            assert answer.status == 400
            assert "form" in await answer.text()
