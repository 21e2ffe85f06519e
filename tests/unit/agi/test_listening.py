"""One caller's ear between filter and flow; faults in it end at a human."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest

from agi import frames, listening
from agi.audiosocket import AudioLine
from agi.in_force import SILENT_PROMPT, Prompt
from agi.listening import Listening
from ghostfilter.signals import Heard, Sound
from ghostfilter.verdict import SURE
from ivr.engine import Outcome
from ivr.flow import Flow, Step
from pbx.log import call_id
from tests.patience import until

PROMPT = Prompt(frames.SILENCE * 50, 1.0, bytes(16000))
FLOW = Flow((Step("greeting", 1.0, 1.0), Step("second", 1.0, 1.0)))


class Line(AudioLine):
    """A line that only notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def play(self, wire: bytes) -> None:
        self.told.append("play")

    def stop(self) -> None:
        self.told.append("stop")

    def end(self) -> None:
        self.told.append("end")

    def abort(self) -> None:
        self.told.append("abort")


async def connected() -> tuple[Listening, Line]:
    ear = Listening(FLOW, lambda _: PROMPT)
    line = Line()
    ear.connect(line)
    await asyncio.sleep(0)
    assert line.told == ["play"]
    return ear, line


async def test_a_key_ends_it() -> None:
    ear, line = await connected()
    ear.press("0")
    assert await ear.outcome(1) is Outcome.KEY
    ear.press("1")
    ear.hear(bytes(320))
    assert [key.digit for key in ear.keys] == ["0"]
    assert [(heard.name, heard.ended) for heard in ear.prompts] == [("greeting", "key")]
    assert line.told == ["play", "stop"]
    assert ear.evidence.frames == 0
    ear.end_audio()
    assert line.told == ["play", "stop", "end"]
    ear.close()
    assert line.told == ["play", "stop", "end", "abort"], "should Asterisk not close it"


async def test_a_key_before_the_verdict_counts_though_the_flow_has_ended() -> None:
    """Asterisk needs a moment to leave AudioSocket; a thumb needs no more."""
    flow = Flow((Step("greeting", 0.0, 0.01),))
    ear = Listening(flow, lambda _: PROMPT)
    ear.connect(Line())
    await asyncio.sleep(0)
    ear.prompt_ended()
    assert await ear.outcome(1) is Outcome.NO_INPUT
    ear.press("5")
    ear.press("6")
    assert ear.key == "5"
    assert [key.digit for key in ear.keys] == ["5"]
    ear.close()


async def test_the_prompt_s_end_is_noted_once() -> None:
    ear, _ = await connected()
    ear.prompt_ended()
    ear.prompt_ended()
    assert [prompt.ended for prompt in ear.prompts] == ["end"]
    ear.close()


async def test_a_prompt_counts_the_frames_it_met() -> None:
    """Fewer than the clock says where packets were lost: so a replay is exact."""
    ear, _ = await connected()
    for _ in range(3):
        ear.hear(bytes(320))
    ear.prompt_ended()
    assert [(said.from_frame, said.to_frame) for said in ear.prompts] == [(0, 3)]
    ear.close()


