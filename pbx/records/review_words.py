"""What the review list says of a call, as values; the database is elsewhere."""

from __future__ import annotations

from typing import Any

from pbx.model.call import Call
from pbx.model.review import kind_of

MOST_BECAUSE = 2000


def review_of(call: Call) -> dict[str, Any] | None:
    """The columns that follow from the record; None: it does not belong on the list."""
    kind, verdict = kind_of(call), call.verdict
    if kind is None or verdict is None:
        return None
    return {
        "kind": kind.value,
        "at": call.started_at,
        "ruling": verdict.verdict[:16],
        "reason": verdict.reason[:32],
        "because": verdict.evidence[:MOST_BECAUSE],
        "confidence": verdict.confidence,
    }
