"""Reads a rendered extensions.conf and proves what must hold of every caller's path.

A citizen's call starts in one of `ENTRIES` and may be anywhere reachable from there. Of
every such place it must be true that it exists, that it can still reach `Queue()`, and
that nothing ends the call but the one release. Pure: text in, sentences out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

ENTRIES = ("from-trunk", "rescue", "transferred")
"""Contexts a citizen's channel is put into from outside the dialplan."""

SAFE_EXTENSIONS = ("T", "t", "i", "e")
"""Deadline, no key in time, no such extension, any other exception."""

RELEASE = "release-"
SERVED = "served"
"""Only contexts of this prefix may hang up, and this one after a conversation."""

SOMEBODY_HUNG_UP = '"${CHANNEL(hangupsource)}" != ""'
"""What must be asked before a caller goes to `SERVED`."""

_ENDS = frozenset({"Hangup", "Busy", "Congestion", "Macro", "Originate", "System"})


@dataclass(frozen=True, slots=True)
class Place:
    """One priority of one extension."""

    context: str
    exten: str
    priority: int

    def __str__(self) -> str:
        return f"{self.context},{self.exten},{self.priority}"


@dataclass(frozen=True, slots=True)
class Step:
    """What stands at a place: `label` if it has one, application, its arguments."""

    label: str | None
    application: str
    arguments: str


@dataclass(slots=True)
class Dialplan:
    """contexts → extensions → steps, in order."""

    contexts: dict[str, dict[str, list[Step]]] = field(default_factory=dict)

    def step(self, place: Place) -> Step | None:
        """What stands there; None if the dialplan has no such place."""
        steps = self.contexts.get(place.context, {}).get(place.exten, [])
        return steps[place.priority - 1] if 0 < place.priority <= len(steps) else None

    def applications(self) -> set[str]:
        """Every application it runs, those within ExecIf() and TryExec() too."""
        return {word for step in self._steps() for word in self._names(step)}

    def functions(self) -> set[str]:
        """Every function it calls, such as FILTER."""
        texts = [step.arguments for step in self._steps()]
        inner = {name for text in texts for name in _FUNCTION.findall(text)}
        written = {match[1] for text in texts if (match := _WRITTEN.match(text))}
        return inner | written

    def _steps(self) -> list[Step]:
        return [
            step
            for extensions in self.contexts.values()
            for steps in extensions.values()
            for step in steps
        ]

    @staticmethod
    def _names(step: Step) -> set[str]:
        if step.application == "ExecIf":
            return {"ExecIf", *_EXECUTED.findall(step.arguments)}
        return {step.application}


_FUNCTION = re.compile(r"\$\{([A-Z]+)\(")
_WRITTEN = re.compile(r"^([A-Z]+)\(.*\)=")
_EXECUTED = re.compile(r"\?(\w+)\(")
_LINE = re.compile(
    r"^(?:exten\s*=>\s*(?P<exten>[^,]+),1|\s*same\s*=>\s*n)"
    r"(?:\((?P<label>[^)]+)\))?,(?P<app>\w+)\((?P<args>.*)\)$"
)


def read_dialplan(text: str) -> Dialplan:
    """Read what our template writes. Raises ValueError, with the line, on the rest."""
    plan = Dialplan()
    steps: list[Step] = []
    extensions: dict[str, list[Step]] = {}
    context = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split(";")[0].rstrip()
        if not line:
            continue
        if header := re.match(r"^\[([^]]+)\]$", line):
            context = header.group(1)
            extensions = plan.contexts.setdefault(context, {})
        elif match := _LINE.match(line):
            if match["exten"]:
                steps = extensions.setdefault(match["exten"], [])
                if steps:
                    raise ValueError(f"line {number}: {match['exten']} is there twice")
            steps.append(Step(match["label"], match["app"], match["args"]))
        elif context != "general":
            raise ValueError(f"line {number}: cannot read {line!r}")
    plan.contexts.pop("general", None)
    return plan


