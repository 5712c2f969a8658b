from pathlib import Path

from node.catalog.views import Query
from protocol.records import Tag
from tests.node.catalogs import Home, opened
from tests.protocol.lab import START, Lab, key

LAB = Lab()
CELLS = (Tag(category="cell-line", term="u2os"),)


async def tagged(home: Home, tag: str) -> int:
    return (await home.catalog.search(Query(tags=(tag,)))).total


async def test_of_two_revisions_in_one_batch_the_newer_is_shown(tmp_path: Path) -> None:
    first = LAB.dataset()
    second = LAB.revise(first, "again", tags=CELLS)
    async with opened(tmp_path) as home:
        assert await home.actions(second, first, LAB.identity) == ["accept"] * 3
        assert await tagged(home, "cell-line:u2os") == 1
        assert await tagged(home, "modality:dstorm") == 0


async def test_a_revision_that_stops_counting_takes_its_tags_along(tmp_path: Path) -> None:
    first = LAB.dataset(issued=START)
    second = LAB.revise(first, "of a thief", issued=START + 20, tags=CELLS)
    fresh = key(7)
    rotated = LAB.rotation(signed_by=LAB.recovery, online=[fresh], added=[fresh], issued=START + 10)
    async with opened(tmp_path) as home:
        await home.admit(LAB.identity, first, second)
        assert await tagged(home, "cell-line:u2os") == 1
        assert await home.actions(rotated) == ["accept"]
        assert await tagged(home, "cell-line:u2os") == 0
        assert await tagged(home, "modality:dstorm") == 1
