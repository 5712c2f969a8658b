import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from node.catalog.views import Query, Viewer
from node.errors import AmbiguousError, InputError, NotFoundError
from protocol.envelope import Envelope, seal
from protocol.identity import DigestHex
from protocol.records import Sample
from tests.node.catalogs import opened
from tests.protocol.lab import Lab
from tests.protocol.test_dataset import DATASET, FILE, THUMBNAIL

LAB, OTHER, THIRD = Lab(1), Lab(2), Lab(3)
CONTENT = (b"first file", b"second file")
NAMES = tuple(hashlib.sha256(data).hexdigest() for data in CONTENT)


def two_files() -> Envelope:
    files = tuple(
        replace(FILE, name=f"{place}.csv", sha256=DigestHex(name), size=10)
        for place, name in enumerate(NAMES)
    )
    record = replace(
        DATASET,
        publisher=LAB.publisher,
        samples=(Sample(name="s", files=files, thumbnail=THUMBNAIL),),
    )
    return seal(record.to_bytes(), [LAB.online])


async def test_holders_are_those_who_have_files(tmp_path: Path) -> None:
    made = two_files()
    async with opened(tmp_path, own=THIRD) as home:
        await home.admit(LAB.identity, OTHER.identity, OTHER.node(name="Mirror"), made)
        assert (await home.catalog.dataset(made.id)).holders == ()
        await home.peers.set_holdings(LAB.publisher, [*NAMES, "00" * 32])
        await home.peers.set_holdings(OTHER.publisher, [NAMES[0], THUMBNAIL.sha256])
        await home.peers.set_holdings("99" * 32, [THUMBNAIL.sha256])
        holders = (await home.catalog.dataset(made.id)).holders
        assert [(item.publisher, item.complete, item.blobs) for item in holders] == [
            (LAB.publisher, True, 2),
            (OTHER.publisher, False, 1),
        ]
        assert holders[1].name == "Mirror"
        assert (await home.catalog.search(Query())).hits[0].holders == 1
        assert await home.peers.holders(NAMES[0]) == tuple(sorted([LAB.publisher, OTHER.publisher]))
        await home.peers.change_holdings(OTHER.publisher, added=[NAMES[1]], removed=[])
        assert (await home.catalog.search(Query())).hits[0].holders == 2
        await home.peers.set_holdings(OTHER.publisher, [])
        assert await home.peers.holders(NAMES[1]) == (LAB.publisher,)


async def test_this_node_is_a_holder_of_what_it_has(tmp_path: Path) -> None:
    made = two_files()
    async with opened(tmp_path, own=LAB) as home:
        await home.admit(LAB.identity, LAB.node(name="Here"), made)
        for count, data in enumerate(CONTENT, 1):
            path = tmp_path / "file"
            path.write_bytes(data)
            await home.blobs.put_file(path)
            view = await home.catalog.dataset(made.id)
            (holder,) = view.holders
            assert (holder.publisher, holder.name, holder.blobs) == (LAB.publisher, "Here", count)
            assert holder.complete == view.local == (count == 2)
        publisher = await home.catalog.publisher(LAB.publisher)
        assert publisher.reachability.state == "self"
        assert (await home.catalog.search(Query())).hits[0].holders == 1


async def test_files_of_old_revisions_do_not_make_a_holder(tmp_path: Path) -> None:
    made = two_files()
    revised = LAB.revise(made, "one file", samples=(Sample(name="s", files=(FILE,)),))
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, made)
        await home.peers.set_holdings(OTHER.publisher, NAMES)
        await home.admit(revised)
        assert (await home.catalog.dataset(made.id)).holders == ()
        await home.peers.set_holdings(OTHER.publisher, [*NAMES, FILE.sha256])
        assert (await home.catalog.dataset(made.id)).holders[0].complete


async def test_a_few_digits_name_a_thing(tmp_path: Path) -> None:
    made = two_files()
    revised = LAB.revise(made, "again")
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, made, revised)
        resolve = home.catalog.resolve
        assert await resolve(made.id[:8]) == ("dataset", made.id)
        assert await resolve(made.id.upper()[:12]) == ("dataset", made.id)
        assert await resolve(made.id[:8], kinds=("record",)) == ("record", made.id)
        assert await resolve(revised.id[:9]) == ("record", revised.id)
        assert await resolve(LAB.publisher[:8]) == ("publisher", LAB.publisher)
        assert await resolve(NAMES[1][:11]) == ("blob", NAMES[1])
        with pytest.raises(NotFoundError, match="dataset begins with"):
            await resolve(revised.id, kinds=("dataset",))
        for text in ("", made.id[:7], "xyz" * 5, made.id + "0", "../../etc/passwd"):
            with pytest.raises(InputError):
                await resolve(text)


async def test_digits_that_fit_several_things_are_ambiguous(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        twins = ["ab" * 4 + "0" * 56, "ab" * 4 + "1" * 56]
        files = tuple(replace(FILE, name=name[-1], sha256=DigestHex(name)) for name in twins)
        record = replace(DATASET, publisher=LAB.publisher, samples=(Sample(name="s", files=files),))
        await home.admit(LAB.identity, seal(record.to_bytes(), [LAB.online]))
        with pytest.raises(AmbiguousError, match="give more digits"):
            await home.catalog.resolve("abababab")
        assert await home.catalog.resolve("abababab1") == ("blob", twins[1])


async def test_a_dataset_of_a_blocked_publisher_is_not_shown(tmp_path: Path) -> None:
    made = two_files()
    async with opened(tmp_path) as home:
        # Blocked before anything of it was known.
        await home.peers.add(None, source="offer", publisher=LAB.publisher)
        await home.peers.block(LAB.publisher)
        await home.admit(LAB.identity)
        assert (await home.catalog.publisher(LAB.publisher)).blocked
        assert [item.reason for item in await home.admit(made)] == ["blocked"]
        await home.peers.remove(LAB.publisher)
        await home.admit(made)
        assert (await home.catalog.dataset(made.id, viewer=Viewer.ADMIN)).dataset == made.id


async def test_publishers_are_listed_by_name(tmp_path: Path) -> None:
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, OTHER.identity, THIRD.identity, two_files())
        await home.admit(OTHER.node(name="Alpha"), LAB.node(name="Beta"))
        views = await home.catalog.publishers()
        assert [(view.name, view.records, view.datasets) for view in views] == [
            ("Alpha", 2, 0),
            ("Beta", 3, 1),
            ("", 1, 0),
        ]
        with pytest.raises(NotFoundError):
            await home.catalog.publisher("00" * 32)
