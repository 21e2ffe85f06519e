"""Frames in, what was heard out: one call's ears.

Frames are gathered into blocks of eight; each block's spectra go to all who listen: the
net (near persons, any voice), after our own prompt's echo was taken out, and those who
know tones, knocks and alarms. A call's evidence only grows; a sound that speaks for a
person is told once, the moment it is sure.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ghostfilter.answers import ASKED, Answers
from ghostfilter.beginning import Beginning, Moment
from ghostfilter.belief import ANY_VOICE, NEAR, NOBODY, Belief, echo_doubt
from ghostfilter.echo import SURE as ECHO_SURE
from ghostfilter.echo import Echo
from ghostfilter.evidence import Evidence
from ghostfilter.features import Features
from ghostfilter.knocking import is_answer
from ghostfilter.knocks import Knock, Knocks
from ghostfilter.levels import Levels
from ghostfilter.lone import Lone
from ghostfilter.loud import DOUBTED, Loud
from ghostfilter.net import Net, Weights, shipped_weights
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import BLOCK_FRAMES, FRAME_BYTES, HALF_FRAMES, Block, Blocks
from ghostfilter.sums import MEL
from ghostfilter.tones import Tones
from ghostfilter.vad import Vad
from ghostfilter.voices import Stretch

ECHO_FRAMES = 25
"""So much of our prompt must have come back (0.5 s) to be worth a word."""
ECHOED = 0.5
"""An echoed frame: this share of it is our prompt …"""
ECHO_DBFS = -70.0
"""… and it is no silence."""
ANSWERED, UNASKED = 0.9, 0.4
"""How sure two knocks are of a person, when asked for and when not."""
ANSWER_FRAMES = 75
"""Who knocks more than 1.5 s before the second prompt ends does not yet answer it."""
MACHINES = frozenset({Sound.FAX, Sound.NETWORK_TONE})
QUIET_DBFS = -48.0
QUIET_RISE_DB = 6.0
SILENT_FLOOR_DBFS = -66.0
"""Below it a line that is quiet is silent; above, its noise is comfort noise or hum."""


_NOT_OURS = bytes(BLOCK_FRAMES)
_FIRST_HALF = np.arange(BLOCK_FRAMES) < HALF_FRAMES


class Detector:
    """One call's ears. `push` every frame in order; ask for `evidence` at any time."""

    __slots__ = (
        "_answers",
        "_asked",
        "_asked_at",
        "_beginning",
        "_belief",
        "_blocks",
        "_counted",
        "_distant",
        "_echo",
        "_echoed",
        "_features",
        "_is_nearly_sure",
        "_knocks",
        "_knocks_told",
        "_knocks_weighed",
        "_levels",
        "_lone",
        "_loud",
        "_near",
        "_net",
        "_ours",
        "_told",
        "_tones",
    )

    def __init__(self, weights: Weights | None = None, vad: Vad | None = None) -> None:
        weights = weights or shipped_weights()
        self._blocks = Blocks(vad)
        self._echo = Echo()
        self._features = Features()
        self._net = Net(weights)
        self._belief = Belief(weights)
        self._beginning: Beginning | None = Beginning(weights)
        self._tones, self._knocks, self._loud = Tones(), Knocks(), Loud()
        self._levels = Levels()
        self._answers, self._lone = Answers(), Lone()
        self._asked = 0
        self._asked_at = math.inf
        """The frame from which on the prompt that asks for any sign can be answered."""
        self._knocks_told = False
        self._knocks_weighed = 0
        self._near, self._distant, self._echoed = Stretch(), Stretch(), Stretch()
        self._ours = bytearray()
        """One byte a frame: whether it was our own prompt's echo."""
        self._told = False
        self._is_nearly_sure = False
        """Whether half a block more may be enough."""
        self._counted = 0
        """So many frames of the next block are known to be a near person's."""

    def prompt_started(self, reference: bytes) -> None:
        """From now on this is sent to the caller: 8 kHz 16-bit, from its beginning."""
        self._echo.started(reference, self._blocks.frames)
        self._asked += 1
        if self._asked == ASKED:
            its_frames = len(reference) // FRAME_BYTES
            self._asked_at = self._blocks.frames + max(0, its_frames - ANSWER_FRAMES)

    def prompt_stopped(self) -> None:
        """Silence is sent again, from now on."""
        self._echo.stopped(self._blocks.frames)

    def push(self, frame: bytes) -> Heard | None:
        """Hear one frame of 20 ms (320 bytes).

        Returns a sound that speaks for a person the moment it is sure: a voice once,
        every key. Raises ValueError for a frame of another length.
        """
        block = self._blocks.push(frame)
        if block is not None:
            return self._hear(block)
        if self._is_nearly_sure and self._blocks.is_half:
            return self._hear_half(self._blocks.half())
        return None

    def evidence(self) -> Evidence:
        """Everything heard so far."""
        tones = self._tones.heard()
        if (echo := self._echo_heard()) is not None:
            self._belief.echo_doubt = echo_doubt(echo.over_floor_db)
        self._belief.is_machine = self._tones.is_beeping or any(
            heard.sound in MACHINES for heard in tones
        )
        return Evidence(
            frames=self._blocks.frames,
            heard=tuple(sorted(self._heard(tones), key=lambda heard: heard.from_frame)),
            person=self._belief.person,
            voices=self._belief.voices,
            loudest_dbfs=self._levels.loudest_dbfs,
            floor_dbfs=self._levels.floor_dbfs,
        )

    def _hear(self, block: Block) -> Heard | None:
        self._levels.push(block.levels)
        key = self._tones.push(block)
        machine = self._tones.machine()
        loud = self._loud.push(block, machine)
        voice = self._listen(block, machine)
        self._knocks.push(block)
        return key or voice or self._answering_knocks() or self._alarm(loud)

    def _listen(self, block: Block, machine: NDArray[np.bool_]) -> Heard | None:
        """What the net thinks of the block, our own prompt and machines left out."""
        # A copy is read faster than columns among others: 0.3…1 µs.
        bands = block.sums[:, MEL].copy()
        bands = self._echo.without(bands, block.first_frame)
        explained = self._echo.explained
        self._hear_echo(block)
        self._lone.push(block.levels)  # frame by frame beside what is ours
        floor = self._levels.floor_dbfs
        self._answers.push(block, explained, floor, self._asked)
        features = self._features.of(block, bands, explained, self._echo.correlation)
        logits = self._net.push(features)
        if np.count_nonzero(machine):
            logits[machine] = NOBODY
        tonal = self._tones.explains()
        if self._belief.push(logits, tonal, block.levels):
            self._find_voices(block)
        self._counted = 0
        if self._beginning is not None:
            now = self._echo.correlation
            kept = (bands.copy(), explained, now, machine.copy(), tonal.copy())
            self._look_back(Moment(block, *kept))
        self._is_nearly_sure = not self._told and self._belief.is_rising
        if self._told or self._near.first is None:
            return None
        self._told = True
        return self._voice()

    def _hear_half(self, block: Block) -> Heard | None:
        """Whoever is nearly sure does not wait for the rest of the block."""
        if self._tones.machine().any():
            return None
        bands = block.sums[:, MEL].copy()
        bands, explained = self._echo.without_half(bands, block.first_frame)
        now = self._echo.correlation
        features = self._features.of_half(block, bands, explained, now)
        if not self._belief.is_sure_with(self._net.look(features), block.levels):
            return None
        since = self._belief.sums[NEAR].since
        self._near.push(block, _FIRST_HALF, self._features, since)
        self._counted = HALF_FRAMES
        self._told = True
        return self._voice()

    def _look_back(self, moment: Moment) -> None:
        """Hear who spoke at once: as if the line had been still before, and once more
        when it is known, if the beginning was loud."""
        beginning = self._beginning
        assert beginning is not None  # noqa: S101 - who calls this has looked
        is_whole = beginning.push(moment)
        still = None if self._told else beginning.as_if_still(self._near)
        if still is not None and self._near.first is not None:
            self._belief.learn_sums(still)
        if is_whole:
            is_unsure = not self._told  # who surely is there need not be heard again
            if is_unsure and beginning.is_worth_it(self._levels.floor_dbfs):
                self._belief.learn(beginning.look_again(self._near))
            self._beginning = None

    def _hear_echo(self, block: Block) -> None:
        """Note which frames are our own prompt."""
        if not self._echo.is_due or self._echo.correlation < ECHO_SURE:
            self._ours += _NOT_OURS
            return
        ours = self._echo.explained >= ECHOED
        self._ours += ours.tobytes()
        self._echoed.push(block, ours & (block.dbfs > ECHO_DBFS), self._features)

    def _find_voices(self, block: Block) -> None:
        """Add the frames in which somebody surely is near, or far."""
        sums = self._belief.sums
        near = np.array(sums[NEAR].held())
        near[: self._counted] = False
        self._near.push(block, near, self._features, sums[NEAR].since)
        far = np.array(sums[ANY_VOICE].held()) & ~near
        self._distant.push(block, far, self._features, sums[ANY_VOICE].since)

    def _alarm(self, loud: Heard | None) -> Heard | None:
        """LOUD, if no machine explains it."""
        is_machine = loud and MACHINES & {one.sound for one in self._tones.heard()}
        return None if is_machine else loud

    def _answering_knocks(self) -> Heard | None:
        """Knocks that answer the second prompt, told once."""
        if self._knocks_told or self._knocks_weighed == len(self._knocks.knocks):
            return None
        self._knocks_weighed = len(self._knocks.knocks)
        self._knocks_told = is_answer(self._callers_knocks(), self._asked_at)
        return self._knocked()[0] if self._knocks_told else None

    def _knocked(self) -> list[Heard]:
        """KNOCKS: sure as an answer, else only a hint, because pockets bump, too."""
        knocks = self._callers_knocks()
        if len(knocks) < 2:
            return []
        sure = ANSWERED if is_answer(knocks, self._asked_at) else UNASKED
        return [replace(one, confidence=sure) for one in self._knocks.heard()]

    def _callers_knocks(self) -> list[Knock]:
        """Those that are neither our prompt's echo nor a telephone's own beeps."""
        knocks = self._knocks.knocks
        if len(knocks) < 2 or self._tones.is_beeping:
            return []
        return [knock for knock in knocks if not self._ours[knock.frame]]

    def _voice(self) -> Heard | None:
        return self._near.heard(
            self._near.manner, self._levels.floor_dbfs, self._belief.sureness(NEAR)
        )

    def _heard(self, tones: list[Heard]) -> list[Heard]:
        floor = self._levels.floor_dbfs
        voice = self._voice() or self._distant.heard(
            Sound.DISTANT_VOICE, floor, self._belief.sureness(ANY_VOICE)
        )
        echo = self._echo_heard()
        heard = [*tones, *self._alarms(tones)]
        heard += self._knocked()
        heard += self._answers.heard()
        heard += self._stands_alone(tones)
        heard += [sound for sound in (voice, echo) if sound is not None]
        if not heard and self._blocks.frames:
            heard.append(self._background())
        return heard

    def _echo_heard(self) -> Heard | None:
        """ECHO, if enough of our prompt came back."""
        if self._echoed.frames < ECHO_FRAMES:
            return None
        floor = self._levels.floor_dbfs
        return self._echoed.heard(Sound.ECHO, floor, self._echo.correlation)

    def _alarms(self, tones: list[Heard]) -> list[Heard]:
        """LOUD; where a machine was heard as well, it may be what lost packets left."""
        loud = self._loud.heard()
        if not MACHINES & {heard.sound for heard in tones}:
            return loud
        return [replace(one, confidence=DOUBTED) for one in loud]

    def _stands_alone(self, tones: list[Heard]) -> list[Heard]:
        """LONE, if no machine explains it."""
        if tones or self._tones.is_beeping:
            return []
        return self._lone.heard(self._ours, self._levels.floor_dbfs)

    def _background(self) -> Heard:
        """The line itself, where nothing else was heard."""
        floor, loudest = self._levels.floor_dbfs, self._levels.loudest_dbfs
        steady = max(floor, SILENT_FLOOR_DBFS) + QUIET_RISE_DB
        if loudest > QUIET_DBFS or loudest > steady:
            sound = Sound.NOISE
        elif floor > SILENT_FLOOR_DBFS:
            sound = Sound.COMFORT_NOISE
        else:
            sound = Sound.SILENCE
        sure = 1.0 - self._belief.person
        return Heard(sound, 0, self._blocks.frames, loudest, loudest - floor, sure)
