"""From which address a request comes, where proxies stand in between, and which of its claims are believed.

`X-Forwarded-For` is a list to which each proxy appends whom it was called by. Anybody can send one. So it is read from
the right, and only for as long as the one who wrote an entry is a proxy of ours: the first entry that is none of them
is the caller, and whatever stands to the left of it is what the caller says of himself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from attrs import field, frozen

Address: TypeAlias = IPv4Address | IPv6Address

#: Hops that are followed; a longer list than any network has is somebody's invention.
MAX_HOPS: Final = 32
#: What a household or a server is given of IPv6: the addresses in it are one caller's.
_CALLERS_PREFIX: Final = 64
#: What IPv6 addresses that stand for IPv4 ones begin with: ::ffff:0:0/96.
_MAPPED_PREFIX: Final = 96
_BRACKETED = re.compile(r"\[([^\[\]]+)\](?::\d{1,5})?")
_WITH_PORT = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}")


@frozen
class Proxies:
    """The proxies whose word is taken: networks, and `unix` for a proxy at a local socket, which has no address."""

    names: Sequence[str] = ()
    _networks: tuple[object, ...] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        networks = tuple(_unmapped(ip_network(name, strict=False)) for name in self.names if name != "unix")
        object.__setattr__(self, "_networks", networks)

    def client(self, peer: str, forwarded_for: str) -> Address | None:
        """Who calls: `peer` is the other end of the connection, `forwarded_for` the header as it came.

        An entry that is no address ends the search at `peer`. None where there is no address at all: the peer is a
        socket in the file system, and nobody who may be believed names another.
        """
        direct = read_address(peer)
        if not (self._trusts(direct) if direct is not None else "unix" in self.names and not _is_named(peer)):
            return direct
        found = direct
        hops = [hop for hop in forwarded_for.split(",") if hop.strip()]
        for hop in reversed(hops[-MAX_HOPS:]):
            address = read_address(hop)
            if address is None:
                return direct
            found = address
            if not self._trusts(address):
                break
        return found

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)  # type: ignore[operator]


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """The IPv4 network behind one of mapped addresses only, because addresses are unmapped when they are read."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_PREFIX:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))


def read_address(text: str) -> Address | None:
    """An address as proxies write it: IPv4 or IPv6, perhaps in brackets, with a port or a zone. None for all else."""
    text = text.strip().strip('"')
    bracketed, with_port = _BRACKETED.fullmatch(text), _WITH_PORT.fullmatch(text)
    bare = bracketed[1] if bracketed else with_port[1] if with_port else text
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def caller_of(address: Address | None) -> str:
    """What requests are counted under: an IPv4 address, an IPv6 network of 64 bits, or `unknown` for all others."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _CALLERS_PREFIX), strict=False))
    return "unknown" if address is None else str(address)


def _is_named(peer: str) -> bool:
    """Whether a peer that is no address says something else, as test clients do; sockets in the file system do not."""
    return bool(peer) and not peer.startswith(("/", "@", "unix:"))
