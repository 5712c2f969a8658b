"""Publishers, peers and what was refused, as values: the state in words first, then numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from node.catalog.peers import Peer
from node.catalog.views import Hit, PublisherView, Rejection
from node.publishing.drafts import Draft
from node.web.cards import Surroundings, make_card
from node.web.dataset_page import Fact
from node.web.quantities import (
    format_age,
    format_date,
    format_exact,
    format_moment,
    format_plural,
    format_size,
)
from node.web.statements import Statement, state_publisher
from protocol.verdict import Reason

__all__ = [
    "describe_draft",
    "describe_network",
    "describe_peer",
    "describe_publishers",
    "distinct_peers",
    "make_peer_page",
    "make_publisher_page",
    "publisher_title",
]

# Why a record was refused, for people who have not read the protocol.
_REASONS = {
    Reason.UNKNOWN_PUBLISHER: "Its publisher is not known here.",
    Reason.UNKNOWN_KEY: "It was signed with a key that is not the publisher's.",
    Reason.BAD_SIGNATURE: "The signature does not fit.",
    Reason.SIGNATURE_COUNT: "It does not carry the signatures it needs.",
    Reason.RETIRED_KEY: "It was signed with a key that the publisher had given up before.",
    Reason.WRONG_KEY_ROLE: "It was signed with a key that is not meant for such records.",
    Reason.BAD_SUCCESSION: "Its keys do not follow from the publisher's earlier keys.",
    Reason.TOO_LARGE: "It is larger than a record may be.",
    Reason.WRONG_PAYLOAD_TYPE: "It is not a record of this protocol.",
    Reason.MALFORMED: "It does not read as a record.",
    Reason.BLOCKED: "Its publisher is blocked here.",
    Reason.FUTURE: "It is dated in the future.",
    Reason.SUPERSEDED: "An older revision was offered again; the newer one stays.",
    Reason.FOREIGN_CHAIN: "It speaks of another publisher's dataset.",
    Reason.VISIBILITY_CHANGED: "A revision may not change who sees a dataset.",
    Reason.ALREADY_WITHDRAWN: "The dataset had been withdrawn.",
    Reason.PRIVATE: "Private records are not for other nodes.",
    Reason.QUOTA: "The publisher has used up the room that this node grants it.",
    Reason.REPLAYED_HEAD: "An older summary was offered again; the newer one stays.",
}
_SOURCES = {
    "operator": "added by whoever runs this node",
    "mdns": "found on the local network",
    "exchange": "told of by a peer",
    "offer": "it called this node",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAction:
    """Something an administrator may decide about a peer."""

    value: str
    word: str


_ACTIONS = {
    "suggested": (
        PeerAction(value="approve", word="Approve"),
        PeerAction(value="block", word="Block"),
    ),
    "approved": (PeerAction(value="block", word="Block"),),
    "blocked": (PeerAction(value="approve", word="Unblock and approve"),),
}


def publisher_title(view: PublisherView) -> str:
    """Return what to call a publisher, however little is known of it."""
    return view.name or f"Publisher {view.id[:8]}"


def describe_publishers(
    views: Iterable[PublisherView], *, names: dict[str, str], now: int
) -> list[dict[str, Any]]:
    """Return one line per publisher: this node first, then by what they share."""
    ordered = sorted(
        views, key=lambda view: (view.reachability.state != "self", -view.datasets, view.name)
    )
    return [
        {
            "id": view.id,
            "name": publisher_title(view),
            "institution": view.institution,
            "statements": state_publisher(view, now=now, names=names),
            "numbers": [
                format_plural(view.datasets, "dataset"),
                format_plural(view.records, "record"),
            ],
        }
        for view in ordered
    ]


def make_publisher_page(
    view: PublisherView,
    hits: Sequence[Hit],
    *,
    around: Surroundings,
    names: dict[str, str],
) -> dict[str, Any]:
    """Return everything that publisher.html shows."""
    now = around.now
    head = view.completeness.head
    facts = [
        Fact(name="Datasets", value=format_exact(view.datasets)),
        Fact(name="Records here", value=format_exact(view.records)),
    ]
    if head is not None:
        facts += [
            Fact(
                name="Summary signed",
                value=format_moment(head.issued, now),
                exact=f"number {head.sequence}, for {head.count} records",
            ),
            Fact(name="Summary holds until", value=format_date(head.expires)),
        ]
    facts += [_address(url) for url in view.urls]
    if view.contact:
        facts.append(Fact(name="Contact", value=view.contact))
    if view.software:
        facts.append(Fact(name="Software", value=view.software))
    return {
        "id": view.id,
        "name": publisher_title(view),
        "institution": view.institution,
        "statements": state_publisher(view, now=now, names=names),
        "facts": facts,
        "dataset_words": format_plural(view.datasets, "dataset"),
        "cards": [make_card(hit, around) for hit in hits],
    }


def describe_network(
    views: Sequence[PublisherView], peers: Sequence[Peer], *, datasets: int
) -> str:
    """Return the sentence that sums the network up."""
    approved = {peer.publisher or peer.url for peer in peers if peer.state == "approved"}
    answering = sum(view.reachability.state in {"self", "reachable"} for view in views)
    return (
        f"{format_plural(datasets, 'dataset')} of {format_plural(len(views), 'publisher')} are "
        f"known here, {format_exact(answering)} of them answering now. "
        f"This node exchanges records with {format_plural(len(approved), 'approved peer')}."
    )


def distinct_peers(peers: Sequence[Peer]) -> list[Peer]:
    """Return the peers without those that called here and are in the list at an address, too."""
    addressed = {(peer.publisher, peer.state) for peer in peers if peer.url}
    return [peer for peer in peers if peer.url or (peer.publisher, peer.state) not in addressed]


def describe_peer(peer: Peer, *, now: int, has_secrets: bool) -> dict[str, Any]:
    """Return one peer for its line and its page.

    Args:
        peer: The row.
        now: Seconds since 1970.
        has_secrets: Whether the reader may see addresses and errors inside the network.
    """
    name = peer.name or peer.url or f"Publisher {(peer.publisher or '')[:8]}"
    return {
        "key": str(peer.id),
        "name": name if has_secrets or peer.name else "A node without a name",
        "url": (peer.url or "it calls this node and has no address of its own")
        if has_secrets
        else "",
        "publisher": peer.publisher,
        "state": peer.state,
        "statements": _state_peer(peer, now=now, has_secrets=has_secrets),
        "numbers": [_contact(peer, now=now)],
        "actions": _ACTIONS[peer.state] if has_secrets else (),
    }


def make_peer_page(
    peer: Peer, rejections: Iterable[Rejection], *, now: int, has_secrets: bool
) -> dict[str, Any]:
    """Return everything that peer.html shows; `has_secrets` as in `describe_peer`."""
    facts = [
        Fact(name="Known", value=_SOURCES.get(peer.source, peer.source)),
        Fact(name="Since", value=format_moment(peer.added, now)),
    ]
    if peer.institution:
        facts.append(Fact(name="Institution", value=peer.institution))
    if peer.last_success is not None:
        facts.append(Fact(name="Last contact", value=format_moment(peer.last_success, now)))
    if peer.publisher:
        facts.append(
            Fact(
                name="Publisher",
                value=peer.name or peer.publisher[:8],
                href=f"/publishers/{peer.publisher}",
            )
        )
    return {
        "peer": (shown := describe_peer(peer, now=now, has_secrets=has_secrets)),
        "facts": facts,
        "rejections": describe_rejections(rejections, names={peer.publisher or "": shown["name"]}),
    }


def describe_rejections(
    rejections: Iterable[Rejection], *, names: dict[str, str]
) -> list[dict[str, Any]]:
    """Return what was refused, with why in words.

    Args:
        rejections: Newest first.
        names: What to call each source; one that is not there stays unnamed.
    """
    return [
        {
            "at": row.at,
            "source": names.get(row.source, "another node"),
            "record": row.record,
            "reason": row.reason,
            "sentence": _reason(row),
        }
        for row in rejections
    ]


def describe_draft(draft: Draft, *, now: int) -> dict[str, Any]:
    """Return one draft for its line."""
    missing = draft.missing()
    statement = (
        Statement(
            tone="attention", word="Not ready", sentence=f"still to be said: {', '.join(missing)}."
        )
        if missing
        else Statement(tone="good", word="Ready", sentence="everything needed is there.")
    )
    return {
        "id": draft.id,
        "name": draft.metadata.name or "Without a name",
        "statement": statement,
        "numbers": [
            format_plural(len(draft.samples), "sample"),
            format_size(draft.size),
            f"changed {format_age(now - draft.updated)} ago",
        ],
    }


def _state_peer(peer: Peer, *, now: int, has_secrets: bool) -> list[Statement]:
    found = []
    if peer.state == "suggested":
        how = _SOURCES.get(peer.source, peer.source)
        found.append(
            Statement(
                tone="quiet",
                word="Suggested",
                sentence=f"{how}; nothing is exchanged until someone approves it.",
            )
        )
    elif peer.state == "blocked":
        found.append(Statement(tone="bad", word="Blocked", sentence="nothing is taken from it."))
    elif peer.last_error and has_secrets:
        moment = f" at {format_moment(peer.last_error_at, now)}" if peer.last_error_at else ""
        found.append(
            Statement(tone="attention", word="Not reached", sentence=f"{peer.last_error}{moment}")
        )
    elif peer.last_error:
        found.append(
            Statement(tone="attention", word="Not reached", sentence="the last contact failed.")
        )
    elif peer.last_success is None:
        found.append(
            Statement(tone="quiet", word="Approved", sentence="not contacted since it was added.")
        )
    else:
        found.append(Statement(tone="good", word="Approved", sentence="records go both ways."))
    return found


def _contact(peer: Peer, *, now: int) -> str:
    if peer.last_success is None:
        return "no contact yet"
    return f"last contact {format_age(now - peer.last_success)} ago"


def _address(url: str) -> Fact:
    return Fact(name="Address", value=url, href=url)


def _reason(row: Rejection) -> str:
    words = next((text for reason, text in _REASONS.items() if reason.value == row.reason), "")
    detail = row.detail.strip()
    return f"{words} ({detail})" if words and detail else words or detail or row.reason
