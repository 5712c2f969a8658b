import asyncio
from pathlib import Path

import pytest

from node.catalog import changes
from node.catalog.views import Change, Query
from tests.node.catalogs import Home, head_of, opened
from tests.protocol.lab import Lab

LAB = Lab(1)
OTHER = Lab(2)


async def told(subscription: changes.Subscription) -> Change:
    return await asyncio.wait_for(anext(subscription), 10)


async def test_a_subscriber_hears_of_each_commit(tmp_path: Path) -> None:
    first = LAB.dataset()
    second = LAB.revise(first, "again")
    async with opened(tmp_path) as home:
        await home.admit(OTHER.identity)
        subscription = home.catalog.subscribe()
        await home.admit(LAB.identity, first)
        await home.admit(second, head_of(LAB, LAB.identity, first, second))
        assert await told(subscription) == Change(
            publisher=LAB.publisher,
            scope="public",
            record_ids=(LAB.identity.id, first.id),
            heads=False,
        )
        assert await told(subscription) == Change(
            publisher=LAB.publisher, scope="public", record_ids=(second.id,), heads=True
        )
        subscription.close()
        assert [change async for change in subscription] == []


async def test_what_is_refused_held_or_known_is_no_news(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity)
        subscription = home.catalog.subscribe()
        await home.admit(LAB.identity, OTHER.dataset(), LAB.dataset(by=LAB.recovery))
        await home.admit(OTHER.identity)
        change = await told(subscription)
        assert change.publisher == OTHER.publisher
        assert len(change.record_ids) == 2


async def test_scopes_are_told_apart(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        subscription = home.catalog.subscribe()
        secret = LAB.dataset(visibility="members")
        await home.admit(LAB.identity, secret)
        heard = {change.scope: change for change in [await told(subscription) for _ in "12"]}
        assert heard["members"].record_ids == (secret.id,)
        assert heard["public"].record_ids == (LAB.identity.id,)


async def test_a_running_node_follows_what_another_process_commits(tmp_path: Path) -> None:
    first = LAB.dataset()
    async with opened(tmp_path) as node, opened(tmp_path) as command:
        subscription = node.catalog.subscribe()
        assert (await node.catalog.search(Query())).total == 0
        assert len(await node.catalog.items(LAB.publisher, "public")) == 0
        await command.admit(LAB.identity, first)
        assert (await told(subscription)).record_ids == (LAB.identity.id, first.id)
        assert (await node.catalog.search(Query())).total == 1
        assert len(await node.catalog.items(LAB.publisher, "public")) == 2
        await command.peers.add(None, source="offer", publisher=LAB.publisher)
        await command.peers.block(LAB.publisher)
        assert (await told(subscription)).publisher == LAB.publisher
        assert (await node.catalog.search(Query())).total == 0
        # What the other process learned of the publisher's keys holds here, too.
        assert (await node.admit(LAB.dataset("more")))[0].reason == "blocked"


async def test_who_was_away_too_long_reads_everything_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "CHANGES_MAX", 10)
    async with opened(tmp_path) as node, opened(tmp_path) as command:
        await node.catalog.search(Query())
        await command.admit(LAB.identity)
        for number in range(120):
            await command.admit(LAB.dataset(f"number {number}"))
        subscription = node.catalog.subscribe()
        assert (await node.catalog.search(Query())).total == 120
        change = await told(subscription)
        assert (change.publisher, change.record_ids, change.heads) == (LAB.publisher, (), True)


async def test_a_slow_subscriber_is_told_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "BACKLOG_MAX", 3)
    subscription = changes.Subscription()
    for number in range(5):
        subscription.receive(
            Change(publisher="p", scope="public", record_ids=(str(number),), heads=False)
        )
    assert await told(subscription) == Change(
        publisher="p", scope="public", record_ids=(), heads=True
    )
    assert (await told(subscription)).record_ids == ("4",)


async def test_closing_the_catalog_ends_subscriptions(tmp_path: Path) -> None:
    home = Home(tmp_path)
    subscription = home.catalog.subscribe()
    reading = asyncio.ensure_future(anext(subscription, None))
    await asyncio.sleep(0)
    await home.close()
    assert await asyncio.wait_for(reading, 10) is None


async def test_remembered_words_find_what_came_since(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, LAB.dataset("clathrin pits"))
        narrowed = [Query(text="clathrin"), Query(text="clathrin", tags=("modality:dstorm",))]
        other = Query(text="clathrin", tags=("modality:palm",))
        assert [(await home.catalog.search(query)).total for query in narrowed] == [1, 1]
        assert (await home.catalog.search(other)).total == 0
        await home.admit(LAB.dataset("clathrin coats"))
        assert [(await home.catalog.search(query)).total for query in narrowed] == [2, 2]
