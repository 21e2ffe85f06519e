"""Stored calls once more: today's detector, a changed policy; what would be otherwise?

A replay cannot know what a caller would have done had he heard another prompt, or been
asked once more: it stops where the stored sound stops and says so. Luck is no part of
it: that day's lot and drop budget count neither then nor now, and a policy that only
watches is judged as if it acted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from ghostfilter.detector import Detector
from ghostfilter.verdict import Verdict, judge
from pbx.laboratory.kept import FRAME_MS, Kept, KeptError, KeptKey, frames_of, read_kept
from pbx.model.call import Disposition
from pbx.model.figures import ALIVE, FieldCall, is_genuine
from pbx.model.policy import Mode, Policy
from pbx.model.review import Review
from pbx.model.verdict import Reason, Ruling

Prompts = Callable[[str], bytes | None]
"""A prompt's name → what was sent, or None if it is not there any more."""


class Truth(StrEnum):
    """What became known of a caller, beside the filter's word."""

    VALID = "valid"
    """The operator called it valid or information, or talked long and said nothing."""
    PERSON = "was a person"
    """A reviewer heard somebody, or the operator calls it a prank."""
    CONNECTED = "connected"
    """An operator took the call; what it was, nobody said."""


def truth_of(call: FieldCall) -> Truth | None:
    """What is known of a caller, towards people: nobody it was if the operator says so
    (`ghost`) or a reviewer, and neither heard a person. None: nobody, or unknown."""
    if is_genuine(call):
        return Truth.VALID
    if call.review is Review.PERSON or call.said in ALIVE:
        return Truth.PERSON
    if call.review is Review.NOBODY or call.said is not None:
        return None
    is_connected = call.disposition is Disposition.CONNECTED
    return Truth.CONNECTED if is_connected else None


@dataclass(frozen=True, slots=True)
class Again:
    """One call, then and now."""

    call_id: str
    at: datetime
    old: Ruling
    """By the rule of that day; `spared` says who was not released all the same."""
    old_reason: Reason
    new: Ruling
    new_reason: Reason
    because: str
    decided_ms: int
    """When the filter would be sure, from the beginning of the audio."""
    truth: Truth | None
    lacks_prompt: bool
    """Played again without knowing what we said: its echo may pass for a voice."""
    spared: bool = False
    """A would-be release then: by lot, in shadow mode, or with the budget spent."""

    @property
    def is_otherwise(self) -> bool:
        """Whether the caller would have gone another way."""
        return self.old is not self.new

    @property
    def is_lost(self) -> bool:
        """Whether somebody of whom more is known than nothing would be released."""
        return self.new is Ruling.RELEASE and self.truth is not None


@dataclass(slots=True)
class Tally:
    """What came of all stored calls; grows call by call."""

    calls: int = 0
    moves: dict[tuple[Ruling, Ruling], int] = field(default_factory=dict)
    reasons: dict[tuple[Reason, Reason], int] = field(default_factory=dict)
    asked_again: int = 0
    """Would have been asked once more: what they would have said is not known."""
    lacking_prompts: int = 0
    otherwise: list[Again] = field(default_factory=list)
    again: list[Again] = field(default_factory=list)
    """Valid, released by the rule then (or spared), and now as well."""
    watched: int = 0
    """Calls of flows whose new policy only watches."""
    damaged: list[str] = field(default_factory=list)

    def add(self, again: Again) -> None:
        """Count one."""
        self.calls += 1
        move = again.old, again.new
        self.moves[move] = self.moves.get(move, 0) + 1
        why = again.old_reason, again.new_reason
        self.reasons[why] = self.reasons.get(why, 0) + 1
        self.asked_again += again.new is Ruling.SECOND_PROMPT
        self.lacking_prompts += again.lacks_prompt
        if again.is_otherwise:
            self.otherwise.append(again)
        elif again.is_lost:
            self.again.append(again)

    @property
    def lost(self) -> list[Again]:
        """Valid calls that would be released now and were not then."""
        return [again for again in self.otherwise if again.is_lost]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is tried: a policy for each flow, and the prompts as they are today."""

    policies: Mapping[str, Policy]
    prompts: Prompts
    truths: Mapping[str, Truth] = field(default_factory=dict)
    since: datetime | None = None


def replay_files(files: Iterable[Path], rules: Rules, tally: Tally) -> Iterator[Path]:
    """Play every stored call again, one at a time, and count it.

    A file that cannot be played is named in the tally and left out.
    """
    for path in files:
        try:
            replay_file(path, rules, tally)
        except KeptError as error:
            tally.damaged.append(str(error))
        yield path


def replay_file(path: Path, rules: Rules, tally: Tally) -> None:
    """One stored call. Raises KeptError."""
    kept = read_kept(path)
    if rules.since is not None and kept.at < rules.since:
        return
    if kept.flow not in rules.policies:
        flows = ", ".join(sorted(rules.policies))
        raise KeptError(
            f"{path}: the city has no flow {kept.flow!r} (it has {flows}); skipped"
        )
    tally.add(play_again(kept, frames_of(path), rules))
    tally.watched += rules.policies[kept.flow].mode is Mode.SHADOW


def play_again(kept: Kept, frames: Iterable[bytes], rules: Rules) -> Again:
    """What would be decided today."""
    verdict, decided_ms, lacks_prompt = _decide(kept, frames, rules)
    return Again(
        call_id=kept.call_id,
        at=kept.at,
        old=kept.verdict.by_rule,
        old_reason=kept.verdict.reason,
        new=verdict.ruling,
        new_reason=verdict.reason,
        because=verdict.because,
        decided_ms=decided_ms,
        truth=rules.truths.get(kept.call_id),
        lacks_prompt=lacks_prompt,
        spared=kept.verdict.by_rule is not kept.verdict.ruling,
    )


def _decide(
    kept: Kept, frames: Iterable[bytes], rules: Rules
) -> tuple[Verdict, int, bool]:
    detector = Detector()
    policy = rules.policies[kept.flow]
    pressed = [key for key in kept.keys if key.source == "event"]
    cues, lacks_prompt = _cues(kept, rules.prompts)
    key: KeptKey | None = None
    at_ms = 0
    for frame in frames:
        key = next((k for k in pressed if k.at_ms <= at_ms), None)
        if key is not None:
            break
        while cues and cues[0][0] * FRAME_MS <= at_ms:
            _, pcm = cues.pop(0)
            if pcm is None:
                detector.prompt_stopped()
            else:
                detector.prompt_started(pcm)
        at_ms += FRAME_MS
        if detector.push(frame) is not None:
            break
    else:
        key = pressed[0] if pressed else None
    mode = Mode.ON if policy.mode is Mode.SHADOW else policy.mode
    context = kept.context.as_context(key.digit if key else None, mode)
    without_luck = replace(context, is_holdout=False, releases_left=None)
    return judge(detector.evidence(), policy, without_luck), at_ms, lacks_prompt


def _cues(kept: Kept, prompts: Prompts) -> tuple[list[tuple[int, bytes | None]], bool]:
    """At which frame which prompt began (its sound) and ended (None), in order."""
    cues: list[tuple[int, bytes | None]] = []
    is_missing = False
    for said in kept.prompts:
        pcm = prompts(said.name)
        if pcm is None:
            is_missing = True
            continue
        first, last = said.span
        cues += [(first, pcm), (last, None)]
    return sorted(cues, key=lambda cue: cue[0]), is_missing
