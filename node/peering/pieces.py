"""One download on the network: sends what protocol/transfer.py asks for, hands it the answers."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable

from node.errors import NotFoundError, PeerError
from node.peering.client import Connections, PeerAddress, RefusedError
from protocol.errors import RemoteProtocolError
from protocol.transfer import Download, LayerRequest, Request

__all__ = ["Transfer"]

# An answer after its deadline is still good, but nobody waits for it for ever.
LATE_FACTOR = 2
IDLE_S = 1.0

_logger = logging.getLogger(__name__)


class Transfer:
    """Drive one Download.

    Args:
        download: What is wanted.
        sources: Whom to ask.

    Attributes:
        fetched: Bytes taken from each source, by its title.
        faults: What went wrong, and at whom, in words.
        breaches: Who sent what is wrong for sure: not an accident, but a lie or damage.
        may_ask: Says whether more may be asked for now; a slow reader says no.
    """

    def __init__(self, download: Download, sources: Iterable[PeerAddress]) -> None:
        self._download = download
        self._addresses = {source.title: source for source in sources}
        self.fetched: dict[str, int] = {}
        self.faults: list[str] = []
        self.breaches: list[tuple[PeerAddress, RemoteProtocolError]] = []
        self.may_ask: Callable[[], bool] = lambda: True
        for name in self._addresses:
            download.add_source(name)

    def use_layer(self, layer: bytes) -> None:
        """Go on with a layer that was kept from an earlier try."""
        self._download.receive_layer("this node", layer)

    async def pieces(self, connections: Connections) -> AsyncIterator[tuple[int, bytes]]:
        """Yield verified pieces in the order in which they arrive, until all are there.

        Raises:
            NotFoundError: There is nobody to ask.
            PeerError: Nobody is left to ask; the message says how each one failed.
        """
        if not self._addresses:
            raise NotFoundError(f"no node we know holds the blob {self._download.blob.sha256}")
        running: dict[asyncio.Task[bytes], Request] = {}
        try:
            while not self._download.done:
                for request in self._download.poll(_now_ms()) if self.may_ask() else []:
                    running[asyncio.create_task(self._ask(request, connections))] = request
                if self._download.exhausted:
                    raise PeerError(self._why_exhausted())
                for task in await self._next(running):
                    request = running.pop(task)
                    index = self._receive(request, task)
                    if index is not None:
                        yield index, task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _ask(self, request: Request, connections: Connections) -> bytes:
        client = connections.to(self._addresses[request.source])
        sha256 = self._download.blob.sha256
        if isinstance(request, LayerRequest):
            return await client.layer(sha256, request.piece_length, size=request.size)
        timeout_s = LATE_FACTOR * max(1.0, (request.deadline_ms - _now_ms()) / 1000)
        return await client.piece(sha256, request.start, request.end, timeout_s=timeout_s)

    async def _next(self, running: dict[asyncio.Task[bytes], Request]) -> list[asyncio.Task[bytes]]:
        """Return the requests that have ended, none if it is time to ask again first."""
        now_ms = _now_ms()
        wake_ms = self._download.wake_ms(now_ms)
        pause_s = IDLE_S if wake_ms is None else max(0.01, (wake_ms - now_ms) / 1000)
        if not running:
            await asyncio.sleep(min(pause_s, IDLE_S))
            return []
        ended, _ = await asyncio.wait(running, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
        return list(ended)

    def _receive(self, request: Request, task: asyncio.Task[bytes]) -> int | None:
        """Hand an answer on; return the piece's index if it is one and was still missing."""
        index = None if isinstance(request, LayerRequest) else request.index
        try:
            data = task.result()
        except PeerError as error:
            self._fail(request, error)
            return None
        try:
            if index is None:
                self._download.receive_layer(request.source, data)
                return None
            is_new = self._download.receive_piece(request.source, index, data)
        except RemoteProtocolError as error:
            self._note(str(error))
            self.breaches.append((self._addresses[request.source], error))
            return None
        if not is_new:
            return None
        self.fetched[request.source] = self.fetched.get(request.source, 0) + len(data)
        return index

    def _fail(self, request: Request, error: PeerError) -> None:
        index = None if isinstance(request, LayerRequest) else request.index
        said = str(error)
        if isinstance(error.__cause__, RemoteProtocolError):
            self.breaches.append((self._addresses[request.source], error.__cause__))
            said += " for the hashes of its pieces" if index is None else f" for piece {index}"
        self._note(said)
        if isinstance(error, RefusedError) or request.source not in self.fetched:
            # It does not have the blob, or has not answered even once: look elsewhere at once.
            self._download.remove_source(request.source)
            return
        self._download.fail(request.source, index, said, now_ms=_now_ms())

    def _note(self, fault: str) -> None:
        _logger.warning("%s", fault)
        if fault not in self.faults:
            self.faults.append(fault)

    def _why_exhausted(self) -> str:
        blob = self._download.blob.sha256
        ways = "; ".join(dict.fromkeys([*self._download.banned.values(), *self.faults]))
        return f"nobody could give the blob {blob}: {ways}"


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
