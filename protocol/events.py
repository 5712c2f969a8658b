"""Server-sent events of `GET /sync/v1/events`: JSON data, bytes in and out (protocol.md 8.6)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TypeAlias

from protocol import limits
from protocol.envelope import Envelope
from protocol.errors import MalformedError, SizeLimitError
from protocol.identity import PublisherId, RecordId
from protocol.messages import PeerReport
from protocol.payload import Fields, encode_json, parse_json

__all__ = ["KEEP_ALIVE", "Event", "EventStream", "HoldingsEvent", "PeerEvent", "RecordsEvent"]

KEEP_ALIVE = b": keep-alive\n\n"
_SCOPES = frozenset({"public", "members"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsEvent:
    """`event: records`: new records of one publisher and scope, and its newest head.

    Attributes:
        records: At most RECORD_IDS_MAX ids.
        head: The newest head there, None if there is none.
        more: There are more than are named; reconcile to get them.
    """

    publisher: PublisherId
    scope: str
    records: tuple[RecordId, ...]
    head: Envelope | None = None
    more: bool = False

    def encode(self) -> bytes:
        """Return the event as it goes over the wire."""
        data: dict[str, object] = {
            "publisher": self.publisher,
            "scope": self.scope,
            "records": list(self.records[: limits.RECORD_IDS_MAX]),
            "more": self.more or len(self.records) > limits.RECORD_IDS_MAX,
        }
        if self.head is not None:
            data["head"] = base64.b64encode(self.head.to_bytes()).decode()
        return _frame("records", data)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerEvent:
    """`event: peer`: a peer of that node became reachable or ceased to be."""

    report: PeerReport

    def encode(self) -> bytes:
        """Return the event as it goes over the wire."""
        return _frame("peer", self.report.to_wire())


@dataclass(frozen=True, slots=True)
class HoldingsEvent:
    """`event: holdings`: that node holds other blobs than before; which ones, reconciling tells."""

    def encode(self) -> bytes:
        """Return the event as it goes over the wire."""
        return _frame("holdings", {})


Event: TypeAlias = RecordsEvent | PeerEvent | HoldingsEvent


class EventStream:
    """Events from the bytes of the stream, which arrive in any pieces.

    Events of other names are skipped: a later protocol may add some.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that are whole now.

        Raises:
            SizeLimitError: An event is over EVENT_SIZE_MAX.
            MalformedError: The data of an event that we know is not as it should be.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        events: list[Event] = []
        for line in lines:
            event = self._line(line.removesuffix(b"\r"))
            if event is not None:
                events.append(event)
        if self._size + len(self._rest) > limits.EVENT_SIZE_MAX:
            raise SizeLimitError(f"an event is over the limit of {limits.EVENT_SIZE_MAX} bytes")
        return events

    def _line(self, line: bytes) -> Event | None:
        self._size += len(line)
        if self._size > limits.EVENT_SIZE_MAX:
            raise SizeLimitError(f"an event is over the limit of {limits.EVENT_SIZE_MAX} bytes")
        if line:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"event":
                self._name = value.decode("utf-8", "replace")
            elif name == b"data":
                self._data.append(value)
            return None
        name_, data = self._name, b"\n".join(self._data)
        self._name, self._data, self._size = "", [], 0
        if name_ == "records":
            return _records(Fields(parse_json(data, size_max=limits.EVENT_SIZE_MAX)))
        if name_ == "peer":
            value_ = parse_json(data, size_max=limits.EVENT_SIZE_MAX)
            return PeerEvent(report=PeerReport.from_wire(value_))
        if name_ == "holdings":
            return HoldingsEvent()
        return None


def _frame(name: str, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode_json(data))


def _records(fields: Fields) -> RecordsEvent:
    items = [
        fields.digest_in("records", item)
        for item in fields.items("records", count_max=limits.RECORD_IDS_MAX)
    ]
    return RecordsEvent(
        publisher=fields.digest("publisher"),
        scope=fields.choice("scope", _SCOPES),
        records=tuple(items),
        head=_head(fields),
        more=fields.flag("more"),
    )


def _head(fields: Fields) -> Envelope | None:
    text = fields.line("head", length_max=limits.EVENT_SIZE_MAX, optional=True)
    if not text:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError("head: want an envelope in base64") from None
    return Envelope.from_bytes(data)
