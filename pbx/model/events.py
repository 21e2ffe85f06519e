"""What can happen to a call, as Asterisk's journal tells it: lines in, events out.

The journal is CEL written by `cel_custom` with `format = json` (res/cdrel_custom/
writers.c, Asterisk 22.10): one object a line, the fields in the order of
`cel_custom.conf`, `eventtype` first, `eventextra` last. Three scars shape the parser:

- The writer escapes the double quote and nothing else. A caller's display name with a
  backslash, a user event's extra text with a quote, or a number such as `08%0a` (a line
  feed!) makes text that is not JSON. Since every quote *inside* a value carries a
  backslash, the bare sequences `{"eventtype":"` and `","uniqueid":"` can only have been
  written by Asterisk: `Journal` cuts records, and `_salvage` cuts fields, at those.
- The writer checks `fputs`, not `fclose`: on a full disk half a line stays behind and
  the next line is glued to it. Cutting at `{"eventtype":"` separates the two again.
- It gives a record 1,023 bytes and drops the rest of it without a word, so what a
  record cannot do without stands first (`cel_custom.conf`).

Millions of lines are read when records are made anew, so the common line, plain text
without anything odd, takes a short way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pbx.model.facts import Degraded as Degraded
from pbx.model.facts import Fact as Fact
from pbx.model.facts import Judged as Judged
from pbx.model.facts import KeyPressed as KeyPressed
from pbx.model.facts import Offered as Offered
from pbx.model.facts import PromptHeard as PromptHeard
from pbx.model.facts import Queued as Queued
from pbx.model.facts import QueueLeft as QueueLeft
from pbx.model.facts import Released as Released
from pbx.model.facts import Rescued as Rescued
from pbx.model.facts import is_fact, read_fact, storable

RECORD_START = b'{"eventtype":"'
"""Begins every record; cannot occur inside a value (see above)."""
LAST_FIELD = b'","eventextra":"'
RECORD_END = b'"}\n'
LONGEST_ID = 151
"""Asterisk's limit for a uniqueid (AST_MAX_UNIQUEID, include/asterisk/channel.h)."""


class UnreadableLineError(ValueError):
    """A record that cannot be understood; `channel` and `linkedid` if they survived."""

    def __init__(self, why: str, *, channel: str = "", linkedid: str = "") -> None:
        super().__init__(why)
        self.channel = channel
        self.linkedid = linkedid


