"""All of the dialogue (`make campaign`): thousands of whole calls made from the corpus.

The corpus of recorded callers lies beside this checkout or in $GERBANG_CORPUS; it is no
part of the project. The fast part, on clips made in the test, is
`tests/unit/laboratory/test_dialogue_calls.py`. The report goes to
docs/ghostfilter-dialogue.md with `--dialogue-report`.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pbx.laboratory.dialogue.figures import figures
from pbx.laboratory.dialogue.house import usual_house
from pbx.laboratory.dialogue.line import missing_codecs
from pbx.laboratory.dialogue.report import Run, as_markdown
from pbx.laboratory.dialogue.run import Result, play_all
from pbx.laboratory.dialogue.takes import read_stock
from pbx.settings import PROJECT, Settings

CALLS = int(os.environ.get("GERBANG_CAMPAIGN_CALLS", "20000"))
"""15,000 of them people."""
SEED = int(os.environ.get("GERBANG_CAMPAIGN_SEED", "112"))
FOLDER = Path(os.environ.get("GERBANG_CORPUS", PROJECT.parent / "shared" / "corpus"))
POCKETS_KEPT, STRESS_KEPT = 0.95, 0.70
MEDIAN_SECONDS, P95_SECONDS = 0.5, 1.0


@pytest.mark.campaign
@pytest.mark.timeout(0)
def test_nobody_is_lost_in_whole_calls(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    if not (FOLDER / "manifest.csv").is_file():
        pytest.skip(f"{FOLDER} holds no manifest.csv; name it in GERBANG_CORPUS")
    house = usual_house(Settings(cache=tmp_path))
    results: list[Result] = []
    seconds = 0.0
    for part in play_all(house, FOLDER, SEED, CALLS, jobs=os.cpu_count() or 1):
        results += part.results
        seconds += part.cpu_seconds
        if len(results) % 1000 == 0:
            print(f"{len(results)} of {CALLS} calls", flush=True)
    found = figures(results)
    run = Run(
        seed=SEED,
        left_out=read_stock(FOLDER).left_out,
        missing_codecs=missing_codecs(),
        cpu_seconds=seconds,
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )
    text = as_markdown(run, found)
    print(text)
    if name := pytestconfig.getoption("--dialogue-report"):
        path = Path(name)
        head = path.read_text().partition("<!-- report -->")[0]
        path.write_text(f"{head}<!-- report -->\n\n{text}\n")
    assert not found.lost, [(r.index, r.behaviour, r.kind) for r in found.lost[:20]]
    assert found.distant_without_second == 0
    assert found.people.released_upper95 <= 0.001
    assert found.pocket.kept >= POCKETS_KEPT
    assert found.stress.kept >= STRESS_KEPT
    assert found.pocket.own_kept >= POCKETS_KEPT
    assert found.stress.own_kept >= STRESS_KEPT
    assert found.distant.own_released == 0
    assert found.distant.passed >= found.distant.n / 2  # the others wait, as doubt
    for delay in (found.words, found.over_echo):
        assert delay.median is not None
        assert delay.p95 is not None
        assert delay.median <= MEDIAN_SECONDS
        assert delay.p95 <= P95_SECONDS
