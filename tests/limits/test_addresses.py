"""From which address a request comes: what proxies of ours say is believed, and nothing else."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_core.http.addresses import MAX_HOPS, Proxies, caller_of, read_address

OURS = Proxies(["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # Nobody stands in between, or nobody whom we know: the connection is the caller's, whatever it says.
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("203.0.113.9", "10.0.0.1, 10.0.0.2", "203.0.113.9"),
        ("192.0.2.8", "198.51.100.1", "192.0.2.8"),
        # One proxy, two, and what the caller had put there before.
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("192.0.2.7", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "10.9.9.9, 6.6.6.6, 198.51.100.1, 10.0.0.2, 192.0.2.7", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", " , ,", "10.0.0.1"),
        # All of them ours: a request from inside.
        ("10.0.0.1", "10.0.0.5, 10.0.0.2", "10.0.0.5"),
        # Ports, brackets, zones, mapped addresses, as proxies write them.
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("10.0.0.1", '"[2001:db8::7]:4711"', "2001:db8::7"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("2001:db8:1::5", "198.51.100.1", "198.51.100.1"),
        ("2001:db8:2::5", "198.51.100.1", "2001:db8:2::5"),
        # Nonsense where our proxy's word should stand: the peer.
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, _hidden", "10.0.0.1"),
        ("10.0.0.1", "evil, 10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.999", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:4711:1", "10.0.0.1"),
        ("10.0.0.1", "2130706433", "10.0.0.1"),
        ("10.0.0.1", "0x7f.1", "10.0.0.1"),
        ("10.0.0.1", "127.1", "10.0.0.1"),
        ("10.0.0.1", "١٩٨.51.100.1", "10.0.0.1"),
        # Nonsense further left is the caller's own, and is not looked at.
        ("10.0.0.1", "nonsense, 198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_caller(peer: str, forwarded: str, client: str) -> None:
    """The right-most hop that is no proxy of ours."""
    assert OURS.client(peer, forwarded) == ip_address(client)


@pytest.mark.parametrize(
    ("network", "is_trusted"),
    [("::ffff:10.0.0.0/104", True), ("::ffff:10.0.0.1", True), ("::ffff:10.1.0.0/112", False), ("::/0", False)],
)
def test_a_mapped_network_is_the_ipv4_network_that_it_maps(network: str, is_trusted: bool) -> None:
    """Mapped addresses are read as IPv4, so the network is too; one that holds more than mapped ones stays IPv6."""
    client = Proxies([network]).client("10.0.0.1", "198.51.100.1")
    assert client == ip_address("198.51.100.1" if is_trusted else "10.0.0.1")


@pytest.mark.parametrize("peer", ["", "/run/gunicorn.sock", "@abstract", "unix:", "testclient"])
def test_a_peer_without_an_address_is_nobody_unless_local_sockets_are_trusted(peer: str) -> None:
    """A proxy on the same machine may come through a socket in the file system."""
    assert OURS.client(peer, "198.51.100.1") is None
    local = Proxies(["unix", "10.0.0.0/8"])
    told = local.client(peer, "6.6.6.6, 198.51.100.1, 10.0.0.2")
    assert told == (None if peer == "testclient" else ip_address("198.51.100.1"))
    assert local.client("203.0.113.9", "198.51.100.1") == ip_address("203.0.113.9")


@given(st.text(max_size=40), st.lists(st.text(max_size=20), max_size=5))
def test_what_a_stranger_sends_changes_nothing(junk: str, hops: list[str]) -> None:
    """Whatever is in the header, without a proxy in between the connection decides; and it never fails."""
    forwarded = ",".join([junk, *hops])
    assert OURS.client("203.0.113.9", forwarded) == ip_address("203.0.113.9")
    assert OURS.client("10.0.0.1", f"{forwarded}, 198.51.100.1") == ip_address("198.51.100.1")
    OURS.client(junk, forwarded)


def test_a_list_longer_than_any_network_has_is_cut() -> None:
    """Its right end counts."""
    hops = ", ".join(["10.0.0.3"] * (MAX_HOPS * 1000))
    assert OURS.client("10.0.0.1", f"198.51.100.1, {hops}") == ip_address("10.0.0.3")


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8:0:7::1", "2001:db8:0:7::/64"),
        ("2001:db8:0:7:ffff:ffff:ffff:ffff", "2001:db8:0:7::/64"),
        ("2001:db8:0:8::1", "2001:db8:0:8::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("nobody", "unknown"),
    ],
)
def test_what_is_counted_as_one_caller(address: str, caller: str) -> None:
    """An address of IPv4; of IPv6 the network that one household has, or one caller would have 2 to the 64th."""
    assert caller_of(read_address(address)) == caller
