"""How much other services may ask: the table `[feed]` of the city's file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Feed(BaseModel):
    """Limits of the feed, so that no reader slows down another one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_second: Annotated[float, Field(ge=0.1, le=10_000)] = 50.0
    """Of each token, in the long run."""
    burst: Annotated[int, Field(ge=1, le=100_000)] = 200
    """… and at once."""
    listeners: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Who may wait or listen at the same time, all tokens together."""
    listeners_per_token: Annotated[int, Field(ge=1, le=10_000)] = 20
