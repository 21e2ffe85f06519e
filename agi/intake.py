"""The story of one call, from Asterisk's request to `INTAKE=done`.

The dialplan has set the safe answer before we are asked, and trusts nothing but our
last act. So whatever goes wrong here, the right thing to do is to let go: close the
session, and the caller goes on to an operator.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from agi.audiosocket import AudioLine, Ear
from agi.facts import Fact, Judged
from agi.figures import Figures
from agi.in_force import InForce
from agi.kept_audio import KeptCall, Shelf
from agi.listening import CONNECT_SECONDS, Listening
from agi.protocol import Reply, Request
from agi.session import Session, SessionEndedError
from ghostfilter.verdict import Context, Policy, Verdict, judge
from ivr import check
from ivr.engine import Outcome
from ivr.flow import PROMPT_GRACE_SECONDS
from pbx.log import call_id, masked
from pbx.model.city import Number112
from pbx.model.policy import WhenIdle
from pbx.model.verdict import Ruling
from routing.plan import Facts, Route, Way, choose_route

_log = logging.getLogger(__name__)

_dice = random.SystemRandom()

SCRIPT = "intake"
CALLED = "2"
"""The dialplan's REPEAT of whoever called a moment ago and was not released."""
HOLD_BACK_SECONDS = 4.0
"""We decide this long before the dialplan's own deadline, whatever is undecided."""
LONGEST_SECONDS = check.LONGEST_SECONDS + CONNECT_SECONDS + 2 * PROMPT_GRACE_SECONDS
"""Nor later than this, should a prompt have been made longer since `gerbang check`."""
LEAVE_SECONDS = 1.0
"""Asterisk leaves AudioSocket within a frame of being told to."""


class NotOurCallError(Exception):
    """The dialplan asks for something the city does not declare."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the dialplan asks.

    `/intake,<dnis>,<flow>,<trunk>,<repeat>,<releases left>,<idle operators>`; an older
    version's dialplan leaves the last two out.
    """

    call_id: str
    caller: str
    number: str
    flow: str
    trunk: str
    is_repeat: bool
    """Released a moment ago: the dialplan itself puts those through."""
    has_called: bool = False
    """Called a moment ago, and was not released."""
    releases_left: int | None = None
    """Of this hour's drop budget; None: unknown."""
    idle_operators: int | None = None


def read_invitation(request: Request) -> Invitation:
    """Raises NotOurCallError for anything but our own dialplan's request."""
    said = request.arguments
    if request.script != SCRIPT or len(said) not in (4, 6) or not request.uniqueid:
        raise NotOurCallError(f"script {request.script!r} with {len(said)} arguments")
    number, flow, trunk, repeat, left, idle = (*said, "", "")[:6]
    return Invitation(
        call_id=request.uniqueid,
        caller=request.caller,
        number=number,
        flow=flow,
        trunk=trunk,
        is_repeat=repeat not in ("0", CALLED),
        has_called=repeat == CALLED,
        releases_left=_number(left),
        idle_operators=_number(idle),
    )


def _number(text: str) -> int | None:
    """A whole number, or None: unknown."""
    try:
        return int(text)
    except ValueError:
        return None


class Intake:
    """Takes calls, one task each. `expected` is AudioSocket's question who is who."""

    def __init__(
        self,
        worker: int,
        audio_port: int,
        in_force: Callable[[], InForce],
        figures: Figures,
        shelf: Shelf,
    ) -> None:
        self._worker = worker
        self._audio_port = audio_port
        self._in_force = in_force
        self._figures = figures
        self._shelf = shelf
        self._expected: dict[UUID, Listening] = {}

    def expected(self, uuid: UUID, line: AudioLine) -> Ear | None:
        """The call an audio connection belongs to; each is answered once."""
        listening = self._expected.pop(uuid, None)
        if listening is not None:
            listening.connect(line)
        return listening

    async def take(self, session: Session, request: Request) -> None:
        """One call, whole. Never raises, except when cancelled."""
        call_id.set(request.uniqueid or None)
        self._figures.begin()
        call = _Call(self, session, self._in_force())
        try:
            await call.run(request)
        except SessionEndedError:
            call.done("caller-left")
        except Exception as error:  # noqa: BLE001 - per call: count, let the caller go on
            self._figures.errors += 1
            _log.exception("call let go; the dialplan brings it to the queue")
            call.done("error", error=type(error).__name__)
        finally:
            self._figures.end()
            session.close()


