from ipaddress import ip_network

import pytest

from node.errors import PeerError
from node.peering.addresses import AddressPolicy, Trust, interface_networks, parse_peer_url

LAN = (ip_network("10.1.0.0/16"), ip_network("fe80::/64"), ip_network("fd12:3456::/64"))
POLICY = AddressPolicy(on_link=lambda: LAN)

# Everything here has been let through by somebody's incomplete list (research: SSRF, 2026).
NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
NOT_NUMERIC = ["2130706433", "127.1", "0177.0.0.1", "0x7f.0.0.1", "localhost", "", "1.2.3.4.5"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_exchanged_url_never_leads_inside(address: str) -> None:
    assert POLICY.refusal(address, Trust.EXCHANGE)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_exchanged_url_may_lead_to_public_addresses(address: str) -> None:
    assert POLICY.refusal(address, Trust.EXCHANGE) is None


@pytest.mark.parametrize("trust", list(Trust))
@pytest.mark.parametrize("text", NOT_NUMERIC)
def test_other_spellings_of_addresses_are_refused(text: str, trust: Trust) -> None:
    assert POLICY.refusal(text, trust)


@pytest.mark.parametrize("address", [*PUBLIC, "127.0.0.1", "10.0.0.1", "::1", "fe80::1%eth0"])
def test_the_operator_may_name_any_address(address: str) -> None:
    assert POLICY.refusal(address, Trust.OPERATOR) is None


@pytest.mark.parametrize("address", ["10.1.2.3", "fe80::1%3", "fd12:3456::9", "::ffff:10.1.2.3"])
def test_mdns_may_lead_to_neighbours(address: str) -> None:
    assert POLICY.refusal(address, Trust.MDNS) is None


@pytest.mark.parametrize(
    "address",
    ["10.2.0.1", "8.8.8.8", "127.0.0.1", "::1", "0.0.0.0", "224.0.0.251", "169.254.169.254"],
)
def test_mdns_leads_nowhere_else(address: str) -> None:
    everything = AddressPolicy(on_link=lambda: (ip_network("169.254.0.0/16"), *LAN))
    assert everything.refusal(address, Trust.MDNS)


def test_networks_the_operator_lists_are_open_to_exchange() -> None:
    policy = AddressPolicy(exchange_networks=(ip_network("10.9.0.0/16"),), on_link=tuple)
    assert policy.refusal("10.9.1.1", Trust.EXCHANGE) is None
    assert policy.refusal("::ffff:10.9.1.1", Trust.EXCHANGE) is None
    assert policy.refusal("10.8.1.1", Trust.EXCHANGE)


def test_own_networks_leave_out_loopback() -> None:
    assert not any(network.is_loopback for network in interface_networks())


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost:8750/", "http://localhost:8750"),
        ("https://smlm.example.org", "https://smlm.example.org"),
        ("https://example.org/locmesh/?a=b#c", "https://example.org/locmesh"),
        ("http://[::1]:8750", "http://[::1]:8750"),
    ],
)
def test_peer_url_is_brought_to_one_form(text: str, url: str) -> None:
    assert str(parse_peer_url(text)) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:8750",
        "/sync",
        "ftp://example.org",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@example.org",
        "http://example.org:99999",
        "http://[::1",
        "https://example.org/" + "a" * 3000,
    ],
)
def test_other_urls_are_refused(text: str) -> None:
    with pytest.raises(PeerError):
        parse_peer_url(text)
