import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from markupsafe import Markup

from node.app import Node
from node.catalog.order import SORTS
from node.catalog.views import FacetCount, Results, RevisionView
from node.web.address import SearchAddress
from node.web.cards import Surroundings
from node.web.dataset_page import make_dataset_page
from node.web.search_page import make_search_page
from protocol.records import Author
from tests.node.web_nodes import Served, open_node, publish, serve

HOSTILE = '<img src=x onerror=alert(1)> & "quoted"'


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with open_node(tmp_path / "home") as node:
        yield node


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Served]:
    async with serve(node) as client:
        yield client


async def text_of(client: Served, address: str, status: int = 200) -> str:
    answer = await client.get(address, headers={"Accept": "text/html"})
    assert answer.status == status, await answer.text()
    assert answer.content_type == "text/html"
    return await answer.text()


async def test_an_empty_node_says_what_to_do(client: Served) -> None:
    text = await text_of(client, "/")
    assert "No datasets yet" in text
    assert 'href="/network"' in text


async def test_search_page_shows_cards_facets_and_chips(node: Node, client: Served) -> None:
    first = await publish(node, "Microtubules in COS-7")
    await publish(node, "Pores in U2OS", tags=("modality:palm", "structure:nuclear-pore-complex"))
    text = await text_of(client, "/")
    assert "2 datasets from 1 publisher" in text
    assert f'href="/datasets/{first}"' in text
    assert 'value="modality:dstorm"' in text
    text = await text_of(client, "/?tag=modality:dstorm&q=microtubules")
    assert "1 dataset from" in text
    assert "Pores in U2OS" not in text
    assert 'href="/?q=microtubules"' in text  # The chip's way out keeps the words.


async def test_search_without_results_offers_ways_out(node: Node, client: Served) -> None:
    await publish(node, "Microtubules in COS-7")
    text = await text_of(client, "/?q=unfindable+words&tag=modality:dstorm")
    assert "No dataset fits" in text
    assert "match=any" in text
    assert "Remove all filters" in text


async def test_results_go_on_page_by_page(node: Node, client: Served) -> None:
    for number in range(25):
        await publish(node, f"Dataset {number}")
    text = await text_of(client, "/")
    found = re.search(r'href="(/\?[^"]*cursor=[^"]+)"', text)
    assert found is not None
    text = await text_of(client, found[1].replace("&amp;", "&"))
    assert "Dataset 0<" in text
    assert "Back to the first" in text


async def test_a_wrong_filter_is_a_sentence_that_names_it(client: Served) -> None:
    text = await text_of(client, "/?precision_max=sharp", 400)
    assert "precision_max" in text


async def test_dataset_page_says_what_people_decide_by(node: Node, client: Served) -> None:
    dataset = await publish(node, "Microtubules in COS-7", documentation="# How\n\n**fixed**")
    text = await text_of(client, f"/datasets/{dataset}")
    for words in (
        "Ada Muster",
        "CC\u00a0BY\u00a04.0",
        "Download",
        "<strong>fixed</strong>",
        dataset,
    ):
        assert words in text
    view = await node.catalog.dataset(dataset)
    file = view.metadata.samples[0].files[0]
    assert file.sha256 in text
    assert f"/datasets/{dataset}/files/{file.sha256}/cell1.csv" in text
    for column in file.tables[0].columns:
        assert f"<code>{column.name}</code>" in text
    assert "Complete" in text
    assert "Signature verified" in text
    quality = text.partition('id="quality"')[2].partition("</table>")[0]
    assert "Precision, NeNA" in quality
    assert "cell1.csv</td>" in quality
    assert f'title="{file.tables[0].columns[0].median}"' in text


async def test_a_shortened_id_leads_to_the_whole_one(node: Node, client: Served) -> None:
    dataset = await publish(node, "Microtubules in COS-7")
    answer = await client.get(f"/datasets/{dataset[:8]}", allow_redirects=False)
    assert answer.status == 302
    assert answer.headers["Location"] == f"/datasets/{dataset}"


async def test_words_of_strangers_are_never_markup(node: Node, client: Served) -> None:
    dataset = await publish(
        node, HOSTILE, description=HOSTILE, documentation=HOSTILE, file_name="a'<b> &\".csv"
    )
    pages = ["/", f"/datasets/{dataset}", f"/?q={'<script>alert(1)</script>'}", "/network"]
    for address in [*pages, f"/publishers/{node.keyring.publisher}"]:
        text = await text_of(client, address)
        assert "<img src=x" not in text
        assert "<script>alert" not in text
        assert "onerror=alert(1)>" not in text
        # Nothing inline: the policy would stop it, and it would be a mistake of ours.
        assert not re.search(r"<[^>]+\s(style|on\w+)=", re.sub(r'"[^"]*"', '""', text))


