"""The networks of a client's address, by which logins, sign-ups and hashed passwords are counted."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple


class Network(NamedTuple):
    """An address or a network, and how many times the limit of one address it may use."""

    kind: str
    name: str
    allowance: int


# A customer gets a /64, a /56 or a /48 of IPv6 (RIPE-690), and so up to 65,536 networks of 64 bits.
_ALLOWANCES = {64: 1, 56: 4, 48: 16}


def get_networks(client: tuple[str, int] | None) -> list[Network]:
    """Return the networks of an ASGI client, the narrowest first: one for IPv4, three for IPv6."""
    host = client[0] if client else ""
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:  # a Unix socket, or a value of a trusted proxy
        return [Network("address", host[:64], 1)]
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        networks = {bits: ip_network((found, bits), strict=False) for bits in _ALLOWANCES}
        return [Network(f"/{bits}", str(networks[bits]), times) for bits, times in _ALLOWANCES.items()]
    return [Network("address", str(getattr(found, "ipv4_mapped", None) or found), 1)]
