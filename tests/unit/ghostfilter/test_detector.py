"""The detector's ears: when somebody is heard, and what else is remembered."""

from __future__ import annotations

import numpy as np
import pytest

from ghostfilter.answers import Answers
from ghostfilter.delay import SURE
from ghostfilter.detector import Detector
from ghostfilter.ears import Moment
from ghostfilter.evidence import Evidence
from ghostfilter.signals import PERSON, Heard, Sound
from ghostfilter.spectra import BLOCK_FRAMES, HALF_FRAMES, Block, Blocks, Floats
from ghostfilter.tones import Tones
from ghostfilter.voices import Voices
from tests.unit.ghostfilter.sounds import (
    RATE,
    frames,
    mixed,
    noise,
    silence,
    spoken,
    vowel,
)
from tests.unit.ghostfilter.tone_sounds import key, knock, tone


def listen(
    pcm: bytes, prompt: bytes | None = None, prompt_frames: int | None = None
) -> tuple[list[tuple[int, Heard]], Evidence]:
    """Each sign of a person with the frame it was told at, and the evidence."""
    detector = Detector()
    if prompt is not None:
        detector.prompt_started(prompt)
    told = []
    for number, frame in enumerate(frames(pcm)):
        if number == prompt_frames:
            detector.prompt_stopped()
        if (sign := detector.push(frame)) is not None:
            told.append((number, sign))
    return told, detector.evidence()


def test_somebody_who_speaks_after_silence_is_told_once_within_half_a_second() -> None:
    words = spoken("Tolong, ada kebakaran di rumah saya!")
    told, evidence = listen(noise(1.0, -70) + words + noise(1.0, -70))
    assert [sign.sound for _, sign in told] == [Sound.NEAR_VOICE]
    assert 50 < told[0][0] <= 75
    voice = evidence.get(Sound.NEAR_VOICE)
    assert voice is not None
    assert 40 <= voice.from_frame <= 65
    assert voice.over_floor_db > 10
    assert evidence.heard == (voice,), "the line itself is told where nothing else is"
    assert evidence.person >= 0.9
    assert evidence.voices >= 0.5


def test_who_is_nearly_sure_does_not_wait_for_the_block_s_end() -> None:
    words = spoken("Tolong, ada kebakaran di rumah saya!")
    at_half = 0
    for late in range(8):
        told, evidence = listen(noise(1.0 + late / 50, -70) + words + noise(1.0, -70))
        frame, voice = told[0]
        assert (frame + 1) % BLOCK_FRAMES in (0, HALF_FRAMES)
        at_half += (frame + 1) % BLOCK_FRAMES == HALF_FRAMES
        assert voice.confidence >= 0.9 - 1e-9
        assert voice.from_frame <= frame
        whole = evidence.get(Sound.NEAR_VOICE)
        assert whole is not None
        assert whole.frames <= len(frames(words)) + BLOCK_FRAMES, "none counted twice"
    assert 0 < at_half < 8


