"""One real call into the running city, told step by step: what `gerbang call` does."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pbx.asterisk import run
from pbx.asterisk.secrets import read_secrets
from pbx.model.city import City, Trunk
from pbx.model.events import ChannelStarted, JournalEvent
from pbx.model.policy import Treatment
from pbx.model.verdict import Reason
from pbx.settings import Settings
from pbx.simulator.carrier import Carrier, Line, OutgoingCall
from pbx.simulator.cel import CallResult
from pbx.simulator.correlate import best_piece
from pbx.simulator.follow import JournalFollower
from pbx.simulator.operator import Operator, phone_settings
from pbx.simulator.script import NoMedia, Press, Say, Script, Silence, Step
from pbx.simulator.story import Story, endpoint
from pbx.simulator.voices import human_voice, read_voice

GOOD_CORRELATION = 0.8
"""G.711 keeps a voice above 0.99; another voice stays below 0.4."""
OPERATOR_ANSWERS_AFTER_SECONDS = 1.5
TALK_SECONDS = 4.0
RING_SECONDS = 5.0
RECORD_SECONDS = 8.0
_LONGEST_WAIT_SECONDS = 75.0
_LONGEST_CALL_SECONDS = 90.0
_TICK_SECONDS = 0.02


class RehearsalError(Exception):
    """The call could not be placed at all; the text says why and the cure."""


class Manner(StrEnum):
    """What the caller does."""

    SAY = "say"
    PRESS = "press"
    SILENT = "silent"
    NO_MEDIA = "no-media"


@dataclass(frozen=True, slots=True)
class Plan:
    """The call to be placed."""

    manner: Manner
    voice: Path | None = None
    """What the caller says; None is a recorded human voice from the Asterisk root."""
    digits: str = "0"
    number: str | None = None
    """The number presented; None makes one up that never called before."""
    withheld: bool = False
    after_seconds: float = 1.0
    """Silence before the caller speaks or presses."""
    hang_up_after_seconds: float | None = None
    """After the answer; None: once everything has been shown."""
    is_answered: bool = True
    """Whether the stand-in operator answers, or only lets it ring."""
    dialled: str = "112"


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the story."""

    seconds: float
    """Since the command began."""
    text: str
    is_fault: bool = False
    """Something that should have happened and did not; the text says the cure."""


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    call_id: str | None = None
    record: dict[str, Any] | None = None
    record_seconds: float | None = None
    """From the hang-up to the record."""
    invite_seconds: float | None = None
    """From the start of the command to the INVITE."""
    caller_to_operator: float | None = None
    """How well the operator's recording contains the caller's voice, 0…1."""
    operator_to_caller: float | None = None
    told: list[Told] = field(default_factory=list)

    @property
    def is_as_expected(self) -> bool:
        """Whether nothing was missing."""
        return self.record is not None and not any(t.is_fault for t in self.told)


