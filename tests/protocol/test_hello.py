from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.admission import Policy, admit
from protocol.envelope import Envelope, seal
from protocol.errors import LocalProtocolError, MalformedError, RemoteProtocolError, UnsignedError
from protocol.hello import HELLO_TYPE, Hello, check_hello, parse_nonce
from protocol.identity import DigestHex, SigningKey
from tests.protocol.lab import START, Lab, key
from tests.protocol.strategies import digests, node_urls, seconds

LAB = Lab()
NONCE = "0f" * 16
URL = "http://a.example:8750"
HELLO = Hello(publisher=LAB.publisher, nonce=NONCE, issued=START, url=URL)
_verdict = admit(LAB.identity, None, None, policy=Policy(), now=START)
assert _verdict.lineage is not None
LINEAGE = _verdict.lineage


@given(digests, st.binary(min_size=16, max_size=32), seconds, node_urls)
def test_round_trip(publisher: DigestHex, nonce: bytes, issued: int, url: str) -> None:
    hello = Hello(publisher=publisher, nonce=nonce.hex(), issued=issued, url=url)
    assert Hello.from_bytes(hello.to_bytes()) == hello


def signed(hello: Hello = HELLO, by: SigningKey = LAB.online) -> Envelope:
    return seal(hello.to_bytes(), [by], payload_type=HELLO_TYPE)


def check(envelope: Envelope, *, now: int = START) -> Hello:
    return check_hello(envelope, LINEAGE, nonce=NONCE, url=URL, now=now)


def test_an_answer_to_our_question_is_believed() -> None:
    assert check(signed()) == HELLO


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nonce": "1f" * 16}, "another nonce"),
        ({"url": "http://b.example"}, "was given for http://b.example"),
        ({"publisher": Lab(2).publisher}, "by "),
        ({"issued": START - 601}, "more than 600 s apart"),
        ({"issued": START + 601}, "more than 600 s apart"),
    ],
)
def test_an_answer_to_another_question_is_not(changes: dict[str, object], words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        check(signed(replace(HELLO, **changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize("by", [LAB.recovery, key(66)])
def test_only_an_online_key_says_hello(by: SigningKey) -> None:
    with pytest.raises(UnsignedError):
        check(signed(by=by))


def test_a_record_is_no_hello() -> None:
    with pytest.raises(MalformedError, match="payload type"):
        check(seal(HELLO.to_bytes(), [LAB.online]))
    with pytest.raises(MalformedError, match="type: want one of hello"):
        check(seal(LAB.head().payload, [LAB.online], payload_type=HELLO_TYPE))


@pytest.mark.parametrize("text", ["", "0f" * 15, "0f" * 33, "0F" * 16, "0f" * 16 + "0"])
def test_a_nonce_is_16_to_32_bytes_of_hex(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_nonce(text)
    with pytest.raises(LocalProtocolError):
        replace(HELLO, nonce=text).to_bytes()


def test_a_good_nonce_passes() -> None:
    assert parse_nonce(NONCE) == NONCE