def faults(plan: Dialplan) -> list[str]:
    """Everything that could lose a caller, one sentence each; empty is good."""
    found: list[str] = []
    ways = _ways(plan, found)
    for context in sorted({place.context for place in ways}):
        found += [
            f"[{context}] has no extension {name}: a caller there could be lost"
            for name in SAFE_EXTENSIONS
            if name not in plan.contexts[context]
        ]
    saved = _can_reach_queue(plan, ways)
    for place in ways:
        is_lost = place not in saved and place.context != SERVED
        if plan.step(place) is not None and is_lost:
            found.append(f"{place}: from here no way leads to a queue")
    return found


def _may_hang_up(place: Place, step: Step) -> bool:
    return _is_release(place, step) or (
        place.context == SERVED and step.application == "Hangup"
    )


def _is_release(place: Place, step: Step) -> bool:
    return place.context.startswith(RELEASE) and step.application == "Hangup"


def _ways(plan: Dialplan, found: list[str]) -> dict[Place, list[Place]]:
    """Every place a caller can be → where he can be next; faults go to `found`."""
    ways: dict[Place, list[Place]] = {}
    todo = [
        Place(context, exten, 1)
        for context in ENTRIES
        for exten in plan.contexts.get(context, {})
        if exten != "h"
    ]
    found += [f"[{c}] is missing" for c in ENTRIES if c not in plan.contexts]
    while todo:
        place = todo.pop()
        if place in ways:
            continue
        step = plan.step(place)
        if step is None:
            found.append(f"{place}: there is no such place, but a caller can get there")
            ways[place] = []
            continue
        ways[place] = list(_next(plan, place, step, found))
        todo += ways[place]
        todo += [
            Place(place.context, name, 1)
            for name in (*SAFE_EXTENSIONS, "talk", "_[0-9A-D*#]")
            if name in plan.contexts[place.context]
        ]
    return {p: w for p, w in ways.items() if p.context in plan.contexts}


def _next(
    plan: Dialplan, place: Place, step: Step, found: list[str]
) -> Iterator[Place]:
    following = Place(place.context, place.exten, place.priority + 1)
    if step.application in _ENDS:
        if not _may_hang_up(place, step):
            found.append(f"{place}: {step.application}() ends a citizen's call")
    elif step.application == "Goto":
        yield from _targets(plan, place, step.arguments, found)
    elif step.application == "GotoIf":
        condition = step.arguments.rindex("?")
        for target in step.arguments[condition + 1 :].split(":"):
            yield from _targets(plan, place, target, found)
        yield following
    else:
        yield following


def _targets(
    plan: Dialplan, place: Place, target: str, found: list[str]
) -> Iterator[Place]:
    parts = target.split(",")  # [[context,]extension,]priority
    context, exten, priority = [place.context, place.exten][: 3 - len(parts)] + parts
    step = plan.step(place)
    if context == SERVED and step and SOMEBODY_HUNG_UP not in step.arguments:
        found.append(f"{place}: goes to {SERVED!r} without asking who hung up")
    steps = plan.contexts.get(context, {}).get(exten, [])
    if priority.isdigit():
        number = int(priority)
    else:
        labels = [i for i, step in enumerate(steps, 1) if step.label == priority]
        if not labels:
            found.append(f"{place}: jumps to {target!r}, which does not exist")
            return
        number = labels[0]
    goal = Place(context, exten, number)
    if plan.step(goal) is None:
        found.append(f"{place}: jumps to {target!r}, which does not exist")
        return
    yield goal


def _can_reach_queue(plan: Dialplan, ways: dict[Place, list[Place]]) -> set[Place]:
    saved = {
        place
        for place in ways
        if (step := plan.step(place)) is not None
        and (step.application == "Queue" or _is_release(place, step))
    }
    grown = True
    while grown:
        more = {p for p, nexts in ways.items() if p not in saved and saved & {*nexts}}
        saved |= more
        grown = bool(more)
    return saved
