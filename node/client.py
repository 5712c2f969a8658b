"""The Python client that people import in a notebook: search a node, open data as tables.

    from node.client import Client
    client = Client("http://localhost:8750")
    hit = client.search("microtubules", tag="modality:dstorm")[0]
    table = client.open(hit.dataset).tables[0]

It blocks, holds no connection open between calls, and believes nothing: a record's bytes must hash
to its id, and a file's bytes to what the record says, also when they come from the cache.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote, urlencode, urlsplit

import platformdirs

import smlmfmt
from node.errors import (
    ConflictError,
    DamagedError,
    ForbiddenError,
    InputError,
    NodeError,
    NotFoundError,
    PeerError,
)
from node.lock import FileLock
from protocol.errors import ProtocolError
from protocol.identity import parse_digest
from protocol.limits import PAYLOAD_SIZE_MAX
from protocol.records import Dataset, File, Sample

__all__ = ["Client", "Picture", "SearchHit"]

CHUNK_SIZE = 1 << 20
ANSWER_SIZE_MAX = 64 << 20
LOCK_TIMEOUT_S = 3_600.0
_FILTERS = (
    "publisher",
    "license",
    "dimension",
    "localizations_min",
    "localizations_max",
    "precision_max",
    "fov_min",
    "sort",
    "match",
)
_ERRORS: dict[int, type[NodeError]] = {
    400: InputError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    503: DamagedError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """One dataset of a search.

    Attributes:
        dataset: Its id, which `Client.open` takes.
        publisher: The name of who published it.
        summary: What was measured: localizations, dimension, precision_nm, fov_um, size and more.
        document: Everything the node says about it.
    """

    dataset: str
    revision: int
    record: str
    name: str
    authors: tuple[str, ...]
    license: str
    publisher: str
    summary: Mapping[str, Any]
    document: Mapping[str, Any]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read one entry of `hits`."""
        return cls(
            dataset=parse_digest(document["dataset"]),
            revision=int(document["revision"]),
            record=parse_digest(document["record"]),
            name=str(document["name"]),
            authors=tuple(map(str, document["authors"])),
            license=str(document["license"]),
            publisher=str(document["publisher"]["name"]),
            summary=dict(document["summary"]),
            document=dict(document),
        )


class Picture(bytes):
    """A picture as PNG, which notebooks show."""

    __slots__ = ()

    def _repr_png_(self) -> bytes:
        return bytes(self)


