"""Learning from recorded callers, and judging by nets that did not hear them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from ghostfilter.net import SHIPPED
from pbx.laboratory import unheard
from pbx.laboratory.clips import read_clip
from pbx.laboratory.corpus import Corpus, Label, Row, read_corpus
from pbx.laboratory.dialogue.takes import read_stock
from pbx.laboratory.measure import fresh_detector
from pbx.laboratory.pockets_made import interrupted
from pbx.laboratory.recipe import (
    CUT_FRAMES,
    NOBODY,
    SOMEBODY,
    SOON_FRAMES,
    UNKNOWN,
    at_once,
    packets_missing,
)
from pbx.laboratory.training.recorded import (
    Take,
    recorded_examples,
    trainable,
    vary,
    who_is_near,
)
from tests.unit.laboratory import clips_made_here as made


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return read_corpus(made.corpus(tmp_path))


@pytest.fixture
def folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of fold weights of our own, and nothing remembered of the shipped."""
    folder = tmp_path / "folds"
    folder.mkdir()
    shipped = (files("ghostfilter") / "weights" / SHIPPED).read_bytes()
    for fold in range(unheard.FOLDS):
        unheard.weights_file(fold, folder).write_bytes(shipped)
    monkeypatch.setattr(unheard, "FOLDER", folder)
    unheard._known.cache_clear()
    unheard._weights.cache_clear()
    yield folder
    unheard._known.cache_clear()
    unheard._weights.cache_clear()


def test_folds_keep_groups_whole_and_alike_in_size() -> None:
    groups = [f"speaker:{n // 3}" for n in range(60)]
    folds = unheard.make_folds(groups, 112)
    assert folds == unheard.make_folds(reversed(groups), 112)
    assert folds != unheard.make_folds(groups, 113)
    sizes = np.bincount(list(folds.values()), minlength=unheard.FOLDS)
    assert sizes.tolist() == [4] * unheard.FOLDS


def test_a_corpus_that_was_learned_from_is_judged_by_others_weights(
    corpus: Corpus, folds: Path
) -> None:
    assert not unheard.was_heard(corpus)
    assert unheard.detectors_for(corpus) is fresh_detector
    assert not read_stock(corpus.folder).is_heard
    groups = unheard.make_folds((row.group for row in corpus.rows), 112)
    unheard.write_list(corpus, groups, folds)
    unheard._known.cache_clear()
    assert unheard.was_heard(corpus)
    assert read_stock(corpus.folder).is_heard
    judge_by = unheard.detectors_for(corpus)
    assert all(judge_by(row).is_fresh for row in corpus.rows)
    shipped = unheard.detectors_for(corpus, shipped=True)
    assert not any(shipped(row).is_fresh for row in corpus.rows)
    assert unheard.unheard_weights("a stranger") is None


def test_a_part_of_what_was_learned_from_and_a_copy_are_known_again(
    corpus: Corpus, folds: Path
) -> None:
    groups = unheard.make_folds((row.group for row in corpus.rows[:3]), 112)
    unheard.write_list(corpus, groups, folds)
    unheard._known.cache_clear()
    part = Corpus(corpus.folder, corpus.rows[2:])
    copied = corpus.folder / "manifest.csv"
    copied.write_text(copied.read_text().replace("\n", "\r\n"))
    assert unheard.clips_heard(part) == 1
    assert unheard.clips_heard(read_corpus(corpus.folder)) == 3
    assert unheard.detectors_for(part)(part.rows[0]).is_fresh
    shipped = unheard.detectors_for(part, shipped=True)
    assert [shipped(row).is_fresh for row in part.rows] == [False, True, True, True]
    assert unheard.detectors_for(Corpus(corpus.folder, corpus.rows[3:])) is (
        fresh_detector
    )


def test_the_folds_that_ship_belong_together() -> None:
    """Weights that learned clips of the corpus ship with nets that did not, or the
    corpus would be judged by what has heard it."""
    card = json.loads((files("ghostfilter") / "weights" / "listener.json").read_text())
    known = json.loads((unheard.FOLDER / unheard.LIST).read_text())
    assert known["manifest_sha256"] == card["corpus_manifest_sha256"]
    assert set(known["folds"].values()) == set(range(unheard.FOLDS))
    own = [unheard.unheard_weights(group) for group in known["folds"]]
    assert all(weights is not None for weights in own)


