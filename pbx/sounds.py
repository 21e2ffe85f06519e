"""Prompts: from texts and studio recordings to telephone sound.

espeak-ng speaks the texts of `sounds/<language>/prompts.toml`; a recording
`sounds/<language>/<name>.wav` wins over its text. Both end in the same band and at the
same loudness, so that callers, and the speech detector's echo estimate, meet one level.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
import subprocess
import tomllib
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pbx.settings import PROJECT

with warnings.catch_warnings():
    # pydub looks for ffmpeg when imported; WAV in and out does not need it.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment
    from pydub.exceptions import CouldntDecodeError
    from pydub.silence import detect_leading_silence

Samples = NDArray[np.float64]
"""Sound between −1 and 1, one channel."""

SOURCE = PROJECT / "sounds"
RATE_HZ = 8000
LOW_HZ, HIGH_HZ = 300.0, 3400.0
"""The telephone band (ITU-T G.712)."""
ACTIVE_DBFS = -20.0
"""Level while somebody speaks, see `active_level_dbfs`."""
PEAK_DBFS = -3.0
SILENCE_DBFS = -45.0
FADE_MS = 20
SPEAK_SECONDS = 20.0
"""espeak-ng needs some 50 ms for a prompt; far beyond that it is stuck."""

RECIPE = (
    f"1 {RATE_HZ} {LOW_HZ} {HIGH_HZ} {ACTIVE_DBFS} {PEAK_DBFS} {SILENCE_DBFS} {FADE_MS}"
)
"""Part of every cache key: change it and all prompts are made anew."""


class SoundError(Exception):
    """A prompt cannot be made; the text says which, why, and the cure."""


class PromptText(BaseModel):
    """One `[prompts.<name>]` of the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    voice: Annotated[str, StringConstraints(pattern=r"^[a-z][a-zA-Z0-9+_-]*$")] = "id"
    rate: Annotated[int, Field(ge=80, le=300)] = 170
    """Words a minute; espeak-ng's default is 175."""
    listen_seconds: Annotated[float, Field(ge=0, le=5)] = 0
    """Silence after the last word, also of a recording: whatever listens while the
    prompt is played goes on listening so long."""


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")], PromptText
    ]


@dataclass(frozen=True, slots=True)
class Made:
    """A prompt as it lies ready: its file, length, level and where it came from."""

    name: str
    path: Path
    seconds: float
    level_dbfs: float
    source: str
    """`synthesis` or `studio`."""
    fresh: bool
    """Made just now; False when the cached file was still right."""


def known_prompts(language: str, source: Path = SOURCE) -> set[str]:
    """Names a city may use: those with a text, and those with a recording.

    Raises SoundError if the manifest is missing or wrong.
    """
    return set(read_manifest(language, source)) | set(_recordings(language, source))


