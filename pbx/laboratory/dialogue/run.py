"""Call after call, on as many cores as wanted; results in the order of the calls."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ghostfilter.net import Weights
from pbx.laboratory.dialogue.call import Ended, VirtualCall, timetable
from pbx.laboratory.dialogue.house import House, Timetable
from pbx.laboratory.dialogue.line import FRAME_SECONDS, missing_codecs
from pbx.laboratory.dialogue.plan import Draft, draft
from pbx.laboratory.dialogue.scene import Scene, at_our_ear
from pbx.laboratory.dialogue.sounds import RATE
from pbx.laboratory.dialogue.takes import Taken, read_stock
from pbx.laboratory.unheard import unheard_weights
from pbx.laboratory.workers import in_order, workers
from pbx.model.verdict import Reason, Ruling

CHUNK = 5
"""Calls handed to a worker at once; few, so that Ctrl-C is quick."""
MOST_TIMETABLES = 3


SOON = 2.5
"""Seconds. A call's beginning is heard again as late as that (`beginning.py`); who
passes later passes by something else."""
_VOICES = frozenset({Reason.VOICE, Reason.WHISPER, Reason.CRY})


@dataclass(frozen=True, slots=True)
class Result:
    """One call, in a few words."""

    index: int
    behaviour: str
    kind: str
    label: str
    clips: tuple[str, ...]
    line: str
    """What the audio went through."""
    ruling: Ruling
    """Under the strictest policy a city may declare."""
    own_ruling: Ruling
    """Under the city's own policy."""
    reason: Reason
    because: str
    asked: int
    ended_seconds: float
    sign_seconds: float | None
    words_seconds: float | None
    """When the words began to be heard at whose end, or soon after, the call ended;
    None: there were none."""
    is_past_words: bool
    """Whether all his words were over long before."""

    @property
    def is_person(self) -> bool:
        """Whether somebody was there."""
        return self.label == "speech"

    @property
    def is_kept(self) -> bool:
        """Whether no operator was disturbed, or only when nobody else waits."""
        return self.ruling in (Ruling.RELEASE, Ruling.LOW_PRIORITY)

    @property
    def to_pass_seconds(self) -> float | None:
        """From the first sign of life to the pass; None if he passed without it."""
        if self.sign_seconds is None or self.ruling is not Ruling.PASS:
            return None
        delay = self.ended_seconds - self.sign_seconds
        return delay if delay >= 0 else None

    @property
    def words_to_pass_seconds(self) -> float | None:
        """From the words that let him pass to the pass; None if it was no voice."""
        if self.words_seconds is None or self.ruling is not Ruling.PASS:
            return None
        if self.reason not in _VOICES:
            return None
        return self.ended_seconds - self.words_seconds

    @property
    def is_heard_later(self) -> bool:
        """Whether earlier words than those had not let him pass."""
        return (
            self.words_to_pass_seconds is not None
            and self.words_seconds != self.sign_seconds
        )


@dataclass(frozen=True, slots=True)
class Played:
    """One call with everything in it, for a closer look."""

    result: Result
    frames: list[bytes | None]
    ended: Ended
    prompts: tuple[tuple[int, bytes], ...]
    """What we sent: from which sample on, and the audio."""


class Theatre:
    """A house, a stock and a seed: any call of theirs can be played."""

    def __init__(
        self,
        house: House,
        taken: Taken,
        seed: int,
        *,
        has_mobile: bool = True,
        shipped: bool = False,
    ) -> None:
        """`shipped`: by the weights that ship, even if they heard these clips."""
        self._house = house
        self._stock = taken.stock
        self._is_heard = taken.is_heard and not shipped
        self._seed = seed
        self._usual = timetable(house)
        self._has_mobile = has_mobile and not missing_codecs()

    def play(self, index: int) -> Played:
        """Play the call of that number. Raises CorpusError for too poor a corpus."""
        drafted = self.drafted(index)
        met = self._usual
        for _ in range(MOST_TIMETABLES):
            frames, ended = self._perform(drafted, met)
            if _begins_like(ended, met):
                break
            # The flow took another turn than for a silent caller: what comes back of
            # our prompts must be what was said.
            met = Timetable(ended.said, met.seconds)
        prompts = tuple(
            (
                round(said.from_seconds * RATE),
                self._house.prompts[said.name][: 2 * round(said.seconds * RATE)],
            )
            for said in ended.said
        )
        return Played(_result(index, drafted.scene, ended), frames, ended, prompts)

    def drafted(self, index: int) -> Draft:
        """That call before it is played. Raises CorpusError for too poor a corpus."""
        return draft(
            self._stock, self._usual, self._seed, index, has_mobile=self._has_mobile
        )

    def _perform(
        self, drafted: Draft, met: Timetable
    ) -> tuple[list[bytes | None], Ended]:
        frames = at_our_ear(drafted.scene, self._house, met, drafted.dice())
        keys = {}
        if drafted.scene.key is not None:
            at, key = drafted.scene.key
            keys[max(1, math.ceil(at / FRAME_SECONDS))] = key
        weights = self._weights(drafted.scene)
        call = VirtualCall(self._house, self._house.strictest, weights)
        return frames, call.run(frames, keys)

    def _weights(self, scene: Scene) -> Weights | None:
        """Those that heard nothing of the group the call's first clip is of.

        None: those that ship.
        """
        if not self._is_heard or not scene.clips:
            return None
        return unheard_weights(self._stock.group_of.get(scene.clips[0], ""))


