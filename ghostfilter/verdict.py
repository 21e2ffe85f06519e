"""Evidence, policy and context → a verdict whose reasons a human can read.

Who may be released is said in one place, `_is_releasable`, and no policy reaches it:
policies only choose among what it leaves. In doubt, a human.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ghostfilter.evidence import Evidence
from ghostfilter.reasons import ASKED_ENOUGH as ASKED_ENOUGH
from ghostfilter.reasons import (
    CALL_FRAMES,
    SIGNS,
    find_reason,
    has_media,
    is_hinted,
    is_too_loud,
)
from ghostfilter.reasons import SURE as SURE
from ghostfilter.reasons import Context as Context
from ghostfilter.signals import PERSON, Sound
from ghostfilter.words import describe
from pbx.model.policy import (
    RELEASE_BELOW,
    SURELY_NOBODY,
    Mode,
    Treatment,
    WhenIdle,
)
from pbx.model.policy import Policy as Policy
from pbx.model.verdict import RELEASABLE, Reason, Ruling

_RULINGS = {
    Treatment.RELEASE: Ruling.RELEASE,
    Treatment.LOW_PRIORITY: Ruling.LOW_PRIORITY,
    Treatment.OPERATOR: Ruling.PASS,
}
_UNCLEAR = frozenset({Reason.DOUBT, Reason.DISTANT, Reason.NO_MEDIA})
"""What an idle operator is asked at once."""
_AT_ONCE = frozenset(SIGNS.values()) | {
    Reason.KEY,
    Reason.ERROR,
    Reason.REPEAT_CALLER,
}
"""Reasons for which nobody is asked once more."""


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
        describe(evidence, context, reason),
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
        and (reason is Reason.MACHINE or not is_too_loud(evidence))
        and not is_hinted(evidence)
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
