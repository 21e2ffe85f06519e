"""Voices that speak texts: free synthesisers, for languages nobody recorded openly.

`material.toml` declares them as [[voice]]: an engine of Debian, its voices, a language
and what they say. A diphone or clustergen voice is a recorded speaker cut and joined;
espeak-ng's are made by rule, many of them, whispers too.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pbx.laboratory.material import MaterialError, Voice

SPEAK_SECONDS = 60.0
"""A sentence takes a tenth of a second; far beyond that an engine is stuck."""
TURNS = 10
"""So many voices of an espeak-ng language; each says as many texts."""


@dataclass(frozen=True, slots=True)
class Saying:
    """One text in one voice, and the file it goes to."""

    voice: str
    text: str
    path: Path


def speak(voice: Voice, texts: Sequence[str], folder: Path) -> list[Saying]:
    """Have `texts` spoken into WAV files in `folder`; those that could be made.

    Raises MaterialError when the engine is missing, or it made nothing at all.
    """
    if shutil.which(_PROGRAMS[voice.engine]) is None:
        raise MaterialError(
            f"{voice.source}: {voice.engine} is missing: "
            f"apt-get install {' '.join(voice.needs)}"
        )
    sayings = [
        Saying(name, text, folder / f"{_key(name, text)}.wav")
        for name, text in _said(voice, texts)
    ]
    for saying in sayings:
        _run(voice, saying)
    made = [one for one in sayings if one.path.exists()]
    if not made:
        raise MaterialError(
            f"{voice.source}: {voice.engine} spoke nothing. Is its voice installed? "
            f"apt-get install {' '.join(voice.needs)}"
        )
    return made


_PROGRAMS = {"espeak-ng": "espeak-ng", "festival": "text2wave", "flite": "flite"}


def _key(name: str, text: str) -> str:
    return hashlib.sha256(f"{name} {text}".encode()).hexdigest()[:16]


def _said(voice: Voice, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Which voice says what: every pair, or for many voices a fair draw."""
    if voice.engine != "espeak-ng":
        yield from itertools.product(voice.voices, texts)
        return
    dice = random.Random(voice.lang)  # noqa: S311 - the same draw every time
    names = [f"{voice.lang}+{variant}" for variant in voice.voices]
    whisperers = [name for name in names if "whisper" in name]
    drawn = dice.sample(names, min(TURNS, len(names)))
    for name in [*dice.sample(whisperers, min(1, len(whisperers))), *drawn]:
        for text in dice.sample(texts, min(len(texts), 4)):
            yield name, text


def _run(voice: Voice, saying: Saying) -> None:
    dice = random.Random(saying.path.name)  # noqa: S311 - the same draw every time
    if voice.engine == "espeak-ng":
        argv = ["espeak-ng", "-v", saying.voice, "-w", str(saying.path)]
        argv += ["-p", str(dice.randint(15, 95)), "-s", str(dice.randint(110, 240))]
        argv.append(saying.text)
        stdin = ""
    elif voice.engine == "flite":
        argv = [
            "flite",
            "-voice",
            saying.voice,
            "-t",
            saying.text,
            "-o",
            str(saying.path),
        ]
        argv += ["--setf", f"duration_stretch={dice.uniform(0.75, 1.3):.2f}"]
        stdin = ""
    else:
        argv = ["text2wave", "-o", str(saying.path), "-eval", f"({saying.voice})"]
        stdin = saying.text
    # Some voices cannot say some texts, or not in time: the others do.
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            argv,
            input=stdin.encode(voice.encoding, errors="ignore"),
            capture_output=True,
            timeout=SPEAK_SECONDS,
            check=False,
        )
