"""A new key travels to everybody, and whoever stole the old one is nobody any more."""

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from node.config import Config
from node.errors import PeerError
from node.publishing.keyring import IDENTITY_FILE, KEYS_FOLDER, ONLINE_FILE, RECOVERY_FILE
from node.publishing.keyring import _write_key as write_key
from protocol.envelope import seal
from protocol.identity import SigningKey
from protocol.records import Identity, Key
from tests.node.federation import Site, eventually
from tests.node.test_peering_hostile import offer, reasons, state, sync


def rotate(site: Site, *, issued: int) -> None:
    """Give a stopped site a new online key, as the recovery key's owner does."""
    folder = site.config.home / KEYS_FOLDER
    pem = (folder / RECOVERY_FILE).read_bytes()
    private = load_pem_private_key(pem, password=None)
    assert isinstance(private, Ed25519PrivateKey)
    recovery = SigningKey.from_seed(private.private_bytes_raw())
    old = site.node.keyring
    first = Identity.from_bytes(old.identity.payload)
    new = SigningKey.from_seed(b"\x07" * 32)
    following = replace(
        first,
        publisher=old.publisher,
        revision=2,
        previous=old.identity.id,
        issued=issued,
        keys=(Key(key=new.did, role="online"), Key(key=recovery.did, role="recovery")),
        signed_by=recovery.did,
    )
    envelope = seal(following.to_bytes(), [recovery, new])
    write_key(folder / ONLINE_FILE, new)
    (folder / IDENTITY_FILE).write_bytes(envelope.to_bytes())


@pytest.fixture
async def sites(
    tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> AsyncIterator[tuple[Site, Site, Site]]:
    """A lab, its partner, and a thief who copied the lab's home before it changed its key."""
    lab, partner = (
        Site(tmp_path / name, name=name, port=unused_tcp_port_factory())
        for name in ("lab", "partner")
    )
    await lab.start(syncs=False)
    await partner.start(syncs=False)
    await lab.approve(partner)
    await partner.approve(lab)
    await lab.publish("before the theft")
    await sync(lab, partner)
    await lab.stop()
    shutil.copytree(lab.config.home, tmp_path / "thief")
    thief = Site(tmp_path / "thief", name="thief", port=unused_tcp_port_factory())
    thief.config = Config.load(tmp_path / "thief", {}).with_settings(port=thief.port)
    rotate(lab, issued=lab.node.clock())
    await lab.start(syncs=False)
    await thief.start(syncs=False, publishes=False)
    yield lab, partner, thief
    for site in (lab, partner, thief):
        await site.stop()


async def test_a_new_key_is_believed_by_all_who_hear_of_it(
    sites: tuple[Site, Site, Site],
) -> None:
    lab, partner, _ = sites
    await lab.publish("by the new key")
    await sync(partner, lab)
    assert await partner.knows("before the theft")
    assert await partner.knows("by the new key")
    completeness = await partner.node.catalog.completeness(lab.publisher, "public")
    assert completeness.complete
    assert not (await sync(lab, partner)).error
    assert not [view for view in await partner.node.catalog.publishers() if view.forked]


async def test_who_stole_the_old_key_can_do_nothing_with_it(
    sites: tuple[Site, Site, Site],
) -> None:
    lab, partner, thief = sites
    await sync(partner, lab)
    before = await state(partner)
    with pytest.raises(PeerError, match="no current key"):
        await partner.node.peering.introduce(thief.url)
    later = partner.node.clock() + 60
    forged = thief.seal(replace(thief.dataset("by the thief"), issued=later))
    report = await offer(lab, partner, forged, await thief.head(count=9))
    assert report.pushed == 0
    assert (await reasons(partner, lab))[:2] == ["retired-key", "retired-key"]
    report = await offer(thief, partner, forged)
    assert any("403" in note for note in report.notes)
    assert await state(partner) == before


async def test_a_thief_who_was_first_is_undone_by_the_rotation(
    sites: tuple[Site, Site, Site],
) -> None:
    lab, partner, thief = sites
    record = replace(thief.dataset("by the thief"), issued=thief.node.clock() + 60)
    await thief.sign(record)
    await offer(thief, partner, thief.seal(record))
    assert await partner.knows("by the thief")
    await sync(partner, lab)

    async def is_undone() -> bool:
        return not await partner.knows("by the thief")

    await eventually(is_undone)
    assert await partner.knows("before the theft")
    completeness = await partner.node.catalog.completeness(lab.publisher, "public")
    assert completeness.complete
