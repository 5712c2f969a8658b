"""A node that runs: bound to its address, known to its peers, ended in time when asked."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from aiohttp import web

from node.app import STAGING_FOLDER, Node
from node.config import Config
from node.errors import ConfigError, ConflictError
from node.housekeeping import sweep_orphans
from node.lock import FileLock
from node.storage.intake import Landing
from node.web.auth import SignIns
from node.web.idle import IdleConnections
from node.web.server import make_app

__all__ = ["Ready", "serve"]

LOCK_FILE = "serve.lock"
STOP_SECONDS_MAX = 4.5
REQUEST_SECONDS_MAX = 1.0
SWEEP_INTERVAL_S = 86_400
PRESENT_INTERVAL_S = 5.0
ALONE_SECONDS_MAX = 86_400.0  # Peers that are gone for good must not keep a node silent.

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A node that accepts requests."""

    url: str
    login_url: str
    publisher: str


async def serve(config: Config, *, on_ready: Callable[[Ready], None]) -> None:
    """Run a node until SIGTERM or Ctrl-C.

    Raises:
        ConflictError: Another process serves this home.
        ConfigError: The address cannot be listened on, or there is no home.
    """
    stop = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(Node(config))
        lock = FileLock(config.home / LOCK_FILE)
        if not lock.try_acquire():
            raise ConflictError(f"a node is running on {config.home} already; one is enough")
        stack.callback(lock.release)
        _stop_on_signals(stop)
        app, idle = make_app(node), IdleConnections()
        app.middlewares.insert(0, idle.middleware)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=REQUEST_SECONDS_MAX)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        port = await _listen(runner, config)
        bound = f"http://{_host_in_url(config.host)}:{port}"
        urls = _public_urls(config, bound)
        is_presented = await _present(node, urls)
        await node.peering.start(port=port)
        stack.push_async_callback(node.peering.stop)
        publishing = _publish(node, urls, is_presented=is_presented)
        for work in (publishing, _sweep(node), _warm_up(node), idle.run(runner)):
            task = asyncio.create_task(_logged(work))
            stack.callback(task.cancel)
        secret = await SignIns(node.db, clock=node.clock).issue()
        url = config.public_url or bound
        login_url = f"{bound}/login?token={secret}"
        _logger.info("serving %s", url, extra={"publisher": node.keyring.publisher})
        on_ready(Ready(url=url, login_url=login_url, publisher=node.keyring.publisher))
        await stop.wait()
        _logger.info("stopping")
        _end_in_time()


async def _listen(runner: web.AppRunner, config: Config) -> int:
    site = web.TCPSite(runner, config.host, config.port)
    try:
        await site.start()
    except OSError as error:
        # asyncio puts a sentence of its own before what the system says.
        reason = (error.strerror or str(error)).rpartition(": ")[2]
        raise ConfigError(
            f"cannot listen on {config.host}:{config.port}: {reason}; "
            "choose another with --port (0 takes a free one) or --host"
        ) from error
    port: int = runner.addresses[0][1]
    return port


def _public_urls(config: Config, bound: str) -> tuple[str, ...]:
    """Where others may try to reach this node."""
    if config.public_url:
        return (config.public_url,)
    return () if _is_wildcard(config.host) else (bound,)


def _is_wildcard(host: str) -> bool:
    return host in {"", "0.0.0.0", "::"}  # noqa: S104 - recognised, not bound.


def _host_in_url(host: str) -> str:
    if _is_wildcard(host):
        return "127.0.0.1"
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).version == 6:
            return f"[{host}]"
    return host


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    # SIGBREAK is how Windows asks a process of a console to end.
    names = ("SIGINT", "SIGTERM", "SIGBREAK")
    for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows: the loop cannot, a plain handler can.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))


def _end_in_time() -> None:
    """End the process in any case: whatever is cut off is as safe as after a power cut."""
    timer = threading.Timer(STOP_SECONDS_MAX, os._exit, [0])
    timer.daemon = True
    timer.start()


async def _present(node: Node, urls: tuple[str, ...]) -> bool:
    """Say who runs this node, if what it would say cannot contradict what it has said before."""
    if not await node.peering.syncer.recall():
        _logger.info("no peer answers; nothing new is signed before one does")
        return False
    try:
        await node.publishing.repair()
        await node.publishing.publish_node_info(urls)
    except ConflictError as error:
        _logger.warning("nothing is signed for now: %s", error)
        return False
    return True


async def _publish(node: Node, urls: tuple[str, ...], *, is_presented: bool) -> None:
    waited_s = 0.0
    while not is_presented and waited_s < ALONE_SECONDS_MAX:
        await asyncio.sleep(PRESENT_INTERVAL_S)
        waited_s += PRESENT_INTERVAL_S
        is_presented = await _present(node, urls)
    await node.publishing.run()


async def _warm_up(node: Node) -> None:
    # Nobody who searches first shall wait until the index is in memory.
    await node.catalog.warm_up()
    # What a node has loaded by now stays until its end: no garbage to look for in it.
    gc.freeze()


async def _sweep(node: Node) -> None:
    # Whoever takes a place there first removes what killed processes have left.
    landing = await asyncio.to_thread(Landing, node.config.home / STAGING_FOLDER)
    await asyncio.to_thread(landing.close)
    while True:
        await sweep_orphans(node.db, node.blobs, node.drafts)
        await asyncio.sleep(SWEEP_INTERVAL_S)


async def _logged(work: Coroutine[object, object, None]) -> None:
    try:
        await work
    except Exception:
        _logger.exception("a part of the node has stopped")
