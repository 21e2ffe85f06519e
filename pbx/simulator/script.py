"""What a test caller does, step by step, and how Asterisk is told to do it.

A script is plain data; `dialplan_steps` turns it into applications which the carrier's
dialplan runs one after the other (`templates/extensions.conf.j2`, context `caller`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never


@dataclass(frozen=True, slots=True)
class Say:
    """Play a voice, as real RTP."""

    file: Path


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys: RFC 4733 telephone events, 120 ms each, 100 ms apart."""

    digits: str

    def __post_init__(self) -> None:
        if not self.digits or set(self.digits) - set("0123456789*#ABCD"):
            raise ValueError(f"{self.digits!r} are not keys; use 0-9 * # A-D")


@dataclass(frozen=True, slots=True)
class Silence:
    """Media with nobody in it: the soft hiss of an open line."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NoMedia:
    """Not one RTP packet: a broken phone or trunk."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """Put the receiver down."""


Step = Say | Press | Silence | NoMedia | HangUp

MAX_CALL_SECONDS = 120.0
"""No test call lasts longer, whatever happens."""


@dataclass(frozen=True, slots=True)
class Script:
    """One call: who calls, what they do, and when they leave."""

    steps: tuple[Step, ...] = ()
    afterwards: Say | Silence | NoMedia = Silence(60)
    """Repeated when the steps are done, until somebody hangs up."""
    number: str = "081234567890"
    """The number presented; empty for none at all."""
    name: str = ""
    withheld: bool = False
    """Presentation restricted: From is anonymous, P-Asserted-Identity carries it."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further SIP headers of the INVITE."""
    dialled: str = "112"
    hang_up_after_seconds: float = MAX_CALL_SECONDS
    """Measured from the answer."""


def dialplan_steps(
    script: Script, voice: Callable[[Say | Silence], str]
) -> tuple[list[str], str]:
    """The script as Asterisk applications: the steps, and what is repeated at the end.

    `voice` puts a sound where Asterisk can read it and gives its name without suffix.
    """
    return [_application(step, voice) for step in script.steps], _application(
        script.afterwards, voice
    )


def _application(step: Step, voice: Callable[[Say | Silence], str]) -> str:
    match step:
        case Say() | Silence():
            return f"Playback({voice(step)})"
        case Press(digits):
            return f"SendDTMF({digits},100,120)"
        case NoMedia(seconds):
            return f"Wait({seconds:.3f})"
        case HangUp():
            return "Hangup()"
        case _:
            assert_never(step)
