"""The carrier's journal, read back: what happened to one call, as the caller saw it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pbx.simulator.voices import first_sound_seconds, read_voice


class Side(StrEnum):
    """Who hung up."""

    CALLER = "caller"
    CITY = "city"


@dataclass(frozen=True, slots=True)
class CallResult:
    """One call from the caller's side. Times are aware, from the carrier's journal."""

    name: str
    channel: str | None = None
    """The carrier's channel towards the city, by Asterisk's name."""
    invited_at: datetime | None = None
    answered_at: datetime | None = None
    hung_up_at: datetime | None = None
    hung_up_by: Side | None = None
    cause: int | None = None
    """Q.850: 16 normal, 17 busy, 19 no answer, 21 rejected, 38 network out of order."""
    pressed_at: tuple[datetime, ...] = ()
    """When the sending of keys began; the first tone starts about 0.1 s later."""
    heard: Path | None = None
    """WAV of what the caller heard, from the answer on."""
    said: Path | None = None
    is_over: bool = False

    @property
    def answer_seconds(self) -> float | None:
        """From INVITE to answer."""
        return _between(self.invited_at, self.answered_at)

    @property
    def talk_seconds(self) -> float | None:
        """From answer to hang-up."""
        return _between(self.answered_at, self.hung_up_at)

    def first_audio_seconds(self) -> float | None:
        """From the answer to the first sound the caller heard; None if none came."""
        if self.heard is None:
            return None
        return first_sound_seconds(read_voice(self.heard))


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None


def read_result(journal: Path, name: str, recordings: Path) -> CallResult:
    """Fold the carrier's journal into the result of the call `name`."""
    try:
        lines = journal.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    events = [event for line in lines if (event := _event(line)) is not None]
    return fold_result(events, name, recordings)


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None  # half a line: it is being written just now
    return event if isinstance(event, dict) else None


def fold_result(
    events: Iterable[dict[str, Any]], name: str, recordings: Path
) -> CallResult:
    """The result of the call whose account code is `name`; reads no file.

    The dialling half of the carrier carries the name from the start; the channel to
    the city joins it by linkedid before it has an account code of its own.
    """
    events = list(events)
    group = {e.get("linkedid") for e in events if e.get("accountcode") == name}
    result = CallResult(name)
    for event in events:
        if event.get("linkedid") in group:
            result = _advance(result, event, recordings)
    return result


def _advance(result: CallResult, event: dict[str, Any], recordings: Path) -> CallResult:
    at = datetime.strptime(event["eventtime"], "%Y-%m-%dT%H:%M:%S.%f%z")
    kind, channel = event["eventtype"], event["channame"]
    if not channel.startswith("PJSIP/"):
        # Dialling ended before the city's channel answered, or even existed.
        dialler_left = kind == "CHAN_END" and channel.endswith(";1")
        return (
            replace(result, is_over=True) if _failed(result, dialler_left) else result
        )
    match kind:
        case "CHAN_START":
            return replace(result, channel=channel, invited_at=at)
        case "ANSWER":
            stem = recordings / result.name
            return replace(
                result,
                answered_at=at,
                heard=stem.with_name(f"{result.name}-heard.wav"),
                said=stem.with_name(f"{result.name}-said.wav"),
            )
        case "APP_START" if event["appname"] == "SendDTMF":
            return replace(result, pressed_at=(*result.pressed_at, at))
        case "HANGUP":
            return _hung_up(result, event, at)
        case "CHAN_END":
            return replace(result, is_over=True)
        case _:
            return result


def _failed(result: CallResult, dialler_left: bool) -> bool:
    return dialler_left and result.channel is None


def _hung_up(result: CallResult, event: dict[str, Any], at: datetime) -> CallResult:
    """`hangupsource` names the channel itself when the far end hung up."""
    extra = json.loads(event.get("eventextra") or "{}")
    by_city = extra.get("hangupsource") == event["channame"]
    return replace(
        result,
        hung_up_at=at,
        hung_up_by=Side.CITY if by_city else Side.CALLER,
        cause=int(extra.get("hangupcause", 0)),
    )
