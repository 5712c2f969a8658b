import contextlib
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalProtocolError, MalformedError
from protocol.identity import SigningKey, did_key, is_signed_by, parse_did_key, parse_digest

# did:key of the W3C CCG test vectors (Ed25519, "seed" 0 and 1), and its public key.
KNOWN = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"
KNOWN_HEX = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"


def test_did_key_is_the_published_vector() -> None:
    key = SigningKey.from_seed(bytes(32))
    assert key.public.hex() == KNOWN_HEX
    assert key.did == KNOWN
    assert parse_did_key(KNOWN) == key.public


@given(st.binary(min_size=32, max_size=32))
def test_did_key_round_trip(raw: bytes) -> None:
    text = did_key(raw)
    assert len(text) == 56
    assert text.startswith("did:key:z6Mk")
    assert parse_did_key(text) == raw


@pytest.mark.parametrize(
    "text",
    [
        "",
        "did:key:z",
        KNOWN[:-1],
        KNOWN + "1",
        KNOWN.replace("z6Mk", "z6MK"),
        KNOWN[:-1] + "0",  # No base58 digit.
        KNOWN[:-1] + "ä",
        "did:key:z1" + KNOWN[10:],
        "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBm",  # secp256k1
        "did:key:z" + "z" * 47,
        "did:web:" + KNOWN[8:],
    ],
)
def test_other_texts_are_no_keys(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_did_key(text)


@given(st.text(max_size=60))
def test_any_text_is_a_key_or_our_error(text: str) -> None:
    with contextlib.suppress(MalformedError):
        assert did_key(parse_did_key(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 63,
        "0" * 65,
        "A" * 64,
        "g" * 64,
        "0" * 63 + "\n",
        "\u0661" * 64,
    ],
)
def test_a_digest_is_64_lowercase_hex_digits(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_digest(text)


def test_a_digest_parses() -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    assert parse_digest(digest) == digest


def test_signatures_are_ed25519() -> None:
    seed = b"\x05" * 32
    key = SigningKey.from_seed(seed)
    signature = key.sign(b"message")
    assert signature == Ed25519PrivateKey.from_private_bytes(seed).sign(b"message")
    assert is_signed_by(key.public, signature, b"message")
    assert not is_signed_by(key.public, signature, b"Message")
    assert not is_signed_by(key.public, signature[:-1], b"message")
    assert not is_signed_by(b"\x00" * 31, signature, b"message")


def test_the_seed_comes_back_and_stays_out_of_the_repr() -> None:
    key = SigningKey.from_seed(b"\x05" * 32)
    assert SigningKey.from_seed(key.seed).did == key.did
    assert key.seed.hex() not in repr(key)
    assert key.did in repr(key)


def test_a_seed_or_key_of_the_wrong_size_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        SigningKey.from_seed(b"short")
    with pytest.raises(LocalProtocolError):
        did_key(b"short")


ORDER = 2**252 + 27742317777372353535851937790883648493


def test_a_signature_has_one_form_only() -> None:
    key = SigningKey.from_seed(bytes(32))
    signature = key.sign(b"message")
    assert is_signed_by(key.public, signature, b"message")
    number = int.from_bytes(signature[32:], "little") + ORDER
    assert not is_signed_by(key.public, signature[:32] + number.to_bytes(32, "little"), b"message")


@pytest.mark.parametrize("point", ["01" + "00" * 31, "00" * 32, "ec" + "ff" * 30 + "7f"])
def test_nobody_signs_with_a_key_of_small_order(point: str) -> None:
    # R is the neutral point and S is 0: the equation holds for any message where the key's order
    # divides the challenge, for the neutral point always.
    key, forged = bytes.fromhex(point), bytes.fromhex("01" + "00" * 63)
    assert not any(is_signed_by(key, forged, bytes([number])) for number in range(50))


def test_the_equation_is_compared_without_the_cofactor() -> None:
    # The key is a point of order L plus one of order 8; eight times both sides would be equal.
    key = bytes.fromhex("6a84d583f06569edb3f5ed77df65544b27d6948b4f0b2cb76f33dd8413b20719")
    signature = bytes.fromhex(
        "6b12d4d055bd943206034b402ebe601bf715a3bbe772cdac6ab65b94d9a07bf6"
        "def4d7b4f9a732d60177d1d2bf52c6f9bcf025df15842b3601f680fe8f8c3009"
    )
    assert not is_signed_by(key, signature, b"b")


@pytest.mark.parametrize(("key_size", "signature_size"), [(0, 64), (31, 64), (33, 64), (32, 0)])
def test_another_size_signs_nothing(key_size: int, signature_size: int) -> None:
    assert not is_signed_by(bytes(key_size), bytes(signature_size), b"message")


@given(st.binary(max_size=200), st.integers(0, 95), st.integers(1, 255))
def test_one_changed_byte_signs_nothing(message: bytes, place: int, change: int) -> None:
    key = SigningKey.from_seed(bytes(32))
    parts = bytearray(key.public + key.sign(message))
    assert is_signed_by(bytes(parts[:32]), bytes(parts[32:]), message)
    parts[place] ^= change
    assert not is_signed_by(bytes(parts[:32]), bytes(parts[32:]), message)
