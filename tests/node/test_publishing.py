"""Records of our own: chains, heads, and what survives an interruption at the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from node.app import Node, create_home
from node.catalog.views import Query, Viewer
from node.config import Config
from node.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from node.publishing.drafts import Draft
from node.publishing.keyring import Keyring
from node.publishing.metadata import Metadata, parse_metadata
from protocol import limits
from protocol.dataset import Sample
from protocol.envelope import seal
from protocol.identity import DigestHex
from protocol.records import Dataset, File

DAY_S = 86_400
START_S = 1_790_000_000


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = START_S

    def __call__(self) -> int:
        return self.now


SAID: dict[str, Any] = {
    "name": "Microtubules",
    "description": "For a test.",
    "authors": "Ada Muster",
    "contact": "data@x.example",
    "license": "CC-BY-4.0",
    "tags": "modality:dstorm",
}


def sample(number: int = 0) -> Sample:
    digest = DigestHex(f"{number:064x}")
    file = File(
        name="a.bin",
        role="other",
        media_type="application/octet-stream",
        size=1,
        sha256=digest,
        merkle_root=digest,
    )
    return Sample(name="cell1", files=(file,))


def metadata(**changes: object) -> Metadata:
    return Metadata().changed(parse_metadata(SAID | changes))


async def drafted(node: Node, **changes: object) -> Draft:
    return await node.drafts.add(metadata(**changes), (sample(),))


async def complete(node: Node, scope: str = "public") -> bool:
    return (await node.catalog.completeness(node.keyring.publisher, scope)).complete


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def config(tmp_path: Path) -> Config:
    config = Config.load(tmp_path / "home", {}).with_settings(name="Lab", discovery=[])
    await create_home(config)
    # The home was made by the machine's clock; the tests have their own.
    for path in (config.home / "keys").iterdir():
        path.unlink()
    Keyring.create(config.home, now=START_S)
    return config


@pytest.fixture
async def node(config: Config, clock: Clock) -> AsyncIterator[Node]:
    async with Node(config, clock=clock) as node:
        await node.publishing.publish_node_info(("http://127.0.0.1:1",))
        yield node


async def test_what_is_published_is_found_and_counted(node: Node) -> None:
    published = await node.publishing.publish((await drafted(node)).id)
    assert published.dataset == published.record
    (hit,) = (await node.catalog.search(Query(text="microtubules"))).hits
    assert hit.dataset == published.dataset
    assert await complete(node)
    assert await node.drafts.list() == []


async def test_everything_that_is_missing_is_named_at_once(node: Node) -> None:
    draft = await node.drafts.add(Metadata(), ())
    with pytest.raises(InputError) as caught:
        await node.publishing.publish(draft.id)
    for option in ("--name", "--author", "--license", "--tag", "--contact", "locmesh add"):
        assert option in str(caught.value)


async def test_revisions_follow_one_another_and_the_clock_may_go_back(
    node: Node, clock: Clock
) -> None:
    first = await node.publishing.publish((await drafted(node)).id)
    clock.now -= 300
    draft = await node.publishing.revise(first.dataset[:10])
    assert draft.metadata == metadata()
    assert await node.publishing.revise(first.dataset) == draft
    await node.drafts.change(draft.id, lambda said: said.changed({"name": "Better"}))
    second = await node.publishing.publish(first.dataset)
    assert (second.dataset, second.revision) == (first.dataset, 2)
    view = await node.catalog.dataset(first.dataset)
    assert (view.metadata.name, view.metadata.previous) == ("Better", first.record)
    assert view.metadata.issued >= START_S
    assert await complete(node)
    with pytest.raises(ConflictError, match="locmesh edit"):
        await node.publishing.publish(first.dataset)


async def test_visibility_is_fixed_and_each_scope_has_its_head(node: Node) -> None:
    draft = await drafted(node, visibility="members")
    published = await node.publishing.publish(draft.id)
    assert await complete(node, "members")
    assert await complete(node, "public")
    revision = await node.publishing.revise(published.dataset)
    await node.drafts.remove(revision.id)
    other = await node.drafts.add(metadata(), (sample(),), dataset=published.dataset)
    with pytest.raises(InputError, match="fixed"):
        await node.publishing.publish(other.id)
    assert (await node.catalog.search(Query())).total == 0
    assert (await node.catalog.search(Query(viewer=Viewer.MEMBER))).total == 1


async def test_a_private_dataset_is_in_no_head(node: Node) -> None:
    before = await node.catalog.completeness(node.keyring.publisher, "public")
    await node.publishing.publish((await drafted(node, visibility="private")).id)
    after = await node.catalog.completeness(node.keyring.publisher, "public")
    assert (after.count, after.complete) == (before.count, True)
    assert (await node.catalog.search(Query(viewer=Viewer.MEMBER))).total == 0
    assert (await node.catalog.search(Query(viewer=Viewer.ADMIN))).total == 1


async def test_a_withdrawn_dataset_is_over(node: Node) -> None:
    published = await node.publishing.publish((await drafted(node)).id)
    successor = await node.publishing.publish((await drafted(node, name="New")).id)
    await node.publishing.revise(published.dataset)
    done = await node.publishing.withdraw(
        published.dataset, "Wrong calibration", successor=successor.dataset[:12]
    )
    assert done.revision == 2
    view = await node.catalog.dataset(published.dataset)
    assert view.withdrawal is not None
    assert view.withdrawal.successor == successor.dataset
    assert await node.drafts.list() == []
    assert await complete(node)
    for action in (
        node.publishing.revise(published.dataset),
        node.publishing.withdraw(published.dataset, "again"),
    ):
        with pytest.raises(ConflictError, match="withdrawn"):
            await action


async def test_only_the_publisher_changes_a_dataset(node: Node, tmp_path: Path) -> None:
    other = Keyring.create(tmp_path / "other", now=START_S)
    record = Dataset(
        publisher=other.publisher,
        revision=1,
        issued=START_S,
        visibility="public",
        name="Theirs",
        description="x",
        authors=metadata().authors,
        contact="a@b.example",
        license="MIT",
        tags=metadata().tags,
        samples=(sample(),),
    )
    envelope = seal(record.to_bytes(), [other.signer])
    await node.catalog.admit([other.identity, envelope], source="test")
    with pytest.raises(ForbiddenError):
        await node.publishing.revise(envelope.id)
    with pytest.raises(ForbiddenError):
        await node.publishing.withdraw(envelope.id, "not mine")


async def test_who_runs_the_node_is_said_again_only_when_it_changed(node: Node) -> None:
    assert not await node.publishing.publish_node_info(("http://127.0.0.1:1",))
    assert await node.publishing.publish_node_info(("http://127.0.0.1:2",))
    view = await node.catalog.publisher(node.keyring.publisher)
    assert view.urls == ("http://127.0.0.1:2",)
    assert await complete(node)


async def test_a_head_is_signed_again_before_its_end(node: Node, clock: Clock) -> None:
    await node.publishing.repair()
    first = (await node.catalog.completeness(node.keyring.publisher, "public")).head
    assert not await node.publishing.resign_head("public")
    clock.now += limits.HEAD_LIFETIME_S // 2 + DAY_S
    assert await node.publishing.resign_head("public")
    second = (await node.catalog.completeness(node.keyring.publisher, "public")).head
    assert first is not None
    assert second is not None
    assert (second.sequence, second.root) == (first.sequence + 1, first.root)
    assert second.expires > first.expires


async def test_publishing_that_was_interrupted_is_finished_once(
    config: Config, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Node(config, clock=clock) as node:
        await node.publishing.publish_node_info(())
        draft = await drafted(node)

        async def power_cut(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(node.catalog, "admit", power_cut)
        with pytest.raises(KeyboardInterrupt):
            await node.publishing.publish(draft.id)
        (left,) = await node.drafts.list()
        assert left.envelope is not None
        with pytest.raises(ConflictError):
            await node.drafts.change(left.id, lambda said: said)
    clock.now += 60
    async with Node(config, clock=clock) as again:
        await again.publishing.repair()
        assert await again.drafts.list() == []
        (hit,) = (await again.catalog.search(Query())).hits
        assert hit.record == left.envelope.id
        with pytest.raises(NotFoundError):
            await again.publishing.publish(draft.id)
        assert await complete(again)


async def test_a_record_without_its_head_is_counted_by_the_next(
    config: Config, clock: Clock
) -> None:
    async with Node(config, clock=clock) as node:
        await node.publishing.publish_node_info(())
        record = await node.publishing._revision_of(await drafted(node))
        envelope = seal(record.to_bytes(), [node.keyring.signer])
        await node.catalog.admit([envelope], source="self")
        assert not await complete(node)
        await node.publishing.repair()
        assert await complete(node)


async def test_a_lost_database_keeps_the_publishers_name(config: Config, clock: Clock) -> None:
    async with Node(config, clock=clock) as node:
        await node.publishing.publish_node_info(())
        publisher = node.keyring.publisher
    for path in config.home.glob("catalog.db*"):
        path.unlink()
    async with Node(config, clock=clock) as node:
        draft = await drafted(node)
        with pytest.raises(ConflictError, match=r"head 1 was signed.*published\.json"):
            await node.publishing.publish(draft.id)
        (config.home / "published.json").unlink()  # As it says, if nobody has the records.
        await node.publishing.publish(draft.id)
        assert node.keyring.publisher == publisher
        assert await complete(node)


async def test_publishers_of_one_home_take_turns(config: Config, clock: Clock) -> None:
    async with Node(config, clock=clock) as left, Node(config, clock=clock) as right:
        await left.publishing.publish_node_info(())
        drafts = [await drafted(left, name=f"Number {number}") for number in range(8)]
        published = await asyncio.gather(
            *(
                (left, right)[index % 2].publishing.publish(draft.id)
                for index, draft in enumerate(drafts)
            )
        )
        assert len({item.dataset for item in published}) == 8
        assert await complete(left)
        assert not (await left.catalog.publisher(left.keyring.publisher)).forked
        assert (await right.catalog.search(Query())).total == 8
