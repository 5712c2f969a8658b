import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import limits
from protocol.errors import LocalProtocolError, MalformedError, RemoteProtocolError, SizeLimitError
from protocol.identity import DigestHex
from protocol.payload import encode_json
from protocol.records import (
    Dataset,
    Head,
    Identity,
    Key,
    NodeInfo,
    Record,
    Withdrawal,
    parse_record,
    type_of,
)
from tests.protocol.strategies import KEYS, records

P, D = DigestHex("ab" * 32), DigestHex("cd" * 32)
IDENTITY = Identity(
    revision=1,
    issued=1_790_000_000,
    keys=(Key(key=KEYS[0].did, role="online"), Key(key=KEYS[1].did, role="recovery")),
)
NODE = NodeInfo(publisher=P, revision=1, issued=1_790_000_000, name="Löwe lab")
WITHDRAWAL = Withdrawal(
    publisher=P, dataset=D, revision=2, previous=D, issued=1_790_000_000, reason="wrong sample"
)
HEAD = Head(publisher=P, issued=100, scope="public", sequence=1, count=0, root=D, expires=1_000)


@settings(deadline=None)
@given(records)
def test_round_trip(record: Record) -> None:
    payload = record.to_bytes()
    assert parse_record(payload) == record
    assert type(record).from_bytes(payload) == record
    assert json.loads(payload)["type"] == type_of(record)


@settings(deadline=None)
@given(records, st.data())
def test_a_record_with_one_field_replaced_parses_or_is_our_error(
    record: Record, data: st.DataObject
) -> None:
    document = json.loads(record.to_bytes())
    name = data.draw(st.sampled_from(sorted(document)))
    document[name] = data.draw(
        st.sampled_from([None, True, -1, 0, 1.5, "", "x", [], [1], ["x"], [{}], {}, {"a": 1}])
    )
    with contextlib.suppress(RemoteProtocolError):
        parse_record(encode_json(document))


@settings(deadline=None)
@given(records, st.binary(max_size=4), st.floats(0, 1))
def test_a_record_with_bytes_overwritten_parses_or_is_our_error(
    record: Record, noise: bytes, place: float
) -> None:
    payload = record.to_bytes()
    start = int(place * len(payload))
    with contextlib.suppress(RemoteProtocolError):
        parse_record(payload[:start] + noise + payload[start + len(noise) :])


@pytest.mark.parametrize("kind", [Identity, NodeInfo, Dataset, Withdrawal, Head])
def test_from_bytes_takes_its_own_type_only(kind: type[Record]) -> None:
    other = HEAD if kind is not Head else NODE
    with pytest.raises(MalformedError, match="type: want"):
        kind.from_bytes(other.to_bytes())


def test_unknown_fields_are_ignored() -> None:
    document = json.loads(HEAD.to_bytes())
    assert parse_record(encode_json({**document, "mood": {"x": [1]}})) == HEAD


def test_a_payload_over_the_limit_is_refused() -> None:
    document = json.loads(HEAD.to_bytes()) | {"pad": "x" * limits.PAYLOAD_SIZE_MAX}
    with pytest.raises(SizeLimitError):
        parse_record(encode_json(document))


def test_what_peers_would_refuse_is_never_written() -> None:
    with pytest.raises(LocalProtocolError, match="this node would be refused: name: want"):
        replace(NODE, name="").to_bytes()
    with pytest.raises(LocalProtocolError, match="does not survive JSON"):
        replace(NODE, urls=["http://a.example"]).to_bytes()  # type: ignore[arg-type]


GONE: Any = ...


@pytest.mark.parametrize(
    ("record", "changes", "names"),
    [
        (HEAD, {"type": GONE}, "type"),
        (HEAD, {"type": "heads"}, "type: want one of dataset, head"),
        (HEAD, {"type": ["head"]}, "type"),
        (HEAD, {"protocol": 2}, "protocol"),
        (HEAD, {"protocol": True}, "protocol"),
        (HEAD, {"protocol": GONE}, "protocol"),
        (HEAD, {"publisher": GONE}, "publisher"),
        (HEAD, {"publisher": "AB" * 32}, "publisher"),
        (HEAD, {"issued": -1}, "issued"),
        (HEAD, {"issued": 1.0}, "issued"),
        (HEAD, {"scope": "private"}, "scope"),
        (HEAD, {"sequence": 0}, "sequence"),
        (HEAD, {"count": -1}, "count"),
        (HEAD, {"root": "x"}, "root"),
        (HEAD, {"expires": 100}, "expires"),
        (HEAD, {"expires": 101 + limits.HEAD_LIFETIME_MAX_S}, "expires"),
        (NODE, {"name": " "}, "name"),
        (NODE, {"name": "a\nb"}, "name"),
        (NODE, {"revision": 0}, "revision"),
        (NODE, {"revision": 2}, "previous"),
        (NODE, {"previous": D}, "previous: want no such field in the first"),
        (NODE, {"urls": "http://a.example"}, "urls"),
        (NODE, {"urls": ["ftp://a.example"]}, "urls"),
        (NODE, {"urls": ["http://a.example/"]}, "urls"),
        (NODE, {"urls": ["http://user@a.example"]}, "urls"),
        (NODE, {"urls": ["http://a.example/?x"]}, "urls"),
        (NODE, {"urls": ["http://a.example"] * 17}, "urls"),
        (NODE, {"contact": "nobody"}, "contact"),
        (NODE, {"institution": None}, "institution"),
        (IDENTITY, {"publisher": P}, "publisher"),
        (IDENTITY, {"signed_by": KEYS[0].did}, "signed_by"),
        (IDENTITY, {"revision": 257}, "revision"),
        (IDENTITY, {"revision": 2}, "publisher"),
        (IDENTITY, {"revision": 2, "publisher": P, "previous": P}, "signed_by"),
        (IDENTITY, {"keys": []}, "keys"),
        (IDENTITY, {"keys": [{"key": KEYS[0].did, "role": "online"}]}, "keys"),
        (IDENTITY, {"keys": [{"key": key.did, "role": "online"} for key in KEYS[:2]]}, "recovery"),
        (IDENTITY, {"keys": [{"key": key.did, "role": "recovery"} for key in KEYS[:2]]}, "online"),
        (
            IDENTITY,
            {"keys": [{"key": KEYS[0].did, "role": role} for role in ("online", "recovery")]},
            "every key once",
        ),
        (IDENTITY, {"keys": [{"key": "did:key:z6Mk", "role": "online"}] * 2}, "did:key"),
        (IDENTITY, {"keys": [{"key": KEYS[0].did, "role": "root"}] * 2}, "role"),
        (WITHDRAWAL, {"revision": 1}, "revision"),
        (WITHDRAWAL, {"dataset": GONE}, "dataset"),
        (WITHDRAWAL, {"previous": GONE}, "previous"),
        (WITHDRAWAL, {"reason": ""}, "reason"),
        (WITHDRAWAL, {"reason": "x\x00"}, "reason"),
        (WITHDRAWAL, {"successor": "x"}, "successor"),
    ],
)
def test_a_bad_field_is_named(record: Record, changes: dict[str, object], names: str) -> None:
    document = json.loads(record.to_bytes()) | changes
    document = {key: value for key, value in document.items() if value is not GONE}
    with pytest.raises(MalformedError, match=names):
        parse_record(encode_json(document))
