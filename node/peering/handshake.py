"""Meeting a node: who answers at a URL, proved by its keys before anything else is believed."""

import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from node.errors import PeerError
from node.peering.client import PeerClient
from protocol.admission import Action, Policy, PublisherState, admit, examine
from protocol.envelope import Envelope
from protocol.errors import RemoteProtocolError
from protocol.hello import check_hello
from protocol.identity import PublisherId
from protocol.limits import NODE_DOCUMENT_SIZE_MAX, NONCE_SIZE_MAX, PROTOCOL_VERSION
from protocol.messages import NodeDocument
from protocol.records import Identity, NodeInfo
from protocol.succession import Lineage
from protocol.verdict import Verdict

__all__ = ["Introduction", "introduce", "lineage_of"]

KnownIdentities = Callable[[str], Awaitable[Sequence[Envelope]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """A node that has proved to hold an online key of its publisher.

    `envelopes` are its identity and node records. `node` is None if it has no valid one.
    """

    publisher: PublisherId
    lineage: Lineage
    node: NodeInfo | None
    software: str
    envelopes: tuple[Envelope, ...]

    @property
    def name(self) -> str:
        """What the node calls itself."""
        return self.node.name if self.node else ""


async def introduce(
    client: PeerClient, *, now: int, known: KnownIdentities | None = None
) -> Introduction:
    """Ask a node who it is, with a nonce that only its key can answer.

    Args:
        client: The node.
        now: Seconds since 1970.
        known: Gives the identity records of a publisher that we hold already. A key that they
            have retired proves nothing, though the node does not mention them.

    Raises:
        PeerError: It does not answer, or what it says does not hold.
    """
    nonce = secrets.token_hex(NONCE_SIZE_MAX)
    url = str(client.address.url)
    body = await client.get(
        "sync/v1/node", query={"nonce": nonce, "url": url}, size_max=NODE_DOCUMENT_SIZE_MAX
    )
    try:
        document = NodeDocument.decode(body)
        if PROTOCOL_VERSION not in document.protocols:
            raise PeerError(
                f"{url} speaks protocols {document.protocols}; this node speaks {PROTOCOL_VERSION}"
            )
        if document.hello is None:
            raise PeerError(f"{url} does not prove who it is: its answer has no hello")
        held = await known(document.publisher) if known else []
        lineage = lineage_of([*held, *document.identities], document.publisher, now=now)
        check_hello(document.hello, lineage, nonce=nonce, url=url, now=now)
    except RemoteProtocolError as error:
        raise PeerError(f"{url} does not prove to be who it says: {error}") from error
    node = _node_info(document.node, lineage)
    last = [document.node] if node is not None and document.node is not None else []
    return Introduction(
        publisher=document.publisher,
        lineage=lineage,
        node=node,
        software=document.software,
        envelopes=(*document.identities, *last),
    )


def lineage_of(identities: Iterable[Envelope], publisher: str, *, now: int) -> Lineage:
    """Return the keys of a publisher from its identity envelopes, predecessors first.

    Raises:
        RemoteProtocolError: One does not follow from those before, or they are another's.
    """
    lineage: Lineage | None = None
    for envelope in identities:
        candidate = examine(envelope)
        if isinstance(candidate, Verdict):
            raise RemoteProtocolError(f"identity record {candidate.id}: {candidate.detail}")
        if not isinstance(candidate.record, Identity) or candidate.publisher != publisher:
            raise RemoteProtocolError(
                f"record {candidate.id} is no identity record of publisher {publisher}"
            )
        if lineage is not None and candidate.id in lineage.records:
            continue
        state = None if lineage is None else PublisherState(lineage=lineage)
        verdict = admit(candidate, state, None, policy=Policy(), now=now)
        if verdict.action is not Action.ACCEPT or verdict.lineage is None:
            raise RemoteProtocolError(f"identity record {envelope.id}: {verdict.detail}")
        lineage = verdict.lineage
    if lineage is None:
        raise RemoteProtocolError(f"no identity record of publisher {publisher} came with it")
    return lineage


def _node_info(envelope: Envelope | None, lineage: Lineage) -> NodeInfo | None:
    """Return what the node says of itself, if it is signed by a key that may."""
    if envelope is None:
        return None
    candidate = examine(envelope)
    if isinstance(candidate, Verdict) or not isinstance(candidate.record, NodeInfo):
        return None
    node = candidate.record
    is_ours = node.publisher == lineage.publisher and lineage.allows(candidate.signer, node.issued)
    return node if is_ours else None
