"""Where a webhook may go. An address somebody gave us must not open our own network.

A name is looked up by us, and the connection goes to what we saw: a name that turns to
127.0.0.1 between the look and the connection gains nothing.
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

_NAT64 = ip_network("64:ff9b::/96")
"""RFC 6052: an IPv4 address in IPv6's clothes."""

LONGEST_URL = 2000
_ODD_ADDRESS = re.compile(
    r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\.?", re.I
)
"""What inet_aton(3) takes for an address: 127.1, 2130706433, 0177.0.0.1, 0x7f.1."""


class ForbiddenAddressError(OSError):
    """A private or loopback address that nobody declared."""


def refusal(url: str, *, private: bool) -> str | None:
    """Why nothing can be sent there, with the cure; None: it can."""
    try:
        parts = URL(url)
    except ValueError as error:
        return f"it is no URL: {error}"
    if parts.scheme not in ("https", "http") or not parts.host:
        return "write https://host/path"
    if len(url) > LONGEST_URL:
        return f"it is longer than {LONGEST_URL} characters"
    if parts.user is not None or parts.password is not None:
        return "no user or password in it: the signature proves who we are"
    if parts.scheme == "http" and not private:
        return "records go out encrypted: https, or --private for your own network"
    address = _literal(parts.host)
    if address is None and _ODD_ADDRESS.fullmatch(parts.host):
        return "write the address in full, as in 192.0.2.1"
    if address is not None and not private and not is_public(address):
        return f"{address} is a private address; --private if that is meant"
    return None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an address of the Internet, also inside one that carries it."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


class PublicResolver(AbstractResolver):
    """Looks names up, and gives none of ours away: one private address among the
    answers refuses the name."""

    def __init__(self) -> None:
        self._resolver = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises ForbiddenAddressError, or OSError if there is no such name."""
        found = await self._resolver.resolve(host, port, family)
        for answer in found:
            if not is_public(ip_address(answer["host"])):
                raise ForbiddenAddressError(
                    f"{host} is {answer['host']}, a private address; remove the "
                    "webhook and add it with --private if that is meant"
                )
        return found

    async def close(self) -> None:
        """Nothing is left open."""
        await self._resolver.close()
