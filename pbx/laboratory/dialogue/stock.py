"""The clips that calls are made of, sorted by who is heard in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from pbx.laboratory.corpus import CorpusError
from pbx.laboratory.dialogue.sounds import (
    RATE,
    Dice,
    Samples,
    going_on,
    noise,
    rms_dbfs,
)

LEAD_SECONDS = 0.15
"""So much before the labelled start belongs to a word: labels are a little late."""
LEAST_BED_SECONDS = 0.35
"""A shorter lead-in is no picture of the line's noise."""
STEADY = (
    "traffic",
    "engine",
    "engine_idling",
    "air_conditioner",
    "wind",
    "vehicle",
    "line_hum",
    "water",
    "machine",
    "rustle",
    "walking",
    "street_music",
    "music",
)
"""Classes that may lie behind a person."""


@dataclass(frozen=True, slots=True)
class Take:
    """One clip."""

    name: str
    label: str
    kind: str
    group: str
    level_dbfs: float
    """Of its active part."""
    is_clean: bool
    """Nothing was mixed in."""
    from_seconds: float
    """Where the sound that the label speaks of begins …"""
    late_seconds: float
    """… and how much later it is loud enough to be heard: `pbx.laboratory.onset`."""
    active_seconds: float
    is_coded: bool
    """Went through a mobile phone's codec already."""
    samples: Samples = field(repr=False)

    @property
    def utterance(self) -> Samples:
        """From just before the first sound to the clip's end."""
        return self.samples[round(max(0.0, self.from_seconds - LEAD_SECONDS) * RATE) :]

    @property
    def lead_seconds(self) -> float:
        """How far into `utterance` the first sound is."""
        return min(self.from_seconds, LEAD_SECONDS)

    @property
    def needs_seconds(self) -> float:
        """How much of `utterance` must be heard: the words, with their pauses."""
        whole = self.utterance.size / RATE
        return min(whole, self.lead_seconds + 1.5 * self.active_seconds + 0.3)

    def bed(self, seconds: float, dice: Dice) -> Samples:
        """The line without the speaker, as long as wanted: his lead-in, continued."""
        end = round((self.from_seconds - LEAD_SECONDS) * RATE)
        if end < LEAST_BED_SECONDS * RATE:
            return noise(dice, seconds, float(dice.uniform(-72, -58)))
        return going_on([self.samples[:end]], seconds, dice)


class Stock:
    """All takes, to be drawn from."""

    def __init__(self, takes: Iterable[Take]) -> None:
        self.group_of: dict[str, str] = {}
        """A clip's name → its recording or speaker."""
        self.by_label: dict[str, list[Take]] = defaultdict(list)
        self.by_kind: dict[str, list[Take]] = defaultdict(list)
        self._kin: dict[tuple[str, str], list[Take]] = defaultdict(list)
        for take in takes:
            self.group_of[take.name] = take.group
            self.by_label[take.label].append(take)
            self.by_kind[take.kind].append(take)
            self._kin[take.kind, take.group].append(take)
        self.steady = [t for kind in STEADY for t in self.by_kind.get(kind, ())]

    def kin(self, take: Take) -> list[Take]:
        """The take itself, then others of the same class and recording."""
        others = [t for t in self._kin[take.kind, take.group] if t is not take]
        return [take, *others]

    def speakers(self, kinds: Iterable[str], dice: Dice) -> Take:
        """Somebody of one of these classes; each class is as likely as any other.

        Where the corpus has none of them, anybody. Raises CorpusError if it has nobody.
        """
        there = [kind for kind in kinds if self.by_kind.get(kind)]
        there = there or self.speech_kinds()
        if not there:
            raise CorpusError("no clip is labelled speech; whole calls need people")
        takes = self.by_kind[there[int(dice.integers(len(there)))]]
        return takes[int(dice.integers(len(takes)))]

    def speech_kinds(self) -> list[str]:
        """The classes of living people near the phone."""
        return sorted({take.kind for take in self.by_label["speech"]})

    def continued(self, take: Take, seconds: float, dice: Dice) -> Samples:
        """A pocket that goes on."""
        pieces = [t.samples for t in self.kin(take)]
        return going_on(pieces, seconds, dice)

    def background(self, seconds: float, dice: Dice) -> Samples:
        """Somewhere: a noise that goes on, or a quiet room if the corpus has none."""
        if not self.steady:
            return noise(dice, seconds, -50.0)
        take = self.steady[int(dice.integers(len(self.steady)))]
        return self.continued(take, seconds, dice)


def placed(take: Take, at_seconds: float, bed: Samples, factor: np.float32) -> None:
    """Lay an utterance over the bed so that its first sound comes at that moment.

    The clip brings its own noise, so the bed gives way to it and comes back after it.
    """
    start = round((at_seconds - take.lead_seconds) * RATE)
    sound = take.utterance[max(0, -start) :]
    start = max(0, start)
    end = min(start + sound.size, bed.size)
    weight = np.ones(end - start, np.float32)
    ramp = min(160, weight.size)
    slope = np.linspace(0, 1, ramp, dtype=np.float32)
    if start > 0:
        weight[:ramp] = slope
    if end < bed.size:
        weight[weight.size - ramp :] = slope[::-1]
    under = bed[start:end]
    under += (sound[: end - start] * factor - under) * weight


def level_change(take: Take, dice: Dice, lowest: float, highest: float) -> float:
    """A gain in dB, −6 to 6, that keeps the take between two levels in dBFS."""
    level = take.level_dbfs if take.level_dbfs > -90 else rms_dbfs(take.samples)
    wanted = level + float(dice.uniform(-6, 6))
    return min(max(wanted, lowest), highest) - level
