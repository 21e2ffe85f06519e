"""What panoramisk 1.4's FastAGI does wrong, one test each on our own.

Each was measured on panoramisk; each either froze the loop, spun a task or gave a
caller somebody else's reply.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from agi.doorkeeper import Doorkeeper
from agi.protocol import Connection, MisuseError, Reply, Request, Violation
from agi.session import SessionEndedError
from tests.fakes.asterisk import headers
from tests.patience import until
from tests.unit.agi.peers import open_port


async def test_a_peer_that_closes_before_the_headers_end_freezes_nothing() -> None:
    """Panoramisk: `readline()` returns b"" for ever, the whole loop stands still."""
    async with open_port() as port:
        _, writer = await port.connect()
        writer.write(headers()[:40])
        await writer.drain()
        writer.close()
        await until(lambda: port.door.waiting == 0)
        assert await loop_lag() < 0.5


async def test_headers_that_never_end_meet_a_deadline() -> None:
    """Panoramisk: no timeout on headers; each such peer stays for ever."""
    now = 0.0
    door = Doorkeeper(lambda: now)
    async with open_port(door) as port:
        reader, _ = await port.connect()
        await until(lambda: door.waiting == 1)
        now = 2.1
        door.sweep()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)
    assert door.turned.late == 1


def test_headers_have_a_size() -> None:
    """Panoramisk: no limit; one peer fills the memory."""
    connection = Connection()
    events = [
        event
        for i in range(1000)
        for event in connection.receive(b"agi_%d: %s\n" % (i, b"x" * 1000))
    ]
    assert len(events) == 1
    assert isinstance(events[0], Violation)


def test_the_script_is_found_without_its_query() -> None:
    """Panoramisk: the route is looked up with the query string and never found."""
    (request,) = Connection().receive(headers(agi_network_script="intake?a=b"))
    assert isinstance(request, Request)
    assert request.script == "intake"


def test_hangup_is_not_taken_for_a_reply() -> None:
    """Panoramisk: every later reply is off by one; digits belong to other prompts."""
    connection = Connection()
    connection.receive(headers())
    connection.send("FIRST")
    replies = [e for e in connection.receive(b"HANGUP\n200 result=1\n") if _reply(e)]
    assert replies == [Reply(200, "1")]
    connection.send("SECOND")
    assert connection.receive(b"200 result=2\n") == [Reply(200, "2")]


async def test_the_end_of_the_connection_ends_a_waiting_command() -> None:
    """Panoramisk: EOF gives error dicts without end; handlers spin."""
    async with open_port() as port:
        reader, writer = await port.connect()
        writer.write(headers())
        session = await port.session()
        command = asyncio.create_task(session.command("NOOP"))
        await reader.readline()
        writer.close()
        with pytest.raises(SessionEndedError):
            await command
        with pytest.raises(SessionEndedError):
            await session.command("NOOP")


async def test_cancelling_travels_on() -> None:
    """Panoramisk: CancelledError is swallowed; a drain waits for ever."""
    async with open_port() as port:
        reader, writer = await port.connect()
        writer.write(headers())
        session = await port.session()
        command = asyncio.create_task(session.command("NOOP"))
        await reader.readline()
        command.cancel()
        with pytest.raises(asyncio.CancelledError):
            await command


def test_bad_utf_8_does_not_end_the_handler() -> None:
    """Panoramisk: UnicodeDecodeError kills the handler: a strange name, no 112."""
    (request,) = Connection().receive(headers().replace(b": unknown", b": \xff"))
    assert isinstance(request, Request)
    connection = Connection()
    connection.receive(headers())
    connection.send("GET VARIABLE", "X")
    assert connection.receive(b"200 result=1 (\xff)\n") == [Reply(200, "1", "\ufffd")]


def test_a_line_break_in_an_argument_is_refused() -> None:
    """Panoramisk: sent as it is; the second line is a command of its own."""
    connection = Connection()
    connection.receive(headers())
    with pytest.raises(MisuseError):
        connection.send("SET VARIABLE", "NAME", 'x"\nEXEC System "reboot')


def _reply(event: object) -> bool:
    return isinstance(event, Reply)


async def loop_lag() -> float:
    began = time.monotonic()
    await asyncio.sleep(0.01)
    return time.monotonic() - began
