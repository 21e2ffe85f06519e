"""Journal lines for tests, as a real Asterisk 22.10.1 writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
TRUNK = "kediri-1-1795293664.0"


def line(
    kind: str,
    *,
    channel: str = TRUNK,
    linkedid: str = TRUNK,
    at: float = 0.0,
    name: str = "PJSIP/carrier-00000000",
    fact: str = "",
    extra: dict[str, Any] | None = None,
    **more: str,
) -> bytes:
    """One record; `at` in seconds after START, `fact` a user event's extra text."""
    when = START + timedelta(seconds=at)
    stamp = (
        when.strftime("%Y-%m-%d %H:%M:%S.") + f"{when.microsecond // 1000:03d} +0000"
    )
    if fact:
        extra = {"extra": fact}
    fields = {
        "eventtype": kind,
        "eventtime": stamp,
        "usereventname": kind if fact else "",
        "name": "Ibu",
        "num": "081234567890",
        "ani": "",
        "dnid": "",
        "exten": "112",
        "context": "from-trunk",
        "channame": name,
        "appname": "",
        "appdata": "",
        "uniqueid": channel,
        "linkedid": linkedid,
        "peer": "",
        "userfield": "",
        "eventextra": json.dumps(extra, separators=(",", ":")) if extra else "",
    } | more
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


OFFERED = "number=112&trunk=carrier&ani=081234567890&presentation=allowed&flow=filter0"


def bridge(kind: str, at: float, bridge_id: str = "b1", **more: Any) -> bytes:
    extra = {"bridge_id": bridge_id, "bridge_technology": "simple_bridge"}
    return line(f"BRIDGE_{kind}", at=at, extra=extra, **more)


def hangup(at: float, *, cause: int = 16, source: str = "", **more: Any) -> list[bytes]:
    extra = {"hangupcause": cause, "hangupsource": source, "dialstatus": ""}
    return [
        line("HANGUP", at=at, extra=extra, **more),
        line("CHAN_END", at=at, **more),
    ]


def phone(number: str, count: int) -> dict[str, str]:
    """The channel of an operator's phone, rung for the call TRUNK."""
    return {
        "channel": f"kediri-1-17952936{70 + count}.{count}",
        "name": f"PJSIP/{number}-{count:08x}",
        "exten": "s",
        "context": "operators",
        "num": "",
    }


def story(*parts: bytes | list[bytes]) -> list[bytes]:
    lines: list[bytes] = []
    for part in parts:
        lines.extend([part] if isinstance(part, bytes) else part)
    return lines


CALLER = "PJSIP/carrier-00000000"


def greeted() -> list[bytes]:
    """Offered, answered, passed by a key, queued."""
    return [
        line("CHAN_START"),
        line("OFFERED", fact=OFFERED, at=0.01),
        line("ANSWER", at=0.02),
        line("PROMPT", fact="name=greeting&at_ms=20&heard_ms=1340&ended=key", at=1.4),
        line("KEY", fact="digit=0&at_ms=1340", at=1.4),
        line(
            "VERDICT",
            fact="verdict=pass&reason=key&at_ms=1350&evidence=digit%3D0%20at%201340",
            at=1.41,
        ),
        line("QUEUED", fact="queue=darurat&priority=10&rung=1", at=1.5),
    ]


def connected(end: float = 30.0) -> list[bytes]:
    """A whole call: 102 does not answer, 101 does, the caller hangs up."""
    first, second = phone("102", 1), phone("101", 2)
    return story(
        greeted(),
        line("CHAN_START", at=1.6, **first),
        hangup(4.6, cause=0, **first),
        line("CHAN_START", at=5.0, **second),
        line("ANSWER", at=7.5, **second),
        bridge("ENTER", 7.5, **second),
        bridge("ENTER", 7.6),
        bridge("EXIT", end),
        bridge("EXIT", end, **second),
        hangup(end, source=CALLER),
        hangup(end, source=CALLER, **second),
        line("LINKEDID_END", at=end, **second),
    )
