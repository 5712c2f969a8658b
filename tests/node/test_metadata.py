"""What people write about a dataset, and what they are told when it breaks a rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.errors import InputError
from node.publishing.licenses import license_name, parse_license
from node.publishing.metadata import Metadata, parse_author, parse_metadata, read_metadata
from node.publishing.tags import parse_tag

YAML = """
name: Nup96 in U2OS
description: |
  Two lines
  of it.
authors:
  - name: Ada Muster
    affiliation: Institut X
    orcid: https://orcid.org/0000-0002-1825-0097
  - Bernd Beispiel; Institut Y
contact: data@x.example
licence: cc by 4.0
tags:
  modality: dSTORM
  structure: [nuclear pore complex, my own structure]
citation:
  - text: Someone et al.
    doi: https://doi.org/10.1038/s41592-022-01659-0
doi: doi:10.5281/zenodo.123
links: https://x.example/more
samples:
  cell1: The first cell.
"""


def test_yaml_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / "about.yaml"
    path.write_text(YAML, encoding="utf-8")
    said = Metadata().changed(read_metadata(path))
    assert said.authors[0].orcid == "0000-0002-1825-0097"
    assert said.authors[1].affiliation == "Institut Y"
    assert said.license == "CC-BY-4.0"
    assert [(tag.category, tag.term) for tag in said.tags] == [
        ("modality", "dstorm"),
        ("structure", "nuclear-pore-complex"),
        ("structure", "my-own-structure"),
    ]
    assert said.tags[1].curie == "GO:0005643"
    assert said.citation[0].doi == "10.1038/s41592-022-01659-0"
    assert said.doi == "10.5281/zenodo.123"
    assert said.links == ("https://x.example/more",)
    assert said.samples == (("cell1", "The first cell."),)
    assert said.missing() == []


def test_json_is_read_as_well_and_round_trips(tmp_path: Path) -> None:
    first = tmp_path / "about.yaml"
    first.write_text(YAML, encoding="utf-8")
    said = Metadata().changed(read_metadata(first))
    second = tmp_path / "about.json"
    second.write_text(json.dumps(said.to_json()), encoding="utf-8")
    assert Metadata().changed(read_metadata(second)) == said


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse_metadata(
            {"nmae": "x", "license": "mine", "tags": "colour:red", "authors": "A; B; 0000"}
        )
    for said in ("did you mean name", "SPDX", "CATEGORY:TERM", "0000-0002-1825-0097"):
        assert said in str(caught.value)


def test_what_is_missing_comes_with_its_option() -> None:
    missing = " ".join(Metadata().missing())
    for option in ("--name", "--description", "--author", "--contact", "--license", "--tag"):
        assert option in missing


@pytest.mark.parametrize(
    "text",
    ["a: [", "- just\n- a list", "\x00", "just words", "a: !!python/object:os.system {}"],
)
def test_a_broken_description_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "about.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"about\.yaml"):
        read_metadata(path)


def test_an_orcid_with_a_typing_error_is_found() -> None:
    assert parse_author("Ada; 0000-0002-1694-233X").orcid == "0000-0002-1694-233X"
    with pytest.raises(InputError, match="check digit"):
        parse_author("Ada; X; 0000-0002-1825-0098")


@pytest.mark.parametrize(
    ("text", "spdx_id"),
    [
        ("CC-BY-4.0", "CC-BY-4.0"),
        ("cc0 1.0", "CC0-1.0"),
        ("mit", "MIT"),
        ("LicenseRef-Ours", "LicenseRef-Ours"),
    ],
)
def test_licences_in_any_spelling(text: str, spdx_id: str) -> None:
    assert parse_license(text) == spdx_id
    assert license_name(spdx_id)


def test_a_licence_that_is_none_comes_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"CC-BY-4\.0"):
        parse_license("CC-BY-4")


def test_a_tag_finds_its_term_in_any_spelling() -> None:
    assert parse_tag("Fluorophore:Alexa Fluor 647").term == "alexa-647"
    assert parse_tag("cell line:U2OS").category == "cell-line"
    with pytest.raises(InputError, match="Did you mean modality:palm"):
        parse_tag("modalty:palm")


@given(st.text(max_size=60))
def test_any_tag_is_taken_or_refused_in_words(text: str) -> None:
    try:
        tag = parse_tag(text)
    except InputError:
        return
    assert tag.term == tag.term.lower()
    assert tag.category in text.lower() or tag.category


@given(
    st.dictionaries(
        st.sampled_from(["name", "authors", "tags", "citation", "samples", "links", "doi"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=8), inner, max_size=3)
            ),
            max_leaves=6,
        ),
    )
)
@example({"samples": {"": None}})
@example({"samples": [{"name": "name"}]})
def test_any_document_is_read_or_refused_in_words(document: dict[str, object]) -> None:
    try:
        changes = parse_metadata(document)
    except InputError:
        return
    said = Metadata().changed(changes)
    assert Metadata().changed(parse_metadata(said.to_json())) == said
