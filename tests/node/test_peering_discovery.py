from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from zeroconf.asyncio import AsyncServiceInfo

from node.peering.addresses import interface_networks
from node.peering.discovery import Discovery
from protocol.beacon import SERVICE_TYPE, Beacon
from protocol.errors import MalformedError
from protocol.identity import DigestHex
from tests.node.federation import Site

STRANGER = DigestHex("5" * 64)


@pytest.fixture
async def site(tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[Site]:
    made = Site(tmp_path / "a", name="a", port=unused_tcp_port_factory())
    yield await made.start(syncs=False)
    await made.stop()


def neighbour() -> str:
    """An address on a network of this machine."""
    networks = [item for item in interface_networks() if isinstance(item, IPv4Network)]
    if not networks:
        pytest.skip("this machine has no network but loopback")
    return str(networks[0].network_address + 1)


def service(
    address: str, publisher: DigestHex = STRANGER, *, txt: dict[str, str] | None = None
) -> AsyncServiceInfo:
    return AsyncServiceInfo(
        SERVICE_TYPE,
        f"a node.{SERVICE_TYPE}",
        port=8750,
        properties={**Beacon(publisher=publisher).to_txt(), **(txt or {})},
        parsed_addresses=[address],
    )


async def test_a_neighbour_becomes_a_suggestion(site: Site) -> None:
    discovery = Discovery(site.node.peering.context)
    address = neighbour()
    await discovery._suggest(service(address))
    (peer,) = await site.node.peers.list()
    assert (peer.url, peer.source, peer.state) == (f"http://{address}:8750", "mdns", "suggested")
    assert peer.publisher is None  # Nothing is proved yet.


@pytest.mark.parametrize("address", ["127.0.0.1", "8.8.8.8", "169.254.169.254", "224.0.0.251"])
async def test_an_announcement_leads_nowhere_else(site: Site, address: str) -> None:
    await Discovery(site.node.peering.context)._suggest(service(address))
    assert await site.node.peers.list() == ()


async def test_our_own_announcement_is_passed_over(site: Site) -> None:
    own = service(neighbour(), site.node.keyring.publisher)
    await Discovery(site.node.peering.context)._suggest(own)
    assert await site.node.peers.list() == ()


@pytest.mark.parametrize("txt", [{"id": "x"}, {"txtvers": "2"}, {"path": "/../etc"}])
async def test_garbled_announcements_are_refused(site: Site, txt: dict[str, str]) -> None:
    with pytest.raises(MalformedError):
        await Discovery(site.node.peering.context)._suggest(service(neighbour(), txt=txt))


async def test_discovery_that_is_off_says_so(site: Site) -> None:
    discovery = Discovery(site.node.peering.context)
    await discovery.start(port=8750)
    assert "off" in discovery.trouble
    await discovery.stop()


async def test_discovery_never_stops_a_node(
    tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    # With multicast or without: it starts, or says why not, and ends in time.
    made = Site(tmp_path / "b", name="b", port=unused_tcp_port_factory(), discovery=("mdns",))
    await made.start(syncs=False)
    await made.node.peering.start(port=made.port)
    await made.stop()
