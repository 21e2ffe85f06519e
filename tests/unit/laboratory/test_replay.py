"""Stored calls played again: what would be otherwise, and was it a valid call?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agi.facts import KeyPressed, PromptHeard
from agi.kept_audio import KeptCall, write
from ghostfilter.verdict import Context, Verdict
from pbx.laboratory.kept import KeptError, KeptPrompt, frames_of, read_kept, stored
from pbx.laboratory.replay import (
    Again,
    Rules,
    Tally,
    Truth,
    replay_files,
    truth_of,
)
from pbx.laboratory.replay_report import UNKNOWN, as_data, as_lines
from pbx.model.call import Disposition
from pbx.model.figures import FieldCall
from pbx.model.policy import Mode, Policy, Treatment
from pbx.model.review import Review
from pbx.model.verdict import Reason, Ruling
from tests.unit.ghostfilter.sounds import noise, silence, vowel

AT = datetime(2026, 11, 20, 23, 59, 30, tzinfo=UTC)
RELEASING = Policy(silent=Treatment.RELEASE, noise=Treatment.RELEASE)
CAREFUL = Policy(silent=Treatment.LOW_PRIORITY, noise=Treatment.LOW_PRIORITY)
GREETING = vowel(2.0)
PROMPTS = (PromptHeard("greeting", 20, 2000, "end"), PromptHeard("again", 5000, 0, ""))


def keep(
    folder: Path,
    call_id: str,
    pcm: bytes,
    *,
    ruling: Ruling = Ruling.RELEASE,
    reason: Reason = Reason.SILENT,
    keys: Sequence[KeyPressed] = (),
    asked: int = 2,
    at: datetime = AT,
    flow: str = "filter0",
    is_holdout: bool = False,
    is_shadow: bool = False,
    releases_left: int | None = None,
) -> Path:
    """Store a call as the intake does; returns its JSON."""
    call = KeptCall(
        call_id=call_id,
        at=at,
        number="112",
        flow=flow,
        prompts=PROMPTS,
        keys=keys,
        verdict=Verdict(
            *(ruling, reason, "silence"), is_holdout=is_holdout, is_shadow=is_shadow
        ),
        context=Context(
            expected_frames=len(pcm) // 320,
            asked=asked,
            is_holdout=is_holdout,
            releases_left=releases_left,
        ),
        pcm=pcm,
    )
    return write(folder, call).with_suffix(".json")


def replay(
    folder: Path, policy: Policy, truths: dict[str, Truth] | None = None
) -> Tally:
    rules = Rules({"filter0": policy}, {"greeting": GREETING}.get, truths=truths or {})
    tally = Tally()
    files = stored(folder)
    assert list(replay_files(files, rules, tally)) == files
    return tally


def only(tally: Tally) -> Again:
    (again,) = tally.otherwise
    return again


def test_the_same_policy_changes_nothing(tmp_path: Path) -> None:
    keep(tmp_path, "kediri-1-1.1", silence(8))
    tally = replay(tmp_path, RELEASING)
    assert tally.calls == 1
    assert tally.moves == {(Ruling.RELEASE, Ruling.RELEASE): 1}
    assert not tally.otherwise
    assert "No valid call would be released." in as_lines(tally)


def test_a_kinder_policy_releases_fewer(tmp_path: Path) -> None:
    keep(tmp_path, "kediri-1-1.1", silence(8))
    again = only(replay(tmp_path, CAREFUL))
    assert (again.old, again.new) == (Ruling.RELEASE, Ruling.LOW_PRIORITY)
    assert not again.is_lost


def test_a_stricter_policy_would_lose_a_valid_call(tmp_path: Path) -> None:
    noisy = noise(8, -46)
    keep(tmp_path, "lost", noisy, ruling=Ruling.LOW_PRIORITY, reason=Reason.NOISE)
    keep(tmp_path, "ghost", noisy, ruling=Ruling.LOW_PRIORITY, reason=Reason.NOISE)
    tally = replay(tmp_path, RELEASING, {"lost": Truth.CONNECTED})
    assert [again.call_id for again in tally.otherwise] == ["ghost", "lost"]
    assert [again.call_id for again in tally.lost] == ["lost"]
    text = "\n".join(as_lines(tally))
    assert "1 VALID CALLS WOULD BE RELEASED NOW" in text
    assert text.index("lost: low-priority") < text.index("ghost: low-priority")
    assert "CONNECTED" in text
    data = json.loads(json.dumps(as_data(tally)))
    assert data["valid_calls_released"] == 1
    assert data["moves"] == [{"from": "low-priority", "to": "release", "n": 2}]


def test_a_person_released_then_is_heard_now(tmp_path: Path) -> None:
    keep(tmp_path, "heard", silence(4) + vowel(1.5) + silence(2))
    again = only(replay(tmp_path, RELEASING, {"heard": Truth.PERSON}))
    assert (again.new, again.new_reason) == (Ruling.PASS, Reason.VOICE)
    assert 4000 < again.decided_ms < 5500


def test_a_person_who_would_be_released_once_more_is_told(tmp_path: Path) -> None:
    keep(tmp_path, "unheard", silence(8))
    tally = replay(tmp_path, RELEASING, {"unheard": Truth.PERSON})
    assert [again.call_id for again in tally.again] == ["unheard"]
    text = "\n".join(as_lines(tally))
    assert "1 people would be released once more." in text
    assert UNKNOWN in text


@pytest.mark.parametrize(
    "luck",
    [
        {"is_holdout": True},
        {"is_shadow": True},
        {
            "ruling": Ruling.LOW_PRIORITY,
            "reason": Reason.BUDGET,
            "releases_left": 0,
        },
    ],
)
@pytest.mark.parametrize("mode", [Mode.ON, Mode.SHADOW])
def test_whom_luck_spared_the_rule_would_lose(
    tmp_path: Path, luck: dict[str, Any], mode: Mode
) -> None:
    """The lot draws would-be releases to measure the filter: a holdout who was a person
    is what it is for. He passed then, and passed in the replay by the same lot."""
    keep(tmp_path, "spared", silence(8), **({"ruling": Ruling.PASS} | luck))
    keep(tmp_path, "pocket", silence(8), **({"ruling": Ruling.PASS} | luck))
    policy = RELEASING.model_copy(update={"mode": mode})
    tally = replay(tmp_path, policy, {"spared": Truth.VALID})
    assert tally.moves == {(Ruling.RELEASE, Ruling.RELEASE): 2}
    assert not tally.otherwise
    assert [again.call_id for again in tally.again] == ["spared"]
    text = "\n".join(as_lines(tally))
    assert ", spared)" in text
    assert "1 people would be released once more." in text
    assert ("2 are of flows that only watch now" in text) is (mode is Mode.SHADOW)
    kinder = replay(tmp_path, CAREFUL, {"spared": Truth.VALID})
    assert kinder.moves == {(Ruling.RELEASE, Ruling.LOW_PRIORITY): 2}
    assert as_data(kinder)["calls_otherwise"][0]["spared"]


@pytest.mark.parametrize(
    ("said", "review", "talk_seconds", "truth"),
    [
        ("valid", Review.NOBODY, 12.0, Truth.VALID),
        ("information", Review.UNREVIEWED, 5.0, Truth.VALID),
        (None, Review.NOBODY, 60.0, Truth.VALID),
        ("prank", Review.UNREVIEWED, 60.0, Truth.PERSON),
        ("ghost", Review.PERSON, 2.0, Truth.PERSON),
        ("ghost", Review.UNREVIEWED, 60.0, None),
        (None, Review.NOBODY, 2.0, None),
        (None, Review.UNSURE, 2.0, Truth.CONNECTED),
        (None, Review.UNREVIEWED, None, None),
    ],
)
def test_what_is_known_of_a_caller(
    said: str | None, review: Review, talk_seconds: float | None, truth: Truth | None
) -> None:
    is_connected = talk_seconds is not None
    call = FieldCall(
        call_id="kediri-1-1.1",
        at=AT,
        disposition=Disposition.CONNECTED if is_connected else Disposition.ABANDONED,
        is_answered=True,
        said=said,
        talk_seconds=talk_seconds,
        review=review,
    )
    assert truth_of(call) is truth


def test_a_key_passes_and_one_heard_as_a_tone_is_left_to_the_detector(
    tmp_path: Path,
) -> None:
    key = KeyPressed("0", 3000)
    keep(tmp_path, "key", silence(3), ruling=Ruling.PASS, reason=Reason.KEY, keys=[key])
    tone = KeyPressed("5", 3000, source="audio")
    keep(tmp_path, "tone", silence(8), ruling=Ruling.PASS, keys=[tone])
    tally = replay(tmp_path, RELEASING)
    assert tally.reasons[Reason.KEY, Reason.KEY] == 1
    assert only(tally).call_id == "tone"


def test_who_was_asked_once_may_be_asked_again(tmp_path: Path) -> None:
    early = {"ruling": Ruling.PASS, "reason": Reason.IDLE_OPERATOR}
    keep(tmp_path, "idle", silence(5), asked=1, **early)  # type: ignore[arg-type]
    tally = replay(tmp_path, RELEASING)
    assert tally.asked_again == 1
    assert "asked once more" in "\n".join(as_lines(tally))


def test_the_kill_switch_of_those_days_does_not_count(tmp_path: Path) -> None:
    keep(tmp_path, "shadow", silence(8), ruling=Ruling.PASS, reason=Reason.SHADOW)
    assert only(replay(tmp_path, RELEASING)).new is Ruling.RELEASE
    off = RELEASING.model_copy(update={"mode": Mode.OFF})
    assert not replay(tmp_path, off).otherwise


def test_prompts_are_where_the_filter_heard_them() -> None:
    by_clock = KeptPrompt(name="again", at_ms=5010, heard_ms=90)
    assert by_clock.span == (251, 255)
    counted = by_clock.model_copy(update={"from_frame": 246, "to_frame": 250})
    assert counted.span == (246, 250)


def test_a_prompt_that_is_gone_is_told(tmp_path: Path) -> None:
    keep(tmp_path, "old", silence(8))
    rules = Rules({"filter0": RELEASING}, lambda _: None)
    tally = Tally()
    list(replay_files(stored(tmp_path), rules, tally))
    assert tally.lacking_prompts == 1
    assert "without a prompt" in "\n".join(as_lines(tally))


def test_since_leaves_out_what_is_older(tmp_path: Path) -> None:
    keep(tmp_path, "old", silence(8), at=AT - timedelta(days=2))
    keep(tmp_path, "late", silence(8), at=AT)
    keep(tmp_path, "new", silence(8), at=AT + timedelta(hours=1))
    (tmp_path / "not-a-day0").mkdir()
    since = AT + timedelta(seconds=1)
    files = stored(tmp_path, since)
    assert [path.stem for path in files] == ["late", "new"]
    rules = Rules({"filter0": RELEASING}, lambda _: None, since=since)
    tally = Tally()
    list(replay_files(files, rules, tally))
    assert tally.calls == 1


def test_damaged_calls_are_named_and_left_out(tmp_path: Path) -> None:
    keep(tmp_path, "good", silence(8))
    no_json = keep(tmp_path, "no-json", silence(8))
    no_json.write_text('{"call_id": "no-json"')
    short = keep(tmp_path, "short", silence(8)).with_suffix(".wav")
    short.write_bytes(short.read_bytes()[:5000])
    keep(tmp_path, "gone", silence(8)).with_suffix(".wav").unlink()
    keep(tmp_path, "other", silence(8), flow="filter9")
    riff = keep(tmp_path, "riff", silence(8)).with_suffix(".wav")
    riff.write_bytes(b"RIFF" + bytes(60))
    tally = replay(tmp_path, RELEASING)
    assert tally.calls == 1
    told = "\n".join(tally.damaged)
    for name in ("no-json.json", "short.wav", "gone.wav", "other.json", "riff.wav"):
        assert name in told
    assert "no flow 'filter9'" in told
    assert "ends after 0.3 s" in told
    assert "5 not played:" in as_lines(tally)


def test_other_audio_is_refused(tmp_path: Path) -> None:
    import wave

    path = keep(tmp_path, "wide", silence(1))
    with wave.open(str(path.with_suffix(".wav")), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(640))
    with pytest.raises(KeptError, match="16000 Hz, 2 channel"):
        list(frames_of(path))
    with pytest.raises(KeptError, match="No such file"):
        read_kept(tmp_path / "nothing.json")