@pytest.mark.parametrize("late", range(8))
def test_where_a_network_s_tone_is_nothing_is_looked_at_by_halves(
    monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    detector = Detector()
    words = spoken("Tolong, ada kebakaran di rumah saya!")
    told = []
    for number, frame in enumerate(frames(noise(1.0 + late / 50, -70) + words)):
        if detector.push(frame) is not None:
            told.append(number)
        one = np.arange(BLOCK_FRAMES) == 7
        monkeypatch.setattr(detector._tones, "_machine", one)
    assert [(number + 1) % BLOCK_FRAMES for number in told] == [0]


def test_somebody_who_speaks_at_once_is_heard() -> None:
    told, _ = listen(spoken("Halo? Halo! Tolong saya!"))
    assert told[0][0] <= 60


@pytest.mark.parametrize(
    "sound",
    [silence(6), noise(6, -66), noise(6, -55), noise(6, -40)],
    ids=["silence", "-66 dBFS", "-55 dBFS", "-40 dBFS"],
)
def test_silence_and_steady_noise_are_nobody(sound: bytes) -> None:
    told, evidence = listen(sound)
    assert told == []
    assert evidence.person < 0.5
    assert evidence.voices < 0.5
    assert evidence.frames == 300
    (heard,) = evidence.heard
    assert heard.sound in {Sound.SILENCE, Sound.COMFORT_NOISE, Sound.NOISE}


@pytest.mark.parametrize(
    ("sound", "kind"),
    [
        (silence(4), Sound.SILENCE),
        (noise(4, -60), Sound.COMFORT_NOISE),
        (noise(4, -40), Sound.NOISE),
        (noise(3, -70) + noise(1, -50, seed=2), Sound.NOISE),
        (noise(4, -68), Sound.SILENCE),
        (silence(3) + noise(1, -64), Sound.SILENCE),
    ],
)
def test_the_line_itself_has_a_name(sound: bytes, kind: Sound) -> None:
    assert [heard.sound for heard in listen(sound)[1].heard] == [kind]


def test_our_own_prompt_coming_back_is_nobody() -> None:
    prompt = spoken("Halo, satu satu dua Kediri. Tekan tombol apa saja.", dbfs=-20)
    seconds = len(prompt) / 16000
    echo = mixed(silence(0.18) + _softer(prompt, 20), noise(seconds + 0.5, -68))
    told, evidence = listen(echo, prompt)
    assert told == []
    assert evidence.person < 0.9
    heard = evidence.get(Sound.ECHO)
    assert heard is not None
    assert heard.confidence > 0.3


def test_somebody_who_speaks_over_our_prompt_s_echo_is_heard() -> None:
    prompt = spoken("Halo, satu satu dua Kediri. Tekan tombol apa saja.", dbfs=-20)
    caller = silence(1.5) + spoken("Tolong, rumah saya kebakaran!", dbfs=-26, pitch=70)
    line = mixed(mixed(silence(0.18) + _softer(prompt, 20), caller), noise(6, -68))
    told, _ = listen(line, prompt)
    assert told[0][1].sound in PERSON
    assert 75 <= told[0][0] <= 120


def test_a_hint_where_our_prompt_is_buried_is_more_of_a_doubt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prompt = spoken("Halo, satu satu dua Kediri. Tekan tombol apa saja.", dbfs=-20)
    echo = mixed(silence(0.18) + _softer(prompt, 20), noise(4, -68))
    plain = listen(echo, prompt)[1]
    heard = plain.get(Sound.ECHO)
    assert heard is not None
    asked = []

    def doubt(over_floor_db: float) -> float:
        asked.append(over_floor_db)
        return 5.0

    monkeypatch.setattr("ghostfilter.detector.echo_doubt", doubt)
    doubted = listen(echo, prompt)[1]
    assert asked == [heard.over_floor_db]
    assert doubted.person > plain.person
    assert doubted.voices == plain.voices


def test_what_our_prompt_explains_is_known_to_all_who_listen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prompt = spoken("Halo, satu satu dua Kediri. Tekan tombol apa saja.", dbfs=-20)
    caller = silence(1.5) + spoken("Tolong, rumah saya kebakaran!", dbfs=-26, pitch=70)
    line = mixed(mixed(silence(0.18) + _softer(prompt, 20), caller), noise(4, -68))
    detector = Detector()
    answers, halves = [], []

    def answer(_: Answers, block: Block, explained: Floats, *__: object) -> None:
        assert explained is detector._ours.echo.explained
        answers.append(float(explained.max()))

    def half(_: Voices, moment: Moment, __: float) -> None:
        assert moment.correlation == detector._ours.echo.correlation
        halves.append(moment.correlation)

    monkeypatch.setattr(Answers, "push", answer)
    monkeypatch.setattr(Voices, "push_half", half)
    detector.prompt_started(prompt)
    for frame in frames(line):
        detector.push(frame)
    assert max(answers) > 0.5
    assert max(halves) > SURE


def test_a_prompt_that_was_stopped_explains_nothing_later() -> None:
    prompt = spoken("Halo, satu satu dua Kediri. Tekan tombol apa saja.", dbfs=-20)
    told, _ = listen(silence(2.0) + prompt, prompt, prompt_frames=20)
    assert told, "the same words, but not when we said them"


def test_a_key_in_the_audio_is_told_with_its_name() -> None:
    told, evidence = listen(noise(1, -65) + dtmf("5", 0.2) + noise(1, -65))
    assert (told[0][1].sound, told[0][1].detail) == (Sound.KEY_TONE, "5")
    assert evidence.get(Sound.KEY_TONE) is not None


def test_two_knocks_when_asked_for_are_a_person_else_a_hint() -> None:
    knocks = noise(2, -66) + knocked(2) + noise(2, -66)
    told, evidence = listen(knocks)
    heard = evidence.get(Sound.KNOCKS)
    assert heard is not None
    assert (told, heard.confidence) == ([], 0.4)
    detector = Detector()
    for _ in range(2):
        detector.prompt_started(bytes(320))
        detector.prompt_stopped()
    signs = [sign for frame in frames(knocks) if (sign := detector.push(frame))]
    assert [(sign.sound, sign.confidence) for sign in signs] == [(Sound.KNOCKS, 0.9)]


@pytest.mark.parametrize(("seconds", "is_answer"), [(1.6, True), (2.4, False)])
def test_knocks_answer_no_sooner_than_a_prompt_s_last_words(
    seconds: float, is_answer: bool
) -> None:
    """Knocked 0.2 s into a prompt of so many seconds: is it nearly over then?"""
    detector = Detector()
    for _ in range(2):
        detector.prompt_started(silence(seconds))
    pcm = noise(0.2, -66) + knocked(2) + noise(2, -66)
    told = [sign.sound for frame in frames(pcm) if (sign := detector.push(frame))]
    assert told == [Sound.KNOCKS] * is_answer
    heard = detector.evidence().get(Sound.KNOCKS)
    assert heard is not None
    assert heard.confidence == (0.9 if is_answer else 0.4)


def test_only_the_second_prompt_asks_for_knocks() -> None:
    detector = Detector()
    for _ in range(2):
        detector.prompt_started(bytes(320))
        detector.prompt_stopped()
    detector.prompt_started(silence(2.4))
    told = [detector.push(frame) for frame in frames(noise(0.2, -66) + knocked(2))]
    told += [detector.push(frame) for frame in frames(noise(2, -66))]
    assert [sign.sound for sign in told if sign] == [Sound.KNOCKS]


def test_knocks_in_our_own_prompt_are_not() -> None:
    prompt = knocked(2, dbfs=-12) + spoken("Tekan tombol apa saja.", dbfs=-20)
    echo = mixed(silence(0.18) + _softer(prompt * 2, 14), noise(8, -72))
    told, evidence = listen(echo, prompt * 2)
    assert Sound.KNOCKS not in {sign.sound for _, sign in told}
    assert evidence.get(Sound.KNOCKS) is None


def test_a_telephone_s_own_beeps_do_not_knock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tones, "is_beeping", True)
    told, evidence = listen(noise(2, -66) + knocked(2) + noise(2, -66))
    assert told == []
    assert evidence.get(Sound.KNOCKS) is None


