"""The fail-open table: whatever breaks, the caller reaches an operator.

Each row breaks one thing while two people call: one presses a key half a second after
the fault, one never makes a sound. On a real Asterisk, with real RTP and real phones.
The table is printed at the end of the run and kept in docs/fail-open.md.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    suppress,
)
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pbx.simulator.script import HangUp, NoMedia, Press, Script, Silence
from pbx.simulator.trial import TrialCity, TrialError
from tests.calls import faults
from tests.calls.fail_open_table import Row, add
from tests.calls.records import Record, database, records, settled
from tests.calls.scene import (
    Scene,
    alarm,
    new_number,
    one_record_each,
    own_city,
    pressing,
    ready_again,
    rings,
    scene_of,
    silent,
    since,
    talks,
)
from tests.patience import until
from tests.postgres import Postgres

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
]

LATER_SECONDS = 3.0
"""How much later than without the fault a caller may reach a ringing operator."""
HUNG_LATER_SECONDS = 8.0
"""The same where the intake hangs: the watchdog has to notice first."""
PRESS_AFTER_FAULT_SECONDS = 0.5

Json = dict[str, Any]
Fault = Callable[[TrialCity], Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Scene]:
    async with own_city() as city:
        yield await scene_of(city)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_call_is_left(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Whatever a row did, the next one finds an idle, whole city."""
    yield
    if "running" not in request.fixturenames:
        return
    city = request.getfixturevalue("running").city
    with suppress(ProcessLookupError, TrialError):
        city.signal("supervisor", signal.SIGCONT)
    if await city.channels():
        await city.carrier.console("channel request hangup all")
    await city.wait_idle()
    await ready_again(city)


async def nothing(_: TrialCity) -> None:
    """The fault happened already."""


@dataclass(frozen=True)
class Moment:
    """When the fault strikes, in the callers' time."""

    name: str
    after_answer_seconds: Callable[[Scene], float] | None
    """None: before the calls are placed."""


BEFORE = Moment("before the call", None)
GREETING = Moment("during the greeting", lambda _: 1.0)
SECOND_PROMPT = Moment(
    "during the second prompt", lambda scene: scene.second_prompt_seconds
)

at_any_moment = pytest.mark.parametrize(
    "moment", [BEFORE, GREETING, SECOND_PROMPT], ids=lambda moment: moment.name
)


async def two_callers(
    scene: Scene,
    name: str,
    fault: Fault,
    moment: Moment,
    *,
    limit: float = LATER_SECONDS,
    silent_is_rescued: bool = True,
    recover: Fault = nothing,
    records_wait_seconds: float = 20.0,
    may_be_incomplete: bool = False,
    note: str = "",
) -> list[Record]:
    """One row: strike at the moment, watch both callers, recover, count the records."""
    city = scene.city
    at = moment.after_answer_seconds(scene) if moment.after_answer_seconds else 0.0
    expected = await scene.without_fault(at + PRESS_AFTER_FAULT_SECONDS)
    if moment is BEFORE:
        await fault(city)
        struck = datetime.now(UTC)
    presser = await city.place_call(pressing(at + PRESS_AFTER_FAULT_SECONDS))
    quiet = await city.place_call(silent())
    if moment is not BEFORE:
        answered = (await presser.answered()).answered_at
        assert answered
        await asyncio.sleep(at - since(answered, datetime.now(UTC)))
        await fault(city)
        struck = datetime.now(UTC)
    later = since(presser.invited_at(), await rings(presser)) - expected
    after = since(struck, await rings(quiet)) if silent_is_rescued else None
    await asyncio.gather(presser.hang_up(), quiet.hang_up())
    await recover(city)
    await city.wait_idle()
    await ready_again(city)
    found = await one_record_each(
        city, [presser, quiet], deadline_seconds=records_wait_seconds
    )
    incomplete = sum(record.incomplete for record in found)
    add(
        Row(
            f"{name}, {moment.name}" if name else moment.name,
            later,
            after,
            limit,
            invites=2,
            records=len(found),
            incomplete=incomplete,
            note=note,
        )
    )
    assert later <= limit
    if after is not None:
        greeted = scene.greeting_seconds if moment is BEFORE else 0.0
        assert after <= greeted + limit
    assert may_be_incomplete or incomplete == 0
    return found


# ---- the intake ----------------------------------------------------------------------


async def kill_intake(city: TrialCity) -> None:
    city.kill("intake")


async def freeze_intake(city: TrialCity) -> None:
    city.freeze("intake")


async def no_intake(city: TrialCity) -> None:
    """Refused: the workers are dead, and whoever would restart them is held back."""
    city.signal("supervisor", signal.SIGSTOP)
    city.kill("intake")


