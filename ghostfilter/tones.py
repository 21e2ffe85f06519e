"""Tones: a caller's keys and text telephone, and the machines that call by mistake.

Keys are somebody; ring-back, busy, fax and modem are not. Since "a machine" may lead to
a release, a machine is only what no mouth and no siren does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ghostfilter.bursts import Machine, beeps, machines
from ghostfilter.dtmf import Keys, frames_of
from ghostfilter.fsk import LOWER, UPPER, Fsk
from ghostfilter.pairs import Network
from ghostfilter.peaks import Lines, lines_of, two_lines
from ghostfilter.signals import Heard, Sound
from ghostfilter.spectra import BLOCK_FRAMES, Block
from ghostfilter.steady import QUIET_DBFS, Pair, Steady
from ghostfilter.sums import OVER, WHOLE
from ghostfilter.textphone import TextPhone

_PEAK_SHARES = np.full(BLOCK_FRAMES, 0.2, np.float32)
"""The strongest bin of a pure tone holds at least 0.42 of it (Hann), of two equal
tones half of that: without such a bin there is no tone to look for."""
EXPLAINED_SHARE = 0.9
_LOWEST_TONE_HERTZ = 330.0
_ALIKE_DB = 2.5
_ALIKE_HERTZ = 10.0
_FAX_ALIKE_HERTZ = 3.0
"""A whistle on 1100 or 2100 Hz bends more from frame to frame."""
_FAX_TONES = ((1100.0, 40.0), (2100.0, 20.0))
_FLOOR_DBFS = -70.0
"""Taken for the floor of lines that are more silent than that."""
_TEXT, _UPPER, _LOWER, _NETWORK = range(4)
"""Among the columns of OVER."""
_ZEROS = np.zeros((BLOCK_FRAMES, 4), np.float32)
_NOTHING = np.zeros(BLOCK_FRAMES, np.bool_)
_ALL = np.ones(BLOCK_FRAMES, np.bool_)


class Tones:
    """Listens to one call, block by block."""

    __slots__ = (
        "_explains",
        "_floor",
        "_fsk",
        "_key",
        "_keys",
        "_machine",
        "_network",
        "_steady",
        "_text",
        "_textphone",
    )

    def __init__(self) -> None:
        self._keys = Keys()
        self._fsk = Fsk()
        self._network = Network()
        self._steady = Steady()
        self._textphone = TextPhone()
        self._text: Heard | None = None
        self._key: Heard | None = None
        self._floor = 0.0
        self._explains = self._machine = _NOTHING

    def push(self, block: Block) -> Heard | None:
        """Hear eight frames; KEY_TONE (its key the detail) or TTY once it is certain.

        Every press of a key is told, TTY once.
        """
        self._explains = self._machine = _NOTHING
        self._floor = min(self._floor, max(min(block.levels), _FLOOR_DBFS))
        is_idle = self._keys.is_idle and self._steady.is_idle
        if is_idle and block.loudest < QUIET_DBFS:
            self._steady.push(block, None)
            return None
        text = self._hear_bands(block)
        lines = self._lines(block) if is_idle else two_lines(block.power)
        if lines is None:
            self._steady.push(block, None)
            self._keys.none_down()
            return text
        frames = list(zip(lines.hertz.tolist(), lines.share.tolist(), strict=True))
        self._steady.push(block, frames)
        self._explain(block, frames)
        return self._press(block, frames) or text

    def _hear_bands(self, block: Block) -> Heard | None:
        """Text telephones, modems and networks: by the bands they keep within."""
        inside = block.sums[:, OVER] >= _ZEROS
        if not (
            np.count_nonzero(inside)
            or self._textphone.is_reading
            or self._network.fits
            or not self._fsk.is_idle
        ):
            self._textphone.pass_over(block)
            return None
        frames: list[int] = np.add.reduce(inside, 0).tolist()
        text = self._read(block, frames[_TEXT])
        self._hear_machines(block, inside, frames)
        return text

    def _hear_machines(
        self, block: Block, inside: NDArray[np.bool_], frames: list[int]
    ) -> None:
        if frames[_UPPER] or frames[_LOWER] or not self._fsk.is_idle:
            self._fsk.push(block, inside[:, _UPPER : _LOWER + 1])
            if self._fsk.is_sending:
                self._machine = self._explains = _ALL
        halves = self._network.push(block, frames[_NETWORK])
        if any(halves) and self._machine is _NOTHING:
            self._machine = self._explains = np.repeat(halves, BLOCK_FRAMES // 2)

    def explains(self) -> NDArray[np.bool_]:
        """Of each frame of the last block: whether it is nothing but steady tone.

        At least 90 % of it are one or two lines above 330 Hz that its neighbour has
        as well, as loud; a thump in a pocket has lines, too, but below. Modulated data
        counts once it is recognised.
        """
        return self._explains

    def machine(self) -> NDArray[np.bool_]:
        """Of each frame of the last block: whether a network or a fax makes it."""
        return self._machine

    @property
    def is_beeping(self) -> bool:
        """Whether a telephone's own beeps were heard: keys pressed by a pocket."""
        return beeps(self._steady.all_bursts()) is not None

    def heard(self) -> list[Heard]:
        """Each kind of tone that is certain, once; keys with all that were pressed."""
        found = [self._text] if self._text else []
        if self._key:
            keys = self._keys
            found.append(replace(self._key, detail=keys.pressed, frames=keys.frames))
        machines = self._machines()
        for sound in (Sound.FAX, Sound.NETWORK_TONE, Sound.TTY, Sound.NOISE):
            if of_kind := [heard for heard in machines if heard.sound is sound]:
                found.append(_together(of_kind))
        return found

    def _lines(self, block: Block) -> Lines | None:
        """The lines of a block before which there were none, if it may have any."""
        peaks = np.maximum.reduce(block.power[:, 3:], 1)
        least = _PEAK_SHARES * block.sums[:, WHOLE]
        return lines_of(block.power) if np.count_nonzero(peaks >= least) else None

    def _explain(self, block: Block, frames: list[Pair]) -> None:
        steady = _explained(frames, block.levels, _ALIKE_HERTZ)
        if True not in steady:
            return
        self._explains = self._explains | np.array(steady)
        fax = [_is_fax_tone(*frame) for frame in frames]
        if True in fax:
            same = _explained(frames, block.levels, _FAX_ALIKE_HERTZ)
            self._machine = self._machine | (np.array(same) & np.array(fax))

    def _read(self, block: Block, frames: int) -> Heard | None:
        """TTY, the first time that text is certain."""
        frame = self._textphone.push(block, frames)
        if frame is None:
            return None
        is_first = self._text is None
        self._text = self._heard(
            Sound.TTY,
            frame if self._text is None else self._text.from_frame,
            block.first_frame + BLOCK_FRAMES - frame,
            block.loudest,
            "Baudot",
        )
        return self._text if is_first else None

    def _press(self, block: Block, frames: list[Pair]) -> Heard | None:
        """KEY_TONE for the first key that becomes certain in this block."""
        told = None
        keys = frames_of(frames, block.levels)
        if self._keys.is_idle and not any(frame.key for frame in keys):
            self._keys.none_down(keys[-1])
            return None
        for number, frame in enumerate(keys):
            pressed = self._keys.push(frame)
            if pressed:
                told = told or self._pressed(block, number, pressed)
        return told

    def _pressed(self, block: Block, number: int, key: str) -> Heard:
        frames = self._keys.seen
        frame = max(block.first_frame + number + 1 - frames, 0)
        dbfs = block.levels[number]
        told = self._heard(Sound.KEY_TONE, frame, frames, dbfs, key)
        self._key = self._key or told
        return told

    def _machines(self) -> list[Heard]:
        bursts = self._steady.all_bursts()
        found = [
            self._machine_heard(Sound.FAX if one.is_fax else Sound.NETWORK_TONE, one)
            for one in machines(bursts)
        ]
        if keys := beeps(bursts):
            found.append(self._machine_heard(Sound.NOISE, keys))
        if network := self._network.machine():
            found.append(self._machine_heard(Sound.NETWORK_TONE, network))
        for channel, sound in ((UPPER, Sound.FAX), (LOWER, Sound.TTY)):
            if sent := self._fsk.found.get(channel):
                found.append(
                    self._heard(sound, sent.first_frame, sent.frames, sent.dbfs, "V.21")
                )
        return found

    def _machine_heard(self, sound: Sound, machine: Machine) -> Heard:
        return self._heard(
            sound,
            machine.first_frame,
            machine.frames,
            machine.dbfs,
            machine.name,
            machine.confidence,
        )

    def _heard(
        self,
        sound: Sound,
        frame: int,
        frames: int,
        dbfs: float,
        detail: str,
        confidence: float = 0.98,
    ) -> Heard:
        over = dbfs - self._floor
        return Heard(sound, frame, frames, dbfs, over, confidence, detail)


