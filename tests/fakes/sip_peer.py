"""One SIP user agent over UDP, by hand: for what real phones would not do."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """The final answer to a request."""

    code: int
    text: str

    def header(self, name: str) -> str:
        found = re.search(rf"^{name}: *(.*?)\r$", self.text, re.M | re.I)
        assert found, f"no {name} in:\n{self.text}"
        return found[1]


class SipPeer:
    """Speaks from one address; every request is a transaction of its own."""

    def __init__(self, source: str, server: tuple[str, int]) -> None:
        self._server = server
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((source, 0))
        self._socket.setblocking(False)
        self._here = "{}:{}".format(*self._socket.getsockname())
        self._sequence = 0

    def __enter__(self) -> SipPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def register(self, user: str, password: str) -> Reply:
        """REGISTER with digest authentication, as RFC 3261 and RFC 2617 say."""
        return await self._authenticated("REGISTER", user, password, to=user)

    async def invite_as(self, user: str, password: str, number: str) -> Reply:
        """An operator's call."""
        return await self._authenticated("INVITE", user, password, to=number)

    async def invite(
        self, number: str, *, sender: str = "0812345", **more: str
    ) -> Reply:
        """A call without a password; `more` are further headers."""
        return await self._ask("INVITE", sender, number, uuid.uuid4().hex, more)

    async def _authenticated(
        self, method: str, user: str, password: str, *, to: str
    ) -> Reply:
        call = uuid.uuid4().hex
        challenge = await self._ask(method, user, to, call, {})
        assert challenge.code == 401, challenge.text
        asked = dict(
            re.findall(r'(\w+)="?([^",]+)"?', challenge.header("WWW-Authenticate"))
        )
        uri = self._uri(method, to)
        one = _md5(f"{user}:{asked['realm']}:{password}")
        two = _md5(f"{method}:{uri}")
        digest = _md5(f"{one}:{asked['nonce']}:00000001:abc:auth:{two}")
        answer = (
            f'Digest username="{user}", realm="{asked["realm"]}", '
            f'nonce="{asked["nonce"]}", uri="{uri}", response="{digest}", '
            f'algorithm=MD5, qop=auth, nc=00000001, cnonce="abc", '
            f'opaque="{asked.get("opaque", "")}"'
        )
        return await self._ask(method, user, to, call, {"Authorization": answer})

    def _uri(self, method: str, to: str) -> str:
        host, port = self._server
        return (
            f"sip:{host}:{port}" if method == "REGISTER" else f"sip:{to}@{host}:{port}"
        )

    async def _ask(
        self, method: str, sender: str, to: str, call: str, more: dict[str, str]
    ) -> Reply:
        self._sequence += 1
        branch = f"z9hG4bK{uuid.uuid4().hex}"
        host = self._here.split(":")[0]
        body = "" if method == "REGISTER" else (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            "m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n"
            "a=rtpmap:101 telephone-event/8000\r\n"
        )  # fmt: skip
        lines = [
            f"{method} {self._uri(method, to)} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._here};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:{sender}@{self._here}>;tag={call[:8]}",
            f"To: <sip:{to}@{self._server[0]}>",
            f"Call-ID: {call}",
            f"CSeq: {self._sequence} {method}",
            f"Contact: <sip:{sender}@{self._here}>",
            *(f"{name}: {value}" for name, value in more.items()),
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(body)}", "", body]
        loop = asyncio.get_running_loop()
        packet = "\r\n".join(lines).encode()
        repeating = asyncio.create_task(self._repeat(packet))
        try:
            return await self._final(f"{self._sequence} {method}", lines, loop)
        finally:
            repeating.cancel()
            await asyncio.gather(repeating, return_exceptions=True)

    async def _repeat(self, packet: bytes) -> None:
        """UDP may lose a packet: send it until answered, as RFC 3261 17.1 wants."""
        pause = 0.5
        while True:
            await asyncio.get_running_loop().sock_sendto(
                self._socket, packet, self._server
            )
            await asyncio.sleep(pause)
            pause *= 2

    async def _final(
        self, sequence: str, lines: list[str], loop: asyncio.AbstractEventLoop
    ) -> Reply:
        async with asyncio.timeout(15):
            while True:
                text = (await loop.sock_recv(self._socket, 65535)).decode()
                if not text.startswith("SIP/2.0") or sequence not in text:
                    continue
                reply = Reply(int(text.split()[1]), text)
                if reply.code < 200:
                    continue
                if sequence.endswith("INVITE"):
                    await self._acknowledge(reply, lines, loop)
                return reply

    async def _acknowledge(
        self, reply: Reply, lines: list[str], loop: asyncio.AbstractEventLoop
    ) -> None:
        kept = [
            line for line in lines if line.startswith(("Max-F", "From:", "Call-ID:"))
        ]
        number = self._sequence
        ack = ["ACK" + lines[0].removeprefix("INVITE"), lines[1], *kept]
        ack += [f"To: {reply.header('To')}", f"CSeq: {number} ACK"]
        ack += ["Content-Length: 0", "", ""]
        await loop.sock_sendto(self._socket, "\r\n".join(ack).encode(), self._server)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
