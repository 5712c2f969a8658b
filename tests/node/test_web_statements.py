import pytest

from node.catalog.views import PublisherView, Reachability
from node.web.statements import state_completeness, state_publisher, state_reachability
from protocol.head import Completeness
from protocol.identity import DigestHex, PublisherId
from protocol.records import Head

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
