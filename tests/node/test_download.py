"""Where the files of a dataset go: names that every file system takes, each once."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.download import Delivery, plan
from protocol.dataset import Author, Dataset, File, Sample, Tag
from protocol.identity import DigestHex

DIGEST = DigestHex("0" * 64)
ROOT = Path("out")


def dataset(samples: dict[str, list[str]]) -> Dataset:
    return Dataset(
        publisher=DIGEST,
        revision=1,
        issued=1_790_000_000,
        visibility="public",
        name="A dataset",
        description="For a test.",
        authors=(Author(name="Ada Muster"),),
        uploaded_by="Ada Muster",
        contact="data@x.example",
        license="CC0-1.0",
        tags=(Tag(category="modality", term="palm"),),
        samples=tuple(
            Sample(name=name, files=tuple(file(one) for one in names))
            for name, names in samples.items()
        ),
    )


def file(name: str) -> File:
    return File(
        name=name,
        role="other",
        media_type="application/octet-stream",
        size=1,
        sha256=DIGEST,
        merkle_root=DIGEST,
    )


def parts(delivery: Delivery) -> tuple[str, ...]:
    return delivery.path.relative_to(ROOT).parts


@pytest.mark.parametrize(
    "name",
    ["../../x", "CON", "con.csv", "nul .txt", "COM¹.csv", "a:b", "a\\b", "..", ". .", "x" * 255,
     "測" * 85, "測" * 80 + ".ome.tif", "a." + "b" * 250, "\u202egpj.exe", "end. ", "-"],
)  # fmt: skip
def test_any_name_becomes_one_that_every_system_takes(name: str) -> None:
    (delivery,) = plan(dataset({name: [name]}), ROOT)
    for part in parts(delivery):
        assert part == part.strip(" .")
        assert part.isprintable()
        assert not set(part) & set('<>:"/\\|?*')
        assert len(part.encode()) <= 200
        assert not PureWindowsPath(part).is_reserved()
    assert len(parts(delivery)) == 2


@given(st.dictionaries(st.text(max_size=8), st.lists(st.text(max_size=4), max_size=4), min_size=1))
def test_no_file_takes_the_place_of_another(samples: dict[str, list[str]]) -> None:
    found = dataset({name: ["a.csv", *names] for name, names in samples.items()})
    deliveries = plan(found, ROOT)
    places = {str(delivery.path).casefold() for delivery in deliveries}
    assert len(places) == len(deliveries)
    assert all(len(parts(delivery)) == 2 for delivery in deliveries)


def test_spellings_of_one_name_are_told_apart() -> None:
    samples = {"Cell": ["a.csv", "A.CSV"], "cell": ["a.csv"], "e\u0301": ["x"], "\u00e9": ["x"]}
    found = [parts(delivery) for delivery in plan(dataset(samples), ROOT)]
    assert [name for _, name in found] == ["a.csv", "A-2.CSV", "a-3.csv", "x", "x-2"]
