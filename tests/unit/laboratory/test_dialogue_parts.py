"""What whole calls are put together from: sounds, lines, takes, people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pbx.laboratory.audio import through_g711
from pbx.laboratory.corpus import Label, Row
from pbx.laboratory.dialogue import line, sounds
from pbx.laboratory.dialogue.figures import OVER_ECHO, figures
from pbx.laboratory.dialogue.house import House, Timetable, samples_of
from pbx.laboratory.dialogue.line import Line, travel
from pbx.laboratory.dialogue.people import BEHAVIOURS, Play, over_echo
from pbx.laboratory.dialogue.plan import draft
from pbx.laboratory.dialogue.report import Run, as_data, as_markdown
from pbx.laboratory.dialogue.run import Result
from pbx.laboratory.dialogue.scene import Echo, Scene, at_our_ear, with_line
from pbx.laboratory.dialogue.sounds import RATE, Samples
from pbx.laboratory.dialogue.stock import LEAD_SECONDS, Stock, Take, placed
from pbx.laboratory.dialogue.takes import read_stock, take_of
from pbx.model.verdict import Reason, Ruling
from tests.unit.laboratory import mini_corpus


def dice(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def peaks_hz(samples: Samples, count: int) -> set[int]:
    power = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    found = set()
    for _ in range(count):
        at = int(np.argmax(power))
        found.add(round(at * RATE / samples.size))
        power[max(0, at - 20) : at + 20] = 0
    return found


def test_a_key_tone_has_its_two_frequencies_and_level() -> None:
    tone = sounds.key_tone("5", 0.5, -20, twist_db=3)
    assert peaks_hz(tone, 2) == {770, 1336}
    assert sounds.rms_dbfs(tone) == pytest.approx(-20, abs=0.1)


def test_a_text_telephone_types_with_two_tones() -> None:
    typed = sounds.tty(dice(), 10, -20)
    assert typed.size / RATE == pytest.approx(0.022 * (6 + 10 * 7), abs=0.01)
    tones = peaks_hz(typed, 12)
    assert any(abs(hz - 1400) < 15 for hz in tones)
    assert any(abs(hz - 1800) < 15 for hz in tones)


@pytest.mark.parametrize("make", [sounds.knocks, sounds.coughs])
def test_knocks_and_coughs_are_as_many_and_as_loud_as_asked(make: object) -> None:
    sound = make(dice(), 3, -10.0)  # type: ignore[operator]
    frames = np.abs(sound[: sound.size // 160 * 160].reshape(-1, 160)).max(axis=1)
    loud = frames > 0.3 * frames.max()
    starts = np.flatnonzero(loud & ~np.r_[False, loud[:-1]])
    assert (np.diff(np.r_[-99, starts]) > 7).sum() == 3
    assert -14.5 < 20 * np.log10(np.abs(sound).max()) <= -9.9


def test_a_room_changes_no_level_and_an_echo_is_late_and_soft() -> None:
    sent = sounds.noise(dice(), 2.0, -20)
    back = sounds.echoed(sent, sounds.room(dice(2)), 0.25, -20)
    assert not back[: RATE // 4].any()
    assert sounds.rms_dbfs(back[RATE // 2 :]) == pytest.approx(-40, abs=2)


def test_something_goes_on_without_a_gap_or_a_click() -> None:
    piece = sounds.noise(dice(), 1.0, -30)
    whole = sounds.going_on([piece, piece[::2]], 5.0, dice(3))
    assert whole.size == 5 * RATE
    levels = [sounds.rms_dbfs(part) for part in whole.reshape(-1, 800)]
    assert min(levels) > -33
    assert max(levels) < -28
    assert sounds.going_on([sounds.silence(0)], 1.0, dice()).size == RATE


def test_g711_is_asterisk_s_and_idempotent() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    heard = line.g711(every.astype(np.float32) / 32768, "alaw")
    assert (heard == through_g711(every)).mean() > 0.999
    again = line.g711(heard.astype(np.float32) / 32768, "alaw")
    assert (again == heard).all()
    ulaw = line.g711(every.astype(np.float32) / 32768, "ulaw")
    assert len(np.unique(ulaw)) == 255  # two codes for zero
    assert abs(ulaw.astype(int) - every).max() <= 644  # clips at 32124


def test_lost_frames_come_in_bursts_and_are_missing() -> None:
    sound = sounds.noise(dice(), 400.0, -20)
    frames = travel(sound, Line(loss=0.05, burst_frames=4.0), dice())
    gone = np.array([frame is None for frame in frames])
    assert gone.mean() == pytest.approx(0.05, abs=0.01)
    bursts = (gone & ~np.r_[False, gone[:-1]]).sum()
    assert gone.sum() / bursts == pytest.approx(4.0, abs=0.8)
    assert all(len(frame) == 320 for frame in frames if frame is not None)


def test_lost_on_the_radio_no_frame_is_missing_and_the_last_fades() -> None:
    sound = sounds.noise(dice(), 100.0, -20)
    bad = Line(loss=0.05, burst_frames=3.0, is_concealed=True)
    frames = travel(sound, bad, dice(4))
    assert None not in frames
    lost = line.lost_frames(len(frames), bad, dice(4))
    pcm = [samples_of(frame) for frame in frames if frame is not None]
    filled = [sounds.rms_dbfs(pcm[at]) for at in np.flatnonzero(lost)]
    assert np.mean(filled) < -23.5


def test_a_gap_is_a_gap() -> None:
    frames = travel(
        sounds.silence(5), Line(gap_from_seconds=1.0, gap_seconds=2.0), dice()
    )
    assert [frame is None for frame in frames] == [50 <= i < 150 for i in range(250)]


def test_without_the_codecs_libraries_calls_come_by_wire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise line.CodecError("no library")

    monkeypatch.setattr(line, "through_codec", missing)
    assert line.missing_codecs() == "no library"


def test_a_mobile_phone_codes_what_was_not_coded_before(
    monkeypatch: pytest.MonkeyPatch, house: House, met: Timetable
) -> None:
    coded: list[str] = []

    def note(pcm: object, name: str, *_: object, **__: object) -> object:
        coded.append(name)
        return pcm

    monkeypatch.setattr(line, "through_codec", note)
    echo = Echo(0.1, -20, sounds.room(dice()))
    scene = Scene("b", "k", "speech", (), sounds.silence(20), echo=echo)
    mobile = Line(codec="amr7.4")
    at_our_ear(with_line(scene, mobile), house, met, dice())
    at_our_ear(with_line(scene, replace(mobile, is_concealed=True)), house, met, dice())
    assert coded == ["amr7.4"] * 2
    coded.clear()
    wired = with_line(replace(scene, is_coded=True), mobile)
    assert wired.line.codec == ""
    at_our_ear(wired, house, met, dice())
    assert coded == ["amr7.4"]  # our prompt's echo alone
    assert with_line(replace(scene, is_coded=True, echo=None), mobile).echo is None


def test_a_line_is_told_in_words() -> None:
    bad = Line("ulaw", "amr4.75", True, 0.031, 4.0, True, 1.0, 2.0)
    echo = Echo(0.13, -20.0, sounds.silence(0), "gsmfr")
    scene = Scene("b", "k", "speech", (), sounds.silence(1), line=bad, echo=echo)
    assert scene.told() == (
        "ulaw, amr4.75 with DTX, 3.1% filled bursts of 4, gap 2.0 s at 1.0, our prompt "
        "back at -20 dB after 130 ms through gsmfr"
    )
    assert (
        replace(scene, line=Line(loss=0.02), echo=None).told() == "alaw, 2.0% missing"
    )


def row(**more: object) -> Row:
    values = {"line": 2, "path": "a.wav", "label": Label.SPEECH, "kind": "k"}
    return Row(**(values | {"group": "g", "codec": "pcma"} | more))  # type: ignore[arg-type]


def test_a_take_is_measured_on_its_sound() -> None:
    clip = sounds.noise(dice(), 6.0, -65)
    sounds.add(sounds.noise(dice(2), 1.0, -20), 2.0, clip)
    take = take_of(row(speech_start=2.0, snr_db=None), clip)
    assert take.level_dbfs == pytest.approx(-20, abs=0.5)
    assert take.active_seconds == pytest.approx(1.0, abs=0.03)
    assert take.is_clean
    assert not take.is_coded
    assert take_of(row(codec="amr4.75"), clip).is_coded
    assert take.utterance.size == clip.size - round((2.0 - LEAD_SECONDS) * RATE)
    assert take.bed(10.0, dice()).size == 10 * RATE
    assert sounds.rms_dbfs(take.bed(10.0, dice())) == pytest.approx(-65, abs=0.5)


def test_silence_can_be_measured_too() -> None:
    take = take_of(row(label=Label.GHOST), sounds.silence(1))
    assert take.active_seconds > 0
    assert take.level_dbfs < -90


def test_an_utterance_is_laid_over_its_own_noise() -> None:
    clip = sounds.noise(dice(), 6.0, -50)
    sounds.add(sounds.noise(dice(2), 1.0, -20), 2.0, clip)
    take = take_of(row(speech_start=2.0), clip)
    bed = take.bed(20.0, dice())
    placed(take, 10.0, bed, np.float32(1.0))
    assert bed.size == 20 * RATE
    assert sounds.rms_dbfs(bed[10 * RATE : 11 * RATE]) == pytest.approx(-20, abs=0.5)
    quiet = np.r_[bed[: 9 * RATE], bed[12 * RATE :]]
    assert sounds.rms_dbfs(quiet) == pytest.approx(-50, abs=0.5)
    placed(take, 0.05, bed, np.float32(1.0))
    assert sounds.rms_dbfs(bed[800 : RATE // 2]) == pytest.approx(-20, abs=0.5)


def test_ghosts_with_a_foreign_prompt_are_left_out(tmp_path: Path) -> None:
    mini_corpus.write(tmp_path)
    table = tmp_path / "manifest.csv"
    head, *rows = table.read_text().splitlines()
    rows = [f"{text},{'p.wav' if ',wind,' in text else ''}" for text in rows]
    table.write_text("\n".join([f"{head},prompt", *rows]))
    taken = read_stock(tmp_path)
    assert taken.left_out == 1
    assert "wind" not in taken.stock.by_kind
    groups = {take.group for take in taken.stock.by_label["speech"]}
    assert len(read_stock(tmp_path, groups).stock.by_label["speech"]) == len(groups)
    assert not read_stock(tmp_path, groups).stock.by_label["ghost"]


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_each_person_can_be_heard_in_time(
    behaviour: object, stock: Stock, met: Timetable
) -> None:
    for seed in range(12):
        play = Play(stock, met, dice(seed))
        scene = behaviour(play)  # type: ignore[operator]
        assert scene.is_person
        assert scene.sign_seconds is not None
        assert 0 < scene.sign_seconds < met.seconds - 0.05
        for begun, over in scene.words:
            assert scene.sign_seconds <= begun < over <= play.seconds
        assert scene.sound.size == round(play.seconds * RATE)
        if scene.key is None:
            at = round(scene.sign_seconds * RATE)
            before = scene.sound[max(0, at - 4000) : max(at - 1600, 1)]
            after = scene.sound[at : at + RATE]
            assert np.abs(after).max() > 1.1 * np.abs(before).max(initial=0), seed
            assert sounds.rms_dbfs(after) > -56


def test_who_speaks_over_the_echo_does_so_while_we_speak(
    stock: Stock, met: Timetable
) -> None:
    for seed in range(20):
        scene = over_echo(Play(stock, met, dice(seed)))
        assert scene.behaviour == OVER_ECHO
        assert scene.echo is not None
        assert scene.echo.db == -20
        assert scene.sign_seconds is not None
        said = [s for s in met.said if s.from_seconds < scene.sign_seconds < s.ended]
        assert said


def test_the_echo_is_of_what_we_say(stock: Stock, met: Timetable, house: House) -> None:
    index = next(
        i
        for i in range(0, 4000, 40)
        if draft(stock, met, 5, i + 39).scene.behaviour == "our prompt comes back"
    )
    drafted = draft(stock, met, 5, index + 39, has_mobile=False)
    assert drafted.scene.echo is not None
    loud = replace(drafted.scene, echo=replace(drafted.scene.echo, db=-10), line=Line())
    heard = samples_of(b"".join(f or b"" for f in at_our_ear(loud, house, met, dice())))
    sent = met.sent(house, heard.size / RATE)
    shift = round(loud.echo.delay_seconds * RATE) if loud.echo else 0
    late = np.r_[np.zeros(shift, np.float32), sent[: sent.size - shift]]
    likeness = np.abs(np.correlate(heard, late, "valid")) / np.sqrt(
        (heard @ heard) * (late @ late)
    )
    assert likeness.max() > 0.3


def test_every_ghost_clip_comes_once_before_any_comes_again(
    stock: Stock, met: Timetable
) -> None:
    ghosts = stock.by_label["ghost"]
    slots = [40 * turn + 30 + n for turn in range(10) for n in range(7)]
    drawn = [draft(stock, met, 9, i).scene.kind for i in slots[: len(ghosts)]]
    assert sorted(drawn) == sorted(take.kind for take in ghosts)


def a_result(**more: object) -> Result:
    values: dict[str, object] = {
        "index": 7,
        "behaviour": "speaks once",
        "kind": "utterance",
        "label": "speech",
        "clips": ("a.wav",),
        "line": "alaw, gsmfr",
        "ruling": Ruling.PASS,
        "own_ruling": Ruling.PASS,
        "reason": Reason.VOICE,
        "because": "voice",
        "asked": 1,
        "ended_seconds": 2.5,
        "sign_seconds": 2.0,
        "words_seconds": 2.0,
        "is_past_words": False,
    }
    return Result(**(values | more))  # type: ignore[arg-type]


def test_a_wait_is_counted_from_the_words_that_let_him_pass() -> None:
    once = a_result()
    again = a_result(ended_seconds=9.0, words_seconds=8.75)
    assert again.to_pass_seconds == 7.0
    results = [
        once,
        again,
        a_result(words_seconds=None),
        a_result(reason=Reason.KNOCKS),
        a_result(ruling=Ruling.LOW_PRIORITY, reason=Reason.DOUBT, is_past_words=True),
    ]
    waits = [result.words_to_pass_seconds for result in results]
    assert waits == [0.5, 0.25, None, None, None]
    assert [result.is_heard_later for result in results[:2]] == [False, True]
    found = figures([*results, a_result(words_seconds=None, is_past_words=True)])
    assert (found.words.n, found.words.median, found.heard_later) == (2, 0.375, 1)
    assert found.past_words == 1


def test_figures_name_the_lost_and_count_the_rest() -> None:
    lost = {"ruling": Ruling.RELEASE, "reason": Reason.NOISE, "asked": 2}
    results = [
        a_result(),
        a_result(ended_seconds=1.0, words_seconds=None),
        a_result(index=8, own_ruling=Ruling.LOW_PRIORITY, **lost),
        a_result(index=9, label="fault", kind="no-media", sign_seconds=None, **lost),
        a_result(label="ghost", kind="wind", sign_seconds=None, **lost),
        a_result(
            label="ghost",
            kind="dog_bark",
            sign_seconds=None,
            own_ruling=Ruling.LOW_PRIORITY,
        ),
        a_result(label="distant", kind="tv", sign_seconds=None, **lost | {"asked": 1}),
    ]
    found = figures(results)
    assert [r.index for r in found.lost] == [8, 9]
    assert not found.is_safe
    assert (found.people.n, found.people.released, found.people.own_released) == (
        3,
        1,
        0,
    )
    assert found.people.unsigned == 1
    assert (found.people.delay.n, found.people.delay.median) == (1, 0.5)
    assert (found.words.n, found.words.median, found.heard_later) == (1, 0.5, 0)
    assert (found.pocket.kept, found.stress.kept) == (1.0, 0.5)
    assert (found.pocket.own_kept, found.stress.own_kept) == (0.0, 0.5)
    assert found.distant_without_second == 1
    run = Run(seed=3, left_out=1, missing_codecs="", cpu_seconds=2.0, date="today")
    text = as_markdown(run, found)
    assert "**People released: 1 of 3**" in text
    assert "- call 8: speaks once, utterance, sign at 2.00 s, noise: voice" in text
    assert "(a.wav; alaw, gsmfr)" in text
    data = as_data(run, found)
    assert data["people_released"] == 1
    assert data["pocket_kept_rate"] == 1.0
    assert data["stress_kept_rate_by_city"] == 0.5
    many = figures([a_result(index=i, **lost) for i in range(60)])
    assert "… and 10 more" in as_markdown(run, many)


def test_takes_without_a_lead_in_have_a_quiet_line_behind_them() -> None:
    clip = sounds.noise(dice(), 6.0, -20)
    take = take_of(row(speech_start=0.1), clip)
    assert -75 < sounds.rms_dbfs(take.bed(2.0, dice())) < -55
    assert isinstance(take, Take)


def test_nowhere_noisy_in_the_corpus_is_a_room() -> None:
    empty = Stock([])
    assert sounds.rms_dbfs(empty.background(1.0, dice())) == pytest.approx(-50, abs=0.5)


def test_a_room_rings_out_and_does_not_answer_later() -> None:
    for seed in range(20):
        energy = sounds.room(dice(seed)) ** 2
        assert energy[-160:].sum() < 0.02 * energy.sum()
