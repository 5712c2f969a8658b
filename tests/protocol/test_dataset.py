import json
from typing import Any

import pytest

from protocol.errors import MalformedError
from protocol.identity import DigestHex
from protocol.payload import encode_json, plain
from protocol.records import (
    Author,
    BlobRef,
    Citation,
    ColumnSummary,
    Dataset,
    File,
    Frames,
    Sample,
    TableSummary,
    Tag,
    parse_record,
)

P = DigestHex("ab" * 32)
COLUMN = ColumnSummary(name="x", unit="nm", source="x [nm]", min=0.5, max=9.0, mean=4.0)
TABLE = TableSummary(
    name="table",
    rows=3,
    columns=(COLUMN,),
    bounds={"x": (0.5, 9.0)},
    frames=Frames(first=1, last=3, origin=1),
    dimension=2,
    density_per_um2=1.5,
    uncertainty_nm=None,
    non_finite=0,
)
RESOLUTION: dict[str, Any] = {
    "resolution_nm": 34.5,
    "pixel_nm": 4.5,
    "field_nm": 9000.0,
    "rows": 3,
    "split": "frames",
    "seed": 1,
}
FILE = File(
    name="cell1.csv",
    role="original",
    media_type="text/csv",
    size=120,
    sha256=DigestHex("cd" * 32),
    merkle_root=DigestHex("ef" * 32),
    format="thunderstorm",
    tables=(TABLE,),
)
THUMBNAIL = BlobRef(
    sha256=DigestHex("01" * 32), size=900, merkle_root=DigestHex("02" * 32), media_type="image/png"
)
DATASET = Dataset(
    publisher=P,
    revision=1,
    issued=1_790_000_000,
    visibility="public",
    name="Nuclear pores in U2OS",
    description="dSTORM of Nup96.\nTwo fields.",
    authors=(Author(name="Ada Löwe", affiliation="Institute", orcid="0000-0002-1825-0097"),),
    contact="ada@example.org",
    license="CC-BY-4.0",
    tags=(Tag(category="modality", term="dstorm", label="dSTORM"),),
    citation=(Citation(text="Löwe et al. 2026", doi="10.1000/xyz"),),
    links=("https://example.org/a",),
    samples=(Sample(name="cell 1", files=(FILE,), thumbnail=THUMBNAIL),),
)


def test_a_dataset_is_read_back() -> None:
    assert Dataset.from_bytes(DATASET.to_bytes()) == DATASET


def test_absent_optional_fields_are_absent_in_the_bytes() -> None:
    document = json.loads(DATASET.to_bytes())
    assert not {"dataset", "previous", "doi", "funding", "documentation"} & document.keys()
    assert document["samples"][0]["files"][0]["tables"][0]["uncertainty_nm"] is None


def test_a_file_names_its_blob() -> None:
    blob = BlobRef(
        sha256=DigestHex("cd" * 32),
        size=120,
        merkle_root=DigestHex("ef" * 32),
        media_type="text/csv",
    )
    assert FILE.blob == blob


def test_a_table_without_the_later_facts_is_read() -> None:
    """Records signed before medians, precision and the rest were measured stay valid."""
    document = json.loads(DATASET.to_bytes())
    table = document["samples"][0]["files"][0]["tables"][0]
    later = {"localizations_per_frame", "precision", "resolution", "drift", "signature"}
    assert not later & table.keys()
    assert "median" not in table["columns"][0]
    known = TableSummary.from_dict(table | dict.fromkeys(later))
    assert known == TABLE
    assert (known.precision, known.signature, known.columns[0].median) == (None, None, None)


def test_all_facts_are_read_back() -> None:
    facts = {
        "localizations_per_frame": 2.5,
        "precision": {"precision_nm": 8.5, "pairs": 40},
        "resolution": RESOLUTION,
        "drift": {"drift_nm": 0, "uncertainty_nm": 1.5},
        "signature": "1:40ff",
    }
    column = plain(COLUMN)
    assert isinstance(column, dict)
    document = plain(TABLE)
    assert isinstance(document, dict)
    table = TableSummary.from_dict(document | facts | {"columns": [column | {"median": 3.5}]})
    assert plain(table) == document | facts | {"columns": [column | {"median": 3.5}]}
    assert table.resolution is not None
    assert (table.resolution.split, table.columns[0].median) == ("frames", 3.5)


