"""Many callers at once, each with a clip as rough RTP, and what was decided of them."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pbx.laboratory.dialogue.call import VirtualCall
from pbx.laboratory.dialogue.house import House, furnished
from pbx.laboratory.kept import frames_of, read_kept
from pbx.laboratory.replay import Again, Rules, play_again
from pbx.model.events import FactTold, Judged, Offered, UnreadableLineError, read_event
from pbx.model.policy import Policy
from pbx.simulator.declaration import Declaration
from pbx.simulator.trial import TrialCity, TrialError
from tests.bench.sound import quiet_line
from tests.bench.telephony.caller import Call, Exchange
from tests.calls.rough_rtp import Echo, Network, Recording, RtpPhone

GHOSTS = 65_024 / 86_161
"""Kediri's mix, April to October 2025; who plays a prank or asks is a person too."""
_VERDICT_SECONDS = 45.0
_KEPT_SECONDS = 20.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Clip:
    """Somebody, or nobody, to call with."""

    name: str
    is_person: bool
    alaw: bytes = field(repr=False)
    has_echo: bool = False
    """A speakerphone: our prompt comes back 150 ms later at -20 dB. Nobody knows that
    before the call, so it cannot be heard offline."""

    def sound(self) -> Recording:
        """A pocket goes on; a person speaks once and then waits."""
        return Recording(self.alaw, quiet_line(4.0) if self.is_person else self.alaw)


def kediris_mix(clips: Sequence[Clip], count: int, dice: random.Random) -> list[Clip]:
    """So many callers as the city has them, in random order, none twice if possible."""
    ghosts = round(count * GHOSTS)
    drawn = []
    for is_person, wanted in ((False, ghosts), (True, count - ghosts)):
        kind = [clip for clip in clips if clip.is_person is is_person]
        dice.shuffle(kind)
        drawn += list(itertools.islice(itertools.cycle(kind), wanted))
    dice.shuffle(drawn)
    return drawn


def by_the_ear(declared: Declaration) -> None:
    """Only what is heard decides: offline cannot know who is idle (nobody: no phone is
    registered), what the hour has used up, or whom the lot sends to an operator. And
    whoever may be released is, so that every release thought of is one. What was
    heard is kept, of everybody."""
    for flow in declared["flows"].values():
        flow["filter"] |= {"silent": "release", "noise": "release"}
        flow["filter"] |= {"holdout_percent": 0, "releases_per_hour": 10_000}
    declared["retention"] = {"keep": "all"}


def house_of(city: TrialCity) -> House:
    """What callers of this city meet, for offline."""
    sounds = city.settings.sounds / city.city.city.language
    return furnished(city.city, city.city.numbers[0].flow, sounds)


@dataclass(frozen=True, slots=True)
class Compared:
    """One call, and the same call offline."""

    clip: Clip
    live: Judged
    again: Again
    """The very frames that the intake heard, and kept, played again offline."""
    offline: Judged
    """The clip with the same packets lost, in virtual time: frames come one a tick."""
    unharmed: Judged
    """The same, had the network lost nothing."""
    late_ms: float
    """How late our own sender was at worst, the network's jitter apart."""

    @property
    def is_equal(self) -> bool:
        """Same ruling, same reason."""
        again = (self.again.new.value, self.again.new_reason.value)
        return (self.live.verdict, self.live.reason) == again

    def told(self) -> str:
        """For a list of differences."""
        again = f"{self.again.new}/{self.again.new_reason} ({self.again.because})"
        return (
            f"{self.clip.name}: live {_told(self.live)}; again {again}; "
            f"offline {_told(self.offline)}"
        )


def is_same(one: Judged, other: Judged) -> bool:
    """Same ruling, same reason."""
    return (one.verdict, one.reason) == (other.verdict, other.reason)


def _told(judged: Judged) -> str:
    return (
        f"{judged.verdict}/{judged.reason} at {judged.at_ms / 1000:.2f} s "
        f"({judged.evidence})"
    )


