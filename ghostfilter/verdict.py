"""Evidence, policy and context → a verdict whose reasons a human can read.

Who may be released is said in one place, `_is_releasable`, and no policy reaches it:
policies only choose among what it leaves. In doubt, a human.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ghostfilter.evidence import Evidence
from ghostfilter.signals import FRAME_SECONDS, PERSON, Heard, Sound
from pbx.model.policy import (
    RELEASE_BELOW,
    SURELY_NOBODY,
    Mode,
    Treatment,
    WhenIdle,
)
from pbx.model.policy import Policy as Policy
from pbx.model.verdict import RELEASABLE, Reason, Ruling

SURE = 0.9 - 0.001
"""From this belief on somebody is there. (Detectors reckon in 32-bit floats.)"""
ASKED_ENOUGH = 2
"""Nobody is released who was not asked so often."""

SILENT_RISE_DB = 6.0
"""Silence: no single frame rose further than this above the line's own floor …"""
SILENT_DBFS = -48.0
"""… nor above this level. The quietest person in the corpus peaks at −41.5."""
LOWEST_FLOOR_DBFS = -66.0
"""Lines gated to digital silence have no floor of their own; this one is assumed."""
DROWNING_DBFS = -22.0
"""A line that is never softer than this may drown whoever calls: that is doubt, unless
the loud sound is a machine's own."""
SCREAMED_DBFS, STILL_DBFS = -8.0, -45.0
"""A sound of the first level, about the loudest a line carries, on a line whose floor
is no higher than the second: pockets hardly ever make it, somebody who screams does."""
CALL_FRAMES = 450
"""Of 9 s and more every hint is doubt. (Kediri judges its calls after 18 s; a clip of
the corpus has 7.)"""
MEDIA_SHARE = 0.8
"""Less of the expected audio than this proves nothing about the caller."""
MEDIA_SECONDS = 2.0
"""Nor does less than this, however complete."""

_RULINGS = {
    Treatment.RELEASE: Ruling.RELEASE,
    Treatment.LOW_PRIORITY: Ruling.LOW_PRIORITY,
    Treatment.OPERATOR: Ruling.PASS,
}
_REASONS = {
    Sound.NEAR_VOICE: Reason.VOICE,
    Sound.WHISPER: Reason.WHISPER,
    Sound.CRY: Reason.CRY,
    Sound.KNOCKS: Reason.KNOCKS,
    Sound.KEY_TONE: Reason.KEY_TONE,
    Sound.TTY: Reason.TTY,
    Sound.LOUD: Reason.LOUD,
}
_BELIEVED = frozenset(
    {Sound.NEAR_VOICE, Sound.WHISPER, Sound.CRY, Sound.KNOCKS, Sound.LOUD}
)
"""Told by belief: below SURE they are doubt. The other signs are heard or not."""
_QUIET = frozenset({Sound.SILENCE, Sound.COMFORT_NOISE})
_MACHINES = frozenset({Sound.FAX, Sound.NETWORK_TONE})
_UNCLEAR = frozenset({Reason.DOUBT, Reason.DISTANT, Reason.NO_MEDIA})
"""What an idle operator is asked at once."""
_AT_ONCE = frozenset(_REASONS.values()) | {
    Reason.KEY,
    Reason.ERROR,
    Reason.REPEAT_CALLER,
}


@dataclass(frozen=True, slots=True)
class Context:
    """What else is known about the call than its sound."""

    expected_frames: int
    """Frames of 20 ms a caller with media would have sent by now, by the clock."""
    key: str | None = None
    is_repeat: bool = False
    """The same number was released a moment ago."""
    has_called: bool = False
    """The same number called a moment ago, whatever became of that call."""
    error: str | None = None
    """What went wrong while we listened, if anything."""
    asked: int = ASKED_ENOUGH
    """How many prompts have asked the caller so far: 1 or 2."""
    idle_operators: int | None = None
    """How many operators have nothing to do; None: unknown."""
    releases_left: int | None = None
    """What is left of the hour's drop budget; None: unknown, the dialplan counts."""
    is_holdout: bool = False
    """Drawn by lot: should he be released, an operator answers instead."""
    mode: Mode = Mode.ON


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ruling, its reason in one word, and the evidence in one line."""

    ruling: Ruling
    reason: Reason
    because: str
    confidence: float = 1.0
    """0…1: how sure the filter is of the reason; rules are 1."""
    is_holdout: bool = False
    """A would-be release that goes to an operator by lot; `reason` is the release's."""
    is_shadow: bool = False
    """The same, because the filter only watches."""


def judge(evidence: Evidence, policy: Policy, context: Context) -> Verdict:
    """Decide about one caller. In doubt, a human."""
    reason = find_reason(evidence, policy, context)
    verdict = Verdict(
        _ruling(reason, policy, context),
        reason,
        describe(evidence, policy, context),
        round(_confidence(reason, evidence), 2),
    )
    if context.mode is Mode.OFF and verdict.ruling is not Ruling.PASS:
        return _told(verdict, Ruling.PASS, "the filter is off", Reason.OFF)
    if verdict.ruling is not Ruling.PASS and _may_go_to_idle(reason, policy, context):
        word = reason if reason is Reason.NO_MEDIA else Reason.IDLE_OPERATOR
        idle = f"operators idle: {context.idle_operators}"
        return _told(verdict, Ruling.PASS, idle, word)
    if verdict.ruling is Ruling.RELEASE:
        return _last_look(verdict, evidence, policy, context)
    return verdict