def read_manifest(language: str, source: Path = SOURCE) -> dict[str, PromptText]:
    """The texts of `<source>/<language>/prompts.toml`. Raises SoundError."""
    path = source / language / "prompts.toml"
    try:
        raw = tomllib.loads(path.read_text())
        return _Manifest.model_validate(raw).prompts
    except OSError as error:
        raise SoundError(
            f'{path}: {error.strerror}; write it with [prompts.greeting] text = "…", '
            "or correct [city] language"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SoundError(f"{path}: not TOML: {error}; correct that line") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise SoundError(f"{path}: {where}: {fault['msg']}; correct it") from error


def make(
    language: str,
    target: Path,
    *,
    source: Path = SOURCE,
    progress: Callable[[Made], None] = lambda made: None,
) -> list[Made]:
    """Make every prompt of the language into `<target>/<language>/<name>.wav`.

    What is there already and still right is kept; each file is replaced atomically, so
    a running Asterisk plays the old prompt or the new one, whole. `progress` hears of
    each as it is done. Raises SoundError; prompts already made stay made.
    """
    texts = read_manifest(language, source)
    recordings = _recordings(language, source)
    folder = target / language
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SoundError(
            f"{folder} cannot be made ({error.strerror}); set GERBANG_STATE to a place "
            "you may write"
        ) from error
    memory = _Memory(folder / ".made.json")
    names = sorted(texts.keys() | recordings.keys())
    done: list[Made] = []
    try:
        with ThreadPoolExecutor(max_workers=4) as pool:
            jobs = [
                pool.submit(
                    _make_one,
                    name,
                    texts.get(name),
                    recordings.get(name),
                    folder,
                    memory,
                )
                for name in names
            ]
            for job in as_completed(jobs):
                done.append(job.result())
                progress(done[-1])
    finally:
        memory.write()
    return sorted(done, key=lambda made: made.name)


class _Memory:
    """`.made.json`: what each file was made from, and what came out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.has_changed = False
        self.entries: dict[str, dict[str, object]] = {}
        try:
            stored = json.loads(path.read_text())
        except (OSError, ValueError):
            return  # nothing made yet, or unreadable: all is made anew
        if isinstance(stored, dict):
            self.entries = {k: v for k, v in stored.items() if isinstance(v, dict)}

    def note(self, name: str, entry: dict[str, object]) -> None:
        self.entries[name] = entry
        self.has_changed = True

    def write(self) -> None:
        if self.has_changed:
            _replace(self._path, json.dumps(self.entries, indent=1).encode())


def _make_one(
    name: str,
    text: PromptText | None,
    recording: Path | None,
    folder: Path,
    memory: _Memory,
) -> Made:
    path = folder / f"{name}.wav"
    kind = "studio" if recording else "synthesis"
    listen_ms = round(1000 * text.listen_seconds) if text else 0
    key = _key(text, recording, listen_ms)
    old = memory.entries.get(name)
    if old is not None and old.get("key") == key and old.get("sha256") == _digest(path):
        return Made(
            name,
            path,
            float(str(old["seconds"])),
            float(str(old["level_dbfs"])),
            kind,
            False,
        )
    if recording is not None:
        raw = _load(recording.read_bytes(), str(recording))
    elif text is not None:
        raw = _load(_speak(name, text), f"espeak-ng's answer for prompt {name}")
    else:
        raise SoundError(f"prompt {name} has neither text nor recording")
    ready = for_telephone(raw, name) + _segment(np.zeros(listen_ms * RATE_HZ // 1000))
    _replace(path, _wav(ready))
    made = Made(
        name,
        path,
        round(len(ready) / 1000, 2),
        round(active_level_dbfs(_samples(ready)), 1),
        kind,
        True,
    )
    memory.note(
        name,
        {
            "key": key,
            "sha256": _digest(path),
            "seconds": made.seconds,
            "level_dbfs": made.level_dbfs,
        },
    )
    return made


def for_telephone(sound: AudioSegment, name: str) -> AudioSegment:
    """Band, rate, edges and loudness of a prompt. Raises SoundError if it is silent."""
    mono = sound.set_channels(1)
    samples = into_band(_samples(mono), mono.frame_rate)
    peak = float(np.max(np.abs(samples), initial=0.0))
    if peak < 10 ** (-50 / 20):
        raise SoundError(
            f"prompt {name} is silent (peak below −50 dBFS); record it again, or "
            "remove the recording to use the synthesis"
        )
    level = _segment(samples * (0.7 / peak))
    start = detect_leading_silence(level, SILENCE_DBFS, 10)
    end = len(level) - detect_leading_silence(level.reverse(), SILENCE_DBFS, 10)
    spoken = _samples(level[max(0, start - FADE_MS) : end + FADE_MS])
    for _ in range(3):  # limiting lowers the level a little; a few rounds settle it
        spoken = limited(
            spoken * 10 ** ((ACTIVE_DBFS - active_level_dbfs(spoken)) / 20)
        )
    return _segment(spoken).fade_in(FADE_MS).fade_out(FADE_MS)


def into_band(samples: Samples, rate_hz: int) -> Samples:
    """Samples at `rate_hz` → 8 kHz, 300–3400 Hz, in one step through the spectrum.

    pydub's own filters are of first order and its resampling is linear (aliases).
    """
    length = max(1, round(len(samples) * RATE_HZ / rate_hz))
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    rise = np.clip((hertz - (LOW_HZ - 100)) / 100, 0, 1)
    fall = np.clip((HIGH_HZ + 200 - hertz) / 200, 0, 1)
    spectrum *= np.sin(rise * np.pi / 2) ** 2 * np.sin(fall * np.pi / 2) ** 2
    bins = np.zeros(length // 2 + 1, dtype=np.complex128)
    kept = min(len(bins), len(spectrum))
    bins[:kept] = spectrum[:kept]
    return np.fft.irfft(bins, length) * (length / len(samples))


def active_level_dbfs(samples: Samples) -> float:
    """RMS in dBFS of the 20 ms frames within 25 dB of the loudest.

    A plain form of ITU-T P.56's active speech level: pauses do not count.
    """
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    if not len(frames):
        return -100.0
    power = np.mean(frames**2, axis=1)
    active = power[power >= power.max() * 10 ** (-25 / 10)]
    return float(10 * np.log10(max(float(active.mean()), 1e-10)))


def limited(samples: Samples) -> Samples:
    """Samples with no peak above `PEAK_DBFS`; gain moves smoothly over 5 ms."""
    ceiling = 10 ** (PEAK_DBFS / 20)
    wanted = np.minimum(1.0, ceiling / np.maximum(np.abs(samples), 1e-9))
    half = 40  # samples: 5 ms
    padded = np.pad(wanted, half, mode="edge")
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).min(axis=1)
    window = np.hanning(half + 1)
    gain = np.convolve(
        np.pad(lowest, half // 2, mode="edge"), window / window.sum(), "valid"
    )
    return np.clip(samples * gain, -ceiling, ceiling)


def _recordings(language: str, source: Path) -> dict[str, Path]:
    return {path.stem: path for path in (source / language).glob("*.wav")}


def _key(text: PromptText | None, recording: Path | None, listen_ms: int) -> str:
    made_from = (
        recording.read_bytes() + (b"\0%d" % listen_ms if listen_ms else b"")
        if recording
        else text.model_dump_json().encode()
        if text
        else b""
    )
    return hashlib.sha256(RECIPE.encode() + b"\0" + made_from).hexdigest()


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _speak(name: str, prompt: PromptText) -> bytes:
    """The prompt's text as espeak-ng says it, a WAV file's bytes."""
    tool = shutil.which("espeak-ng")
    if tool is None:
        raise SoundError(
            f"espeak-ng is missing, so prompt {name} cannot be spoken; "
            "run `apt-get install espeak-ng`, or lay studio recordings in sounds/"
        )
    argv = [tool, "-v", prompt.voice, "-s", str(prompt.rate), "--stdout", "--stdin"]
    try:
        answer = subprocess.run(
            argv,
            input=prompt.text.encode(),
            capture_output=True,
            timeout=SPEAK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SoundError(f"espeak-ng did not speak prompt {name}: {error}") from error
    if answer.returncode or len(answer.stdout) < 1000:
        said = answer.stderr.decode(errors="replace").strip() or "no sound came"
        raise SoundError(
            f"espeak-ng cannot speak prompt {name}: {said}; "
            f"is the voice {prompt.voice!r} in `espeak-ng --voices`?"
        )
    return answer.stdout


def _load(wav: bytes, what: str) -> AudioSegment:
    try:
        # Not from_wav(): on a bad file that turns to ffmpeg, which need not be here.
        return AudioSegment(data=wav)
    except (CouldntDecodeError, struct.error, ValueError) as error:
        raise SoundError(
            f"{what} is not a PCM WAV file; save it as WAV, 16 or 24 bit PCM"
        ) from error


def _samples(sound: AudioSegment) -> Samples:
    whole = np.array(sound.get_array_of_samples(), dtype=np.float64)
    return whole / float(1 << (8 * sound.sample_width - 1))


def _segment(samples: Samples) -> AudioSegment:
    whole = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2")
    return AudioSegment(
        data=whole.tobytes(), sample_width=2, frame_rate=RATE_HZ, channels=1
    )


def _wav(sound: AudioSegment) -> bytes:
    out = io.BytesIO()
    sound.export(out, format="wav")
    return out.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write the file whole, or leave the old one."""
    scratch = path.with_name(f".{path.name}.tmp")
    try:
        scratch.write_bytes(content)
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise SoundError(f"{path} cannot be written: {error.strerror}") from error
