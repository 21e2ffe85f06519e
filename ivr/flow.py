"""The steps a caller can meet: a prompt, then listening; step after step.

Filter 0 has two: the greeting and the second chance. A key or a voice at any moment
ends the whole flow; it never has to wait for a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

PROMPT_GRACE_SECONDS = 1.0
"""A prompt not reported ended this long after its length counts as ended."""


@dataclass(frozen=True, slots=True)
class Step:
    """Say something, then listen."""

    prompt: str
    prompt_seconds: float
    """The prompt's length; 0 for one that is missing: the step is then silence."""
    wait_seconds: float
    """How long to listen afterwards before the next step."""


@dataclass(frozen=True, slots=True)
class Flow:
    """All steps, in order; at least one."""

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("a flow needs at least one step")

    @property
    def usual_seconds(self) -> float:
        """How long a caller who stays silent is kept."""
        return sum(step.prompt_seconds + step.wait_seconds for step in self.steps)

    @property
    def longest_seconds(self) -> float:
        """The same, should no prompt ever be reported as ended."""
        return self.usual_seconds + PROMPT_GRACE_SECONDS * len(self.steps)


def filter_0(
    greeting: tuple[str, float],
    second_prompt: tuple[str, float],
    wait_seconds: float,
    second_wait_seconds: float,
) -> Flow:
    """Greet, listen, ask once more, listen. Prompts come as (name, seconds)."""
    return Flow(
        (
            Step(*greeting, wait_seconds),
            Step(*second_prompt, second_wait_seconds),
        )
    )
