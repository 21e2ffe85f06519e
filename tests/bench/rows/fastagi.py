"""FastAGI sessions per second: our server beside panoramisk's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.children import child, python
from tests.bench.fastagi.session import COMMANDS
from tests.bench.figures import median_of, ratio
from tests.bench.machine import CpuMeter
from tests.bench.row import Bench, BenchError, Result, Row

OURS, THEIRS = "gerbang", "panoramisk"
ROUNDS = 5
SECONDS = 4.0
AT_ONCE = 50


@dataclass(slots=True)
class _Samples:
    """One server's rounds."""

    per_second: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    sessions: int = 0
    broken: int = 0


async def measure(bench: Bench) -> Result:
    """Both servers in turn, each round in a fresh process."""
    rounds, seconds = (2, 0.5) if bench.quick else (ROUNDS, SECONDS)
    found = {OURS: _Samples(), THEIRS: _Samples()}
    turns = [name for _ in range(rounds) for name in found]
    for done, name in enumerate(turns):
        bench.tell(f"{name}, round {done // 2 + 1}", done / len(turns))
        await _round(name, seconds, bench.scratch / f"{name}.log", found[name])
    ours, theirs = found[OURS], found[THEIRS]
    return Result(
        (
            median_of(f"{OURS}, sessions", ours.per_second, "/s"),
            median_of(f"{THEIRS}, sessions", theirs.per_second, "/s"),
            ratio(f"sessions, {OURS} : {THEIRS}", ours.per_second, theirs.per_second),
            median_of(f"{OURS}, CPU of the server per session", ours.cpu_us, "µs"),
            median_of(f"{THEIRS}, CPU of the server per session", theirs.cpu_us, "µs"),
            ratio(f"CPU, {OURS} : {THEIRS}", ours.cpu_us, theirs.cpu_us),
        ),
        tuple(
            f"{name}: {samples.sessions:,} sessions, {samples.broken} broken"
            for name, samples in found.items()
        ),
    )


async def _round(name: str, seconds: float, log: Path, samples: _Samples) -> None:
    argv = python("tests.bench.fastagi.server", name)
    async with child(argv, log, answers=True) as server:
        port = (await server.answer(deadline_seconds=20))["port"]
        await _load(port, min(0.5, seconds), log)  # imports, caches: not what is asked
        meter = CpuMeter({name: [server.pid]})
        counted = await _load(port, seconds, log)
        used = meter.seconds()[name]
        if not counted["complete"]:
            raise BenchError(
                f"{name} completed no session ({counted['broken']:.0f} broken)"
                + server.complaint()
            )
    samples.per_second.append(counted["complete"] / counted["seconds"])
    samples.cpu_us.append(used / counted["complete"] * 1e6)
    samples.sessions += int(counted["complete"])
    samples.broken += int(counted["broken"])


async def _load(port: int, seconds: float, log: Path) -> dict[str, float]:
    arguments = (str(port), str(seconds), str(AT_ONCE))
    argv = python("tests.bench.fastagi.load", *arguments)
    async with child(argv, log, answers=True) as load:
        return await load.answer(deadline_seconds=seconds + 20)


ROW = Row(
    "fastagi",
    "FastAGI sessions per second",
    f"""A load generator plays Asterisk's side of FastAGI: it keeps {AT_ONCE} sessions
    open at once, sends the opening lines as Asterisk 22 does, answers each of
    {len(COMMANDS)} commands with `200 result=0` and counts a session when the server
    closes after the last. The same generator loads our server and panoramisk 1.4's
    `fast_agi.Application` in turn, {ROUNDS} rounds of {SECONDS:g} s each, every round
    in a fresh process on uvloop; generator and server share the machine's cores. CPU
    is that of the server process alone.""",
    measure,
)
