"""Callers: they dial the city from the trunk's address and know when a packet left."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from contextlib import suppress
from typing import Protocol

from tests.bench.row import BenchError
from tests.bench.telephony.media import Media
from tests.bench.telephony.sip import Address, Message, Socket, branch, compose, reply

ANSWER_SECONDS = 10.0
_REPEAT_SECONDS = 0.5


class Stream(Protocol):
    """What a caller's phone sends while the call lasts: `Media`, or a test's own."""

    @property
    def port(self) -> int:
        """Where it hears, on the exchange's address."""

    async def run(self, to: Address) -> None:
        """Send until cancelled."""

    def close(self) -> None:
        """Close the socket."""


class Exchange:
    """The carrier's side of the trunk; carries any number of calls."""

    def __init__(self, city: Address, background: bytes) -> None:
        self.city = city
        self.background = background
        self.calls: dict[str, Call] = {}
        self._socket: Socket

    @classmethod
    async def open(cls, address: str, city: Address, background: bytes) -> Exchange:
        """`address` is the trunk's, `background` the A-law heard when nobody speaks."""
        exchange = cls(city, background)
        exchange._socket = await Socket.open(address, exchange._heard)
        return exchange

    @property
    def address(self) -> Address:
        """Where SIP is sent from."""
        return self._socket.address

    async def dial(
        self, number: str, *, dialled: str = "112", stream: Stream | None = None
    ) -> Call:
        """Call; returns when answered. Raises BenchError if nobody answers.

        `stream` is sent instead of the exchange's background.
        """
        call = Call(self, number, dialled, stream)
        self.calls[call.id] = call
        try:
            await call.begin()
        except BaseException:
            await call.hang_up()
            raise
        return call

    def send(self, datagram: bytes) -> None:
        """To the city."""
        self._socket.send(datagram, self.city)

    async def close(self) -> None:
        """End every call, close the socket."""
        for call in list(self.calls.values()):
            await call.hang_up()
        self._socket.close()

    def _heard(self, message: Message) -> None:
        if call := self.calls.get(message.header("call-id")):
            call.heard(message)


class Call:
    """One call: dialled, answered, spoken into, hung up."""

    def __init__(
        self, exchange: Exchange, number: str, dialled: str, stream: Stream | None
    ) -> None:
        self._exchange = exchange
        self.number = number
        self.id = secrets.token_hex(12)
        host, port = exchange.address
        self._uri = f"sip:{dialled}@{exchange.city[0]}:{exchange.city[1]}"
        self._from = f"<sip:{number}@{host}>;tag={secrets.token_hex(4)}"
        self._to = f"<{self._uri}>"
        self._contact = f"<sip:{number}@{host}:{port}>"
        self._target = self._uri
        self._answer: asyncio.Future[Message] = (
            asyncio.get_running_loop().create_future()
        )
        self._sending: asyncio.Task[None] | None = None
        self._stream = stream or Media(host, exchange.background)
        self.answered_at = 0.0
        """Monotonic; the first RTP packet leaves at once afterwards."""

    @property
    def media(self) -> Media:
        """To speak and press; only a call that was dialled without a stream has it."""
        if not isinstance(self._stream, Media):
            raise TypeError("this call sends a stream of its own")
        return self._stream

    async def begin(self) -> None:
        """INVITE, repeated as UDP demands, until the answer; then media flows."""
        invite = self._request("INVITE", 1, self._offer())
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self._answer.done() and time.monotonic() < deadline:
            self._exchange.send(invite)
            await asyncio.wait([self._answer], timeout=_REPEAT_SECONDS)
        if not self._answer.done():
            raise BenchError(f"nobody answered within {ANSWER_SECONDS:g} s")
        answer = await self._answer
        if answer.status != 200:
            raise BenchError(f"the call was refused: {answer.first_line}")
        self.answered_at = answer.at
        address = re.search(r"^c=IN IP4 (\S+)", answer.body, re.MULTILINE)
        port = re.search(r"^m=audio (\d+)", answer.body, re.MULTILINE)
        if not (address and port):
            raise BenchError(f"an answer without audio: {answer.body!r}")
        to = (address.group(1), int(port.group(1)))
        self._sending = asyncio.create_task(self._stream.run(to))

    async def hang_up(self) -> float:
        """BYE (CANCEL before the answer), media stops; when it was sent."""
        method = "BYE" if self.answered_at else "CANCEL"
        if self._exchange.calls.pop(self.id, None):
            number = 2 if self.answered_at else 1
            self._exchange.send(self._request(method, number))
        at = time.monotonic()
        if self._sending:
            self._sending.cancel()
            with suppress(asyncio.CancelledError):
                await self._sending
            self._sending = None
        self._stream.close()
        return at

    def heard(self, message: Message) -> None:
        """A message of this call."""
        status = message.status
        if status is None:
            if message.method == "BYE":
                self._exchange.send(reply(message, "200 OK"))
            return
        if message.method != "INVITE" or status < 200:
            return
        self._to = message.header("to")
        if found := re.search(r"<([^>]+)>", message.header("contact")):
            self._target = found.group(1)
        self._exchange.send(self._request("ACK", 1))
        if not self._answer.done():
            self._answer.set_result(message)

    def _request(self, method: str, number: int, body: str = "") -> bytes:
        host, port = self._exchange.address
        if method == "INVITE":
            self._branch = branch()
        mark = self._branch if method in ("INVITE", "CANCEL") else branch()
        headers = [
            ("Via", f"SIP/2.0/UDP {host}:{port};branch={mark}"),
            ("Max-Forwards", "70"),
            ("From", self._from),
            ("To", self._to),
            ("Call-ID", self.id),
            ("CSeq", f"{number} {method}"),
            ("Contact", self._contact),
        ]
        return compose(f"{method} {self._target} SIP/2.0", headers, body)

    def _offer(self) -> str:
        host, _ = self._exchange.address
        lines = (
            *("v=0", f"o=bench 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"),
            f"m=audio {self._stream.port} RTP/AVP 8 101",
            *("a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000"),
            *("a=fmtp:101 0-15", "a=ptime:20", "a=sendrecv"),
        )
        return "\r\n".join(lines) + "\r\n"
