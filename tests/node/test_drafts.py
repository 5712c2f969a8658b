"""Drafts: what can never be published, or not even be read again, becomes none."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from node.errors import InputError
from node.publishing.drafts import Drafts
from node.publishing.metadata import Metadata
from node.storage.database import Database
from protocol import limits
from protocol.dataset import File, Sample
from protocol.identity import DigestHex

FILE = File(
    name="a.bin",
    role="other",
    media_type="application/octet-stream",
    size=1,
    sha256=DigestHex("0" * 64),
    merkle_root=DigestHex("0" * 64),
)


@pytest.fixture
async def drafts(tmp_path: Path) -> AsyncIterator[Drafts]:
    database = Database(tmp_path / "a.sqlite")
    yield Drafts(database, clock=lambda: 1_790_000_000)
    await database.close()


def samples(count: int, *, files: int = 1) -> tuple[Sample, ...]:
    held = tuple(dataclasses.replace(FILE, name=f"{number}.bin") for number in range(files))
    return tuple(Sample(name=f"cell{number}", files=held) for number in range(count))


async def test_as_much_as_a_record_holds_can_be_read_again(drafts: Drafts) -> None:
    kept = await drafts.add(Metadata(), samples(limits.SAMPLES_MAX))
    assert await drafts.list() == [kept]


async def test_more_than_a_record_holds_makes_no_draft(drafts: Drafts) -> None:
    with pytest.raises(InputError, match="as several datasets"):
        await drafts.add(Metadata(), samples(limits.SAMPLES_MAX, files=6))
    with pytest.raises(InputError, match="cannot be described"):
        await drafts.add(Metadata(), samples(limits.SAMPLES_MAX + 1))
    assert await drafts.list() == []


async def test_changes_made_at_once_all_last(drafts: Drafts) -> None:
    kept = await drafts.add(Metadata(), samples(1))
    changes = [{"name": "Tubulin"}, {"description": "In U2OS."}, {"contact": "data@x.example"}]
    await asyncio.gather(
        *(drafts.change(kept.id, partial(Metadata.changed, changes=one)) for one in changes)
    )
    said = (await drafts.get(kept.id)).metadata
    assert (said.name, said.description, said.contact) == (
        "Tubulin",
        "In U2OS.",
        "data@x.example",
    )
