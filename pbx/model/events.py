"""What can happen to a call, as Asterisk's journal tells it: lines in, events out.

The journal is CEL written by `cel_custom` with `format = json` (res/cdrel_custom/
writers.c, Asterisk 22.10): one object a line, the fields in the order of
`cel_custom.conf`, `eventtype` first and `eventextra` last. Two scars shape the parser:

- The writer escapes the double quote and nothing else. A caller's display name with a
  backslash, a user event's extra text with a quote, or a number such as `08%0a` (a line
  feed!) makes text that is not JSON. Since every quote *inside* a value carries a
  backslash, the bare sequences `{"eventtype":"` and `","uniqueid":"` can only have been
  written by Asterisk: `Journal` cuts records, and `_salvage` cuts fields, at those.
- The writer checks `fputs`, not `fclose`: on a full disk half a line stays behind and
  the next line is glued to it. Cutting at `{"eventtype":"` separates the two again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

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


# ---- facts: what the dialplan and the intake told (docs/architecture.md) ------------


@dataclass(frozen=True, slots=True)
class Offered:
    """The call reached us."""

    number: str
    trunk: str
    ani: str
    presentation: str
    flow: str


@dataclass(frozen=True, slots=True)
class PromptHeard:
    """A prompt, how much of it the caller heard, and what ended it."""

    name: str
    at_ms: int
    heard_ms: int
    ended: str


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key; milliseconds since the intake took the call."""

    digit: str
    at_ms: int
    source: str = "event"
    """event (RFC 4733), or audio: heard as a tone, its event got lost."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The filter's verdict with its reason and evidence."""

    verdict: str
    reason: str
    at_ms: int
    evidence: str
    confidence: float | None = None
    """0…1, how sure the filter was; None where nobody listened."""
    holdout: bool = False
    """It would have been a release, and went to an operator to measure the filter."""
    shadow: bool = False
    """It would have been a release, but the filter releases nobody (shadow mode)."""


@dataclass(frozen=True, slots=True)
class Rescued:
    """The dialplan or the watchdog took the call from the intake."""

    reason: str


@dataclass(frozen=True, slots=True)
class Degraded:
    """The dialplan greeted the caller itself: no intake was there."""

    heard: str


@dataclass(frozen=True, slots=True)
class Queued:
    """The caller began to wait in a queue; `rung` counts the overflow ladder from 1."""

    queue: str
    priority: int
    rung: int


@dataclass(frozen=True, slots=True)
class QueueLeft:
    """A queue gave the caller back without an operator."""

    queue: str
    status: str
    rung: int


@dataclass(frozen=True, slots=True)
class Released:
    """The dialplan ended a ghost call with this prompt."""

    prompt: str


Fact = (
    Offered
    | PromptHeard
    | KeyPressed
    | Judged
    | Rescued
    | Degraded
    | Queued
    | QueueLeft
    | Released
)


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
    """Understand one record of the journal. Raises UnreadableLineError, no other."""
    fields = _fields(raw.decode("utf-8", "replace").strip("\n"))
    channel, linkedid = fields.get("uniqueid", ""), fields.get("linkedid", "")
    if not _is_id(channel) or not _is_id(linkedid):
        raise UnreadableLineError(
            "names no channel or no call",
            channel=channel if _is_id(channel) else "",
            linkedid=linkedid if _is_id(linkedid) else "",
        )
    try:
        return _event(fields, channel, linkedid)
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


def _fields(text: str) -> Mapping[str, str]:
    try:
        fields = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return _salvage(text)
    if not isinstance(fields, dict):
        return {}
    return {key: _storable(value) for key, value in fields.items()}


