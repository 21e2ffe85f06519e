"""Verdicts: readable reasons, and rules that no policy can switch off."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostfilter.evidence import Evidence
from ghostfilter.signals import PERSON, Heard, Sound
from ghostfilter.verdict import Context, Policy, Verdict, _is_releasable, judge
from pbx.model.policy import Mode, Treatment, WhenIdle
from pbx.model.verdict import PERSON_REASONS, RELEASABLE, Reason, Ruling

QUIET = Evidence(
    900,
    (Heard(Sound.SILENCE, 0, 900, -66.0, 0.0, 1.0),),
    loudest_dbfs=-62.0,
    floor_dbfs=-64.0,
)
NOTHING = Evidence(0)
STREET = Evidence(
    900,
    (Heard(Sound.NOISE, 0, 900, -30.0, 10.0, 1.0),),
    person=0.1,
    loudest_dbfs=-30.0,
    floor_dbfs=-45.0,
)
RELEASE_ALL = Policy(
    silent=Treatment.RELEASE, noise=Treatment.RELEASE, distant=Treatment.RELEASE
)
WHOLE = Context(expected_frames=900)


def hearing(sound: Sound, *, confidence: float = 0.95, detail: str = "") -> Evidence:
    """A street on which this was heard, too."""
    heard = Heard(sound, 60, 45, -31.0, 14.0, confidence, detail)
    return replace(STREET, heard=(*STREET.heard, heard))


def told(verdict: Verdict) -> tuple[Ruling, Reason]:
    return verdict.ruling, verdict.reason


def test_a_voice_passes_and_says_why() -> None:
    verdict = judge(hearing(Sound.NEAR_VOICE), RELEASE_ALL, WHOLE)
    assert told(verdict) == (Ruling.PASS, Reason.VOICE)
    assert verdict.because == (
        "voice 0.9 s at -31 dBFS, 14 dB over floor, from 1.2 s; no key"
    )
    assert verdict.confidence == 0.95


def test_a_line_that_drowns_its_caller_is_doubt_unless_a_machine_is_that_loud() -> None:
    loud = {"floor_dbfs": -20.0, "loudest_dbfs": -12.0}
    works = judge(replace(STREET, **loud), RELEASE_ALL, WHOLE)
    assert told(works) == (Ruling.LOW_PRIORITY, Reason.DOUBT)
    fax = judge(replace(hearing(Sound.FAX), **loud), RELEASE_ALL, WHOLE)
    assert told(fax) == (Ruling.RELEASE, Reason.MACHINE)
    believed = replace(hearing(Sound.FAX), person=0.55, **loud)
    assert told(judge(believed, RELEASE_ALL, WHOLE)) == (
        Ruling.LOW_PRIORITY,
        Reason.DOUBT,
    )


def test_what_is_as_loud_as_a_scream_in_a_still_line_is_doubt() -> None:
    for floor, loudest, reason in (
        (-45.0, -8.0, Reason.DOUBT),
        (-45.0, -8.1, Reason.NOISE),
        (-44.9, -8.0, Reason.NOISE),
    ):
        line = replace(STREET, floor_dbfs=floor, loudest_dbfs=loudest)
        assert judge(line, RELEASE_ALL, WHOLE).reason is reason


@pytest.mark.parametrize("asked", [1, 2])
@pytest.mark.parametrize("sound", sorted(PERSON - {Sound.ANSWER, Sound.LONE}))
def test_every_sound_of_a_person_passes_at_once(sound: Sound, asked: int) -> None:
    context = Context(900, asked=asked)
    verdict = judge(hearing(sound, detail="5"), RELEASE_ALL, context)
    assert verdict.ruling is Ruling.PASS
    assert verdict.reason in PERSON_REASONS - {Reason.KEY}
    assert "0.9 s at -31 dBFS" in verdict.because
    assert "5" in verdict.because


def test_a_belief_in_a_person_passes_without_a_name_for_the_sound() -> None:
    verdict = judge(replace(STREET, person=0.9), RELEASE_ALL, WHOLE)
    assert told(verdict) == (Ruling.PASS, Reason.VOICE)


def test_a_key_passes_whatever_was_heard() -> None:
    verdict = judge(NOTHING, RELEASE_ALL, Context(expected_frames=50, key="0"))
    assert told(verdict) == (Ruling.PASS, Reason.KEY)
    assert verdict.because == "nothing heard; key 0"


@pytest.mark.parametrize(
    ("treatment", "ruling"),
    [
        (Treatment.RELEASE, Ruling.RELEASE),
        (Treatment.LOW_PRIORITY, Ruling.LOW_PRIORITY),
        (Treatment.OPERATOR, Ruling.PASS),
    ],
)
def test_each_kind_of_call_follows_its_own_policy(
    treatment: Treatment, ruling: Ruling
) -> None:
    silent = judge(QUIET, Policy(silent=treatment), WHOLE)
    assert told(silent) == (ruling, Reason.SILENT)
    assert silent.because == "silence, floor -64 dBFS, loudest -62 dBFS; no key"
    noisy = judge(STREET, Policy(noise=treatment), WHOLE)
    assert told(noisy) == (ruling, Reason.NOISE)
    assert noisy.because == "no voice, floor -45 dBFS, loudest -30 dBFS; no key"
    assert noisy.confidence == 0.9
    fax = judge(hearing(Sound.FAX, detail="1100 Hz"), Policy(noise=treatment), WHOLE)
    assert told(fax) == (ruling, Reason.MACHINE)
    assert fax.because.startswith("fax or modem 1100 Hz 0.9 s at -31 dBFS")
    far = judge(hearing(Sound.DISTANT_VOICE), Policy(distant=treatment), WHOLE)
    assert told(far) == (ruling, Reason.DISTANT)
    assert "person 0.10, voices 0.00" in far.because
    assert far.confidence == 0.95


def test_our_own_echo_alone_is_no_more_than_noise() -> None:
    heard = tuple(Heard(s, 0, 50, -40, 20, 1.0) for s in (Sound.SILENCE, Sound.ECHO))
    echo = replace(STREET, heard=heard)
    assert told(judge(echo, RELEASE_ALL, WHOLE)) == (Ruling.RELEASE, Reason.ECHO)
    both = replace(STREET, heard=(*heard, *STREET.heard))
    assert judge(both, RELEASE_ALL, WHOLE).reason is Reason.NOISE


def test_distant_voices_are_told_by_belief_as_well() -> None:
    far = replace(STREET, voices=0.9)
    assert judge(far, RELEASE_ALL, WHOLE).reason is Reason.DISTANT
    assert judge(replace(far, voices=0.3), RELEASE_ALL, WHOLE).reason is Reason.DOUBT
    assert judge(replace(far, voices=0.29), RELEASE_ALL, WHOLE).reason is Reason.NOISE


@pytest.mark.parametrize(
    "unsure",
    [
        replace(STREET, person=0.3),
        hearing(Sound.WHISPER, confidence=0.3),
        hearing(Sound.ANSWER, confidence=0.6),
        hearing(Sound.LONE, confidence=0.6),
    ],
    ids=["belief", "a whisper, perhaps", "a sound when asked", "a lone sound"],
)
def test_doubt_is_never_released(unsure: Evidence) -> None:
    later = judge(unsure, RELEASE_ALL, WHOLE)
    assert told(later) == (Ruling.LOW_PRIORITY, Reason.DOUBT)
    first = RELEASE_ALL.model_copy(update={"doubt": Treatment.OPERATOR})
    assert told(judge(unsure, first, WHOLE)) == (Ruling.PASS, Reason.DOUBT)
    broken = RELEASE_ALL.model_copy(update={"doubt": Treatment.RELEASE})
    assert judge(unsure, broken, WHOLE).ruling is Ruling.PASS, "not by any back door"


@pytest.mark.parametrize("sound", [Sound.KNOCKS, Sound.LOUD, Sound.LONE])
def test_what_pockets_make_as_well_is_doubt_in_a_call_in_a_clip_if_belief_agrees(
    sound: Sound,
) -> None:
    clip = RELEASE_ALL.model_copy(update={"release_below": 0.5})
    hint = hearing(sound, confidence=0.4)
    for frames, believed, reason in (
        (449, 0.3, Reason.DOUBT),
        (449, 0.29, Reason.NOISE),
        (450, 0.01, Reason.DOUBT),
    ):
        heard = replace(hint, frames=frames, person=believed)
        verdict = judge(heard, clip, replace(WHOLE, expected_frames=frames))
        assert verdict.reason is reason
    assert judge(replace(STREET, person=0.49), clip, WHOLE).reason is Reason.NOISE
    surely = hearing(sound, confidence=0.6)
    assert judge(replace(surely, person=0.1), RELEASE_ALL, WHOLE).reason is Reason.DOUBT


def test_a_clip_is_judged_where_the_belief_is_calibrated_and_a_call_is_not() -> None:
    """What `evaluate` counts: a last look at 0.3 let a sixth of the ghosts through, so
    it told of 73 pockets in a hundred, not of 90. No city can declare such a policy."""
    clip = RELEASE_ALL.model_copy(update={"release_below": 0.5})
    for frames, believed, is_released in (
        (449, 0.49, True),
        (449, 0.5, False),
        (450, 0.29, True),
        (450, 0.3, False),
    ):
        heard = replace(STREET, frames=frames, person=believed)
        verdict = judge(heard, clip, replace(WHOLE, expected_frames=frames))
        assert (verdict.ruling is Ruling.RELEASE) is is_released


def test_a_city_may_lower_the_line_below_which_nobody_is_there() -> None:
    hint = replace(STREET, person=0.29)
    assert judge(hint, RELEASE_ALL, WHOLE).ruling is Ruling.RELEASE
    careful = RELEASE_ALL.model_copy(update={"release_below": 0.25})
    assert told(judge(hint, careful, WHOLE)) == (Ruling.LOW_PRIORITY, Reason.DOUBT)


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (replace(QUIET, loudest_dbfs=-57.9), Reason.NOISE),  # 6.1 dB over the floor
        (replace(QUIET, loudest_dbfs=-58.0), Reason.SILENT),
        # steady, but loud enough to hide a whisper
        (replace(QUIET, floor_dbfs=-47.0, loudest_dbfs=-46.0), Reason.NOISE),
        (replace(QUIET, floor_dbfs=-96.0, loudest_dbfs=-61.0), Reason.SILENT),  # gated
        (replace(QUIET, floor_dbfs=-96.0, loudest_dbfs=-59.0), Reason.NOISE),
    ],
)
def test_silence_is_claimed_only_when_nothing_rose(
    evidence: Evidence, reason: Reason
) -> None:
    assert judge(evidence, RELEASE_ALL, WHOLE).reason is reason


@pytest.mark.parametrize(
    ("evidence", "context", "reason", "said"),
    [
        (QUIET, Context(900, is_repeat=True), Reason.REPEAT_CALLER, "a moment ago"),
        (QUIET, Context(900, error="audio lost"), Reason.ERROR, "error: audio lost"),
        (NOTHING, Context(900), Reason.NO_MEDIA, "only 0 of 900 frames"),
        (QUIET, Context(1200), Reason.NO_MEDIA, "only 900 of 1200 frames"),
        (replace(QUIET, frames=99), Context(99), Reason.NO_MEDIA, "only 99 of 99"),
    ],
)
def test_rules_above_every_policy(
    evidence: Evidence, context: Context, reason: Reason, said: str
) -> None:
    verdict = judge(evidence, RELEASE_ALL, context)
    assert told(verdict) == (Ruling.PASS, reason)
    assert said in verdict.because
    assert verdict.confidence == 1.0


def test_after_one_prompt_who_gave_no_sign_is_asked_again() -> None:
    once = Context(900, asked=1)
    for evidence in (QUIET, STREET, NOTHING, replace(STREET, person=0.6)):
        verdict = judge(evidence, RELEASE_ALL, once)
        assert verdict.ruling is Ruling.SECOND_PROMPT
    for context in (replace(once, error="x"), replace(once, is_repeat=True)):
        assert judge(QUIET, RELEASE_ALL, context).ruling is Ruling.PASS


@pytest.mark.parametrize("asked", [1, 2])
def test_an_idle_operator_takes_what_is_not_clear_at_once(asked: int) -> None:
    idle = Context(900, asked=asked, idle_operators=1)
    for unclear in (replace(STREET, person=0.6), replace(STREET, voices=0.7)):
        taken = judge(unclear, RELEASE_ALL, idle)
        assert told(taken) == (Ruling.PASS, Reason.IDLE_OPERATOR)
        assert taken.because.endswith("no key; operators idle: 1")
        usual = RELEASE_ALL.model_copy(update={"when_idle": WhenIdle.AS_USUAL})
        assert judge(unclear, usual, idle).ruling is not Ruling.PASS
        for nobody in (0, None):
            busy = replace(idle, idle_operators=nobody)
            assert judge(unclear, RELEASE_ALL, busy).ruling is not Ruling.PASS
    clear = judge(QUIET, RELEASE_ALL, idle)
    assert clear.ruling is (Ruling.RELEASE if asked == 2 else Ruling.SECOND_PROMPT)
    assert told(judge(NOTHING, RELEASE_ALL, idle)) == (Ruling.PASS, Reason.NO_MEDIA)


def test_a_spent_budget_lets_everybody_through() -> None:
    over = judge(QUIET, RELEASE_ALL, replace(WHOLE, releases_left=0))
    assert told(over) == (Ruling.LOW_PRIORITY, Reason.BUDGET)
    assert over.because.endswith("drop budget spent")
    assert (
        judge(QUIET, RELEASE_ALL, replace(WHOLE, releases_left=1)).ruling
        is Ruling.RELEASE
    )


@pytest.mark.parametrize("mode", [Mode.ON, Mode.SHADOW])
def test_who_called_a_moment_ago_waits_where_others_would_be_released(
    mode: Mode,
) -> None:
    """Not cut off a second time; and no measure of a release, which it never is."""
    again = Context(900, has_called=True, is_holdout=True, releases_left=0, mode=mode)
    verdict = judge(QUIET, RELEASE_ALL, again)
    assert told(verdict) == (Ruling.LOW_PRIORITY, Reason.REPEAT_CALLER)
    assert verdict.because.endswith("; no key; called a moment ago")
    assert not verdict.is_holdout
    assert not verdict.is_shadow
    usual = judge(STREET, Policy(noise=Treatment.OPERATOR), again)
    assert told(usual) == (Ruling.PASS, Reason.NOISE)


@pytest.mark.parametrize(
    "no_number",
    [
        {"person": math.nan},
        {"voices": math.nan},
        {"loudest_dbfs": math.nan},
        {"floor_dbfs": math.nan},
        {"voices": -math.inf},
    ],
)
def test_what_is_no_number_releases_nobody(no_number: dict[str, float]) -> None:
    for line in (QUIET, STREET):
        verdict = judge(replace(line, **no_number), RELEASE_ALL, WHOLE)
        assert verdict.ruling is Ruling.PASS


@pytest.mark.parametrize(
    ("reason", "evidence", "context"),
    [
        pytest.param(Reason.DOUBT, STREET, WHOLE, id="reason"),
        pytest.param(Reason.NOISE, STREET, replace(WHOLE, key="5"), id="key"),
        pytest.param(Reason.NOISE, STREET, replace(WHOLE, error="x"), id="error"),
        pytest.param(Reason.NOISE, STREET, replace(WHOLE, is_repeat=True), id="repeat"),
        pytest.param(
            Reason.NOISE, STREET, replace(WHOLE, has_called=True), id="called"
        ),
        pytest.param(Reason.NOISE, STREET, replace(WHOLE, asked=1), id="asked once"),
        pytest.param(Reason.NOISE, STREET, Context(1200), id="no media"),
        pytest.param(Reason.NOISE, replace(STREET, person=0.3), WHOLE, id="belief"),
        pytest.param(
            Reason.NOISE, replace(STREET, floor_dbfs=-20.0), WHOLE, id="too loud"
        ),
        pytest.param(
            Reason.NOISE, hearing(Sound.LONE, confidence=0.4), WHOLE, id="hint"
        ),
    ],
)
def test_the_last_look_stands_by_itself(
    reason: Reason, evidence: Evidence, context: Context
) -> None:
    """Were the reason mistaken, no rule above every policy leans on it."""
    assert _is_releasable(Reason.NOISE, STREET, WHOLE)
    assert not _is_releasable(reason, evidence, context)


def test_the_clearest_sign_is_the_reason_and_people_are_told_first() -> None:
    sounds = {
        Sound.FAX: 0.99,
        Sound.WHISPER: 0.92,
        Sound.CRY: 0.97,
        Sound.KNOCKS: 0.4,
        Sound.ECHO: 1.0,
    }
    heard = tuple(Heard(s, 0, 50, -31.0, 14.0, sure) for s, sure in sounds.items())
    verdict = judge(replace(STREET, heard=heard), RELEASE_ALL, WHOLE)
    assert verdict.reason is Reason.CRY
    words = [part.split(" 1.0 s")[0] for part in verdict.because.split(", ")]
    assert [w for w in words if not w[0].isdigit() and "from" not in w] == [
        "crying or screaming",
        "whisper",
        "knocks or coughs",
    ]


def test_a_holdout_waits_where_the_policy_says_and_keeps_its_reason() -> None:
    drawn = replace(WHOLE, is_holdout=True)
    verdict = judge(QUIET, RELEASE_ALL, drawn)
    assert told(verdict) == (Ruling.LOW_PRIORITY, Reason.SILENT)
    assert verdict.is_holdout
    first = RELEASE_ALL.model_copy(update={"holdout": Treatment.OPERATOR})
    assert judge(QUIET, first, drawn).ruling is Ruling.PASS
    assert not judge(hearing(Sound.CRY), RELEASE_ALL, drawn).is_holdout
    over = judge(QUIET, RELEASE_ALL, replace(drawn, releases_left=0))
    assert not over.is_holdout, "it would not have been released"


def test_in_the_shadow_it_decides_and_releases_nobody() -> None:
    verdict = judge(QUIET, RELEASE_ALL, replace(WHOLE, mode=Mode.SHADOW))
    assert told(verdict) == (Ruling.PASS, Reason.SILENT)
    assert verdict.is_shadow
    voice = judge(
        hearing(Sound.NEAR_VOICE), RELEASE_ALL, replace(WHOLE, mode=Mode.SHADOW)
    )
    assert not voice.is_shadow


@pytest.mark.parametrize("asked", [1, 2])
def test_switched_off_everybody_passes(asked: int) -> None:
    off = Context(900, mode=Mode.OFF, asked=asked)
    assert told(judge(QUIET, RELEASE_ALL, off)) == (Ruling.PASS, Reason.OFF)
    assert judge(hearing(Sound.CRY), RELEASE_ALL, off).reason is Reason.CRY


NO_NUMBER = st.just(math.nan)
LEVELS = st.floats(-96, 0)
BELIEF = st.floats(0, 1)
HEARD = st.builds(
    Heard,
    sound=st.sampled_from(Sound),
    from_frame=st.integers(0, 999),
    frames=st.integers(0, 999),
    dbfs=LEVELS,
    over_floor_db=st.floats(-20, 90),
    confidence=BELIEF,
    detail=st.sampled_from(["", "5"]),
)
EVIDENCE = st.builds(
    Evidence,
    frames=st.integers(0, 2000),
    heard=st.lists(HEARD, max_size=3, unique_by=lambda heard: heard.sound).map(tuple),
    person=BELIEF | NO_NUMBER,
    voices=BELIEF | NO_NUMBER,
    loudest_dbfs=LEVELS | NO_NUMBER,
    floor_dbfs=LEVELS | NO_NUMBER,
)
POLICIES = st.builds(
    Policy,
    mode=st.sampled_from(Mode),
    silent=st.sampled_from(Treatment),
    noise=st.sampled_from(Treatment),
    distant=st.sampled_from(Treatment),
    doubt=st.sampled_from([Treatment.LOW_PRIORITY, Treatment.OPERATOR]),
    when_idle=st.sampled_from(WhenIdle),
    release_below=st.floats(0.01, 0.3),
    holdout=st.sampled_from([Treatment.LOW_PRIORITY, Treatment.OPERATOR]),
)
CONTEXTS = st.builds(
    Context,
    expected_frames=st.integers(0, 2000),
    key=st.none() | st.sampled_from("0123456789*#"),
    is_repeat=st.booleans(),
    has_called=st.booleans(),
    error=st.none() | st.text(max_size=5),
    asked=st.integers(0, 3),
    idle_operators=st.none() | st.integers(0, 3),
    releases_left=st.none() | st.integers(-2, 3),
    is_holdout=st.booleans(),
    mode=st.sampled_from(Mode),
)


@settings(max_examples=400)
@given(EVIDENCE, POLICIES, CONTEXTS)
def test_nobody_else_can_be_released(
    evidence: Evidence, policy: Policy, context: Context
) -> None:
    _hold(evidence, policy, context)


@settings(max_examples=200)
@given(EVIDENCE, POLICIES)
def test_nobody_else_can_be_released_when_nothing_but_sound_speaks(
    evidence: Evidence, policy: Policy
) -> None:
    """Most drawn contexts forbid a release; here only the evidence can."""
    ghostly = replace(evidence, frames=900, person=evidence.person / 2)
    _hold(ghostly, policy, WHOLE)


def _hold(evidence: Evidence, policy: Policy, context: Context) -> None:
    verdict = judge(evidence, policy, context)
    assert verdict.because
    assert 0 <= verdict.confidence <= 1 or math.isnan(verdict.confidence)
    if verdict.ruling is Ruling.SECOND_PROMPT:
        assert context.asked < 2
    if verdict.is_holdout or verdict.is_shadow:
        assert verdict.reason in RELEASABLE
        assert verdict.ruling in (Ruling.PASS, Ruling.LOW_PRIORITY)
    if verdict.ruling is not Ruling.RELEASE:
        return
    allowed = {
        Reason.SILENT: policy.silent,
        Reason.NOISE: policy.noise,
        Reason.ECHO: policy.noise,
        Reason.MACHINE: policy.noise,
        Reason.DISTANT: policy.distant,
    }
    assert allowed[verdict.reason] is Treatment.RELEASE
    assert context.mode is Mode.ON
    assert context.key is None
    assert context.error is None
    assert not context.is_repeat
    assert not context.has_called
    assert not context.is_holdout
    assert not math.isnan(evidence.loudest_dbfs + evidence.floor_dbfs)
    assert context.releases_left is None or context.releases_left > 0
    assert context.asked >= 2
    assert evidence.frames >= 0.8 * context.expected_frames
    assert evidence.frames >= 100
    assert evidence.person < policy.release_below <= 0.3
    for heard in evidence.heard:
        if heard.sound in PERSON:
            assert evidence.frames < 450
            assert heard.sound in (Sound.KNOCKS, Sound.LOUD, Sound.LONE)
            assert heard.confidence < 0.5
            assert evidence.person < 0.3
    if verdict.reason is not Reason.DISTANT:
        assert evidence.voices < 0.5
