"""AGI sessions over real sockets, and everything a peer may do to them."""

from __future__ import annotations

import asyncio
import time

import pytest

from agi.doorkeeper import Doorkeeper
from agi.protocol import MisuseError, Reply, State
from agi.session import Session, SessionBrokenError, SessionEndedError
from tests.fakes.asterisk import headers
from tests.patience import until
from tests.unit.agi.peers import Peer, Port, open_port


async def open_session(port: Port) -> tuple[Session, Peer]:
    peer = await port.connect()
    peer[1].write(headers())
    return await port.session(), peer


async def test_a_command_and_its_reply() -> None:
    async with open_port() as port:
        session, (reader, writer) = await open_session(port)
        command = asyncio.create_task(session.command("SET VARIABLE", "A", "b c"))
        assert await reader.readline() == b'SET VARIABLE "A" "b c"\n'
        writer.write(b"200 result=1\n")
        assert await command == Reply(200, "1")


async def test_a_command_without_reply_breaks_the_session() -> None:
    async with open_port() as port:
        session, (reader, _) = await open_session(port)
        with pytest.raises(SessionBrokenError, match="no reply within"):
            await session.command("NOOP", deadline_seconds=0.05)
        assert session.is_over
        with pytest.raises(SessionBrokenError):
            await session.command("NOOP")
        await reader.readline()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)


async def test_every_command_has_a_deadline_of_its_own() -> None:
    async with open_port() as port:
        session, (reader, writer) = await open_session(port)
        command = asyncio.create_task(session.command("NOOP", deadline_seconds=5))
        await reader.readline()
        writer.write(b"200 result=1\n")
        await command
        began = time.monotonic()
        with pytest.raises(SessionBrokenError, match="no reply within 0.05 s"):
            await session.command("NOOP", deadline_seconds=0.05)
        assert time.monotonic() - began < 4


async def test_the_deadline_is_the_last_commands_not_the_first_ones() -> None:
    async with open_port() as port:
        session, (reader, writer) = await open_session(port)
        command = asyncio.create_task(session.command("NOOP", deadline_seconds=0.05))
        await reader.readline()
        writer.write(b"200 result=1\n")
        await command
        began = time.monotonic()
        with pytest.raises(SessionBrokenError, match="no reply within 0.2 s"):
            await session.command("NOOP", deadline_seconds=0.2)
        assert time.monotonic() - began > 0.19


async def test_a_reply_nobody_waits_for_yet_has_no_deadline() -> None:
    """AudioSocket lasts as long as the caller is heard."""
    async with open_port() as port:
        session, (reader, writer) = await open_session(port)
        command = asyncio.create_task(session.command("NOOP", deadline_seconds=0.05))
        await reader.readline()
        writer.write(b"200 result=1\n")
        await command
        reply = session.begin("EXEC", "AudioSocket")
        await asyncio.sleep(0.15)
        assert not session.is_over
        writer.write(b"200 result=0\n")
        assert await session.finish(reply, 1) == Reply(200, "0")


async def test_garbage_in_reply_breaks_the_session() -> None:
    async with open_port() as port:
        session, (reader, writer) = await open_session(port)
        command = asyncio.create_task(session.command("NOOP"))
        await reader.readline()
        writer.write(b"\x00\xff\n")
        with pytest.raises(SessionBrokenError, match="not a reply"):
            await command
        assert len(port.violations) == 1


async def test_hangup_is_told_at_once_and_once() -> None:
    told = []
    async with open_port() as port:
        session, (_, writer) = await open_session(port)
        session.on_end = lambda: told.append("end")
        writer.write(b"HANGUP\n")
        await until(lambda: told == ["end"])
        assert not session.is_over
        writer.close()
        await until(lambda: session.is_over)
    assert told == ["end"]


@pytest.mark.parametrize("at", range(0, len(headers()), 37))
async def test_a_peer_may_go_anywhere_in_the_headers(at: int) -> None:
    async with open_port() as port:
        _, writer = await port.connect()
        writer.write(headers()[:at])
        await writer.drain()
        await until(lambda: port.door.waiting == 1)
        writer.transport.abort()
        await until(lambda: port.door.waiting == 0)
        assert not port.requests


async def test_a_half_closed_peer_is_a_gone_peer() -> None:
    async with open_port() as port:
        session, (_, writer) = await open_session(port)
        writer.write_eof()
        await until(lambda: session.is_over)
        with pytest.raises(SessionEndedError):
            await session.command("NOOP")


async def test_closing_sends_what_was_written() -> None:
    async with open_port() as port:
        session, (reader, _) = await open_session(port)
        reply = session.begin("NOOP")
        session.close()
        assert await reader.read() == b"NOOP\n"
        with pytest.raises(SessionEndedError):
            await session.finish(reply, 1)


async def test_our_own_mistake_is_ours() -> None:
    async with open_port() as port:
        session, _ = await open_session(port)
        with pytest.raises(MisuseError):
            await session.command("NOOP\n")
        assert not session.is_over


async def test_a_reply_that_comes_after_cancelling_harms_nothing() -> None:
    async with open_port() as port:
        session, (reader, writer) = await open_session(port)
        command = asyncio.create_task(session.command("NOOP"))
        await reader.readline()
        command.cancel()
        writer.write(b"200 result=1\n")
        await until(lambda: session._core.state is State.IDLE)
        again = asyncio.create_task(session.command("NOOP"))
        await reader.readline()
        writer.write(b"200 result=2\n")
        assert await again == Reply(200, "2")


async def test_the_longest_waiting_makes_room() -> None:
    loop = asyncio.get_running_loop()
    door = Doorkeeper(loop.time, chairs=3)
    async with open_port(door) as port:
        first_reader, _ = await port.connect()
        await until(lambda: door.waiting == 1)
        for _ in range(3):
            await port.connect()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await first_reader.readexactly(1)
        assert door.waiting == 3
        assert door.turned.crowded == 1
        await open_session(port)
        assert len(port.requests) == 1