def test_a_summary_comes_from_plain_values() -> None:
    document = json.loads(DATASET.to_bytes())
    plain = document["samples"][0]["files"][0]["tables"][0]
    assert TableSummary.from_dict(plain) == TABLE
    with pytest.raises(MalformedError, match=r"table\.rows"):
        TableSummary.from_dict({**plain, "rows": -1})


GONE: Any = ...
FILE_AT = ("samples", 0, "files", 0)
TABLE_AT = (*FILE_AT, "tables", 0)
PYRAMID: dict[str, object] = {
    "sha256": "ab" * 32,
    "size": 900_000,
    "merkle_root": "cd" * 32,
    "media_type": "application/vnd.locmesh.pyramid",
}
VIEW: dict[str, object] = {"name": "One pore", "sample": "cell 1", "state": "v=1&at=1,2&nm=2"}


@pytest.mark.parametrize(
    ("path", "value", "names"),
    [
        (("revision",), 2, "dataset"),
        (("dataset",), P, "dataset: want no such field"),
        (("previous",), P, "previous: want no such field"),
        (("visibility",), "secret", "visibility"),
        (("name",), "", "name"),
        (("name",), "x" * 301, "at most 300"),
        (("description",), GONE, "description"),
        (("description",), "x" * 20_001, "description"),
        (("authors",), [], "authors: want an array of 1 to 500"),
        (("authors",), None, "authors"),
        (("authors", 0, "name"), " ", r"authors\[0\].name"),
        (("authors", 0, "orcid"), "0000-0002-1825-009", r"authors\[0\].orcid"),
        (("contact",), "ada", "contact"),
        (("license",), "CC BY 4.0", "license"),
        (("tags",), GONE, "tags"),
        (("tags", 0, "category"), "Cell line", r"tags\[0\].category"),
        (("tags", 0, "term"), "alexa fluor", r"tags\[0\].term"),
        (("tags", 0, "term"), "dSTORM", "lower case"),
        (("tags",), [{"category": "a", "term": "b"}] * 2, "once"),
        (("tags", 0, "curie"), "nope", r"tags\[0\].curie"),
        (("doi",), "https://doi.org/10.1000/1", "doi"),
        (("citation", 0, "url"), "javascript:alert(1)", r"citation\[0\].url"),
        (("links",), ["javascript:alert(1)"], "links"),
        (("links",), ["https://a.example/ b"], "links"),
        (("links",), [1], "links"),
        (("documentation",), "\x00", "documentation"),
        (("samples",), [], "samples"),
        (("samples", 0), "x", r"samples\[0\]: want an object"),
        (("samples", 0, "files"), [], r"samples\[0\].files"),
        ((*FILE_AT, "name"), "../x", r"samples\[0\].files\[0\].name"),
        ((*FILE_AT, "name"), "a\\b", "name"),
        ((*FILE_AT, "name"), "..", "name"),
        ((*FILE_AT, "name"), "a ", "name"),
        ((*FILE_AT, "name"), "ä" * 128, "255 bytes"),
        ((*FILE_AT, "name"), "evil\u202egnp.exe", "name"),
        ((*FILE_AT, "role"), "movie", "role"),
        ((*FILE_AT, "media_type"), "csv", "media_type"),
        ((*FILE_AT, "media_type"), "text/html; charset=utf-8", "media_type"),
        ((*FILE_AT, "size"), -1, "size"),
        ((*FILE_AT, "size"), 2**44 + 1, "size"),
        ((*FILE_AT, "sha256"), "CD" * 32, "sha256"),
        ((*FILE_AT, "merkle_root"), GONE, "merkle_root"),
        ((*FILE_AT, "format"), "Thunder STORM", "format"),
        ((*TABLE_AT, "rows"), 1.5, "rows"),
        ((*TABLE_AT, "dimension"), 4, "dimension"),
        ((*TABLE_AT, "bounds"), {"x": [1]}, "bounds"),
        ((*TABLE_AT, "bounds"), {"x": [1, None]}, "bounds"),
        ((*TABLE_AT, "bounds"), {"w": [1, 2]}, "bounds"),
        ((*TABLE_AT, "bounds"), [], "bounds"),
        ((*TABLE_AT, "frames"), {"first": 1, "last": 2, "origin": 2}, "origin"),
        ((*TABLE_AT, "frames"), [], "frames"),
        ((*TABLE_AT, "density_per_um2"), "1", "density_per_um2"),
        ((*TABLE_AT, "localizations_per_frame"), "1", "localizations_per_frame"),
        ((*TABLE_AT, "precision"), 8.5, "precision"),
        ((*TABLE_AT, "precision"), {"precision_nm": -1.0, "pairs": 5}, "precision.precision_nm"),
        ((*TABLE_AT, "precision"), {"precision_nm": 8.5}, "precision.pairs"),
        ((*TABLE_AT, "resolution"), {"resolution_nm": None}, "resolution.resolution_nm"),
        ((*TABLE_AT, "resolution"), RESOLUTION | {"split": "halves"}, "resolution.split"),
        ((*TABLE_AT, "resolution"), RESOLUTION | {"seed": 0.5}, "resolution.seed"),
        ((*TABLE_AT, "drift"), {"drift_nm": 1.0, "uncertainty_nm": "1"}, "drift.uncertainty_nm"),
        ((*TABLE_AT, "signature"), "1:4", "signature"),
        ((*TABLE_AT, "signature"), "1:" + "00" * 65, "signature"),
        ((*TABLE_AT, "signature"), "0:40", "signature"),
        ((*TABLE_AT, "signature"), 5, "signature"),
        ((*TABLE_AT, "columns", 0, "median"), "1", "median"),
        ((*TABLE_AT, "uncertainty_nm"), GONE, "uncertainty_nm"),
        ((*TABLE_AT, "columns", 0, "min"), True, r"columns\[0\].min"),
        ((*TABLE_AT, "columns", 0, "name"), 1, r"columns\[0\].name"),
        (("samples", 0, "thumbnail", "size"), 300_000, r"thumbnail.size"),
        (("samples", 0, "thumbnail", "media_type"), "image/svg+xml", r"thumbnail.media_type"),
        (("samples", 0, "thumbnail"), [], "thumbnail"),
        ((*TABLE_AT, "pyramid"), PYRAMID | {"size": 0}, "pyramid.size"),
        ((*TABLE_AT, "pyramid"), PYRAMID | {"media_type": "text/html"}, "pyramid.media_type"),
        ((*TABLE_AT, "pyramid"), PYRAMID | {"sha256": "00"}, "pyramid.sha256"),
        ((*TABLE_AT, "pyramid"), [], "pyramid"),
        (("views",), [VIEW | {"name": ""}], r"views\[0\].name"),
        (("views",), [VIEW | {"sample": 1}], r"views\[0\].sample"),
        (("views",), [VIEW | {"state": "v=2"}], r"views\[0\].state"),
        (("views",), [VIEW | {"state": "v=1&at=<b>"}], r"views\[0\].state"),
        (("views",), [VIEW | {"state": "v=1&x=" + "y" * 2048}], r"views\[0\].state"),
        (("views",), [VIEW | {"thumbnail": PYRAMID}], r"views\[0\].thumbnail"),
        (("views",), [VIEW, VIEW], "once"),
        (("views",), [VIEW | {"name": str(i)} for i in range(65)], "views"),
    ],
)
def test_a_bad_field_is_named(path: tuple[str | int, ...], value: object, names: str) -> None:
    document = json.loads(DATASET.to_bytes())
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    with pytest.raises(MalformedError, match=names):
        parse_record(encode_json(document))


@pytest.mark.parametrize("where", ["samples", "files"])
def test_names_are_there_once(where: str) -> None:
    document = json.loads(DATASET.to_bytes())
    items = document["samples"] if where == "samples" else document["samples"][0]["files"]
    items.append(items[0])
    with pytest.raises(MalformedError, match="once"):
        parse_record(encode_json(document))
