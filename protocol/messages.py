"""Bodies of the sync routes as dataclasses, in msgpack (protocol.md 8).

Every `decode` takes bytes from a stranger: it returns the message or raises MalformedError or
SizeLimitError.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocol import limits
from protocol.envelope import Envelope
from protocol.errors import MalformedError
from protocol.identity import DigestHex, PublisherId, RecordId, parse_digest
from protocol.payload import has_control_characters
from protocol.records import NODE_URL
from protocol.wire import ObjectStream, map_of, pack, unpack

__all__ = [
    "EnvelopeStream",
    "NodeDocument",
    "OfferAnswer",
    "PeerReport",
    "decode_answers",
    "decode_envelopes",
    "decode_ids",
    "decode_peers",
    "encode_answers",
    "encode_envelopes",
    "encode_ids",
    "encode_peers",
]

_ID_SIZE = 32
_ACTIONS = frozenset({"accept", "hold", "reject", "duplicate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDocument:
    """`GET /sync/v1/node`: who answers here.

    Attributes:
        identities: Identity envelopes of the publisher, predecessors first: those of the winning
            branch at least.
        node: Its node record, None if it has none yet.
        hello: The signed answer to the caller's nonce, None if it sent none.
        limits: Limits that callers should keep, by name of protocol.md 10.
    """

    publisher: PublisherId
    protocols: tuple[int, ...]
    software: str
    now: int
    identities: tuple[Envelope, ...]
    node: Envelope | None
    hello: Envelope | None
    limits: dict[str, int]

    def encode(self) -> bytes:
        """Return the body."""
        return pack(
            {
                "publisher": self.publisher,
                "protocols": list(self.protocols),
                "software": self.software,
                "now": self.now,
                "identities": [envelope.to_wire() for envelope in self.identities],
                "node": None if self.node is None else self.node.to_wire(),
                "hello": None if self.hello is None else self.hello.to_wire(),
                "limits": self.limits,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> NodeDocument:
        """Read the body."""
        fields = map_of(unpack(data, size_max=limits.NODE_DOCUMENT_SIZE_MAX), "node document")
        protocols = _list(fields, "protocols", count_max=32)
        identities = _list(fields, "identities", count_max=2 * limits.IDENTITY_RECORDS_MAX)
        granted = map_of(fields.get("limits", {}), "limits")
        return cls(
            publisher=_digest(fields, "publisher"),
            protocols=tuple(_integer(item, "protocols") for item in protocols),
            software=_text(fields, "software", limits.NAME_LENGTH_MAX),
            now=_integer(fields.get("now"), "now"),
            identities=tuple(Envelope.from_wire(item) for item in identities),
            node=_envelope_or_none(fields, "node"),
            hello=_envelope_or_none(fields, "hello"),
            limits={name: _integer(value, "limits") for name, value in granted.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferAnswer:
    """What became of one offered envelope: `action` and `reason` as in protocol.md 6."""

    id: RecordId
    action: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReport:
    """One peer as the answering node sees it: a suggestion, and whether it answers.

    Attributes:
        since: Seconds since 1970 when `reachable` last changed.
    """

    publisher: PublisherId
    name: str
    urls: tuple[str, ...]
    reachable: bool
    since: int

    def to_wire(self) -> dict[str, object]:
        """Return the report as plain values, for msgpack and JSON alike."""
        return {
            "publisher": self.publisher,
            "name": self.name,
            "urls": list(self.urls),
            "reachable": self.reachable,
            "since": self.since,
        }

    @classmethod
    def from_wire(cls, value: object) -> PeerReport:
        """Read what `to_wire` gives."""
        fields = map_of(value, "peer")
        urls = _list(fields, "urls", count_max=limits.URLS_MAX)
        reachable = fields.get("reachable")
        if type(reachable) is not bool:
            raise MalformedError("peer.reachable: want true or false")
        return cls(
            publisher=_digest(fields, "publisher"),
            name=_text(fields, "name", limits.NAME_LENGTH_MAX),
            urls=tuple(_url(item) for item in urls),
            reachable=reachable,
            since=_integer(fields.get("since"), "since"),
        )


class EnvelopeStream:
    """The answer to `POST /sync/v1/records`: envelopes one after another, in any pieces."""

    def __init__(self) -> None:
        self._stream = ObjectStream(size_max=limits.ENVELOPE_SIZE_MAX)

    def feed(self, data: bytes) -> list[Envelope]:
        """Return the envelopes that are whole now."""
        return [Envelope.from_wire(value) for value in self._stream.feed(data)]

    def close(self) -> None:
        """Raise MalformedError if the answer ended inside an envelope."""
        self._stream.close()


def encode_envelopes(envelopes: Iterable[Envelope]) -> bytes:
    """Return the list of `GET /sync/v1/heads` and `PUT /sync/v1/records`."""
    return pack([envelope.to_wire() for envelope in envelopes])


def decode_envelopes(data: bytes, *, count_max: int) -> list[Envelope]:
    """Read what `encode_envelopes` gives: heads (HEADS_MAX) or an offer (OFFER_MAX)."""
    items = _items(data, "envelopes", count_max=count_max)
    return [Envelope.from_wire(item) for item in items]


def encode_ids(ids: Sequence[str]) -> bytes:
    """Return the body of `POST /sync/v1/records`: record ids as 32 raw bytes each."""
    return pack([bytes.fromhex(item) for item in ids])


def decode_ids(data: bytes) -> list[RecordId]:
    """Read what `encode_ids` gives: at most RECORD_IDS_MAX ids."""
    items = _items(data, "record ids", count_max=limits.RECORD_IDS_MAX)
    if not all(type(item) is bytes and len(item) == _ID_SIZE for item in items):
        raise MalformedError(f"record ids: want {_ID_SIZE} bytes each")
    return [DigestHex(item.hex()) for item in items if isinstance(item, bytes)]


def encode_answers(answers: Iterable[OfferAnswer]) -> bytes:
    """Return the answer to `PUT /sync/v1/records`, one item per envelope in the offer's order."""
    return pack(
        [
            {
                "id": bytes.fromhex(answer.id),
                "action": answer.action,
                "reason": answer.reason,
                "detail": " ".join(answer.detail.split())[: limits.DETAIL_LENGTH_MAX],
            }
            for answer in answers
        ]
    )


