from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.catalog.order import SORTS
from node.catalog.views import Query, Results, Viewer
from node.errors import InputError
from protocol.envelope import Envelope, seal
from protocol.identity import DigestHex
from protocol.records import (
    Author,
    Dataset,
    Drift,
    File,
    Precision,
    Resolution,
    Sample,
    TableSummary,
    Tag,
)
from tests.node.catalogs import Home, opened
from tests.protocol.lab import START, Lab
from tests.protocol.test_dataset import DATASET, FILE, TABLE

PARIS, DELFT = Lab(1), Lab(2)


def tags(*pairs: str) -> tuple[Tag, ...]:
    split = (pair.split(":") for pair in pairs)
    return tuple(Tag(category=category, term=term, label=term.upper()) for category, term in split)


def table(**measured: Any) -> TableSummary:
    return replace(TABLE, **measured)


def files(*tables: TableSummary, name: str = "cell.csv") -> tuple[Sample, ...]:
    return (Sample(name="s", files=(replace(FILE, name=name, tables=tables),)),)


def dataset(lab: Lab, name: str, *, issued: int = START, **fields: Any) -> Envelope:
    record = replace(DATASET, publisher=lab.publisher, name=name, issued=issued, **fields)
    return seal(record.to_bytes(), [lab.online])


PORES = dataset(
    PARIS,
    "Nuclear pores",
    issued=START + 1,
    description="Nup96 in U2OS cells, imaged in 3D",
    authors=(Author(name="Mickaël Lelek", affiliation="Institut Pasteur"),),
    tags=tags("modality:dstorm", "structure:nuclear-pore-complex", "cell-line:u2os"),
    samples=files(table(rows=100, uncertainty_nm=4.0, dimension=3, bounds={})),
)
TUBULES = dataset(
    PARIS,
    "Microtubules",
    issued=START + 2,
    description="Alpha-tubulin, fixed with 4% PFA",
    documentation="Acquired near the nuclear envelope.",
    tags=tags("modality:dstorm", "structure:microtubules"),
    license="CC0-1.0",
    samples=files(
        table(
            rows=5000,
            uncertainty_nm=12.0,
            bounds={"x": (0, 20_000.0), "y": (0, 30_000.0)},
            localizations_per_frame=2.5,
            precision=Precision(precision_nm=8.0, pairs=900),
            resolution=Resolution(
                resolution_nm=40.0, pixel_nm=5.0, field_nm=2e4, rows=5000, split="rows", seed=1
            ),
            drift=Drift(drift_nm=3.0, uncertainty_nm=1.0),
            signature="1:40ff",
        ),
        name="tubulin_0042.csv",
    ),
)
CLATHRIN = dataset(
    DELFT,
    "Clathrin pits, nuclear side",
    issued=START + 3,
    description="PALM of mEos2",
    tags=tags("modality:palm", "structure:clathrin"),
    samples=files(table(rows=700, uncertainty_nm=None)),
)
ALL = (PORES, TUBULES, CLATHRIN)


