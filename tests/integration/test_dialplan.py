"""The dialplan's own decisions on a real Asterisk, with an intake that says anything.

Whole calls with the real intake are in `tests/calls/`; here the intake is a script, so
that it can say what a sane one never would.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from pbx.asterisk.run import find_root, service_user
from pbx.settings import Settings, switch_files
from tests.bench.telephony.caller import Exchange
from tests.calls import faults
from tests.fakes.late_phone import (
    LatePhone,
    Moment,
    spoken,
    spoken_seconds,
    tone,
    tone_of_key_5,
)
from tests.fakes.live_city import LiveCity, live_city
from tests.fakes.sip_peer import SipPeer
from tests.patience import journal_records, until

pytestmark = pytest.mark.asterisk

RELEASE = {"INTAKE": "done", "INTAKE_ROUTE": "release"}


@dataclass
class Scripted:
    """An intake that sets these variables and leaves; `hangs` it never leaves."""

    variables: dict[str, str]
    hangs: bool = False
    asked: list[list[str]] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    """What Asterisk answers to the real intake's question who is idle."""
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """What happens while it listens."""

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(ConnectionError):
            told: dict[str, str] = {}
            while line := (await reader.readline()).decode().strip():
                key, _, told[key] = line.partition(": ")
            self.asked.append([told[f"agi_arg_{n}"] for n in range(1, 7)])
            writer.write(b'GET FULL VARIABLE "${QUEUE_MEMBER(darurat,ready)}"\n')
            self.idle.append((await reader.readline()).decode())
            if self.meanwhile is not None:
                await self.meanwhile()
            for name, value in self.variables.items():
                writer.write(f'SET VARIABLE {name} "{value}"\n'.encode())
                await reader.readline()
            if self.hangs:
                await reader.read()
        writer.close()


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveCity]:
    async with live_city(tmp_path, find_root(Settings()), service_user()) as city:
        folder = city.settings.sounds / "id"
        folder.mkdir()
        with wave.open(str(folder / "goodbye.wav"), "wb") as prompt:
            prompt.setparams((1, 2, 8000, 0, "NONE", ""))
            prompt.writeframes(bytes(16000))  # one second
        yield city


def facts(live: LiveCity) -> list[str]:
    """`EVENT extra` of every fact told so far."""
    events = map(json.loads, journal_records(live.settings.journal))
    return [
        f"{event['eventtype']} {json.loads(event['eventextra'])['extra']}"
        for event in events
        if event["appname"] == "CELGenUserEvent"
    ]


def tells(live: LiveCity, start: str, times: int = 1) -> Callable[[], bool]:
    return lambda: sum(fact.startswith(start) for fact in facts(live)) == times


def met_first(live: LiveCity) -> dict[str, str]:
    """Call → what its caller met first: QUEUED or RELEASED. A call that waits comes to
    a queue again with each step of its ladder."""
    met: dict[str, str] = {}
    for event in map(json.loads, journal_records(live.settings.journal)):
        if event["eventtype"] in ("QUEUED", "RELEASED"):
            met.setdefault(event["linkedid"], event["eventtype"])
    return met


def ends(live: LiveCity) -> dict[str, str]:
    """The same by the caller's number."""
    met = met_first(live)
    found: dict[str, str] = {}
    for event in map(json.loads, journal_records(live.settings.journal)):
        if event["eventtype"] == "OFFERED" and event["linkedid"] in met:
            told = parse_qs(json.loads(event["eventextra"])["extra"])
            found[told["ani"][0]] = met[event["linkedid"]]
    return found


async def calls(live: LiveCity, intake: Scripted, numbers: list[str]) -> None:
    """Several calls at once, until each is released or has come to a queue."""
    before = len(met_first(live))
    server = await asyncio.start_server(
        intake.serve, "127.0.0.1", live.city.network.agi_port
    )
    async with server, AsyncExitStack() as phones:
        for number in numbers:
            peer = phones.enter_context(SipPeer("127.0.0.2", live.sip))
            assert (await peer.invite("112", sender=number)).code == 200
        await until(lambda: len(met_first(live)) == before + len(numbers))


async def call(live: LiveCity, intake: Scripted, number: str = "081234567890") -> None:
    """One call, until it is released or has come to a queue."""
    await calls(live, intake, [number])


