"""What was heard of one caller, first frame to last."""

from __future__ import annotations

from dataclasses import dataclass

from ghostfilter.signals import Heard, Sound

LOWEST_DBFS = -96.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a verdict goes by, but for the keys and what is known of the call.

    `person` and `voices` are calibrated: below 0.5 the filter is sure that there was
    none, from 0.9 on that there was one. Between lies doubt, and doubt is a human's.
    """

    frames: int
    """How many frames of 20 ms came at all."""
    heard: tuple[Heard, ...] = ()
    """Each kind of sound once, in the order in which they began."""
    person: float = 0.0
    """0…1: the highest belief so far that somebody is near the phone."""
    voices: float = 0.0
    """0…1: the same for any human voice, near or far, that is not our prompt."""
    loudest_dbfs: float = LOWEST_DBFS
    """The loudest single frame."""
    floor_dbfs: float = LOWEST_DBFS
    """The line's own floor: the level that a fifth of all frames stay below."""

    def get(self, sound: Sound) -> Heard | None:
        """What was heard of one kind, if anything."""
        return next((heard for heard in self.heard if heard.sound is sound), None)