async def fill(home: Home) -> None:
    await home.admit(PARIS.identity, DELFT.identity, PARIS.node(name="Lelek lab"), *ALL)
    await home.admit(DELFT.node(name="Quantitative imaging"))


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    async with opened(tmp_path) as home:
        await fill(home)
        yield home


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shelf(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """Return a home that nobody changes."""
    async with opened(tmp_path_factory.mktemp("shelf")) as home:
        await fill(home)
        yield home


reads_only = pytest.mark.asyncio(loop_scope="module")


def names(results: Results) -> list[str]:
    return [hit.name for hit in results.hits]


async def found(home: Home, **query: Any) -> list[str]:
    return names(await home.catalog.search(Query(**query)))


@reads_only
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["Clathrin pits, nuclear side", "Microtubules", "Nuclear pores"]),
        ("   ", ["Clathrin pits, nuclear side", "Microtubules", "Nuclear pores"]),
        # In the name, then in name and tags, then anywhere.
        ("nuclear", ["Clathrin pits, nuclear side", "Nuclear pores", "Microtubules"]),
        ("nuclear pore complex", ["Nuclear pores"]),
        ("nuclear-pore-complex", ["Nuclear pores"]),
        ("microt", ["Microtubules"]),
        ("micro pores", []),
        ("U2OS", ["Nuclear pores"]),
        ("nup96 u2", ["Nuclear pores"]),
        ('"nuclear envelope"', ["Microtubules"]),
        ('"envelope nuclear"', []),
        ('"nuclear env"', []),
        ("nuclear -pits", ["Nuclear pores", "Microtubules"]),
        ('nuclear -"nuclear envelope"', ["Clathrin pits, nuclear side", "Nuclear pores"]),
        ("-nuclear", []),
        ("-palm", ["Microtubules", "Nuclear pores"]),
        ("mickael", ["Nuclear pores"]),
        ("MICKAËL pasteur", ["Nuclear pores"]),
        ("tubulin_0042.csv", ["Microtubules"]),
        # By the publisher's name, alone or beside other words.
        ("lelek lab", ["Microtubules", "Nuclear pores"]),
        ("lelek tubulin", ["Microtubules"]),
        ("quantitative palm", ["Clathrin pits, nuclear side"]),
        ("nuclear -lelek", ["Clathrin pits, nuclear side"]),
        ("4%", ["Microtubules"]),
        ("!!! ???", ["Clathrin pits, nuclear side", "Microtubules", "Nuclear pores"]),
    ],
)
async def test_words_find_what_a_person_means(shelf: Home, text: str, expected: list[str]) -> None:
    assert await found(shelf, text=text) == expected


@reads_only
async def test_any_word_is_enough_if_wanted(shelf: Home) -> None:
    assert set(await found(shelf, text="pits lelek", match="any")) == set(
        await found(shelf, text="")
    )
    assert await found(shelf, text="pits tubulin", match="any") == [
        "Clathrin pits, nuclear side",
        "Microtubules",
    ]


@reads_only
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text() | st.text('"*():^{}+-,;\\NEAR AND OR NOT name:'))
async def test_no_text_is_a_command(shelf: Home, text: str) -> None:
    for match in ("all", "any"):
        results = await shelf.catalog.search(Query(text=text, match=match))
        assert 0 <= results.total <= 3


@reads_only
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"tags": ("modality:dstorm",)}, {"Nuclear pores", "Microtubules"}),
        ({"tags": ("modality:DSTORM", "cell-line:u2os")}, {"Nuclear pores"}),
        (
            {"tags": ("modality:palm", "cell-line:u2os"), "match": "any"},
            {"Nuclear pores", "Clathrin pits, nuclear side"},
        ),
        ({"tags": ("modality:unheard-of",)}, set()),
        ({"tags": ("nonsense",)}, set()),
        ({"publisher": DELFT.publisher}, {"Clathrin pits, nuclear side"}),
        ({"publisher": "00" * 32}, set()),
        ({"license": "CC0-1.0"}, {"Microtubules"}),
        ({"license": "cc0-1.0"}, {"Microtubules"}),
        ({"license": "WTFPL"}, set()),
        ({"dimension": 3}, {"Nuclear pores"}),
        ({"dimension": 2}, {"Microtubules", "Clathrin pits, nuclear side"}),
        ({"localizations_min": 700}, {"Microtubules", "Clathrin pits, nuclear side"}),
        ({"localizations_max": 700}, {"Nuclear pores", "Clathrin pits, nuclear side"}),
        ({"precision_max": 10.0}, {"Nuclear pores"}),
        ({"fov_min": 20.0}, {"Microtubules"}),
        ({"fov_min": 20.1}, set()),
        ({"text": "nuclear", "precision_max": 20.0}, {"Nuclear pores", "Microtubules"}),
    ],
)
async def test_filters(shelf: Home, query: dict[str, Any], expected: set[str]) -> None:
    assert set(await found(shelf, **query)) == expected


@reads_only
@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("newest", "CMN"),
        ("oldest", "NMC"),
        ("name", "CMN"),
        ("localizations", "MCN"),
        ("precision", "NMC"),
        ("fov", "MCN"),
    ],
)
async def test_orders(shelf: Home, sort: str, expected: str) -> None:
    assert "".join(name[0] for name in await found(shelf, sort=sort)) == expected