def _together(of_kind: list[Heard]) -> Heard:
    """Several findings of one kind as one, the surest one's level."""
    surest = max(of_kind, key=lambda heard: heard.confidence)
    return replace(
        surest,
        from_frame=min(heard.from_frame for heard in of_kind),
        frames=sum(heard.frames for heard in of_kind),
        detail=", ".join(heard.detail for heard in of_kind),
    )


def _explained(
    frames: list[Pair], levels: list[float], alike_hertz: float
) -> list[bool]:
    """Which frames are nothing but a line that a neighbour has as well, as loud.

    Eight frames are so few that Python takes a fifth of the time of numpy.
    """
    explained = [False] * len(frames)
    before: tuple[float, float, float] | None = None
    for number, ((hertz, share), level) in enumerate(zip(frames, levels, strict=True)):
        strongest = hertz[0] if share[0] >= share[1] else hertz[1]
        if share[0] + share[1] < EXPLAINED_SHARE or strongest < _LOWEST_TONE_HERTZ:
            before = None
            continue
        if (
            before is not None
            and abs(level - before[2]) <= _ALIKE_DB
            and min(abs(strongest - before[0]), abs(hertz[0] - before[1]))
            <= alike_hertz
        ):
            explained[number - 1] = explained[number] = True
        before = strongest, hertz[0], level
    return explained


def _is_fax_tone(hertz: list[float], share: list[float]) -> bool:
    return any(
        abs(hertz[line] - tone) <= tolerance and share[line] >= EXPLAINED_SHARE
        for tone, tolerance in _FAX_TONES
        for line in (0, 1)
    )
