"""A caller's RTP over a rough network: packets lost, late, overtaken; and echoes.

Which packet arrives when is drawn from a seed before the call, so that the same call
can be heard offline, packet by packet.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
import struct
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pbx.simulator.voices import from_alaw
from tests.bench.sound import alaw

FRAME_SECONDS = 0.02
FRAME_SAMPLES = 160
LONGEST_SECONDS = 90.0
"""No call of ours lasts longer."""

_ALAW = 8
_HEADER_BYTES = 12


@dataclass(frozen=True, slots=True)
class Network:
    """What packets meet on their way to the city."""

    loss: float = 0.02
    """Share of packets that never arrive."""
    jitter_seconds: float = 0.04
    """Each is late by up to so much; a queue keeps their order …"""
    overtaken: float = 0.005
    """… but for this share, which the next packet overtakes."""

    def arrivals(self, count: int, dice: random.Random) -> list[tuple[float, int]]:
        """(seconds, number) of every packet that arrives, in order of arrival."""
        times: list[float] = []
        numbers: list[int] = []
        for number in range(count):
            late = dice.uniform(0.0, self.jitter_seconds)
            if dice.random() >= self.loss:
                due = number * FRAME_SECONDS + late
                times.append(max(due, times[-1]) if times else due)
                numbers.append(number)
        for i in range(len(numbers) - 1):
            if numbers[i] < numbers[i + 1] and dice.random() < self.overtaken:
                numbers[i], numbers[i + 1] = numbers[i + 1], numbers[i]
        return list(zip(times, numbers, strict=True))


PERFECT = Network(loss=0.0, jitter_seconds=0.0, overtaken=0.0)


class Sound(Protocol):
    """What goes into a phone."""

    def frame(self, number: int) -> bytes:
        """20 ms of A-law, the `number`th since the call was answered."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording, then something that goes on for ever."""

    once: bytes
    for_ever: bytes

    def frame(self, number: int) -> bytes:
        """The recording's frame, or one of what follows."""
        at, sound = number * FRAME_SAMPLES, self.once
        if at + FRAME_SAMPLES > len(self.once):
            first = len(self.once) // FRAME_SAMPLES
            sound = self.for_ever
            at = (number - first) * FRAME_SAMPLES % (len(sound) - FRAME_SAMPLES + 1)
            at -= at % FRAME_SAMPLES
        return sound[at : at + FRAME_SAMPLES]


@dataclass(frozen=True, slots=True)
class Sent:
    """One packet that really left."""

    at: float
    """Monotonic seconds."""
    number: int
    payload: bytes


class RtpPhone:
    """One phone's RTP, as `tests.bench.telephony.caller.Stream`."""

    def __init__(
        self,
        address: str,
        sound: Sound,
        network: Network = PERFECT,
        *,
        seed: int = 112,
        echo: Echo | None = None,
    ) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((address, 0))
        self._sound = sound
        self._echo = echo
        count = int(LONGEST_SECONDS / FRAME_SECONDS)
        self._arrivals = network.arrivals(count, random.Random(seed))
        self._source = secrets.randbits(32)
        self.sent: list[Sent] = []

    @property
    def port(self) -> int:
        """Where we hear."""
        return int(self._socket.getsockname()[1])

    def heard_offline(self, seconds: float) -> list[bytes | None]:
        """What a call of so long is heard to be, one frame each 20 ms; None: none came.

        16-bit audio, by the facts of `handed_on`. Without the echo, which nobody knows
        before the call.
        """
        frames: list[bytes | None] = [None] * int(seconds / FRAME_SECONDS)
        last = -1
        for _, number in self._arrivals:
            if last < number < len(frames):
                frames[number] = from_alaw(self._sound.frame(number)).tobytes()
                last = number
        return frames

    def handed_on(self) -> list[Sent]:
        """What Asterisk makes of it (proved by test_rough_rtp.py): each packet is 20 ms
        the moment it comes; one that was overtaken is dropped; nothing fills a gap."""
        kept: list[Sent] = []
        for packet in self.sent:
            if not kept or packet.number > kept[-1].number:
                kept.append(packet)
        return kept

    @property
    def latest_seconds(self) -> float:
        """How late the latest packet left, beyond what the network was to cost."""
        if not self.sent:
            return 0.0
        begin = self.sent[0].at - self._arrivals[0][0]
        pairs = zip(self.sent, self._arrivals, strict=False)
        return max(sent.at - begin - due for sent, (due, _) in pairs)

    async def run(self, to: tuple[str, int]) -> None:
        """Send until cancelled; with an echo, hear as well."""
        loop = asyncio.get_running_loop()
        begin = time.monotonic()
        if self._echo is not None:
            self._echo.begin(begin)
            loop.add_reader(self._socket, self._hear)
        try:
            for due, number in self._arrivals:
                if (rest := begin + due - time.monotonic()) > 0:
                    await asyncio.sleep(rest)
                self._send(number, begin, to)
            raise RuntimeError(f"a call of more than {LONGEST_SECONDS:g} s")
        finally:
            loop.remove_reader(self._socket)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send(self, number: int, begin: float, to: tuple[str, int]) -> None:
        payload = self._sound.frame(number)
        if self._echo is not None:
            payload = self._echo.mixed(payload, begin + number * FRAME_SECONDS)
        header = struct.pack(
            "!BBHII",
            0x80,
            _ALAW,
            number & 0xFFFF,
            number * FRAME_SAMPLES,
            self._source,
        )
        try:
            self._socket.sendto(header + payload, to)
        except OSError:  # the far end has gone: a real phone would not notice either
            return
        self.sent.append(Sent(time.monotonic(), number, payload))

    def _hear(self) -> None:
        assert self._echo is not None
        try:
            packet = self._socket.recv(2048)
        except OSError:
            return
        if len(packet) > _HEADER_BYTES and packet[1] & 0x7F == _ALAW:
            self._echo.hear(packet[_HEADER_BYTES:], time.monotonic())


class Echo:
    """A loudspeaker and its microphone: what comes in goes out again, later, softer."""

    def __init__(self, *, level_db: float = -20.0, delay_seconds: float = 0.15) -> None:
        self._gain = 10.0 ** (level_db / 20.0)
        self._delay = delay_seconds
        self._begin = 0.0
        self._heard = np.zeros(int(LONGEST_SECONDS * 8000), np.int16)
        self._end = 0

    def begin(self, at: float) -> None:
        """The call begins at this monotonic time."""
        self._begin = at

    def hear(self, payload: bytes, at: float) -> None:
        """A packet came: played right after the one before, anew after a gap."""
        samples = from_alaw(payload)
        now = int((at - self._begin) * 8000)
        start = self._end if abs(now - self._end) < 800 else now
        if start >= 0 and start + samples.size <= self._heard.size:
            self._heard[start : start + samples.size] = samples
            self._end = start + samples.size

    def mixed(self, payload: bytes, at: float) -> bytes:
        """What the microphone hears at this time: its own sound and the echo."""
        start = int((at - self._begin - self._delay) * 8000)
        if start < 0:
            return payload
        own = from_alaw(payload).astype(np.float64)
        echo = self._heard[start : start + own.size] * self._gain
        both = np.clip(np.round(own + echo), -32768, 32767)
        return alaw(both.astype(np.int16))