async def test_released_once_and_never_twice_within_ten_minutes(live: LiveCity) -> None:
    intake = Scripted(RELEASE)
    await call(live, intake)
    assert facts(live)[-1] == "RELEASED prompt=goodbye"
    await call(live, intake)  # put through, without asking anybody
    assert tells(live, "VERDICT verdict=pass&reason=repeat-caller&")()
    assert tells(live, "QUEUED queue=darurat&priority=60&rung=1")(), "before others"
    await call(live, intake, number="0811")  # another caller is not a repeat caller
    assert tells(live, "RELEASED", 2)()
    assert intake.asked == [
        ["112", "filter0", "carrier", "0", "60", "0"],
        ["112", "filter0", "carrier", "0", "59", "0"],  # one less, and no phone at all
    ]
    assert intake.idle == ["200 result=1 (0)\n"] * 2


async def test_the_drop_budget_and_the_switch_are_the_last_line(live: LiveCity) -> None:
    """Whatever the intake says. Four at once and a budget of two: two are released."""
    plan = live.settings.asterisk_home / "current" / "extensions.conf"
    plan.write_text(
        plan.read_text()
        .replace("{SPENT} <= 60", "{SPENT} <= 2")
        .replace("{SPENT} > 60", "{SPENT} > 2")
    )
    await live.console("dialplan reload")
    intake = Scripted(RELEASE | {"INTAKE_PRIORITY": "0"})
    numbers = [f"08{n}" for n in range(4)]
    await calls(live, intake, numbers)
    assert tells(live, "RELEASED", 2)()
    assert tells(live, "VERDICT verdict=low-priority&reason=budget&", 2)()
    assert tells(live, "QUEUED queue=darurat&priority=0&rung=1", 2)()
    files = switch_files(live.settings.asterisk_home)
    files["shadow"].touch()
    await call(live, intake, number="0850")
    assert tells(live, "VERDICT verdict=pass&reason=shadow&at_ms=0&shadow=1&")()
    assert tells(live, "QUEUED queue=darurat&priority=10&rung=1")()
    files["off"].touch()
    asked = len(intake.asked)
    await call(live, intake, number="0860")
    assert tells(live, "VERDICT verdict=pass&reason=filter-off&")()
    assert len(intake.asked) == asked, "nobody is filtered, the intake is not asked"
    assert tells(live, "RELEASED", 2)()
    for path in files.values():
        path.unlink()
    await live.console("database put budget-filter0 hour 1")  # an hour long ago
    await call(live, intake, number="0870")
    assert tells(live, "RELEASED", 3)()
    assert "budget-filter0/released" in await live.console("database show")


PRESSED_IN_THE_AUDIO = tone_of_key_5(0.1)
WORD = spoken(0.2)
AFTER_THE_LAST_WORD: tuple[tuple[bytes | str | None, float], ...] = (
    ("5", -0.5),
    *(("5", seconds) for seconds in (0.0, 0.3, 0.8, 1.0)),
    *((PRESSED_IN_THE_AUDIO, seconds) for seconds in (-0.5, 0.3, 0.8, 1.0)),
    *((WORD, seconds) for seconds in (-0.5, -0.1, 0.0, 0.3, 0.5, 0.8, 1.0)),
    (spoken(0.5), 0.8),
    (spoken(4.0), 0.8),  # without a breath, beyond the end of listening for words
    (None, 0.0),
)


async def test_a_key_or_a_voice_until_a_second_after_the_goodbye_leads_to_a_human(
    live: LiveCity,
) -> None:
    """All at once; the intake has gone by then, and is not needed."""
    goodbye = tone(1.0)
    with wave.open(str(live.settings.sounds / "id" / "goodbye.wav"), "wb") as prompt:
        prompt.setparams((1, 2, 8000, 0, "NONE", ""))
        prompt.writeframes(goodbye.tobytes() + bytes(2 * 16000))  # listen_seconds = 2
    port = live.city.network.agi_port
    intake = Scripted(RELEASE)
    server = await asyncio.start_server(intake.serve, "127.0.0.1", port)
    exchange = await Exchange.open("127.0.0.2", live.sip, b"")
    phones: dict[str, LatePhone] = {}
    try:
        for n, (act, seconds) in enumerate(AFTER_THE_LAST_WORD):
            moment = Moment(seconds, 1, spoken_seconds(goodbye))
            phones[f"08{n}"] = LatePhone("127.0.0.2", moment, act)
            await exchange.dial(f"08{n}", stream=phones[f"08{n}"])
        await until(lambda: len(intake.asked) == len(phones))
        server.close()
        await until(lambda: len(ends(live)) == len(phones))
    finally:
        server.close()
        await exchange.close()
    expected = dict.fromkeys(phones, "QUEUED")
    expected[f"08{len(phones) - 1}"] = "RELEASED"
    assert ends(live) == expected
    for phone, (_, seconds) in zip(phones.values(), AFTER_THE_LAST_WORD, strict=True):
        assert phone.acted_seconds is not None
        assert phone.acted_seconds >= seconds