async def release_supervisor(city: TrialCity) -> None:
    city.signal("supervisor", signal.SIGCONT)


@pytest.mark.parametrize(
    "moment", [BEFORE, GREETING, SECOND_PROMPT], ids=lambda m: m.name
)
async def test_intake_killed(running: Scene, moment: Moment) -> None:
    note = "silent: degraded mode, after the greeting" if moment is BEFORE else ""
    await two_callers(running, "intake killed (-9)", kill_intake, moment, note=note)


@pytest.mark.parametrize(
    "moment", [BEFORE, GREETING, SECOND_PROMPT], ids=lambda m: m.name
)
async def test_intake_hung(running: Scene, moment: Moment) -> None:
    await two_callers(
        running,
        "intake stopped (SIGSTOP)",
        freeze_intake,
        moment,
        limit=HUNG_LATER_SECONDS,
    )


async def test_intake_refused(running: Scene) -> None:
    await two_callers(
        running,
        "intake refused",
        no_intake,
        BEFORE,
        recover=release_supervisor,
        note="degraded mode: silent after the greeting",
    )


async def test_nothing_of_ours_runs() -> None:
    """Asterisk alone: no intake, recorder, control or supervisor has ever started."""
    async with own_city() as whole:
        expected = await (await scene_of(whole)).without_fault(0.5)
    async with own_city(python=False) as city:
        await asyncio.gather(city.operator("101"), city.operator("102"))
        presser = await city.place_call(pressing(0.5))
        quiet = await city.place_call(silent())
        later = since(presser.invited_at(), await rings(presser)) - expected
        after = since(quiet.invited_at(), await rings(quiet))
        await asyncio.gather(talks(presser), talks(quiet))
        await asyncio.gather(presser.hang_up(), quiet.hang_up())
        await city.wait_idle()
        await city.stop_city()
        city.python = True
        await city.start_city()
        found = await one_record_each(city, [presser, quiet])
        add(
            Row(
                "intake not running, nor anything else of ours",
                later,
                after,
                LATER_SECONDS,
                2,
                len(found),
                sum(r.incomplete for r in found),
                "degraded mode; records written once the recorder ran",
            )
        )
        assert later <= LATER_SECONDS
        assert {r.disposition for r in found} == {"connected"}


# ---- the wires -----------------------------------------------------------------------


def ports(city: TrialCity) -> list[int]:
    network = city.city.network
    return [
        network.agi_port,
        *(network.audiosocket_port + i for i in range(network.intake_workers)),
    ]


Attack = Callable[..., AbstractAsyncContextManager[None]]


