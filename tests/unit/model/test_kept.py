from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import PurePosixPath

import pytest
from pydantic import ValidationError

from pbx.model.city import read_city
from pbx.model.kept import days_kept, expires_at, is_release, place, places
from pbx.model.retention import Keep, Retention
from pbx.settings import PROJECT

RELEASED = {"verdict": {"ruling": "release"}, "shadowed": False}
PASSED = {"verdict": {"ruling": "pass"}, "shadowed": False}
HOLDOUT = {"verdict": {"ruling": "low-priority", "is_holdout": True}}
SHADOWED = {"verdict": {"ruling": "pass"}, "shadowed": True}


def test_the_day_is_utc() -> None:
    midnight_in_kediri = datetime(
        2026, 11, 22, 0, 30, tzinfo=timezone(timedelta(hours=7))
    )
    assert place("kediri-1-1.2", midnight_in_kediri) == PurePosixPath(
        "2026-11-21/kediri-1-1.2.wav"
    )


def test_an_odd_id_leaves_no_folder() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    assert place("../../etc/x", at).name == "..%2F..%2Fetc%2Fx.wav"


def test_a_call_at_midnight_may_lie_a_day_later() -> None:
    before = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
    assert [str(p.parent) for p in places("k", before)] == ["2026-11-21", "2026-11-22"]


def test_days_are_whole() -> None:
    until = expires_at(date(2026, 11, 21), 30)
    assert until == datetime(2026, 12, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("story", "days"),
    [(RELEASED, 30), (HOLDOUT, 30), (SHADOWED, 30), (PASSED, 14), (None, 30), ({}, 30)],
)
def test_releases_are_kept_longer(story: dict[str, object] | None, days: int) -> None:
    assert days_kept(story, Retention()) == days


def test_a_story_without_verdict_is_no_release() -> None:
    assert not is_release({})


def test_the_reference_city_declares_it() -> None:
    text = (PROJECT / "asterisk-config" / "city.toml").read_text()
    retention = read_city(text, source="city.toml").retention
    assert (retention.keep, retention.released_audio_days) == (Keep.FILTERED, 30)


def test_never_for_ever() -> None:
    with pytest.raises(ValidationError):
        Retention(released_audio_days=10_000)