def find_reason(evidence: Evidence, policy: Policy, context: Context) -> Reason:
    """What the call is, by the strongest of what is known of it."""
    if context.key is not None:
        return Reason.KEY
    if (sign := _sure_sign(evidence)) is not None:
        return _REASONS[sign.sound]
    if evidence.person >= SURE:
        return Reason.VOICE
    if context.error is not None:
        return Reason.ERROR
    if context.is_repeat:
        return Reason.REPEAT_CALLER
    if not has_media(evidence, context):
        return Reason.NO_MEDIA
    return _kind(evidence, policy)


def is_silent(evidence: Evidence) -> bool:
    """Whether nothing ever rose above the line's own floor: no tap, no breath."""
    floor = max(evidence.floor_dbfs, LOWEST_FLOOR_DBFS)
    return (
        evidence.frames > 0
        and all(heard.sound in _QUIET for heard in evidence.heard)
        and evidence.loudest_dbfs <= SILENT_DBFS
        and evidence.loudest_dbfs <= floor + SILENT_RISE_DB
    )


def has_media(evidence: Evidence, context: Context) -> bool:
    """Whether enough audio came for its silence to mean anything."""
    return (
        evidence.frames * FRAME_SECONDS >= MEDIA_SECONDS
        and evidence.frames >= MEDIA_SHARE * context.expected_frames
    )


def describe(evidence: Evidence, policy: Policy, context: Context) -> str:
    """The evidence in one readable line, for the record and for reviews."""
    reason = find_reason(evidence, policy, context)
    parts = [_heard(evidence)]
    if reason in (Reason.DOUBT, Reason.DISTANT):
        parts.append(f"person {evidence.person:.2f}, voices {evidence.voices:.2f}")
    parts.append(f"key {context.key}" if context.key is not None else "no key")
    if reason is Reason.NO_MEDIA:
        parts.append(
            f"only {evidence.frames} of {context.expected_frames} frames of media"
        )
    if context.is_repeat:
        parts.append("released a moment ago")
    if context.error is not None:
        parts.append(f"error: {context.error}")
    return "; ".join(parts)


def _kind(evidence: Evidence, policy: Policy) -> Reason:
    """A call with media and without any sure sign of a person."""
    sounds = {heard.sound for heard in evidence.heard}
    if evidence.person >= policy.release_below or _is_hinted(evidence):
        return Reason.DOUBT
    if _is_too_loud(evidence) and not sounds & _MACHINES:
        return Reason.DOUBT
    if evidence.voices >= SURE or Sound.DISTANT_VOICE in sounds:
        return Reason.DISTANT
    if evidence.voices >= policy.release_below:
        return Reason.DOUBT
    if sounds & _MACHINES:
        return Reason.MACHINE
    if is_silent(evidence):
        return Reason.SILENT
    if Sound.ECHO in sounds and not sounds - _QUIET - {Sound.ECHO}:
        return Reason.ECHO
    return Reason.NOISE


def _is_too_loud(evidence: Evidence) -> bool:
    """Whether all of it may drown a caller, or one loud sound may be his scream."""
    floor = evidence.floor_dbfs
    is_scream = evidence.loudest_dbfs >= SCREAMED_DBFS and floor <= STILL_DBFS
    return is_scream or floor >= DROWNING_DBFS


def _is_hinted(evidence: Evidence) -> bool:
    """Whether a sound speaks for a person; in less than a call a hint only if belief
    agrees, by no more than what any city must allow for."""
    counts = evidence.frames >= CALL_FRAMES or evidence.person >= RELEASE_BELOW
    return any(heard.is_sign or (heard.is_hint and counts) for heard in evidence.heard)


def _sure_sign(evidence: Evidence) -> Heard | None:
    """The clearest sound of a person, if any is sure."""
    signs = [
        heard
        for heard in evidence.heard
        if heard.sound in _REASONS
        and (heard.sound not in _BELIEVED or heard.confidence >= SURE)
    ]
    return max(signs, key=lambda heard: heard.confidence, default=None)


def _ruling(reason: Reason, policy: Policy, context: Context) -> Ruling:
    if reason in _AT_ONCE:
        return Ruling.PASS
    if context.asked < ASKED_ENOUGH:
        return Ruling.SECOND_PROMPT
    treatment = policy.treatment(reason)
    return Ruling.PASS if treatment is None else _RULINGS[treatment]


def _may_go_to_idle(reason: Reason, policy: Policy, context: Context) -> bool:
    return (
        reason in _UNCLEAR
        and policy.when_idle is WhenIdle.OPERATOR
        and (context.idle_operators or 0) > 0
    )


