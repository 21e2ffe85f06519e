"""The review list: which calls belong on it, and what a reviewer may say of them.

The record's disposition is the truth, not the verdict: a caller who spoke during the
goodbye was put through, whatever the filter had said.
"""

from __future__ import annotations

from enum import StrEnum

from pbx.model.call import Call, Direction, Disposition, State
from pbx.model.verdict import Ruling


class Kind(StrEnum):
    """What became of a call that was, or would have been, released."""

    RELEASED = "released"
    """Said goodbye to and hung up on."""
    LEFT = "left"
    """Hung up during the goodbye: dropped as well, by our doing."""
    SAVED = "saved"
    """Spoke, pressed a key or was rescued during the goodbye, and was put through."""
    HOLDOUT = "holdout"
    """Put through by lot, to measure the filter."""
    SHADOW = "shadow"
    """Put through, since the filter was only watching."""


DROPS = frozenset({Kind.RELEASED, Kind.LEFT})
"""Kinds whose callers reached nobody."""


class Review(StrEnum):
    """What somebody who listened says."""

    UNREVIEWED = "unreviewed"
    NOBODY = "nobody"
    PERSON = "was-a-person"
    UNSURE = "unsure"


SHADOW_REASON = "shadow"
"""The dialplan's reason, should it have found shadow mode set only a moment ago."""


def kind_of(call: Call) -> Kind | None:
    """Why a call belongs on the review list; None: it does not, or not yet."""
    verdict = call.verdict
    if (
        verdict is None
        or call.state is not State.CLOSED
        or call.direction is not Direction.INCOMING
    ):
        return None
    if verdict.holdout:
        return Kind.HOLDOUT
    if verdict.shadow or verdict.reason == SHADOW_REASON:
        return Kind.SHADOW
    if call.disposition is Disposition.RELEASED:
        return Kind.RELEASED
    if verdict.verdict != Ruling.RELEASE.value:
        return None
    return Kind.SAVED if call.queued else Kind.LEFT