@reads_only
async def test_facets_count_the_results_of_all_pages(shelf: Home) -> None:
    results = await shelf.catalog.search(Query(limit=1))
    assert results.total == 3
    facets = {
        name: [(item.term, item.count) for item in counted]
        for name, counted in results.facets.items()
    }
    assert facets == {
        "cell-line": [("u2os", 1)],
        "dimension": [("2", 2), ("3", 1)],
        "license": [("CC-BY-4.0", 2), ("CC0-1.0", 1)],
        "modality": [("dstorm", 2), ("palm", 1)],
        "publisher": [(PARIS.publisher, 2), (DELFT.publisher, 1)],
        "structure": [("clathrin", 1), ("microtubules", 1), ("nuclear-pore-complex", 1)],
    }
    assert results.facets["publisher"][0].label == "Lelek lab"
    assert results.facets["modality"][0].label == "DSTORM"
    narrowed = await shelf.catalog.search(Query(text="microtubules"))
    assert [item.count for item in narrowed.facets["modality"]] == [1]
    assert "cell-line" not in narrowed.facets


@reads_only
async def test_a_hit_tells_what_a_list_shows(shelf: Home) -> None:
    (hit,) = (await shelf.catalog.search(Query(text="microtubules"))).hits
    assert hit.dataset == hit.record == TUBULES.id
    assert hit.publisher == PARIS.publisher
    assert hit.publisher_name == "Lelek lab"
    assert hit.authors == ("Ada Löwe",)
    first = hit.tags[0]
    assert (first.category, first.term, first.label) == ("modality", "dstorm", "DSTORM")
    assert (hit.summary.localizations, hit.summary.precision_nm) == (5000, 12.0)
    assert (hit.summary.fov_um, hit.summary.dimension) == (20.0, 2)
    assert (hit.summary.nena_nm, hit.summary.resolution_nm) == (8.0, 40.0)
    assert (hit.summary.drift_nm, hit.summary.localizations_per_frame) == (3.0, 2.5)
    assert hit.summary.signature == "1:40ff"
    assert (hit.holders, hit.status, hit.visibility) == (0, "current", "public")


async def test_a_revision_replaces_words_tags_and_numbers(home: Home) -> None:
    renamed = PARIS.revise(
        PORES,
        "Lamina",
        description="none",
        authors=(Author(name="Nobody"),),
        tags=tags("modality:paint"),
        issued=START + 9,
        samples=files(table(rows=9)),
    )
    await home.admit(renamed)
    assert await found(home, text="lamina") == ["Lamina"]
    assert await found(home, text="pores") == []
    assert await found(home, text="nup96") == []
    assert await found(home, tags=("cell-line:u2os",)) == []
    assert await found(home, tags=("modality:paint",)) == ["Lamina"]
    assert await found(home, localizations_max=9) == ["Lamina"]
    assert await found(home, limit=1) == ["Lamina"]
    facets = (await home.catalog.search(Query())).facets
    assert [item.term for item in facets["modality"]] == ["dstorm", "paint", "palm"]


async def test_a_blocked_publisher_is_not_shown_until_it_is_unblocked(home: Home) -> None:
    assert len(await found(home)) == 3
    await home.peers.add("http://delft", source="operator", publisher=DELFT.publisher)
    await home.peers.block(DELFT.publisher)
    assert await found(home) == ["Microtubules", "Nuclear pores"]
    assert await found(home, text="clathrin") == []
    assert (await home.catalog.search(Query())).facets["publisher"][0].count == 2
    assert (await home.admit(dataset(DELFT, "more")))[0].reason == "blocked"
    await home.peers.approve(DELFT.publisher)
    assert len(await found(home)) == 3


@pytest.mark.parametrize("sort", [*SORTS, ""])
@pytest.mark.parametrize("text", ["", "study"])
async def test_pages_together_are_all_results_once(tmp_path: Path, sort: str, text: str) -> None:
    made = [
        dataset(
            PARIS,
            f"Study {number % 3}",
            issued=START + number % 4,
            samples=files(table(rows=number % 5, uncertainty_nm=None if number % 2 else 3.5)),
            description=f"number {number}",
        )
        for number in range(23)
    ]
    async with opened(tmp_path) as home:
        await home.admit(PARIS.identity, *made)
        whole = await home.catalog.search(Query(text=text, sort=sort, limit=100))
        assert whole.cursor is None
        paged: list[str] = []
        cursor = None
        for _ in range(5):
            query = Query(text=text, sort=sort, limit=5, cursor=cursor)
            results = await home.catalog.search(query)
            assert results.total == 23
            paged += [hit.dataset for hit in results.hits]
            cursor = results.cursor
        assert cursor is None
        assert paged == [hit.dataset for hit in whole.hits]