async def test_a_fault_in_the_filter_ends_at_a_human(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ear, _ = await connected()

    def fail(_: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ear, "_detector", SimpleNamespace(push=fail))
    ear.hear(bytes(320))
    assert await ear.outcome(1) is Outcome.AUDIO_LOST
    assert ear.error == "ZeroDivisionError in the ghost filter"
    assert "the ghost filter failed" in caplog.text


@pytest.mark.parametrize("word", ["prompt_started", "prompt_stopped"])
async def test_a_filter_that_fails_at_our_own_words_ends_at_a_human(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    def fail(*_: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(listening.Detector, word, fail)
    ear = Listening(FLOW, lambda _: PROMPT)
    ear.connect(Line())
    await asyncio.sleep(0)
    ear.prompt_ended()
    assert await ear.outcome(1) is Outcome.AUDIO_LOST
    assert ear.error == "ZeroDivisionError in the ghost filter"
    ear.close()


async def test_a_key_heard_as_a_tone_is_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    tone = Heard(Sound.KEY_TONE, 0, 5, -20.0, 40.0, 1.0, "7")
    monkeypatch.setattr(listening.Detector, "push", lambda *_: tone)
    ear, line = await connected()
    ear.hear(bytes(320))
    assert await ear.outcome(1) is Outcome.KEY
    assert [(key.digit, key.source) for key in ear.keys] == [("7", "audio")]
    assert ear.evidence.person >= SURE, "whatever the detector says afterwards"
    assert ear.key is None, "the verdict's reason is the tone, not an event"
    assert line.told == ["play", "stop"]
    ear.close()


async def test_the_filter_knows_what_we_say(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[bytes | None] = []
    monkeypatch.setattr(
        listening.Detector, "prompt_started", lambda _, pcm: said.append(pcm)
    )
    monkeypatch.setattr(
        listening.Detector, "prompt_stopped", lambda _: said.append(None)
    )
    ear, _ = await connected()
    ear.prompt_ended()
    assert said == [PROMPT.pcm, None]
    ear.close()


@pytest.mark.parametrize("is_advised", [True, False])
async def test_the_filter_may_advise_a_human_instead_of_asking_again(
    is_advised: bool,
) -> None:
    """The first wait is over: either a human now, or the second prompt."""
    asked: list[int] = []

    def needs_human(ear: Listening) -> bool:
        asked.append(ear.asked)
        return is_advised

    flow = Flow((Step("greeting", 1.0, 0.01), Step("second", 1.0, 0.01)))
    ear = Listening(flow, lambda _: PROMPT, needs_human)
    ear.connect(line := Line())
    await asyncio.sleep(0.01)
    ear.prompt_ended()
    if is_advised:
        assert await ear.outcome(1) is Outcome.ADVISED
        assert line.told == ["play", "stop"]
        assert asked == [1]
    else:
        await until(lambda: line.told == ["play", "play"])
        await asyncio.sleep(0.01)
        ear.prompt_ended()
        assert await ear.outcome(1) is Outcome.NO_INPUT
        assert asked == [1, 2]
    assert ear.error is None
    ear.close()


async def test_a_filter_that_fails_when_asked_ends_at_a_human() -> None:
    def fail(_: Listening) -> bool:
        raise ZeroDivisionError

    flow = Flow((Step("greeting", 0.0, 0.01),))
    ear = Listening(flow, lambda _: PROMPT, fail)
    ear.connect(Line())
    await asyncio.sleep(0)
    ear.prompt_ended()
    assert await ear.outcome(1) is Outcome.AUDIO_LOST
    assert ear.error == "ZeroDivisionError in the ghost filter"
    ear.close()


async def test_who_was_not_asked_twice_is_no_ghost() -> None:
    """A prompt that is missing asks nobody, so its silence proves nothing."""
    flow = Flow((Step("greeting", 0.0, 0.01), Step("second", 0.0, 0.01)))
    ear = Listening(flow, lambda name: PROMPT if name == "second" else SILENT_PROMPT)
    ear.connect(line := Line())
    await asyncio.sleep(0)
    ear.prompt_ended()
    await until(lambda: line.told == ["play", "play"])
    await asyncio.sleep(0.01)
    assert ear.asked == 1, "while the second plays"
    ear.prompt_ended()
    assert await ear.outcome(1) is Outcome.NO_INPUT
    assert ear.error == "asked 1 of 2 times"
    ear.close()


async def test_a_prompt_that_asterisk_did_not_take_asks_nobody() -> None:
    """Its timer ended it, not its end."""
    flow = Flow((Step("greeting", -0.99, 0.01), Step("second", -0.99, 0.01)))
    ear = Listening(flow, lambda _: PROMPT)
    ear.connect(line := Line())
    assert await ear.outcome(1) is Outcome.NO_INPUT
    assert line.told == ["play", "stop", "play", "stop", "stop"]
    assert [prompt.ended for prompt in ear.prompts] == ["caller", "caller"]
    assert ear.error == "asked 0 of 2 times"
    ear.close()


async def test_a_prompt_too_short_to_say_anything_asks_nobody() -> None:
    flow = Flow((Step("greeting", 0.1, 0.01), Step("second", 0.1, 0.01)))
    ear = Listening(flow, lambda _: Prompt(frames.SILENCE * 5, 0.1, bytes(1600)))
    ear.connect(line := Line())
    for told in (1, 2):
        await until(lambda told=told: line.told == ["play"] * told)  # type: ignore[misc]
        await asyncio.sleep(0.01)
        ear.prompt_ended()
    assert await ear.outcome(1) is Outcome.NO_INPUT
    assert ear.asked == 0
    assert ear.error == "asked 0 of 2 times"
    ear.close()


async def test_a_line_that_never_comes_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "CONNECT_SECONDS", 0.01)
    ear = Listening(FLOW, lambda _: PROMPT)
    assert await ear.outcome(1) is Outcome.AUDIO_LOST
    assert ear.error == "audio not connected"
    assert ear.expected_frames == 0
    ear.end_audio()
    ear.close()


async def test_a_lost_line_is_told_once() -> None:
    ear, _ = await connected()
    ear.audio_ended()
    ear.audio_ended()
    assert await ear.outcome(1) is Outcome.AUDIO_LOST
    assert ear.error == "audio lost"
    assert ear.prompts[0].ended == "caller"


async def test_a_flow_that_does_not_decide_is_cut_short() -> None:
    ear, line = await connected()
    assert await ear.outcome(0.02) is Outcome.AUDIO_LOST
    assert ear.error == "undecided after 0.02 s"
    assert line.told == ["play", "stop"]


async def test_a_caller_who_left_is_an_outcome() -> None:
    ear, _ = await connected()
    ear.caller_left()
    assert await ear.outcome(1) is Outcome.CALLER_HUNG_UP
    assert ear.error is None


async def test_cancelling_leaves_no_timer_and_no_line() -> None:
    ear, line = await connected()
    waiting = asyncio.create_task(ear.outcome(10))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    ear.close()
    assert line.told == ["play", "abort"]
    ear.caller_left()  # whatever still comes harms nothing


async def test_callbacks_log_under_the_call_s_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = call_id.set("kediri-1-1.2")
    ear = Listening(FLOW, lambda _: PROMPT)
    call_id.reset(token)
    seen = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append((record.getMessage(), call_id.get()))  # type: ignore[method-assign]
    logger = logging.getLogger("agi.listening")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        ear.connect(Line())
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        ear.close()
    assert seen == [("audio connected", "kediri-1-1.2")]
