"""What listening to one call costs: our whole detector beside voice detectors alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pbx.simulator.voices import decode_wav
from tests.bench.children import child, python
from tests.bench.figures import Figure, median_of, ratio
from tests.bench.listening import (
    GHOSTFILTER,
    LISTENERS,
    PROMPT_FROM,
    SILERO,
    WEBRTCVAD,
    available,
)
from tests.bench.row import Bench, BenchError, Result, Row

ROUNDS = 5
SECONDS = 60.0
ECHO_DB = -20.0
_RATE = 8000
_PROMPT = (
    "Anda terhubung dengan layanan darurat satu satu dua. Tekan angka berapa saja, "
    "atau bicaralah, dan petugas akan menjawab Anda."
)
_CALLER = "Tolong, ada kebakaran di pasar, cepat kirim pemadam ke jalan Dhoho."
_DEADLINE_SECONDS = 120.0

Samples = NDArray[np.float64]


async def measure(bench: Bench) -> Result:
    """Each listener in turn, every round in a fresh process."""
    rounds, seconds = (2, 20.0) if bench.quick else (ROUNDS, SECONDS)
    bench.tell("espeak-ng speaks", 0.0)
    call = bench.scratch / "call.raw"
    _record(call, seconds)
    names = available()
    found: dict[str, list[float]] = {name: [] for name in names}
    turns = [name for _ in range(rounds) for name in names]
    for done, name in enumerate(turns):
        bench.tell(f"{name}, round {done // len(names) + 1}", done / len(turns))
        argv = python("tests.bench.listening", name, str(call))
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        log = bench.scratch / f"{name}.log"
        async with child(argv, log, answers=True, environment=one_thread) as ears:
            answer = await ears.answer(deadline_seconds=_DEADLINE_SECONDS)
        found[name].append(answer["ms_per_second"])
    missing = [
        f"{name} is not installed (extra `rivals`): not measured"
        for name in LISTENERS
        if name not in names
    ]
    return Result(tuple(_figures(found)), tuple(missing))


def _figures(found: dict[str, list[float]]) -> list[Figure]:
    titles = {
        GHOSTFILTER: "all signals of the filter",
        WEBRTCVAD: "webrtcvad alone, mode 2",
        SILERO: "Silero VAD 8 kHz, ONNX Runtime",
    }
    figures = [median_of(titles[name], each, "ms") for name, each in found.items()]
    ours = found.pop(GHOSTFILTER)
    return figures + [
        ratio(f"{titles[GHOSTFILTER]} : {titles[name]}", ours, theirs)
        for name, theirs in found.items()
    ]


def _record(call: Path, seconds: float) -> None:
    """A call of silence, noise, our prompt's echo and a voice, in turn; and the prompt.

    Raises BenchError without espeak-ng.
    """
    prompt, voice = _speak(_PROMPT), _speak(_CALLER)
    rng = np.random.default_rng(112)
    line = rng.normal(0, 10 ** (-65 / 20), int(seconds * _RATE))
    _lay(line, prompt * 10 ** (ECHO_DB / 20), PROMPT_FROM * 160 + 800)
    third = line.size // 3
    line[third : 2 * third] += rng.normal(0, 10 ** (-35 / 20), third)
    for at in range(third // 2, line.size, voice.size + 2 * _RATE):
        _lay(line, voice * 10 ** (-12 / 20), at)
    call.write_bytes(_pcm(line))
    call.with_suffix(".prompt").write_bytes(_pcm(prompt))


def _lay(line: Samples, sound: Samples, at: int) -> None:
    part = sound[: line.size - at]
    line[at : at + part.size] += part


def _pcm(samples: Samples) -> bytes:
    whole = samples[: samples.size // 160 * 160]
    return (np.clip(whole, -1, 1) * 32767).astype("<i2").tobytes()


def _speak(text: str) -> Samples:
    tool = shutil.which("espeak-ng")
    if tool is None:
        raise BenchError("espeak-ng is missing; run `gerbang install --dev`")
    argv = [tool, "-v", "id", "--stdout", text]
    spoken = subprocess.run(argv, capture_output=True, check=True, timeout=20).stdout
    return decode_wav(spoken, source="espeak-ng") / 32768.0


ROW = Row(
    "ghostfilter",
    "CPU for listening to one call",
    f"""A call of {SECONDS:g} s made here: a quiet line, our prompt coming back at
    {-ECHO_DB:g} dB below what was sent, a synthetic voice again and again, a third of
    it in noise at -35 dBFS. Each listener hears it in frames of 20 ms (Silero in its
    32 ms), every round in a fresh process with one thread; CPU of that process while it
    listens, per second of audio. *All signals* is the whole detector as a call uses it:
    echo of our prompt, spectra, net, tones, knocks, webrtcvad. {ROUNDS} rounds in
    turn.""",
    measure,
)
