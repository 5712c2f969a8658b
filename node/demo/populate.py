"""Fill a home with a lab's simulated datasets, by the same steps as `locmesh add --publish`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import smlmfmt
from node.app import Node
from node.demo.datasets import DATASETS, make_tables
from node.demo.description import DemoDataset
from node.ingest.reading import ReadingOptions
from node.ingest.selection import select
from node.publishing.metadata import Metadata, parse_metadata

__all__ = ["populate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Simulated:
    """What a worker process writes: one folder per sample, one file per table."""

    dataset: DemoDataset
    folder: Path


async def populate(node: Node, lab: str, *, on_published: Callable[[], None]) -> None:
    """Simulate, add and publish every dataset of a lab; both cores work on different ones."""
    with tempfile.TemporaryDirectory(prefix="locmesh-demo-") as folder:

        async def publish(number: int, dataset: DemoDataset) -> None:
            await _publish(node, dataset, Path(folder) / str(number))
            on_published()

        ours = [dataset for dataset in DATASETS if dataset.lab == lab]
        await asyncio.gather(*(publish(number, dataset) for number, dataset in enumerate(ours)))


async def _publish(node: Node, dataset: DemoDataset, folder: Path) -> None:
    work = _Simulated(dataset=dataset, folder=folder)
    await node.workers.run(_write, work, what=dataset.metadata["name"])
    selection = await asyncio.to_thread(select, [folder])
    ingested = await node.ingest.run(selection, ReadingOptions())
    metadata = Metadata().changed(parse_metadata(dataset.metadata))
    draft = await node.drafts.add(metadata, ingested.samples)
    await node.publishing.publish(draft.id)


def _write(work: _Simulated) -> None:
    for sample, name, table in make_tables(work.dataset):
        (work.folder / sample).mkdir(parents=True, exist_ok=True)
        smlmfmt.write(work.folder / sample / name, table)
