"""What the city wants the ghost filter to do, and what it cannot want.

The table `[flows.NAME.filter]` of the city file. Some rules are no setting: who showed
any sign of a person, calls again, sends no audio, met an error or comes when the drop
budget is spent is never released (`ghostfilter.verdict`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pbx.model.verdict import Reason

SURELY_NOBODY = 0.5
"""`Evidence.person` and `.voices` are calibrated so that below this nobody is there."""
RELEASE_BELOW = 0.3
"""More no city may ask for: a clip that is judged wrongly is a figure, a release cannot
be taken back (docs/decisions/0014-a-release-asks-for-more.md)."""


class Mode(StrEnum):
    """Whether the filter acts."""

    ON = "on"
    SHADOW = "shadow"
    """Decide and tell the journal, release nobody."""
    OFF = "off"
    """Kill switch: every caller goes to the queue at once."""


class Treatment(StrEnum):
    """What a kind of call leads to after both prompts."""

    RELEASE = "release"
    LOW_PRIORITY = "low-priority"
    OPERATOR = "operator"


class WhenIdle(StrEnum):
    """What an operator with nothing to do is for."""

    OPERATOR = "operator"
    """Everything that is not clear goes to a human, at once."""
    AS_USUAL = "as-usual"


class Policy(BaseModel):
    """One flow's ghost filter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Mode = Mode.ON
    silent: Treatment = Treatment.LOW_PRIORITY
    """Media came, and from first to last nothing rose above the line's own floor."""
    noise: Treatment = Treatment.LOW_PRIORITY
    """Something was heard, but no person: noise, machines' tones, our own echo."""
    distant: Treatment = Treatment.OPERATOR
    """Voices, but nobody near: television, a market, the next room."""
    doubt: Treatment = Treatment.LOW_PRIORITY
    """The filter is not sure that nobody is there. Nobody may be released for it; who
    is in doubt waits behind those who are surely people."""
    when_idle: WhenIdle = WhenIdle.OPERATOR
    """With an idle operator what is in doubt, distant or without media waits for
    nothing: after the first prompt it goes to him."""
    release_below: Annotated[float, Field(gt=0, le=RELEASE_BELOW)] = RELEASE_BELOW
    """Belief in a person (0…1) from which on nobody is released. May only be lowered,
    towards people."""
    holdout_percent: Annotated[float, Field(ge=0, le=100)] = 2.0
    """So many of a hundred would-be releases go to an operator, by lot."""
    holdout: Treatment = Treatment.LOW_PRIORITY
    """Where they wait. Nobody may be released for it."""
    releases_per_hour: Annotated[int, Field(ge=1, le=10_000)] = 60
    """The drop budget of each clock hour. Spent, it lets everybody through."""

    @field_validator("doubt", "holdout")
    @classmethod
    def _ends_at_a_human(cls, treatment: Treatment) -> Treatment:
        if treatment is Treatment.RELEASE:
            raise ValueError("may be low-priority or operator, never release")
        return treatment

    @property
    def releases(self) -> bool:
        """Whether anybody may be released at all."""
        return self.mode is Mode.ON and Treatment.RELEASE in (
            self.silent,
            self.noise,
            self.distant,
        )

    def treatment(self, reason: Reason) -> Treatment | None:
        """What a call of this kind leads to; None: no matter of policy, a human."""
        match reason:
            case Reason.SILENT:
                return self.silent
            case Reason.NOISE | Reason.ECHO | Reason.MACHINE:
                return self.noise
            case Reason.DISTANT:
                return self.distant
            case Reason.DOUBT:
                return self.doubt
            case _:
                return None

    def mode_with(self, switch: Mode | None) -> Mode:
        """The more careful of what is declared and what the kill switch says."""
        order = (Mode.OFF, Mode.SHADOW)
        return next((mode for mode in order if mode in (self.mode, switch)), Mode.ON)
