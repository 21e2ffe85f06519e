"""A played call as a WAV: left what the caller sent, right what we said."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from pbx.laboratory.dialogue.line import FRAME_SAMPLES
from pbx.laboratory.dialogue.run import Played
from pbx.laboratory.dialogue.sounds import RATE


def write_call(path: Path, played: Played) -> None:
    """Write 8 kHz stereo, whole or not at all. Raises OSError."""
    nothing = bytes(2 * FRAME_SAMPLES)
    caller = np.frombuffer(b"".join(f or nothing for f in played.frames), "<i2")
    ours = np.zeros(caller.size, "<i2")
    for at, pcm in played.prompts:
        prompt = np.frombuffer(pcm, "<i2")[: ours.size - at]
        ours[at : at + prompt.size] = prompt
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    with wave.open(str(scratch), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.stack((caller, ours), axis=1).tobytes())
    scratch.replace(path)
