"""What a filter may say of a caller. The words are those of the journal's VERDICT."""

from __future__ import annotations

from enum import StrEnum


class Ruling(StrEnum):
    """What happens to the caller. Only `RELEASE` does not end at an operator."""

    PASS = "pass"  # noqa: S105 - no password
    SECOND_PROMPT = "second-prompt"
    """Ask once more; never the last word on a call."""
    LOW_PRIORITY = "low-priority"
    RELEASE = "release"


class Reason(StrEnum):
    """Why, in one word."""

    KEY = "key"
    VOICE = "voice"
    WHISPER = "whisper"
    CRY = "cry"
    KNOCKS = "knocks"
    KEY_TONE = "key-tone"
    """A key heard as a tone; its event got lost on the way."""
    TTY = "tty"
    LOUD = "loud"

    DOUBT = "doubt"
    """Neither sure that somebody is near nor that nobody is."""
    DISTANT = "distant"
    """Voices, but nobody near."""
    SILENT = "silent"
    NOISE = "noise"
    ECHO = "echo"
    """Nothing but our own prompt coming back."""
    MACHINE = "machine"
    """Fax, modem, ring-back, busy: no people."""

    NO_MEDIA = "no-media"
    REPEAT_CALLER = "repeat-caller"
    ERROR = "error"
    BUDGET = "budget"
    """As many were released within the hour as the city allows."""
    IDLE_OPERATOR = "idle-operator"
    """Not clear, and somebody had time."""
    SHADOW = "shadow"
    """The dialplan's word: the filter was set to only watch a moment ago."""
    OFF = "filter-off"


PERSON_REASONS = frozenset(
    {
        Reason.KEY,
        Reason.VOICE,
        Reason.WHISPER,
        Reason.CRY,
        Reason.KNOCKS,
        Reason.KEY_TONE,
        Reason.TTY,
        Reason.LOUD,
    }
)
"""Somebody is there."""

RELEASABLE = frozenset(
    {Reason.SILENT, Reason.NOISE, Reason.ECHO, Reason.MACHINE, Reason.DISTANT}
)
"""The only reasons for which a caller may ever be released."""