def _is_id(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ID and text.isascii() and text.isprintable()


def _storable(value: Any) -> str:
    """Text any database takes: no NUL (left by a power cut), no lone surrogate."""
    text = value if isinstance(value, str) else json.dumps(value)
    if text.isprintable():
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


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
        found[mark[1]] = _storable(value.replace('\\"', '"'))
    return found


def _event(fields: Mapping[str, str], channel: str, linkedid: str) -> JournalEvent:
    common: dict[str, Any] = {
        "at": read_time(fields["eventtime"]),
        "channel": channel,
        "linkedid": linkedid,
        "channel_name": fields.get("channame", ""),
    }
    kind = fields["eventtype"]
    if fields.get("usereventname"):
        name = fields["usereventname"]
        if name not in _FACTS:
            return JournalEvent(**common)
        return FactTold(fact=_fact(name, fields.get("eventextra", "")), **common)
    match kind:
        case "CHAN_START":
            return ChannelStarted(
                caller=fields.get("num", ""),
                dialled=fields.get("exten", ""),
                context=fields.get("context", ""),
                **common,
            )
        case "ANSWER":
            return ChannelAnswered(**common)
        case "BRIDGE_ENTER":
            return BridgeEntered(bridge=str(_extra(fields)["bridge_id"]), **common)
        case "BRIDGE_EXIT":
            return BridgeExited(bridge=str(_extra(fields)["bridge_id"]), **common)
        case "HANGUP":
            extra = _extra(fields)
            return HungUp(
                cause=int(extra.get("hangupcause", 0)),
                source=str(extra.get("hangupsource", "")),
                **common,
            )
        case "CHAN_END":
            return ChannelEnded(**common)
        case "LINKEDID_END":
            return CallEnded(**common)
        case _:
            return JournalEvent(**common)


def read_time(text: str) -> datetime:
    """`2026-11-21 20:41:04.570 +0000` → aware UTC; the space may be missing, the zone
    may not. Raises ValueError."""
    at = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
    if at.tzinfo is None:
        raise ValueError(f"event time {text!r} names no zone")
    return at.astimezone(UTC)


def _extra(fields: Mapping[str, str]) -> dict[str, Any]:
    extra = json.loads(fields["eventextra"], strict=False)
    if not isinstance(extra, dict):
        raise TypeError("eventextra is no object")
    return extra


_WRAPPED = re.compile(r'^\{"extra":"(.*)"\}$', re.DOTALL)


def _fact(name: str, extra: str) -> Fact:
    """A user event's extra: JSON around `key=value&…`, each value URL-encoded."""
    wrapped = _WRAPPED.match(extra)
    text = wrapped[1].replace("\\/", "/") if wrapped else extra
    said = parse_qsl(text, keep_blank_values=True)
    # Decoding may bring back what `_fields` took out: `%00`.
    return _FACTS[name]({key: _storable(value) for key, value in said})


def _count(said: Mapping[str, str], key: str) -> int:
    value = said.get(key, "")
    return int(value) if value else 0


def _share(said: Mapping[str, str], key: str) -> float | None:
    """0…1, or None: nothing was said, or nonsense such as `nan` that JSON lacks."""
    try:
        share = float(said.get(key, ""))
    except ValueError:
        return None
    return share if 0 <= share <= 1 else None


_FACTS: Mapping[str, Callable[[Mapping[str, str]], Fact]] = {
    "OFFERED": lambda said: Offered(
        number=said.get("number", ""),
        trunk=said.get("trunk", ""),
        ani=said.get("ani", ""),
        presentation=said.get("presentation", ""),
        flow=said.get("flow", ""),
    ),
    "PROMPT": lambda said: PromptHeard(
        name=said["name"],
        at_ms=_count(said, "at_ms"),
        heard_ms=_count(said, "heard_ms"),
        ended=said.get("ended", ""),
    ),
    "KEY": lambda said: KeyPressed(
        digit=said["digit"],
        at_ms=_count(said, "at_ms"),
        source=said.get("source", "event"),
    ),
    "VERDICT": lambda said: Judged(
        verdict=said["verdict"],
        reason=said.get("reason", ""),
        at_ms=_count(said, "at_ms"),
        evidence=said.get("evidence", ""),
        confidence=_share(said, "confidence"),
        holdout=said.get("holdout") == "1",
        shadow=said.get("shadow") == "1",
    ),
    "RESCUED": lambda said: Rescued(reason=said.get("reason", "")),
    "DEGRADED": lambda said: Degraded(heard=said.get("heard", "")),
    "QUEUED": lambda said: Queued(
        queue=said["queue"],
        priority=_count(said, "priority"),
        rung=_count(said, "rung"),
    ),
    "QUEUE_LEFT": lambda said: QueueLeft(
        queue=said["queue"],
        status=said.get("status", ""),
        rung=_count(said, "rung"),
    ),
    "RELEASED": lambda said: Released(prompt=said.get("prompt", "")),
}
