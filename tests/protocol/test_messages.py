from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import limits
from protocol.envelope import Envelope, seal
from protocol.errors import MalformedError, RemoteProtocolError, SizeLimitError
from protocol.identity import DigestHex
from protocol.messages import (
    EnvelopeStream,
    NodeDocument,
    OfferAnswer,
    PeerReport,
    decode_answers,
    decode_envelopes,
    decode_ids,
    decode_peers,
    encode_answers,
    encode_envelopes,
    encode_ids,
    encode_peers,
)
from protocol.wire import pack, unpack
from tests.protocol.strategies import KEYS, digests, envelopes, lines, node_urls, seconds

answers = st.builds(
    OfferAnswer,
    id=digests,
    action=st.sampled_from(["accept", "hold", "reject", "duplicate"]),
    reason=st.sampled_from(["accepted", "future", "a-later-reason"]),
    detail=lines.map(lambda text: " ".join(text.split())),
)
peers = st.builds(
    PeerReport,
    publisher=digests,
    name=lines,
    urls=st.lists(node_urls, max_size=3).map(tuple),
    reachable=st.booleans(),
    since=seconds,
)
documents = st.builds(
    NodeDocument,
    publisher=digests,
    protocols=st.just((1,)),
    software=lines,
    now=seconds,
    identities=st.lists(envelopes(), max_size=2).map(tuple),
    node=st.none() | envelopes(),
    hello=st.none() | envelopes(),
    limits=st.dictionaries(st.sampled_from(["a", "b"]), seconds),
)


@settings(deadline=None)
@given(documents)
def test_node_document_round_trip(document: NodeDocument) -> None:
    assert NodeDocument.decode(document.encode()) == document


@given(st.lists(answers, max_size=3))
def test_answers_round_trip(items: list[OfferAnswer]) -> None:
    assert decode_answers(encode_answers(items)) == items


@given(st.lists(peers, max_size=3))
def test_peers_round_trip(items: list[PeerReport]) -> None:
    assert decode_peers(encode_peers(items)) == items


@given(st.lists(digests, max_size=5))
def test_ids_round_trip(items: list[DigestHex]) -> None:
    assert decode_ids(encode_ids(items)) == items


@settings(deadline=None)
@given(st.lists(envelopes(), max_size=3), st.integers(1, 50))
def test_envelopes_round_trip_in_a_list_and_in_a_stream(items: list[Envelope], step: int) -> None:
    assert decode_envelopes(encode_envelopes(items), count_max=3) == items
    data = b"".join(item.to_bytes() for item in items)
    stream = EnvelopeStream()
    found: list[Envelope] = []
    for start in range(0, len(data), step):
        found += stream.feed(data[start : start + step])
    stream.close()
    assert found == items


@given(st.binary(max_size=100))
def test_random_bytes_give_a_message_or_our_error(data: bytes) -> None:
    for decode in (NodeDocument.decode, decode_answers, decode_peers, decode_ids):
        try:
            decode(data)
        except RemoteProtocolError:
            continue
    try:
        stream = EnvelopeStream()
        stream.feed(data)
        stream.close()
    except RemoteProtocolError:
        return


DOCUMENT = NodeDocument(
    publisher=DigestHex("ab" * 32),
    protocols=(1,),
    software="locmesh 0.1",
    now=5,
    identities=(),
    node=None,
    hello=None,
    limits={},
)
PEER = PeerReport(
    publisher=DigestHex("ab" * 32), name="B", urls=("http://b.example",), reachable=True, since=5
)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"publisher": "x"}, "hex"),
        ({"protocols": [-1]}, "protocols"),
        ({"protocols": [1] * 33}, "protocols"),
        ({"software": 1}, "software"),
        ({"software": "\x1b[2J"}, "control"),
        ({"now": True}, "now"),
        ({"identities": None}, "identities"),
        ({"identities": [1]}, "envelope"),
        ({"node": []}, "envelope"),
        ({"limits": {"a": -1}}, "limits"),
        ({"limits": []}, "limits"),
    ],
)
def test_a_bad_node_document_names_its_field(changes: dict[str, object], names: str) -> None:
    fields = unpack(DOCUMENT.encode(), size_max=1_000)
    assert isinstance(fields, dict)
    with pytest.raises(MalformedError, match=names):
        NodeDocument.decode(pack({**fields, **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"publisher": None},
        {"name": "a\nb"},
        {"urls": ["http://b.example/"]},
        {"urls": ["file:///etc/passwd"]},
        {"urls": ["http://b.example"] * 17},
        {"reachable": 1},
        {"since": -1},
    ],
)
def test_a_bad_peer_is_malformed(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        decode_peers(pack([{**PEER.to_wire(), **changes}]))


@pytest.mark.parametrize(
    "item",
    [
        1,
        {},
        {"id": b"x", "action": "accept", "reason": "accepted", "detail": ""},
        {"id": b"x" * 32, "action": "maybe", "reason": "accepted", "detail": ""},
        {"id": b"x" * 32, "action": [], "reason": "accepted", "detail": ""},
        {"id": b"x" * 32, "action": "accept", "reason": "x" * 101, "detail": ""},
    ],
)
def test_a_bad_answer_is_malformed(item: object) -> None:
    with pytest.raises(MalformedError):
        decode_answers(pack([item]))


def test_counts_and_sizes_are_limited() -> None:
    with pytest.raises(MalformedError, match="at most 1000"):
        decode_ids(pack([b"x" * 32] * (limits.RECORD_IDS_MAX + 1)))
    with pytest.raises(MalformedError, match="at most 2"):
        decode_envelopes(encode_envelopes([seal(b"", [KEYS[0]])] * 3), count_max=2)
    with pytest.raises(SizeLimitError):
        decode_peers(b"\x00" * (limits.MESSAGE_SIZE_MAX + 1))
    with pytest.raises(MalformedError, match="32 bytes each"):
        decode_ids(pack([b"x" * 31]))


def test_details_are_cut_to_one_line_of_the_limit() -> None:
    answer = OfferAnswer(
        id=DigestHex("ab" * 32), action="reject", reason="quota", detail="a\nb " + "x" * 2_000
    )
    detail = decode_answers(encode_answers([answer]))[0].detail
    assert detail.startswith("a b x")
    assert len(detail) == limits.DETAIL_LENGTH_MAX


def test_a_truncated_stream_is_noticed() -> None:
    stream = EnvelopeStream()
    stream.feed(seal(b"abc", [KEYS[0]]).to_bytes()[:-1])
    with pytest.raises(MalformedError, match="ended inside"):
        stream.close()


def test_reports_differ_by_what_was_seen() -> None:
    assert replace(PEER, reachable=False) != PEER