@pytest.mark.parametrize("is_beeping", [False, True])
def test_where_a_telephone_beeps_pure_tone_is_no_voice_and_nothing_is_lone(
    monkeypatch: pytest.MonkeyPatch, is_beeping: bool
) -> None:
    monkeypatch.setattr(Tones, "is_beeping", is_beeping)
    monkeypatch.setattr(Tones, "explains", lambda _: np.ones(BLOCK_FRAMES, np.bool_))
    still = noise(3.0, -68)
    _, evidence = listen(still + spoken("Tolong!") + still * 2)
    assert (evidence.person < 0.5) is is_beeping
    assert (evidence.get(Sound.LONE) is None) is is_beeping


def test_a_key_is_told_before_a_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    pressed = Heard(Sound.KEY_TONE, 0, 4, -20.0, 40.0, 0.98, "5")
    monkeypatch.setattr(Tones, "push", lambda *_: pressed)
    monkeypatch.setattr(Blocks, "is_half", False)
    told, evidence = listen(noise(1.0, -70) + spoken("Tolong!") + noise(1.0, -70))
    assert {sign for _, sign in told} == {pressed}
    assert evidence.person >= 0.9


def test_a_pocket_that_bumps_all_the_time_gives_no_answer_but_a_hint() -> None:
    bumps = b"".join(knocked(1) + noise(1.4, -66, seed=n) for n in range(10))
    detector = Detector()
    told = []
    for number, frame in enumerate(frames(bumps)):
        if number in (0, 450):
            detector.prompt_started(bytes(320))
            detector.prompt_stopped()
        if (sign := detector.push(frame)) is not None:
            told.append(sign.sound)
    heard = detector.evidence().get(Sound.KNOCKS)
    assert Sound.KNOCKS not in told
    assert heard is not None
    assert heard.confidence == pytest.approx(0.4)