class Client:
    """A node, as scripts see it.

    Args:
        url: The node's address.
        token: Sent as `Authorization: Bearer`, for more than the public sees.
        cache: Where downloaded files are kept; the platform's cache folder if not given.
        timeout_s: How long one answer may be silent.

    Raises:
        InputError: The address is not an http or https URL.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        cache: Path | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
            raise InputError(f"{url!r} is no address of a node; write http://HOST:PORT")
        self.url = url.rstrip("/")
        self.cache = cache or platformdirs.user_cache_path("locmesh", appauthor=False) / "blobs"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout_s = timeout_s

    def search(
        self, text: str = "", *, tag: str | Iterable[str] = (), limit: int = 20, **filters: object
    ) -> list[SearchHit]:
        """Return the datasets that fit, best first.

        Args:
            text: Words to look for.
            tag: `category:term`, or several of them.
            limit: How many at most, 100 the most.
            **filters: publisher, license, dimension, localizations_min, localizations_max,
                precision_max (nm), fov_min (um), sort, match.

        Raises:
            InputError: There is no such filter, or its value has no meaning.
            PeerError: The node does not answer, or not as a node does.
        """
        unknown = filters.keys() - set(_FILTERS)
        if unknown:
            raise InputError(
                f"there is no filter {min(unknown)!r}; there are {', '.join(_FILTERS)}"
            )
        tags = [tag] if isinstance(tag, str) else list(tag)
        pairs = [("q", text), *(("tag", one) for one in tags), ("limit", str(limit))]
        pairs += [(name, str(value)) for name, value in filters.items() if value is not None]
        document = self._document(f"/api/v1/search?{urlencode(pairs)}")
        try:
            return [SearchHit.from_document(hit) for hit in document["hits"]]
        except (KeyError, TypeError, ValueError, ProtocolError) as error:
            raise PeerError(f"{self.url} does not answer searches as a node does") from error

    def dataset(self, dataset: str) -> Dataset:
        """Return the newest revision of a dataset, read from its signed bytes.

        Raises:
            NotFoundError: The node knows no such dataset.
            DamagedError: What came are not the record's bytes.
        """
        document = self._document(f"/api/v1/datasets/{quote(dataset, safe='')}")
        record = str(document.get("record", ""))
        with self._open(f"/records/{quote(record, safe='')}") as answer:
            payload = answer.read(PAYLOAD_SIZE_MAX + 1)
        if hashlib.sha256(payload).hexdigest() != record:
            raise DamagedError(f"{self.url} sent other bytes than those of record {record[:8]}")
        try:
            return Dataset.from_bytes(payload)
        except ProtocolError as error:
            raise PeerError(f"record {record[:8]} of {self.url} does not read: {error}") from error

    def open(
        self, dataset: str, *, sample: str | int = 0, file: str | None = None
    ) -> smlmfmt.Bundle:
        """Download a localization file, unless it is cached, and read it.

        Args:
            dataset: Its id, or the first 8 or more digits.
            sample: Name of a sample, or its number from 0.
            file: Name of the file; if not given, the `.smlm` rendition, in which lengths are in nm
                for certain, else the first file that holds localizations.

        Raises:
            NotFoundError: There is no such dataset, sample or file.
            DamagedError: The bytes are not those of the record.
            smlmfmt.errors.FormatError: The file cannot be read.
        """
        metadata = self.dataset(dataset)
        chosen = _choose_file(_choose_sample(metadata, sample), file)
        path = self.download(dataset, chosen)
        return smlmfmt.read(path, format=chosen.format or None)

    def download(self, dataset: str, file: File) -> Path:
        """Return where the verified bytes of a file lie in the cache, after fetching what lacks."""
        folder = self.cache / file.sha256[:2]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / file.sha256
        lock = FileLock(folder / f"{file.sha256}.lock")
        lock.acquire(timeout_s=LOCK_TIMEOUT_S)
        try:
            if not path.is_file() or _hash_file(path) != file.sha256:
                self._fetch(dataset, file, path)
        finally:
            lock.release()
        return path

    def image(
        self, dataset: str, *, width: int = 800, height: int = 600, **state: object
    ) -> Picture:
        """Return the viewer's picture of a dataset, drawn by the node; a notebook shows it.

        Args:
            dataset: Its id, or the beginning of it.
            width: In pixels.
            height: In pixels.
            **state: What to show, key by key as docs/http.md has it: `at=(4100, 2050), nm=2,
                m="gaussian", by="z", c=(0, 900), f={"z": (-100, 100)}`.

        Raises:
            NotFoundError: There is no such dataset, or nothing of it can be drawn.
            InputError: The picture would be too large.
        """
        pairs = [("w", str(width)), ("h", str(height))]
        for key, value in state.items():
            if isinstance(value, Mapping):
                pairs += [(f"{key}.{name}", _said(key, item)) for name, item in value.items()]
            else:
                pairs.append((key, _said(key, value)))
        with self._open(
            f"/datasets/{quote(dataset, safe='')}/image.png?{urlencode(pairs)}"
        ) as answer:
            data = answer.read(ANSWER_SIZE_MAX + 1)
        if len(data) > ANSWER_SIZE_MAX or not data.startswith(b"\x89PNG"):
            raise PeerError(f"what came from {self.url} is no picture")
        return Picture(data)

    def _fetch(self, dataset: str, file: File, path: Path) -> None:
        partial = path.with_suffix(".partial")
        have = partial.stat().st_size if partial.is_file() else 0
        have = have if have < file.size else 0
        address = f"/datasets/{dataset}/files/{file.sha256}/{quote(file.name, safe='')}"
        headers = {"Range": f"bytes={have}-", "If-Range": f'"{file.sha256}"'} if have else {}
        with self._open(address, headers) as answer:
            is_rest = answer.status == HTTPStatus.PARTIAL_CONTENT
            with partial.open("ab" if is_rest else "wb") as out:
                _copy(answer, out, size_max=file.size - (have if is_rest else 0))
                out.flush()
                os.fsync(out.fileno())
        found = _hash_file(partial)
        if found != file.sha256:
            size = partial.stat().st_size
            if size < file.size:
                raise PeerError(
                    f"{file.name}: {size} of {file.size} bytes came; call again for more"
                )
            partial.unlink()
            raise DamagedError(
                f"{file.name}: the bytes from {self.url} hash to {found[:8]}, the record says "
                f"{file.sha256[:8]}; they were thrown away"
            )
        partial.replace(path)

    def _document(self, address: str) -> dict[str, Any]:
        with self._open(address, {"Accept": "application/json"}) as answer:
            body = answer.read(ANSWER_SIZE_MAX)
        try:
            document = json.loads(body)
        except ValueError as error:
            raise PeerError(f"{self.url}{address} is not JSON") from error
        if not isinstance(document, dict):
            raise PeerError(f"{self.url}{address} is not a JSON object")
        return document

    def _open(
        self, address: str, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        # The scheme was checked when the client was made; addresses are our own.
        request = urllib.request.Request(  # noqa: S310
            self.url + address, headers={**self._headers, **(headers or {})}
        )
        try:
            answer: http.client.HTTPResponse = urllib.request.urlopen(  # noqa: S310
                request, timeout=self._timeout_s
            )
        except urllib.error.HTTPError as error:
            with error:
                raise _problem(error) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise PeerError(f"{self.url} does not answer: {reason}") from error
        return answer


def _said(key: str, value: object) -> str:
    """Return a value as the viewer's state has it: ranges with dots, places with commas."""
    if isinstance(value, tuple | list):
        return (".." if key in {"c", "range", "f"} else ",").join(map(str, value))
    return str(int(value)) if isinstance(value, bool) else str(value)


