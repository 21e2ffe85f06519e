"""The only place that touches webrtcvad."""

from __future__ import annotations

import webrtcvad

MODE = 2
"""Aggressiveness 0…3; the net has learned what this one says."""

SAMPLE_RATE = 8000
FRAME_SAMPLES = 160
FRAME_BYTES = 2 * FRAME_SAMPLES
"""20 ms of signed 16-bit little-endian samples, as AudioSocket delivers them."""


class Vad:
    """webrtcvad's opinion, frame by frame. It adapts: one instance a call."""

    __slots__ = ("_vad",)

    def __init__(self, mode: int = MODE) -> None:
        self._vad = webrtcvad.Vad(mode)

    def is_speech(self, frame: bytes) -> bool:
        """Whether these 20 ms sound like speech.

        Tones and loud noise do, too: it is one witness among several. Raises
        webrtcvad's own error for any other length than 320 bytes.
        """
        return bool(self._vad.is_speech(frame, SAMPLE_RATE))

    def are_speech(self, frames: list[bytes]) -> list[bool]:
        """The same of several frames in a row."""
        is_speech = self._vad.is_speech
        # Told their length, it does not count it: 0.15 µs a frame.
        return [is_speech(frame, SAMPLE_RATE, FRAME_SAMPLES) for frame in frames]
