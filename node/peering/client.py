"""One other node over HTTP: a method for each route of the sync protocol, every answer bounded."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientResponse
from yarl import URL

from node.errors import PeerError
from node.peering.addresses import Trust
from node.peering.safe_session import Outbound, SafeSession, read_body
from node.peering.signing import RequestSigner

__all__ = ["Connections", "PeerAddress", "PeerClient", "RefusedError"]

PROBLEM_SIZE_MAX = 16 << 10
DETAIL_LENGTH_MAX = 300
REQUEST_TIMEOUT_S = 60.0


class RefusedError(PeerError):
    """The peer answered, and its answer was no.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAddress:
    """Where a node answers, who told us so, and who should answer there.

    `publisher` None: nobody has proved yet who answers; requests are then not signed.
    """

    url: URL
    trust: Trust
    publisher: str | None = None
    name: str = ""

    @property
    def title(self) -> str:
        """The node in a message for people."""
        return f"{self.name} ({self.url})" if self.name else str(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    method: str
    path: str
    size_max: int
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = REQUEST_TIMEOUT_S


class PeerClient:
    """What one peer can be asked.

    Every method raises PeerError if the peer cannot be reached or breaks the protocol, RefusedError
    if it declines.

    Attributes:
        received: Bytes of bodies that came from the peer through this client.
        sent: Bytes of bodies that went to it.
    """

    def __init__(self, session: SafeSession, signer: RequestSigner, address: PeerAddress) -> None:
        self._session = session
        self._signer = signer
        self.address = address
        self.received = 0
        self.sent = 0

    async def get(
        self, path: str, *, size_max: int, query: Mapping[str, str] | None = None
    ) -> bytes:
        """Return the body of a GET."""
        return await self._read(
            _Call(method="GET", path=path, size_max=size_max, query=query or {})
        )

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes,
        size_max: int,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        """Send a body with POST or PUT and return the answer's."""
        call = _Call(method=method, path=path, body=body, size_max=size_max, query=query or {})
        return await self._read(call)

    async def piece(self, sha256: str, start: int, end: int, *, timeout_s: float) -> bytes:
        """Return the bytes [start, end) of a blob, unverified, exactly so many."""
        call = _Call(
            method="GET",
            path=f"blobs/{sha256}",
            size_max=end - start,
            headers={"Range": f"bytes={start}-{end - 1}"},
            timeout_s=timeout_s,
        )
        body = await self._read(call)
        if len(body) != end - start:
            raise PeerError(f"{self.address.title} sent {len(body)} bytes for {end - start}")
        return body

    async def layer(self, sha256: str, piece_length: int, *, size: int) -> bytes:
        """Return the Merkle layer of a blob, unverified."""
        query = {"length": str(piece_length)}
        return await self.get(f"blobs/{sha256}/pieces", query=query, size_max=size)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, body: bytes | None = None, timeout_s: float | None
    ) -> AsyncIterator[ClientResponse]:
        """Send, and yield an accepted response whose body the caller reads bit by bit."""
        call = _Call(method=method, path=path, size_max=0, body=body, timeout_s=timeout_s)
        async with self._open(call) as response:
            yield response

    async def _read(self, call: _Call) -> bytes:
        async with self._open(call) as response:
            body = await read_body(response, call.size_max)
        self.received += len(body)
        return body

    @asynccontextmanager
    async def _open(self, call: _Call) -> AsyncIterator[ClientResponse]:
        url = (self.address.url / call.path).with_query(call.query)
        headers = dict(call.headers)
        if call.body is not None:
            headers["Content-Type"] = "application/octet-stream"
        if self.address.publisher is not None:
            headers |= self._signer.headers(
                call.method, url, recipient=self.address.publisher, body=call.body or b""
            )
        outbound = Outbound(
            method=call.method,
            url=url,
            trust=self.address.trust,
            headers=headers,
            body=call.body,
            timeout_s=call.timeout_s,
        )
        self.sent += len(call.body or b"")
        async with self._session.request(outbound) as response:
            if response.status not in {200, 206}:
                raise RefusedError(
                    f"{self.address.title} answered {response.status}: {await _detail(response)}",
                    status=response.status,
                )
            yield response


class Connections:
    """Makes clients that share one guarded session and sign as this node."""

    def __init__(self, session: SafeSession, signer: RequestSigner) -> None:
        self.session = session
        self._signer = signer

    def to(self, address: PeerAddress) -> PeerClient:
        """Return a client of the node at that address."""
        return PeerClient(self.session, self._signer, address)

    async def close(self) -> None:
        """Close the session."""
        await self.session.close()


async def _detail(response: ClientResponse) -> str:
    """What the peer says in its problem document, made harmless; it is shown to people."""
    try:
        problem = json.loads(await read_body(response, PROBLEM_SIZE_MAX))
        text = str(problem["detail"])
    except (PeerError, ValueError, KeyError, TypeError, RecursionError):
        return response.reason or "no reason given"
    return "".join(c if c.isprintable() else " " for c in text[:DETAIL_LENGTH_MAX])
