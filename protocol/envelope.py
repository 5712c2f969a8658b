"""DSSE v1 envelopes: bytes, what kind of bytes they are, and who signed them.

The payload is never re-serialised: the bytes that were signed are stored, served and hashed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol import limits
from protocol.errors import LocalProtocolError, MalformedError, SizeLimitError, UnsignedError
from protocol.identity import (
    SIGNATURE_SIZE,
    DigestHex,
    RecordId,
    SigningKey,
    did_key,
    is_signed_by,
    parse_did_key,
)
from protocol.wire import map_of, pack, unpack

__all__ = ["PAYLOAD_TYPE", "Envelope", "pre_authentication_encoding", "seal"]

PAYLOAD_TYPE = "application/vnd.locmesh.record.v1+json"
PAYLOAD_TYPE_LENGTH_MAX = 127


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: lengths first, so no two (type, payload) collide.

    Source:
        DSSE v1.0.2 protocol.md, "Signature Definition".
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A payload, byte for byte as it arrived, and the signatures over it by public key."""

    payload_type: str
    payload: bytes
    signatures: Mapping[bytes, bytes]

    @property
    def id(self) -> RecordId:
        """The SHA-256 of the payload: the record's name."""
        return DigestHex(hashlib.sha256(self.payload).hexdigest())

    def open(self, *, trusted: frozenset[bytes], threshold: int) -> bytes:
        """Return the payload, or raise UnsignedError if under threshold trusted keys signed."""
        assert threshold >= 1  # A caller's mistake, never a peer's.
        signers = self.signers(trusted)
        if len(signers) < threshold:
            raise UnsignedError(f"{len(signers)} of {threshold} trusted signatures on {self.id}")
        return self.payload

    def signers(self, candidates: Iterable[bytes]) -> frozenset[bytes]:
        """Return those of the candidate public keys whose signature is here and right."""
        keys = self.signatures.keys() & frozenset(candidates)
        if not keys:
            return frozenset()
        signed = pre_authentication_encoding(self.payload_type, self.payload)
        return frozenset(key for key in keys if is_signed_by(key, self.signatures[key], signed))

    def to_wire(self) -> dict[str, object]:
        """Return the envelope as the map that messages carry."""
        return {
            "payloadType": self.payload_type,
            "payload": self.payload,
            "signatures": [
                {"keyid": did_key(key), "sig": self.signatures[key]}
                for key in sorted(self.signatures)
            ],
        }

    @classmethod
    def from_wire(cls, value: object) -> Envelope:
        """Read the map that messages carry, else MalformedError or SizeLimitError."""
        fields = map_of(value, "envelope")
        payload_type, payload = fields.get("payloadType"), fields.get("payload")
        if type(payload_type) is not str or not 1 <= len(payload_type) <= PAYLOAD_TYPE_LENGTH_MAX:
            raise MalformedError(f"envelope.payloadType: want 1 to {PAYLOAD_TYPE_LENGTH_MAX} chars")
        if not payload_type.isascii():
            raise MalformedError(f"envelope.payloadType: want ASCII, got {payload_type!r}")
        if type(payload) is not bytes:
            raise MalformedError("envelope.payload: want bytes")
        if len(payload) > limits.PAYLOAD_SIZE_MAX:
            size, limit = len(payload), limits.PAYLOAD_SIZE_MAX
            raise SizeLimitError(f"envelope.payload: {size} bytes are over the limit of {limit}")
        signatures = _signatures(fields.get("signatures"))
        return cls(payload_type=payload_type, payload=payload, signatures=signatures)

    def to_bytes(self) -> bytes:
        """Return the msgpack form."""
        return pack(self.to_wire())

    @classmethod
    def from_bytes(cls, data: bytes) -> Envelope:
        """Read the msgpack form, else MalformedError or SizeLimitError."""
        return cls.from_wire(unpack(data, size_max=limits.ENVELOPE_SIZE_MAX))

    def to_json(self) -> bytes:
        """Return the DSSE JSON form, for tools that know DSSE."""
        signatures = [
            {"keyid": did_key(key), "sig": base64.b64encode(self.signatures[key]).decode()}
            for key in sorted(self.signatures)
        ]
        document = {
            "payloadType": self.payload_type,
            "payload": base64.b64encode(self.payload).decode(),
            "signatures": signatures,
        }
        return json.dumps(document, separators=(",", ":")).encode()


def seal(
    payload: bytes, keys: Sequence[SigningKey], *, payload_type: str = PAYLOAD_TYPE
) -> Envelope:
    """Return the payload signed by every one of the keys."""
    if not keys or len({key.public for key in keys}) != len(keys):
        raise LocalProtocolError("want one or more different keys to seal with")
    signed = pre_authentication_encoding(payload_type, payload)
    signatures = {key.public: key.sign(signed) for key in keys}
    return Envelope(payload_type=payload_type, payload=payload, signatures=signatures)


def _signatures(value: object) -> dict[bytes, bytes]:
    if type(value) is not list or not 1 <= len(value) <= limits.SIGNATURES_MAX:
        raise MalformedError(f"envelope.signatures: want 1 to {limits.SIGNATURES_MAX}")
    signatures: dict[bytes, bytes] = {}
    for item in value:
        fields = map_of(item, "envelope.signatures")
        keyid, signature = fields.get("keyid"), fields.get("sig")
        if type(keyid) is not str:
            raise MalformedError("envelope.signatures.keyid: want a did:key")
        if type(signature) is not bytes or len(signature) != SIGNATURE_SIZE:
            raise MalformedError(f"envelope.signatures.sig: want {SIGNATURE_SIZE} bytes")
        key = parse_did_key(keyid)
        if key in signatures:
            raise MalformedError(f"envelope.signatures: {keyid} signs twice")
        signatures[key] = signature
    return signatures