class _Call:
    """What one call carries along."""

    def __init__(self, intake: Intake, session: Session, in_force: InForce) -> None:
        self._intake = intake
        self._session = session
        self._in_force = in_force
        self._began = asyncio.get_running_loop().time()

    async def run(self, request: Request) -> None:
        invitation = read_invitation(request)
        self._intake._figures.releases_left = invitation.releases_left
        _log.info(
            "call taken number=%s caller=%s trunk=%s flow=%s repeat=%d",
            invitation.number,
            masked(invitation.caller),
            invitation.trunk,
            invitation.flow,
            invitation.is_repeat or invitation.has_called,
        )
        await self._set("INTAKE", "started")
        await self._set("INTAKE_WORKER", str(self._intake._worker))
        listening, outcome = await self._listen(invitation)
        if outcome is Outcome.CALLER_HUNG_UP:
            self.done("caller-left")
            return
        if outcome is Outcome.AUDIO_LOST:
            # Mostly a hang-up: Asterisk leaves AudioSocket first and AGI a moment
            # later. Saying the safe answer again shows whether anybody is there.
            await self._set("INTAKE_ROUTE", Way.QUEUE.value)
        context = await self._last_context(invitation, listening, outcome)
        verdict = self._judge(invitation, listening, context)
        if verdict.ruling is Ruling.SECOND_PROMPT:
            # Cut short while it was played (we stood still, or a human shall look):
            # there is no asking again, and half a question is no question.
            verdict = replace(verdict, ruling=Ruling.PASS)
        _log.info(
            "verdict %s reason=%s: %s", verdict.ruling, verdict.reason, verdict.because
        )
        route = self._route(invitation, verdict)
        judged = Judged(verdict, listening.lasted_ms)
        await self._tell([*listening.prompts, *listening.keys, judged])
        await self._hand_over(route)
        self._intake._figures.verdicts[f"{verdict.ruling}/{verdict.reason}"] += 1
        self.done(
            "handed-over",
            verdict=verdict.ruling.value,
            reason=verdict.reason.value,
            route=route.way.value,
            queue=route.queue,
            priority=route.priority,
        )
        self._keep(invitation, listening, context, verdict)

    async def _listen(self, invitation: Invitation) -> tuple[Listening, Outcome]:
        """Screen the caller: his audio comes to us until the flow has ended."""
        flow = self._in_force.flow(invitation.flow)
        deadline = self._in_force.city.flows[invitation.flow].deadline_seconds
        listening = Listening(
            flow,
            self._in_force.prompt,
            lambda now: self._needs_human(invitation, now),
        )
        uuid = uuid4()
        self._intake._expected[uuid] = listening
        try:
            address = f"{uuid},127.0.0.1:{self._intake._audio_port}"
            reply = self._session.begin("EXEC", "AudioSocket", address)
            self._session.on_end = listening.caller_left
            reply.add_done_callback(lambda _: listening.audio_ended())
            longest = min(deadline - HOLD_BACK_SECONDS, LONGEST_SECONDS)
            outcome = await listening.outcome(longest)
            listening.end_audio()
            if outcome is not Outcome.CALLER_HUNG_UP:
                await self._session.finish(reply, LEAVE_SECONDS)
        finally:
            self._intake._expected.pop(uuid, None)
            listening.close()
        return listening, outcome

    def _needs_human(self, invitation: Invitation, listening: Listening) -> bool:
        """Whether a caller who gave no sign yet is to be asked no further."""
        context = self._context(invitation, listening)
        return self._judge(invitation, listening, context).ruling is Ruling.PASS

    def _context(self, invitation: Invitation, listening: Listening) -> Context:
        return Context(
            expected_frames=listening.expected_frames,
            key=listening.key,
            is_repeat=invitation.is_repeat,
            has_called=invitation.has_called,
            error=listening.error,
            asked=listening.asked,
            idle_operators=invitation.idle_operators,
            releases_left=invitation.releases_left,
            mode=self._policy(invitation).mode_with(self._in_force.switch),
        )

    async def _last_context(
        self, invitation: Invitation, listening: Listening, outcome: Outcome
    ) -> Context:
        """The same when the flow has ended; somebody may have become free meanwhile."""
        policy = self._policy(invitation)
        context = replace(
            self._context(invitation, listening),
            is_holdout=_dice.random() * 100 < policy.holdout_percent,
        )
        if outcome is not Outcome.NO_INPUT or policy.when_idle is WhenIdle.AS_USUAL:
            return context
        return replace(context, idle_operators=await self._idle_operators(invitation))

    async def _idle_operators(self, invitation: Invitation) -> int | None:
        """How many are free now, not paused and not wrapping up (app_queue's count)."""
        queue = self._dialled(invitation).queue
        asked = f"${{QUEUE_MEMBER({queue},ready)}}"
        reply = await self._session.command("GET FULL VARIABLE", asked)
        now = _number(reply.value)
        return invitation.idle_operators if now is None else now

    def _policy(self, invitation: Invitation) -> Policy:
        return self._in_force.city.flows[invitation.flow].filter

    def _dialled(self, invitation: Invitation) -> Number112:
        numbers = self._in_force.city.numbers
        return next((n for n in numbers if n.number == invitation.number), numbers[0])

    def _judge(
        self, invitation: Invitation, listening: Listening, context: Context
    ) -> Verdict:
        return judge(listening.evidence, self._policy(invitation), context)

    def _route(self, invitation: Invitation, verdict: Verdict) -> Route:
        city = self._in_force.city
        dialled = self._dialled(invitation)
        return choose_route(
            Facts(
                ruling=verdict.ruling,
                queue=dialled.queue,
                priority=dialled.priority,
                low_priority=city.flows[invitation.flow].low_priority,
            )
        )

    def _keep(
        self,
        invitation: Invitation,
        listening: Listening,
        context: Context,
        verdict: Verdict,
    ) -> None:
        """Keep what was heard, if the city wants it: a thread writes it."""
        call = KeptCall(
            call_id=invitation.call_id,
            at=listening.tape.at,
            number=invitation.number,
            flow=invitation.flow,
            prompts=listening.prompts,
            keys=listening.keys,
            verdict=verdict,
            context=context,
            pcm=listening.tape.pcm,
        )
        if call.is_wanted(self._in_force.city.retention.keep):
            self._intake._shelf.put(call)

    async def _tell(self, facts: list[Fact]) -> None:
        """The journal's facts. One that Asterisk refuses must not cost the call."""
        for fact in facts:
            reply = await self._session.command("EXEC", "CELGenUserEvent", fact.told())
            if not reply.is_ok or reply.result != "0":
                _log.error("fact not told: %s: %s", fact, reply)

    async def _hand_over(self, route: Route) -> None:
        await self._set("INTAKE_ROUTE", route.way.value)
        await self._set("INTAKE_QUEUE", route.queue)
        await self._set("INTAKE_PRIORITY", str(route.priority))
        await self._set("INTAKE", "done")

    async def _set(self, name: str, value: str) -> Reply:
        reply = await self._session.command("SET VARIABLE", name, value)
        if not reply.is_ok:
            raise SessionEndedError(f"{name} not set: {reply}")
        return reply

    def done(self, outcome: str, **more: str | int) -> None:
        """The one canonical last line of a call."""
        self._intake._figures.outcomes[outcome] += 1
        seconds = asyncio.get_running_loop().time() - self._began
        said = "".join(f" {name}={value}" for name, value in more.items())
        _log.info("call done outcome=%s%s seconds=%.2f", outcome, said, seconds)