def _problem(error: urllib.error.HTTPError) -> NodeError:
    kind = _ERRORS.get(error.code, PeerError)
    try:
        detail = str(json.loads(error.read(65_536))["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        detail = f"{error.url} answers {error.code} {error.reason}"
    return kind(detail)


def _choose_sample(metadata: Dataset, wanted: str | int) -> Sample:
    samples = metadata.samples
    if isinstance(wanted, int) and 0 <= wanted < len(samples):
        return samples[wanted]
    found = next((sample for sample in samples if sample.name == wanted), None)
    if found is None:
        names = ", ".join(sample.name for sample in samples[:20])
        raise NotFoundError(f"there is no sample {wanted!r}; there are {names}")
    return found


def _choose_file(sample: Sample, name: str | None) -> File:
    if name is not None:
        found = next((file for file in sample.files if file.name == name), None)
    else:
        readable = [file for file in sample.files if file.format]
        readable.sort(key=lambda file: file.role != "rendition")
        found = readable[0] if readable else None
    if found is None:
        names = ", ".join(file.name for file in sample.files[:20])
        wanted = "file with localizations" if name is None else f"file {name!r}"
        raise NotFoundError(f"sample {sample.name!r} has no {wanted}; there are {names}")
    return found


def _copy(answer: http.client.HTTPResponse, out: IO[bytes], *, size_max: int) -> None:
    """Write what comes; a connection that breaks leaves what has arrived for the next call."""
    left = size_max
    while left > 0:
        try:
            data = answer.read(min(CHUNK_SIZE, left))
        except (OSError, http.client.HTTPException):
            return
        if not data:
            return
        out.write(data)
        left -= len(data)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
