"""A caller who waits for a prompt's last word and acts at a moment after it."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
import time
from dataclasses import dataclass

import numpy as np

from pbx.simulator.voices import Samples, from_alaw
from tests.bench.sound import alaw, quiet_line

FRAME_SECONDS = 0.02
_FRAME = 160
_ALAW, _EVENT = 8, 101
_HEADER_BYTES = 12
_LOUD = 1000
"""Peak of a frame in which a prompt speaks; A-law silence peaks at 8."""
_PAUSE_SECONDS = 0.9
"""Longer than any within a prompt, shorter than what the filter waits after one."""
_KEY_FRAMES = 6
"""120 ms, a quick thumb's."""
_END_REPEATS = 2
"""RFC 4733 2.5.1.4: the end is said three times."""
_QUIET = quiet_line(1.0)


@dataclass(frozen=True, slots=True)
class Moment:
    """So long after the last word of the nth prompt; before it, if negative."""

    seconds: float
    prompt: int
    spoken_seconds: float
    """From the prompt's first word to the end of its last: `spoken_seconds`."""


class LatePhone:
    """A phone on a quiet line, a stream as `tests.bench.telephony.caller.Stream`.

    `act` is what it does at `moment`: A-law to play, a key (RFC 4733) or nothing.
    """

    def __init__(self, address: str, moment: Moment, act: bytes | str | None) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((address, 0))
        self._moment, self._act = moment, act
        self._source = secrets.randbits(32)
        self._number = 0
        self._prompts, self._loud_at, self._began_at = 0, 0.0, 0.0
        self.acted_seconds: float | None = None
        """How long after the last word it really began to act."""

    @property
    def port(self) -> int:
        """Where we hear."""
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    async def run(self, to: tuple[str, int]) -> None:
        """Send until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._hear)
        due = time.monotonic()
        frames = iter(_packets(None))
        try:
            while True:
                if self._is_due():
                    self.acted_seconds = time.monotonic() - self._last_word()
                    frames = iter(_packets(self._act))
                kind, mark, age, payload = next(frames, (_ALAW, 0, 0, self._quiet()))
                self._send(to, kind, mark, age, payload)
                due += FRAME_SECONDS
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        finally:
            loop.remove_reader(self._socket)

    def _last_word(self) -> float:
        return self._began_at + self._moment.spoken_seconds

    def _is_due(self) -> bool:
        return (
            self.acted_seconds is None
            and self._prompts == self._moment.prompt
            and time.monotonic() >= self._last_word() + self._moment.seconds
        )

    def _quiet(self) -> bytes:
        at = self._number * _FRAME % len(_QUIET)
        return _QUIET[at : at + _FRAME]

    def _send(
        self, to: tuple[str, int], kind: int, mark: int, age: int, payload: bytes
    ) -> None:
        head = struct.pack(
            "!BBHII",
            0x80,
            mark | kind,
            self._number & 0xFFFF,
            (self._number - age) * _FRAME,
            self._source,
        )
        self._number += 1
        try:
            self._socket.sendto(head + payload, to)
        except OSError:  # the far end has gone: a real phone would not notice either
            return

    def _hear(self) -> None:
        try:
            packet = self._socket.recv(2048)
        except OSError:
            return
        if packet[1] & 0x7F != _ALAW:
            return
        if np.abs(from_alaw(packet[_HEADER_BYTES:])).max(initial=0) < _LOUD:
            return
        now = time.monotonic()
        if now - self._loud_at > _PAUSE_SECONDS:
            self._prompts, self._began_at = self._prompts + 1, now
        self._loud_at = now


def _packets(act: bytes | str | None) -> list[tuple[int, int, int, bytes]]:
    """(payload type, marker, frames since it began, payload) of each packet to send."""
    if act is None:
        return []
    if isinstance(act, bytes):
        cut = range(0, len(act) - _FRAME + 1, _FRAME)
        return [(_ALAW, 0, 0, act[at : at + _FRAME]) for at in cut]
    packets = []
    for n in range(_KEY_FRAMES + _END_REPEATS):
        is_over = 0x80 * (n >= _KEY_FRAMES - 1)
        lasted = _FRAME * min(n + 1, _KEY_FRAMES)
        event = struct.pack("!BBH", "0123456789*#".index(act), is_over | 10, lasted)
        mark = 0x80 * (n == 0)
        packets.append((_EVENT, mark, n, event))
    return packets


def spoken_seconds(prompt: Samples) -> float:
    """From a prompt's first loud sample to its last, as `LatePhone` hears it."""
    loud = np.flatnonzero(np.abs(prompt) >= _LOUD)
    return float(loud[-1] - loud[0]) / 8000


def tone(seconds: float, *hertz: float) -> Samples:
    """Sines together, 500 Hz if none is named, at about −17 dBFS each."""
    at = np.arange(int(seconds * 8000)) / 8000
    sound: Samples = np.zeros(at.size, np.int16)
    for frequency in hertz or (500.0,):
        sound += (np.sin(2 * np.pi * frequency * at) * 6000).astype(np.int16)
    return sound


def tone_of_key_5(seconds: float) -> bytes:
    """Its two tones (ITU-T Q.23) as A-law, as where the event got lost."""
    return alaw(tone(seconds, 770.0, 1336.0))


def spoken(seconds: float) -> bytes:
    """A voice without a breath in it, as A-law: noise with the roll of syllables."""
    at = np.arange(int(seconds * 8000)) / 8000
    roll = 0.75 + 0.25 * np.sin(2 * np.pi * 4 * at)
    noise = np.random.default_rng(112).normal(0.0, 2000.0, at.size)
    return alaw(np.clip(noise * roll, -32000, 32000).astype(np.int16))