class Journal:
    """The verdicts in a city's journal, by the caller's number, read as it grows."""

    def __init__(self, city: TrialCity) -> None:
        self._city = city
        self._read = 0
        self._numbers: dict[str, str] = {}
        self.call_ids: dict[str, str] = {}
        """By the caller's number."""
        self.verdicts: dict[str, Judged] = {}

    async def verdict(self, number: str) -> Judged:
        """The verdict on this caller. Raises TrialError if there is none in time."""
        try:
            async with asyncio.timeout(_VERDICT_SECONDS):
                while number not in self.verdicts:
                    await asyncio.sleep(0.25)
        except TimeoutError:
            raise TrialError(
                f"no verdict on {number}:\n{self._city.last_words()}"
            ) from None
        return self.verdicts[number]

    async def follow(self) -> None:
        """Read on and on; cancelled at the end."""
        while True:
            self._read_on()
            await asyncio.sleep(0.2)

    def _read_on(self) -> None:
        try:
            with self._city.settings.journal.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines(keepends=True):
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            event = read_event(line)
        except UnreadableLineError:
            return
        match event:
            case FactTold(fact=Offered(ani=ani)):
                self._numbers[event.channel] = ani
                self.call_ids[ani] = event.channel
            case FactTold(fact=Judged() as judged):
                self.verdicts[self._numbers[event.channel]] = judged
            case _:
                pass


class Crowd:
    """Calls a city with many clips at once. `async with`."""

    def __init__(self, city: TrialCity) -> None:
        self._city = city
        self.house = house_of(city)
        self._journal = Journal(city)
        self._exchange: Exchange
        self._following: asyncio.Task[None]
        self.most_at_once = 0
        """Calls the city held at the same time."""

    async def __aenter__(self) -> Crowd:
        place = self._city.place
        there = (place.city, self._city.city.network.sip_port)
        self._exchange = await Exchange.open(place.carrier, there, quiet_line(1.0))
        self._following = asyncio.create_task(self._journal.follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        await self._exchange.close()

    async def call(
        self, clips: Sequence[Clip], network: Network, *, seed: int, within: float = 2.0
    ) -> list[Compared]:
        """All of them call within so many seconds; nobody leaves before all are in."""
        here = self._city.place.carrier
        phones = [
            RtpPhone(
                here,
                clip.sound(),
                network,
                seed=seed * 1000 + i,
                echo=Echo() if clip.has_echo else None,
            )
            for i, clip in enumerate(clips)
        ]
        all_in = asyncio.Event()
        pause = within / len(clips)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._one(phone, i * pause, all_in))
                for i, phone in enumerate(phones)
            ]
            await asyncio.sleep(within + 0.5)
            self.most_at_once = max(self.most_at_once, await self._city.channels())
            all_in.set()
        return [
            self._compared(clip, phone, *task.result())
            for clip, phone, task in zip(clips, phones, tasks, strict=True)
        ]

    async def _one(
        self, phone: RtpPhone, wait: float, all_in: asyncio.Event
    ) -> tuple[Judged, Path]:
        """The verdict, and where what was heard is kept."""
        await asyncio.sleep(wait)
        number = f"0813{next(_numbers):08d}"
        call: Call = await self._exchange.dial(number, stream=phone)
        try:
            judged = await self._journal.verdict(number)
            kept = await self._kept(self._journal.call_ids[number])
            await all_in.wait()
        finally:
            await call.hang_up()
        return judged, kept

    async def _kept(self, call_id: str) -> Path:
        """The story of a call, on the shelf once the caller was handed over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_KEPT_SECONDS):
                while True:
                    for path in self._city.settings.kept.glob(f"*/{call_id}.json"):
                        return path
                    await asyncio.sleep(0.2)
        raise TrialError(f"{call_id} was not kept:\n{self._city.last_words()}")

    @property
    def _policies(self) -> dict[str, Policy]:
        return {name: flow.filter for name, flow in self._city.city.flows.items()}

    def _compared(
        self, clip: Clip, phone: RtpPhone, live: Judged, kept: Path
    ) -> Compared:
        rules = Rules(self._policies, self.house.prompts.get)
        again = play_again(read_kept(kept), frames_of(kept), rules)
        plain = RtpPhone(self._city.place.carrier, clip.sound())
        try:
            unharmed = self._offline(plain)
        finally:
            plain.close()
        late_ms = phone.latest_seconds * 1000
        return Compared(clip, live, again, self._offline(phone), unharmed, late_ms)

    def _offline(self, phone: RtpPhone) -> Judged:
        """The whole call in virtual time, as `gerbang ghostfilter evaluate --dialogue`
        plays it."""
        seconds = self.house.flow.longest_seconds + 1.0
        ended = VirtualCall(self.house).run(phone.heard_offline(seconds), {})
        verdict = ended.own_verdict
        return Judged(
            verdict=verdict.ruling.value,
            reason=verdict.reason.value,
            at_ms=ended.ticks * 20,
            evidence=verdict.because,
        )
