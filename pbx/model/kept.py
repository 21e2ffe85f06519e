"""Where a call's kept audio lies, and for how long. Names and dates, no files.

The intake writes `YYYY-MM-DD/<call_id>.wav` and a `.json` beside it, the control room
finds them for review and deletes them when their days are over.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from pbx.model.retention import Retention


def place(call_id: str, at: datetime) -> PurePosixPath:
    """The audio of a call that began then, below the folder of kept audio.

    An id with characters that no file name should have is quoted.
    """
    day = at.astimezone(UTC).date().isoformat()
    return PurePosixPath(day, f"{quote(call_id, safe='')}.wav")


def places(call_id: str, started_at: datetime) -> tuple[PurePosixPath, ...]:
    """Where to look for it, given the record's time: the intake's may be a day later,
    by the seconds between Asterisk's first word and its own."""
    return (
        place(call_id, started_at),
        place(call_id, started_at + timedelta(days=1)),
    )


def expires_at(day: date, days: int) -> datetime:
    """When audio kept on that day (UTC) is deleted: whole days later, at midnight."""
    return datetime.combine(day + timedelta(days=days + 1), time(), UTC)


def days_kept(story: Mapping[str, Any] | None, retention: Retention) -> int:
    """How many days the audio with this story (its `.json`) is kept.

    Without a story that makes sense: as long as any.
    """
    if story is None or not isinstance(story.get("verdict"), Mapping):
        return max(retention.released_audio_days, retention.other_audio_days)
    if is_release(story):
        return retention.released_audio_days
    return retention.other_audio_days


def is_release(story: Mapping[str, Any]) -> bool:
    """Whether the caller was, or would have been, released."""
    verdict = story.get("verdict")
    return bool(story.get("shadowed")) or (
        isinstance(verdict, Mapping)
        and (verdict.get("ruling") == "release" or bool(verdict.get("is_holdout")))
    )
