"""Sixty calls at once in Kediri's mix (`make campaign`): live verdicts = offline ones.

Clips of the corpus beside this checkout (or in $GERBANG_CORPUS) as A-law RTP over a
rough network to a real Asterisk; round after round with other clips. The report goes to
docs/ghostfilter-live.md with `--live-report`.
"""

from __future__ import annotations

import csv
import os
import random
import statistics
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pbx.settings import PROJECT
from pbx.simulator.trial import TrialCity
from pbx.simulator.voices import read_voice
from tests.bench.sound import alaw
from tests.calls.crowd import Clip, Compared, Crowd, by_the_ear, is_same, kediris_mix
from tests.calls.rough_rtp import Network

AT_ONCE = 60
ROUNDS = int(os.environ.get("GERBANG_CAMPAIGN_CROWDS", "10"))
SEED = int(os.environ.get("GERBANG_CAMPAIGN_SEED", "112"))
TOGETHER_SECONDS = 3.0
EQUAL_SHARE = 0.99
NETWORK = Network(loss=0.02, jitter_seconds=0.04, overtaken=0.005)


def corpus() -> list[Clip]:
    """Ghosts and people. Fails with the cure where there is no corpus."""
    beside = PROJECT.parent / "shared" / "corpus"
    folder = Path(os.environ.get("GERBANG_CORPUS", beside))
    if not (folder / "manifest.csv").is_file():
        pytest.fail(
            f"{folder} holds no manifest.csv; name the corpus in GERBANG_CORPUS",
            pytrace=False,
        )
    with (folder / "manifest.csv").open(newline="") as file:
        return [
            Clip(
                row["path"],
                row["label"] == "speech",
                alaw(read_voice(folder / row["path"])),
            )
            for row in csv.DictReader(file)
            if row["label"] in ("speech", "ghost")
        ]


def report(done: Sequence[Compared], at_once: int) -> str:
    """In Markdown."""
    equal = sum(one.is_equal for one in done)
    packets = sum(is_same(one.live, one.offline) for one in done)
    rulings = sum(one.live.verdict == one.offline.verdict for one in done)
    unharmed = sum(is_same(one.live, one.unharmed) for one in done)
    verdicts = Counter(
        f"{'person' if one.clip.is_person else 'ghost'}: "
        f"{one.live.verdict}/{one.live.reason}"
        for one in done
    )
    apart = sorted(
        abs(one.live.at_ms - one.offline.at_ms) for one in done if one.is_equal
    )
    latest = max(one.late_ms for one in done)
    people = [one for one in done if one.clip.is_person]
    lines = [
        f"{ROUNDS} rounds of {AT_ONCE} callers, seed {SEED}, "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {NETWORK.loss:.0%} of the packets "
        f"lost, up to {NETWORK.jitter_seconds * 1000:.0f} ms of jitter, "
        f"{NETWORK.overtaken:.1%} overtaken; at most {at_once} calls at once.\n",
        "- Verdict (ruling and reason) as that of the same frames offline: "
        f"**{equal} of {len(done)} ({equal / len(done):.2%})**.",
        "- As that of the clip in virtual time, the same packets lost, but every other "
        f"frame on its tick: {packets} of {len(done)} ({packets / len(done):.2%}); the "
        f"ruling alone: {rulings} ({rulings / len(done):.2%}).",
        f"- The same, nothing lost: {unharmed} of {len(done)} "
        f"({unharmed / len(done):.2%}).",
        f"- People released: {sum(o.live.verdict == 'release' for o in people)} of "
        f"{len(people)}.",
        f"- Time of the verdict, live and offline apart: median "
        f"{statistics.median(apart)} ms, 95th percentile "
        f"{apart[int(0.95 * (len(apart) - 1))]} ms.",
        f"- Our own packets left late by at most {latest:.0f} ms.",
        "\n| caller: verdict | calls |\n|---|---:|",
        *(f"| {name} | {count} |" for name, count in sorted(verdicts.items())),
    ]
    different = [one.told() for one in done if not one.is_equal]
    if different:
        lines += ["\nWhere they differed:\n", *(f"- {told}" for told in different)]
    return "\n".join(lines) + "\n"


@pytest.mark.campaign
@pytest.mark.asterisk
@pytest.mark.timeout(0)
async def test_sixty_at_once_are_judged_as_offline(pytestconfig: pytest.Config) -> None:
    clips = corpus()
    dice = random.Random(SEED)
    done: list[Compared] = []
    async with TrialCity(change=by_the_ear) as city, Crowd(city) as crowd:
        for number in range(1, ROUNDS + 1):
            callers = kediris_mix(clips, AT_ONCE, dice)
            done += await crowd.call(
                callers, NETWORK, seed=SEED + number, within=TOGETHER_SECONDS
            )
            await city.wait_idle(deadline_seconds=30)
            equal = sum(one.is_equal for one in done)
            print(f"round {number}: {equal} of {len(done)} equal", flush=True)
        at_once = crowd.most_at_once
    text = report(done, at_once)
    print(text)
    if name := pytestconfig.getoption("--live-report"):
        path = Path(name)
        head = path.read_text().partition("<!-- report -->")[0]
        path.write_text(f"{head}<!-- report -->\n\n{text}")
    assert at_once >= AT_ONCE
    assert sum(one.is_equal for one in done) >= EQUAL_SHARE * len(done), text
