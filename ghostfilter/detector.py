"""Frames in, what was heard out: one call's ears.

Frames are gathered into blocks of eight; each block's spectra go to all who listen: who
speaks, after our own prompt's echo was taken out, and those who know tones, knocks and
alarms. A call's evidence only grows; a sound that speaks for a person is told once, the
moment it is sure.
"""

from __future__ import annotations

from dataclasses import replace

from ghostfilter.answers import ASKED, Answers
from ghostfilter.belief import echo_doubt
from ghostfilter.ears import Moment
from ghostfilter.evidence import Evidence
from ghostfilter.knocking import Knocking
from ghostfilter.levels import Levels
from ghostfilter.lone import Lone
from ghostfilter.loud import DOUBTED, Loud
from ghostfilter.net import Weights, shipped_weights
from ghostfilter.ours import Ours
from ghostfilter.signals import MACHINES, Heard
from ghostfilter.spectra import FRAME_BYTES, Block, Blocks
from ghostfilter.tones import Tones
from ghostfilter.vad import Vad
from ghostfilter.voices import Voices


class Detector:
    """One call's ears. `push` every frame in order; ask for `evidence` at any time."""

    __slots__ = (
        "_answers",
        "_asked",
        "_blocks",
        "_knocking",
        "_levels",
        "_lone",
        "_loud",
        "_ours",
        "_tones",
        "_voices",
    )

    def __init__(self, weights: Weights | None = None, vad: Vad | None = None) -> None:
        """`weights`: others than those that ship."""
        self._blocks = Blocks(vad)
        self._ours = Ours()
        self._voices = Voices(weights or shipped_weights())
        self._tones, self._knocking, self._loud = Tones(), Knocking(), Loud()
        self._levels = Levels()
        self._answers, self._lone = Answers(), Lone()
        self._asked = 0
        """So many prompts have begun."""

    def prompt_started(self, reference: bytes) -> None:
        """From now on this is sent to the caller: 8 kHz 16-bit, from its beginning."""
        self._ours.echo.started(reference, self._blocks.frames)
        self._asked += 1
        if self._asked == ASKED:
            self._knocking.asked(self._blocks.frames, len(reference) // FRAME_BYTES)

    def prompt_stopped(self) -> None:
        """Silence is sent again, from now on."""
        self._ours.echo.stopped(self._blocks.frames)

    def push(self, frame: bytes) -> Heard | None:
        """Hear one frame of 20 ms (320 bytes).

        Returns a sound that speaks for a person the moment it is sure: a voice once,
        every key. Raises ValueError for a frame of another length.
        """
        block = self._blocks.push(frame)
        if block is not None:
            return self._hear(block)
        if self._voices.is_nearly_sure and self._blocks.is_half:
            return self._hear_half(self._blocks.half())
        return None

    def evidence(self) -> Evidence:
        """Everything heard so far."""
        tones, floor = self._tones.heard(), self._levels.floor_dbfs
        is_machine = any(heard.sound in MACHINES for heard in tones)
        is_beeping = self._tones.is_beeping
        echo, belief = self._ours.heard(floor), self._voices.belief
        belief.is_machine = is_machine or is_beeping
        if echo is not None:
            belief.echo_doubt = echo_doubt(echo.over_floor_db)
        heard = [*tones, *self._alarms(is_machine=is_machine)]
        heard += self._knocking.heard(self._ours.frames, is_beeping=is_beeping)
        heard += self._answers.heard()
        if not (tones or is_beeping):
            heard += self._lone.heard(self._ours.frames, floor)
        voice = self._voices.heard(floor)
        heard += [sound for sound in (voice, echo) if sound is not None]
        if not heard and self._blocks.frames:
            heard.append(self._levels.heard(self._blocks.frames, 1.0 - belief.person))
        return Evidence(
            frames=self._blocks.frames,
            heard=tuple(sorted(heard, key=lambda one: one.from_frame)),
            person=belief.person,
            voices=belief.voices,
            loudest_dbfs=self._levels.loudest_dbfs,
            floor_dbfs=floor,
        )

    def _hear(self, block: Block) -> Heard | None:
        self._levels.push(block.levels)
        key = self._tones.push(block)
        machine = self._tones.machine()
        loud = self._loud.push(block, machine)
        bands, echo = self._ours.without(block), self._ours.echo
        self._lone.push(block.levels)  # frame by frame beside what is ours
        floor = self._levels.floor_dbfs
        self._answers.push(block, echo.explained, floor, self._asked)
        tonal = self._tones.explains()
        heard = (block, bands, echo.explained, echo.correlation, machine, tonal)
        voice = self._voices.push(Moment(*heard), floor)
        self._knocking.push(block)
        return key or voice or self._answer() or self._alarm(loud)

    def _hear_half(self, half: Block) -> Heard | None:
        """Half a block, where no machine's tone goes on."""
        machine, tonal = self._tones.machine(), self._tones.explains()
        if machine.any():
            return None
        bands, explained = self._ours.without_half(half)
        heard = (half, bands, explained, self._ours.echo.correlation, machine, tonal)
        return self._voices.push_half(Moment(*heard), self._levels.floor_dbfs)

    def _answer(self) -> Heard | None:
        """KNOCKS that answer the second prompt, told once."""
        if not self._knocking.has_news:
            return None
        is_beeping = self._tones.is_beeping
        return self._knocking.answer(self._ours.frames, is_beeping=is_beeping)

    def _alarm(self, loud: Heard | None) -> Heard | None:
        """LOUD, if no machine explains it."""
        is_machine = loud and MACHINES & {one.sound for one in self._tones.heard()}
        return None if is_machine else loud

    def _alarms(self, *, is_machine: bool) -> list[Heard]:
        """LOUD; where a machine was heard as well, it may be what lost packets left."""
        loud = self._loud.heard()
        return (
            [replace(one, confidence=DOUBTED) for one in loud] if is_machine else loud
        )
