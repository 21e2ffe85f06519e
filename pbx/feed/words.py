"""What may be asked and what is answered: the models OpenAPI is made from."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from pbx.feed.cursors import LONGEST
from pbx.model.call import Disposition

MOST_ITEMS = 500
LONGEST_WAIT_SECONDS = 60.0
RECORD = "CallRecord"
"""The record's name among the schemas of the OpenAPI document."""

_FIRST_YEAR, _LAST_YEAR = 1970, 9000

Cursor = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=LONGEST),
    Field(description="Opaque; give it back as it is."),
]
CallId = Annotated[str, StringConstraints(pattern=r"^[!-.0-~]+$", max_length=160)]
"""No slash: it is a part of a path."""
FileName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=200)
]
Number = Annotated[str, StringConstraints(pattern=r"^\+?[0-9*#]{1,32}$")]
Operator = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,15}$")]
Words = StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")
"""One line, without control characters."""
Reason = Annotated[str, Words, Field(min_length=3, max_length=200)]
Listener = Annotated[str, Words, Field(min_length=1, max_length=80)]
Moment = AwareDatetime | date
Record = Annotated[
    dict[str, Any], WithJsonSchema({"$ref": f"#/components/schemas/{RECORD}"})
]


class OnlyState(StrEnum):
    """Which calls to tell of."""

    CLOSED = "closed"


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NothingAsked(_Asked):
    """No parameter at all."""


class CallsAsked(_Asked):
    """The feed after a cursor; or with `from`, the calls that began then."""

    after: Annotated[
        Cursor | None,
        Field(description="`next` or an item's `cursor`; none: from the beginning."),
    ] = None
    limit: Annotated[
        int, Field(ge=1, le=MOST_ITEMS, description="Most items of one answer.")
    ] = 100
    wait: Annotated[
        float,
        Field(
            ge=0,
            le=LONGEST_WAIT_SECONDS,
            allow_inf_nan=False,
            description="Seconds to wait where there is nothing new (feed only).",
        ),
    ] = 0.0
    state: Annotated[
        OnlyState | None, Field(description="`closed`: no calls that still go on.")
    ] = None
    since: Annotated[
        Moment | None,
        Field(
            alias="from",
            description="List calls that began then or later, oldest first. A time "
            "with its zone, or a day of the city.",
        ),
    ] = None
    to: Annotated[
        Moment | None, Field(description="… and before then; of a day, its beginning.")
    ] = None
    number: Annotated[
        Number | None,
        Field(description="Only calls to this number; longer than 5 needs `personal`."),
    ] = None
    caller: Annotated[
        Number | None,
        Field(
            description="Only from this caller, as 0…, 62… or +62…; needs `personal`."
        ),
    ] = None
    disposition: Annotated[
        Disposition | None, Field(description="Only calls that ended so.")
    ] = None

    @model_validator(mode="after")
    def _is_feed_or_list(self) -> Self:
        for moment in (self.since, self.to):
            if moment is not None and not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
                raise ValueError(f"years are {_FIRST_YEAR} to {_LAST_YEAR}")
        filters = (self.to, self.number, self.caller, self.disposition)
        if self.since is None and any(value is not None for value in filters):
            raise ValueError("to, number, caller and disposition go with `from`")
        if self.since is not None and self.wait:
            raise ValueError("a list with `from` does not wait; leave `wait` out")
        return self


class EventsAsked(_Asked):
    """Where live events begin."""

    after: Annotated[
        Cursor | None,
        Field(description="As Last-Event-ID, which outweighs it; none: from now on."),
    ] = None
    state: Annotated[
        OnlyState | None, Field(description="`closed`: no calls that still go on.")
    ] = None


class AudioAsked(_Asked):
    """Why somebody listens, and who."""

    reason: Annotated[
        Reason | None,
        Field(description="Why; or the header Gerbang-Reason. It is written down."),
    ] = None
    person: Annotated[
        Listener | None,
        Field(description="Who listens, of those behind this token; or Gerbang-Person"),
    ] = None


class Item(BaseModel):
    """One call, by its newest revision."""

    cursor: Cursor
    call_id: str
    revision: Annotated[int, Field(ge=1)]
    written_at: datetime
    record: Annotated[
        Record | None, Field(description="null: this record is no longer kept.")
    ]


class Page(BaseModel):
    """Items in order; go on with `next` as `after`."""

    items: list[Item]
    next: Cursor | None
    more: Annotated[bool, Field(description="There is more right now; do not wait.")]


class Category(StrEnum):
    """The evaluation's classes."""

    GHOST = "ghost"
    PRANK = "prank"
    INFORMATION = "information"
    VALID = "valid"


class Classification(_Asked):
    """What a call was, in an operator's word; the last one counts."""

    category: Category
    type: Annotated[str, Words, Field(min_length=1, max_length=80)] | None = None
    operator: Operator | None = None
    note: Annotated[str, Words, Field(min_length=1, max_length=1000)] | None = None


class Survey(_Asked):
    """How the caller rates the service."""

    score: Annotated[int, Field(ge=1, le=5, strict=True)]


class Accepted(BaseModel):
    """Written down; the record's next revision tells it, mostly within a second."""

    call_id: str


class RecordingKind(StrEnum):
    """Where a sound comes from."""

    CONVERSATION = "conversation"
    FILTER = "filter"
    """What the ghost filter heard of the caller."""


class RecordingTold(BaseModel):
    """One sound of a call."""

    name: str
    kind: RecordingKind
    bytes: Annotated[int, Field(ge=0)]


class Recordings(BaseModel):
    """Every sound of a call that is still kept."""

    recordings: list[RecordingTold]


class Health(BaseModel):
    """Whether the feed and its store answer."""

    ok: bool
    store: Annotated[bool, Field(description="The record store answers.")]


class ProblemTold(BaseModel):
    """Every error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None
