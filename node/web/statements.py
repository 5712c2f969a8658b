"""States in words: a tone, a word and a sentence that says what it means for the reader."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from node.catalog.views import DatasetView, PublisherView, Reachability
from node.web.quantities import format_age, format_date, format_exact, format_moment, format_plural
from protocol.head import Completeness

__all__ = [
    "Statement",
    "state_completeness",
    "state_copies",
    "state_dataset",
    "state_publisher",
    "state_reachability",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One state. `tone` is good, attention, bad or quiet and picks icon and colour."""

    tone: str
    word: str
    sentence: str


def state_completeness(completeness: Completeness, *, now: int) -> Statement:
    """Say whether everything that a publisher signed for is here."""
    head = completeness.head
    if head is None:
        return Statement(
            tone="quiet",
            word="No summary yet",
            sentence=f"{format_plural(completeness.count, 'record')} here; the publisher's signed "
            "summary has not arrived, so whether these are all is not known.",
        )
    if not completeness.complete:
        return Statement(tone="attention", word="Incomplete", sentence=_what_lacks(completeness))
    if completeness.stale:
        return Statement(
            tone="attention",
            word="Stale",
            sentence="this publisher's last signed summary ended "
            f"{format_age(now - head.expires)} ago. What you see may not be its newest.",
        )
    noun = "the one record" if head.count == 1 else f"all {format_exact(head.count)} records"
    return Statement(
        tone="good",
        word="Complete",
        sentence=f"{noun} this publisher signed on {format_date(head.issued)}.",
    )


def state_reachability(
    reachability: Reachability, *, now: int, names: dict[str, str], is_origin: bool = False
) -> Statement:
    """Say whether a publisher's node answers, and who (of `names`, by id) says so.

    With `is_origin` the node is called the origin, as a dataset's page does.
    """
    since = reachability.since
    witness = f", says {names.get(reachability.via, 'a peer')}" if reachability.via else ""
    if reachability.state == "self":
        return Statement(tone="good", word="This node", sentence="published and served from here.")
    if reachability.state == "reachable":
        return Statement(
            tone="good",
            word="Origin reachable" if is_origin else "Reachable",
            sentence=f"it answers{witness}." if witness else "it answers this node.",
        )
    if reachability.state == "unreachable":
        moment = f" since {format_moment(since, now)}" if since else ""
        return Statement(
            tone="attention",
            word="Origin not reachable" if is_origin else "Not reachable",
            sentence=f"no answer{moment}{witness}.",
        )
    return Statement(
        tone="quiet",
        word="Not contacted",
        sentence="this node does not talk to it directly and no peer has told of it.",
    )


def state_publisher(view: PublisherView, *, now: int, names: dict[str, str]) -> list[Statement]:
    """Say all that a reader should know of a publisher, the gravest first."""
    found = []
    if view.forked:
        found.append(
            Statement(
                tone="bad",
                word="Contradicts itself",
                sentence="two different signed records claim to be the same revision. "
                "Both are kept as proof.",
            )
        )
    if view.blocked:
        found.append(
            Statement(
                tone="bad",
                word="Blocked",
                sentence="whoever runs this node takes nothing new from this publisher.",
            )
        )
    else:  # What a blocked publisher still lacks is asked of nobody.
        found.append(state_completeness(view.completeness, now=now))
    found.append(state_reachability(view.reachability, now=now, names=names))
    return found


def state_dataset(
    view: DatasetView, *, now: int, names: dict[str, str], silent: Collection[str]
) -> list[Statement]:
    """Say what a reader must know before trusting or downloading this dataset.

    Args:
        view: The dataset.
        now: Seconds since 1970.
        names: Publisher names by id, for who says what.
        silent: The holders that do not answer.
    """
    found = []
    if view.withdrawal is not None:
        held = format_plural(len(view.holders), "node")
        successor = view.withdrawal.successor
        more = f" Its successor is dataset {successor[:8]}." if successor else ""
        found.append(
            Statement(
                tone="bad",
                word="Withdrawn",
                sentence=f"on {format_date(view.withdrawal.issued)} by its publisher: "
                f"{_as_sentence(view.withdrawal.reason)} Still held by {held}.{more}",
            )
        )
    if view.status == "forked":
        found.append(
            Statement(
                tone="bad",
                word="Two versions",
                sentence="two different records claim to be "
                f"revision {_forked_revision(view)} of this dataset. "
                "Both are kept; the publisher has been flagged.",
            )
        )
    if view.publisher.reachability.state == "unreachable":
        found.append(_unreachable_origin(view, now=now, names=names, silent=silent))
    if view.publisher.completeness.stale or not view.publisher.completeness.complete:
        found.append(state_completeness(view.publisher.completeness, now=now))
    if view.visibility != "public":
        found.append(_restricted(view.visibility))
    return [statement for statement in found if statement.tone != "quiet"]


