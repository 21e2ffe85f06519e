"""What a prompt is to the thinking rooms: a name and a length."""

from __future__ import annotations

SAMPLE_RATE = 8000
BYTES_PER_SAMPLE = 2


def seconds_of(pcm: bytes) -> float:
    """Length of telephone audio (8 kHz, 16-bit, mono) in seconds."""
    return len(pcm) / (SAMPLE_RATE * BYTES_PER_SAMPLE)