def _last_look(
    verdict: Verdict, evidence: Evidence, policy: Policy, context: Context
) -> Verdict:
    """A release, if nothing at all speaks against it."""
    if context.has_called:
        why = "called a moment ago"
        return _told(verdict, Ruling.LOW_PRIORITY, why, Reason.REPEAT_CALLER)
    if not _is_releasable(verdict.reason, evidence, context):
        return replace(verdict, ruling=Ruling.PASS)
    if context.mode is Mode.SHADOW:
        shadow = _told(verdict, Ruling.PASS, "the filter only watches")
        return replace(shadow, is_shadow=True)
    if context.releases_left is not None and context.releases_left <= 0:
        return _told(verdict, Ruling.LOW_PRIORITY, "drop budget spent", Reason.BUDGET)
    if context.is_holdout:
        drawn = _told(verdict, _RULINGS[policy.holdout], "drawn by lot")
        return replace(drawn, is_holdout=True)
    return verdict


def _told(
    verdict: Verdict, ruling: Ruling, why: str, reason: Reason | None = None
) -> Verdict:
    """The same call on another way, and one more word of explanation."""
    return replace(
        verdict,
        ruling=ruling,
        reason=reason or verdict.reason,
        because=f"{verdict.because}; {why}",
    )


def _is_releasable(reason: Reason, evidence: Evidence, context: Context) -> bool:
    """The rules above every policy, said once more and on their own."""
    return (
        reason in RELEASABLE
        and context.key is None
        and context.error is None
        and not context.is_repeat
        and not context.has_called
        and context.asked >= ASKED_ENOUGH
        and has_media(evidence, context)
        and _is_sane(evidence)
        and evidence.person < _most_belief(evidence)
        and (reason is Reason.MACHINE or not _is_too_loud(evidence))
        and not _is_hinted(evidence)
    )


def _most_belief(evidence: Evidence) -> float:
    """From here on nobody is released: in a call, or in a clip judged where the belief
    is calibrated. (A city's own limit is at most the former, however short its calls.)
    """
    return RELEASE_BELOW if evidence.frames >= CALL_FRAMES else SURELY_NOBODY


def _is_sane(evidence: Evidence) -> bool:
    """Whether every figure is one: what is no number is neither above nor below."""
    figures = (
        evidence.person,
        evidence.voices,
        evidence.loudest_dbfs,
        evidence.floor_dbfs,
    )
    return all(map(math.isfinite, figures))


def _confidence(reason: Reason, evidence: Evidence) -> float:
    match reason:
        case Reason.DISTANT:
            return max(evidence.voices, _clearest(evidence, Sound.DISTANT_VOICE))
        case Reason.SILENT | Reason.NOISE | Reason.ECHO | Reason.MACHINE:
            return 1.0 - evidence.person
        case Reason.KEY | Reason.ERROR | Reason.REPEAT_CALLER | Reason.NO_MEDIA:
            return 1.0
        case _:
            return max(evidence.person, *(_clearest(evidence, s) for s in PERSON))


def _clearest(evidence: Evidence, sound: Sound) -> float:
    heard = evidence.get(sound)
    return 0.0 if heard is None else heard.confidence


_NAMES = {
    Sound.NEAR_VOICE: "voice",
    Sound.WHISPER: "whisper",
    Sound.DISTANT_VOICE: "distant voices",
    Sound.CRY: "crying or screaming",
    Sound.KNOCKS: "knocks or coughs",
    Sound.KEY_TONE: "key as a tone",
    Sound.TTY: "text telephone",
    Sound.LOUD: "loud sound",
    Sound.ANSWER: "a sound when asked for one",
    Sound.LONE: "a sound that stands alone",
    Sound.ECHO: "our prompt's echo",
    Sound.FAX: "fax or modem",
    Sound.NETWORK_TONE: "network tone",
}
MOST_SOUNDS = 3
"""So many kinds of sound are told in the line, people's first."""


def _heard(evidence: Evidence) -> str:
    if evidence.frames == 0:
        return "nothing heard"
    told = sorted(
        (heard for heard in evidence.heard if heard.sound in _NAMES),
        key=lambda heard: (heard.sound not in PERSON, -heard.confidence),
    )
    if told:
        return ", ".join(_in_words(heard) for heard in told[:MOST_SOUNDS])
    floor, loudest = evidence.floor_dbfs, evidence.loudest_dbfs
    levels = f"floor {floor:.0f} dBFS, loudest {loudest:.0f} dBFS"
    return f"silence, {levels}" if is_silent(evidence) else f"no voice, {levels}"


def _in_words(heard: Heard) -> str:
    detail = f" {heard.detail}" if heard.detail else ""
    return (
        f"{_NAMES[heard.sound]}{detail} "
        f"{heard.frames * FRAME_SECONDS:.1f} s at {heard.dbfs:.0f} dBFS, "
        f"{heard.over_floor_db:.0f} dB over floor, "
        f"from {heard.from_frame * FRAME_SECONDS:.1f} s"
    )
