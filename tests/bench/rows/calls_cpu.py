"""CPU per call-second: 100 filtered calls beside 100 calls that only hear a prompt."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import wave
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pbx.asterisk import run
from pbx.asterisk.releases import Releases
from pbx.model.city import Flow
from pbx.simulator.trial import TrialCity
from tests.bench.crowd import Crowd, crowd, failures
from tests.bench.figures import Figure, median_of, ratio, shown
from tests.bench.journal import stretch, without_filter
from tests.bench.machine import CpuMeter
from tests.bench.row import Bench, BenchError, Result, Row

AT_ONCE = 100
ROUNDS = 2
WINDOW_SECONDS = 25.0
_LEAVE_EARLY_SECONDS = 1.0
"""Callers hang up so long before the filter would decide."""
_UP_SHARE = 0.9
"""With fewer calls up than this share of those asked for, figures mean nothing."""
_SATURATED_SHARE = 0.85

BARE_DIALPLAN = """\
[from-trunk]
exten => _[!-~]!,1,Answer()
 same => n(again),Playback({greeting})
 same => n,Goto(again)
"""


@dataclass(slots=True)
class _Samples:
    """Milliseconds of CPU per call-second, a sample a round, by process."""

    cpu_ms: dict[str, list[float]] = field(default_factory=dict)
    calls_up: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    """How busy all cores were, 0…1, whoever used them."""
    own: list[float] = field(default_factory=list)
    """The part of that which city and callers used."""
    packets: list[float] = field(default_factory=list)
    started: int = 0
    failed: int = 0
    facts: Counter[str] = field(default_factory=Counter)

    @property
    def asterisk(self) -> list[float]:
        """Of Asterisk alone."""
        return self.cpu_ms["asterisk"]

    @property
    def call_path(self) -> list[float]:
        """Of Asterisk and the intake: what a live call costs."""
        intake = self.cpu_ms.get("intake", [0.0] * len(self.asterisk))
        return [a + b for a, b in zip(self.asterisk, intake, strict=True)]


async def measure(bench: Bench) -> Result:
    """Filtered and bare in turn, each round on a freshly started city."""
    filtered, bare = _Samples(), _Samples()
    rounds = 1 if bench.quick else ROUNDS
    for count in range(rounds):
        for kind, samples, place in (
            ("filtered", filtered, _filtered),
            ("bare", bare, _bare),
        ):
            half = count * 2 + (kind == "bare")
            bench.tell(f"{kind}, round {count + 1}: starting", half / rounds / 2)
            async with place() as city:
                await _round(bench, city, samples, kind, half / rounds / 2)
    return Result(tuple(_figures(filtered, bare)), tuple(_told(filtered, bare)))


def _figures(filtered: _Samples, bare: _Samples) -> list[Figure]:
    unit = "ms"
    others = [
        median_of(f"filtered, {name}", samples, unit)
        for name, samples in filtered.cpu_ms.items()
        if name not in ("asterisk", "SIPp")
    ]
    return [
        median_of("filtered, asterisk", filtered.asterisk, unit),
        *others,
        median_of("bare, asterisk", bare.asterisk, unit),
        ratio("asterisk, filtered : bare", filtered.asterisk, bare.asterisk),
        ratio("asterisk + intake, filtered : bare", filtered.call_path, bare.call_path),
    ]


def _told(filtered: _Samples, bare: _Samples) -> list[str]:
    lines = [
        f"{kind}: {shown(statistics.mean(s.calls_up))} calls up on average, "
        f"{s.started} begun in the windows, {s.failed} failed; "
        f"{shown(statistics.mean(s.packets))} RTP packets a second received from each "
        f"caller; all cores {statistics.mean(s.busy):.0%} busy, with city and callers "
        f"{statistics.mean(s.own):.0%}; SIPp used "
        f"{shown(statistics.mean(s.cpu_ms['SIPp']))} ms per call-second"
        for kind, s in (("filtered", filtered), ("bare", bare))
    ]
    busiest = max(filtered.busy + bare.busy)
    if busiest > _SATURATED_SHARE:
        lines.append(
            f"**the machine was saturated** ({busiest:.0%} busy): not a quiet run"
        )
    if warning := without_filter(filtered.facts):
        lines.append(warning)
    facts = ", ".join(f"{count} {name}" for name, count in filtered.facts.items())
    return [*lines, f"facts told by filtered calls in the windows: {facts or 'none'}"]


@asynccontextmanager
async def _filtered() -> AsyncIterator[TrialCity]:
    """The whole city as it is declared: `gerbang run`."""
    async with TrialCity() as city:
        yield city


@asynccontextmanager
async def _bare() -> AsyncIterator[TrialCity]:
    """The same Asterisk with the same configuration, but for its dialplan."""
    async with TrialCity(python=False) as city:
        home = city.settings.asterisk_home
        releases = Releases(home)
        current = releases.current()
        assert current
        greeting = f"/gerbang-sounds/{city.city.city.language}/{_flow(city).greeting}"
        dialplan = BARE_DIALPLAN.format(greeting=greeting)
        releases.use(releases.add(current.files() | {"extensions.conf": dialplan}))
        run.hand_over(home / "releases", run.service_user())
        # The city's own dialplan does without Playback, so it is not loaded.
        answer = await city.console("module load app_playback.so")
        if "Loaded" not in answer:
            raise BenchError(f"the bare dialplan needs Playback: {answer}")
        await city.console("dialplan reload")
        yield city


async def _round(
    bench: Bench, city: TrialCity, samples: _Samples, kind: str, done: float
) -> None:
    at_once, seconds = (20, 5.0) if bench.quick else (AT_ONCE, WINDOW_SECONDS)
    hold = _filter_seconds(city) - _LEAVE_EARLY_SECONDS
    scratch = bench.scratch / f"{kind}-{len(samples.busy) + 1}"
    scratch.mkdir(exist_ok=True)
    wanted = Crowd(
        at_once=at_once,
        per_second=1.05 * at_once / hold,
        hold_seconds=hold,
        address=city.place.carrier,
        city=(city.place.city, city.city.network.sip_port),
    )
    async with crowd(wanted, scratch) as sipp:
        bench.tell(f"{kind}: {at_once} callers come, one by one", done)
        await asyncio.sleep(hold * 1.1)
        if not sipp.is_running:
            raise BenchError(f"SIPp ended{sipp.complaint()}")
        bench.tell(f"{kind}: measuring for {seconds:g} s", done)
        begin, meter = datetime.now(UTC), _meter(city, sipp.pid)
        await asyncio.sleep(seconds)
        used, busy, end = meter.seconds(), meter.busy_share(), datetime.now(UTC)
        samples.packets.append(await _packets_per_second(city))
        failed = failures(scratch)
    found = stretch(city.journal_lines(), begin, end, trunk=city.city.trunks[0].name)
    if found.call_seconds < at_once * seconds * _UP_SHARE:
        raise BenchError(
            f"{kind}: only {found.call_seconds / seconds:.0f} of {at_once} calls were "
            f"up; SIPp counts {failed} failed. `--keep DIR` keeps its error log"
        )
    samples.failed += failed
    for name, cpu in used.items():
        samples.cpu_ms.setdefault(name, []).append(cpu / found.call_seconds * 1000)
    samples.calls_up.append(found.call_seconds / (end - begin).total_seconds())
    samples.busy.append(busy)
    cores = os.cpu_count() or 1
    samples.own.append(sum(used.values()) / (end - begin).total_seconds() / cores)
    samples.started += found.started
    samples.facts += found.facts


def _meter(city: TrialCity, sipp: int) -> CpuMeter:
    """Asterisk, the intake's workers as one, each other process of ours, and SIPp."""
    groups: dict[str, list[int]] = {}
    if city.python:
        for name, pid in city.processes().items():
            group = "intake" if name.startswith("intake") else name
            groups.setdefault(group, []).append(pid)
    asterisk = run.running_pid(city.settings.asterisk_home)
    if asterisk is None:
        raise BenchError("Asterisk is not running")
    return CpuMeter(groups | {"asterisk": [asterisk], "SIPp": [sipp]})


