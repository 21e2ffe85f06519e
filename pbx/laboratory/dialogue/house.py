"""What a call meets: the city's flow and policy, and its real prompts."""

from __future__ import annotations

import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ivr.flow import Flow, filter_0
from ivr.prompts import seconds_of
from pbx.laboratory.dialogue.sounds import RATE, Samples, silence
from pbx.model.city import City, read_city
from pbx.model.city import Flow as Declared
from pbx.model.policy import RELEASE_BELOW, Mode, Policy, Treatment
from pbx.settings import Settings
from pbx.sounds import make


@dataclass(frozen=True, slots=True)
class House:
    """One flow of one city, ready to be called."""

    declared: Declared
    flow: Flow
    prompts: Mapping[str, bytes] = field(repr=False)
    """Name → 8 kHz 16-bit audio, as it is sent."""

    @property
    def policy(self) -> Policy:
        """What the city declares."""
        return self.declared.filter

    @property
    def strictest(self) -> Policy:
        """The same, but everybody released whom a city may declare to be released
        without any voice heard: who is safe under this is safe under every policy."""
        return self.policy.model_copy(
            update={
                "mode": Mode.ON,
                "silent": Treatment.RELEASE,
                "noise": Treatment.RELEASE,
                "release_below": RELEASE_BELOW,
            }
        )


@dataclass(frozen=True, slots=True)
class Said:
    """A prompt of ours, when it was played; seconds since audio was connected."""

    name: str
    from_seconds: float
    seconds: float

    @property
    def ended(self) -> float:
        """When its last sample was sent."""
        return self.from_seconds + self.seconds


@dataclass(frozen=True, slots=True)
class Timetable:
    """What a caller who does nothing meets, and until when."""

    said: tuple[Said, ...]
    seconds: float

    def sent(self, house: House, seconds: float) -> Samples:
        """All that we send in that time, as samples."""
        out = silence(seconds)
        for said in self.said:
            at = round(said.from_seconds * RATE)
            whole = samples_of(house.prompts[said.name])
            prompt = whole[: min(round(said.seconds * RATE), out.size - at)]
            out[at : at + prompt.size] = prompt
        return out


def open_house(city_file: Path, cache: Path, flow: str | None = None) -> House:
    """Read the city and make its prompts into `cache`; `flow`: its first if None.

    Raises CityError, OSError, `pbx.sounds.SoundError`, KeyError for an unknown flow.
    """
    city = read_city(city_file.read_text(encoding="utf-8"), source=str(city_file))
    language = city.city.language
    make(language, cache)
    return furnished(city, flow or next(iter(city.flows)), cache / language)


def usual_house(settings: Settings) -> House:
    """The house of the city file in this checkout or in `GERBANG_CITY`."""
    return open_house(settings.city_file, settings.cache / "laboratory" / "sounds")


def furnished(city: City, flow: str, sounds: Path) -> House:
    """The flow of that name with the prompts in a folder."""
    declared = city.flows[flow]
    names = (declared.greeting, declared.second_prompt)
    prompts = {name: read_prompt(sounds / f"{name}.wav") for name in names}
    steps = [(name, seconds_of(prompts[name])) for name in names]
    timed = filter_0(
        steps[0], steps[1], declared.wait_seconds, declared.second_wait_seconds
    )
    return House(declared, timed, prompts)


def read_prompt(path: Path) -> bytes:
    """A prompt made by `pbx.sounds`. Raises OSError, `wave.Error`."""
    with wave.open(str(path), "rb") as file:
        return file.readframes(file.getnframes())


def samples_of(pcm: bytes) -> Samples:
    """16-bit audio as samples between −1 and 1."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
