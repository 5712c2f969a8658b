import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import BaseTestServer, RawTestServer, TestServer
from yarl import URL

from node.errors import PeerError
from node.peering.addresses import AddressPolicy, Trust
from node.peering.safe_session import Outbound, SafeSession, read_body


class ScriptedDns(AbstractResolver):
    """Real sockets, but names mean what the test says: the hostile name server."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=self.address, port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        pass


async def answer(request: web.Request) -> web.StreamResponse:
    kind = request.match_info["kind"]
    if kind == "moved":
        raise web.HTTPFound("/plain")
    if kind == "packed":
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    if kind == "echo":
        return web.Response(text=str(sorted(request.headers)))
    if kind == "large":
        return web.Response(body=b"x" * 5000)
    response = web.StreamResponse()
    await response.prepare(request)
    if kind == "endless":
        for _ in range(200):
            await response.write(b"x" * 1000)
    if kind == "slow":
        for _ in range(100):
            await response.write(b"x")
            await asyncio.sleep(0.1)
    return response


@pytest.fixture
async def server() -> AsyncIterator[BaseTestServer]:
    app = web.Application()
    app.router.add_get("/{kind}", answer)
    async with TestServer(app) as started:
        yield started


@pytest.fixture
async def session() -> AsyncIterator[SafeSession]:
    made = SafeSession(AddressPolicy(on_link=tuple))
    yield made
    await made.close()


async def fetch(session: SafeSession, url: URL, trust: Trust = Trust.OPERATOR, **kw: Any) -> bytes:
    async with session.request(Outbound(method="GET", url=url, trust=trust)) as response:
        return await read_body(response, kw.get("size_max", 1000), timeout_s=kw.get("timeout_s"))


async def test_operator_urls_reach_loopback(server: BaseTestServer, session: SafeSession) -> None:
    text = await fetch(session, server.make_url("/echo"))
    assert b"Accept-Encoding" in text


@pytest.mark.parametrize("trust", [Trust.EXCHANGE, Trust.MDNS])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001"])
async def test_others_do_not(
    server: BaseTestServer, session: SafeSession, host: str, trust: Trust
) -> None:
    with pytest.raises(PeerError):
        await fetch(session, URL(f"http://{host}:{server.port}/plain"), trust)


async def test_the_connected_address_is_the_checked_one(server: BaseTestServer) -> None:
    # The name looks harmless; only its answer at the moment of connecting does not.
    session = SafeSession(AddressPolicy(on_link=tuple), resolver=ScriptedDns("127.0.0.1"))
    with pytest.raises(PeerError, match=r"127\.0\.0\.1 is not a public address"):
        await fetch(session, URL(f"http://rebind.example:{server.port}/plain"), Trust.EXCHANGE)
    await session.close()


async def test_a_connection_of_one_trust_is_not_reused_for_another(server: BaseTestServer) -> None:
    session = SafeSession(AddressPolicy(on_link=tuple), resolver=ScriptedDns("127.0.0.1"))
    url = URL(f"http://lab.example:{server.port}/plain")
    assert await fetch(session, url, Trust.OPERATOR) == b""
    with pytest.raises(PeerError):
        await fetch(session, url, Trust.EXCHANGE)
    await session.close()


async def test_listed_networks_are_reached(server: BaseTestServer) -> None:
    policy = AddressPolicy(exchange_networks=(ip_network("127.0.0.0/8"),), on_link=tuple)
    session = SafeSession(policy)
    assert b"Host" in await fetch(session, server.make_url("/echo"), Trust.EXCHANGE)
    await session.close()


@pytest.mark.parametrize("kind", ["moved", "packed", "large", "endless"])
async def test_bad_answers_are_refused(
    server: BaseTestServer, session: SafeSession, kind: str
) -> None:
    with pytest.raises(PeerError):
        await fetch(session, server.make_url(f"/{kind}"))


async def test_a_drip_is_cut(server: BaseTestServer, session: SafeSession) -> None:
    with pytest.raises(PeerError, match="did not finish"):
        await fetch(session, server.make_url("/slow"), timeout_s=0.3)


async def test_nobody_home_is_said_in_words(session: SafeSession, unused_tcp_port: int) -> None:
    with pytest.raises(PeerError, match=f"127.0.0.1:{unused_tcp_port}: cannot connect"):
        await fetch(session, URL(f"http://127.0.0.1:{unused_tcp_port}/plain"))


async def test_proxy_settings_of_the_environment_are_ignored(
    server: BaseTestServer, session: SafeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert b"Host" in await fetch(session, server.make_url("/echo"))


async def test_a_proxy_of_the_settings_is_used_but_not_for_neighbours() -> None:
    asked: list[str] = []

    async def proxy(request: web.BaseRequest) -> web.Response:
        asked.append(str(request.url))
        return web.Response(text="by proxy")

    async with RawTestServer(proxy) as server:
        policy = AddressPolicy(on_link=lambda: (ip_network("127.0.0.0/8"),))
        session = SafeSession(policy, proxy=str(server.make_url("")))
        for trust in (Trust.OPERATOR, Trust.EXCHANGE):
            assert await fetch(session, URL("http://lab.example/plain"), trust) == b"by proxy"
        assert asked == ["http://lab.example/plain"] * 2
        with pytest.raises(PeerError, match="not a public address"):
            await fetch(session, URL("http://10.0.0.1/plain"), Trust.EXCHANGE)
        with pytest.raises(PeerError, match="neighbour"):
            await fetch(session, URL(f"http://127.0.0.1:{server.port}/plain"), Trust.MDNS)
        assert len(asked) == 2
        await session.close()
