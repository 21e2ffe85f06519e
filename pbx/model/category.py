"""Which of Kediri's classes a call belongs to: ghost, prank, information or valid.

The operator's word decides where there is one; without it the record itself says
whether anybody was there. Nobody else's opinion counts: what neither says is
`unclassified`, and stays so in every report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pbx.model.call import Call, Disposition, as_record
from pbx.model.figures import GENUINE_TALK_SECONDS
from pbx.model.verdict import PERSON_REASONS, Reason, Ruling


class Category(StrEnum):
    """The classes of the monthly evaluation, in the order it prints them."""

    GHOST = "ghost"
    """Nobody there who wants to talk: pocket calls, silence."""
    PRANK = "prank"
    INFORMATION = "information"
    """A question, no case."""
    VALID = "valid"
    """A report that an agency is sent to."""
    UNCLASSIFIED = "unclassified"
    """Somebody may have been there, and no operator said who."""


SPOKEN = frozenset(Category) - {Category.UNCLASSIFIED}
"""What an operator may say."""

NOBODY_REASONS = frozenset({Reason.SILENT, Reason.NOISE, Reason.ECHO, Reason.MACHINE})
"""Reasons by which the filter says that nobody is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What of a record its category depends on."""

    disposition: str
    said: str | None = None
    """The operator's word."""
    is_answered: bool = False
    """By the system: the caller was greeted."""
    ruling: str | None = None
    reason: str | None = None
    has_keys: bool = False
    was_queued: bool = False
    was_rescued: bool = False
    """Rescued or degraded: the filter had no part in it."""
    talk_seconds: float | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The traits of a record as JSON holds it; absent fields count as unknown."""
        verdict = record.get("verdict") or {}
        return cls(
            disposition=record["disposition"],
            said=(record.get("classified") or {}).get("category"),
            is_answered=record.get("answered_at") is not None,
            ruling=verdict.get("verdict"),
            reason=verdict.get("reason"),
            has_keys=bool(record.get("keys")),
            was_queued=bool(record.get("queued")),
            was_rescued=bool(record.get("rescued") or record.get("degraded")),
            talk_seconds=record.get("talk_seconds"),
        )


def category_of(record: Mapping[str, Any] | Call) -> Category:
    """The category of an incoming call that has ended; see `judge`."""
    told = as_record(record) if isinstance(record, Call) else record
    return judge(Traits.of(told))


def judge(traits: Traits) -> Category:
    """The operator's word; else ghost where the record shows that nobody was there.

    That is: released by the filter; or left inside it without a sign of life; or put
    through although the filter found nobody (low priority, holdout, shadow mode), and
    nobody talked with an operator for as long as people do. Who spoke or pressed a key
    during the goodbye showed a sign of life.
    """
    if traits.said in SPOKEN:
        return Category(traits.said)
    is_ghost = (
        traits.disposition == Disposition.RELEASED
        or _left_silently(traits)
        or _found_nobody(traits)
    )
    return Category.GHOST if is_ghost else Category.UNCLASSIFIED


def _left_silently(traits: Traits) -> bool:
    """Inside the filter: greeted, never queued, and the filter was at work."""
    return (
        traits.disposition == Disposition.LEFT
        and traits.is_answered
        and not traits.was_rescued
        and not traits.has_keys
        and traits.reason not in PERSON_REASONS
    )


def _found_nobody(traits: Traits) -> bool:
    was_saved = traits.ruling == Ruling.RELEASE and traits.was_queued
    return (
        traits.reason in NOBODY_REASONS
        and not traits.has_keys
        and not was_saved
        and traits.disposition != Disposition.LOST
        and (traits.talk_seconds or 0.0) < GENUINE_TALK_SECONDS
    )