def row(label: Label, **known: object) -> Row:
    return Row(2, "a.wav", label, "utterance", "g", **known)  # type: ignore[arg-type]


def test_what_the_manifest_cannot_say_stays_unknown() -> None:
    dice = np.random.default_rng(1)
    pcm = (dice.standard_normal(320 * 160) * 30).astype(np.int16)
    pcm[16000:24000] = (dice.standard_normal(8000) * 3000).astype(np.int16)
    assert not who_is_near(row(Label.GHOST), pcm).any()
    near = who_is_near(row(Label.SPEECH, speech_start=2.0), pcm)
    assert (near[:85] == NOBODY).all()
    assert (near[100:150] == SOMEBODY).all()
    assert (near[152:] == UNKNOWN).all()
    noisy = who_is_near(row(Label.SPEECH, speech_start=2.0, snr_db=0.0), pcm)
    assert (noisy[85:] == UNKNOWN).all()


def test_a_varied_clip_keeps_its_truth() -> None:
    pcm = np.zeros(320 * 160, np.int16)
    pcm[16000:24000] = (np.random.default_rng(1).standard_normal(8000) * 3000).astype(
        np.int16
    )
    near = who_is_near(row(Label.SPEECH, speech_start=2.0), pcm)
    for seed in range(12):
        varied = vary(Take(pcm, near, None), np.random.default_rng(seed))
        assert len(varied.pcm) == 160 * len(varied.near)
        loud = (varied.pcm.reshape(-1, 160).astype(float) ** 2).mean(axis=1)
        first = int(np.flatnonzero(varied.near == SOMEBODY)[0])
        assert loud[first + 1] > 10 * np.median(loud)


def test_some_people_speak_at_once() -> None:
    near = np.full(300, NOBODY, np.uint8)
    near[100:150] = SOMEBODY
    pcm = np.repeat(np.arange(300, dtype=np.int16), 160)
    begins, wholes = [], 0
    for seed in range(200):
        heard, told = at_once(pcm, near, np.random.default_rng(seed))
        assert len(heard) == 160 * len(told)
        first = int(np.flatnonzero(told == SOMEBODY)[0])
        assert heard[first * 160] == 100
        wholes += len(told) == 300
        if len(told) < 300:
            begins.append(first)
    assert 0.65 < wholes / 200 < 0.85
    assert 0 <= min(begins) < 5 < max(begins) < SOON_FRAMES


def test_others_lose_as_much_so_that_a_cut_tells_nothing() -> None:
    near = np.full(300, NOBODY, np.uint8)
    pcm = np.repeat(np.arange(300, dtype=np.int16), 160)
    cuts = {
        int(at_once(pcm, near, np.random.default_rng(seed))[0][0])
        for seed in range(200)
    }
    assert 0 in cuts
    assert 10 < max(cuts) < CUT_FRAMES


def test_lost_packets_take_their_truth_with_them() -> None:
    near = np.arange(200).astype(np.uint8)
    pcm = np.repeat(near.astype(np.int16), 160)
    shorter = 0
    for seed in range(40):
        heard, told = packets_missing(pcm, near, np.random.default_rng(seed))
        assert (heard.reshape(-1, 160)[:, 0] == told).all()
        shorter += len(told) < 200
    assert 0 < shorter < 20


def test_an_interrupted_sound_is_still_heard() -> None:
    sound = np.random.default_rng(1).standard_normal(48000)
    for seed in range(30):
        heard = interrupted(sound, np.random.default_rng(seed))
        assert len(heard) == 48000
        assert np.abs(heard).max() > 0.5


def test_open_rows_become_examples(corpus: Corpus) -> None:
    rows = [
        Row(one.line, one.path, one.label, one.kind, one.group, is_open=True)
        for one in corpus.rows
        if one.label is not Label.AMBIGUOUS
    ]
    assert trainable(Corpus(corpus.folder, tuple(rows))) == rows
    assert trainable(corpus) == [one for one in corpus.rows if one.is_open]
    found = recorded_examples(corpus, rows[:2], copies=2, seed=5, jobs=1)
    assert len(found.label) == 4
    assert np.isfinite(found.features).all()
    again = recorded_examples(corpus, rows[:2], copies=2, seed=5, jobs=1)
    assert (found.features == again.features).all()
    assert len(read_clip(corpus, rows[0]).pcm) % 320 == 0
