"""Long trials (`make campaign`): many callers, faults at moments nobody chose.

Each round places four people with scripts drawn by a seeded generator, and strikes once
at a random moment. Whoever wants an operator and stays must see one ring; whoever does
not is only counted; every INVITE leaves exactly one closed record. The report goes to
docs/campaign.md with `--campaign-report`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pbx.simulator.script import HangUp, NoMedia, Press, Say, Script, Silence
from pbx.simulator.trial import TrialCall, TrialCity, TrialError
from pbx.simulator.voices import human_voice
from tests.calls import faults
from tests.calls.scene import (
    new_number,
    one_record_each,
    own_city,
    ready_again,
    rings,
    scene_of,
    since,
)

ROUNDS = int(os.environ.get("GERBANG_CAMPAIGN_ROUNDS", "60"))
SEED = int(os.environ.get("GERBANG_CAMPAIGN_SEED", "112"))
ALLOWED_SECONDS = 8.0
"""From the later of the caller's sign of life and the fault to a ringing operator."""


@dataclass(frozen=True)
class Person:
    """Who calls, and when he gives the sign that he wants an operator."""

    kind: str
    script: Script
    sign_after_seconds: float | None
    """From the answer; None: he gives none."""


@dataclass
class Tally:
    """What the report says."""

    faults: Counter[str] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)
    dispositions: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    incomplete: int = 0

    def text(self) -> str:
        """The report, in Markdown."""
        waits = sorted(self.waits)
        shown = [waits[int(q * (len(waits) - 1))] for q in (0.5, 0.95, 1.0)]
        return (
            f"{ROUNDS} rounds, seed {SEED}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.\n\n"
            f"- Callers: {_counted(self.people)}.\n"
            f"- Faults: {_counted(self.faults)}.\n"
            f"- Callers who gave a sign of life and stayed: {len(waits)}, all of them "
            "reached a ringing operator.\n"
            "- From the sign, or the fault if that came later, to ringing: median "
            f"{shown[0]:.2f} s, 95th percentile {shown[1]:.2f} s, longest "
            f"{shown[2]:.2f} s.\n"
            f"- Records: one for each of {self.people.total()} INVITEs "
            f"({_counted(self.dispositions)}; incomplete: {self.incomplete}).\n"
        )


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counter.most_common())


def draw_person(dice: random.Random, voice: Path) -> Person:
    """Somebody, with a number of his own."""
    at = round(dice.uniform(0.1, 14.0), 2)
    kind = dice.choice(["presses", "presses", "speaks", "speaks", "silent", "leaves"])
    sign: float | None = None
    match kind:
        case "presses":
            script = Script((Silence(at), Press(dice.choice("0123456789*#"))))
            sign = at
        case "speaks":
            script, sign = Script((Silence(at),), afterwards=Say(voice)), at
        case "silent":
            nothing: list[Silence | NoMedia] = [Silence(60), NoMedia(60)]
            script = Script(afterwards=dice.choice(nothing))
        case _:
            script = Script((Silence(at), HangUp()))
    return Person(kind, replace(script, number=new_number()), sign)


async def reset_audio(city: TrialCity) -> None:
    for name, pid in city.processes().items():
        if name.startswith("intake"):
            port = city.city.network.audiosocket_port + int(name.rpartition("-")[2])
            faults.reset_connections(pid, port)


def _kill(name: str) -> Callable[[TrialCity], Awaitable[None]]:
    async def kill(city: TrialCity) -> None:
        city.kill(name)

    return kill


def _freeze(name: str) -> Callable[[TrialCity], Awaitable[None]]:
    async def freeze(city: TrialCity) -> None:
        city.freeze(name)

    return freeze


async def hold_keeper(city: TrialCity) -> None:
    """Intake gone and nobody to restart it, for a while."""
    city.signal("supervisor", signal.SIGSTOP)
    city.kill("intake")


FAULTS: dict[str, Callable[[TrialCity], Awaitable[None]]] = {
    "intake killed": _kill("intake"),
    "one worker killed": _kill("intake-0"),
    "intake stopped": _freeze("intake"),
    "one worker stopped": _freeze("intake-1"),
    "AudioSocket reset": reset_audio,
    "recorder killed": _kill("recorder"),
    "recorder stopped": _freeze("recorder"),
    "control killed": _kill("control"),
    "intake refused": hold_keeper,
}


async def one_round(
    city: TrialCity, dice: random.Random, voice: Path, tally: Tally
) -> None:
    people = [draw_person(dice, voice) for _ in range(4)]
    fault = dice.choice(list(FAULTS))
    moment = dice.uniform(0.0, 14.0)
    calls = []
    for person in people:
        calls.append(await city.place_call(person.script))
        await asyncio.sleep(dice.uniform(0.0, 0.5))
    await asyncio.sleep(moment)
    await FAULTS[fault](city)
    struck = datetime.now(UTC)
    await asyncio.gather(
        *(
            _watch(person, call, struck, tally)
            for person, call in zip(people, calls, strict=True)
        )
    )
    city.signal("supervisor", signal.SIGCONT)
    await city.wait_idle()
    await ready_again(city)
    found = await one_record_each(city, calls)
    tally.faults[fault] += 1
    tally.people.update(person.kind for person in people)
    tally.dispositions.update(record.disposition for record in found)
    tally.incomplete += sum(record.incomplete for record in found)
    assert "lost" not in {record.disposition for record in found}, (fault, found)


async def _watch(
    person: Person, call: TrialCall, struck: datetime, tally: Tally
) -> None:
    """Follow one caller to the operator's ringing phone, or to his own end."""
    if person.sign_after_seconds is None:
        with suppress(TrialError):  # he need not reach anybody, and may have left
            await rings(call, deadline_seconds=20)
        if not call.placed.so_far().is_over:
            await call.hang_up()
        return
    answered = (await call.answered()).answered_at
    assert answered
    rang = await rings(call, deadline_seconds=40)
    # Rescued before he gave a sign: then he did not wait at all.
    began = answered + timedelta(seconds=person.sign_after_seconds)
    waited = max(0.0, since(max(began, struck) if struck < rang else began, rang))
    tally.waits.append(waited)
    await call.hang_up()
    assert waited <= ALLOWED_SECONDS, (person, waited)


@pytest.mark.campaign
@pytest.mark.asterisk
@pytest.mark.timeout(0)
async def test_faults_at_random_moments(
    asterisk_root: object, pytestconfig: pytest.Config
) -> None:
    dice = random.Random(SEED)
    tally = Tally()
    async with own_city() as city:
        await scene_of(city)
        voice = human_voice(Path(getattr(asterisk_root, "base", "/")))
        for number in range(1, ROUNDS + 1):
            await one_round(city, dice, voice, tally)
            print(f"round {number} of {ROUNDS}: {len(tally.waits)} waited", flush=True)
    print(tally.text())
    if name := pytestconfig.getoption("--campaign-report"):
        path = Path(name)
        head = path.read_text().partition("<!-- report -->")[0]
        path.write_text(f"{head}<!-- report -->\n\n{tally.text()}")
