"""An Asterisk that places one call into an intake: real AGI and real AudioSocket over
real sockets, as res_agi.c and app_audiosocket.c speak them, and nothing else of it.

The real proof stands beside it in `tests/calls/`; this one is fast and can misbehave.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs
from uuid import UUID

FRAME = 320
SILENCE = bytes(FRAME)
FRAME_SECONDS = 0.02


@dataclass(slots=True)
class Caller:
    """What the caller does. `audio` is 8 kHz 16-bit; silence follows it."""

    audio: bytes = b""
    audio_from_seconds: float = 0.0
    background: bytes = SILENCE
    """One frame, repeated while nothing else is said."""
    key: str | None = None
    key_at_seconds: float = 0.0
    hangs_up_at_seconds: float | None = None
    has_media: bool = True
    resets_at_seconds: float | None = None
    """The AudioSocket connection is reset at this time; the caller stays."""
    idle_operators: str = "0"
    """What `QUEUE_MEMBER` says when the flow has ended."""
    frame_bytes: int = FRAME
    """How the trunk packs audio: 160 is 10 ms, 480 is 30 ms."""


@dataclass(slots=True)
class CallResult:
    """What the dialplan would find after `AGI()`, and what the journal would hold."""

    variables: dict[str, str] = field(default_factory=dict)
    facts: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    audio: bytearray = field(default_factory=bytearray)
    """Everything the caller was sent."""
    audio_times: list[float] = field(default_factory=list)
    """Loop time at which each frame came."""
    audio_began: float = 0.0
    """Loop time at which the caller named himself; no frame of ours can be earlier."""
    exec_result: int | None = None
    hung_up: bool = False

    def fact(self, name: str) -> dict[str, str]:
        """The one fact of that name."""
        (found,) = [values for told, values in self.facts if told == name]
        return found


VARIABLES = {
    "agi_network": "yes",
    "agi_network_script": "intake",
    "agi_request": "agi://127.0.0.1/intake",
    "agi_channel": "PJSIP/carrier-00000001",
    "agi_language": "id",
    "agi_type": "PJSIP",
    "agi_uniqueid": "kediri-1-1763756000.12",
    "agi_version": "22.10.1",
    "agi_callerid": "081234567678",
    "agi_calleridname": "unknown",
    "agi_dnid": "112",
    "agi_enhanced": "0.0",
    "agi_arg_1": "112",
    "agi_arg_2": "filter0",
    "agi_arg_3": "carrier",
    "agi_arg_4": "0",
    "agi_arg_5": "60",
    "agi_arg_6": "0",
}


def headers(**changed: str | None) -> bytes:
    """What Asterisk sends first, with some variables changed or (None) left out."""
    said = (VARIABLES | changed).items()
    lines = [f"{k}: {v}\n" for k, v in said if v is not None]
    return "".join(lines).encode() + b"\n"


async def place_call(
    agi_port: int,
    caller: Caller | None = None,
    *,
    on_command: Callable[[str], str | None] = lambda _: None,
    deadline_seconds: float = 60.0,
    **variables: str | None,
) -> CallResult:
    """One call from connect to the end of AGI. `on_command` may give another answer."""
    async with asyncio.timeout(deadline_seconds):
        reader, writer = await asyncio.open_connection("127.0.0.1", agi_port)
        try:
            writer.write(headers(**variables))
            return await _Dialogue(caller or Caller(), reader, writer, on_command).run()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class _Dialogue:
    def __init__(
        self,
        caller: Caller,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_command: Callable[[str], str | None],
    ) -> None:
        self.caller = caller
        self.reader = reader
        self.writer = writer
        self.on_command = on_command
        self.result = CallResult()

    async def run(self) -> CallResult:
        with contextlib.suppress(ConnectionError):
            while line := await self.reader.readline():
                command = line.decode().rstrip("\n")
                self.result.commands.append(command)
                reply = self.on_command(command)
                if reply is None:
                    reply = await self._execute(command)
                self.writer.write(f"{reply}\n".encode())
                if self.result.hung_up:
                    break  # AGIEXITONHANGUP=yes: that reply was the last word
        return self.result

    async def _execute(self, command: str) -> str:
        words = parse_args(command)
        match words:
            case ["SET", "VARIABLE", name, value]:
                self.result.variables[name] = value
                return "200 result=1"
            case ["EXEC", "AudioSocket", data]:
                uuid, _, address = data.partition(",")
                result = await self._audio(UUID(uuid), int(address.rpartition(":")[2]))
                self.result.exec_result = result
                return f"200 result={result}"
            case ["EXEC", "CELGenUserEvent", data]:
                name, _, extra = data.partition(",")
                assert '"' not in extra
                assert "," not in extra
                values = parse_qs(extra, keep_blank_values=True, strict_parsing=True)
                self.result.facts.append((name, {k: v[0] for k, v in values.items()}))
                return "200 result=0"
            case ["GET", "FULL", "VARIABLE", asked] if "QUEUE_MEMBER(" in asked:
                return f"200 result=1 ({self.caller.idle_operators})"
            case _:
                return "510 Invalid or unknown command"

    async def _audio(self, uuid: UUID, port: int) -> int:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return -1
        writer.write(b"\x01\x00\x10" + uuid.bytes)
        began = self.result.audio_began = asyncio.get_running_loop().time()
        talk = asyncio.create_task(self._talk(writer, began))
        hear = asyncio.create_task(self._hear(reader))
        try:
            await asyncio.wait({talk, hear}, return_when=asyncio.FIRST_COMPLETED)
            return hear.result() if hear.done() else -1
        finally:
            talk.cancel()
            hear.cancel()
            await asyncio.gather(talk, hear, return_exceptions=True)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _talk(self, writer: asyncio.StreamWriter, began: float) -> None:
        """The caller, in real time, until he leaves or the line is reset."""
        loop = asyncio.get_running_loop()
        frames = self._frames()
        pressed = self.caller.key is None
        step = self.caller.frame_bytes / FRAME * FRAME_SECONDS
        count = 0
        while True:
            now = count * step
            await asyncio.sleep(began + now - loop.time())
            if _is_due(self.caller.hangs_up_at_seconds, now):
                self.result.hung_up = True
                return
            if _is_due(self.caller.resets_at_seconds, now):
                sock = writer.get_extra_info("socket")
                sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: RST
                writer.transport.abort()
                return
            if not pressed and now >= self.caller.key_at_seconds:
                pressed = True
                assert self.caller.key is not None
                writer.write(b"\x03\x00\x01" + self.caller.key.encode())
            if self.caller.has_media:
                data = next(frames)
                writer.write(b"\x10" + len(data).to_bytes(2, "big") + data)
            count += 1

    def _frames(self) -> Iterator[bytes]:
        size = self.caller.frame_bytes
        quiet = (self.caller.background * 4)[:size]
        before = int(self.caller.audio_from_seconds * 16000 / size)
        for _ in range(before):
            yield quiet
        audio = self.caller.audio
        for at in range(0, len(audio) - size + 1, size):
            yield audio[at : at + size]
        while True:
            yield quiet

    async def _hear(self, reader: asyncio.StreamReader) -> int:
        """What comes down the socket, as res_audiosocket.c reads it."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                kind, length = struct.unpack(">BH", await reader.readexactly(3))
                if kind == 0:
                    return 0
                payload = await reader.readexactly(length)
                if kind != 0x10 or length < 1:
                    return -1
                self.result.audio += payload
                self.result.audio_times.append(loop.time())
        except asyncio.IncompleteReadError as error:
            return -1 if error.partial else 0  # closed between frames: a graceful end
        except ConnectionError:
            return -1


def _is_due(at: float | None, now: float) -> bool:
    return at is not None and now >= at


def parse_args(line: str) -> list[str]:
    """Words of an AGI command as res_agi.c's `parse_args` cuts them."""
    words = re.findall(r'"((?:\\.|[^"\\])*)"|(\S+)', line)
    return [re.sub(r"\\(.)", r"\1", a) if a or not b else b for a, b in words]
