"""Stored calls: `kept/YYYY-MM-DD/<call_id>.wav` and `.json`, as the intake lays them.

The WAV is what the caller sent, frame after frame (8 kHz, mono, 16-bit); the JSON says
what we said meanwhile, which keys came, and what was decided (docs/architecture.md).
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ghostfilter.vad import FRAME_BYTES
from ghostfilter.verdict import Context
from pbx.model.policy import Mode
from pbx.model.verdict import Reason, Ruling

FRAME_MS = 20
Milliseconds = Annotated[int, Field(ge=0, le=600_000)]


class KeptError(ValueError):
    """A stored call that cannot be played again; the text names the file and why."""


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class KeptPrompt(_Told):
    """A prompt, when it began and how much of it was sent."""

    name: str
    at_ms: Milliseconds
    heard_ms: Milliseconds
    from_frame: Annotated[int, Field(ge=0)] | None = None
    """Frames that had come when it began, and when it ended; None: nobody counted."""
    to_frame: Annotated[int, Field(ge=0)] | None = None

    @property
    def span(self) -> tuple[int, int]:
        """The same; where nobody counted by the clock, too many if some were lost."""
        first = -(-self.at_ms // FRAME_MS)
        last = -(-(self.at_ms + self.heard_ms) // FRAME_MS)
        return (
            first if self.from_frame is None else self.from_frame,
            last if self.to_frame is None else self.to_frame,
        )


class KeptKey(_Told):
    """A key, and when it came."""

    digit: str
    at_ms: Milliseconds
    source: str = "event"


class KeptVerdict(_Told):
    """What was decided."""

    ruling: Ruling
    reason: Reason
    because: str = ""
    confidence: float = 1.0
    is_holdout: bool = False
    is_shadow: bool = False

    @property
    def by_rule(self) -> Ruling:
        """The ruling, but for the lot, shadow mode and a spent budget."""
        is_spared = self.is_holdout or self.is_shadow or self.reason is Reason.BUDGET
        return Ruling.RELEASE if is_spared else self.ruling


class KeptContext(_Told):
    """What else was known."""

    asked: Annotated[int, Field(ge=0, le=9)] = 2
    idle_operators: int | None = None
    releases_left: int | None = None
    is_holdout: bool = False
    is_repeat: bool = False
    has_called: bool = False
    error: str | None = None
    expected_frames: Annotated[int, Field(ge=0)]

    def as_context(self, key: str | None, mode: Mode) -> Context:
        """For the judge; whether the filter acts is the tried policy's to say."""
        return Context(
            expected_frames=self.expected_frames,
            key=key,
            is_repeat=self.is_repeat,
            has_called=self.has_called,
            error=self.error,
            asked=self.asked,
            idle_operators=self.idle_operators,
            releases_left=self.releases_left,
            is_holdout=self.is_holdout,
            mode=mode,
        )


class Kept(_Told):
    """One stored call, without its sound."""

    call_id: str
    at: AwareDatetime
    number: str = ""
    flow: str
    prompts: tuple[KeptPrompt, ...] = ()
    keys: tuple[KeptKey, ...] = ()
    verdict: KeptVerdict
    context: KeptContext


def stored(folder: Path, since: datetime | None = None) -> list[Path]:
    """The JSON files of all stored calls, oldest day first; days before `since` are
    not even opened."""
    first = None if since is None else since.astimezone(UTC).date()
    days = sorted(path for path in folder.glob("????-??-??") if path.is_dir())
    return [
        path
        for day in days
        if first is None or (_day(day) or date.max) >= first
        for path in sorted(day.glob("*.json"))
    ]


def read_kept(path: Path) -> Kept:
    """What is told of a stored call. Raises KeptError."""
    try:
        return Kept.model_validate_json(path.read_bytes())
    except OSError as error:
        raise KeptError(f"{path}: {error.strerror}; is it yours to read?") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"]) or "the file"
        raise KeptError(f"{path}: {where}: {fault['msg']}; skipped") from error


def frames_of(path: Path) -> Iterator[bytes]:
    """The caller's frames of 20 ms; `path` names the JSON file. Raises KeptError."""
    sound = path.with_suffix(".wav")
    try:
        with wave.open(str(sound), "rb") as file:
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            if form != (8000, 1, 2):
                raise KeptError(
                    f"{sound}: {form[0]} Hz, {form[1]} channel(s), {form[2] * 8} bit "
                    "instead of 8000 Hz, mono, 16 bit; skipped"
                )
            declared = file.getnframes()
            pcm = file.readframes(declared)
    # RuntimeError: `chunk.seek`, under `wave`, in a header whose sizes are damaged
    except (OSError, EOFError, wave.Error, RuntimeError) as error:
        raise KeptError(f"{sound}: cannot be read ({error}); skipped") from error
    if len(pcm) < 2 * declared:
        raise KeptError(f"{sound}: ends after {len(pcm) / 16000:.1f} s; skipped")
    for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES):
        yield pcm[at : at + FRAME_BYTES]


def _day(folder: Path) -> date | None:
    try:
        return date.fromisoformat(folder.name)
    except ValueError:
        return None
