"""How fast the catalog takes records in and answers searches, beside plain SQLite.

`python -m tests.benchmarks.bench_catalog [--datasets N] [--json FILE]`

The peer is what one would build in an afternoon: the same metadata in sqlite-utils tables with its
FTS5 support, ranked by bm25, and facets counted by GROUP BY over the matches, as Datasette does.
It verifies no signature, keeps no history and knows no visibility.

`p50_ms` and so on are of a node that has warmed up as every served node does when it starts
(`warm_up_s`); `cold_p50_ms` and so on of one whose index alone is in memory, so that each word is
looked up for the first time.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlite_utils

from node.catalog.catalog import Catalog
from node.catalog.views import Query
from node.storage.database import Database
from protocol.envelope import Envelope, seal
from protocol.identity import SigningKey
from protocol.records import Identity, Key
from protocol.verdict import Policy

NOW = 1_800_000_000
BATCH_SIZE = 500
PEER_QUERIES = 40  # A sample is enough where one takes a second.
PUBLISHERS = 40
GOAL_PER_MINUTE = 100_000
GOAL_P95_MS = 20.0
TENFOLD = 10  # The benchmark fails only on a loss as large as this.

TAGS = {
    "modality": "palm storm dstorm dna-paint paint minflux",
    "cell-line": "u2os u373 cos7 ref52 mdck hela nih3t3 yeast e-coli mef hek293 rpe1",
    "structure": "microtubules mitochondria actin nuclear-pore-complex dna plasma-membrane "
    "neuronal-synapse vimentin clathrin focal-adhesions golgi endoplasmic-reticulum",
    "fluorophore": "alexa-647 alexa-532 cy5 cf680 jf-646 pa-jf646 meos2 cy3b cf568 dendra2 "
    "pa-mcherry nile-red atto-488 atto-655",
    "labeling-strategy": "snap-tag halo-tag direct-immuno-labeling indirect-immuno-labeling "
    "endogenous-crispr-labeling",
    "target-molecule": "nup96 nup133 tom20 tom22 alpha-tubulin beta-tubulin h2b actin gp210 rab5",
    "camera": "em-ccd scmos",
    "reconstruction-software": "thunderstorm picasso smap decode zola-3d quickpalm",
    "buffer": "gluox catalase mea oxea",
    "fixation": "4%pfa 1%pfa pfa+gluta glyoxal methanol",
}
TERMS = {category: terms.split() for category, terms in TAGS.items()}


def _words(text: str) -> list[str]:
    return text.split()


FAMILY = _words(
    "Andronov Betzig Chen Dempsey Eilers Fischer García Heilemann Ivanov Jungmann Köhler Lelek "
    "Manley Nieuwenhuizen Ouyang Patterson Quirin Ries Schmidt Thévathasan Ueno Vicidomini "
    "Wieser Xu Yildiz Zhuang"
)
GIVEN = _words("Anna Bob Chiara David Élise Filip Grace Hugo Inês Jan Katrin Léa Mao Nora Omar")
PLACES = (
    "Institut Pasteur",
    "EMBL Heidelberg",
    "Janelia",
    "Universität Würzburg",
    "TU Delft",
    "EPFL",
    "University of Oxford",
    "Harvard Medical School",
    "Kyoto University",
    "Monash University",
)
WORDS = _words(
    "imaging single molecule localization cells were fixed stained labeled antibody secondary "
    "primary acquired frames exposure laser power objective oil immersion TIRF HILO drift "
    "corrected fiducial beads calibration astigmatism cylindrical lens blinking buffer oxygen "
    "scavenger photons background precision resolution reconstructed filtered linked grouped "
    "density cluster analysis control treated wild type knock in clone passage incubated washed "
    "permeabilized blocked mounted coverslip temperature replicate experiment field view nucleus "
    "cytoplasm membrane filament ring eightfold symmetry radius distance axial lateral"
)
LICENSES = ("CC-BY-4.0", "CC0-1.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0")
COLUMNS = ("frame", "x", "y")


class Corpus:
    """Signed records of datasets as labs would publish them, about 4 kB each."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._rare = [f"{self._syllables(3)}" for _ in range(20_000)]
        self.keys = [SigningKey.from_seed(bytes([n]) * 32) for n in range(1, PUBLISHERS + 1)]
        self.identities = [self._identity(key, n) for n, key in enumerate(self.keys, 1)]
        self.nodes = [seal(self._node(n), [key]) for n, key in enumerate(self.keys)]

    def documents(self, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield publisher numbers and the fields of dataset records."""
        for number in range(count):
            publisher = min(int(self._random.expovariate(1 / 8)), PUBLISHERS - 1)
            yield publisher, self._document(number, publisher)

    def envelopes(self, documents: Sequence[tuple[int, dict[str, Any]]]) -> list[Envelope]:
        """Sign documents."""
        return [
            seal(json.dumps(document, separators=(",", ":")).encode(), [self.keys[publisher]])
            for publisher, document in documents
        ]

    def _identity(self, key: SigningKey, number: int) -> Envelope:
        recovery = SigningKey.from_seed(bytes([number, 255]) * 16)
        keys = (Key(key=key.did, role="online"), Key(key=recovery.did, role="recovery"))
        return seal(Identity(revision=1, issued=NOW - 10**7, keys=keys).to_bytes(), [key, recovery])

    def _node(self, number: int) -> bytes:
        place = PLACES[number % len(PLACES)]
        node = {
            "type": "node",
            "protocol": 1,
            "publisher": self.identities[number].id,
            "revision": 1,
            "issued": NOW - 10**7,
            "name": f"{FAMILY[number % len(FAMILY)]} lab",
            "institution": place,
        }
        return json.dumps(node).encode()

    def _document(self, number: int, publisher: int) -> dict[str, Any]:
        choose = self._random.choice
        tags = {category: self._skewed(terms) for category, terms in TERMS.items()}
        dimension = choose((2, 2, 3))
        title = f"{tags['modality']} of {tags['structure']} in {tags['cell-line']} cells"
        samples = [self._sample(number, index, dimension) for index in range(2)]
        return {
            "type": "dataset",
            "protocol": 1,
            "publisher": self.identities[publisher].id,
            "revision": 1,
            "issued": NOW - 10**6 + number,
            "visibility": "public",
            "name": f"{title} {choose(self._rare)} {number}",
            "description": f"{title}. {self._prose(45)}",
            "authors": [
                {"name": f"{choose(GIVEN)} {choose(FAMILY)}", "affiliation": choose(PLACES)}
                for _ in range(self._random.randint(2, 5))
            ],
            "contact": "someone@example.org",
            "license": self._skewed(LICENSES),
            "tags": [
                {"category": category, "term": term, "label": term.replace("-", " ")}
                for category, term in tags.items()
            ],
            "documentation": self._prose(30),
            "samples": samples,
        }

    def _sample(self, number: int, index: int, dimension: int) -> dict[str, Any]:
        rows = int(10 ** self._random.uniform(4, 7))
        side = self._random.uniform(5_000, 60_000)
        table = {
            "name": "table",
            "rows": rows,
            "columns": [
                {"name": name, "unit": "nm", "source": name, "min": 0.0, "max": side, "mean": 1.5}
                for name in COLUMNS
            ],
            "bounds": {"x": [0.0, side], "y": [0.0, side]},
            "frames": {"first": 1, "last": 20_000, "origin": 1},
            "dimension": dimension,
            "density_per_um2": rows / (side / 1000) ** 2,
            "uncertainty_nm": self._random.uniform(3, 30),
            "non_finite": 0,
        }
        original = self._file(f"cell{number}_{index}.csv", "original", "text/csv")
        rendition = self._file(f"cell{number}_{index}.smlm", "rendition", "application/zip")
        thumbnail = self._file("", "", "image/png")
        return {
            "name": f"cell {index + 1}",
            "files": [original | {"format": "thunderstorm", "tables": [table]}, rendition],
            "thumbnail": {key: thumbnail[key] for key in ("sha256", "size", "merkle_root")}
            | {"media_type": "image/png"},
        }

    def _file(self, name: str, role: str, media_type: str) -> dict[str, Any]:
        return {
            "name": name,
            "role": role,
            "media_type": media_type,
            "size": self._random.randint(10_000, 200_000),
            "sha256": self._random.randbytes(32).hex(),
            "merkle_root": self._random.randbytes(32).hex(),
        }

    def _skewed(self, values: Sequence[str]) -> str:
        return values[min(int(self._random.expovariate(3 / len(values))), len(values) - 1)]

    def _prose(self, count: int) -> str:
        common = self._random.choices(WORDS, k=count - 4)
        return " ".join(common + self._random.choices(self._rare, k=4))

    def _syllables(self, count: int) -> str:
        return "".join(
            self._random.choice("bcdfghklmnprstvz") + self._random.choice("aeiou")
            for _ in range(count)
        )


def queries(count: int, seed: int = 2) -> list[Query]:
    """Return what people ask: few words, mostly common ones, often a filter, sometimes deep."""
    chance = random.Random(seed)
    rare = Corpus(1)._rare
    structures = [term.replace("-", " ") for term in TERMS["structure"]]
    kinds: list[Callable[[], Query]] = [
        lambda: Query(text=chance.choice(structures)),
        lambda: Query(text=f"{chance.choice(TERMS['modality'])} {chance.choice(structures)}"),
        lambda: Query(text=chance.choice(structures)[: chance.randint(3, 6)]),
        lambda: Query(text=f"3D {chance.choice(structures)} {chance.choice(TERMS['cell-line'])}"),
        lambda: Query(text=chance.choice(FAMILY)),
        lambda: Query(text=chance.choice(rare)),
        lambda: Query(text=f'"{chance.choice(structures)}" -palm'),
        lambda: Query(text=chance.choice(PLACES)),
        Query,
        lambda: Query(tags=(f"structure:{chance.choice(TERMS['structure'])}",)),
        lambda: Query(
            tags=(
                f"modality:{chance.choice(TERMS['modality'])}",
                f"cell-line:{chance.choice(TERMS['cell-line'])}",
            ),
            dimension=3,
        ),
        lambda: Query(text="nuclear pore", precision_max=10.0, sort="precision"),
        lambda: Query(license="CC0-1.0", localizations_min=1_000_000, sort="localizations"),
    ]
    # Each query is new to the node: limits that differ keep answers from being remembered.
    return [
        replace(chance.choice(kinds)(), localizations_max=10**9 + number) for number in range(count)
    ]


async def measure_locmesh(
    folder: Path, corpus: Corpus, batches: Iterator[list[Envelope]], asked: Sequence[Query]
) -> dict[str, float]:
    """Return records per minute and milliseconds of searches."""
    db = Database(folder / "catalog.db")
    catalog = Catalog(db, Policy(), lambda: NOW)
    await catalog.admit(corpus.identities + corpus.nodes, source="benchmark")
    seconds, cpu, count, size = 0.0, 0.0, 0, 0
    for batch in batches:
        start, start_cpu = time.perf_counter(), time.process_time()
        outcomes = await catalog.admit(batch, source="benchmark")
        seconds += time.perf_counter() - start
        cpu += time.process_time() - start_cpu
        assert all(outcome.action == "accept" for outcome in outcomes), outcomes[0]
        count += len(batch)
        size += sum(len(envelope.payload) for envelope in batch)
    start = time.perf_counter()
    assert (await catalog.search(Query())).total == count
    build_s = time.perf_counter() - start
    cold = await measure_searches(catalog, asked)
    await catalog.close()
    # A node that has just started, as `locmesh serve` starts it.
    catalog = Catalog(db, Policy(), lambda: NOW)
    start = time.perf_counter()
    await catalog.warm_up()
    warm_up_s = time.perf_counter() - start
    times = await measure_searches(catalog, asked)
    await catalog.close()
    await db.close()
    return {
        "records_per_minute": count / seconds * 60,
        "records_per_cpu_minute": count / cpu * 60,
        "payload_size": size / count,
        "database_size": (folder / "catalog.db").stat().st_size / count,
        "index_build_s": build_s,
        "warm_up_s": warm_up_s,
        **percentiles(times),
        **{f"cold_{name}": value for name, value in percentiles(cold).items()},
    }


async def measure_searches(catalog: Catalog, asked: Sequence[Query]) -> list[float]:
    """Return the milliseconds that each search took, one after another."""
    times = []
    for query in asked:
        start = time.perf_counter()
        await catalog.search(query)
        times.append((time.perf_counter() - start) * 1000)
    return times


def percentiles(times_ms: Sequence[float]) -> dict[str, float]:
    """Return the figures of merit of a list of durations."""
    cuts = statistics.quantiles(times_ms, n=100)
    return {"p50_ms": cuts[49], "p95_ms": cuts[94], "max_ms": max(times_ms)}


class Peer:
    """The same metadata in plain tables."""

    FACETS = ("publisher", "license", "dimension")

    def __init__(self, folder: Path) -> None:
        self.db = sqlite_utils.Database(folder / "peer.db")
        self.db.enable_wal()
        self.db.table("datasets").create(
            {
                "id": int,
                "name": str,
                "tags": str,
                "authors": str,
                "description": str,
                "documentation": str,
                "files": str,
                "publisher": str,
                "license": str,
                "dimension": int,
                "localizations": int,
                "precision": float,
                "issued": int,
                "record": str,
            },
            pk="id",
        )
        self.db.table("tags").create({"dataset": int, "category": str, "term": str})
        words = ["name", "tags", "authors", "description", "documentation", "files"]
        self.db.table("datasets").enable_fts(words, create_triggers=True)
        self.db.table("tags").create_index(["dataset"])
        self.db.table("tags").create_index(["category", "term"])
        self.count = 0

    def insert(self, documents: Sequence[tuple[int, dict[str, Any]]]) -> None:
        """Add records in one transaction."""
        rows, tags = [], []
        for publisher, document in documents:
            self.count += 1
            tables = [sample["files"][0]["tables"][0] for sample in document["samples"]]
            rows.append(
                {
                    "id": self.count,
                    "name": document["name"],
                    "tags": " ".join(tag["label"] for tag in document["tags"]),
                    "authors": " ".join(author["name"] for author in document["authors"]),
                    "description": document["description"],
                    "documentation": document["documentation"],
                    "files": " ".join(
                        file["name"] for item in document["samples"] for file in item["files"]
                    ),
                    "publisher": str(publisher),
                    "license": document["license"],
                    "dimension": max(table["dimension"] for table in tables),
                    "localizations": sum(table["rows"] for table in tables),
                    "precision": statistics.mean(table["uncertainty_nm"] for table in tables),
                    "issued": document["issued"],
                    "record": json.dumps(document),
                }
            )
            tags += [
                {"dataset": self.count, "category": tag["category"], "term": tag["term"]}
                for tag in document["tags"]
            ]
        with self.db.atomic():
            self.db.table("datasets").insert_all(rows)
            self.db.table("tags").insert_all(tags)

    def search(self, query: Query) -> int:
        """Return the total, having read a page and all facets."""
        inner, values, order = self._inner(query)
        total = int(self.db.execute(f"select count(*) from ({inner})", values).fetchone()[0])
        page = f"select * from datasets where id in ({inner}) order by issued desc limit 20"
        if order:
            page = f"{inner} order by rank limit 20"
        self.db.execute(page, values).fetchall()
        for facet in self.FACETS:
            sql = f"""with matched as ({inner}) select {facet}, count(*) as n from datasets
                      where id in (select id from matched) group by {facet} order by n desc"""
            self.db.execute(sql, values).fetchall()
        sql = f"""with matched as ({inner}) select category, term, count(*) from tags
                  where dataset in (select id from matched) group by category, term"""
        self.db.execute(sql, values).fetchall()
        return total

    def _inner(self, query: Query) -> tuple[str, list[Any], bool]:
        words = [word for word in query.text.replace('"', "").split() if not word.startswith("-")]
        sql, where = "select id from datasets", ["localizations <= ?"]
        values: list[Any] = [query.localizations_max]
        if words:
            sql = "select id from datasets join datasets_fts on datasets_fts.rowid = datasets.id"
            where.append("datasets_fts match ?")
            values.append(" ".join(f'"{word}"' for word in words) + "*")
        for tag in query.tags:
            where.append("id in (select dataset from tags where category = ? and term = ?)")
            values += tag.split(":", 1)
        for condition, value in (
            ("dimension = ?", query.dimension),
            ("license = ?", query.license),
            ("precision <= ?", query.precision_max),
            ("localizations >= ?", query.localizations_min),
        ):
            if value is not None:
                where.append(condition)
                values.append(value)
        return f"{sql} where {' and '.join(where)}", values, bool(words)


def measure_peer(
    peer: Peer, asked: Sequence[Query], *, insert_s: float, count: int
) -> dict[str, float]:
    """Return the same figures for the peer."""
    times = []
    for query in asked:
        start = time.perf_counter()
        peer.search(query)
        times.append((time.perf_counter() - start) * 1000)
    return {"records_per_minute": count / insert_s * 60, **percentiles(times)}


def main() -> None:
    """Run, print a table and the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    corpus, peer_s = Corpus(), 0.0
    asked = queries(arguments.queries)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = Peer(folder)

        def batches() -> Iterator[list[Envelope]]:
            nonlocal peer_s
            documents = corpus.documents(arguments.datasets)
            for _ in range(0, arguments.datasets, BATCH_SIZE):
                batch = [item for _, item in zip(range(BATCH_SIZE), documents, strict=False)]
                start = time.perf_counter()
                peer.insert(batch)
                peer_s += time.perf_counter() - start
                yield corpus.envelopes(batch)

        ours = asyncio.run(measure_locmesh(folder, corpus, batches(), asked))
        theirs = measure_peer(peer, asked[:PEER_QUERIES], insert_s=peer_s, count=arguments.datasets)
        peer.db.close()
    result = {"datasets": arguments.datasets, "sqlite": sqlite3.sqlite_version}
    report(result | {"locmesh": ours, "sqlite-utils": theirs}, arguments.json)
    assert ours["records_per_cpu_minute"] > GOAL_PER_MINUTE / TENFOLD
    assert ours["p95_ms"] < GOAL_P95_MS * TENFOLD


def report(result: dict[str, Any], path: Path | None) -> None:
    """Print the table, and the JSON where it is wanted."""
    print(f"{result['datasets']} datasets, SQLite {result['sqlite']}")
    print(f"{'':24}{'locmesh':>14}{'sqlite-utils':>14}")
    for figure, value in result["locmesh"].items():
        other = result["sqlite-utils"].get(figure)
        print(f"{figure:24}{value:14,.1f}{'' if other is None else f'{other:14,.1f}'}")
    text = json.dumps(result)
    print(text)
    if path is not None:
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