class Rehearsal:
    """Places the call and watches it from both ends and in the journal."""

    def __init__(
        self,
        settings: Settings,
        city: City,
        plan: Plan,
        tell: Callable[[Told], None] = lambda told: None,
    ) -> None:
        self._settings = settings
        self._city = city
        self._plan = plan
        self._tell = tell
        self._began = time.monotonic()
        self._began_at = datetime.now(UTC)
        self._outcome = Outcome()
        self._root = run.find_root(settings)
        self._number = plan.number if plan.number is not None else fresh_number()
        self._trunk = carrier_trunk(city)
        self._caller_voice = plan.voice or human_voice(self._root.base)
        self._operator_voice = human_voice(self._root.base, which=2)

    async def run(self) -> Outcome:
        """Live the whole call. Raises RehearsalError if it cannot even be placed."""
        if run.running_pid(self._settings.asterisk_home) is None:
            raise RehearsalError(
                f"112 is not running on {self._settings.state}; start it with "
                '`make run`, wait for "ready, dial 112", then try again'
            )
        async with AsyncExitStack() as parts:
            carrier = Carrier(self._root, self._line())
            operator, _ = await asyncio.gather(
                self._stand_in(parts), parts.enter_async_context(carrier)
            )
            self._say(f"carrier up on {self._trunk.addresses[0]}")
            journal = JournalFollower(self._settings.journal)
            placed = await carrier.place(self._script())
            try:
                await self._live(placed, journal, operator)
            finally:
                with suppress(run.AsteriskError):
                    await placed.hang_up()
        return self._outcome

    def _line(self) -> Line:
        network = self._city.network
        return Line(
            self._trunk.addresses[0].split("/")[0],
            network.sip_address,
            network.sip_port,
            self._trunk.port,
            [str(codec) for codec in self._trunk.codecs],
        )

    def _script(self) -> Script:
        plan = self._plan
        wait = [Silence(plan.after_seconds)] if plan.after_seconds > 0 else []
        steps: tuple[Step, ...] = tuple(wait)
        afterwards: Say | Silence | NoMedia = Say(self._caller_voice)
        match plan.manner:
            case Manner.PRESS:
                steps = (*wait, Press(plan.digits))
            case Manner.SILENT:
                afterwards = Silence(30)
            case Manner.NO_MEDIA:
                steps, afterwards = (), NoMedia(30)
            case Manner.SAY:
                pass
        return Script(
            steps,
            afterwards=afterwards,
            number=self._number,
            withheld=plan.withheld,
            dialled=plan.dialled,
            hang_up_after_seconds=plan.hang_up_after_seconds or _LONGEST_CALL_SECONDS,
        )

    async def _stand_in(self, parts: AsyncExitStack) -> Operator | None:
        """A softphone for the first operator, if no phone is registered at all."""
        contacts = await run.console(
            self._settings.asterisk_home, "pjsip show contacts"
        )
        registered = registered_operators(contacts, self._city)
        if registered:
            self._say(f"phones registered: {', '.join(registered)}")
            return None
        number = self._first_operator()
        passwords = read_secrets(self._settings.secrets_file).operators
        operator = Operator(
            phone_settings(self._city, passwords, number),
            self._operator_voice,
            OPERATOR_ANSWERS_AFTER_SECONDS if self._plan.is_answered else None,
        )
        await parts.enter_async_context(operator)
        self._say(f"no operator's phone is registered; a stand-in is now {number}")
        return operator

    def _first_operator(self) -> str:
        for number in self._city.numbers:
            if number.number == self._plan.dialled:
                return self._city.queue(number.queue).members[0]
        return self._city.queues[0].members[0]

    # ---- the call --------------------------------------------------------------------

    async def _live(
        self, placed: OutgoingCall, journal: JournalFollower, operator: Operator | None
    ) -> None:
        result = await placed.invited()
        self._outcome.invite_seconds = self._since_start(result.invited_at)
        shown = self._number or "no number"
        self._say(
            f"INVITE sent from {shown}{', withheld' if self._plan.withheld else ''}",
            result.invited_at,
        )
        story: Story | None = None
        end: float | None = None
        while not (result := placed.so_far()).is_over:
            for event in journal.news():
                story = story or self._our_story(event, result)
                self._hear(story, event)
            if end is None and story is not None:
                end = self._planned_end(story)
            late = self._elapsed() > _LONGEST_WAIT_SECONDS
            if late or (end is not None and self._elapsed() > end):
                await placed.hang_up()
                await placed.finished(deadline_seconds=5)
            await asyncio.sleep(_TICK_SECONDS)
        result = placed.so_far()
        if story is None:
            await asyncio.sleep(0.2)
        for event in journal.news():
            story = story or self._our_story(event, result)
            self._hear(story, event)
        if story is None:
            self._miss(
                f"the city's journal {self._settings.journal} knows nothing of this "
                "call; `gerbang doctor` and `gerbang status` say why"
            )
            return
        record, _ = await asyncio.gather(
            self._wait_for_record(story, journal, result),
            self._prove_audio(result, story, operator),
        )
        self._judge(story, record)

    def _our_story(self, event: JournalEvent, result: CallResult) -> Story | None:
        """The call is ours if it came over our trunk, after our INVITE, from us."""
        is_ours = (
            isinstance(event, ChannelStarted)
            and endpoint(event.channel_name) == self._trunk.name
            and event.channel == event.linkedid
            and digits(event.caller) == digits(self._number)
            and result.invited_at is not None
            and (event.at - result.invited_at).total_seconds() > -0.1
        )
        if not is_ours:
            return None
        self._outcome.call_id = event.linkedid
        return Story(event.linkedid, self._trunk.name)

    def _hear(self, story: Story | None, event: JournalEvent) -> None:
        if story is not None and (text := story.tell(event)):
            self._say(text, event.at)

    def _planned_end(self, story: Story) -> float | None:
        """When the caller has seen enough, unless told when to leave."""
        if self._plan.hang_up_after_seconds is not None:
            return None
        if story.is_connected:
            return self._elapsed() + TALK_SECONDS
        if story.rang and not self._plan.is_answered:
            return self._elapsed() + RING_SECONDS
        return None

    # ---- what it proves --------------------------------------------------------------

    async def _prove_audio(
        self, result: CallResult, story: Story, operator: Operator | None
    ) -> None:
        if not story.is_connected or result.heard is None:
            return
        if operator is None:
            self._say("a real phone answered: only people can tell what it heard")
            return
        call = await operator.wait_closed(operator.calls[-1], deadline_seconds=5)
        heard = await asyncio.to_thread(read_voice, result.heard)
        spoken = await asyncio.to_thread(read_voice, self._operator_voice)
        down = (await asyncio.to_thread(best_piece, heard, spoken)).peak
        self._outcome.operator_to_caller = round(down, 3)
        self._proof("the caller heard the operator", down)
        if self._plan.manner in (Manner.SILENT, Manner.NO_MEDIA) or call.heard is None:
            return
        heard = await asyncio.to_thread(read_voice, call.heard)
        spoken = await asyncio.to_thread(read_voice, self._caller_voice)
        up = (await asyncio.to_thread(best_piece, heard, spoken)).peak
        self._outcome.caller_to_operator = round(up, 3)
        self._proof("the operator heard the caller", up)

    def _proof(self, what: str, correlation: float) -> None:
        if correlation >= GOOD_CORRELATION:
            self._say(f"{what}: correlation {correlation:.2f}")
            return
        self._miss(
            f"NOT proved that {what}: correlation {correlation:.2f}, wanted "
            f"{GOOD_CORRELATION}; one-way audio? See docs/testing-calls.md"
        )

    async def _wait_for_record(
        self, story: Story, journal: JournalFollower, result: CallResult
    ) -> dict[str, Any] | None:
        # Only here: loading them takes as long as bringing up the carrier.
        import sqlalchemy as sa

        from pbx.records.database import open_engine
        from pbx.records.tables import calls

        engine = open_engine(self._settings.database_url, writes=False)
        limit = self._elapsed() + RECORD_SECONDS
        query = sa.select(calls.c.record, calls.c.written_at).where(
            calls.c.call_id == story.call_id, calls.c.state == "closed"
        )
        try:
            while self._elapsed() < limit:
                for event in journal.news():
                    self._hear(story, event)
                with suppress(sa.exc.SQLAlchemyError, OSError):
                    async with engine.connect() as connection:
                        row = (await connection.execute(query)).first()
                    if row is not None:
                        self._say_record(row.record, row.written_at, result)
                        return self._outcome.record
                await asyncio.sleep(0.05)
        finally:
            await engine.dispose()
        self._miss(
            f"no record within {RECORD_SECONDS:g} s of the hang-up; is the recorder "
            "running? `gerbang status` tells, and the journal keeps the call until then"
        )
        return None

    def _say_record(
        self, record: dict[str, Any], written_at: datetime, result: CallResult
    ) -> None:
        self._outcome.record = record
        after = 0.0
        if result.hung_up_at is not None:
            after = max(0.0, (written_at - result.hung_up_at).total_seconds())
        self._outcome.record_seconds = round(after, 3)
        self._say(f"record written {after:.1f} s after the hang-up", written_at)

    def _judge(self, story: Story, record: dict[str, Any] | None) -> None:
        """Compare what came with what this kind of caller must meet."""
        if record is None:
            return
        wanted = expected(self._plan, self._city, story)
        found = record["disposition"]
        if found not in wanted:
            self._miss(
                f"the record says {found!r}; expected {' or '.join(sorted(wanted))}"
            )
        if record["incomplete"]:
            self._miss("the record is marked incomplete: journal lines are missing")

    # ---- telling ---------------------------------------------------------------------

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _since_start(self, at: datetime | None) -> float:
        return (at - self._began_at).total_seconds() if at else self._elapsed()

    def _say(
        self, text: str, at: datetime | None = None, *, is_fault: bool = False
    ) -> None:
        told = Told(round(self._since_start(at), 3), text, is_fault)
        self._outcome.told.append(told)
        self._tell(told)

    def _miss(self, text: str) -> None:
        self._say(text, is_fault=True)


