"""What Asterisk's journal says about a stretch of time. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pbx.model.events import read_time


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened between two moments."""

    call_seconds: float
    """Seconds during which a trunk's channel existed, summed over all channels."""
    started: int
    """Calls that began in it."""
    facts: Counter[str]
    """User events told in it, by name."""


def stretch(
    lines: Iterable[bytes | str], begin: datetime, end: datetime, *, trunk: str
) -> Stretch:
    """From CHAN_START to CHAN_END, cut to the stretch; open calls last to its end.

    Only channels of the endpoint `trunk` are calls; operators' legs are not.
    """
    started: dict[str, datetime] = {}
    ended: dict[str, datetime] = {}
    facts: Counter[str] = Counter()
    for event in (json.loads(line) for line in lines):
        at = read_time(event["eventtime"])
        if (fact := event["usereventname"]) and begin <= at <= end:
            facts[fact] += 1
        if not event["channame"].startswith(f"PJSIP/{trunk}-"):
            continue
        if event["eventtype"] == "CHAN_START":
            started[event["uniqueid"]] = at
        elif event["eventtype"] == "CHAN_END":
            ended[event["uniqueid"]] = at
    seconds = sum(
        max(0.0, (min(ended.get(c, end), end) - max(at, begin)).total_seconds())
        for c, at in started.items()
    )
    return Stretch(seconds, sum(begin <= at <= end for at in started.values()), facts)


def without_filter(facts: Counter[str]) -> str | None:
    """A sentence for the report if callers went past the filter; None if none did."""
    missed = {name: facts[name] for name in ("DEGRADED", "RESCUED") if facts[name]}
    if not missed:
        return None
    shown = ", ".join(f"{count} {name}" for name, count in missed.items())
    return f"**not all calls met the filter**: the dialplan told {shown}"
