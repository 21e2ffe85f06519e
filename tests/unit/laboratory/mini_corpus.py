"""A small folder of recorded callers, made here: espeak-ng's voices, made pockets.

Telephone audio as `pbx.laboratory.corpus` reads it: manifest.csv and 8 kHz WAVs.
"""

from __future__ import annotations

import csv
import io
import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pbx.laboratory.dialogue import sounds
from pbx.laboratory.dialogue.sounds import Samples
from pbx.sounds import active_level_dbfs, into_band

SECONDS = 6.0

WORDS = {
    "utterance": ("Tolong, ada kebakaran di jalan Doho.", "Rumah saya kemasukan ular."),
    "very_short": ("Api!", "Tolong."),
    "anger_shout": ("Cepat! Cepat datang ke sini!", "Awas! Jangan!"),
}
VOICES = ("id+m3", "id+f2")


@dataclass(frozen=True)
class Made:
    """One clip, before it is written."""

    label: str
    kind: str
    samples: Samples
    speech_start: float | None = None


def write(folder: Path) -> Path:
    """Make the folder; some 20 clips in about a second."""
    (folder / "clips").mkdir(parents=True)
    rows = []
    for number, made in enumerate([*_people(), *_whispers(), *_ghosts()]):
        path = f"clips/{made.kind}_{number:02d}.wav"
        _save(folder / path, made.samples)
        start = "" if made.speech_start is None else f"{made.speech_start:.2f}"
        rows.append((path, made.label, made.kind, path, start, ""))
    with (folder / "manifest.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("path", "label", "class", "group", "speech_start", "snr"))
        out.writerows(rows)
    return folder


def spoken(text: str, voice: str = "id") -> Samples:
    """A sentence by espeak-ng, in the telephone band."""
    argv = ["espeak-ng", "-v", voice, "-s", "160", "--stdout", text]
    wav = subprocess.run(argv, capture_output=True, check=True, timeout=20).stdout
    with wave.open(io.BytesIO(wav), "rb") as file:
        rate = file.getframerate()
    raw = np.frombuffer(wav[44:], "<i2").astype(np.float64) / 32768
    return into_band(raw, rate).astype(np.float32)


def _people() -> list[Made]:
    found = []
    for number, (kind, texts) in enumerate(sorted(WORDS.items())):
        for voice, text in zip(VOICES, texts, strict=True):
            dice = np.random.default_rng((number, len(voice), len(text)))
            level = -18.0 if kind == "anger_shout" else float(dice.uniform(-36, -24))
            found.append(_said(kind, _levelled(spoken(text, voice), level), dice))
    return found


def _whispers() -> list[Made]:
    """Espeak-ng's own whisper variant: breath instead of a voice."""
    dice = np.random.default_rng(7)
    whisper = spoken("Tolong saya, dia masih di dalam rumah.", "id+whisper")
    return [_said("whisper_lpc", _levelled(whisper, -34.0), dice)]


def _said(kind: str, voice: Samples, dice: sounds.Dice) -> Made:
    bed = sounds.noise(dice, SECONDS, float(dice.uniform(-68, -58)))
    at = float(dice.uniform(0.6, 2.0))
    sounds.add(sounds.faded(voice), at, bed)
    return Made("speech", kind, bed, at)


def _ghosts() -> list[Made]:
    dice = np.random.default_rng(112)
    quiet = sounds.noise(dice, SECONDS, -70.0)
    t = np.arange(quiet.size, dtype=np.float32) / sounds.RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in (2, 4, 6, 10))
    swell = (1 + 0.5 * np.sin(2 * np.pi * 0.3 * t)).astype(np.float32)
    ring = np.sin(2 * np.pi * 425 * t) * (t % 4.0 < 1.0)
    engine = sum(np.sin(2 * np.pi * 28 * k * t + k) / k for k in range(8, 30))
    return [
        Made("ghost", "digital_silence", sounds.silence(SECONDS)),
        Made("ghost", "room_silence", sounds.noise(dice, SECONDS, -62.0)),
        Made("ghost", "comfort_noise", sounds.noise(dice, SECONDS, -55.0)),
        Made("ghost", "line_hum", quiet + _levelled(np.asarray(hum), -50.0)),
        Made("ghost", "wind", _low(dice, swell, -38.0)),
        Made("ghost", "traffic", _low(dice, swell[::-1], -42.0)),
        Made("ghost", "engine", quiet + _levelled(np.asarray(engine), -40.0)),
        Made("ghost", "rustle", _rustle(dice) + quiet),
        Made("ghost", "ringback", quiet + _levelled(np.asarray(ring), -24.0)),
        Made("ghost", "prompt_echo", quiet),
        Made("distant", "babble_mix", quiet + _babble(dice)),
    ]


def _low(dice: sounds.Dice, swell: Samples, dbfs: float) -> Samples:
    """Noise that falls 9 dB an octave, swelling: wind, a road."""
    white = np.fft.rfft(dice.standard_normal(swell.size))
    hertz = np.fft.rfftfreq(swell.size, 1 / sounds.RATE)
    red = np.fft.irfft(white / np.maximum(hertz, 150) ** 1.5, swell.size)
    return _levelled((red * swell).astype(np.float32), dbfs)


def _rustle(dice: sounds.Dice) -> Samples:
    """Cloth over a microphone: soft bursts of noise without a rhythm."""
    out = sounds.silence(SECONDS)
    at = 0.3
    while at < SECONDS - 0.5:
        burst = sounds.noise(dice, float(dice.uniform(0.1, 0.5)), -44.0)
        sounds.add(burst * np.hanning(burst.size).astype(np.float32), at, out)
        at += float(dice.uniform(0.4, 1.2))
    return out


def _babble(dice: sounds.Dice) -> Samples:
    """Four people at once, far away."""
    out = sounds.silence(SECONDS)
    for voice in ("id+m1", "id+f1", "id+m5", "id+f4"):
        said = spoken("Besok pagi kita pergi ke pasar membeli sayur dan ikan.", voice)
        sounds.add(said, float(dice.uniform(0, 1.5)), out)
    far = np.convolve(out, sounds.room(dice))[: out.size].astype(np.float32)
    return _levelled(far, -48.0)


def _levelled(samples: np.ndarray, dbfs: float) -> Samples:  # type: ignore[type-arg]
    """The same with that level while it sounds."""
    now = active_level_dbfs(samples.astype(np.float64))
    return np.asarray(samples * 10 ** ((dbfs - now) / 20), np.float32)


def _save(path: Path, samples: Samples) -> None:
    whole = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sounds.RATE)
        file.writeframes(whole.tobytes())