def _filter_seconds(city: TrialCity) -> float:
    """How long a silent caller is in the filter: both prompts and both waits."""
    flow = _flow(city)
    prompts = city.settings.sounds / city.city.city.language
    seconds = flow.wait_seconds + flow.second_wait_seconds
    for name in (flow.greeting, flow.second_prompt):
        with wave.open(str(prompts / f"{name}.wav")) as prompt:
            seconds += prompt.getnframes() / prompt.getframerate()
    return seconds


async def _packets_per_second(city: TrialCity) -> float:
    """RTP packets Asterisk received from each caller, by its own count (median)."""
    table = await city.console("pjsip show channelstats")
    rates = []
    for line in table.splitlines():
        found = re.search(r"(\d\d):(\d\d):(\d\d) \w+ +(\d+)", line)
        if found:
            hours, minutes, seconds, count = map(int, found.groups())
            if (uptime := hours * 3600 + minutes * 60 + seconds) >= 5:
                rates.append(count / uptime)
    if not rates:
        raise BenchError(f"no caller's RTP arrives:\n{table}")
    return statistics.median(rates)


def _flow(city: TrialCity) -> Flow:
    return city.city.flows[city.city.numbers[0].flow]


ROW = Row(
    "calls_cpu",
    "CPU per call-second, with and without the filter",
    f"""SIPp keeps {AT_ONCE} calls up from the trunk's address, each sending 50 RTP
    packets a second (A-law, an open line at -65 dBFS) and hanging up
    {_LEAVE_EARLY_SECONDS:g} s before the filter would decide; who leaves is replaced at
    once. So callers are at all steps of the filter at all times: greeting, wait, second
    prompt, wait. *Filtered* is the city as declared, under `gerbang run`; *bare* is the
    same Asterisk with the same configuration and journal, but a dialplan of Answer and
    the same greeting played again and again. Each kind in turn, {ROUNDS} rounds, a
    freshly started city each. Once {AT_ONCE} calls are up, CPU of each process (user
    and system, as the kernel books it) over {WINDOW_SECONDS:g} s, divided by
    call-seconds: the time trunk channels existed in that window, by the journal's
    CHAN_START and CHAN_END. Set-up and end of calls are included in both.""",
    measure,
)
