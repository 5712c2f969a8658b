"""A home that lost its newest records does not contradict what it signed before."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from node import service
from node.config import Config
from node.errors import ConfigError, ConflictError
from node.publishing.marks import HeadMarks
from tests.node.federation import Site, eventually

KEY = "did:key:z6Mk"


def test_marks_only_rise_and_each_key_has_its_own(tmp_path: Path) -> None:
    marks = HeadMarks(tmp_path / "published.json", key=KEY)
    assert marks.sequence("public") == 0
    marks.note("public", 3)
    marks.note("public", 2)
    marks.note("members", 1)
    again = HeadMarks(tmp_path / "published.json", key=KEY)
    assert (again.sequence("public"), again.sequence("members")) == (3, 1)
    assert HeadMarks(tmp_path / "published.json", key="did:key:other").sequence("public") == 0


@pytest.mark.parametrize("text", ["", "[]", '{"x": "y"}', "\x00"])
def test_a_damaged_file_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "published.json").write_text(text)
    with pytest.raises(ConfigError, match=r"published\.json"):
        HeadMarks(tmp_path / "published.json", key=KEY).sequence("public")


class Pair:
    """A lab, and a partner who has all of its records."""

    def __init__(self, folder: Path, ports: Callable[[], int]) -> None:
        self.lab = Site(folder / "lab", name="lab", port=ports())
        self.partner = Site(folder / "partner", name="partner", port=ports())

    async def forks(self) -> list[str]:
        views = await self.partner.node.catalog.publishers()
        return [view.name for view in views if view.forked]


@pytest.fixture
async def pair(tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[Pair]:
    pair = Pair(tmp_path, unused_tcp_port_factory)
    await pair.lab.start(syncs=False)
    await pair.partner.start(syncs=False)
    await pair.lab.approve(pair.partner)
    await pair.partner.approve(pair.lab)
    yield pair
    await pair.lab.stop()
    await pair.partner.stop()


def backup(home: Path, folder: Path) -> None:
    shutil.copytree(home, folder)


def restore(folder: Path, home: Path) -> None:
    shutil.rmtree(home)
    shutil.copytree(folder, home)


async def present(site: Site, *, name: str) -> bool:
    """Start as `serve` does, with something new to say of oneself."""
    site.config = site.config.with_settings(name=name)
    await site.start(syncs=False, publishes=False)
    return await service._present(site.node, (site.url,))


async def test_a_restored_home_takes_its_records_back_before_it_signs(
    pair: Pair, tmp_path: Path
) -> None:
    lab, partner = pair.lab, pair.partner
    await lab.stop()
    backup(lab.config.home, tmp_path / "backup")
    await lab.start(syncs=False)
    await lab.node.publishing.publish_node_info(("http://elsewhere.example",))
    await lab.publish("after the backup")
    await partner.node.peering.syncer.sync_all()
    await lab.stop()
    restore(tmp_path / "backup", lab.config.home)
    assert await present(lab, name="restored")
    assert await lab.knows("after the backup")
    await partner.node.peering.syncer.sync_all()
    assert await pair.forks() == []
    assert (await partner.node.catalog.publisher(lab.publisher)).name == "restored"


async def test_a_restored_home_waits_for_a_peer_that_answers(pair: Pair) -> None:
    lab, partner = pair.lab, pair.partner
    await lab.stop()
    await partner.stop()
    assert not await present(lab, name="alone")
    view = await lab.node.catalog.publisher(lab.publisher)
    assert view.name == "lab"
    await partner.start(syncs=False)
    assert await service._present(lab.node, (lab.url,))
    assert (await lab.node.catalog.publisher(lab.publisher)).name == "alone"


async def test_a_new_catalog_beside_an_old_key_signs_nothing(pair: Pair) -> None:
    lab, partner = pair.lab, pair.partner
    await lab.publish("known to others")
    await partner.node.peering.syncer.sync_all()
    await lab.stop()
    for path in lab.config.home.glob("catalog.db*"):
        path.unlink()
    assert not await present(lab, name="amnesiac")
    with pytest.raises(ConflictError, match="take the records back"):
        await lab.node.publishing.resign_head("public")
    await lab.approve(partner)
    assert await service._present(lab.node, (lab.url,))
    assert await lab.knows("known to others")
    await partner.node.peering.syncer.sync_all()
    assert await pair.forks() == []


async def test_two_copies_of_one_home_are_found_out(
    pair: Pair, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    lab, partner = pair.lab, pair.partner
    await lab.stop()
    backup(lab.config.home, tmp_path / "copy")
    copy = Site(tmp_path / "copy", name="copy", port=unused_tcp_port_factory())
    copy.config = Config.load(tmp_path / "copy", {}).with_settings(name="copy", port=copy.port)
    await lab.start(syncs=False)
    await copy.start(syncs=False, publishes=False)
    try:
        await lab.publish("here")
        await copy.publish("there")
        for site in (lab, copy):
            await site.node.peering.syncer.sync_all()
        # The copy saw both heads of one sequence; it passes on the one with the lower id, so the
        # partner sees both only if that is its own.
        views = await copy.node.catalog.publishers()
        assert [view.id for view in views if view.forked] == [lab.publisher]
        await eventually(lambda: partner.knows("here"))
        await eventually(lambda: partner.knows("there"))
    finally:
        await copy.stop()
