"""Datasets with real pyramids, on nodes of tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import smlmfmt
from node.app import Node
from node.publishing.metadata import Metadata, parse_metadata
from node.storage.blobs import StoredBlob
from protocol.blob import PYRAMID_TYPE
from protocol.dataset import BlobRef, File, Sample, TableSummary
from protocol.identity import DigestHex
from smlmfmt import pyramid

DESCRIPTION = {
    "name": "Microtubules",
    "description": "For a test.",
    "authors": ["Ada Muster; Institut Lab"],
    "contact": "ada@lab.example",
    "license": "CC-BY-4.0",
    "tags": ["modality:dstorm"],
}


def make_table(rows: int, *, seed: int = 1, dimension: int = 2) -> smlmfmt.LocTable:
    """Return rows in a field of 20 um, a quarter of them within its first micrometre."""
    chance = np.random.default_rng(seed)
    place = chance.uniform(0, 20_000, (dimension, rows))
    place[:, : rows // 4] /= 20
    columns = dict(zip("xyz", place, strict=False))
    columns |= {
        "frame": np.arange(rows) % 9_000 + 1,
        "uncertainty_xy": chance.uniform(5, 15, rows),
        "intensity": chance.gamma(4, 300, rows),
    }
    return smlmfmt.LocTable(
        columns, units=dict.fromkeys((*"xyz"[:dimension], "uncertainty_xy"), "nm")
    )


async def keep(node: Node, data: bytes) -> StoredBlob:
    """Store bytes."""

    async def parts() -> AsyncIterator[bytes]:
        yield data

    return await node.blobs.put_file(parts())


def reference(stored: StoredBlob, media_type: str) -> BlobRef:
    """Return what a record says of a blob."""
    return BlobRef(
        sha256=DigestHex(stored.sha256),
        size=stored.size,
        merkle_root=DigestHex(stored.merkle_root),
        media_type=media_type,
    )


async def publish_viewed(
    node: Node,
    folder: Path,
    *tables: smlmfmt.LocTable,
    hostile: bytes | None = None,
    **more: object,
) -> tuple[str, tuple[BlobRef, ...]]:
    """Publish a dataset of one sample, a file and a pyramid for each table; return both names.

    With `hostile`, these bytes stand in the place of each pyramid.
    """
    files = []
    for number, table in enumerate(tables):
        text, path = folder / f"channel{number}.csv", folder / f"{number}.pyramid"
        smlmfmt.write(text, table, format="thunderstorm")
        pyramid.build(table, path)
        stored = await keep(node, text.read_bytes())
        built = await keep(node, path.read_bytes() if hostile is None else hostile)
        summary = TableSummary.from_dict(
            {**table.summary().as_dict(), "name": f"table {number}", "channel": ""}
        )
        files.append(
            File(
                name=f"channel{number}.csv",
                role="original",
                media_type="text/csv",
                size=stored.size,
                sha256=DigestHex(stored.sha256),
                merkle_root=DigestHex(stored.merkle_root),
                format="thunderstorm",
                tables=(replace(summary, pyramid=reference(built, PYRAMID_TYPE)),),
            )
        )
    sample = Sample(name="cell1", files=tuple(files))
    metadata = Metadata().changed(parse_metadata({**DESCRIPTION, **more}))
    draft = await node.drafts.add(metadata, (sample,))
    return (await node.publishing.publish(draft.id)).dataset, sample.pyramids
