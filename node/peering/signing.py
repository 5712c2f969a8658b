"""Signed requests between nodes: RFC 9421 with Ed25519 and RFC 9530 Content-Digest.

A request names its sender (`Locmesh-Publisher`) and the node it is meant for (`Locmesh-Recipient`);
both are signed, so a request caught by one node is worth nothing at another. `@authority` is not
covered on purpose: reverse proxies rewrite it, publisher ids stay. A nonce is accepted once.
"""

import datetime as dt
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)
from multidict import CIMultiDict
from yarl import URL

from node.errors import ForbiddenError
from protocol.errors import RemoteProtocolError
from protocol.identity import SigningKey, did_key, parse_did_key, parse_digest
from protocol.limits import CLOCK_SKEW_S, REQUEST_TAG, REQUEST_WINDOW_S

__all__ = ["RequestSigner", "RequestVerifier", "SignedRequest"]

COVERED = (
    "@method",
    "@path",
    "@query",
    "locmesh-publisher",
    "locmesh-recipient",
    "content-digest",
)
PUBLISHER_HEADER = "Locmesh-Publisher"
RECIPIENT_HEADER = "Locmesh-Recipient"
DIGEST_HEADER = "Content-Digest"
AGE_MAX = dt.timedelta(seconds=REQUEST_WINDOW_S)
CLOCK_SKEW = dt.timedelta(seconds=CLOCK_SKEW_S)
NONCES_MAX = 100_000  # of one sender within the window
SENDERS_MAX = 10_000  # whose nonces are remembered

