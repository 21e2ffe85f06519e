"""The city and prompts a worker goes by: read at start, again when they changed.

A bad file never replaces a good one; a call that has begun keeps what it began with.
"""

from __future__ import annotations

import logging
import wave
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agi import frames
from ivr.flow import Flow, filter_0
from ivr.prompts import BYTES_PER_SAMPLE, SAMPLE_RATE, seconds_of
from pbx.model.city import City, CityError, Fault, read_city
from pbx.model.policy import Mode
from pbx.settings import Settings, active_city_file, switch_files

_log = logging.getLogger(__name__)

LONGEST_PROMPT_SECONDS = 60.0
LEAST_PEAK = 328
"""−40 dBFS: a prompt that is never louder asks nobody anything."""


class PromptError(Exception):
    """A prompt cannot be played; the text names the file and the cure."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt ready for the wire; a missing one is empty and lasts 0 s."""

    wire: bytes = field(repr=False)
    seconds: float
    pcm: bytes = field(default=b"", repr=False)
    """The same as 8 kHz 16-bit audio: the ghost filter must know what we said."""


SILENT_PROMPT = Prompt(b"", 0.0)


@dataclass(frozen=True, slots=True)
class InForce:
    """What every new call goes by."""

    city: City
    prompts: Mapping[str, Prompt]
    missing: tuple[str, ...] = ()
    """One sentence for each prompt that cannot be played."""
    switch: Mode | None = None
    """What the kill switch says, if it was used."""

    def prompt(self, name: str) -> Prompt:
        """The prompt of that name, silence of 0 s if it is missing."""
        return self.prompts.get(name, SILENT_PROMPT)

    def flow(self, name: str) -> Flow:
        """The steps of a declared flow. Raises KeyError for another name."""
        declared = self.city.flows[name]
        return filter_0(
            (declared.greeting, self.prompt(declared.greeting).seconds),
            (declared.second_prompt, self.prompt(declared.second_prompt).seconds),
            declared.wait_seconds,
            declared.second_wait_seconds,
        )


def load(settings: Settings) -> InForce:
    """Read city and prompts. Raises OSError, CityError; a bad prompt is only logged."""
    city = _read_city(active_city_file(settings))
    prompts, missing = {}, []
    for flow in city.flows.values():
        for name in (flow.greeting, flow.second_prompt):
            try:
                prompts[name] = read_prompt(_prompt_file(settings, city, name))
            except PromptError as error:
                _log.error("%s", error)  # noqa: TRY400 - the sentence says it all
                missing.append(str(error))
    return InForce(city, prompts, tuple(missing), read_switch(settings))


def read_prompt(path: Path) -> Prompt:
    """A WAV file (8 kHz, mono, 16-bit) as frames. Raises PromptError with the cure."""
    try:
        with wave.open(str(path), "rb") as file:
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            pcm = file.readframes(int(LONGEST_PROMPT_SECONDS * SAMPLE_RATE))
    # RuntimeError: `chunk.seek`, under `wave`, in a header whose sizes are damaged
    except (OSError, EOFError, wave.Error, RuntimeError) as error:
        raise PromptError(
            f"{path}: prompt cannot be read ({error}); make it with `gerbang sounds`"
        ) from error
    if form != (SAMPLE_RATE, 1, BYTES_PER_SAMPLE):
        raise PromptError(
            f"{path}: prompt is {form[0]} Hz, {form[1]} channel(s), {form[2] * 8} bit "
            "instead of 8000 Hz, mono, 16 bit; make it with `gerbang sounds`"
        )
    samples = array("h", pcm[: len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE])
    if max(map(abs, samples), default=0) < LEAST_PEAK:
        raise PromptError(
            f"{path}: prompt holds no sound and asks nobody anything; record it anew, "
            "or make it with `gerbang sounds`"
        )
    return Prompt(frames.for_the_wire(pcm), seconds_of(pcm), pcm)


def read_switch(settings: Settings) -> Mode | None:
    """What `gerbang ghostfilter off` or `shadow` left; off wins."""
    for mode, path in switch_files(settings.asterisk_home).items():
        if path.exists():
            return Mode(mode)
    return None


class Keeper:
    """Holds what is in force and reads it again when a file behind it changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stamp = _stamp(settings, None)
        self.current = load(settings)
        self._stamp = _stamp(settings, self.current.city)

    def has_changed(self) -> bool:
        """Whether a file is not the one that was read. Looks at the disk."""
        return _stamp(self._settings, self.current.city) != self._stamp

    def reload(self) -> bool:
        """Read everything again; the old stays in force if that fails."""
        self._stamp = _stamp(self._settings, self.current.city)
        try:
            self.current = load(self._settings)
        except (OSError, CityError) as error:
            _log.error("city not read again, the last stays: %s", error)  # noqa: TRY400
            return False
        self._stamp = _stamp(self._settings, self.current.city)
        _log.info("city and prompts read: %s", active_city_file(self._settings))
        return True


def _read_city(path: Path) -> City:
    try:
        return read_city(path.read_text(encoding="utf-8"), source=str(path))
    except UnicodeDecodeError as error:
        raise CityError(str(path), [Fault("", f"not UTF-8 text ({error})")]) from error


def _prompt_file(settings: Settings, city: City, name: str) -> Path:
    return settings.sounds / city.city.language / f"{name}.wav"


def _stamp(settings: Settings, city: City | None) -> tuple[tuple[str, int], ...]:
    """Name and time of every file behind what is in force."""
    paths = [active_city_file(settings).resolve()]
    paths += switch_files(settings.asterisk_home).values()
    if city is not None:
        paths += [
            _prompt_file(settings, city, name)
            for flow in city.flows.values()
            for name in (flow.greeting, flow.second_prompt)
        ]
    return tuple((str(path), _changed_at(path)) for path in paths)


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
