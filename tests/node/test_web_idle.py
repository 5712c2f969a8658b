import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import ClientSession, web

from node.web import idle
from node.web.idle import IdleConnections


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def runner(
    clock: Clock, unused_tcp_port_factory: Callable[[], int]
) -> AsyncIterator[tuple[IdleConnections, web.AppRunner, str]]:
    going_on = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await going_on.wait()
        return web.Response(text="at last")

    async def release(_: web.Request) -> web.Response:
        going_on.set()
        return web.Response(text="released")

    connections = IdleConnections(clock)
    app = web.Application(middlewares=[connections.middleware])
    app.add_routes([web.get("/wait", wait), web.get("/release", release)])
    runner = web.AppRunner(app)
    await runner.setup()
    port = unused_tcp_port_factory()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield connections, runner, f"http://127.0.0.1:{port}"
    await runner.cleanup()


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /wait HTTP/1.1\r\n")  # And never an end of the headers.
    await writer.drain()
    return reader, writer


Served = tuple[IdleConnections, web.AppRunner, str]


async def connected(runner: web.AppRunner, count: int) -> web.Server:
    assert runner.server is not None
    async with asyncio.timeout(10):
        while len(runner.server.connections) != count:  # noqa: ASYNC110 - has no event.
            await asyncio.sleep(0.01)
    return runner.server


async def test_headers_without_end_are_cut_and_answers_under_way_are_not(
    runner: Served, clock: Clock
) -> None:
    connections, running, url = runner
    reader, writer = await connect(url)
    async with ClientSession() as session:
        waiting = asyncio.create_task(session.get(f"{url}/wait"))
        server = await connected(running, 2)
        assert connections.cut(server.connections) == 0
        clock.now += idle.IDLE_S_MAX + 1
        assert connections.cut(server.connections) == 1
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await session.get(f"{url}/release")
        assert await (await waiting).text() == "at last"
    writer.close()


async def test_a_crowd_of_idle_ones_goes_sooner(
    runner: Served, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "CONNECTIONS_MAX", 3)
    connections, running, url = runner
    writers = [(await connect(url))[1] for _ in range(4)]
    server = await connected(running, 4)
    assert connections.cut(server.connections) == 0
    clock.now += idle.CROWDED_IDLE_S_MAX + 1
    assert connections.cut(server.connections) == 4
    for writer in writers:
        writer.close()
