"""What a call is, by the strongest of what is known of it. In doubt, doubt."""

from __future__ import annotations

from dataclasses import dataclass

from ghostfilter.evidence import Evidence
from ghostfilter.signals import FRAME_SECONDS, MACHINES, Heard, Sound
from pbx.model.policy import RELEASE_BELOW, Mode, Policy
from pbx.model.verdict import Reason

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

SIGNS = {
    Sound.NEAR_VOICE: Reason.VOICE,
    Sound.WHISPER: Reason.WHISPER,
    Sound.CRY: Reason.CRY,
    Sound.KNOCKS: Reason.KNOCKS,
    Sound.KEY_TONE: Reason.KEY_TONE,
    Sound.TTY: Reason.TTY,
    Sound.LOUD: Reason.LOUD,
}
"""Sounds that pass whoever made them, and why."""
_BELIEVED = frozenset(
    {Sound.NEAR_VOICE, Sound.WHISPER, Sound.CRY, Sound.KNOCKS, Sound.LOUD}
)
"""Told by belief: below SURE they are doubt. The other signs are heard or not."""
_QUIET = frozenset({Sound.SILENCE, Sound.COMFORT_NOISE})


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


def find_reason(evidence: Evidence, policy: Policy, context: Context) -> Reason:
    """What the call is, by the strongest of what is known of it."""
    if context.key is not None:
        return Reason.KEY
    if (sign := _sure_sign(evidence)) is not None:
        return SIGNS[sign.sound]
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


def is_too_loud(evidence: Evidence) -> bool:
    """Whether all of it may drown a caller, or one loud sound may be his scream."""
    floor = evidence.floor_dbfs
    is_scream = evidence.loudest_dbfs >= SCREAMED_DBFS and floor <= STILL_DBFS
    return is_scream or floor >= DROWNING_DBFS


def is_hinted(evidence: Evidence) -> bool:
    """Whether a sound speaks for a person; in less than a call a hint only if belief
    agrees, by no more than what any city must allow for."""
    counts = evidence.frames >= CALL_FRAMES or evidence.person >= RELEASE_BELOW
    return any(heard.is_sign or (heard.is_hint and counts) for heard in evidence.heard)


def _kind(evidence: Evidence, policy: Policy) -> Reason:
    """A call with media and without any sure sign of a person."""
    sounds = {heard.sound for heard in evidence.heard}
    if evidence.person >= policy.release_below or is_hinted(evidence):
        return Reason.DOUBT
    if is_too_loud(evidence) and not sounds & MACHINES:
        return Reason.DOUBT
    if evidence.voices >= SURE or Sound.DISTANT_VOICE in sounds:
        return Reason.DISTANT
    if evidence.voices >= policy.release_below:
        return Reason.DOUBT
    if sounds & MACHINES:
        return Reason.MACHINE
    if is_silent(evidence):
        return Reason.SILENT
    if Sound.ECHO in sounds and not sounds - _QUIET - {Sound.ECHO}:
        return Reason.ECHO
    return Reason.NOISE


def _sure_sign(evidence: Evidence) -> Heard | None:
    """The clearest sound of a person, if any is sure."""
    signs = [
        heard
        for heard in evidence.heard
        if heard.sound in SIGNS
        and (heard.sound not in _BELIEVED or heard.confidence >= SURE)
    ]
    return max(signs, key=lambda heard: heard.confidence, default=None)
