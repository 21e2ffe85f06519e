"""Whose audio the city keeps, and for how long: the table `[retention]` of its file."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Days = Annotated[int, Field(ge=1, le=365)]


class Keep(StrEnum):
    """Whose audio is kept for review. Releases, real or would-be, always are."""

    RELEASED = "released"
    FILTERED = "filtered"
    """Also everybody who did not pass at once: asked twice, or of low priority."""
    ALL = "all"
    """Everybody the filter listened to."""


class Retention(BaseModel):
    """Which callers' audio is kept, and for how many days; then it is deleted.

    Only what the filter heard, some 20 s, never a conversation. Rows stay.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: Keep = Keep.FILTERED
    released_audio_days: Days = 30
    """Of calls released, or that would have been (holdout, shadow mode)."""
    other_audio_days: Days = 14