def decode_answers(data: bytes) -> list[OfferAnswer]:
    """Read what `encode_answers` gives."""
    items = _items(data, "answers", count_max=limits.OFFER_MAX)
    return [_answer(map_of(item, "answer")) for item in items]


def encode_peers(reports: Iterable[PeerReport]) -> bytes:
    """Return the answer to `GET /sync/v1/peers`."""
    return pack([report.to_wire() for report in reports])


def decode_peers(data: bytes) -> list[PeerReport]:
    """Read what `encode_peers` gives."""
    items = _items(data, "peers", count_max=limits.PEERS_MAX)
    return [PeerReport.from_wire(item) for item in items]


def _answer(fields: dict[str, object]) -> OfferAnswer:
    record_id, action = fields.get("id"), fields.get("action")
    if type(record_id) is not bytes or len(record_id) != _ID_SIZE:
        raise MalformedError(f"answer.id: want {_ID_SIZE} bytes")
    if type(action) is not str or action not in _ACTIONS:
        raise MalformedError(f"answer.action: want one of {', '.join(sorted(_ACTIONS))}")
    return OfferAnswer(
        id=DigestHex(record_id.hex()),
        action=action,
        reason=_text(fields, "reason", limits.TERM_LENGTH_MAX),
        detail=_text(fields, "detail", limits.DETAIL_LENGTH_MAX),
    )


def _items(data: bytes, what: str, *, count_max: int) -> list[object]:
    value = unpack(data, size_max=limits.MESSAGE_SIZE_MAX)
    return _list({what: value}, what, count_max=count_max)


def _list(fields: dict[str, object], name: str, *, count_max: int) -> list[object]:
    value = fields.get(name)
    if type(value) is not list or len(value) > count_max:
        raise MalformedError(f"{name}: want a list of at most {count_max}")
    return value


def _text(fields: dict[str, object], name: str, length_max: int) -> str:
    value = fields.get(name)
    if type(value) is not str or len(value) > length_max:
        raise MalformedError(f"{name}: want a text of at most {length_max} characters")
    if has_control_characters(value):  # It ends up in logs and on terminals.
        raise MalformedError(f"{name}: want one line without control characters")
    return value


def _integer(value: object, name: str) -> int:
    if type(value) is not int or not 0 <= value <= limits.INTEGER_MAX:
        raise MalformedError(f"{name}: want an integer from 0 to 2^53")
    return value


def _digest(fields: dict[str, object], name: str) -> DigestHex:
    text = _text(fields, name, 2 * _ID_SIZE)
    return parse_digest(text)


def _url(value: object) -> str:
    if type(value) is not str or NODE_URL.fullmatch(value) is None:
        raise MalformedError("urls: want http or https URLs without a slash at the end")
    return value


def _envelope_or_none(fields: dict[str, object], name: str) -> Envelope | None:
    value = fields.get(name)
    return None if value is None else Envelope.from_wire(value)
