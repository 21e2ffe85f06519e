"""Facts: what the dialplan, the intake, the control room and people told of a call.

Each is a user event in a journal; its extra text and who tells it when stand in
`docs/architecture.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes


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


@dataclass(frozen=True, slots=True)
class CallerTold:
    """What the network said of the caller: a header of the INVITE, or a piece of it."""

    header: str
    """asserted, access-network or geolocation."""
    part: int
    value: str


@dataclass(frozen=True, slots=True)
class RecordingBegan:
    """From here on the conversation is kept in this file."""

    name: str


@dataclass(frozen=True, slots=True)
class Held:
    """This channel's side put the other on hold."""

    by: str


@dataclass(frozen=True, slots=True)
class Unheld:
    """This channel's side took the call up again."""

    by: str


@dataclass(frozen=True, slots=True)
class WrappedUp:
    """The operator of a finished call can be rung again."""

    operator: str


CATEGORIES = frozenset({"ghost", "prank", "information", "valid"})
"""What an operator may say a call was."""


@dataclass(frozen=True, slots=True)
class ClassTold:
    """The operator's word on a call; the last one counts."""

    category: str
    type: str
    operator: str
    note: str


@dataclass(frozen=True, slots=True)
class Surveyed:
    """How the caller rates the service."""

    score: int


Note = Held | Unheld | WrappedUp | ClassTold | Surveyed
"""Facts of our own processes (`pbx.notes`). They may come long after the call, or, read
from another file, before it; so they say nothing of the call's own course."""

Fact = (
    Offered
    | CallerTold
    | PromptHeard
    | KeyPressed
    | Judged
    | Rescued
    | Degraded
    | Queued
    | QueueLeft
    | RecordingBegan
    | Released
    | Note
)


# ---- reading ------------------------------------------------------------------------


def storable(text: str) -> str:
    """Text any database takes: no NUL (left by a power cut), no lone surrogate."""
    if text.isprintable():
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def is_fact(name: str) -> bool:
    """Whether a user event of that name is ours."""
    return name in _READERS


def read_fact(name: str, extra: str) -> Fact:
    """A user event's extra: JSON around `key=value&…`, each value URL-encoded.

    Raises ValueError or KeyError where what must be there is not.
    """
    if extra.startswith('{"extra":"') and extra.endswith('"}'):
        extra = extra[10:-2].replace("\\/", "/")
    return _READERS[name](_values(extra))


def _values(text: str) -> dict[str, str]:
    """`parse_qsl`, at a third of its price: most values have nothing to decode."""
    values = {}
    for pair in text.split("&"):
        key, _, value = pair.partition("=")
        if "%" in value or "+" in value:
            # Decoding may bring back what `storable` took out: `%00`.
            plain = unquote_to_bytes(value.replace("+", " "))
            value = storable(plain.decode("utf-8", "replace"))
        values[key] = value
    return values


def _count(said: Mapping[str, str], key: str) -> int:
    value = said.get(key)
    return int(value) if value else 0


def _share(said: Mapping[str, str], key: str) -> float | None:
    """0…1, or None: nothing was said, or nonsense such as `nan` that JSON lacks."""
    try:
        share = float(said.get(key, ""))
    except ValueError:
        return None
    return share if 0 <= share <= 1 else None


def _class_told(said: Mapping[str, str]) -> ClassTold:
    category = said["category"]
    if category not in CATEGORIES:
        raise ValueError(f"there is no class {category!r}")
    return ClassTold(
        category=category,
        type=said.get("type", ""),
        operator=said.get("operator", ""),
        note=said.get("note", ""),
    )


def _surveyed(said: Mapping[str, str]) -> Surveyed:
    score = int(said["score"])
    if not 1 <= score <= 5:
        raise ValueError(f"a score is 1 to 5, not {score}")
    return Surveyed(score)


_COLON = "\x01"
"""How the dialplan sends a `:` of a header: Asterisk would cut the text there."""

_READERS: Mapping[str, Callable[[Mapping[str, str]], Fact]] = {
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
    "CALLER": lambda said: CallerTold(
        header=said["header"],
        part=_count(said, "part"),
        value=said.get("value", "").replace(_COLON, ":"),
    ),
    "RECORDING": lambda said: RecordingBegan(name=said["name"]),
    "HELD": lambda said: Held(by=said.get("by", "")),
    "UNHELD": lambda said: Unheld(by=said.get("by", "")),
    "WRAPPED_UP": lambda said: WrappedUp(operator=said.get("operator", "")),
    "CLASSIFIED": _class_told,
    "SURVEYED": _surveyed,
}
