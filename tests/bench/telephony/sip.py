"""As much of SIP (RFC 3261) as a stopwatch needs: messages, digest, one UDP socket."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response, and when it arrived (monotonic seconds)."""

    first_line: str
    headers: tuple[tuple[str, str], ...]
    body: str
    at: float

    @property
    def status(self) -> int | None:
        """The status of a response; None for a request."""
        part = self.first_line.split(" ")
        return int(part[1]) if part[0] == "SIP/2.0" else None

    @property
    def method(self) -> str:
        """Of a request; for a response, of the request it answers."""
        if self.status is None:
            return self.first_line.split(" ")[0]
        return self.header("cseq").split()[1]

    def header(self, name: str) -> str:
        """The first header of that name, empty if there is none."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def caller(self) -> str:
        """The user part of From: the number the call shows."""
        found = re.search(r"sips?:([^@;>]*)@", self.header("from"))
        return found.group(1) if found else ""


def parse(datagram: bytes) -> Message:
    """One datagram as a message, stamped with the time of now."""
    head, _, body = datagram.decode(errors="replace").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = tuple(
        (name.strip().lower(), value.strip())
        for name, _, value in (line.partition(":") for line in lines)
    )
    return Message(first, headers, body, time.monotonic())


def compose(first_line: str, headers: list[tuple[str, str]], body: str = "") -> bytes:
    """A message's bytes; lengths are counted here."""
    lines = [first_line, *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def reply(request: Message, status: str, *more: tuple[str, str]) -> bytes:
    """An answer to a request: its own Via, From, To, Call-ID and CSeq."""
    copied = ("via", "from", "to", "call-id", "cseq")
    headers = [(name, value) for name, value in request.headers if name in copied]
    if "tag=" not in request.header("to"):
        tag = hashlib.sha256(request.header("call-id").encode()).hexdigest()[:8]
        headers = [(n, f"{v};tag={tag}" if n == "to" else v) for n, v in headers]
    return compose(f"SIP/2.0 {status}", [*headers, *more])


def branch() -> str:
    """A new transaction's mark (section 8.1.1.7)."""
    return f"z9hG4bK{secrets.token_hex(8)}"


def digest(challenge: str, user: str, password: str, method: str, uri: str) -> str:
    """The Authorization header for a challenge (RFC 2617, MD5, qop=auth)."""
    asked = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    realm, nonce, client = asked["realm"], asked["nonce"], secrets.token_hex(8)
    who = _md5(f"{user}:{realm}:{password}")
    answer = _md5(f"{who}:{nonce}:00000001:{client}:auth:{_md5(f'{method}:{uri}')}")
    opaque = f', opaque="{asked["opaque"]}"' if "opaque" in asked else ""
    return (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
        f'response="{answer}", algorithm=MD5, qop=auth, nc=00000001, '
        f'cnonce="{client}"{opaque}'
    )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Socket(asyncio.DatagramProtocol):
    """A UDP socket for SIP; hands every message to `heard`."""

    def __init__(self, heard: Callable[[Message], None]) -> None:
        self._heard = heard
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, address: str, heard: Callable[[Message], None]) -> Socket:
        """A socket on a free port of this address."""
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: cls(heard), local_addr=(address, 0)
        )
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.address: Address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if data.strip():  # keep-alives are empty lines
            self._heard(parse(data))

    def send(self, datagram: bytes, to: Address) -> None:
        """Send; after close, nothing."""
        if self._transport and not self._transport.is_closing():
            self._transport.sendto(datagram, to)

    def close(self) -> None:
        """Close."""
        if self._transport:
            self._transport.close()
