"""Who may have a blob, and where to ask them."""

from node.catalog.catalog import Catalog
from node.catalog.peers import Peer, Peers
from node.errors import NotFoundError, PeerError
from node.peering.addresses import Trust, parse_peer_url
from node.peering.client import PeerAddress

__all__ = ["Sources", "address_of"]

SOURCES_MAX = 32
TRUST_BY_SOURCE = {"operator": Trust.OPERATOR, "mdns": Trust.MDNS}


def address_of(peer: Peer) -> PeerAddress | None:
    """Return where a peer answers; None if it only dials in, or its URL is not one."""
    if peer.url is None:
        return None
    try:
        url = parse_peer_url(peer.url)
    except PeerError:
        return None
    trust = TRUST_BY_SOURCE.get(peer.source, Trust.EXCHANGE)
    return PeerAddress(url=url, trust=trust, publisher=peer.publisher, name=peer.name)


class Sources:
    """Find holders.

    Args:
        catalog: Knows the URLs that publishers name.
        peers: Knows our own peers, and what nodes say they hold.
        own: Our publisher id, who is no source.
    """

    def __init__(self, catalog: Catalog, peers: Peers, *, own: str) -> None:
        self._catalog = catalog
        self._peers = peers
        self._own = own

    async def of(self, sha256: str, *, origin: str | None = None) -> list[PeerAddress]:
        """Return where to ask for a blob: those who say they hold it first.

        Args:
            sha256: The blob.
            origin: The publisher whose record names the blob.
        """
        holders = await self._peers.holders(sha256)
        wanted = [*holders, *([origin] if origin else [])]
        approved = await self._peers.list("approved")
        found = [address for peer in approved if (address := address_of(peer))]
        known = {peer.publisher for peer in await self._peers.list()} | {self._own}
        for publisher in dict.fromkeys(wanted):
            if publisher not in known:
                found += await self._named_by(publisher)
        # Peers come last that do not say they hold it: they may have got it just now.
        likely = [item for item in found if item.publisher in wanted]
        rest = [item for item in found if item.publisher not in wanted]
        return list({item.url: item for item in [*likely, *rest]}.values())[:SOURCES_MAX]

    async def _named_by(self, publisher: str) -> list[PeerAddress]:
        """Addresses that a publisher's own node record names; only public ones will be reached."""
        try:
            view = await self._catalog.publisher(publisher)
        except NotFoundError:
            return []
        if view.blocked:
            return []
        return [
            PeerAddress(
                url=parse_peer_url(url), trust=Trust.EXCHANGE, publisher=publisher, name=view.name
            )
            for url in view.urls
        ]
