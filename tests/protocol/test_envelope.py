import base64
import contextlib
import hashlib
import json
from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.envelope import Envelope, pre_authentication_encoding, seal
from protocol.errors import (
    LocalProtocolError,
    MalformedError,
    RemoteProtocolError,
    SizeLimitError,
    UnsignedError,
)
from protocol.wire import pack
from tests.protocol.strategies import KEYS, envelopes

ONE, TWO = KEYS[0], KEYS[1]


def test_pae_is_the_vector_of_the_specification() -> None:
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_the_id_is_the_sha256_of_the_payload() -> None:
    assert seal(b"abc", [ONE]).id == hashlib.sha256(b"abc").hexdigest()


@given(envelopes())
def test_msgpack_round_trip(envelope: Envelope) -> None:
    assert Envelope.from_bytes(envelope.to_bytes()) == envelope


@given(st.binary(max_size=300))
def test_random_bytes_give_an_envelope_or_our_error(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        Envelope.from_bytes(data)


def test_json_is_dsse() -> None:
    document = json.loads(seal(b"abc", [ONE]).to_json())
    assert document["payloadType"] == "application/vnd.locmesh.record.v1+json"
    assert base64.b64decode(document["payload"]) == b"abc"
    assert [item["keyid"] for item in document["signatures"]] == [ONE.did]


def test_open_counts_trusted_keys_only() -> None:
    envelope = seal(b"abc", [ONE, TWO])
    trusted = frozenset({ONE.public})
    assert envelope.open(trusted=trusted, threshold=1) == b"abc"
    with pytest.raises(UnsignedError, match="1 of 2 trusted signatures"):
        envelope.open(trusted=trusted, threshold=2)
    with pytest.raises(UnsignedError):
        envelope.open(trusted=frozenset({KEYS[2].public}), threshold=1)


def test_a_signature_is_bound_to_payload_type_and_key() -> None:
    envelope = seal(b"abc", [ONE])
    assert envelope.signers([ONE.public]) == {ONE.public}
    assert not replace(envelope, payload=b"abd").signers([ONE.public])
    assert not replace(envelope, payload_type="text/plain").signers([ONE.public])
    swapped = replace(envelope, signatures={TWO.public: envelope.signatures[ONE.public]})
    assert not swapped.signers([ONE.public, TWO.public])


def test_unknown_fields_are_ignored_as_dsse_asks() -> None:
    envelope = seal(b"abc", [ONE])
    assert Envelope.from_wire({**envelope.to_wire(), "comment": "hello"}) == envelope


def _wire(**changes: object) -> bytes:
    wire = seal(b"abc", [ONE]).to_wire()
    return pack({key: item for key, item in {**wire, **changes}.items() if item is not ...})


SIGNATURE = {"keyid": ONE.did, "sig": b"\x00" * 64}


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (pack([]), "envelope"),
        (_wire(payload=...), "payload"),
        (_wire(payload="abc"), "payload"),
        (_wire(payload=msgpack.Timestamp(1, 0)), "payload"),  # Its extension type is built in.
        (_wire(payloadType=...), "payloadType"),
        (_wire(payloadType=""), "payloadType"),
        (_wire(payloadType="ä"), "payloadType"),
        (_wire(payloadType="x" * 128), "payloadType"),
        (_wire(signatures=...), "signatures"),
        (_wire(signatures=[]), "signatures"),
        (_wire(signatures={}), "signatures"),
        (_wire(signatures=[SIGNATURE] * 18), "signatures"),
        (_wire(signatures=[SIGNATURE] * 2), "signs twice"),
        (_wire(signatures=["x"]), "signatures"),
        (_wire(signatures=[{"sig": b"\x00" * 64}]), "keyid"),
        (_wire(signatures=[{"keyid": "did:key:z6Mk", "sig": b"\x00" * 64}]), "did:key"),
        (_wire(signatures=[{"keyid": ONE.did, "sig": b"\x00" * 63}]), "sig"),
        (_wire(signatures=[{"keyid": ONE.did, "sig": "0" * 64}]), "sig"),
    ],
)
def test_a_bad_envelope_names_its_field(data: bytes, names: str) -> None:
    with pytest.raises(MalformedError, match=names):
        Envelope.from_bytes(data)


def test_a_payload_over_the_limit_is_refused() -> None:
    with pytest.raises(SizeLimitError, match="1048577 bytes are over the limit of 1048576"):
        Envelope.from_bytes(_wire(payload=b"x" * (limits.PAYLOAD_SIZE_MAX + 1)))


def test_sealing_takes_different_keys() -> None:
    with pytest.raises(LocalProtocolError):
        seal(b"abc", [])
    with pytest.raises(LocalProtocolError):
        seal(b"abc", [ONE, ONE])
