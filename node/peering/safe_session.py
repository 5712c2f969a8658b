"""The one way out: every request this node makes to another goes through here.

The address that is checked is the address that is connected, because the check sits where the
socket is made: after name resolution and for numeric hosts alike, so no DNS answer can change in
between. Each kind of trust has its own connection pool, so a connection that the operator's word
opened is never reused on a stranger's. Redirects are answers, not orders; every read has a cap.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver
from yarl import URL

from node.errors import PeerError
from node.peering.addresses import AddressPolicy, Trust
from protocol.errors import SizeLimitError

__all__ = ["Outbound", "SafeSession", "UnreachableError", "read_body"]

CONNECT_TIMEOUT_S = 5.0
SILENCE_TIMEOUT_S = 10.0
CONNECTIONS_MAX = 64
CONNECTIONS_PER_HOST_MAX = 16
CHUNK_SIZE = 1 << 16
IDENTITY = {"Accept-Encoding": "identity", "User-Agent": "locmesh"}


class UnreachableError(PeerError):
    """Nobody answers there, or the connection broke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """One request to make."""

    method: str
    url: URL
    trust: Trust
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_s: float | None = 30.0  # None only for the event stream, which has its own watch.


class _RefusedAddressError(OSError):
    """Raised where the socket would be made; aiohttp takes an OSError for a failed connect."""


class SafeSession:
    """Guarded HTTP client.

    Args:
        policy: What each kind of trust may reach.
        proxy: The operator's HTTP proxy, if all traffic must leave through one. Names are then
            resolved by the proxy; numeric hosts are still checked here.
        resolver: Replaces the system's name resolution.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        proxy: str | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self.policy = policy
        self._proxy = proxy or None
        self._resolver = resolver
        self._sessions: dict[Trust, ClientSession] = {}

    @asynccontextmanager
    async def request(self, outbound: Outbound) -> AsyncIterator[ClientResponse]:
        """Send, and yield the response whose body is still to be read.

        Raises:
            UnreachableError: nobody answers, or the connection breaks while the caller reads.
            PeerError: the address is refused, or the answer is a redirect or encoded.
        """
        self._check_literal(outbound)
        where = f"{outbound.url.host}:{outbound.url.port}"
        try:
            async with self._session(outbound.trust).request(
                outbound.method, outbound.url, **self._options(outbound)
            ) as response:
                _check_answer(response, where)
                yield response
        except TimeoutError as error:
            raise UnreachableError(f"{where} did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(f"{where}: {_reason(error)}") from error

    async def close(self) -> None:
        """Close all connections."""
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()

    def _options(self, outbound: Outbound) -> dict[str, Any]:
        return {
            "data": outbound.body,
            "headers": {**IDENTITY, **outbound.headers},
            "allow_redirects": False,
            "proxy": None if outbound.trust is Trust.MDNS else self._proxy,
            "timeout": ClientTimeout(
                total=outbound.timeout_s,
                sock_connect=CONNECT_TIMEOUT_S,
                sock_read=SILENCE_TIMEOUT_S if outbound.timeout_s else None,
            ),
        }

    def _check_literal(self, outbound: Outbound) -> None:
        """Numeric hosts are judged before anything is sent, also when a proxy would connect."""
        host = outbound.url.host or ""
        if outbound.url.scheme not in {"http", "https"} or not host:
            raise PeerError(f"{outbound.url} is not an http or https URL")
        is_numeric = ":" in host or host.replace(".", "").isdigit()
        refusal = self.policy.refusal(host, outbound.trust) if is_numeric else None
        if refusal:
            raise PeerError(refusal)

    def _session(self, trust: Trust) -> ClientSession:
        if trust not in self._sessions:
            is_proxied = self._proxy is not None and trust is not Trust.MDNS
            connector = TCPConnector(
                limit=CONNECTIONS_MAX,
                limit_per_host=CONNECTIONS_PER_HOST_MAX,
                resolver=self._resolver,
                # Through a proxy the connected address is the operator's own.
                socket_factory=None if is_proxied else _gate(self.policy, trust),
            )
            self._sessions[trust] = ClientSession(
                connector=connector,
                cookie_jar=DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._sessions[trust]


def _gate(policy: AddressPolicy, trust: Trust) -> Any:
    def make_socket(addr_info: tuple[Any, ...]) -> socket.socket:
        family, kind, proto, _, address = addr_info
        refusal = policy.refusal(str(address[0]), trust)
        if refusal:
            raise _RefusedAddressError(refusal)
        return socket.socket(family=family, type=kind, proto=proto)

    return make_socket


def _check_answer(response: ClientResponse, where: str) -> None:
    if 300 <= response.status < 400 and response.status != 304:
        raise PeerError(f"{where} redirects to another place; give the node's final URL")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise PeerError(f"{where} compressed an answer that was asked for as it is")


def _reason(error: BaseException) -> str:
    """The innermost cause in words: a refused address is wrapped several times on its way."""
    seen: list[BaseException] = [error]
    while (cause := seen[-1].__cause__ or seen[-1].__context__) is not None and cause not in seen:
        seen.append(cause)
    refused = next((item for item in seen if isinstance(item, _RefusedAddressError)), None)
    if refused is None and isinstance(error, aiohttp.ClientConnectorError):
        return _connect_reason(error)
    return str(refused or error) or type(error).__name__


def _connect_reason(error: aiohttp.ClientConnectorError) -> str:
    if "refused on address" in str(error.os_error):  # aiohappyeyeballs joins several failures.
        return str(error.os_error)
    return f"cannot connect ({error.os_error.strerror or error.os_error})"


async def read_body(
    response: ClientResponse, size_max: int, *, timeout_s: float | None = None
) -> bytes:
    """Return the whole body, at most size_max bytes of it.

    Raises:
        PeerError: the body is larger, or does not end within timeout_s.
    """
    where = f"{response.url.host}:{response.url.port}"
    if (response.content_length or 0) > size_max:
        raise _oversized(f"{where} answers with {response.content_length} bytes; limit {size_max}")
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in response.content.iter_chunked(CHUNK_SIZE):
                body += chunk
                if len(body) > size_max:
                    raise _oversized(f"{where} answers with more than {size_max} bytes")
    except TimeoutError as error:
        if timeout_s is None:
            raise  # The request's own limit; the session says it in words.
        raise UnreachableError(f"{where} did not finish its answer in {timeout_s} s") from error
    except aiohttp.ClientError as error:
        raise UnreachableError(f"{where} broke off its answer: {error}") from error
    return bytes(body)


def _oversized(sentence: str) -> PeerError:
    error = PeerError(sentence)
    error.__cause__ = SizeLimitError(sentence)  # A breach of the protocol, not an accident.
    return error
