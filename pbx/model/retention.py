"""What the city keeps of its callers, and for how long: the table `[retention]`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pbx.model.faults import ContradictionError

Days = Annotated[int, Field(ge=1, le=365)]
LongDays = Annotated[int, Field(ge=1, le=3650)]


class Keep(StrEnum):
    """Whose audio is kept for review. Releases, real or would-be, always are."""

    RELEASED = "released"
    FILTERED = "filtered"
    """Also everybody who did not pass at once: asked twice, or of low priority."""
    ALL = "all"
    """Everybody the filter listened to."""


class Retention(BaseModel):
    """How long each class of data is kept, in whole days; then it goes by itself.

    Counted from the day (UTC) the call began. Reasons for each default, and who carries
    it out: docs/privacy.md. The audio of `keep` is only what the filter heard, some
    20 s; conversations are another class.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: Keep = Keep.FILTERED
    released_audio_days: Days = 30
    """Of calls released, or that would have been (holdout, shadow mode)."""
    other_audio_days: Days = 14
    conversation_days: LongDays = 90
    """Recordings of whole conversations."""
    raw_line_days: Annotated[LongDays, Field(ge=7)] = 90
    """Raw journal lines, and the journal files they came from. They hold everything
    else, and only while they are there can a record be computed anew."""
    number_days: LongDays = 365
    """Who called and from where, in records: numbers, headers, keys."""
    note_days: LongDays = 365
    """What operators and reviewers wrote, in words."""
    review_row_days: LongDays = 730
    """Rows of the review list with their marks."""
    ghost_record_days: LongDays = 730
    """Whole records of ghosts."""
    record_days: LongDays = 1825
    """Whole records of everybody else."""

    @model_validator(mode="after")
    def _classes_do_not_contradict(self) -> Self:
        problems = [
            (
                f"retention.{longer}",
                f"{getattr(self, longer)} days are more than the "
                f"{getattr(self, shorter)} of {shorter}: {why}. Lower it, or raise "
                f"{shorter}",
            )
            for longer, shorter, why in _NOT_LONGER
            if getattr(self, longer) > getattr(self, shorter)
        ]
        if problems:
            raise ContradictionError(problems)
        return self


_NOT_LONGER = (
    ("number_days", "record_days", "a number goes with its record at the latest"),
    ("note_days", "number_days", "a note may name the caller"),
    ("raw_line_days", "note_days", "raw lines hold the notes as well"),
    ("conversation_days", "record_days", "without its record nobody could say whose"),
    ("ghost_record_days", "record_days", "nobody's call would outlive a citizen's"),
    ("review_row_days", "ghost_record_days", "a review says nothing without its call"),
    ("released_audio_days", "review_row_days", "it would be audio nobody can review"),
    ("other_audio_days", "ghost_record_days", "nobody could say whose audio it is"),
)
"""The first may not be longer than the second, and why."""
