"""Fetch one blob from one URL: a process for tests to kill."""

import asyncio
import sys
from pathlib import Path

from node.peering.addresses import AddressPolicy, Trust, parse_peer_url
from node.peering.client import Connections, PeerAddress
from node.peering.fetch import Fetcher
from node.peering.safe_session import SafeSession
from node.peering.signing import RequestSigner
from node.peering.sources import Sources
from node.storage.blobs import DirectoryBlobs
from protocol.identity import DigestHex, SigningKey
from protocol.records import BlobRef


class Known(Sources):
    """The addresses that a test names."""

    def __init__(self, addresses: list[PeerAddress]) -> None:
        self.addresses = addresses

    async def of(self, sha256: str, *, origin: str | None = None) -> list[PeerAddress]:
        del sha256, origin
        return self.addresses


def connections() -> Connections:
    signer = RequestSigner("", SigningKey.from_seed(b"\x07" * 32), clock=lambda: 0)
    return Connections(SafeSession(AddressPolicy(on_link=tuple)), signer)


async def main(folder: Path, url: str, sha256: str, size: int, merkle_root: str) -> None:
    way = connections()
    blobs = DirectoryBlobs(folder / "blobs")
    address = PeerAddress(url=parse_peer_url(url), trust=Trust.OPERATOR)
    fetcher = Fetcher(blobs, folder / "partial", sources=Known([address]), connections=way)
    blob = BlobRef(
        sha256=DigestHex(sha256),
        size=size,
        merkle_root=DigestHex(merkle_root),
        media_type="application/octet-stream",
    )

    def say(done: int, _: int) -> None:
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()

    await fetcher.fetch(blob, progress=say)
    await way.close()
    await blobs.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]))
