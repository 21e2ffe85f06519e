"""A caller's RTP: a packet each 20 ms on absolute deadlines, keys by RFC 4733."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator

FRAME_SECONDS = 0.02
FRAME_BYTES = 160
"""20 ms of A-law at 8 kHz."""

_ALAW, _EVENT = 8, 101
_KEYS = "0123456789*#ABCD"
_KEY_FRAMES = 6
"""120 ms, an ordinary press."""
_VOLUME = 10


class Media:
    """Sends a background without end; a key or a voice takes its place when asked."""

    def __init__(self, address: str, background: bytes) -> None:
        if len(background) < FRAME_BYTES:
            raise ValueError("a background needs at least one frame of 20 ms")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._socket.bind((address, 0))
        self._background = _frames(background)
        self._pending: deque[tuple[Iterator[bytes], asyncio.Future[float]]] = deque()
        self._source = secrets.randbits(32)
        self._sequence = secrets.randbits(15)
        self._clock = secrets.randbits(31)
        self.late_seconds = 0.0
        """How late the latest packet was; a stopwatch must know itself."""

    @property
    def port(self) -> int:
        """Where we hear."""
        return int(self._socket.getsockname()[1])

    def speak(self, voice: bytes) -> asyncio.Future[float]:
        """Send this A-law from the next packet on; resolves to when that one left."""
        return self._queue(self._packet(_ALAW, frame) for frame in _cut(voice))

    def press(self, key: str) -> asyncio.Future[float]:
        """Press a key; resolves to when its first packet left."""
        return self._queue(self._key_packets(_KEYS.index(key)))

    async def run(self, to: tuple[str, int]) -> None:
        """Send for ever; cancelled at the call's end."""
        begin = time.monotonic()
        count = 0
        while True:
            due = begin + count * FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.late_seconds = max(self.late_seconds, time.monotonic() - due)
            self._send_next(to)
            count += 1

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _queue(self, packets: Iterator[bytes]) -> asyncio.Future[float]:
        sent: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._pending.append((packets, sent))
        return sent

    def _send_next(self, to: tuple[str, int]) -> None:
        while self._pending:
            packets, sent = self._pending[0]
            packet = next(packets, None)
            if packet is None:
                self._pending.popleft()
                continue
            self._put(packet, to)
            if not sent.done():
                sent.set_result(time.monotonic())
            return
        self._put(self._packet(_ALAW, next(self._background)), to)

    def _put(self, packet: bytes, to: tuple[str, int]) -> None:
        try:
            self._socket.sendto(packet, to)
        except OSError:  # the far end has gone: a real caller would not notice either
            return

    def _packet(self, kind: int, payload: bytes, *, marker: bool = False) -> bytes:
        packet = self._header(kind, marker=marker) + payload
        self._clock = (self._clock + FRAME_BYTES) & 0xFFFFFFFF
        return packet

    def _header(self, kind: int, *, marker: bool) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFFFF
        return struct.pack(
            "!BBHII",
            0x80,
            kind | marker << 7,
            self._sequence,
            self._clock,
            self._source,
        )

    def _key_packets(self, code: int) -> Iterator[bytes]:
        """One timestamp, growing durations, the end thrice (RFC 4733, 2.5.1)."""
        for count in range(1, _KEY_FRAMES + 3):
            over = count >= _KEY_FRAMES
            duration = min(count, _KEY_FRAMES) * FRAME_BYTES
            payload = struct.pack("!BBH", code, over << 7 | _VOLUME, duration)
            yield self._header(_EVENT, marker=count == 1) + payload
        self._clock = (self._clock + (_KEY_FRAMES + 2) * FRAME_BYTES) & 0xFFFFFFFF


def _cut(sound: bytes) -> Iterator[bytes]:
    for start in range(0, len(sound) - FRAME_BYTES + 1, FRAME_BYTES):
        yield sound[start : start + FRAME_BYTES]


def _frames(sound: bytes) -> Iterator[bytes]:
    """The frames of a sound, again and again."""
    while True:
        yield from _cut(sound)