@pytest.mark.parametrize(("is_machine", "sure"), [(False, 0.9), (True, 0.4)])
def test_an_alarm_is_doubted_where_a_machine_was_heard(
    monkeypatch: pytest.MonkeyPatch, is_machine: bool, sure: float
) -> None:
    fax = Heard(Sound.FAX, 0, 50, -20.0, 40.0, 0.98, "V.21")
    monkeypatch.setattr(Tones, "heard", lambda _: [fax] if is_machine else [])
    told, evidence = listen(noise(1, -66) + horn(3.5) + noise(0.5, -66))
    loud = evidence.get(Sound.LOUD)
    assert loud is not None
    assert loud.confidence == pytest.approx(sure)
    assert (Sound.LOUD in {sign.sound for _, sign in told}) is not is_machine


def test_a_network_s_tone_is_no_voice_whatever_the_net_thinks() -> None:
    t = np.arange(RATE * 4) / RATE
    tone = (3000 * np.sin(2 * np.pi * 425 * t)).astype("<i2").tobytes()
    told, evidence = listen(mixed(tone, noise(4, -66)))
    assert told == []
    assert evidence.get(Sound.NETWORK_TONE) is not None
    assert evidence.person < 0.5


def test_the_floor_is_the_line_s_quiet_share() -> None:
    _, evidence = listen(noise(1.0, -45) + noise(3.0, -20, seed=2))
    assert evidence.floor_dbfs == pytest.approx(-45, abs=2)
    assert evidence.loudest_dbfs == pytest.approx(-20, abs=2)


def test_sounds_come_in_the_order_in_which_they_began() -> None:
    pcm = dtmf("1", 0.2) + noise(2, -65) + spoken("Tolong, ada kebakaran!")
    starts = [heard.from_frame for heard in listen(pcm)[1].heard]
    assert len(starts) >= 2
    assert starts == sorted(starts)


def test_a_full_scale_line_breaks_nothing() -> None:
    square = np.where(np.arange(16000) % 40 < 20, 32767, -32768).astype("<i2")
    _, evidence = listen(square.tobytes())
    assert evidence.loudest_dbfs == pytest.approx(0, abs=0.1)


def test_more_audio_never_takes_a_person_away() -> None:
    detector = Detector()
    beliefs = []
    for frame in frames(vowel(1.0) + noise(4, -50) + silence(2)):
        detector.push(frame)
        beliefs.append(detector.evidence().person)
    assert beliefs == sorted(beliefs)


def test_nothing_heard_at_all() -> None:
    detector = Detector()
    detector.prompt_started(bytes(320))
    detector.prompt_stopped()
    evidence = detector.evidence()
    assert (evidence.frames, evidence.heard) == (0, ())
    assert evidence.person < 0.01


def test_a_frame_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="320 bytes, not 160"):
        Detector().push(bytes(160))


def knocked(times: int, dbfs: float = -20.0) -> bytes:
    still = np.zeros(3200)
    wave = np.concatenate([part for _ in range(times) for part in (knock(dbfs), still)])
    return (wave * 32768).astype("<i2").tobytes()


def horn(seconds: float) -> bytes:
    wave = tone((405, 505, 810, 1010, 1620), seconds, -12.0)
    return (wave * 32768).astype("<i2").tobytes()


def dtmf(name: str, seconds: float) -> bytes:
    return (key(name, seconds) * 32768).astype("<i2").tobytes()


def _softer(pcm: bytes, db: float) -> bytes:
    samples = np.frombuffer(pcm, "<i2") * 10 ** (-db / 20)
    return samples.astype("<i2").tobytes()


def test_what_was_heard_can_be_told_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One block fails in the middle of a call in which our prompt came back."""
    prompt = spoken("Darurat satu satu dua. Tekan tombol apa saja, atau bicaralah.")
    detector = Detector()
    detector.prompt_started(prompt)
    sent = frames(silence(0.1) + prompt + silence(3))
    for number, frame in enumerate(sent):
        with monkeypatch.context() as broken:
            if number == 47:
                broken.setattr(Tones, "push", _fails)
                with pytest.raises(RuntimeError):
                    detector.push(frame)
                continue
            detector.push(frame)
    evidence = detector.evidence()
    assert evidence.get(Sound.ECHO) is not None
    assert evidence.frames == len(sent)


def _fails(*_: object) -> None:
    raise RuntimeError("a fault of ours")
