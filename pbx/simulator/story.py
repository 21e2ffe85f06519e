"""One call's journal events in plain words, as they happen."""

from __future__ import annotations

from dataclasses import dataclass, field

from pbx.model.events import (
    BridgeEntered,
    ChannelAnswered,
    ChannelStarted,
    Degraded,
    Fact,
    FactTold,
    HungUp,
    JournalEvent,
    Judged,
    KeyPressed,
    Offered,
    PromptHeard,
    Queued,
    QueueLeft,
    Released,
    Rescued,
)
from pbx.model.facts import RecordingBegan

_REASONS = {
    "key": "a key was pressed",
    "voice": "a voice was heard",
    "silent": "not one sound was heard",
    "noise": "noise was heard, but neither voice nor key",
    "no-media": "no audio arrived at all: perhaps the trunk's fault",
    "repeat-caller": "this number called a short while ago: a cry for help",
    "error": "the filter failed: a human decides",
}
_VERDICTS = {
    "pass": "to an operator",
    "low-priority": "to an operator, behind the others",
    "release": "release",
}
_RESCUES = {
    "intake-lost": "the intake was lost",
    "deadline": "the filter took too long",
    "watchdog": "the watchdog found the filter hung",
}
_PROMPT_ENDS = {
    "key": "cut short by a key",
    "voice": "cut short by the caller's voice",
    "end": "heard to its end",
    "caller": "the caller hung up meanwhile",
}
_DEGRADED = {
    "key": "a key cut it short",
    "voice": "the caller's voice cut it short",
    "nothing": "nothing was heard",
}


@dataclass(slots=True)
class Story:
    """What is known of one call while it happens; `tell` gives the next sentence."""

    call_id: str
    trunk: str
    is_offered: bool = False
    verdict: Judged | None = None
    released: bool = False
    queue: str | None = None
    rang: list[str] = field(default_factory=list)
    operator: str | None = None
    is_connected: bool = False
    is_over: bool = False

    def tell(self, event: JournalEvent) -> str | None:
        """The sentence for an event of this call; None if it says nothing to people."""
        if event.linkedid != self.call_id:
            return None
        if isinstance(event, FactTold):
            return self._fact(event.fact)
        end = endpoint(event.channel_name)
        is_caller = event.channel == self.call_id
        match event:
            case ChannelStarted() if is_caller:
                return f"INVITE arrived; the call is {self.call_id}"
            case ChannelStarted():
                self.rang.append(end)
                return f"operator {end}'s phone rings"
            case ChannelAnswered() if is_caller:
                return "answered by the system"
            case ChannelAnswered():
                self.operator = end
                return f"operator {end} answers"
            case BridgeEntered() if is_caller and not self.is_connected:
                self.is_connected = True
                return "connected: caller and operator are in one conversation"
            case HungUp() if is_caller:
                self.is_over = True
                who = {event.channel_name: "the caller"}.get(event.source, "the city")
                return f"hung up by {who} (cause {event.cause})"
            case _:
                return None

    def _fact(self, fact: Fact) -> str | None:
        match fact:
            case Offered(number=number, flow=flow, presentation=presentation):
                self.is_offered = True
                shown = ""
                if presentation == "unavailable":
                    shown = ", without a number"
                elif not presentation.startswith("allowed"):
                    shown = ", number withheld"
                return f"offered: {number} was dialled{shown}; flow {flow}"
            case PromptHeard(name=name, heard_ms=heard, ended=ended):
                how = _PROMPT_ENDS.get(ended, ended)
                return f"prompt {name!r}: {heard / 1000:.1f} s heard, {how}"
            case KeyPressed(digit=digit, at_ms=at):
                return f"key {digit} heard, {at} ms after the filter took the call"
            case Judged(verdict=verdict, reason=reason, at_ms=at):
                self.verdict = fact
                what = _VERDICTS.get(verdict, verdict)
                why = _REASONS.get(reason, reason)
                return f"verdict after {at} ms: {what}, because {why}"
            case Rescued(reason=reason):
                return f"rescued: {_RESCUES.get(reason, reason)}; on to the queue"
            case Degraded(heard=heard):
                how = _DEGRADED.get(heard, heard)
                return f"no intake runs: Asterisk alone greeted the caller; {how}"
            case Queued(queue=queue, priority=priority):
                self.queue = queue
                return f"waiting in queue {queue}, priority {priority}"
            case QueueLeft(queue=queue, status=status):
                return f"nobody in queue {queue} answered ({status or 'no reason'})"
            case Released(prompt=prompt):
                self.released = True
                return f"released with prompt {prompt!r}: taken for a ghost"
            case RecordingBegan(name=name):
                return f"the conversation will be kept as {name}"
            case _:
                return None


def endpoint(channel_name: str) -> str:
    """`PJSIP/101-0000002a` → `101`."""
    return channel_name.partition("/")[2].rpartition("-")[0]
