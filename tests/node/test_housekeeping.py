"""What is tidied up, and what is never touched."""

from __future__ import annotations

import os
import time
from pathlib import Path

from node.app import Node, create_home
from node.config import Config
from node.housekeeping import ORPHAN_AGE_S, sweep_orphans
from node.ingest.reading import ReadingOptions
from node.ingest.selection import select
from tests.node.test_ingest import write_table
from tests.node.test_publishing import metadata


async def test_only_old_blobs_that_nothing_names_are_removed(tmp_path: Path) -> None:
    config = Config.load(tmp_path / "home", {}).with_settings(discovery=[])
    await create_home(config)

    async def add(node: Node, name: str, seed: int) -> set[str]:
        path = write_table(tmp_path / f"{name}.csv", seed=seed)
        ingested = await node.ingest.run(select([path]), ReadingOptions())
        draft = await node.drafts.add(metadata(name=name), ingested.samples)
        if name == "Published":
            await node.publishing.publish(draft.id)
        if name == "Discarded":
            await node.drafts.remove(draft.id)
        thumbnail = ingested.samples[0].thumbnail
        assert thumbnail is not None
        (pyramid,) = ingested.samples[0].pyramids
        files = (file.sha256 for file in ingested.samples[0].files)
        return {thumbnail.sha256, pyramid.sha256, *files}

    async with Node(config) as node:
        kept = await add(node, "Published", 1) | await add(node, "Drafted", 2)
        left = await add(node, "Discarded", 3)
        assert await sweep_orphans(node.db, node.blobs, node.drafts) == []
        before_s = time.time() - ORPHAN_AGE_S - 60
        for sha256 in kept | left:
            os.utime(node.blobs.path(sha256), (before_s, before_s))
        removed = await sweep_orphans(node.db, node.blobs, node.drafts)
        assert set(removed) == left
        assert set(await node.blobs.list()) == kept
