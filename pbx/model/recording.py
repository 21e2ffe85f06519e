"""Whether conversations are kept as sound: the table `[recording]` of the city file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Recording(BaseModel):
    """What is recorded. What the filter hears is another matter: `[retention]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    conversations: bool = False
    """A citizen's whole conversation, from the first operator to the end, transfers
    included; the queue and its music are not. About 1 MB a minute on the disk."""