# ---- events -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEvent:
    """One journal line: when, which channel, which call. Also any kind of no interest
    to a record (APP_START, LOCAL_OPTIMIZE, DTMF, …)."""

    at: datetime
    channel: str
    """The channel's uniqueid."""
    linkedid: str
    channel_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStarted(JournalEvent):
    """An INVITE came in or went out; written even if nobody ever answers."""

    caller: str
    dialled: str
    context: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAnswered(JournalEvent):
    """The channel is up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeEntered(JournalEvent):
    """The channel can hear whoever else is in that bridge."""

    bridge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeExited(JournalEvent):
    """The channel is out of that bridge."""

    bridge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindTransferred(JournalEvent):
    """This channel's side sent the other on to a number."""

    extension: str
    transferee: str
    """The uniqueid of who was sent on; `N/A` if there was not exactly one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendedTransferred(JournalEvent):
    """This channel's side joined two calls of its own and left."""

    second: str
    """The uniqueid of its channel in the other call."""
    transferee: str
    target: str
    """Uniqueids; `N/A` where Asterisk knows none, as of a phone that still rings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HungUp(JournalEvent):
    """The channel is dead. `cause` is Q.850; `source` the channel that asked for it,
    empty or `dialplan/…` when we did."""

    cause: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEnded(JournalEvent):
    """Last word about a channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(JournalEvent):
    """LINKEDID_END: the last channel that carried this linkedid is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactTold(JournalEvent):
    """A user event of ours."""

    fact: Fact


# ---- reading ------------------------------------------------------------------------


def read_event(raw: bytes) -> JournalEvent:
    """Understand one record of a journal. Raises UnreadableLineError, no other."""
    fields = _fields(raw.decode("utf-8", "replace").strip())
    channel, linkedid = fields.get("uniqueid", ""), fields.get("linkedid", "")
    is_named = _is_id(linkedid)
    if not is_named or not (channel == linkedid or _is_id(channel)):
        raise UnreadableLineError(
            "names no channel or no call",
            channel=channel if _is_id(channel) else "",
            linkedid=linkedid if is_named else "",
        )
    try:
        at = read_time(fields["eventtime"])
        name = fields.get("usereventname")
        kind = "FACT" if name else fields["eventtype"]
        build = _BUILDERS.get(kind, _of_no_interest)
        return build(at, channel, linkedid, fields.get("channame", ""), fields)
    except (
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        RecursionError,  # brackets opened a thousand times
    ) as error:
        kind = fields.get("eventtype", "?")
        raise UnreadableLineError(
            f"{kind}: {type(error).__name__}: {error}",
            channel=channel,
            linkedid=linkedid,
        ) from error


_decode = json.JSONDecoder().raw_decode
_decode_loosely = json.JSONDecoder(strict=False).raw_decode
_TEXT = {str}


def _fields(text: str) -> Mapping[str, str]:
    try:
        fields, end = _decode(text)
        is_plain = "\\u" not in text  # nothing hides; bare control characters raise
    except (ValueError, RecursionError):
        try:
            fields, end = _decode_loosely(text)
            is_plain = False
        except (ValueError, RecursionError):
            return _salvage(text)
    if end != len(text):
        return _salvage(text)
    if not isinstance(fields, dict):
        return {}
    if is_plain and set(map(type, fields.values())) == _TEXT:
        return fields
    return {
        key: storable(value if isinstance(value, str) else json.dumps(value))
        for key, value in fields.items()
    }


def _is_id(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ID and text.isascii() and text.isprintable()


_FIELD = re.compile(r'(?:^\{|",)"([a-z]+)":"')


def _salvage(text: str) -> Mapping[str, str]:
    """The fields of a record that is not JSON, cut where only Asterisk can have."""
    found: dict[str, str] = {}
    marks = list(_FIELD.finditer(text))
    for mark, after in zip(marks, [*marks[1:], None], strict=False):
        if after is None:
            value = text[mark.end() :]
            if not value.endswith('"}'):
                break  # torn: the last value may be half a value
            value = value[:-2]
        else:
            value = text[mark.end() : after.start()]
        found[mark[1]] = storable(value.replace('\\"', '"'))
    return found


@lru_cache(maxsize=256)  # lines of one moment follow each other
def read_time(text: str) -> datetime:
    """`2026-11-21 20:41:04.570 +0000` → aware UTC; the space may be missing, the zone
    may not. Raises ValueError."""
    if text.endswith(" +0000"):
        return datetime.fromisoformat(text[:-6] + "+00:00")
    at = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
    if at.tzinfo is None:
        raise ValueError(f"event time {text!r} names no zone")
    return at.astimezone(UTC)


def _extra(fields: Mapping[str, str]) -> dict[str, Any]:
    extra, _ = _decode_loosely(fields["eventextra"])
    if not isinstance(extra, dict):
        raise TypeError("eventextra is no object")
    return extra


# ---- one builder a kind of line -----------------------------------------------------


def _of_no_interest(
    at: datetime, channel: str, linkedid: str, name: str, _: Mapping[str, str]
) -> JournalEvent:
    return JournalEvent(at=at, channel=channel, linkedid=linkedid, channel_name=name)


def _told(
    at: datetime, channel: str, linkedid: str, name: str, fields: Mapping[str, str]
) -> JournalEvent:
    if not is_fact(fields["usereventname"]):
        return _of_no_interest(at, channel, linkedid, name, fields)
    fact = read_fact(fields["usereventname"], fields.get("eventextra", ""))
    return FactTold(
        at=at, channel=channel, linkedid=linkedid, channel_name=name, fact=fact
    )


def _started(
    at: datetime, channel: str, linkedid: str, name: str, fields: Mapping[str, str]
) -> JournalEvent:
    return ChannelStarted(
        at=at,
        channel=channel,
        linkedid=linkedid,
        channel_name=name,
        caller=fields.get("num", ""),
        dialled=fields.get("exten", ""),
        context=fields.get("context", ""),
    )


def _answered(
    at: datetime, channel: str, linkedid: str, name: str, _: Mapping[str, str]
) -> JournalEvent:
    return ChannelAnswered(at=at, channel=channel, linkedid=linkedid, channel_name=name)


def _entered(
    at: datetime, channel: str, linkedid: str, name: str, fields: Mapping[str, str]
) -> JournalEvent:
    return BridgeEntered(
        at=at,
        channel=channel,
        linkedid=linkedid,
        channel_name=name,
        bridge=str(_extra(fields)["bridge_id"]),
    )


def _exited(
    at: datetime, channel: str, linkedid: str, name: str, fields: Mapping[str, str]
) -> JournalEvent:
    return BridgeExited(
        at=at,
        channel=channel,
        linkedid=linkedid,
        channel_name=name,
        bridge=str(_extra(fields)["bridge_id"]),
    )


def _blind(
    at: datetime, channel: str, linkedid: str, name: str, fields: Mapping[str, str]
) -> JournalEvent:
    extra = _extra(fields)
    return BlindTransferred(
        at=at,
        channel=channel,
        linkedid=linkedid,
        channel_name=name,
        extension=storable(str(extra.get("extension", ""))),
        transferee=str(extra.get("transferee_channel_uniqueid", "")),
    )


def _attended(
    at: datetime, channel: str, linkedid: str, name: str, fields: Mapping[str, str]
) -> JournalEvent:
    extra = _extra(fields)
    return AttendedTransferred(
        at=at,
        channel=channel,
        linkedid=linkedid,
        channel_name=name,
        second=str(extra.get("channel2_uniqueid", "")),
        transferee=str(extra.get("transferee_channel_uniqueid", "")),
        target=str(extra.get("transfer_target_channel_uniqueid", "")),
    )


def _hung_up(
    at: datetime, channel: str, linkedid: str, name: str, fields: Mapping[str, str]
) -> JournalEvent:
    extra = _extra(fields)
    return HungUp(
        at=at,
        channel=channel,
        linkedid=linkedid,
        channel_name=name,
        cause=int(extra.get("hangupcause", 0)),
        source=str(extra.get("hangupsource", "")),
    )


def _ended(
    at: datetime, channel: str, linkedid: str, name: str, _: Mapping[str, str]
) -> JournalEvent:
    return ChannelEnded(at=at, channel=channel, linkedid=linkedid, channel_name=name)


def _call_ended(
    at: datetime, channel: str, linkedid: str, name: str, _: Mapping[str, str]
) -> JournalEvent:
    return CallEnded(at=at, channel=channel, linkedid=linkedid, channel_name=name)


_Builder = Callable[[datetime, str, str, str, Mapping[str, str]], JournalEvent]

_BUILDERS: Mapping[str, _Builder] = {
    "FACT": _told,
    "CHAN_START": _started,
    "ANSWER": _answered,
    "BRIDGE_ENTER": _entered,
    "BRIDGE_EXIT": _exited,
    "BLINDTRANSFER": _blind,
    "ATTENDEDTRANSFER": _attended,
    "HANGUP": _hung_up,
    "CHAN_END": _ended,
    "LINKEDID_END": _call_ended,
}
