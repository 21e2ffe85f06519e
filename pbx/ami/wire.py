"""One connection to the manager: panoramisk's parts, each known defect closed.

panoramisk 1.4 gives the protocol, the actions and the messages. Its `Manager` is not
used: it reconnects by replaying unanswered actions (a citizen is called twice), runs
callbacks unordered and inside the socket's read, and never looks at a pong. What it
does with lists, chunks and late answers is corrected here; `tests/unit/pbx/test_ami_*`
names every defect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message

LARGEST_MESSAGE_BYTES = 1 << 20
"""A message that does not end within this is no manager talking."""

_END = b"\r\n\r\n"


class ManagerError(Exception):
    """The manager link could not do what was asked; the text says why."""


class LinkDown(ManagerError):  # noqa: N818 — a state of the world, not a mistake
    """There is no link now; nothing was sent, or its answer will never come."""


class LoginRefused(ManagerError):  # noqa: N818 — what Asterisk said
    """Asterisk knows no such user with that secret."""


class ActionFailed(ManagerError):  # noqa: N818 — what Asterisk said
    """Asterisk answered `Error`; the text is its reason."""


class ActionTimedOut(ManagerError):  # noqa: N818 — what happened
    """No answer within the deadline; whether it was done is unknown."""


class _Request(Action):  # type: ignore[misc]  # panoramisk has no types
    """An action that knows what ends its answer.

    panoramisk guesses from English texts: "Added interface to queue" makes it wait for
    a list that never comes (gawel/panoramisk#54), "successfully queued" reads a header
    that may be absent, and an `Error` to a list action never ends. We say it instead.
    """

    def __init__(self, name: str, headers: dict[str, str], *, is_list: bool) -> None:
        super().__init__({"Action": name, **headers})
        self._is_list = is_list

    @property
    def multi(self) -> bool:
        return self._is_list and self.responses[0].success

    @property
    def completed(self) -> bool:
        last = self.responses[-1]
        is_end = "event" in last and last.eventlist.lower() in {"complete", "cancelled"}
        return is_end or not self.multi


class _Protocol(AMIProtocol):  # type: ignore[misc]  # panoramisk has no types
    """panoramisk's protocol, reading bytes message by message."""

    def __init__(self, owner: Connection) -> None:
        self._owner = owner
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.factory = self._owner
        self.encoding = "utf8"

    def data_received(self, data: bytes) -> None:
        """Cut the stream into messages; decode only whole ones.

        panoramisk decodes each chunk alone and drops what a chunk border cuts through.
        """
        searched = max(len(self._buffer) - len(_END), 0)
        self._buffer += data
        while (end := self._buffer.find(_END, searched)) >= 0:
            block = bytes(self._buffer[:end])
            del self._buffer[: end + len(_END)]
            searched = 0
            message = Message.from_line(block.decode(self.encoding, "replace").strip())
            if message is not None:
                self.handle_message(message)
        if len(self._buffer) > LARGEST_MESSAGE_BYTES:
            self.connection_lost(ValueError("a message without end"))

    def close(self) -> None:
        """Close; forget what was asked. panoramisk keeps it, to ask again later."""
        self.closed = True
        self.responses.clear()
        self.transport.abort()


class Connection:
    """One socket, from connect to loss; it never comes back by itself.

    `on_event(message)` is called for every event outside a list, in order, and must
    only note it down: it runs inside the socket's read.
    """

    def __init__(self, on_event: Callable[[Message], None]) -> None:
        self.on_event = on_event
        self._protocol: _Protocol | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done, with the reason, once the socket is gone."""

    async def open(self, host: str, port: int, *, deadline_seconds: float) -> None:
        """Connect. Raises LinkDown."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(deadline_seconds):
                _, self._protocol = await loop.create_connection(
                    lambda: _Protocol(self), host, port
                )
        except TimeoutError as error:
            raise LinkDown(
                f"Asterisk's manager at {host}:{port} does not accept"
            ) from error
        except OSError as error:
            raise LinkDown(
                f"no manager at {host}:{port} ({error.strerror or error}); "
                "is Asterisk running?"
            ) from error

    async def ask(
        self,
        name: str,
        headers: dict[str, str],
        *,
        is_list: bool,
        deadline_seconds: float,
    ) -> list[Message]:
        """Send one action, wait for its whole answer.

        Raises ManagerError's children; ValueError for a header that carries a line
        break, which would be a second, injected action.
        """
        for key, value in headers.items():
            if any(sign in key + value for sign in "\r\n\0"):
                raise ValueError(f"{name}: a line break in the header {key!r}")
        if self._protocol is None:
            raise LinkDown(f"{name} not sent: the link is not open yet")
        if self.lost.done():
            raise LinkDown(f"{name} not sent: {self.lost.result()}")
        request = _Request(name, headers, is_list=is_list)
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._answer_or_loss(self._protocol.send(request))
        except TimeoutError as error:
            raise ActionTimedOut(
                f"{name}: no answer in {deadline_seconds:g} s"
            ) from error
        finally:
            # panoramisk keeps an unanswered action for ever.
            self._protocol.responses.pop(request.id, None)
        answers: list[Message] = request.responses
        if not request.future.done():
            raise LinkDown(f"{name} not answered: {self.lost.result()}")
        if not answers[0].success:
            raise ActionFailed(f"{name}: {answers[0].message or 'refused'}")
        return answers

    async def _answer_or_loss(self, answer: asyncio.Future[Any]) -> None:
        await asyncio.wait({answer, self.lost}, return_when=asyncio.FIRST_COMPLETED)

    def dispatch(self, message: Message) -> None:
        """panoramisk's protocol hands over an event."""
        self.on_event(message)

    def connection_lost(self, why: object) -> None:
        """panoramisk's protocol says that the socket is gone (or Asterisk goes)."""
        if self.lost.done():
            return
        if isinstance(why, Message):
            self.lost.set_result("Asterisk said that it shuts down")
        elif why is None:
            self.lost.set_result("Asterisk closed the manager link")
        else:
            self.lost.set_result(f"the manager link broke: {why}")

    def close(self, why: str = "closed by us") -> None:
        """Let go of the socket at once; nothing waits for the other side."""
        if not self.lost.done():
            self.lost.set_result(why)
        if self._protocol is not None:
            self._protocol.close()
