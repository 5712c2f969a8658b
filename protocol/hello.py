"""The signed answer to "who are you": proof that a node holds its publisher's key (8.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol import limits
from protocol.envelope import Envelope
from protocol.errors import MalformedError, RemoteProtocolError, UnsignedError
from protocol.identity import PublisherId, parse_digest
from protocol.payload import encode_record, open_record
from protocol.records import NODE_URL
from protocol.succession import Lineage

__all__ = ["HELLO_TYPE", "Hello", "check_hello", "parse_nonce"]

HELLO_TYPE = "application/vnd.locmesh.hello.v1+json"
_NONCE = re.compile(rf"([0-9a-f]{{2}}){{{limits.NONCE_SIZE_MIN},{limits.NONCE_SIZE_MAX}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The caller's nonce and the base URL it called, under the answering node's key."""

    publisher: PublisherId
    nonce: str
    issued: int
    url: str

    @classmethod
    def from_bytes(cls, payload: bytes) -> Hello:
        """Read the payload."""
        fields = open_record(payload, "hello")
        return cls(
            publisher=fields.digest("publisher"),
            nonce=fields.matching("nonce", _NONCE, "16 to 32 bytes in lowercase hex"),
            issued=fields.integer("issued"),
            url=fields.matching("url", NODE_URL, "a base URL"),
        )

    def to_bytes(self) -> bytes:
        """Return the payload; LocalProtocolError if a peer would refuse it."""
        return encode_record("hello", self)


def parse_nonce(text: str) -> str:
    """Return the text if it is 16 to 32 bytes in lowercase hex, else raise MalformedError."""
    if _NONCE.fullmatch(text) is None:
        raise MalformedError(f"nonce: want 16 to 32 bytes in lowercase hex, got {text[:80]!r}")
    return text


def check_hello(envelope: Envelope, lineage: Lineage, *, nonce: str, url: str, now: int) -> Hello:
    """Return the hello if it answers this nonce at this URL under a current online key.

    Raises:
        UnsignedError: No key that is online now signed it.
        RemoteProtocolError: It answers another nonce, URL, time or publisher.
    """
    if envelope.payload_type != HELLO_TYPE:
        raise MalformedError(f"hello: payload type {envelope.payload_type[:80]!r}")
    active = frozenset(key for key, retired in lineage.online.items() if retired is None)
    try:
        payload = envelope.open(trusted=active, threshold=1)
    except UnsignedError:
        raise UnsignedError(f"hello: no current key of {lineage.publisher} signed it") from None
    hello = Hello.from_bytes(payload)
    if hello.publisher != parse_digest(lineage.publisher):
        raise RemoteProtocolError(f"hello: by {hello.publisher}, not {lineage.publisher}")
    if hello.nonce != nonce:
        raise RemoteProtocolError("hello: answers another nonce; somebody replays an old answer")
    if hello.url != url:
        raise RemoteProtocolError(f"hello: was given for {hello.url}, not for {url}")
    if abs(hello.issued - now) > limits.CLOCK_SKEW_S:
        raise RemoteProtocolError(
            f"hello: its clock shows {hello.issued}, ours {now}:"
            f" more than {limits.CLOCK_SKEW_S} s apart"
        )
    return hello
