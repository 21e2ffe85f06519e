"""What `gerbang doctor` finds: plain words, what they mean, and the cure.

Each check is a function of the settings that yields findings. A check that breaks is a
finding itself and never hides the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pbx.settings import Settings


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """112 serves; somebody should look in daylight."""
    FAULT = "fault"
    """112 does not serve, or may stop serving at any moment."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the doctor looked at."""

    level: Level
    about: str
    """Two or three words."""
    text: str
    """What is so, and what it means."""
    cure: str = ""
    """What to do; empty if nothing needs doing."""


Check = Callable[[Settings], Iterable[Finding]]


def ok(about: str, text: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, about, text)


def warning(about: str, text: str, cure: str) -> Finding:
    """Not well, and yet 112 serves."""
    return Finding(Level.WARNING, about, text, cure)


def fault(about: str, text: str, cure: str) -> Finding:
    """112 is in danger."""
    return Finding(Level.FAULT, about, text, cure)


def examine(settings: Settings, checks: Iterable[Check]) -> Iterator[Finding]:
    """Every finding of every check, in order."""
    for check in checks:
        try:
            yield from check(settings)
        except Exception as error:  # noqa: BLE001 - the other checks still matter
            about = check.__name__.replace("_", " ")
            yield fault(
                about,
                f"this could not be looked at: {error!r}",
                "if the other findings do not explain it, report it with this line",
            )
