"""The smallest carrier: one INVITE over UDP, no media. For tests that need a call's
channel and nothing else; whole calls are made by `pbx.simulator`."""

from __future__ import annotations

import asyncio
import re
import socket
import uuid


class TrunkCall:
    """Calls `number` from a trunk's address; hangs up with BYE or CANCEL."""

    def __init__(
        self, source: str, server: tuple[str, int], number: str = "112"
    ) -> None:
        self._server = server
        self._number = number
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((source, 0))
        self._socket.setblocking(False)
        self._here = "{}:{}".format(*self._socket.getsockname())
        self._id = uuid.uuid4().hex
        self._to = f"<sip:{number}@{server[0]}>"
        self._target = f"sip:{number}@{server[0]}:{server[1]}"

    def _request(self, method: str, cseq: int, to: str, body: str = "") -> bytes:
        lines = [
            f"{method} {self._target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._here};branch=z9hG4bK{self._id}{cseq}{method[0]}",
            "Max-Forwards: 70",
            f"From: <sip:081234567890@{self._here}>;tag={self._id[:8]}",
            f"To: {to}",
            f"Call-ID: {self._id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:carrier@{self._here}>",
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(body)}", "", body]
        return "\r\n".join(lines).encode()

    async def invite(self) -> None:
        """Call, and return once answered (200 OK acknowledged)."""
        host = self._here.split(":")[0]
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            "m=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        )
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(
            self._socket, self._request("INVITE", 1, self._to, body), self._server
        )
        while True:
            raw = await asyncio.wait_for(loop.sock_recv(self._socket, 65535), 5)
            answer = raw.decode()
            code = int(answer.split()[1])
            if code >= 300:
                raise AssertionError(f"the call was refused: {answer.splitlines()[0]}")
            if code >= 200:
                break
        self._to = re.search(r"^To: (.*)\r$", answer, re.M | re.I)[1]  # type: ignore[index]
        contact = re.search(r"^Contact: <(.*?)>", answer, re.M | re.I)
        assert contact
        self._target = contact[1]
        ack = self._request("ACK", 1, self._to)
        await loop.sock_sendto(self._socket, ack, self._server)

    async def bye(self) -> None:
        """Hang up."""
        loop = asyncio.get_running_loop()
        bye = self._request("BYE", 2, self._to)
        await loop.sock_sendto(self._socket, bye, self._server)

    def __enter__(self) -> TrunkCall:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
