"""What the catalog answers as JSON documents: the `.json` twins and the API say the same."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Mapping
from typing import Any

from node.catalog.peers import Peer
from node.catalog.views import DatasetView, Hit, PublisherView, Rejection, Results

__all__ = [
    "dataset_document",
    "peer_document",
    "publisher_document",
    "rejection_document",
    "search_document",
    "values_of",
]


_PLAIN = frozenset({str, int, float, bool, type(None)})


def values_of(value: Any) -> Any:
    """Return a dataclass as JSON values, every field of it."""
    # The plain values first: a page of hits has ten thousand of them.
    kind = type(value)
    if kind in _PLAIN:
        return value
    if names := _field_names(kind):  # type: ignore[arg-type]  # Every class is hashable.
        return {name: values_of(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): values_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [values_of(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    return value


@functools.cache
def _field_names(kind: type[object]) -> tuple[str, ...]:
    if not dataclasses.is_dataclass(kind):
        return ()
    return tuple(field.name for field in dataclasses.fields(kind))


def search_document(results: Results) -> dict[str, Any]:
    """Return one page of a search."""
    return {
        "total": results.total,
        "took_ms": round(results.took_ms, 3),
        "hits": [_hit(hit) for hit in results.hits],
        "facets": values_of(results.facets),
        "cursor": results.cursor,
    }


def dataset_document(view: DatasetView) -> dict[str, Any]:
    """Return the current revision of a dataset, how it got there, and who has its files."""
    metadata = values_of(view.metadata)
    samples = metadata.pop("samples")
    for name in ("publisher", "dataset", "revision", "previous", "issued", "visibility"):
        metadata.pop(name)
    return {
        "dataset": view.dataset,
        "revision": view.revision,
        "record": view.record,
        "status": view.status,
        "visibility": view.visibility,
        "issued": view.issued,
        "publisher": publisher_document(view.publisher),
        "metadata": metadata,
        "samples": [_with_addresses(view.dataset, sample) for sample in samples],
        "revisions": values_of(view.revisions),
        "withdrawal": values_of(view.withdrawal),
        "holders": values_of(view.holders),
        "local": view.local,
    }


def publisher_document(view: PublisherView) -> dict[str, Any]:
    """Return a publisher as this node knows it."""
    return dict(values_of(view))


def peer_document(peer: Peer, *, has_secrets: bool) -> dict[str, Any]:
    """Return a peer with what this node has noted about it.

    Addresses inside a lab's network, and what went wrong there, are for its administrator.
    """
    document = dict(values_of(peer))
    secrets = {"url": None, "last_error": "", "last_refusal": ""}
    return document if has_secrets else document | secrets


def rejection_document(rejection: Rejection) -> dict[str, Any]:
    """Return a refused envelope and why."""
    return dict(values_of(rejection))


def _hit(hit: Hit) -> dict[str, Any]:
    document = dict(values_of(hit))
    document["publisher"] = {
        "id": hit.publisher,
        "name": document.pop("publisher_name"),
        "institution": document.pop("institution"),
    }
    return document


def _with_addresses(dataset: str, sample: dict[str, Any]) -> dict[str, Any]:
    for file in sample["files"]:
        file["url"] = f"/datasets/{dataset}/files/{file['sha256']}"
    return sample
