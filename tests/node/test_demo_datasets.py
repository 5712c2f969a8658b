import json

import pytest

from node.catalog import vocabulary
from node.demo.datasets import DATASETS, make_tables
from node.demo.description import DemoDataset
from node.demo.labs import LABS
from node.publishing.metadata import Metadata, parse_metadata

IDS = [dataset.files[0].sample for dataset in DATASETS]


def _check_digit(orcid: str) -> str:
    total = 0
    for digit in orcid.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    return "X" if check == 10 else str(check)


def test_there_is_enough_to_search_in() -> None:
    assert len(DATASETS) >= 16
    assert {dataset.lab for dataset in DATASETS} == {lab.key for lab in LABS}
    names = [dataset.metadata["name"] for dataset in DATASETS]
    assert len(set(names)) == len(names)
    assert {dataset.metadata["visibility"] for dataset in DATASETS} == {"public", "members"}


@pytest.mark.parametrize("dataset", DATASETS, ids=IDS)
def test_a_description_is_complete_and_plain(dataset: DemoDataset) -> None:
    fields = parse_metadata(dataset.metadata)
    metadata = Metadata().changed(fields)
    assert not metadata.missing()
    assert metadata.documentation.startswith(dataset.metadata["documentation"][:40])
    assert "simulated" in metadata.documentation
    assert json.loads(json.dumps(dataset.metadata)) == dataset.metadata
    assert {name for name, _ in metadata.samples} == {file.sample for file in dataset.files}


@pytest.mark.parametrize("dataset", DATASETS, ids=IDS)
def test_every_category_has_a_known_term(dataset: DemoDataset) -> None:
    tags = dataset.metadata["tags"]
    assert {tag["category"] for tag in tags} == {c.name for c in vocabulary.categories()}
    for tag in tags:
        assert vocabulary.term(tag["category"], tag["term"]) == tag["term"]
        assert vocabulary.label(tag["category"], tag["term"]) == tag["label"]


@pytest.mark.parametrize("dataset", DATASETS, ids=IDS)
def test_tags_say_what_is_simulated(dataset: DemoDataset) -> None:
    terms = {tag["term"] for tag in dataset.metadata["tags"]}
    dimensions = {f"{file.experiment.dimension}d" for file in dataset.files}
    assert dimensions == terms & {"2d", "3d"}
    expected = {"nuclear_pores": "nuclear-pore-complex"}
    assert {expected.get(file.structure, file.structure) for file in dataset.files} <= terms


def test_people_have_orcids_that_are_well_formed() -> None:
    for lab in LABS:
        assert lab.contact.endswith(".example")
        for person in lab.people:
            assert person.orcid[-1] == _check_digit(person.orcid), person.name


def test_files_have_names_of_their_own() -> None:
    for dataset in DATASETS:
        places = [(file.sample, file.file) for file in dataset.files]
        assert len(set(places)) == len(places)


def test_tables_are_made_as_described() -> None:
    dataset = min(DATASETS, key=lambda d: sum(file.localizations for file in d.files))
    for file, (sample, name, table) in zip(dataset.files, make_tables(dataset), strict=True):
        assert (sample, name) == (file.sample, file.file)
        assert len(table) == file.localizations
