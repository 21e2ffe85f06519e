"""Operators' phones that never answer: they only note when a call made them ring."""

from __future__ import annotations

import asyncio
import secrets

from tests.bench.row import BenchError
from tests.bench.telephony.sip import (
    Address,
    Message,
    Socket,
    branch,
    compose,
    digest,
    reply,
)

_REGISTER_SECONDS = 5.0
_EXPIRES = 600


class Rings:
    """Which caller made a phone ring, and when (monotonic seconds)."""

    def __init__(self) -> None:
        self._at: dict[str, asyncio.Future[float]] = {}

    def expect(self, number: str) -> asyncio.Future[float]:
        """Resolves when an INVITE that shows this number reaches any operator."""
        return self._at.setdefault(number, asyncio.get_running_loop().create_future())

    def note(self, number: str, at: float) -> None:
        """An INVITE arrived; a second one of the same call changes nothing."""
        ring = self._at.get(number)
        if ring and not ring.done():
            ring.set_result(at)


class OperatorPhone:
    """One registered phone."""

    def __init__(self, number: str, password: str, city: Address, rings: Rings) -> None:
        self.number = number
        self._password = password
        self._city = city
        self._rings = rings
        self._id = secrets.token_hex(12)
        self._tag = secrets.token_hex(4)
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._ringing: dict[str, Message] = {}
        self._socket: Socket

    async def register(self, address: str) -> None:
        """Log in from a free port of `address`. Raises BenchError if refused."""
        self._socket = await Socket.open(address, self._heard)
        answer = await self._register(1, None)
        if answer.status == 401:
            uri = f"sip:{self._city[0]}:{self._city[1]}"
            challenge = answer.header("www-authenticate")
            authorization = digest(
                challenge, self.number, self._password, "REGISTER", uri
            )
            answer = await self._register(2, authorization)
        if answer.status != 200:
            raise BenchError(
                f"operator {self.number} may not register: {answer.first_line}"
            )

    def close(self) -> None:
        """Pull the plug."""
        self._socket.close()

    async def _register(self, count: int, authorization: str | None) -> Message:
        host, port = self._socket.address
        uri = f"sip:{self._city[0]}:{self._city[1]}"
        who = f"<sip:{self.number}@{self._city[0]}:{self._city[1]}>"
        headers = [
            ("Via", f"SIP/2.0/UDP {host}:{port};branch={branch()}"),
            ("Max-Forwards", "70"),
            ("From", f"{who};tag={self._tag}"),
            ("To", who),
            ("Call-ID", self._id),
            ("CSeq", f"{count} REGISTER"),
            ("Contact", f"<sip:{self.number}@{host}:{port}>"),
            ("Expires", str(_EXPIRES)),
        ]
        if authorization:
            headers.append(("Authorization", authorization))
        self._socket.send(compose(f"REGISTER {uri} SIP/2.0", headers), self._city)
        try:
            return await asyncio.wait_for(self._answers.get(), _REGISTER_SECONDS)
        except TimeoutError:
            raise BenchError(
                f"operator {self.number}: no answer to REGISTER from {self._city[0]}"
            ) from None

    def _heard(self, message: Message) -> None:
        if message.status is not None:
            if message.method == "REGISTER" and message.status >= 200:
                self._answers.put_nowait(message)
            return
        match message.method:
            case "INVITE":
                self._rings.note(message.caller, message.at)
                self._ringing[message.header("call-id")] = message
                self._say(message, "180 Ringing")
            case "CANCEL":
                self._say(message, "200 OK")
                if invite := self._ringing.pop(message.header("call-id"), None):
                    self._say(invite, "487 Request Terminated")
            case "ACK":
                pass
            case _:  # OPTIONS asks whether we live, NOTIFY tells of mail
                self._say(message, "200 OK")

    def _say(self, request: Message, status: str) -> None:
        host, port = self._socket.address
        contact = ("Contact", f"<sip:{self.number}@{host}:{port}>")
        self._socket.send(reply(request, status, contact), self._city)
