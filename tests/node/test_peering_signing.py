import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from multidict import CIMultiDict
from yarl import URL

from node.errors import ForbiddenError
from node.peering.signing import RequestSigner, RequestVerifier, SignedRequest
from protocol.identity import SigningKey

ALICE, BOB, CAROL = "a" * 64, "b" * 64, "c" * 64
KEY = SigningKey.from_seed(b"\x01" * 32)
OTHER_KEY = SigningKey.from_seed(b"\x02" * 32)
URL_AT_BOB = URL("http://bob.example:8750/sync/v1/records?scope=members")


def now() -> int:
    return int(time.time())


async def keys_of(publisher: str) -> frozenset[bytes]:
    return frozenset({KEY.public}) if publisher == ALICE else frozenset()


def verifier(publisher: str = BOB) -> RequestVerifier:
    return RequestVerifier(publisher, keys_of, clock=now)


def signed(
    *, key: SigningKey = KEY, body: bytes = b"ids", clock: Callable[[], int] = now
) -> SignedRequest:
    signer = RequestSigner(ALICE, key, clock=clock)
    headers = signer.headers("POST", URL_AT_BOB, recipient=BOB, body=body)
    return SignedRequest(
        method="POST", url=str(URL_AT_BOB), headers=CIMultiDict(headers), body=body
    )


@pytest.mark.parametrize("body", [b"", b"ids", b"\x00" * 100_000])
async def test_the_sender_of_a_signed_request_is_known(body: bytes) -> None:
    assert await verifier().sender(signed(body=body)) == ALICE


async def test_an_unsigned_request_has_no_sender() -> None:
    assert await verifier().sender(SignedRequest(method="GET", url=str(URL_AT_BOB))) is None


async def test_another_name_for_the_same_host_does_not_matter() -> None:
    moved = replace(signed(), url="https://10.0.0.7/sync/v1/records?scope=members")
    assert await verifier().sender(moved) == ALICE


async def test_a_proxy_may_strip_a_prefix() -> None:
    at_prefix = URL("https://lab.example/smlm/sync/v1/heads")
    headers = RequestSigner(ALICE, KEY, clock=now).headers(
        "GET", at_prefix, recipient=BOB, body=b""
    )
    seen = SignedRequest(
        method="GET", url="http://127.0.0.1:8750/sync/v1/heads", headers=CIMultiDict(headers)
    )
    assert await verifier().sender(seen, path_prefix="/smlm") == ALICE


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"url": "http://bob.example:8750/sync/v1/heads?scope=members"},
        {"url": "http://bob.example:8750/sync/v1/records?scope=public"},
        {"body": b"other ids"},
        {"body": b""},
    ],
)
async def test_what_was_signed_cannot_be_changed(change: dict[str, str]) -> None:
    with pytest.raises(ForbiddenError):
        await verifier().sender(replace(signed(), **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Locmesh-Publisher", CAROL),
        ("Locmesh-Publisher", "nobody"),
        ("Locmesh-Recipient", CAROL),
        ("Signature", "pyhms=:AAAA:"),
        ("Signature", "garbage"),
        ("Signature-Input", "pyhms=()"),
        ("Content-Digest", "sha-256=:AAAA:"),
    ],
)
async def test_headers_cannot_be_changed(name: str, value: str) -> None:
    request = signed()
    request.headers[name] = value
    with pytest.raises(ForbiddenError):
        await verifier().sender(request)


async def test_a_request_for_another_node_is_refused() -> None:
    with pytest.raises(ForbiddenError, match="another node"):
        await verifier(CAROL).sender(signed())


async def test_a_key_that_is_not_the_publishers_is_refused() -> None:
    with pytest.raises(ForbiddenError):
        await verifier().sender(signed(key=OTHER_KEY))


async def test_a_request_is_accepted_once() -> None:
    bob, request = verifier(), signed()
    assert await bob.sender(request) == ALICE
    with pytest.raises(ForbiddenError, match="already used"):
        await bob.sender(request)


@pytest.mark.parametrize("shift_s", [-3600, 3600])
async def test_old_and_future_requests_are_refused(shift_s: int) -> None:
    with pytest.raises(ForbiddenError):
        await verifier().sender(signed(clock=lambda: now() + shift_s))


async def test_an_uncovered_component_is_refused() -> None:
    request = signed()
    request.headers["Signature-Input"] = request.headers["Signature-Input"].replace(
        '"content-digest"', '"content-type"'
    )
    request.headers["Content-Type"] = "text/plain"
    with pytest.raises(ForbiddenError):
        await verifier().sender(request)
