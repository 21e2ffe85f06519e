"""AudioSocket connections: who may enter, what goes down, and how they break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest

from agi import frames
from agi.audiosocket import AHEAD_SECONDS, BUFFER_BYTES, AudioLine, Ear
from agi.doorkeeper import Doorkeeper
from agi.pacer import Pacer
from tests.patience import until


class Recorder(Ear):
    """Keeps everything it is told."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.keys: list[str] = []
        self.ended: list[str] = []

    def hear(self, frame: bytes) -> None:
        self.frames.append(frame)

    def press(self, key: str) -> None:
        self.keys.append(key)

    def prompt_ended(self) -> None:
        self.ended.append("prompt")

    def audio_ended(self) -> None:
        self.ended.append("audio")


class Hall:
    """One AudioSocket port for tests that expects one caller."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.uuid = uuid4()
        self.ear = Recorder()
        self.line: AudioLine | None = None
        self.door = Doorkeeper(loop.time)
        self.pacer = Pacer()
        self.violations: list[str] = []
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    def expected(self, uuid: UUID, line: AudioLine) -> Ear | None:
        if uuid != self.uuid:
            return None
        self.line = line
        return self.ear

    async def connect(
        self, *first: bytes
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        for data in first:
            writer.write(data)
        await writer.drain()
        return reader, writer

    @property
    def identity(self) -> bytes:
        return b"\x01\x00\x10" + self.uuid.bytes

    async def caller(
        self,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, AudioLine]:
        reader, writer = await self.connect(self.identity)
        await until(lambda: self.line is not None)
        assert self.line is not None
        return reader, writer, self.line


@asynccontextmanager
async def open_hall(*, ticking: bool = True) -> AsyncIterator[Hall]:
    hall = Hall()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: AudioLine(hall.door, hall.pacer, hall.expected, hall.violations.append),
        "127.0.0.1",
        0,
    )
    hall.port = server.sockets[0].getsockname()[1]
    ticker = asyncio.create_task(hall.pacer.run()) if ticking else None
    try:
        yield hall
    finally:
        if ticker is not None:
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)
        server.close()
        for writer in hall.writers:
            writer.transport.abort()
        await server.wait_closed()


async def closed(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(30):
            while await reader.read(4096):
                pass
    except ConnectionError:
        return True
    return True


async def test_a_caller_is_heard_and_hears() -> None:
    async with open_hall() as hall:
        reader, writer, line = await hall.caller()
        writer.write(frames.AUDIO_HEADER + b"\x01\x02" * 160 + b"\x03\x00\x01#")
        await until(lambda: hall.ear.keys == ["#"])
        assert hall.ear.frames == [b"\x01\x02" * 160]
        assert await reader.readexactly(frames.WIRE_BYTES) == frames.SILENCE
        wire = frames.for_the_wire(b"\x07\x00" * 480)
        line.play(wire)
        await until(lambda: hall.ear.ended == ["prompt"])
        data = await reader.readexactly(12 * frames.WIRE_BYTES)
        assert wire in data
        line.end()
        rest = await reader.readuntil(frames.END[:1] + frames.END[1:])
        assert rest.endswith(frames.END)


async def test_audio_packed_otherwise_is_cut_to_20_ms() -> None:
    async with open_hall(ticking=False) as hall:
        _, writer, _ = await hall.caller()
        audio = bytes(range(240)) * 4  # 60 ms
        for size in (160, 480, 320):  # 10, 30 and 20 ms
            writer.write(bytes([frames.AUDIO]) + size.to_bytes(2, "big") + audio[:size])
            audio = audio[size:]
        await until(lambda: len(hall.ear.frames) == 3)
        assert b"".join(hall.ear.frames) == bytes(range(240)) * 4


@pytest.mark.parametrize(
    "first",
    [
        b"\x01\x00\x10" + bytes(16),
        frames.SILENCE,
        b"GET / HTTP/1.1\r\n",
        b"\x03\x00\x010",
    ],
)
async def test_who_is_not_expected_is_closed_and_counted(first: bytes) -> None:
    async with open_hall() as hall:
        reader, _ = await hall.connect(first)
        assert await closed(reader)
        assert len(hall.violations) == 1
        assert hall.door.waiting == 0


@pytest.mark.parametrize(
    "then", ["identity", frames.END, b"\xff\x00\x00", b"\x99\x00\x00", b"\x10\xff\xff"]
)
async def test_a_known_peer_may_turn_bad_at_any_time(then: str | bytes) -> None:
    async with open_hall() as hall:
        reader, writer, _ = await hall.caller()
        writer.write(hall.identity if isinstance(then, str) else then)
        assert await closed(reader)
        await until(lambda: hall.ear.ended == ["audio"])


@pytest.mark.parametrize("at", [1, 2, 3, 10, 18])
async def test_a_peer_may_go_anywhere_in_its_identity(at: int) -> None:
    async with open_hall() as hall:
        _, writer = await hall.connect(hall.identity[:at])
        await until(lambda: hall.door.waiting == 1)
        writer.transport.abort()
        await until(lambda: hall.door.waiting == 0)
        assert hall.ear.ended == []


async def test_nothing_is_said_to_a_line_that_is_gone() -> None:
    async with open_hall() as hall:
        _, writer, line = await hall.caller()
        writer.transport.abort()
        await until(lambda: hall.ear.ended == ["audio"])
        line.play(frames.SILENCE)
        line.stop()
        line.end()
        line.abort()


async def test_a_peer_that_does_not_read_costs_no_memory() -> None:
    async with open_hall(ticking=False) as hall:
        reader, _, line = await hall.caller()
        now = asyncio.get_running_loop().time()
        for i in range(60 * 50 * 5):  # five minutes of audio, never read
            line.send_due(now + i * 0.02)
        assert line._is_full
        assert line._transport is not None
        assert line._transport.get_write_buffer_size() <= BUFFER_BYTES + 4 * 323
        async with asyncio.timeout(30):
            while line._is_full:
                await reader.read(65536)
        before = line._sent_until
        line.send_due(before + 1.0)
        assert line._sent_until > before


async def test_pacing_is_by_the_clock_and_never_pours_a_backlog() -> None:
    async with open_hall(ticking=False) as hall:
        _, _, line = await hall.caller()
        sent: list[int] = []
        line._write = sent.append  # type: ignore[method-assign]
        start = line._sent_until - AHEAD_SECONDS
        for i in range(10):
            line.send_due(start + i * 0.02)
        assert sent == [1] * 9, "one frame a tick, none while far enough ahead"
        sent.clear()
        line.send_due(start + 0.3)  # the loop was held for 120 ms
        assert sent == [6]
        sent.clear()
        line.send_due(start + 60)  # the machine slept
        assert sent == [3]


async def test_a_missing_prompt_has_ended_at_once() -> None:
    async with open_hall(ticking=False) as hall:
        _, _, line = await hall.caller()
        line.play(b"")
        assert hall.ear.ended == [], "not from within the call"
        await until(lambda: hall.ear.ended == ["prompt"])


async def test_a_fault_in_one_line_does_not_silence_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_hall() as hall:
        reader, _, line = await hall.caller()

        def fail(_: int) -> None:
            raise RuntimeError("the handler is closed")

        line._write = fail  # type: ignore[method-assign,assignment]
        assert await closed(reader)
        await until(lambda: hall.ear.ended == ["audio"])
        assert "audio line given up" in caplog.text
        hall.uuid, hall.ear, hall.line = uuid4(), Recorder(), None
        reader, _, _ = await hall.caller()
        assert await reader.readexactly(10 * frames.WIRE_BYTES)


async def test_the_clock_starts_anew_after_a_long_sleep() -> None:
    pacer = Pacer()
    ticker = asyncio.create_task(pacer.run())
    await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    real = loop.time
    try:
        loop.time = lambda: real() + 30  # type: ignore[method-assign]
        await asyncio.sleep(0)
        await until(lambda: pacer.worst_lateness_seconds > 20)
    finally:
        loop.time = real  # type: ignore[method-assign]
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)


def test_an_ear_may_ignore_everything() -> None:
    ear = Ear()
    ear.hear(bytes(320))
    ear.press("0")
    ear.prompt_ended()
    ear.audio_ended()
