"""Another node, asked without any home of our own: search there, and datasets proved from there."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from yarl import URL

from node.catalog.views import Query
from node.errors import InputError, PeerError
from node.peering.addresses import AddressPolicy, Trust, parse_peer_url
from node.peering.client import Connections, PeerAddress
from node.peering.fetch import Fetcher
from node.peering.handshake import lineage_of
from node.peering.safe_session import SafeSession
from node.peering.signing import RequestSigner
from node.peering.sources import Sources
from node.storage.blobs import DirectoryBlobs
from protocol import limits
from protocol.admission import examine
from protocol.dataset import Dataset
from protocol.errors import RemoteProtocolError
from protocol.identity import SigningKey, parse_digest
from protocol.messages import EnvelopeStream, encode_ids
from protocol.verdict import Candidate

__all__ = ["RemoteDataset", "RemoteNode", "parse_dataset_url"]

ANSWER_SIZE_MAX = 16 << 20
_DATASET_PATH = re.compile(r"(?P<base>.*)/datasets/(?P<dataset>[0-9a-f]{8,64})([./].*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDataset:
    """A dataset whose record was proved to be its publisher's."""

    dataset: str
    record: str
    metadata: Dataset


class RemoteNode:
    """A node at a URL that the caller gave, as an async context manager. Requests are not signed.

    Raises:
        PeerError: The URL is none.
    """

    def __init__(self, url: str) -> None:
        self._address = PeerAddress(url=parse_peer_url(url), trust=Trust.OPERATOR)
        # Nobody knows this key: requests to an address without a publisher carry no signature.
        key = SigningKey.from_seed(secrets.token_bytes(32))
        signer = RequestSigner("", key, clock=lambda: int(time.time()))
        self._connections = Connections(SafeSession(AddressPolicy()), signer)
        self._client = self._connections.to(self._address)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connections.close()

    async def search(self, query: Query) -> dict[str, Any]:
        """Return the answer of the node's /api/v1/search.

        Raises:
            PeerError: It does not answer, or not as a Locmesh node does.
        """
        document = await self._json("api/v1/search", _parameters(query))
        if not isinstance(document.get("hits"), list):
            raise PeerError(f"{self._address.url} does not answer like a Locmesh node")
        return document

    async def dataset(self, dataset: str) -> RemoteDataset:
        """Return a dataset's newest revision as the node knows it, proved by hash and signature.

        Args:
            dataset: Its id, or as many of the first digits as the node needs to know it.

        Raises:
            PeerError: The node does not have it, or what it sends proves nothing.
        """
        document = await self._json(f"api/v1/datasets/{dataset}", {})
        try:
            found = parse_digest(str(document.get("dataset")))
            record = parse_digest(str(document.get("record")))
            publisher = parse_digest(str(document.get("publisher", {}).get("id")))
            identity, candidate = await self._candidates(publisher, record)
        except (RemoteProtocolError, AttributeError, ValueError) as error:
            raise PeerError(f"{self._address.url}, dataset {dataset[:8]}: {error}") from error
        lineage = lineage_of([identity.envelope], publisher, now=int(time.time()))
        metadata = candidate.record
        is_proved = (
            isinstance(metadata, Dataset)
            and candidate.id == record
            and candidate.chain.id == found
            and found.startswith(dataset)
            and candidate.publisher == publisher
            and lineage.allows(candidate.signer, metadata.issued)
        )
        if not is_proved or not isinstance(metadata, Dataset):
            raise PeerError(
                f"{self._address.url}: record {record[:8]} is not proved to be revision of dataset "
                f"{dataset[:8]} by its publisher; nothing was fetched"
            )
        return RemoteDataset(dataset=found, record=record, metadata=metadata)

    def fetcher(self, folder: Path) -> Fetcher:
        """Return a fetcher that asks this node alone; unfinished files lie in the folder."""
        return Fetcher(
            DirectoryBlobs(folder / "blobs"),
            folder / "partial",
            sources=_OneSource(self._address),
            connections=self._connections,
        )

    async def _candidates(self, publisher: str, record: str) -> tuple[Candidate, Candidate]:
        body = await self._client.send(
            "POST",
            "sync/v1/records",
            body=encode_ids([publisher, record]),
            size_max=limits.MESSAGE_SIZE_MAX,
        )
        stream, found = EnvelopeStream(), {}
        envelopes = stream.feed(body)
        stream.close()
        for envelope in envelopes:
            candidate = examine(envelope)
            if isinstance(candidate, Candidate):
                found[hashlib.sha256(envelope.payload).hexdigest()] = candidate
        if publisher not in found or record not in found:
            raise RemoteProtocolError("it does not send the signed records")
        return found[publisher], found[record]

    async def _json(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        body = await self._client.get(path, query=query, size_max=ANSWER_SIZE_MAX)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise PeerError(f"{self._address.url}/{path} sent no JSON: {error}") from error
        if not isinstance(document, dict):
            raise PeerError(f"{self._address.url}/{path} sent no JSON object")
        return document


class _OneSource(Sources):
    """The one node that was named."""

    def __init__(self, address: PeerAddress) -> None:
        self._address = address

    async def of(self, sha256: str, *, origin: str | None = None) -> list[PeerAddress]:
        del sha256, origin
        return [self._address]


def parse_dataset_url(text: str) -> tuple[str, str]:
    """Return the node's base URL and the dataset id, maybe shortened, of a dataset's page.

    Raises:
        InputError: It is the address of something else.
    """
    url = URL(text.strip())
    match = _DATASET_PATH.fullmatch(url.path)
    if url.scheme not in {"http", "https"} or match is None:
        raise InputError(f"{text!r} is not the address of a dataset: https://NODE/datasets/ID")
    return str(url.with_path(match["base"]).with_query(None).with_fragment(None)), match["dataset"]


def _parameters(query: Query) -> dict[str, Any]:
    """The query string; a list stands for a parameter that is repeated."""
    given = {
        "q": query.text,
        "tag": list(query.tags),
        "publisher": query.publisher,
        "license": query.license,
        "dimension": query.dimension,
        "localizations_min": query.localizations_min,
        "precision_max": query.precision_max,
        "limit": query.limit,
        "cursor": query.cursor,
        "match": query.match,
    }
    shown = {name: value for name, value in given.items() if value not in (None, "", [])}
    return {key: value if isinstance(value, list) else str(value) for key, value in shown.items()}