@dataclass(frozen=True, slots=True)
class Part:
    """Some calls in a row, and the CPU seconds they took."""

    results: tuple[Result, ...]
    cpu_seconds: float


def play_all(
    house: House,
    folder: Path,
    seed: int,
    calls: int,
    *,
    jobs: int = 1,
    has_mobile: bool = True,
    shipped: bool = False,
) -> Iterator[Part]:
    """Play calls 0…`calls`, in order, some at a time.

    Without `has_mobile` no mobile phone calls; its codecs cost most of the time.
    `shipped`: by the weights that ship, even if they heard these clips.
    Raises CorpusError, AudioError, WorkersError.
    """
    chunks = [range(at, min(at + CHUNK, calls)) for at in range(0, calls, CHUNK)]
    if jobs <= 1:
        theatre = _theatre(house, folder, seed, has_mobile, shipped)
        for chunk in chunks:
            yield _play(theatre, chunk)
        return
    with workers(jobs, _tell, (house, folder, seed, has_mobile, shipped)) as pool:
        yield from in_order(pool, _play_here, ((chunk,) for chunk in chunks), jobs)


_open: Callable[[], Theatre] | None = None
"""How a worker process opens its theatre."""


def _theatre(
    house: House, folder: Path, seed: int, has_mobile: bool, shipped: bool
) -> Theatre:
    taken = read_stock(folder)
    return Theatre(house, taken, seed, has_mobile=has_mobile, shipped=shipped)


def _tell(
    house: House, folder: Path, seed: int, has_mobile: bool, shipped: bool
) -> None:
    """Raises nothing: what is wrong with the folder is said by who plays first."""
    global _open

    @cache
    def open_theatre() -> Theatre:
        return _theatre(house, folder, seed, has_mobile, shipped)

    _open = open_theatre


def _play_here(indices: range) -> Part:
    assert _open is not None  # noqa: S101 - the pool calls `_tell` first
    return _play(_open(), indices)


def _play(theatre: Theatre, indices: range) -> Part:
    began = time.process_time()
    results = tuple(theatre.play(index).result for index in indices)
    return Part(results, time.process_time() - began)


def _begins_like(ended: Ended, met: Timetable) -> bool:
    """Whether what was said began as assumed (a person may have cut it short)."""
    return all(
        a.name == b.name and abs(a.from_seconds - b.from_seconds) < 0.001
        for a, b in zip(ended.said, met.said, strict=False)
    )


def _result(index: int, scene: Scene, ended: Ended) -> Result:
    ended_at = round(ended.ticks * FRAME_SECONDS, 3)
    return Result(
        index=index,
        behaviour=scene.behaviour,
        kind=scene.kind,
        label=scene.label,
        clips=scene.clips,
        line=scene.told(),
        ruling=ended.verdict.ruling,
        own_ruling=ended.own_verdict.ruling,
        reason=ended.verdict.reason,
        because=ended.verdict.because,
        asked=ended.asked,
        ended_seconds=ended_at,
        sign_seconds=scene.sign_seconds,
        words_seconds=max(
            (begun for begun, over in scene.words if begun <= ended_at <= over + SOON),
            default=None,
        ),
        is_past_words=bool(scene.words)
        and all(over + SOON < ended_at for _, over in scene.words),
    )
