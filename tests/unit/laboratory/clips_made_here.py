"""Tiny folders of recorded callers: a voice, silence, a prompt that leaks."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.unit.laboratory import mini_corpus

RATE = 8000
Samples = NDArray[np.int16]
HEADER = ("path", "label", "class", "group", "snr", "codec", "speech_start", "prompt")


@cache
def voice() -> Samples:
    """A second of espeak-ng's."""
    said = mini_corpus.spoken("Tolong, ada kebakaran di rumah saya.")[:RATE]
    return (said / np.abs(said).max() * 9000).astype(np.int16)


def hiss(seconds: float, size: float = 6.0, seed: int = 1) -> Samples:
    """A quiet open line."""
    noise = np.random.default_rng(seed).normal(0, size, int(seconds * RATE))
    return noise.astype(np.int16)


def called(seconds: float = 3.0, at: float = 1.0) -> Samples:
    """Somebody who speaks `at` seconds after the call began."""
    line = hiss(seconds)
    place = int(at * RATE)
    said = voice()[: line.size - place]
    line[place : place + said.size] += said
    return line


def save(
    path: Path, samples: Samples | NDArray[np.float64], *, subtype: str = "ALAW"
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype=subtype)


def corpus(folder: Path) -> Path:
    """Six clips of six recordings; one with our prompt coming back."""
    prompt = voice()[::-1].copy()
    save(folder / "prompts/id_menu.flac", prompt, subtype="PCM_16")
    late = np.roll(np.tile(prompt, 3)[: 3 * RATE], 1200) // 8
    save(folder / "a/voice.wav", called())
    save(folder / "a/mulaw.wav", called(at=0.5), subtype="ULAW")
    save(folder / "a/silence.wav", np.zeros(3 * RATE, np.int16))
    save(folder / "a/quiet.wav", hiss(3.0), subtype="PCM_16")
    save(folder / "a/echo.wav", late.astype(np.int16) + hiss(3.0))
    save(folder / "a/bump.wav", hiss(3.0, seed=3))
    write_manifest(
        folder,
        [
            ("a/voice.wav", "speech", "utterance", "anna", "", "pcma", "1.0", ""),
            ("a/mulaw.wav", "speech", "utterance", "budi", "5", "pcmu", "0.5", ""),
            ("a/silence.wav", "ghost", "digital_silence", "s", "", "pcma", "", ""),
            ("a/quiet.wav", "ghost", "music", "q", "", "pcma", "", ""),
            ("a/echo.wav", "distant", "tv_speech", "e", "", "pcma", "", "menu.wav"),
            ("a/bump.wav", "ambiguous", "bump", "b", "", "pcma", "", ""),
        ],
    )
    return folder


def write_manifest(
    folder: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(header)
        out.writerows(rows)
    return path