async def test_a_cursor_stays_right_while_datasets_come(home: Home) -> None:
    first = await home.catalog.search(Query(limit=2))
    await home.admit(dataset(DELFT, "newer", issued=START + 50))
    second = await home.catalog.search(Query(limit=2, cursor=first.cursor))
    assert names(first) + names(second) == [
        "Clathrin pits, nuclear side",
        "Microtubules",
        "Nuclear pores",
    ]


@reads_only
@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "nonsense"},
        {"cursor": ""},
        {"cursor": "ü"},
        {"cursor": "WyJuZXdlc3QiLCJ4IiwxXQ"},
        {"cursor": "WyJuYW1lIiwiMDAiLDFd"},
        {"cursor": "W10"},
        {"cursor": "A" * 10_000},
        {"sort": "best"},
        {"match": "some"},
        {"limit": -1},
        {"limit": 201},
    ],
)
async def test_what_cannot_be_asked_is_said(shelf: Home, query: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        await shelf.catalog.search(Query(**query))


async def test_huge_numbers_of_strangers_fit(home: Home) -> None:
    huge = replace(TABLE, rows=2**53, bounds={"x": (-1.7e308, 1.7e308), "y": (-1.7e308, 1.7e308)})
    file = File(
        name="x",
        role="original",
        media_type="text/csv",
        size=1 << 44,
        sha256=DigestHex("11" * 32),
        merkle_root=DigestHex("22" * 32),
        tables=(replace(huge, columns=()),) * 64,
    )
    many = tuple(replace(file, name=f"{number}") for number in range(20))
    made = dataset(DELFT, "Huge", samples=(Sample(name="s", files=many),))
    assert [outcome.action for outcome in await home.admit(made)] == ["accept"]
    hit = (await home.catalog.search(Query(text="huge"))).hits[0]
    assert hit.summary.localizations == 2**53
    assert hit.summary.fov_um is None


async def test_the_index_built_at_start_is_the_one_kept_up(home: Home, tmp_path: Path) -> None:
    await found(home)
    revised = PARIS.revise(PORES, "Lamina", issued=START + 9, tags=tags("modality:minflux"))
    await home.admit(
        revised, PARIS.withdraw(TUBULES), dataset(DELFT, "members", visibility="members")
    )
    questions: Sequence[Query] = [
        Query(),
        Query(text="lamina"),
        Query(tags=("modality:minflux",)),
        Query(viewer=Viewer.ADMIN),
        Query(sort="localizations"),
    ]
    kept = [replace(await home.catalog.search(query), took_ms=0) for query in questions]
    async with opened(tmp_path) as fresh:
        built = [replace(await fresh.catalog.search(query), took_ms=0) for query in questions]
    assert built == kept
    assert [results.total for results in built] == [2, 1, 1, 3, 2]


async def test_words_looked_up_beforehand_change_no_answer(home: Home, tmp_path: Path) -> None:
    await found(home)
    questions = [Query(text=text) for text in ("nuclear pore", "dstorm", "delft", "paris pores")]
    before = [replace(await home.catalog.search(query), took_ms=0) for query in questions]
    async with opened(tmp_path) as fresh:
        await fresh.catalog.warm_up()
        await home.admit(dataset(DELFT, "Another nuclear pore"))
        after = [replace(await fresh.catalog.search(query), took_ms=0) for query in questions]
        again = [replace(await home.catalog.search(query), took_ms=0) for query in questions]
    assert after == again
    assert [hits.total for hits in after] != [hits.total for hits in before]


def test_the_record_of_a_search_result_is_a_dataset() -> None:
    assert Dataset.from_bytes(PORES.payload).name == "Nuclear pores"
