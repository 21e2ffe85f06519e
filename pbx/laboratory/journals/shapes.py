"""Recorded calls as forms to be filled in: other times, ids and numbers, same lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from pbx.model.events import read_time
from pbx.records.journal import cut

_CALLER = "081234567890"
"""The number every recorded shape was placed with."""
_NOBODY = (
    (
        re.compile(r"verdict=[^\"\\]*"),
        "verdict=low-priority&reason=noise&at_ms=12860"
        "&evidence=noise%2C%20floor%20-41%20dBFS&confidence=0.21",
    ),
    (re.compile(r"priority=\d+"), "priority=0"),
    (re.compile(r"ended=key"), "ended=end"),
)
"""What becomes of a call that was recorded with a key, were nobody there."""
_BRIDGE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIELD = re.compile(r'"(eventtype|eventtime|channame|uniqueid)":"([^"\\]*)"')
"""Not by a JSON parser: some lines are no JSON, since Asterisk escapes only `"`."""
_TIME = re.compile(r'"eventtime":"[^"]*"')


@dataclass(frozen=True, slots=True)
class Shape:
    """One recorded call."""

    form: str
    """Lines with %(slots)s: t0 … times, c0 … channels' ids, n0 … their names, b0 …
    bridges, a the caller."""
    at_ms: tuple[int, ...]
    """Each line's time after the first."""
    kinds: tuple[str, ...]
    starts: tuple[int, ...]
    """The line in which each channel first stands."""
    endpoints: tuple[str, ...]
    """Each channel's, as recorded."""
    bridges: int

    @property
    def dialled_at(self) -> int | None:
        """The line that rings the first phone."""
        return self.starts[1] if len(self.starts) > 1 else None

    @property
    def talks_at(self) -> int | None:
        """The line after which two people talk."""
        entered = [n for n, kind in enumerate(self.kinds) if kind == "BRIDGE_ENTER"]
        return entered[-1] if entered else None


def load(name: str, *, nobody: bool = False) -> Shape:
    """The shape of that name; with `nobody`, put through although nobody was found."""
    raw = (files(__package__) / "shapes" / f"{name}.jsonl").read_bytes()
    texts = [line.raw.decode() for line in cut(raw, 0, is_end=True)]
    if nobody:
        texts = [_quieted(text) for text in texts if '"eventtype":"KEY"' not in text]
    told = [dict(_FIELD.findall(text)) for text in texts]
    times = [read_time(fields["eventtime"]) for fields in told]
    channels = _in_order(fields["uniqueid"] for fields in told)
    names = [
        next(f["channame"] for f in told if f["uniqueid"] == channel)
        for channel in channels
    ]
    bridges = _in_order(_BRIDGE.findall("".join(texts)))
    slots = _slots(channels, names, bridges)
    return Shape(
        form="".join(_form(n, text, slots) for n, text in enumerate(texts)),
        at_ms=tuple(_milliseconds(times[0], at) for at in times),
        kinds=tuple(fields["eventtype"] for fields in told),
        starts=tuple(
            next(n for n, f in enumerate(told) if f["uniqueid"] == channel)
            for channel in channels
        ),
        endpoints=tuple(name.partition("/")[2].rpartition("-")[0] for name in names),
        bridges=len(bridges),
    )


def _in_order(items: object) -> list[str]:
    return list(dict.fromkeys(items))  # type: ignore[call-overload]


def _milliseconds(first: datetime, at: datetime) -> int:
    return round((at - first).total_seconds() * 1000)


def _slots(
    channels: list[str], names: list[str], bridges: list[str]
) -> Mapping[str, str]:
    """What is replaced by what; longer texts first, since `….1` begins `….12`."""
    found = {_CALLER: "%(a)s"}
    for letter, texts in (("c", channels), ("n", names), ("b", bridges)):
        found |= {text: f"%({letter}{n})s" for n, text in enumerate(texts)}
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _quieted(text: str) -> str:
    for pattern, instead in _NOBODY:
        text = pattern.sub(instead, text)
    return text


def _form(n: int, text: str, slots: Mapping[str, str]) -> str:
    text = text.replace("%", "%%")
    for found, slot in slots.items():
        text = text.replace(found, slot)
    return _TIME.sub(f'"eventtime":"%(t{n})s"', text)
