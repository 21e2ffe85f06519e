from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pbx.model.call import Call, Direction, Disposition, Rung, State
from pbx.model.events import Judged
from pbx.model.review import Kind, kind_of

AT = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
RELEASE = Judged("release", "silent", 9350, "silence; no key", 0.97)
CALL = Call(
    call_id="k-1.1",
    state=State.CLOSED,
    disposition=Disposition.RELEASED,
    started_at=AT,
    last_event_at=AT,
    verdict=RELEASE,
)
QUEUED = {"queued": (Rung("darurat", 10, 1, AT, None, None),)}


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({}, Kind.RELEASED),
        ({"disposition": Disposition.LEFT}, Kind.LEFT),
        ({"disposition": Disposition.CONNECTED} | QUEUED, Kind.SAVED),
        ({"disposition": Disposition.ABANDONED} | QUEUED, Kind.SAVED),
        ({"state": State.OPEN}, None),
        ({"direction": Direction.OUTGOING}, None),
        ({"verdict": None}, None),
        (
            {
                "disposition": Disposition.CONNECTED,
                "verdict": replace(RELEASE, verdict="low-priority", holdout=True),
            },
            Kind.HOLDOUT,
        ),
        (
            {
                "disposition": Disposition.CONNECTED,
                "verdict": replace(RELEASE, verdict="pass", shadow=True),
            },
            Kind.SHADOW,
        ),
        (
            {
                "disposition": Disposition.CONNECTED,
                "verdict": replace(RELEASE, verdict="pass", reason="shadow"),
            },
            Kind.SHADOW,
        ),
        (
            {
                "disposition": Disposition.CONNECTED,
                "verdict": replace(RELEASE, verdict="pass", reason="voice"),
            },
            None,
        ),
    ],
)
def test_which_calls_are_reviewed(told: dict[str, Any], kind: Kind | None) -> None:
    """The record's disposition is the truth, not the verdict."""
    assert kind_of(replace(CALL, **told)) is kind
