"""Evidence and policy → a verdict whose reasons a human can read.

A caller may be released only for proven silence or mere noise, and only where the
city's policy says so. Three rules stand above every policy: callers whose media did not
come, callers who were released a moment ago, and calls on which anything went wrong
reach a human.
"""

from __future__ import annotations

from dataclasses import dataclass

from ghostfilter.detector import FRAME_SECONDS, Evidence
from pbx.model.city import SilentPolicy
from pbx.model.verdict import Reason, Ruling

SILENT_RISE_DB = 6.0
"""Silence: no single frame rose further than this above the line's own floor …"""
SILENT_DBFS = -48.0
"""… nor above this level. The quietest person in the corpus peaks at −41.5."""
LOWEST_FLOOR_DBFS = -66.0
"""Lines gated to digital silence have no floor of their own; this one is assumed."""
MEDIA_SHARE = 0.8
"""Less of the expected audio than this proves nothing about the caller."""
MEDIA_SECONDS = 2.0
"""Nor does less than this, however complete."""

_RULINGS = {
    SilentPolicy.RELEASE: Ruling.RELEASE,
    SilentPolicy.LOW_PRIORITY: Ruling.LOW_PRIORITY,
    SilentPolicy.OPERATOR: Ruling.PASS,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What the city wants done with silence and with noise."""

    silent: SilentPolicy
    noise: SilentPolicy


@dataclass(frozen=True, slots=True)
class Context:
    """What else is known about the call than its sound."""

    expected_frames: int
    """Frames of 20 ms a caller with media would have sent by now, by the clock."""
    key: str | None = None
    is_repeat: bool = False
    """The same number was released a moment ago."""
    error: str | None = None
    """What went wrong while we listened, if anything."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ruling, its reason in one word, and the evidence in one line."""

    ruling: Ruling
    reason: Reason
    because: str


def judge(evidence: Evidence, policy: Policy, context: Context) -> Verdict:
    """Decide about one caller. In doubt, a human."""
    because = describe(evidence, context)
    reason = _reason(evidence, context)
    match reason:
        case Reason.SILENT:
            ruling = _RULINGS[policy.silent]
        case Reason.NOISE:
            ruling = _RULINGS[policy.noise]
        case _:
            ruling = Ruling.PASS
    return Verdict(ruling, reason, because)


def is_silent(evidence: Evidence) -> bool:
    """Whether nothing ever rose above the line's own floor: no tap, no breath."""
    floor = max(evidence.floor_dbfs, LOWEST_FLOOR_DBFS)
    return (
        evidence.frames > 0
        and not evidence.has_voice
        and evidence.loudest_dbfs <= SILENT_DBFS
        and evidence.loudest_dbfs <= floor + SILENT_RISE_DB
    )


def has_media(evidence: Evidence, context: Context) -> bool:
    """Whether enough audio came for its silence to mean anything."""
    return (
        evidence.frames * FRAME_SECONDS >= MEDIA_SECONDS
        and evidence.frames >= MEDIA_SHARE * context.expected_frames
    )


def describe(evidence: Evidence, context: Context) -> str:
    """The evidence in one readable line, for the record and for reviews."""
    parts = [_heard(evidence)]
    parts.append(f"key {context.key}" if context.key is not None else "no key")
    if _reason(evidence, context) is Reason.NO_MEDIA:
        parts.append(
            f"only {evidence.frames} of {context.expected_frames} frames of media"
        )
    if context.is_repeat:
        parts.append("released a moment ago")
    if context.error is not None:
        parts.append(f"error: {context.error}")
    return "; ".join(parts)


def _reason(evidence: Evidence, context: Context) -> Reason:
    if context.key is not None:
        return Reason.KEY
    if evidence.has_voice:
        return Reason.VOICE
    if context.error is not None:
        return Reason.ERROR
    if not has_media(evidence, context):
        return Reason.NO_MEDIA
    if context.is_repeat:
        return Reason.REPEAT_CALLER
    return Reason.SILENT if is_silent(evidence) else Reason.NOISE


def _heard(evidence: Evidence) -> str:
    if evidence.frames == 0:
        return "nothing heard"
    floor = f"floor {evidence.floor_dbfs:.0f} dBFS"
    if evidence.voice_from_frame is not None and evidence.voice_dbfs is not None:
        over = evidence.voice_dbfs - evidence.floor_dbfs
        return (
            f"voice {evidence.longest_voice_frames * FRAME_SECONDS:.1f} s "
            f"at {evidence.voice_dbfs:.0f} dBFS, {over:.0f} dB over floor, "
            f"from {evidence.voice_from_frame * FRAME_SECONDS:.1f} s"
        )
    if is_silent(evidence):
        return f"silence, {floor}, loudest {evidence.loudest_dbfs:.0f} dBFS"
    longest = evidence.longest_voice_frames * FRAME_SECONDS
    return (
        f"no near voice (longest {longest:.2f} s), "
        f"loudest {evidence.loudest_dbfs:.0f} dBFS, {floor}"
    )
