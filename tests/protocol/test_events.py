import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import limits
from protocol.errors import MalformedError, RemoteProtocolError, SizeLimitError
from protocol.events import KEEP_ALIVE, Event, EventStream, HoldingsEvent, PeerEvent, RecordsEvent
from protocol.identity import DigestHex
from tests.protocol.strategies import digests, envelopes
from tests.protocol.test_messages import peers

P = DigestHex("ab" * 32)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        RecordsEvent,
        publisher=digests,
        scope=st.sampled_from(["public", "members"]),
        records=st.lists(digests, max_size=3).map(tuple),
        head=st.none() | envelopes(),
        more=st.booleans(),
    ),
    st.builds(PeerEvent, report=peers),
    st.builds(HoldingsEvent),
)


@settings(deadline=None)
@given(st.lists(events, max_size=4), st.integers(1, 200))
def test_a_stream_in_any_pieces_gives_the_same_events(items: list[Event], step: int) -> None:
    data = KEEP_ALIVE.join([b"", *(item.encode() for item in items), b""])
    stream = EventStream()
    found: list[Event] = []
    for start in range(0, len(data), step):
        found += stream.feed(data[start : start + step])
    assert found == items


@given(st.binary(max_size=100) | st.text('event:records\ndata: {}[]"1,', max_size=80))
def test_a_random_stream_gives_events_or_our_error(data: bytes | str) -> None:
    stream = EventStream()
    try:
        stream.feed(data if isinstance(data, bytes) else data.encode())
        stream.feed(b"\n\n")
    except RemoteProtocolError:
        return


def test_events_of_other_names_and_comments_are_skipped() -> None:
    stream = EventStream()
    other = b"id: 5\r\nevent: weather\r\ndata: rain\r\n\r\n: hello\n\n"
    event = RecordsEvent(publisher=P, scope="public", records=(P,))
    assert stream.feed(other + event.encode()) == [event]


def test_more_ids_than_fit_say_so() -> None:
    many = RecordsEvent(publisher=P, scope="public", records=(P,) * (limits.RECORD_IDS_MAX + 1))
    [event] = EventStream().feed(many.encode())
    assert isinstance(event, RecordsEvent)
    assert event.more
    assert len(event.records) == limits.RECORD_IDS_MAX


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"publisher":"x","scope":"public","records":[]}',
        b'{"publisher":"' + b"ab" * 32 + b'","scope":"private","records":[]}',
        b'{"publisher":"' + b"ab" * 32 + b'","scope":"public","records":["x"]}',
        b'{"publisher":"' + b"ab" * 32 + b'","scope":"public","records":[],"head":"!"}',
        b'{"publisher":"' + b"ab" * 32 + b'","scope":"public","records":[],"head":"AAAA"}',
        b'{"publisher":"' + b"ab" * 32 + b'","scope":"public","records":[],"more":1}',
    ],
)
def test_a_bad_records_event_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        EventStream().feed(b"event: records\ndata: " + data + b"\n\n")


@pytest.mark.parametrize("piece", [b"x" * 1_000, b"data: x\n" * 100])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    stream = EventStream()
    rounds = limits.EVENT_SIZE_MAX // 500
    with pytest.raises(SizeLimitError, match="262144"):  # noqa: PT012 - which piece is one too many is its business.
        for _ in range(rounds):
            stream.feed(piece)
