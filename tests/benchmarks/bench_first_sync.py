"""How long an empty node needs to take over everything that a peer knows.

    python -m tests.benchmarks.bench_first_sync [--records 100000] [--json FILE]

The peer is a process of its own. Three ways of getting the same records from it, in one run:

- sync: one round of this project: reconcile, fetch, verify every signature and chain, index for
  search, compare with the signed head, in the node's durable database.
- JSON pages: the records' bytes as plain paged JSON over HTTP, inserted into SQLite as they come.
  Nothing is verified, nothing is indexed: a floor, not a peer.
- OAI-PMH: the records as Dublin Core, harvested with Sickle, as libraries do it; inserted into
  SQLite. Integrity is not part of the protocol. Left out if Sickle is not installed.
"""

import argparse
import asyncio
import html
import importlib
import importlib.util
import json
import multiprocessing
import sqlite3
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from aiohttp import web

from node.app import Node, create_home
from node.config import Config
from node.web.server import make_app
from protocol.dataset import Author, Dataset, Tag
from protocol.envelope import Envelope, seal
from tests.node.federation import FILE, Site

PAGE_SIZE = 1000
OAI_PAGE_SIZE = 100
BATCH_SIZE = 1000
WORDS = ["pore", "microtubule", "clathrin", "mitochondria", "actin", "spectrin", "U2OS", "COS7"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way of getting the records, measured."""

    way: str
    records: int
    seconds: float
    bytes_received: int

    @property
    def rate(self) -> float:
        return self.records / self.seconds


def dataset(number: int, template: Dataset) -> Dataset:
    """Return a record of usual size, different from all others."""
    word = WORDS[number % len(WORDS)]
    return replace(
        template,
        name=f"{word} dataset {number}",
        description=f"Field of view {number} of {word}, fixed cells. " + "Measured in TIRF. " * 12,
        issued=template.issued - number % 1_000_000,
        authors=tuple(Author(name=f"Author {number % 97 + item}") for item in range(3)),
        tags=(
            Tag(category="modality", term="dstorm", label="dSTORM"),
            Tag(category="structure", term=word.lower(), label=word),
            Tag(category="cell-line", term=f"line-{number % 50}", label=f"Line {number % 50}"),
        ),
        samples=(replace(template.samples[0], files=(replace(FILE, size=1000 + number),)),),
    )


async def fill(site: Site, count: int) -> None:
    """Publish records straight into the catalog, then the head that counts them."""
    template = site.dataset("template")
    signer, catalog = site.node.keyring.signer, site.node.catalog
    for start in range(0, count, BATCH_SIZE):
        numbers = range(start, min(start + BATCH_SIZE, count))
        envelopes = [seal(dataset(item, template).to_bytes(), [signer]) for item in numbers]
        outcomes = await catalog.admit(envelopes, source="self")
        assert all(outcome.action == "accept" for outcome in outcomes)
    await site.node.publishing.resign_head("public")


def baseline_routes(envelopes: list[Envelope]) -> list[web.RouteDef]:
    """Return what the two other ways ask of the peer, prepared outside the measured time."""
    pages = [
        json.dumps([json.loads(item.payload) for item in envelopes[at : at + PAGE_SIZE]]).encode()
        for at in range(0, len(envelopes), PAGE_SIZE)
    ]
    oai = [
        _oai_page(envelopes, at).encode() for at in range(0, max(1, len(envelopes)), OAI_PAGE_SIZE)
    ]

    async def get_page(request: web.Request) -> web.Response:
        number = int(request.query["page"])
        body = pages[number] if number < len(pages) else b"[]"
        return web.Response(body=body, content_type="application/json")

    async def get_oai(request: web.Request) -> web.Response:
        at = int(request.query.get("resumptionToken", "0"))
        return web.Response(body=oai[at // OAI_PAGE_SIZE], content_type="text/xml")

    return [web.get("/baseline/pages", get_page), web.get("/baseline/oai", get_oai)]


def _oai_page(envelopes: list[Envelope], at: int) -> str:
    records = "".join(_oai_record(item) for item in envelopes[at : at + OAI_PAGE_SIZE])
    following = at + OAI_PAGE_SIZE
    token = str(following) if following < len(envelopes) else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
        "<responseDate>2026-01-01T00:00:00Z</responseDate>"
        '<request verb="ListRecords">http://localhost/oai</request>'
        f"<ListRecords>{records}<resumptionToken>{token}</resumptionToken></ListRecords></OAI-PMH>"
    )


def _oai_record(envelope: Envelope) -> str:
    record = Dataset.from_bytes(envelope.payload)
    fields = [
        ("title", record.name),
        ("description", record.description),
        ("rights", record.license),
        ("identifier", envelope.id),
        *(("creator", author.name) for author in record.authors),
        *(("subject", tag.label) for tag in record.tags),
    ]
    body = "".join(f"<dc:{name}>{html.escape(text)}</dc:{name}>" for name, text in fields)
    return (
        f"<record><header><identifier>oai:localhost:{envelope.id}</identifier>"
        "<datestamp>2026-01-01</datestamp></header><metadata>"
        '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/">{body}</oai_dc:dc></metadata></record>'
    )


def run_peer(home: Path, count: int, ready: Connection) -> None:
    """Be the peer: fill a home, serve it, until told to end."""
    asyncio.run(_run_peer(home, count, ready))


async def _run_peer(home: Path, count: int, ready: Connection) -> None:
    site = Site(home, name="peer", port=0)
    await site.start(serves=False, syncs=False)
    begin = time.monotonic()
    await fill(site, count)
    fill_s = time.monotonic() - begin
    items = await site.node.catalog.items(site.publisher, "public")
    ids = [bytes(row).hex() for row in items.ids]
    envelopes = [item for item in await site.node.catalog.envelopes(ids) if _is_dataset(item)]
    app = make_app(site.node)
    app.add_routes(baseline_routes(envelopes))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ready.send((f"http://127.0.0.1:{runner.addresses[0][1]}", site.publisher, fill_s))
    await asyncio.to_thread(ready.recv)
    await runner.cleanup()
    await site.stop()


def _is_dataset(envelope: Envelope) -> bool:
    return bool(json.loads(envelope.payload)["type"] == "dataset")


async def measure_sync(home: Path, url: str, publisher: str) -> Row:
    config = Config.load(home, {}).with_settings(discovery=("exchange",))
    await create_home(config)
    async with Node(config) as node:
        await node.publishing.repair()
        peer = await node.peers.add(url, source="operator", state="approved", publisher=publisher)
        begin = time.monotonic()
        report = await node.peering.syncer.sync_peer(peer)
        seconds = time.monotonic() - begin
        assert not report.error, report.error
        assert (await node.catalog.completeness(publisher, "public")).complete
    return Row(
        way="sync, verified and searchable",
        records=report.pulled,
        seconds=seconds,
        bytes_received=report.bytes_received,
    )


def measure_pages(database: Path, url: str) -> Row:
    begin, received, count = time.monotonic(), 0, 0
    db = _plain_table(database)
    while True:
        page = count // PAGE_SIZE
        with urllib.request.urlopen(f"{url}/baseline/pages?page={page}") as response:
            body = response.read()
        received += len(body)
        records = json.loads(body)
        if not records:
            break
        with db:
            db.executemany(
                "insert into records values (?, ?)",
                ((count + at, json.dumps(item)) for at, item in enumerate(records)),
            )
        count += len(records)
    db.close()
    seconds = time.monotonic() - begin
    return Row(
        way="JSON pages, unverified", records=count, seconds=seconds, bytes_received=received
    )


def measure_oai(database: Path, url: str) -> Row:
    sickle = importlib.import_module("sickle")
    begin, received, count = time.monotonic(), 0, 0
    db = _plain_table(database)
    with db:
        harvester = sickle.Sickle(f"{url}/baseline/oai")
        for record in harvester.ListRecords(metadataPrefix="oai_dc"):
            received += len(record.raw)
            db.execute("insert into records values (?, ?)", (count, json.dumps(record.metadata)))
            count += 1
    db.close()
    seconds = time.monotonic() - begin
    return Row(way="OAI-PMH with Sickle", records=count, seconds=seconds, bytes_received=received)


def _plain_table(database: Path) -> sqlite3.Connection:
    db = sqlite3.connect(database)
    db.execute("pragma journal_mode=wal")
    db.execute("create table records (id integer primary key, payload text)")
    return db


def measure(count: int) -> dict[str, Any]:
    """Run all ways and return their figures."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        process = context.Process(target=run_peer, args=(root / "peer", count, there))
        process.start()
        try:
            url, publisher, fill_s = here.recv()
            print(f"peer: {count} records admitted in {fill_s:.1f} s", flush=True)
            ways: list[Callable[[], Row]] = [
                lambda: asyncio.run(measure_sync(root / "empty", url, publisher)),
                lambda: measure_pages(root / "pages.db", url),
            ]
            if importlib.util.find_spec("sickle"):
                ways.append(lambda: measure_oai(root / "oai.db", url))
            rows = [way() for way in ways]
        finally:
            here.send("end")
            process.join(30)
    return {
        "benchmark": "first_sync",
        "records": count,
        "fill_seconds": round(fill_s, 2),
        "rows": [asdict(row) | {"records_per_second": round(row.rate, 1)} for row in rows],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    figures = measure(arguments.records)
    print(f"{'':32}{'records':>9}{'seconds':>9}{'per s':>9}{'MB in':>9}{'B/record':>10}")
    for row in figures["rows"]:
        print(
            f"{row['way']:32}{row['records']:>9}{row['seconds']:>9.1f}"
            f"{row['records_per_second']:>9.0f}{row['bytes_received'] / 1e6:>9.1f}"
            f"{row['bytes_received'] / max(1, row['records']):>10.0f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
