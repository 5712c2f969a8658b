import pytest

from node.catalog.views import Hit, HitSummary, HitTag, Reachability
from node.web.cards import Surroundings, make_card

NOW = 1_795_442_520  # 23 Nov 2026, 14:02 UTC
PUBLISHER = "ab" * 32
KINDS = ("modality", "structure", "target-molecule", "cell-line")


def hit(*labels: str, samples: int = 1, holders: int = 2, status: str = "current") -> Hit:
    return Hit(
        dataset="00" * 32,
        revision=1,
        record="00" * 32,
        name="Pores",
        description="",
        authors=(),
        tags=tuple(
            HitTag(category=kind, term=label.lower(), label=label)
            for kind, label in zip(KINDS, labels, strict=False)
        ),
        license="CC-BY-4.0",
        publisher=PUBLISHER,
        publisher_name="Jena",
        institution="",
        thumbnail="cd" * 32,
        summary=HitSummary(
            localizations=260_000, dimension=2, precision_nm=12.2, samples=samples, files=1
        ),
        holders=holders,
        issued=NOW,
        status=status,
        visibility="public",
    )


def around(state: str = "reachable", *held: str) -> Surroundings:
    known = {PUBLISHER: Reachability(state=state, since=NOW)}
    return Surroundings(held=held, reachability=known, now=NOW + 60)


@pytest.mark.parametrize(
    ("labels", "shown", "hidden"),
    [
        (("dSTORM", "Pores", "Nup96", "U2OS"), ("dSTORM", "Pores", "Nup96"), ("U2OS",)),
        # What is too long for the line gives way to what is not.
        (
            ("PALM", "Nuclear pore complexes", "Nup96"),
            ("PALM", "Nup96"),
            ("Nuclear pore complexes",),
        ),
        (
            ("One term that is longer than any line",),
            ("One term that is longer than any line",),
            (),
        ),
        ((), (), ()),
    ],
)
def test_terms_fill_one_line(
    labels: tuple[str, ...], shown: tuple[str, ...], hidden: tuple[str, ...]
) -> None:
    card = make_card(hit(*labels), around())
    assert (card.terms, card.terms_hidden) == (shown, hidden)


def test_facts_are_short_and_samples_are_told_beside_the_copies() -> None:
    card = make_card(hit("dSTORM", samples=3), around())
    assert card.facts == ("260\u202fk\u00a0locs", "2D", "12\u202fnm", "CC\u00a0BY\u00a04.0")
    assert card.origin == ("Jena", "3 samples", "2 copies")
    assert make_card(hit(holders=0), around()).origin == ("Jena", "no copy in reach")


def test_a_card_says_that_its_origin_is_gone_and_since_when() -> None:
    assert make_card(hit(), around()).states == ()
    states = make_card(hit(status="forked"), around("unreachable")).states
    assert [state.word for state in states] == [
        "Two versions",
        "Origin not reachable since 14:02 UTC",
    ]


def test_a_picture_that_has_not_arrived_leaves_its_place() -> None:
    assert make_card(hit(), around()).picture is None
    assert make_card(hit(), around("reachable", "cd" * 32)).picture == f"/blobs/{'cd' * 32}"