async def test_who_cannot_be_remembered_or_counted_is_not_released(
    live: LiveCity,
) -> None:
    """An AstDB that takes nothing would release without end, and twice."""
    plan = live.settings.asterisk_home / "current" / "extensions.conf"
    whole = plan.read_text()
    remember = "Set(DB(${FAMILY}/${CALLER})="
    count = "Set(DB(budget-filter0/released)=${SPENT})"
    for number, broken in (("0821", remember), ("0822", count)):
        assert broken in whole
        plan.write_text(whole.replace(broken, broken.replace("Set(DB(", "NoOp((")))
        await live.console("dialplan reload")
        await call(live, Scripted(RELEASE), number=number)
    assert tells(live, "VERDICT verdict=pass&reason=error&", 2)()
    assert not any(fact.startswith("RELEASED") for fact in facts(live))


async def test_on_a_full_disk_nobody_is_released(live: LiveCity) -> None:
    """AstDB takes what is written, shows it, and takes it back a second later: such a
    release would be counted by nobody, and who calls again released again."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    await live.asterisk.stop()
    folder = live.settings.asterisk_home / "db"
    with faults.small_disk(folder, size="128k"), ExitStack() as disk:
        await live.start()

        async def filled_up() -> None:
            await until(lambda: "081" in remembered(folder / "astdb.sqlite3"))
            disk.enter_context(faults.full(folder))

        # Full when he had called, when he calls, and for one without a number.
        await call(live, Scripted(RELEASE, meanwhile=filled_up), number="081")
        assert tells(live, "VERDICT verdict=pass&reason=error&")()
        await call(live, Scripted(RELEASE), number="082")
        await call(live, Scripted(RELEASE), number="anonymous")
        assert tells(live, "VERDICT verdict=pass&reason=error&", 3)()
        assert not any(fact.startswith("RELEASED") for fact in facts(live))
        disk.close()
        await call(live, Scripted(RELEASE), number="084")
        assert tells(live, "RELEASED")()
        await live.asterisk.stop()


def remembered(database: Path) -> str:
    """What AstDB has on disk, not what it believes to have."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as asked:
        return "\n".join(key for (key,) in asked.execute("SELECT key FROM astdb"))


async def test_who_called_a_moment_ago_is_not_released(live: LiveCity) -> None:
    """Though he was not released then: he may have been cut off in the greeting."""
    intake = Scripted(RELEASE)
    await call(live, Scripted({"INTAKE": "done"}))
    await call(live, intake)
    assert tells(live, "QUEUED queue=darurat&priority=10&rung=1", 2)()
    assert not any(fact.startswith("RELEASED") for fact in facts(live))
    assert [asked[3] for asked in intake.asked] == ["2"]
    shown = await live.console("database show")
    (place,) = (line for line in shown.splitlines() if "/081234567890" in line)
    key, _, at = (word.strip() for word in place.partition(":"))
    assert key.startswith("/called-")
    family = key.split("/")[1]
    for seconds, repeat in ((590, "2"), (601, "0")):
        for n in range(4):
            await live.console(f"database deltree called-{n}")
        then = f"database put {family} 081234567890 {int(at) - seconds}"
        await live.console(then)
        await call(live, intake)
        assert intake.asked[-1][3] == repeat
    assert tells(live, "RELEASED")(), "ten minutes are over"


async def test_a_killed_asterisk_remembers_whom_it_released(live: LiveCity) -> None:
    intake = Scripted(RELEASE)
    await call(live, intake)
    assert tells(live, "RELEASED")()
    await live.kill()
    await live.start()
    await call(live, intake)
    assert tells(live, "VERDICT verdict=pass&reason=repeat-caller&")()
    await call(live, intake, number="0811")
    assert [asked[4] for asked in intake.asked] == ["60", "59"], "so the budget is"
    assert tells(live, "RELEASED", 2)()


