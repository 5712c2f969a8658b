"""Neighbours on the local network, by mDNS. Nothing depends on it: multicast is often missing."""

import asyncio
import logging
import socket
from ipaddress import ip_address

import ifaddr
from zeroconf import Error as ZeroconfError
from zeroconf import ServiceListener, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from node.errors import ConflictError
from node.peering.addresses import Trust, interface_networks, parse_peer_url
from node.peering.context import Context
from protocol.beacon import SERVICE_TYPE, Beacon, instance_name
from protocol.errors import RemoteProtocolError
from protocol.identity import parse_digest

__all__ = ["Discovery"]

RESOLVE_TIMEOUT_MS = 3_000
ADDRESSES_MAX = 4

_logger = logging.getLogger(__name__)


class Discovery(ServiceListener):
    """Announce this node and note others as suggestions.

    Args:
        context: This node.

    Attributes:
        trouble: Why there is no discovery, in words; empty while it works.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._info: AsyncServiceInfo | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.trouble = "discovery by mdns is off in the settings"

    async def start(self, *, port: int) -> None:
        """Begin, if the settings say so. Trouble is logged and kept in `trouble`, never raised."""
        if "mdns" not in self._context.config.discovery:
            return
        self._loop = asyncio.get_running_loop()
        try:
            self._zeroconf = AsyncZeroconf()
            self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE_TYPE, self)
            await self._announce(port)
        except (OSError, ZeroconfError, RuntimeError) as error:
            self.trouble = f"mDNS does not work here ({error}); give peers by URL"
            _logger.warning("%s", self.trouble)
            await self.stop()
            return
        self.trouble = ""

    async def stop(self) -> None:
        """Say goodbye and end; takes at most a second."""
        for task in self._tasks:
            task.cancel()
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is None:
            return
        try:
            async with asyncio.timeout(1.0):
                if self._browser is not None:
                    await self._browser.async_cancel()
                if self._info is not None:
                    await (await zeroconf.async_unregister_service(self._info))
                await zeroconf.async_close()
        except (TimeoutError, OSError, ZeroconfError) as error:
            _logger.debug("mDNS did not end cleanly: %s", error)

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """Look at a service that has appeared. Called by zeroconf, maybe in its own thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._look, zc, type_, name)

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """Look again."""
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """Do nothing: whether a peer answers is found out by talking to it."""

    def _look(self, zc: Zeroconf, type_: str, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._resolve(zc, type_, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _resolve(self, zc: Zeroconf, type_: str, name: str) -> None:
        info = AsyncServiceInfo(type_, name)
        try:
            if await info.async_request(zc, RESOLVE_TIMEOUT_MS):
                await self._suggest(info)
        except (RemoteProtocolError, OSError, ZeroconfError, ConflictError) as error:
            _logger.debug("mDNS service %s: %s", name, error)

    async def _suggest(self, info: AsyncServiceInfo) -> None:
        """Note a neighbour's first usable address; who answers there is found out later."""
        beacon = Beacon.from_txt(info.properties)
        if beacon.publisher == self._context.own:
            return
        if await self._context.peers.by_publisher(beacon.publisher):
            return
        policy = self._context.connections.session.policy
        for address in info.parsed_scoped_addresses()[:ADDRESSES_MAX]:
            if policy.refusal(address, Trust.MDNS):
                continue
            host = f"[{address}]" if ":" in address else address
            scheme = "https" if beacon.tls else "http"
            url = parse_peer_url(f"{scheme}://{host}:{info.port}{beacon.path}")
            await self._context.peers.add(str(url), source="mdns")
            return

    async def _announce(self, port: int) -> None:
        """Tell neighbours of this node, if they could reach it."""
        assert self._zeroconf is not None
        host = self._context.config.host
        addresses = _announced_addresses(host)
        if not addresses:
            _logger.info("not announced by mDNS: the node listens on %s only", host)
            return
        publisher = parse_digest(self._context.own)
        name = instance_name(self._context.config.name, publisher)
        self._info = AsyncServiceInfo(
            SERVICE_TYPE,
            f"{name}.{SERVICE_TYPE}",
            port=port,
            properties=Beacon(publisher=publisher).to_txt(),
            server=f"locmesh-{publisher[:16]}.local.",
            parsed_addresses=addresses,
        )
        registration = await self._zeroconf.async_register_service(
            self._info, allow_name_change=True
        )
        await registration


def _own_addresses() -> list[str]:
    networks = interface_networks()
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            if any(ip_address(text) in network for network in networks):
                found.append(text)
    return found


def _announced_addresses(host: str) -> list[str]:
    """Return the addresses under which neighbours reach a server that listens on host."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - a comparison; nothing is bound here.
        return _own_addresses()
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    found = {str(info[4][0]) for info in infos}
    return sorted(item for item in found if not item.startswith("127.") and item != "::1")
