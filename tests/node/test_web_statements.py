from dataclasses import replace

import pytest

from node.catalog.views import DatasetView, Holder, PublisherView, Reachability
from node.web.statements import (
    state_completeness,
    state_copies,
    state_dataset,
    state_publisher,
    state_reachability,
)
from protocol.head import Completeness
from protocol.identity import DigestHex, PublisherId
from protocol.records import Author, Dataset, Head

NOW = 1_795_442_520  # 23 Nov 2026, 14:02 UTC
DAY_S = 86_400
PEER = "cd" * 32
HEAD = Head(
    publisher=PublisherId(DigestHex("ab" * 32)),
    issued=NOW - DAY_S,
    scope="public",
    sequence=7,
    count=212,
    root=DigestHex("00" * 32),
    expires=NOW + DAY_S,
)
EXPIRED = Head(
    publisher=HEAD.publisher,
    issued=NOW - 9 * DAY_S,
    scope="public",
    sequence=7,
    count=212,
    root=HEAD.root,
    expires=NOW - 3 * DAY_S,
)


def view(*, forked: bool = False, blocked: bool = False, state: str = "reachable") -> PublisherView:
    return PublisherView(
        id=HEAD.publisher,
        name="Jena",
        institution="",
        contact="",
        urls=(),
        software="",
        records=212,
        datasets=41,
        blocked=blocked,
        forked=forked,
        completeness=Completeness(count=212, head=HEAD, missing=0, complete=True, stale=False),
        reachability=Reachability(state=state),
    )


@pytest.mark.parametrize(
    ("completeness", "tone", "words"),
    [
        (
            Completeness(count=212, head=HEAD, missing=0, complete=True, stale=False),
            "good",
            "Complete: all 212 records this publisher signed on 22 Nov 2026.",
        ),
        (
            Completeness(count=209, head=HEAD, missing=3, complete=False, stale=False),
            "attention",
            "Incomplete: 3 of 212 records are still missing; asking the peers.",
        ),
        (
            Completeness(count=212, head=HEAD, missing=0, complete=False, stale=False),
            "attention",
            (
                "Incomplete: the 212 records here are not the 212 that the publisher's newest "
                "summary counts; asking the peers."
            ),
        ),
        (
            Completeness(count=212, head=EXPIRED, missing=0, complete=True, stale=True),
            "attention",
            (
                "Stale: this publisher's last signed summary ended 3 days ago. "
                "What you see may not be its newest."
            ),
        ),
        (
            Completeness(count=1, head=None, missing=0, complete=False, stale=True),
            "quiet",
            (
                "No summary yet: 1 record here; the publisher's signed summary has not arrived, so "
                "whether these are all is not known."
            ),
        ),
    ],
)
def test_completeness_is_said_in_words(completeness: Completeness, tone: str, words: str) -> None:
    statement = state_completeness(completeness, now=NOW)
    assert statement.tone == tone
    assert f"{statement.word}: {statement.sentence}" == words


def test_who_says_that_an_origin_is_gone_and_since_when() -> None:
    gone = Reachability(state="unreachable", since=NOW, via=PEER)
    statement = state_reachability(gone, now=NOW + 60, names={PEER: "EMBL"}, is_origin=True)
    assert f"{statement.word} {statement.sentence}" == (
        "Origin not reachable no answer since 14:02 UTC, says EMBL."
    )


def test_a_flag_comes_before_good_news() -> None:
    statements = state_publisher(view(forked=True), now=NOW, names={})
    assert [statement.tone for statement in statements] == ["bad", "good", "good"]


def test_nothing_is_said_to_be_asked_of_a_blocked_publisher() -> None:
    words = [statement.word for statement in state_publisher(view(blocked=True), now=NOW, names={})]
    assert words == ["Blocked", "Reachable"]


def holder(name: str, *, complete: bool = True) -> Holder:
    return Holder(publisher=name * 64, name=name, complete=complete, blobs=1)


def dataset(*holders: Holder, origin: str = "a", local: bool = False) -> DatasetView:
    gone = Reachability(state="unreachable", since=NOW)
    metadata = Dataset(
        publisher=HEAD.publisher,
        revision=1,
        issued=NOW,
        visibility="public",
        name="Pores",
        description="Pores",
        authors=(Author(name="Ada"),),
        contact="ada@lab.example",
        license="CC-BY-4.0",
        tags=(),
        samples=(),
    )
    return DatasetView(
        dataset="00" * 32,
        revision=1,
        record="00" * 32,
        publisher=replace(view(), id=origin * 64, reachability=gone),
        status="current",
        visibility="public",
        issued=NOW,
        metadata=metadata,
        withdrawal=None,
        revisions=(),
        holders=holders,
        local=local,
    )


@pytest.mark.parametrize(
    ("holders", "silent", "tone", "words"),
    [
        ("a", "", "good", "1 copy: every file is held by a."),
        ("ab", "", "good", "2 copies: every file is held by a and b."),
        (
            "ab",
            "a",
            "good",
            (
                "2 copies, 1 reachable now: every file is held by b, and by a, "
                "which does not answer."
            ),
        ),
        (
            "abc",
            "ab",
            "good",
            (
                "3 copies, 1 reachable now: every file is held by c, and by a and b, "
                "which do not answer."
            ),
        ),
        (
            "a",
            "a",
            "attention",
            (
                "1 copy, not reachable now: only a is known to have every file, "
                "and it does not answer."
            ),
        ),
        (
            "ab",
            "ab",
            "attention",
            (
                "2 copies, none reachable now: only a and b are known to have every file, "
                "and none of them answers."
            ),
        ),
    ],
)
def test_copies_count_only_where_they_can_be_had(
    holders: str, silent: str, tone: str, words: str
) -> None:
    statement = state_copies(dataset(*map(holder, holders)), {name * 64 for name in silent})
    assert (statement.tone, f"{statement.word}: {statement.sentence}") == (tone, words)


@pytest.mark.parametrize(
    ("holders", "silent", "kept", "words"),
    [
        ("ab", "a", "elsewhere", "no answer since 14:02 UTC. Opening the copy at b (verified)."),
        ("abc", "ab", "elsewhere", "no answer since 14:02 UTC. Opening the copy at c (verified)."),
        ("ab", "a", "here", "no answer since 14:02 UTC. Opening the copy at this node (verified)."),
        (
            "ab",
            "ab",
            "elsewhere",
            (
                "no answer since 14:02 UTC. No other node with a whole copy answers either; "
                "downloads may have to wait."
            ),
        ),
        (
            "a",
            "a",
            "elsewhere",
            (
                "no answer since 14:02 UTC. No other whole copy is known, so downloads may have "
                "to wait until it is back."
            ),
        ),
    ],
)
def test_whose_copy_is_opened_when_the_origin_is_gone(
    holders: str, silent: str, kept: str, words: str
) -> None:
    shown = dataset(*map(holder, holders), local=kept == "here")
    gone = {name * 64 for name in silent}
    (statement,) = state_dataset(shown, now=NOW + 60, names={}, silent=gone)
    assert (statement.word, statement.sentence) == ("Origin not reachable", words)
