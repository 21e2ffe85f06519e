"""The evidence in one readable line, for the record and for reviews."""

from __future__ import annotations

from ghostfilter.evidence import Evidence
from ghostfilter.reasons import Context, is_silent
from ghostfilter.signals import FRAME_SECONDS, PERSON, Heard, Sound
from pbx.model.verdict import Reason

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


def describe(evidence: Evidence, context: Context, reason: Reason) -> str:
    """What was heard, and what else speaks for `reason`."""
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
