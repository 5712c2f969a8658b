"""The published vectors, checked with the standard library and `cryptography` where they can."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.envelope import Envelope
from protocol.errors import MalformedError
from protocol.hello import Hello
from protocol.identity import parse_did_key
from protocol.messages import NodeDocument, decode_answers, decode_ids, decode_peers
from protocol.records import parse_record
from tests.interop.record_vectors import vectors_bytes
from tests.protocol.catalog import Catalog

PATH = Path(__file__).parent / "vectors" / "records.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_bytes())


def test_we_still_write_these_bytes() -> None:
    assert vectors_bytes() == PATH.read_bytes().replace(b"\r\n", b"\n")


@pytest.mark.parametrize("role", sorted(VECTORS["keys"]))
def test_keys_follow_from_their_seeds(role: str) -> None:
    key = VECTORS["keys"][role]
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key["seed"]))
    assert private.public_key().public_bytes_raw().hex() == key["public"]
    assert parse_did_key(key["did"]).hex() == key["public"]


@pytest.mark.parametrize("name", sorted(VECTORS["records"]))
def test_records_are_hashed_and_signed_as_the_document_says(name: str) -> None:
    vector = VECTORS["records"][name]
    payload = vector["payload"].encode()
    assert hashlib.sha256(payload).hexdigest() == vector["id"]
    assert base64.b64decode(vector["dsse"]["payload"]) == payload
    kind = vector["dsse"]["payloadType"].encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    for signature in vector["dsse"]["signatures"]:
        public = Ed25519PublicKey.from_public_bytes(parse_did_key(signature["keyid"]))
        public.verify(base64.b64decode(signature["sig"]), signed)
    envelope = Envelope.from_bytes(bytes.fromhex(vector["envelope"]))
    assert envelope.payload == payload
    assert json.loads(envelope.to_json()) == vector["dsse"]
    record = Hello.from_bytes(payload) if name == "hello" else parse_record(payload)
    assert record.to_bytes() == payload


@pytest.mark.parametrize("title", sorted(VECTORS["malformed"]))
def test_malformed_payloads_are_refused(title: str) -> None:
    with pytest.raises(MalformedError):
        parse_record(VECTORS["malformed"][title].encode())


def test_the_story_is_judged_as_told() -> None:
    catalog = Catalog()
    for step in VECTORS["admission"]:
        verdict = catalog.offer(
            Envelope.from_bytes(bytes.fromhex(step["envelope"])), now=step["now"]
        )
        told = (step["action"], step["reason"], step["current"], step["fork"], step["awaits"])
        judged = (verdict.action.value, verdict.reason.value, verdict.current, verdict.fork)
        assert (*judged, verdict.awaits) == told, step["title"]
    assert sorted(catalog.accepted) == VECTORS["accepted"]
    shown = [[chain.kind, chain.id, record] for chain, record in catalog.view().items()]
    assert sorted(shown) == VECTORS["shown"]


def test_the_root_is_over_sorted_ids() -> None:
    raw = sorted(bytes.fromhex(item) for item in VECTORS["root"]["ids"])
    assert hashlib.sha256(b"".join(raw)).hexdigest() == VECTORS["root"]["root"]


def test_messages_decode() -> None:
    raw = {name: bytes.fromhex(text) for name, text in VECTORS["messages"].items()}
    assert NodeDocument.decode(raw["node"]).encode() == raw["node"]
    assert decode_ids(raw["ids"]) == VECTORS["root"]["ids"][2:4]
    assert [answer.reason for answer in decode_answers(raw["answers"])] == ["future"]
    assert [peer.name for peer in decode_peers(raw["peers"])] == ["B"]