def expected(plan: Plan, city: City, story: Story) -> set[str]:
    """The dispositions a record may have after such a call."""
    if plan.hang_up_after_seconds is not None:
        return {"left", "abandoned", "connected", "released"}
    verdict = story.verdict
    if plan.manner is Manner.SILENT and verdict is not None:
        flow = next(
            city.flows[n.flow] for n in city.numbers if n.number == plan.dialled
        )
        treatment = flow.filter.treatment(Reason(verdict.reason))
        is_spared = verdict.holdout or verdict.shadow
        if treatment is Treatment.RELEASE and not is_spared:
            return {"released"}
    return {"connected"} if plan.is_answered else {"abandoned"}


def carrier_trunk(city: City) -> Trunk:
    """The trunk the simulated carrier can be. Raises RehearsalError if none can."""
    for trunk in city.trunks:
        if trunk.addresses[0].startswith("127.") and trunk.addresses[0].endswith("/32"):
            return trunk
    raise RehearsalError(
        "no trunk of this city is on loopback, so no test carrier can be it; declare "
        '[[trunks]] name = "test" with addresses = ["127.0.0.2/32"]'
    )


def registered_operators(contacts: str, city: City) -> list[str]:
    """Which declared operators have a phone, from `pjsip show contacts`."""
    found = set(re.findall(r"Contact:\s+(\S+?)/sips?:", contacts))
    return [o.number for o in city.operators if o.number in found]


def fresh_number() -> str:
    """A caller who has never called: nobody remembers releasing him."""
    return f"0899{random.SystemRandom().randrange(10**8):08d}"


def digits(number: str) -> str:
    """Only what a dialplan keeps of a number."""
    return re.sub(r"[^0-9+]", "", number)
