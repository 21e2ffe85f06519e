"""How fast journal lines become calls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress

from pbx.model.channels import group
from pbx.model.events import read_event
from pbx.model.fold import fold
from tests.bench.figures import median_of, ratio
from tests.bench.months import lines_of, synthesize
from tests.bench.row import Bench, Result, Row

LINES = 60_000
ROUNDS = 5


async def measure(bench: Bench) -> Result:
    """Whole calls of a synthesized month, again and again."""
    bench.tell("a month of journal", 0.0)
    lines = lines_of(await synthesize(bench.scratch), 5_000 if bench.quick else LINES)
    work: dict[str, Callable[[list[bytes]], int]] = {
        "ours": _fold_all,
        "json": _parse_all,
    }
    rates: dict[str, list[float]] = {name: [] for name in work}
    calls = 0
    for turn in range(ROUNDS):
        for name, do in work.items():
            bench.tell(f"{name}, round {turn + 1}", turn / ROUNDS)
            begin = time.process_time()
            done = do(lines)
            rates[name].append(len(lines) / (time.process_time() - begin))
            calls = done if name == "ours" else calls
    return Result(
        (
            median_of("events into calls", rates["ours"], "lines/s"),
            median_of("json.loads alone", rates["json"], "lines/s"),
            ratio("fold : json.loads, lines a second", rates["ours"], rates["json"]),
        ),
        (f"{len(lines):,} lines of {calls:,} calls; one process, CPU time",),
    )


def _fold_all(lines: list[bytes]) -> int:
    groups = group(map(read_event, lines))
    for events in groups:
        fold(events)
    return len(groups)


def _parse_all(lines: list[bytes]) -> int:
    for line in lines:
        with suppress(ValueError):  # Asterisk escapes the double quote and nothing else
            json.loads(line)
    return len(lines)


ROW = Row(
    "fold",
    "Journal lines into calls",
    f"""The first {LINES:,} lines of a synthesized month in Kediri's mix (shapes of
    calls recorded on a real Asterisk) are read, grouped into calls and folded, in one
    process without a database. The rival only parses the same lines with json.loads and
    keeps nothing: what any reader of the journal must pay. {ROUNDS} rounds in turn, CPU
    time.""",
    measure,
)
