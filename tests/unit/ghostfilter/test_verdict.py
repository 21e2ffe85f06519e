"""Verdicts: readable reasons, and three rules no policy can switch off."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostfilter.detector import LOWEST_DBFS, Evidence
from ghostfilter.verdict import Context, Policy, judge
from pbx.model.city import SilentPolicy
from pbx.model.verdict import Reason, Ruling

QUIET = Evidence(
    frames=900,
    has_voice=False,
    voice_from_frame=None,
    longest_voice_frames=0,
    voice_dbfs=None,
    loudest_dbfs=-62.0,
    floor_dbfs=-64.0,
)
VOICE = dataclasses.replace(
    QUIET,
    has_voice=True,
    voice_from_frame=60,
    longest_voice_frames=45,
    voice_dbfs=-31.0,
    loudest_dbfs=-25.0,
    floor_dbfs=-45.0,
)
TAP = dataclasses.replace(QUIET, loudest_dbfs=-30.0, longest_voice_frames=3)
NOTHING = dataclasses.replace(
    QUIET, frames=0, loudest_dbfs=LOWEST_DBFS, floor_dbfs=LOWEST_DBFS
)
RELEASE_ALL = Policy(silent=SilentPolicy.RELEASE, noise=SilentPolicy.RELEASE)
WHOLE = Context(expected_frames=900)


def test_a_voice_passes_and_says_why() -> None:
    verdict = judge(VOICE, RELEASE_ALL, WHOLE)
    assert (verdict.ruling, verdict.reason) == (Ruling.PASS, Reason.VOICE)
    assert verdict.because == (
        "voice 0.9 s at -31 dBFS, 14 dB over floor, from 1.2 s; no key"
    )


def test_a_key_passes_whatever_was_heard() -> None:
    verdict = judge(NOTHING, RELEASE_ALL, Context(expected_frames=50, key="0"))
    assert (verdict.ruling, verdict.reason) == (Ruling.PASS, Reason.KEY)
    assert verdict.because == "nothing heard; key 0"


@pytest.mark.parametrize(
    ("policy", "ruling"),
    [
        (SilentPolicy.RELEASE, Ruling.RELEASE),
        (SilentPolicy.LOW_PRIORITY, Ruling.LOW_PRIORITY),
        (SilentPolicy.OPERATOR, Ruling.PASS),
    ],
)
def test_silence_and_noise_each_follow_their_own_policy(
    policy: SilentPolicy, ruling: Ruling
) -> None:
    silent = judge(QUIET, Policy(policy, SilentPolicy.OPERATOR), WHOLE)
    assert (silent.ruling, silent.reason) == (ruling, Reason.SILENT)
    assert silent.because == "silence, floor -64 dBFS, loudest -62 dBFS; no key"
    noisy = judge(TAP, Policy(SilentPolicy.OPERATOR, policy), WHOLE)
    assert (noisy.ruling, noisy.reason) == (ruling, Reason.NOISE)
    assert noisy.because == (
        "no near voice (longest 0.06 s), loudest -30 dBFS, floor -64 dBFS; no key"
    )


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (dataclasses.replace(QUIET, loudest_dbfs=-57.9), Reason.NOISE),  # 6.1 dB over
        (dataclasses.replace(QUIET, loudest_dbfs=-58.0), Reason.SILENT),
        (
            dataclasses.replace(QUIET, floor_dbfs=-47.0, loudest_dbfs=-46.0),
            Reason.NOISE,  # steady, but loud enough to hide a whisper
        ),
        (
            dataclasses.replace(QUIET, floor_dbfs=-96.0, loudest_dbfs=-61.0),
            Reason.SILENT,  # a gated line
        ),
        (
            dataclasses.replace(QUIET, floor_dbfs=-96.0, loudest_dbfs=-59.0),
            Reason.NOISE,
        ),
    ],
)
def test_silence_is_claimed_only_when_nothing_rose(
    evidence: Evidence, reason: Reason
) -> None:
    assert judge(evidence, RELEASE_ALL, WHOLE).reason is reason


@pytest.mark.parametrize(
    ("evidence", "context", "reason", "said"),
    [
        (
            QUIET,
            Context(900, is_repeat=True),
            Reason.REPEAT_CALLER,
            "released a moment",
        ),
        (QUIET, Context(900, error="audio lost"), Reason.ERROR, "error: audio lost"),
        (NOTHING, Context(900), Reason.NO_MEDIA, "only 0 of 900 frames"),
        (QUIET, Context(1200), Reason.NO_MEDIA, "only 900 of 1200 frames"),
        (
            dataclasses.replace(QUIET, frames=99),
            Context(99),
            Reason.NO_MEDIA,
            "only 99 of 99",
        ),
    ],
)
def test_three_rules_above_every_policy(
    evidence: Evidence, context: Context, reason: Reason, said: str
) -> None:
    verdict = judge(evidence, RELEASE_ALL, context)
    assert (verdict.ruling, verdict.reason) == (Ruling.PASS, reason)
    assert said in verdict.because


LEVELS = st.floats(-96, 0)


@given(
    st.builds(
        Evidence,
        frames=st.integers(0, 2000),
        has_voice=st.booleans(),
        voice_from_frame=st.none() | st.integers(0, 2000),
        longest_voice_frames=st.integers(0, 200),
        voice_dbfs=st.none() | LEVELS,
        loudest_dbfs=LEVELS,
        floor_dbfs=LEVELS,
    ),
    st.builds(Policy, st.sampled_from(SilentPolicy), st.sampled_from(SilentPolicy)),
    st.builds(
        Context,
        expected_frames=st.integers(0, 2000),
        key=st.none() | st.sampled_from("0123456789*#"),
        is_repeat=st.booleans(),
        error=st.none() | st.text(max_size=5),
    ),
)
def test_nobody_else_can_be_released(
    evidence: Evidence, policy: Policy, context: Context
) -> None:
    verdict = judge(evidence, policy, context)
    assert verdict.because
    if verdict.ruling is Ruling.RELEASE:
        assert verdict.reason in {Reason.SILENT, Reason.NOISE}
        allowed = policy.silent if verdict.reason is Reason.SILENT else policy.noise
        assert allowed is SilentPolicy.RELEASE
        assert context.key is None
        assert context.error is None
        assert not evidence.has_voice
        assert not context.is_repeat
        assert evidence.frames >= 0.8 * context.expected_frames
        assert evidence.frames >= 100