OnlineKeys = Callable[[str], Awaitable[frozenset[bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """What of a request is signed or checked; the shape http-message-signatures asks for."""

    method: str
    url: str
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    body: bytes | None = b""  # None: not read yet; `check_body` is still to be asked.


class _Key(HTTPSignatureKeyResolver):
    """One key: ours when signing, the one the request names when verifying."""

    def __init__(
        self, *, private: Ed25519PrivateKey | None = None, public: Ed25519PublicKey | None = None
    ) -> None:
        self._private = private
        self._public = public

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey | None:
        return self._public if key_id and self._public else None

    def resolve_private_key(self, key_id: str) -> Ed25519PrivateKey:
        assert self._private is not None, f"no private key for {key_id}"
        return self._private


class RequestSigner:
    """Sign outgoing requests as one publisher.

    Args:
        publisher: Our publisher id.
        key: Our online key.
        clock: Seconds since 1970.
    """

    def __init__(self, publisher: str, key: SigningKey, *, clock: Callable[[], int]) -> None:
        self._publisher = publisher
        self._did = key.did
        self._clock = clock
        self._signer = HTTPMessageSigner(
            signature_algorithm=algorithms.ED25519,
            key_resolver=_Key(private=Ed25519PrivateKey.from_private_bytes(key.seed)),
        )

    def headers(self, method: str, url: URL, *, recipient: str, body: bytes) -> dict[str, str]:
        """Return the headers that make this request ours and meant for the recipient only."""
        request = SignedRequest(
            method=method,
            url=str(url),
            headers=CIMultiDict({PUBLISHER_HEADER: self._publisher, RECIPIENT_HEADER: recipient}),
        )
        self._signer.sign(
            request,
            key_id=self._did,
            created=dt.datetime.fromtimestamp(self._clock(), tz=dt.UTC),
            nonce=secrets.token_hex(16),
            tag=REQUEST_TAG,
            covered_component_ids=COVERED[:-1],
            body=body,
        )
        return dict(request.headers)


class RequestVerifier:
    """Find out who sent a request.

    Args:
        publisher: Our publisher id: requests meant for others are refused.
        online_keys: The current online keys of a publisher, none if unknown.
        clock: Seconds since 1970.
    """

    def __init__(
        self, publisher: str, online_keys: OnlineKeys, *, clock: Callable[[], int]
    ) -> None:
        self._publisher = publisher
        self._online_keys = online_keys
        self._clock = clock
        self._nonces: dict[str, OrderedDict[str, int]] = {}

    async def sender(self, request: SignedRequest, *, path_prefix: str = "") -> str | None:
        """Return the publisher who signed the request; None if it is not signed at all.

        Args:
            request: As received.
            path_prefix: Path that a reverse proxy in front of us strips.

        Raises:
            ForbiddenError: signed, but not validly by an online key of the publisher it names.
        """
        if "Signature" not in request.headers:
            return None
        claimed = self.claimed_sender(request.headers)
        return await self.sender_with(
            request, await self._online_keys(claimed), path_prefix=path_prefix
        )

    @staticmethod
    def claimed_sender(headers: Mapping[str, str]) -> str:
        """Return the publisher a request says it is from. Nothing is proven by it.

        Raises:
            ForbiddenError: it names none.
        """
        try:
            return parse_digest(headers.get(PUBLISHER_HEADER, ""))
        except RemoteProtocolError as error:
            raise ForbiddenError(f"header {PUBLISHER_HEADER}: {error}") from error

    @staticmethod
    def check_body(headers: Mapping[str, str], body: bytes) -> None:
        """Compare a body with the digest that a verified request covers.

        Raises:
            ForbiddenError: it is another.
        """
        try:
            _Verifier.content_digest_class.verify(headers.get(DIGEST_HEADER, ""), body)
        except InvalidSignature as error:
            raise ForbiddenError(f"header {DIGEST_HEADER}: {error}") from error

    async def sender_with(
        self, request: SignedRequest, keys: frozenset[bytes], *, path_prefix: str = ""
    ) -> str:
        """Return the sender, who must have signed with one of the keys.

        Raises:
            ForbiddenError: as for `sender`.
        """
        claimed = self.claimed_sender(request.headers)
        if request.headers.get(RECIPIENT_HEADER) != self._publisher:
            raise ForbiddenError("the request is signed for another node")
        failure = ForbiddenError(f"no known online key of publisher {claimed} signed the request")
        for key in keys:
            for prefix in dict.fromkeys(("", path_prefix)):
                try:
                    nonce = self._verify(request, key, prefix)
                except InvalidSignature as error:
                    failure = ForbiddenError(f"signature of publisher {claimed}: {error}")
                    continue
                self._use_nonce(nonce, claimed)
                return claimed
        raise failure

    def _verify(self, request: SignedRequest, key: bytes, prefix: str) -> str:
        """Return the nonce of a valid signature by exactly this key."""
        message = request
        if prefix:
            url = URL(request.url)
            moved = url.with_path(prefix + url.raw_path, encoded=True, keep_query=True)
            message = SignedRequest(method=request.method, url=str(moved), headers=request.headers)
        verifier = _Verifier(
            signature_algorithm=algorithms.ED25519,
            key_resolver=_Key(public=Ed25519PublicKey.from_public_bytes(key)),
        )
        results = verifier.verify(
            message,
            max_age=AGE_MAX,
            expect_tag=REQUEST_TAG,
            require_components=COVERED,
            body=request.body,
        )
        result = results[0]
        try:
            is_named = parse_did_key(str(result.parameters.get("keyid"))) == key
        except RemoteProtocolError as error:
            raise InvalidSignature(str(error)) from error
        if not is_named or not result.nonce or len(result.nonce) > 64:
            raise InvalidSignature(f"it must name key {did_key(key)} and carry a nonce")
        return result.nonce

    def _use_nonce(self, nonce: str, sender: str) -> None:
        """Accept a nonce once. The window outlasts the time in which a signature is valid."""
        now = self._clock()
        oldest = now - int((AGE_MAX + 2 * CLOCK_SKEW).total_seconds())
        if sender not in self._nonces and len(self._nonces) >= SENDERS_MAX:
            self._forget_senders(oldest)
        nonces = self._nonces.setdefault(sender, OrderedDict())
        while nonces and next(iter(nonces.values())) < oldest:
            nonces.popitem(last=False)
        if nonce in nonces:
            raise ForbiddenError("this signed request was already used; sign a new one")
        if len(nonces) >= NONCES_MAX:
            raise ForbiddenError(f"over {NONCES_MAX} signed requests at once; try again later")
        nonces[nonce] = now

    def _forget_senders(self, oldest: int) -> None:
        """Make room: anybody can be a new sender, as often as he likes."""
        for sender, nonces in list(self._nonces.items()):
            if not nonces or next(reversed(nonces.values())) < oldest:
                del self._nonces[sender]
        if len(self._nonces) >= SENDERS_MAX:
            raise ForbiddenError("too many senders at once; try again later")


class _Verifier(HTTPMessageVerifier):
    """The library's verifier, with the clock difference that records are granted too."""

    max_clock_skew = CLOCK_SKEW
