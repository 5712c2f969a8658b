import re

import pytest

from node.catalog.vocabulary import categories, category, curie, iri, label, term

SIZES = {
    "modality": 5,
    "cell-line": 12,
    "structure": 9,
    "fluorophore": 23,
    "labeling-strategy": 8,
    "target-molecule": 14,
    "dimension": 2,
    "camera": 2,
    "reconstruction-software": 6,
    "buffer": 5,
    "fixation": 5,
}


def test_all_eleven_categories_of_shareloc_are_there() -> None:
    assert [kind.name for kind in categories()] == list(SIZES)
    for kind in categories():
        assert len(kind.terms) >= SIZES[kind.name], kind.name


def test_no_spelling_means_two_terms() -> None:
    for kind in categories():
        seen: dict[str, str] = {}
        for item in kind.terms:
            for name in (item.term, item.label, *item.aliases):
                key = re.sub(r"[\W_]", "", name.casefold())
                assert seen.setdefault(key, item.term) == item.term, (kind.name, name)


def test_every_spelling_finds_its_term() -> None:
    for kind in categories():
        for item in kind.terms:
            for name in (item.term, item.label, *item.aliases):
                assert term(kind.name, name) == item.term
            assert label(kind.name, item.term) == item.label


@pytest.mark.parametrize(
    ("kind", "text", "canonical"),
    [
        ("modality", " dSTORM ", "dstorm"),
        ("cell-line", "U-2 OS", "u2os"),
        ("fluorophore", "Alexa Fluor 647", "alexa-647"),
        ("fluorophore", "AF647", "alexa-647"),
        ("fluorophore", "mos2", "meos2"),
        ("fluorophore", "pa-cherry", "pa-mcherry"),
        ("structure", "Nuclear-pore", "nuclear-pore-complex"),
        ("structure", "microtubule", "microtubules"),
        ("structure", "plasma membrane", "plasma-membrane"),
        ("labeling-strategy", "endogenous-labeling-crispr", "endogenous-crispr-labeling"),
        ("target-molecule", "\u03b1-Tubulin", "alpha-tubulin"),
        ("fixation", "4% PFA", "4%pfa"),
        ("buffer", "Idylle-Everspark", "idylle-everspark"),
    ],
)
def test_what_people_write_is_understood(kind: str, text: str, canonical: str) -> None:
    assert term(kind, text) == canonical


def test_unknown_words_stay_unknown() -> None:
    assert term("modality", "sted") is None
    assert term("colour", "red") is None
    assert term("modality", "") is None
    assert label("modality", "sted") == "sted"
    assert curie("modality", "sted") is None
    assert category("colour") is None


def test_categories_are_understood_in_other_spellings() -> None:
    assert category("Cell line") == "cell-line"
    assert category("Labelling strategy") == "labeling-strategy"


def test_curies_have_a_known_prefix_and_shape() -> None:
    shapes = {
        "FBbi": r"\d{8}",
        "GO": r"\d{7}",
        "CHEBI": r"\d+",
        "CLO": r"\d{7}",
        "NCBITaxon": r"\d+",
        "EFO": r"\d{7}",
        "cellosaurus": r"CVCL_[A-Z0-9]{4}",
        "uniprot": r"[A-Z][A-Z0-9]{5}",
        "shareloc": r"\d{6}",
    }
    for kind in categories():
        for item in kind.terms:
            for name in (*item.exact, *item.broader):
                prefix, _, local = name.partition(":")
                assert re.fullmatch(shapes[prefix], local), name


def test_a_curie_becomes_an_address() -> None:
    assert curie("cell-line", "u2os") == "cellosaurus:CVCL_0042"
    assert iri("cellosaurus:CVCL_0042") == "https://www.cellosaurus.org/CVCL_0042"
    assert iri("GO:0005643") == "http://purl.obolibrary.org/obo/GO_0005643"
    assert iri("unknown:1") is None
    assert iri("GO:") is None
