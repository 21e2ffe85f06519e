"""One caller's audio: what Asterisk sends comes up, prompts and silence go down.

Asterisk plays whatever comes as it comes, so pacing is ours: one 20 ms frame after the
other on absolute deadlines, at most `AHEAD_SECONDS` early, prompt or silence, without a
pause (an idle peer makes Asterisk spin, asterisk#2089).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast
from uuid import UUID

from agi import frames
from agi.doorkeeper import Doorkeeper
from agi.frames import FRAME_SECONDS
from agi.pacer import Pacer

AHEAD_SECONDS = 0.06
"""Three frames in flight: covers a late loop; a prompt stops 60 ms after the word."""
LATE_SECONDS = 0.2
"""Later than this we skip instead of pouring the backlog into the caller's ear."""
BUFFER_BYTES = 16 * frames.WIRE_BYTES
"""320 ms written and not taken by the system: Asterisk has stopped reading."""


class Ear:
    """What a call does with its audio. Called from the loop; must be quick."""

    def hear(self, frame: bytes) -> None:
        """20 ms came from the caller: 320 bytes."""

    def press(self, key: str) -> None:
        """A key was pressed."""

    def prompt_ended(self) -> None:
        """The prompt was played to its end."""

    def audio_ended(self) -> None:
        """The connection is gone."""


class AudioLine(asyncio.Protocol):
    """One AudioSocket connection. `expected` gives the ear for a UUID, or None."""

    def __init__(
        self,
        door: Doorkeeper,
        pacer: Pacer,
        expected: Callable[[UUID, AudioLine], Ear | None],
        on_violation: Callable[[str], None],
    ) -> None:
        self._door = door
        self._pacer = pacer
        self._expected = expected
        self._on_violation = on_violation
        self._reader = frames.Reader()
        self._transport: asyncio.Transport | None = None
        self._ear: Ear | None = None
        self._rest = b""
        self._prompt = b""
        self._position = 0
        self._sent_until = 0.0
        self._is_full = False
        self._is_over = False

    @property
    def played_seconds(self) -> float:
        """How much of the current prompt has been sent."""
        return self._position / frames.WIRE_BYTES * FRAME_SECONDS

    def play(self, wire: bytes) -> None:
        """Play a prompt (`frames.for_the_wire`) from its beginning, in place of any."""
        self._prompt, self._position = wire, 0
        if not wire:
            # A missing prompt is a silence of no length.
            asyncio.get_running_loop().call_soon(self._prompt_over)

    def stop(self) -> None:
        """Be silent, from the next frame on."""
        self._prompt, self._position = b"", 0

    def end(self) -> None:
        """Tell Asterisk to leave the application; it closes the connection then."""
        if not self._is_over and self._transport is not None:
            self._pacer.remove(self)
            self._transport.write(frames.END)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def turn_away(self, why: str) -> None:
        """The doorkeeper's word."""
        self.abort()

    def send_due(self, now: float) -> None:
        """Send what is due at loop time `now`; called by the pacer."""
        if now - self._sent_until > LATE_SECONDS:
            self._sent_until = now
        count = int((now + AHEAD_SECONDS - self._sent_until) / FRAME_SECONDS + 1e-6)
        if count <= 0:
            return
        self._sent_until += count * FRAME_SECONDS
        if self._is_full:
            return  # Asterisk does not read: lost, not queued
        self._write(count)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected; Asterisk will say its UUID at once."""
        # A cast: uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(
            high=BUFFER_BYTES, low=frames.WIRE_BYTES
        )
        self._door.admit(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        try:
            for kind, payload in self._reader.feed(data):
                self._take(kind, payload)
        except frames.BrokenError as error:
            self._violated(str(error))

    def pause_writing(self) -> None:
        """Asterisk does not read."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Asterisk reads again."""
        self._is_full = False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: hung up, reset, or ended by us."""
        self._is_over = True
        self._door.forget(self)
        self._pacer.remove(self)
        if (ear := self._ear) is not None:
            self._ear = None
            ear.audio_ended()

    def _take(self, kind: int, payload: bytes) -> None:
        if self._is_over:
            return
        if self._ear is None:
            self._identify(kind, payload)
        elif kind == frames.AUDIO:
            self._hear(payload)
        elif kind == frames.DIGIT:
            self._ear.press(payload.decode("ascii", "replace"))
        elif kind == frames.IDENTITY:
            self._violated("a second UUID")
        else:
            self.abort()

    def _identify(self, kind: int, payload: bytes) -> None:
        if kind != frames.IDENTITY:
            return self._violated("no UUID first")
        ear = self._expected(UUID(bytes=payload), self)
        if ear is None:
            return self._violated("an unknown UUID")
        self._door.forget(self)
        self._ear = ear
        self._sent_until = asyncio.get_running_loop().time()
        return self._pacer.add(self)

    def _hear(self, payload: bytes) -> None:
        """Hand on frames of 20 ms, however the trunk packs them (10, 30, 60 ms)."""
        assert self._ear is not None  # noqa: S101 - looked at by the only caller
        if not self._rest and len(payload) == frames.AUDIO_BYTES:
            self._ear.hear(payload)
            return
        data = self._rest + payload
        whole = len(data) - len(data) % frames.AUDIO_BYTES
        for at in range(0, whole, frames.AUDIO_BYTES):
            self._ear.hear(data[at : at + frames.AUDIO_BYTES])
        self._rest = data[whole:]

    def _write(self, count: int) -> None:
        assert self._transport is not None  # noqa: S101 - paced only while connected
        if not self._prompt:
            self._transport.write(frames.SILENCE * count)
            return
        end = self._position + count * frames.WIRE_BYTES
        data = self._prompt[self._position : end]
        self._position += len(data)
        self._transport.write(data)
        if self._position >= len(self._prompt):
            missing = count - len(data) // frames.WIRE_BYTES
            if missing:
                self._transport.write(frames.SILENCE * missing)
            self._prompt_over()

    def _prompt_over(self) -> None:
        self._prompt = b""
        if self._ear is not None:
            self._ear.prompt_ended()

    def _violated(self, what: str) -> None:
        self._is_over = True
        self._on_violation(what)
        self.abort()