@pytest.mark.parametrize(
    ("name", "attack", "which"),
    [
        ("AGI port scanned", faults.port_scan, slice(0, 1)),
        ("AudioSocket ports scanned", faults.port_scan, slice(1, None)),
        ("slow-loris on AGI and AudioSocket", faults.slow_loris, slice(None)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_attacked(
    running: Scene, name: str, attack: Attack, which: slice
) -> None:
    """Calls go on through the filter as if nothing happened; the slow one, which lasts,
    also lets a silent call run its whole way."""
    running.baseline.pop(0.5, None)
    await running.without_fault(0.5)
    async with attack(*ports(running.city)[which]):
        [pressed, _] = await two_callers(
            running, name, nothing, BEFORE, silent_is_rescued=False
        )
        assert pressed.whole["verdict"]["reason"] == "key"
        if attack is faults.slow_loris:
            quiet = await running.city.place_call(silent())
            await quiet.finished(deadline_seconds=60)
            [released] = await one_record_each(running.city, [quiet])
            assert released.disposition == "released", "the filter was lost"


@pytest.mark.parametrize("moment", [GREETING, SECOND_PROMPT], ids=lambda m: m.name)
async def test_audiosocket_reset(running: Scene, moment: Moment) -> None:
    async def reset(city: TrialCity) -> None:
        done = 0
        for name, pid in city.processes().items():
            if name.startswith("intake"):
                worker = int(name.rpartition("-")[2])
                port = city.city.network.audiosocket_port + worker
                done += faults.reset_connections(pid, port)
        assert done == 2, f"{done} AudioSocket connections for two calls"

    await two_callers(running, "AudioSocket reset", reset, moment)


# ---- the callers ---------------------------------------------------------------------


async def test_no_media(running: Scene) -> None:
    """Not one RTP packet, ever: perhaps the trunk's fault, so never released."""
    call = await running.city.place_call(
        Script((), afterwards=NoMedia(60), number=new_number())
    )
    rang = since(call.invited_at(), await rings(call, deadline_seconds=40))
    await talks(call)
    await call.hang_up()
    [record] = await one_record_each(running.city, [call])
    add(
        Row(
            "caller sends no RTP at all",
            None,
            rang,
            float(next(iter(running.city.city.flows.values())).deadline_seconds),
            1,
            1,
            int(record.incomplete),
            f"after {rang:.1f} s, reason {record.whole['verdict']['reason']}",
        )
    )
    assert record.disposition == "connected"


@pytest.mark.parametrize(
    ("where", "script", "expected"),
    [
        ("in the greeting", Script((Silence(1.0), HangUp())), {"left"}),
        ("in the wait", Script((Silence(5.5), HangUp())), {"left"}),
        ("in the second prompt", Script((Silence(8.5), HangUp())), {"left"}),
        ("while ringing", Script((Press("5"), Silence(0.9), HangUp())), {"abandoned"}),
        (
            "in the talk",
            Script((Press("5"), Silence(4.0), HangUp())),
            {"connected"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_caller_leaves(
    running: Scene, where: str, script: Script, expected: set[str]
) -> None:
    for operator in running.city.operators.values():
        operator.answer_after_seconds = 2.5 if where == "while ringing" else 0.5
    own = Script(script.steps, number=new_number())
    call = await running.city.place_call(own)
    await call.finished(deadline_seconds=30)
    await running.city.wait_idle()
    [record] = await one_record_each(running.city, [call])
    add(
        Row(
            f"caller hangs up {where}",
            None,
            None,
            LATER_SECONDS,
            1,
            1,
            int(record.incomplete),
            f"disposition {record.disposition}",
        )
    )
    assert record.disposition in expected
    assert not record.incomplete


async def test_caller_leaves_while_waiting() -> None:
    """Nobody is registered; the caller waits in the queue and gives up."""
    async with own_city() as city:
        number = new_number()
        call = await city.place_call(
            Script((Press("1"), Silence(4.0), HangUp()), number=number)
        )
        await call.finished(deadline_seconds=30)
        [record] = await one_record_each(city, [call])
        add(
            Row(
                "caller hangs up in the queue, no operator registered",
                None,
                None,
                LATER_SECONDS,
                1,
                1,
                int(record.incomplete),
                f"disposition {record.disposition}",
            )
        )
        assert record.disposition == "abandoned"


# ---- the journal and the database ----------------------------------------------------


async def test_recorder_and_control_killed(running: Scene) -> None:
    async def kill_both(city: TrialCity) -> None:
        city.kill("recorder")
        city.kill("control")

    await two_callers(
        running,
        "recorder and control killed (-9)",
        kill_both,
        GREETING,
        silent_is_rescued=False,
    )


async def test_database_locked(running: Scene) -> None:
    """Another program holds SQLite's write lock during both calls."""
    holder = sqlite3.connect(
        database(running.city), isolation_level=None, check_same_thread=False
    )

    async def lock(_: TrialCity) -> None:
        async with asyncio.timeout(10):
            while True:
                try:
                    holder.execute("BEGIN EXCLUSIVE")
                except sqlite3.OperationalError:
                    await asyncio.sleep(0.05)
                else:
                    return

    async def unlock(city: TrialCity) -> None:
        await alarm(city, "database-unreachable", deadline_seconds=20)
        holder.execute("ROLLBACK")
        holder.close()

    await two_callers(
        running,
        "database locked",
        lock,
        GREETING,
        silent_is_rescued=False,
        recover=unlock,
        note="alarm database-unreachable",
    )


async def test_journal_directory_missing() -> None:
    async with own_city() as city:
        scene = await scene_of(city)
        journal = city.settings.journal.parent
        aside = journal.with_name("gone")
        await scene.without_fault(PRESS_AFTER_FAULT_SECONDS)
        await settled(city, [])

        async def remove(city: TrialCity) -> None:
            journal.rename(aside)
            await alarm(city, "journal-unwritable", "journal-gap")

        async def bring_back(_: TrialCity) -> None:
            aside.rename(journal)

        found = await two_callers(
            scene,
            "journal directory missing",
            remove,
            BEFORE,
            silent_is_rescued=False,
            recover=bring_back,
            may_be_incomplete=True,
            note="alarm journal-unwritable; records from the second witness",
        )
        assert {record.incomplete for record in found} == {True}


@asynccontextmanager
async def city_on_small_disk(
    state: Path, mounted: Path, environment: dict[str, str], size: str
) -> AsyncIterator[Scene]:
    with faults.small_disk(mounted, size=size):
        async with own_city(state=state, environment=environment) as city:
            yield await scene_of(city)


LEFT_IN_THE_GREETING = {
    *("CHAN_START", "OFFERED", "CALLER", "ANSWER"),
    *("HANGUP", "CHAN_END", "LINKEDID_END"),
}
"""A short call's lines: they may fit into the journal's last page on a full disk, where
a long one is lost and a shorter one after it finds room. Of these nothing else tells of
`ANSWER` (docs/records.md, "What nothing else tells of")."""


def told_of(journal: Path) -> dict[str, list[str]]:
    """The events of each call, in the journal's order."""
    told: dict[str, list[str]] = {}
    for line in journal.read_text(errors="replace").splitlines():
        with suppress(ValueError):  # a line cut short by the full disk
            event = json.loads(line)
            told.setdefault(event["linkedid"], []).append(event["eventtype"])
    return told


async def test_journal_disk_full(tmp_path: Path) -> None:
    state = tmp_path / "state"
    mounted = state / "asterisk" / "log" / "cel-custom"
    async with city_on_small_disk(state, mounted, {}, "256k") as scene:
        await scene.without_fault(PRESS_AFTER_FAULT_SECONDS)
        disk = faults.full(mounted)

        async def fill(city: TrialCity) -> None:
            disk.__enter__()
            await alarm(city, "journal-unwritable", "journal-gap")

        async def empty(_: TrialCity) -> None:
            disk.__exit__(None, None, None)

        found = await two_callers(
            scene,
            "disk full on the journal's file system",
            fill,
            BEFORE,
            silent_is_rescued=False,
            recover=empty,
            may_be_incomplete=True,
            note="alarm journal-unwritable; records from the second witness",
        )
        assert any(record.incomplete for record in found)
        told = told_of(mounted / "journal.jsonl")
        for record in found:
            if not record.incomplete:
                assert {*told[record.call_id], "ANSWER"} >= LEFT_IN_THE_GREETING


async def test_database_disk_full(tmp_path: Path) -> None:
    mounted = tmp_path / "database"
    url = f"sqlite:///{mounted / 'records.sqlite3'}"
    environment = {"GERBANG_DATABASE_URL": url}
    async with city_on_small_disk(
        tmp_path / "state", mounted, environment, "2m"
    ) as scene:
        await scene.without_fault(PRESS_AFTER_FAULT_SECONDS)
        disk = faults.full(mounted)

        async def fill(_: TrialCity) -> None:
            disk.__enter__()

        async def empty(city: TrialCity) -> None:
            await alarm(city, "database-unreachable", deadline_seconds=20)
            disk.__exit__(None, None, None)

        await two_callers(
            scene,
            "disk full on the database's file system",
            fill,
            BEFORE,
            silent_is_rescued=False,
            recover=empty,
            note="alarm database-unreachable; the journal waited",
        )


async def recorded_by_command(city: TrialCity, numbers: list[str]) -> list[Json]:
    """What `gerbang calls --json` knows of these callers."""
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pbx", "calls", "--json", "--numbers"),
        env=os.environ | city.environment | {"GERBANG_STATE": str(city.settings.state)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asked.communicate()
    told = [json.loads(line) for line in out.splitlines()]
    return [record for record in told if record["ani"] in numbers]


async def test_database_gone(postgres_server: Postgres, postgres_url: str) -> None:
    """PostgreSQL as the store, stopped before the calls, started after them."""
    async with own_city(environment={"GERBANG_DATABASE_URL": postgres_url}) as city:
        scene = await scene_of(city)
        expected = await scene.without_fault(1.0 + PRESS_AFTER_FAULT_SECONDS)
        await asyncio.to_thread(postgres_server.stop)
        presser = await city.place_call(pressing(1.0 + PRESS_AFTER_FAULT_SECONDS))
        later = since(presser.invited_at(), await rings(presser)) - expected
        await talks(presser)
        await presser.hang_up()
        await alarm(city, "database-unreachable", deadline_seconds=30)
        await asyncio.to_thread(postgres_server.start)
        number = presser.placed.script.number
        async with asyncio.timeout(40):
            while not (found := await recorded_by_command(city, [number])):
                await asyncio.sleep(0.2)
        add(
            Row(
                "database gone (PostgreSQL stopped)",
                later,
                None,
                LATER_SECONDS,
                1,
                len(found),
                sum(record["incomplete"] for record in found),
                "alarm database-unreachable; the journal waited",
            )
        )
        assert later <= LATER_SECONDS
        assert [r["disposition"] for r in found] == ["connected"]


# ---- afterwards ----------------------------------------------------------------------


async def test_invites_are_records(running: Scene) -> None:
    """Runs last: over all the faults above, INVITEs on the trunk = records."""
    invited = {
        channel
        for line in running.city.journal_lines()
        if b'"CHAN_START"' in line and b'"from-trunk"' in line
        for channel in [line.split(b'"uniqueid":"')[1].split(b'"')[0].decode()]
    }
    await until(lambda: {r.call_id for r in records(running.city)} == invited)
    assert len(records(running.city)) == len(invited) > 20
