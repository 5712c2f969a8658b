"""Which addresses a URL may lead to, by who gave us the URL.

A node fetches what strangers name, so a URL is an order to connect somewhere. `ipaddress.is_global`
alone lets multicast, 6to4, NAT64-to-loopback and unallocated space through; here IPv6 must lie in
2000::/3, embedded IPv4 is judged as IPv4, and everything not public is refused by exclusion.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)

import ifaddr
from yarl import URL

from node.errors import PeerError

__all__ = ["AddressPolicy", "Trust", "interface_networks", "parse_peer_url", "unwrap"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

URL_LENGTH_MAX = 2048
GLOBAL_UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")
# Global by `ipaddress`, yet no place for a peer: relays, transition mechanisms, documentation.
NEVER_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
    )
)
# Cloud metadata services answer on link with credentials.
METADATA = frozenset({ip_address("169.254.169.254"), ip_address("fd00:ec2::254")})


class Trust(Enum):
    """Who told us of a URL."""

    OPERATOR = "operator"
    MDNS = "mdns"
    EXCHANGE = "exchange"


def parse_peer_url(text: str) -> URL:
    """Return the base URL of a node, without trailing slash, query or fragment.

    Raises:
        PeerError: it is not an absolute http(s) URL, carries a password, or is too long.
    """
    if len(text) > URL_LENGTH_MAX:
        raise PeerError(f"a peer's URL has {len(text)} characters; at most {URL_LENGTH_MAX}")
    try:
        url = URL(text.strip())
        host = url.host
        explicit_port = url.port
    except ValueError as error:
        raise PeerError(f"{text!r} is not a URL: {error}") from error
    if url.scheme not in {"http", "https"} or not host or not explicit_port:
        raise PeerError(f"{text!r} is not a node's URL; it must look like https://host:port")
    if url.user or url.password:
        raise PeerError(f"the URL of {host} carries a user name or password; leave it out")
    return url.with_path(url.raw_path.rstrip("/"), encoded=True)  # Drops query and fragment.


def interface_networks() -> tuple[Network, ...]:
    """Return the networks of this machine's interfaces, loopback left out."""
    found: list[Network] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            network = ip_interface(f"{text}/{ip.network_prefix}").network
            if not network.is_loopback:
                found.append(network)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What each kind of trust may reach."""

    exchange_networks: tuple[Network, ...] = ()
    on_link: Callable[[], Iterable[Network]] = field(default=interface_networks)

    def refusal(self, text: str, trust: Trust) -> str | None:
        """Say why this numeric address must not be connected to, or None if it may."""
        try:
            address = unwrap(ip_address(text))
        except ValueError:
            return f"{text!r} is not a numeric address"
        if trust is Trust.OPERATOR:
            return None
        if trust is Trust.MDNS:
            return self._refusal_on_link(address)
        if any(_contains(network, address) for network in self.exchange_networks):
            return None
        if not _is_public(address):
            return f"{text} is not a public address, and the URL came from another node"
        return None

    def _refusal_on_link(self, address: Address) -> str | None:
        if address.is_loopback or address.is_multicast or address.is_unspecified:
            return f"{address} is no address of a neighbour"
        if address in METADATA:
            return f"{address} is a cloud metadata service"
        if not any(_contains(network, address) for network in self.on_link()):
            return f"{address} is not on a network of this machine, and the URL came by mDNS"
        return None


def _contains(network: Network, address: Address) -> bool:
    return network.version == address.version and address in network


def unwrap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    if address.is_multicast or not address.is_global:
        return False
    return not any(_contains(network, address) for network in NEVER_PUBLIC)