async def test_every_page_is_small_and_carries_the_policy(node: Node, client: Served) -> None:
    dataset = await publish(node, "Microtubules in COS-7")
    for address in ("/", f"/datasets/{dataset}", "/publishers", "/network", "/login"):
        answer = await client.get(address)
        assert answer.status == 200
        assert len(await answer.read()) < 150_000
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_assets_are_kept_for_ever_under_their_version(client: Served) -> None:
    text = await text_of(client, "/")
    found = re.search(r'href="(/static/[0-9a-f]+/locmesh.css)"', text)
    assert found is not None
    answer = await client.get(found[1])
    assert answer.status == 200
    assert "immutable" in answer.headers["Cache-Control"]
    again = await client.get(found[1], headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304
    old = await client.get("/static/0123/locmesh.css")
    assert old.headers["Cache-Control"] == "no-cache"
    assert (await client.get("/static/0123/../server.py")).status == 404


async def test_publisher_and_network_pages_say_states_in_words(node: Node, client: Served) -> None:
    await publish(node, "Microtubules in COS-7")
    for address in ("/publishers", f"/publishers/{node.keyring.publisher}", "/network"):
        text = await text_of(client, address)
        assert "Complete" in text
        assert "This node" in text
    await node.peers.add("http://10.1.2.3:8750", source="operator", state="approved")
    assert "10.1.2.3" not in await text_of(client, "/network")


async def test_what_is_not_there_is_a_helpful_page(client: Served) -> None:
    for address in ("/datasets/" + "ab" * 32, "/nowhere", "/publishers/abcdef0123"):
        text = await text_of(client, address, 404)
        assert "Nothing here has that name" in text
        assert 'href="/"' in text
    answer = await client.get("/nowhere", headers={"Accept": "*/*"})
    assert answer.content_type == "application/problem+json"
    assert json.loads(await answer.text())["status"] == 404


async def test_a_theme_is_remembered_without_a_script(client: Served) -> None:
    form = {"theme": "dark", "next": "/publishers"}
    text = await (await client.post("/theme", data=form)).text()
    assert '<html lang="en" data-theme="dark">' in text
    assert "<h1>Publishers</h1>" in text
    for outside in ("https://x.example/", "//x.example", "/\\x.example"):
        answer = await client.post(
            "/theme", data={"theme": "", "next": outside}, allow_redirects=False
        )
        assert answer.headers["Location"] == "/"


async def test_many_people_do_not_push_the_picture_out_of_sight(node: Node, client: Served) -> None:
    people = tuple(Author(name=f"Author {n}", affiliation=f"Institute {n}") for n in range(100))
    dataset = await publish(node, "By many", authors=people)
    text = await text_of(client, f"/datasets/{dataset}")
    before, after = text.split("<details>")[0], text.split("<details>")[1]
    assert "Author 11" in before
    assert "Author 12" not in before
    assert "All 100 authors, 100 affiliations" in after
    assert "Author 99" in after


def test_odd_categories_do_not_crowd_the_filters() -> None:
    def term(count: int) -> list[FacetCount]:
        return [FacetCount(term="term", label="Term", count=count)]

    odd = {f"odd-{number}": term(number) for number in range(1, 51)}
    page = make_search_page(
        Results(total=60, took_ms=1.0, hits=(), facets={**odd, "modality": term(60)}),
        SearchAddress([]),
        around=Surroundings(held=(), reachability={}, now=0),
        sorts=SORTS,
        is_first=True,
    )
    titles = [group.title for group in page["groups"]]
    assert titles == ["Modality", "Odd 50", "Odd 49", "Odd 48", "Odd 47"]


async def test_a_long_history_is_cut_on_the_page(node: Node) -> None:
    view = await node.catalog.dataset(await publish(node, "Often revised"))
    revisions = tuple(
        RevisionView(record="00" * 32, revision=number, issued=1, type="dataset")
        for number in range(1, 121)
    )
    page = make_dataset_page(
        replace(view, revisions=revisions),
        Markup(),
        around=Surroundings(held=(), reachability={}, now=0),
        names={},
    )
    assert [entry["revision"] for entry in page["revisions"]] == list(range(120, 70, -1))
    assert page["revisions_hidden"] == 70


async def test_a_peer_that_called_and_is_called_is_one_line(node: Node, client: Served) -> None:
    publisher = "ab" * 32
    await node.peers.add(None, source="offer", state="approved", publisher=publisher)
    assert (await text_of(client, "/network")).count('href="/network/') == 1
    await node.peers.add(
        "https://lab.example", source="operator", state="approved", publisher=publisher
    )
    assert len(await node.peers.list()) == 2
    assert (await text_of(client, "/network")).count('href="/network/') == 1
