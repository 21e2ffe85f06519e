"""What a webhook carries: a CloudEvents 1.0 event in structured JSON. Pure.

The same revision of the same call is the same event, byte for byte, whenever and how
often it is sent: whoever is told knows a repetition by its id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pbx.model.call import State
from pbx.model.masking import masked
from pbx.records.record_schema import SCHEMA_ID
from pbx.records.webhooks import EventType

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
PING_TYPE = "id.gerbang112.test.v1"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent."""

    id: str
    body: bytes


def type_of(
    record: Mapping[str, Any], wanted: Collection[EventType]
) -> EventType | None:
    """The one type a subscription hears of this revision; None: nothing."""
    if record["state"] == State.CLOSED.value and EventType.CLOSED in wanted:
        return EventType.CLOSED
    return EventType.REVISED if EventType.REVISED in wanted else None


def call_message(
    record: Mapping[str, Any],
    kind: EventType,
    *,
    written_at: datetime,
    personal: bool,
    source: str,
) -> Message:
    """A call's revision; masked unless the subscription may have personal data."""
    message_id = event_id(record["call_id"], record["revision"])
    return _message(
        message_id,
        kind.value,
        written_at,
        source,
        subject=record["call_id"],
        dataschema=SCHEMA_ID,
        data=dict(record) if personal else masked(record),
    )


def deleted_message(
    call_id: str, revision: int, *, written_at: datetime, source: str
) -> Message:
    """A record is no longer kept: take yours out."""
    return _message(
        event_id(call_id, revision),
        EventType.DELETED.value,
        written_at,
        source,
        subject=call_id,
        data={"call_id": call_id, "revision": revision},
    )


def ping_message(at: datetime, source: str) -> Message:
    """Only says that we reach you, and sign as you expect."""
    return _message(
        f"test_{int(at.timestamp() * 1000)}", PING_TYPE, at, source, data={"test": True}
    )


def event_id(call_id: str, revision: int) -> str:
    """The same for the same revision; without the full stop of a call_id, which
    Standard Webhooks forbids."""
    return f"call_{hashlib.sha256(call_id.encode()).hexdigest()[:32]}_{revision}"


def _message(
    message_id: str, kind: str, at: datetime, source: str, **rest: Any
) -> Message:
    event = {
        "specversion": "1.0",
        "id": message_id,
        "source": source,
        "type": kind,
        "time": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        **rest,
    }
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return Message(message_id, text.encode())
