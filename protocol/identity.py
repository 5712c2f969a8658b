"""Names and keys: digests in hex, Ed25519 keys as did:key."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NewType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from protocol.errors import LocalProtocolError, MalformedError

__all__ = [
    "BlobId",
    "DatasetId",
    "DigestHex",
    "PublisherId",
    "RecordId",
    "SigningKey",
    "did_key",
    "is_signed_by",
    "parse_did_key",
    "parse_digest",
]

DigestHex = NewType("DigestHex", str)
"""A SHA-256 as 64 lowercase hex digits."""
RecordId = DigestHex
PublisherId = DigestHex
DatasetId = DigestHex
BlobId = DigestHex

KEY_SIZE = 32
SIGNATURE_SIZE = 64

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_DID_LENGTH = 56  # "did:key:z" and 47 base58 digits: the multicodec prefix fixes the length.
_DID_PREFIX = "did:key:z"
_MULTICODEC_ED25519 = b"\xed\x01"


def parse_digest(text: str) -> DigestHex:
    """Return the text if it is 64 lowercase hex digits, else raise MalformedError."""
    if _DIGEST.fullmatch(text) is None:
        raise MalformedError(f"want 64 lowercase hex digits, got {text[:80]!r}")
    return DigestHex(text)


def did_key(public_key: bytes) -> str:
    """Return the did:key of a raw Ed25519 public key of 32 bytes.

    Source:
        W3C CCG did:key v0.7, section 2; base58btc as in Bitcoin.
    """
    if len(public_key) != KEY_SIZE:
        raise LocalProtocolError(f"an Ed25519 public key has 32 bytes, got {len(public_key)}")
    number = int.from_bytes(_MULTICODEC_ED25519 + public_key)
    digits = []
    while number:
        number, remainder = divmod(number, 58)
        digits.append(_ALPHABET[remainder])
    return _DID_PREFIX + "".join(reversed(digits))


@lru_cache(maxsize=4096)
def parse_did_key(text: str) -> bytes:
    """Return the 32 bytes of a did:key, which must name an Ed25519 key, else MalformedError."""
    if len(text) != _DID_LENGTH or not text.startswith(_DID_PREFIX):
        raise MalformedError(f"want did:key:z6Mk... of an Ed25519 key, got {text[:80]!r}")
    number = 0
    for character in text[len(_DID_PREFIX) :]:
        value = _VALUES.get(character)
        if value is None:
            raise MalformedError(f"{character!r} is no base58 digit in {text!r}")
        number = number * 58 + value
    if number >> (8 * KEY_SIZE) != int.from_bytes(_MULTICODEC_ED25519):
        raise MalformedError(f"{text!r} does not name an Ed25519 key")
    return (number & ((1 << (8 * KEY_SIZE)) - 1)).to_bytes(KEY_SIZE)


def is_signed_by(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether the Ed25519 signature over the message is this key's.

    libsodium takes half the time of OpenSSL, holds no interpreter lock meanwhile, and refuses keys
    of small order, for which anybody can make signatures (protocol.md 2).
    """
    if len(public_key) != KEY_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True


class SigningKey:
    """An Ed25519 private key. Whoever makes one brings the 32 seed bytes; none are drawn here."""

    __slots__ = ("_key", "did", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public: bytes = key.public_key().public_bytes_raw()
        self.did: str = did_key(self.public)

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """Return the key of these 32 secret bytes (RFC 8032, 5.1.5)."""
        if len(seed) != KEY_SIZE:
            raise LocalProtocolError(f"a seed has 32 bytes, got {len(seed)}")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes."""
        return self._key.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"<SigningKey {self.did}>"