async def test_numbers_do_not_stay_in_the_memory_of_calls(live: LiveCity) -> None:
    """A call of a new slot empties the family that comes next."""
    for n in range(4):
        await live.console(f"database put called-{n} 0811 1")
    await live.console("database put called slot 1")
    await call(live, Scripted({"INTAKE": "done"}), number="0812")
    shown = await live.console("database show")
    assert shown.count("/0811") == 3
    assert shown.count("/0812") == 1


async def test_who_hides_the_number_is_nobodys_repeat_caller(live: LiveCity) -> None:
    intake = Scripted(RELEASE)
    for _ in range(2):
        await call(live, intake, number="anonymous")
    assert tells(live, "RELEASED", 2)()
    assert [asked[3] for asked in intake.asked] == ["0", "0"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("INTAKE_ROUTE=release", "DEGRADED heard=nothing"),
        ("INTAKE=started INTAKE_ROUTE=release", "RESCUED reason=intake-lost"),
        ("INTAKE=done INTAKE_ROUTE=hangup", "QUEUED"),
        ("INTAKE=done INTAKE_QUEUE=nix", "QUEUED queue=darurat&priority=10&"),
        ("INTAKE=done INTAKE_QUEUE=cadangan", "QUEUED queue=cadangan&"),
        ("INTAKE=done INTAKE_PRIORITY=x", "QUEUED queue=darurat&priority=10&"),
        ("INTAKE=done INTAKE_PRIORITY=0", "QUEUED queue=darurat&priority=0&"),
        ("INTAKE=done INTAKE_PRIORITY=30", "QUEUED queue=darurat&priority=30&"),
    ],
)
async def test_whatever_the_intake_says_a_human_or_the_one_release(
    live: LiveCity, said: str, told: str
) -> None:
    await call(live, Scripted(dict(word.split("=") for word in said.split())))
    assert any(fact.startswith(told) for fact in facts(live)), facts(live)
    assert not any(fact.startswith("RELEASED") for fact in facts(live))


async def test_no_goodbye_no_release(live: LiveCity) -> None:
    goodbye = live.settings.sounds / "id" / "goodbye.wav"
    goodbye.write_bytes(goodbye.read_bytes()[:100])  # torn
    await call(live, Scripted(RELEASE))
    goodbye.unlink()
    await call(live, Scripted(RELEASE), number="0811")
    assert not any(fact.startswith("RELEASED") for fact in facts(live))


async def test_a_hung_intake_ends_at_the_deadline(live: LiveCity) -> None:
    plan = live.settings.asterisk_home / "current" / "extensions.conf"
    plan.write_text(
        plan.read_text().replace("TIMEOUT(absolute)=40", "TIMEOUT(absolute)=1")
    )
    await live.console("dialplan reload")
    await call(live, Scripted({"INTAKE": "started"}, hangs=True))
    assert "RESCUED reason=deadline" in facts(live)
    await until(tells(live, "QUEUED", 3))
    shown = await live.console("core show channels concise")
    assert "darurat-patient" in shown  # and no deadline ends his waiting
    await asyncio.sleep(1.5)
    assert "darurat-patient" in await live.console("core show channels concise")


async def test_a_caller_keeps_waiting_when_a_reload_changes_his_ladder(
    live: LiveCity,
) -> None:
    """He comes out of Queue() at a line that is no longer there, and meets `t`."""
    plan = live.settings.asterisk_home / "current" / "extensions.conf"
    text = plan.read_text().replace(
        "darurat-patient,ric,,,60", "darurat-patient,ric,,,2"
    )
    plan.write_text(text)
    await live.console("dialplan reload")
    with SipPeer("127.0.0.2", live.sip) as peer:
        assert (await peer.invite("112")).code == 200
        await until(tells(live, "QUEUED", 3))
        head, _, tail = text.partition("[queue-darurat]\n")
        ladder, _, rest = tail.partition("exten => i,")
        short = "\n".join(ladder.splitlines()[:4])
        plan.write_text(f"{head}[queue-darurat]\n{short}\nexten => i,{rest}")
        await live.console("dialplan reload")
        await until(tells(live, "QUEUED", 4))