def state_copies(view: DatasetView, silent: Collection[str]) -> Statement:
    """Say who has the files, and who of them (`silent`, by id) does not answer."""
    whole = [holder for holder in view.holders if holder.complete]
    answering = [holder.name for holder in whole if holder.publisher not in silent]
    others = [holder.name for holder in whole if holder.publisher in silent]
    copies = format_plural(len(whole), "copy", "copies")
    if answering and others:
        too = "does not answer" if len(others) == 1 else "do not answer"
        return Statement(
            tone="good",
            word=f"{copies}, {format_exact(len(answering))} reachable now",
            sentence=f"every file is held by {_listed(answering)}, "
            f"and by {_listed(others)}, which {too}.",
        )
    if answering:
        return Statement(
            tone="good",
            word=copies,
            sentence=_as_sentence(f"every file is held by {_listed(answering)}"),
        )
    if others:
        what = "it does not answer" if len(others) == 1 else "none of them answers"
        return Statement(
            tone="attention",
            word=f"{copies}, {'not' if len(others) == 1 else 'none'} reachable now",
            sentence=f"only {_listed(others)} {'is' if len(others) == 1 else 'are'} known to have "
            f"every file, and {what}.",
        )
    if view.holders:
        return Statement(
            tone="attention",
            word="No whole copy",
            sentence=_as_sentence(
                f"some of the files are held by {_listed(h.name for h in view.holders)}"
            ),
        )
    return Statement(
        tone="attention",
        word="No copy in reach",
        sentence="no node that this one talks to holds the files at the moment.",
    )


def _what_lacks(completeness: Completeness) -> str:
    assert completeness.head is not None
    count = completeness.head.count
    if completeness.missing:
        verb = "is" if completeness.missing == 1 else "are"
        return (
            f"{format_exact(completeness.missing)} of {format_plural(count, 'record')} "
            f"{verb} still missing; asking the peers."
        )
    return (
        f"the {format_plural(completeness.count, 'record')} here are not the {format_exact(count)} "
        "that the publisher's newest summary counts; asking the peers."
    )


def _unreachable_origin(
    view: DatasetView, *, now: int, names: dict[str, str], silent: Collection[str]
) -> Statement:
    base = state_reachability(
        view.publisher.reachability, now=now, names=names, is_origin=True
    ).sentence
    others = [
        holder
        for holder in view.holders
        if holder.complete and holder.publisher != view.publisher.id
    ]
    answering = [holder.name for holder in others if holder.publisher not in silent]
    if view.local:
        rest = " Opening the copy at this node (verified)."
    elif answering:
        rest = f" Opening the copy at {answering[0]} (verified)."
    elif others:
        rest = " No other node with a whole copy answers either; downloads may have to wait."
    else:
        rest = " No other whole copy is known, so downloads may have to wait until it is back."
    return Statement(tone="attention", word="Origin not reachable", sentence=base + rest)


def _restricted(visibility: str) -> Statement:
    who = (
        "the peers this node has approved and those who sign in here can see it."
        if visibility == "members"
        else "those who sign in at this node alone can see it."
    )
    word = "Members only" if visibility == "members" else "Private"
    return Statement(tone="attention", word=word, sentence=who)


def _forked_revision(view: DatasetView) -> int:
    numbers = [entry.revision for entry in view.revisions]
    return next((number for number in numbers if numbers.count(number) > 1), view.revision)


def _listed(names: Iterable[str]) -> str:
    """Return `A`, `A and B`, or `A, B and 3 more`."""
    known = list(names)
    if len(known) > 3:
        return f"{known[0]}, {known[1]} and {len(known) - 2} more"
    return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)


def _as_sentence(text: str) -> str:
    stripped = " ".join(text.split())
    return stripped if stripped.endswith((".", "?", "!")) else f"{stripped}."
