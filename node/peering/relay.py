"""Short ranges of blobs that lie elsewhere, passed on for those who look at them.

A tile of a pyramid is a tenth of a piece as downloads cut them. Here blobs are cut finer, each
piece is verified like any other, and what has come is kept in memory for a while: neighbours share
pieces, and two who look at the same thing cause one request.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from node.errors import NotFoundError, PeerError
from node.peering.fetch import Fetcher
from protocol.merkle import piece_count
from protocol.records import BlobRef

__all__ = ["Relay"]

PIECE_LENGTH_MIN = 128 << 10
PIECES_MAX = 4_096  # Of one blob, so that its layer has 128 KiB at most.
KEPT_SIZE_MAX = 64 << 20
LAYERS_MAX = 64

_Key = tuple[str, int]


class Relay:
    """Ranges of blobs that are not held here.

    Args:
        fetcher: Fetches and verifies.
        size_max: How many bytes of pieces are kept.

    Attributes:
        size: How many are kept now.
    """

    def __init__(self, fetcher: Fetcher, *, size_max: int = KEPT_SIZE_MAX) -> None:
        self._fetcher = fetcher
        self._size_max = size_max
        self.size = 0
        self._kept: OrderedDict[_Key, bytes] = OrderedDict()
        self._layers: OrderedDict[str, bytes] = OrderedDict()
        self._coming: dict[_Key, asyncio.Future[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, blob: BlobRef, start: int, end: int, *, origin: str) -> bytes:
        """Return the bytes [start, end) of a blob, verified.

        Raises:
            PeerError: Nobody has them right.
            DamagedError: The record that names the blob is wrong.
        """
        end = min(end, blob.size)
        if start >= end:
            return b""
        length = relay_piece_length(blob.size)
        first = start // length
        wanted = range(first, -(-end // length))
        parts = {index: self._take((blob.sha256, index)) for index in wanted}
        asked = [index for index in wanted if parts[index] is None]
        futures = self._ask(blob, asked, length=length, origin=origin)
        if futures:
            found = await asyncio.gather(*futures)
            parts |= dict(zip(asked, found, strict=True))
        data = b"".join([part for part in parts.values() if part is not None])
        return data[start - first * length : end - first * length]

    async def close(self) -> None:
        """Stop what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, key: _Key) -> bytes | None:
        data = self._kept.get(key)
        if data is not None:
            self._kept.move_to_end(key)
        return data

    def _ask(
        self, blob: BlobRef, indices: Sequence[int], *, length: int, origin: str
    ) -> list[asyncio.Future[bytes]]:
        """Return what each piece will be; those that nobody has asked for yet are asked for."""
        fresh = [index for index in indices if (blob.sha256, index) not in self._coming]
        loop = asyncio.get_running_loop()
        for index in fresh:
            self._coming[blob.sha256, index] = loop.create_future()
        # One who goes away must not take the piece from the others who wait for it.
        waiting = [asyncio.shield(self._coming[blob.sha256, index]) for index in indices]
        if fresh:
            task = asyncio.create_task(self._fetch(blob, fresh, length=length, origin=origin))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return waiting

    async def _fetch(
        self, blob: BlobRef, indices: Sequence[int], *, length: int, origin: str
    ) -> None:
        error: BaseException | None = None
        try:
            async for index, data, layer in self._fetcher.pieces(
                blob,
                indices,
                piece_length=length,
                layer=self._layers.get(blob.sha256, b""),
                origin=origin,
            ):
                self._keep(blob.sha256, index, data)
                self._keep_layer(blob.sha256, layer)
        except NotFoundError as missing:
            error = PeerError(
                "no node that this one talks to holds this at the moment; trying again later may "
                "help"
            )
            error.__cause__ = missing
        except BaseException as failure:  # noqa: BLE001 - told to everybody who waits for it.
            error = failure
        finally:
            for index in indices:
                self._fail(self._coming.pop((blob.sha256, index), None), error)

    def _fail(self, future: asyncio.Future[bytes] | None, error: BaseException | None) -> None:
        if future is None or future.done():
            return
        if error is None or isinstance(error, asyncio.CancelledError):
            future.cancel()
            return
        future.set_exception(error)
        future.exception()  # Nobody may be waiting any more; that is no reason to complain.

    def _keep(self, sha256: str, index: int, data: bytes) -> None:
        future = self._coming.pop((sha256, index), None)
        if future is not None and not future.done():
            future.set_result(data)
        self.size += len(data) - len(self._kept.pop((sha256, index), b""))
        self._kept[sha256, index] = data
        while self.size > self._size_max:
            self.size -= len(self._kept.popitem(last=False)[1])

    def _keep_layer(self, sha256: str, layer: bytes) -> None:
        self._layers[sha256] = layer
        self._layers.move_to_end(sha256)
        while len(self._layers) > LAYERS_MAX:
            self._layers.popitem(last=False)


def relay_piece_length(size: int) -> int:
    """Return how blobs are cut here: 128 KiB, doubled until there are at most 4096 pieces."""
    length = PIECE_LENGTH_MIN
    while piece_count(size, length) > PIECES_MAX:
        length *= 2
    return length
