"""Are the city's ports free, and if not, who holds them?"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from pbx.model.city import Network

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port we are going to listen on."""

    setting: str
    """Its name in the city's [network]."""
    address: str
    port: int
    kind: socket.SocketKind


def wanted(network: Network) -> Iterator[Endpoint]:
    """Every fixed port of a city."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    yield Endpoint("sip_port", network.sip_address, network.sip_port, udp)
    yield Endpoint("sip_port", network.sip_address, network.sip_port, tcp)
    yield Endpoint("sips_port", network.sip_address, network.sips_port, tcp)
    yield Endpoint("manager_port", LOOPBACK, network.manager_port, tcp)
    yield Endpoint("agi_port", LOOPBACK, network.agi_port, tcp)
    for worker in range(network.intake_workers):
        port = network.audiosocket_port + worker
        yield Endpoint("audiosocket_port", LOOPBACK, port, tcp)
    yield Endpoint("status_port", LOOPBACK, network.status_port, tcp)
    yield Endpoint("feed_port", LOOPBACK, network.feed_port, tcp)


def problems(network: Network, *, allowed: int | None = None) -> list[str]:
    """A sentence for each port that cannot be had, with its holder and the cure.

    What the process `allowed` holds is no problem.
    """
    return [
        sentence
        for endpoint in wanted(network)
        if (sentence := _problem(endpoint, allowed)) is not None
    ]


def _problem(endpoint: Endpoint, allowed: int | None) -> str | None:
    family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
    name = "UDP" if endpoint.kind is socket.SOCK_DGRAM else "TCP"
    place = f"{name} port {endpoint.port} on {endpoint.address} ({endpoint.setting})"
    with socket.socket(family, endpoint.kind) as probe:
        if endpoint.kind is socket.SOCK_STREAM:
            # As servers do: what lingers in TIME_WAIT is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((endpoint.address, endpoint.port))
        except OSError as error:
            if (holder := _holder(endpoint)) is not None:
                if holder == allowed:
                    return None
                return (
                    f"{place} is held by {_named(holder)}; end that, or choose another "
                    "port in the city file"
                )
            return (
                f"{place} cannot be had: {error.strerror}; correct the address or the "
                "port in the city file"
            )
    return None


def _holder(endpoint: Endpoint) -> int | None:
    """The pid that holds the port; 0 if it is another user's, None if nobody does."""
    with suppress(psutil.Error, OSError):
        for link in psutil.net_connections("inet"):
            if (
                link.type == endpoint.kind
                and link.laddr
                and link.laddr.port == endpoint.port
                and link.laddr.ip in (endpoint.address, "0.0.0.0", "::")  # noqa: S104 - compared, not bound
                and (link.status in (psutil.CONN_LISTEN, psutil.CONN_NONE))
            ):
                return link.pid or 0
    return None


def _named(pid: int) -> str:
    if pid == 0:
        return "a process of another user"
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"
