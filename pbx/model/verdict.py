"""What a filter may say of a caller. The words are those of the journal's VERDICT."""

from __future__ import annotations

from enum import StrEnum


class Ruling(StrEnum):
    """What happens to the caller. Only `RELEASE` does not end at an operator."""

    PASS = "pass"  # noqa: S105 - no password
    LOW_PRIORITY = "low-priority"
    RELEASE = "release"


class Reason(StrEnum):
    """Why, in one word."""

    KEY = "key"
    VOICE = "voice"
    SILENT = "silent"
    NOISE = "noise"
    NO_MEDIA = "no-media"
    REPEAT_CALLER = "repeat-caller"
    ERROR = "error"
