"""One AGI connection on the loop: commands with deadlines, and the ways it can end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from agi import protocol
from agi.deadline import Deadline
from agi.doorkeeper import Doorkeeper

_log = logging.getLogger(__name__)

COMMAND_SECONDS = 2.0
"""Asterisk answers what does not play or wait within a millisecond."""


class SessionEndedError(Exception):
    """The connection is gone: the caller hung up, was taken away, or Asterisk ended."""


class SessionBrokenError(Exception):
    """The peer broke the protocol or did not answer in time; the caller goes on."""


class Session(asyncio.Protocol):
    """Asterisk's end of a call's control: one command at a time.

    `on_request(session, request)` is called once, when Asterisk has said who calls;
    `on_violation(what)` when the peer does not speak AGI.
    """

    __slots__ = (
        "_core",
        "_deadline",
        "_door",
        "_end",
        "_loop",
        "_on_request",
        "_on_violation",
        "_reply",
        "_transport",
        "on_end",
    )

    def __init__(
        self,
        door: Doorkeeper,
        on_request: Callable[[Session, protocol.Request], None],
        on_violation: Callable[[str], None],
    ) -> None:
        self._door = door
        self._on_request = on_request
        self._on_violation = on_violation
        self._core = protocol.Connection()
        self._loop = asyncio.get_running_loop()
        self._deadline = Deadline(self._loop, self._no_reply)
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[protocol.Reply] | None = None
        self._end: SessionEndedError | SessionBrokenError | None = None
        self.on_end: Callable[[], None] | None = None
        """Called once when the connection is gone or the caller has hung up."""

    @property
    def is_over(self) -> bool:
        """Whether nothing can be said any more."""
        return self._end is not None

    async def command(
        self, *words: str, deadline_seconds: float = COMMAND_SECONDS
    ) -> protocol.Reply:
        """Send one command and wait for its reply.

        Raises SessionEndedError, SessionBrokenError (also after the deadline), and
        protocol.MisuseError.
        """
        return await self.finish(self.begin(*words), deadline_seconds)

    def begin(self, *words: str) -> asyncio.Future[protocol.Reply]:
        """Send one command whose reply comes later; take it with `finish`."""
        if self._end is not None:
            raise self._end
        assert self._transport is not None  # noqa: S101 - connected, since not ended
        line = self._core.send(*words)
        self._reply = self._loop.create_future()
        self._transport.write(line)
        return self._reply

    async def finish(
        self, reply: asyncio.Future[protocol.Reply], deadline_seconds: float
    ) -> protocol.Reply:
        """Wait for a command begun; the same errors as `command`.

        Cancelling it gives up the reply, not the session.
        """
        self._deadline.set(deadline_seconds)
        try:
            return await reply
        finally:
            self._deadline.clear()

    def close(self) -> None:
        """Close politely: what was written still goes out. The dialplan goes on."""
        self._over(SessionEndedError("we closed the session"))
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._over(SessionEndedError("we aborted the session"))
        if self._transport is not None:
            self._transport.abort()

    def turn_away(self, why: str) -> None:
        """The doorkeeper's word to one who never said who he is."""
        self._over(SessionEndedError(why))
        self.abort()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected."""
        # A cast: uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._door.admit(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came; the core says what they mean."""
        for event in self._core.receive(data):
            self._obey(event)

    def eof_received(self) -> bool:
        """The peer closed its half; so do we."""
        for event in self._core.receive_eof():
            self._obey(event)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whoever closed it."""
        self._core.receive_eof()
        self._over(SessionEndedError("Asterisk closed the session"))

    def _no_reply(self, seconds: float) -> None:
        self._over(SessionBrokenError(f"no reply within {seconds:g} s"))
        self.abort()

    def _obey(self, event: protocol.Event) -> None:
        match event:
            case protocol.Reply():
                if self._reply is not None and not self._reply.done():
                    self._reply.set_result(event)
            case protocol.Request():
                self._door.forget(self)
                self._on_request(self, event)
            case protocol.HungUp():
                self._told_of_end()
            case protocol.Closed():
                self._over(SessionEndedError("Asterisk closed the session"))
            case protocol.Violation(what):
                self._on_violation(what)
                self._over(SessionBrokenError(what))
                self.abort()

    def _over(self, error: SessionEndedError | SessionBrokenError) -> None:
        if self._end is not None:
            return
        self._end = error
        self._deadline.close()
        self._door.forget(self)
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
            self._reply.exception()  # whoever waits sees it; nobody must
        self._told_of_end()

    def _told_of_end(self) -> None:
        if (tell := self.on_end) is not None:
            self.on_end = None
            tell()
