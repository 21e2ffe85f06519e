"""Judging clips, counting, freezing thresholds: small numbers one can check by hand."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil
import pytest

from ghostfilter.detector import Detector
from ghostfilter.verdict import Verdict
from pbx.laboratory import figures, frozen, learned
from pbx.laboratory.corpus import Label, Row, read_corpus
from pbx.laboratory.measure import Ears, Judged, Unreadable, measure
from pbx.laboratory.page import worst
from pbx.laboratory.report import as_json
from pbx.model.verdict import Reason, Ruling
from tests.fakes import processes
from tests.unit.laboratory import clips_made_here as made


def judged(
    label: Label = Label.SPEECH,
    ruling: Ruling = Ruling.PASS,
    *,
    kind: str = "utterance",
    person: float = 1.0,
    passed_at: float | None = 1.5,
    start: float | None = 1.0,
    snr: float | None = None,
    reason: Reason = Reason.VOICE,
) -> Judged:
    return Judged(
        row=Row(2, "a.wav", label, kind, "g", snr, "pcma", start),
        verdict=Verdict(ruling, reason, "because"),
        person=person,
        voices=person,
        heard=(),
        passed_at=passed_at,
        seconds=5.0,
        cpu_seconds=0.005,
        onset=start,
    )


def test_a_clip_is_also_judged_without_a_second_prompt() -> None:
    """The rule holds whatever is heard; a verdict that broke it would be counted."""
    kept = judged(Label.DISTANT, Ruling.RELEASE, person=0.1)
    broken = replace(kept, is_released_unasked=True)
    found = figures.figures([kept, broken])
    assert (found.distant.released, found.distant_unasked) == (2, 1)
    told = as_json(found)
    assert told["distant_released"] == 1
    assert told["distant_released_after_second_prompt"] == 2


def test_every_clip_is_judged_as_a_call(tmp_path: Path) -> None:
    corpus = read_corpus(made.corpus(tmp_path))
    outcomes = {one.row.path: one for one in measure(corpus, jobs=1)}
    assert len(outcomes) == 6
    for outcome in outcomes.values():
        assert isinstance(outcome, Judged)
        assert outcome.seconds == 3.0
        assert 0 < outcome.cpu_seconds < 3.0
    spoken, silent = outcomes["a/voice.wav"], outcomes["a/silence.wav"]
    assert isinstance(spoken, Judged)
    assert isinstance(silent, Judged)
    assert spoken.verdict.ruling is Ruling.PASS
    assert spoken.passed_at is not None
    assert 1.0 < spoken.passed_at < 2.5
    assert silent.verdict.ruling is Ruling.RELEASE
    assert silent.passed_at is None
    echo = outcomes["a/echo.wav"]
    assert isinstance(echo, Judged)
    assert echo.has_prompt


def deaf(row: Row) -> Ears:
    return Ears(Detector(), is_fresh=row.label is not Label.SPEECH)


def test_several_processes_come_to_the_same(tmp_path: Path) -> None:
    made.corpus(tmp_path)
    rows = [(f"{n}.wav", "ghost", "music", "g", "", "", "", "") for n in range(40)]
    for path, *_ in rows:
        (tmp_path / path).hardlink_to(tmp_path / "a/quiet.wav")
    gone = ("gone.wav", "speech", "x", "g", "", "", "", "")
    made.write_manifest(tmp_path, [*rows, gone])
    corpus = read_corpus(tmp_path)
    outcomes = list(measure(corpus, deaf, jobs=2))
    assert {one.row.path for one in outcomes} == {row.path for row in corpus.rows}
    alone = {one.row.path: one for one in measure(corpus, deaf, jobs=1)}
    for one in outcomes:
        other = alone[one.row.path]
        if isinstance(one, Unreadable):
            assert one == other
            continue
        assert isinstance(other, Judged)
        assert (one.verdict, one.person, one.heard) == (
            other.verdict,
            other.person,
            other.heard,
        )
    found = figures.figures(outcomes)
    assert [one.row.path for one in found.unreadable] == ["gone.wav"]
    assert found.unheard == 40


def test_who_leaves_early_leaves_no_process(tmp_path: Path) -> None:
    made.corpus(tmp_path)
    rows = [(f"{n}.wav", "ghost", "music", "g", "", "", "", "") for n in range(60)]
    for path, *_ in rows:
        (tmp_path / path).hardlink_to(tmp_path / "a/quiet.wav")
    made.write_manifest(tmp_path, rows)
    work = measure(read_corpus(tmp_path), jobs=2)
    next(iter(work))
    workers = [
        child
        for child in processes.children(recursive=True)
        if "spawn_main" in (processes.command_line(child) or "")
    ]
    assert workers
    work.close()  # type: ignore[attr-defined]  # a generator
    psutil.wait_procs(workers, timeout=10)
    assert not [worker for worker in workers if worker.is_running()]


def test_figures_count_what_is_owed() -> None:
    found = figures.figures(
        [
            judged(),
            judged(ruling=Ruling.RELEASE, person=0.1, passed_at=None),
            judged(Label.GHOST, Ruling.RELEASE, kind="rustle", person=0.2),
            judged(Label.GHOST, Ruling.LOW_PRIORITY, kind="dog_bark", person=0.4),
            judged(Label.GHOST, Ruling.PASS, kind="rustle", person=0.9),
            judged(Label.DISTANT, Ruling.PASS),
            judged(Label.AMBIGUOUS, Ruling.RELEASE),
            Unreadable(judged().row, "a.wav: gone"),
        ]
    )
    assert (found.speech.n, found.speech.released) == (2, 1)
    assert found.ghosts.release_rate == pytest.approx(1 / 3)
    assert found.ghosts.low_priority == 1
    assert found.pockets.n == 2
    assert found.pockets.release_rate == 0.5
    assert found.distant.released == 0
    assert found.ambiguous.released == 1
    assert found.auc == pytest.approx(3 / 6)
    assert found.cpu_ms_per_second == pytest.approx(1.0)
    assert found.judged == 7
    assert found.tables["class"]["ghost rustle"].released == 1
    assert found.reasons["ghost"] == {"voice": 3}


def test_each_class_has_its_own_times_and_cost() -> None:
    whispers = [judged(kind="whisper", passed_at=at) for at in (1.5, 2.5, None)]
    dear = replace(judged(Label.GHOST, kind="dog_bark", start=None), cpu_seconds=0.01)
    found = figures.figures([*whispers, dear, judged(passed_at=0.5)])
    whisper = found.tables["class"]["speech whisper"]
    assert whisper.verdict_seconds == 2.5, "the third was judged at its end, 5 s"
    assert whisper.pass_seconds == pytest.approx(1.0), "of those who passed"
    assert whisper.cpu_ms_per_second == pytest.approx(1.0)
    dog = found.tables["class"]["ghost dog_bark"]
    assert (dog.verdict_seconds, dog.pass_seconds) == (1.5, None)
    assert dog.cpu_ms_per_second == pytest.approx(2.0)
    early = found.tables["class"]["speech utterance"]
    assert (early.verdict_seconds, early.pass_seconds) == (0.5, None)
    assert figures.tally([]).verdict_seconds is None


def test_nothing_judged_divides_by_nothing() -> None:
    found = figures.figures([])
    assert found.auc is None
    assert found.cpu_ms_per_second == 0
    assert found.speech.released_upper95 == 1.0
    assert found.delays["all"].median is None
    assert found.speech.pass_rate == found.speech.release_rate == 0


def test_the_bound_is_the_one_that_is_promised() -> None:
    assert figures.upper95(0, 3000) == pytest.approx(1 - 0.05 ** (1 / 3000), rel=1e-9)
    assert figures.upper95(0, 3000) < 0.001


def test_waiting_is_counted_from_the_first_word() -> None:
    waits = [1.2, 1.4, 1.6, 0.8, None]
    found = figures.delays([judged(passed_at=at) for at in waits])
    assert found.median == pytest.approx(0.4)
    assert found.p95 == pytest.approx(0.58)
    assert (found.n, found.early, found.never) == (5, 1, 1)
    assert figures.delays([judged(start=None)]).n == 0


def test_auc_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(5)
    people, ghosts = rng.integers(0, 6, 40).tolist(), rng.integers(0, 5, 30).tolist()
    pairs = [(p > g) + (p == g) / 2 for p, g in product(people, ghosts)]
    assert figures.auc(people, ghosts) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize(
    ("snr", "band"),
    [
        (None, "nothing mixed in"),
        (15.0, "10 dB or more"),
        (5.0, "0 to 10 dB"),
        (-5.0, "below 0 dB"),
    ],
)
def test_noise_has_a_name(snr: float | None, band: str) -> None:
    assert figures.snr_band(snr) == band


def test_the_worst_come_first() -> None:
    some = [
        judged(ruling=Ruling.RELEASE, person=0.4),
        judged(ruling=Ruling.RELEASE, person=0.1),
        judged(Label.DISTANT, Ruling.RELEASE),
        judged(reason=Reason.DOUBT, person=0.7),
        judged(Label.GHOST, person=0.6),
        judged(Label.GHOST, person=0.95),
    ]
    found = [[one.person for one in cases] for cases in worst(some).values()]
    assert found == [[0.1, 0.4], [1.0], [0.7], [0.95, 0.6]]


def rows(people: int, ghosts: int) -> list[Row]:
    return [
        Row(n, f"{n}.wav", label, "x", f"group {n // 2}")
        for n, label in enumerate([Label.SPEECH] * people + [Label.GHOST] * ghosts)
    ]


def test_a_threshold_drops_no_more_than_is_allowed() -> None:
    people = np.arange(400.0)
    assert frozen.threshold(people, 0.0) == 0.0
    assert frozen.threshold(people, 0.005) == 2.0
    assert frozen.threshold(people[:0], 0.0) == -np.inf


def test_recordings_are_never_halved() -> None:
    every = rows(30, 30)
    for first in frozen.halves(every):
        assert 25 < first.sum() < 35
        pairs = first.reshape(-1, 2)
        assert (pairs[:, 0] == pairs[:, 1]).all()


def test_a_perfect_detector_freezes_well_and_a_useless_one_does_not() -> None:
    every = rows(100, 100)
    perfect = frozen.trial(every, frozen.fixed([10.0] * 100 + [0.0] * 100))
    assert (perfect.auc, perfect.nobody.dropped, perfect.nobody.caught_rate) == (
        1,
        0,
        1,
    )
    dice = np.random.default_rng(3)
    useless = frozen.trial(every, frozen.fixed(dice.uniform(0, 1, 200).tolist()))
    assert 0 < useless.nobody.dropped <= useless.nobody.dropped_worst
    assert useless.nobody.caught_rate < 0.15
    assert useless.one_in_200.dropped >= useless.nobody.dropped


def test_nobody_to_compare_gives_no_figure() -> None:
    found = frozen.trial(rows(0, 4), frozen.fixed([1.0] * 4))
    assert found.auc is None
    assert found.nobody.caught_rate == 0.0


def test_two_that_err_differently_are_better_together() -> None:
    every = rows(100, 100)
    dice = np.random.default_rng(8)
    truth = np.array([1.0] * 100 + [0.0] * 100)
    one, other = (frozen.fixed(truth + dice.normal(0, 0.7, 200)) for _ in range(2))
    both = frozen.trial(every, frozen.mean_rank(one, other)).auc
    assert both is not None
    assert both > (frozen.trial(every, one).auc or 0)
    assert both > (frozen.trial(every, other).auc or 0)


class Memory:
    """Stands for scikit-learn's extra trees: knows by heart what it was taught."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def fit(self, table: learned.Features, people: frozen.Mask) -> None:
        self.known = dict(zip(table[:, 0].tolist(), people.tolist(), strict=True))

    def predict_proba(self, asked: learned.Features) -> learned.Features:
        found = np.array([self.known.get(one, 0.5) for one in asked[:, 0].tolist()])
        return np.stack([1 - found, found], axis=1)


def test_what_learns_is_never_asked_what_it_was_taught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensemble = ModuleType("sklearn.ensemble")
    ensemble.ExtraTreesClassifier = Memory  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sklearn", ModuleType("sklearn"))
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", ensemble)
    every = [*rows(20, 20), Row(40, "d.wav", Label.DISTANT, "x", "d")]
    table = np.arange(41.0)[:, None]
    score = learned.extra_trees(every, table)
    half = np.array([row.line % 4 < 2 for row in every])
    assert score(half)[:40].tolist() == [0.5] * 40
    assert frozen.trial(every, score).auc == pytest.approx(0.5)


def test_a_voice_has_other_features_than_a_quiet_line() -> None:
    voice, line = (learned.features(x.tobytes()) for x in (made.called(), made.hiss(3)))
    assert voice.shape == line.shape == (34,)
    assert np.isfinite(voice).all()
    assert voice[0] > line[0] + 20  # its louder frames' level, dB
    assert voice[28] > line[28]  # its share of periodic frames
    silent = learned.features(bytes(16000))
    assert np.isfinite(silent).all()
