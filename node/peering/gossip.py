"""What nodes tell of one another: who answers, where others may be found, who holds which blob."""

import logging
from ipaddress import ip_address

from node.errors import ConflictError, PeerError
from node.peering.addresses import parse_peer_url
from node.peering.client import PeerClient, RefusedError
from node.peering.context import Context
from node.peering.holdings import blob_items
from node.peering.round import reconcile
from protocol.errors import RemoteProtocolError
from protocol.limits import MESSAGE_SIZE_MAX
from protocol.messages import PeerReport, decode_peers

__all__ = ["exchange_peers", "note_report", "own_reports", "reconcile_holdings"]

SUGGESTIONS_PER_PEER_MAX = 50

_logger = logging.getLogger(__name__)


async def reconcile_holdings(context: Context, client: PeerClient) -> None:
    """Learn what the peer holds now, at the cost of what has changed."""
    publisher = client.address.publisher
    assert publisher is not None
    items = blob_items(await context.peers.holdings(publisher))
    gone, new = await reconcile(client, "sync/v1/holdings", items=items, query={})
    if gone or new:
        await context.peers.change_holdings(
            publisher,
            added=[blob.hex() for blob in new],
            removed=[blob.hex() for blob in gone],
        )


async def exchange_peers(context: Context, client: PeerClient) -> None:
    """Learn whom the peer talks to, and whether they answer."""
    try:
        body = await client.get("sync/v1/peers", size_max=MESSAGE_SIZE_MAX)
        reports = decode_peers(body)
    except RefusedError:
        return
    except RemoteProtocolError as error:
        raise PeerError(f"{client.address.title}, peers: {error}") from error
    for report in reports:
        await note_report(context, report, via=str(client.address.publisher))
    if "exchange" in context.config.discovery:
        await _suggest(context, reports)


async def note_report(context: Context, report: PeerReport, *, via: str) -> None:
    """Note what a peer says of another node; it never speaks about us or about itself."""
    if report.publisher in {context.own, via}:
        return
    await context.peers.note_reachability(
        report.publisher,
        via=via,
        reachable=report.reachable,
        since=min(report.since, context.clock()),
    )


async def own_reports(context: Context) -> list[PeerReport]:
    """Return our own experience with our approved peers, for others."""
    reports: dict[str, PeerReport] = {}
    for peer in await context.peers.list("approved"):
        if peer.publisher is None:
            continue
        seen = await context.peers.reachability(peer.publisher)
        if seen.via is not None or seen.since is None:
            continue  # Hearsay is not passed on, or rumours would never die.
        known = reports.get(peer.publisher)
        urls = (*(known.urls if known else ()), *([peer.url] if peer.url else []))
        reports[peer.publisher] = PeerReport(
            publisher=peer.publisher,  # type: ignore[arg-type]  # Was proved when it was stored.
            name=peer.name,
            urls=urls[:16],
            reachable=seen.state == "reachable",
            since=seen.since,
        )
    return list(reports.values())


async def _suggest(context: Context, reports: list[PeerReport]) -> None:
    """Note addresses that are new to us as suggestions, for a person to decide on."""
    peers = await context.peers.list()
    publishers = {peer.publisher for peer in peers} | {context.own}
    known = {peer.url for peer in peers} | {context.config.public_url.rstrip("/")}
    offered = [
        url for report in reports if report.publisher not in publishers for url in report.urls
    ]
    for text in dict.fromkeys(offered[:SUGGESTIONS_PER_PEER_MAX]):
        url = _meaningful_here(text)
        if url is None or url in known:
            continue
        try:
            await context.peers.add(url, source="exchange")
        except ConflictError as error:
            _logger.info("%s", error)
            return


def _meaningful_here(text: str) -> str | None:
    """Return a URL if it can mean the same place here as it did to who told us."""
    try:
        url = parse_peer_url(text)
    except PeerError:
        return None
    host = url.host or ""
    if host == "localhost" or host.endswith((".localhost", ".local")):
        return None
    try:
        address = ip_address(host)
    except ValueError:
        return str(url)
    is_only_theirs = (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
    )
    return None if is_only_theirs else str(url)
