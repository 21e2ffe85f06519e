"""One caller between the thinking rooms.

Frames go to the ghost filter, its signals and the caller's keys to the flow, the flow's
commands to the audio line.

Everything happens inside the loop's callbacks, without a task or a queue of its own: a
key reaches the flow in the turn of the loop in which it arrived.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from agi.audiosocket import AudioLine, Ear
from agi.facts import KeyPressed, PromptHeard
from agi.frames import FRAME_SECONDS
from agi.in_force import Prompt
from agi.kept_audio import Tape
from ghostfilter.detector import Detector
from ghostfilter.evidence import Evidence
from ghostfilter.signals import Heard, Sound
from ghostfilter.verdict import ASKED_ENOUGH, SURE
from ivr.engine import (
    Advised,
    AudioLost,
    CallerHungUp,
    Digit,
    Engine,
    Event,
    Finish,
    Outcome,
    Play,
    PromptEnded,
    Started,
    StartTimer,
    StopPrompt,
    TimerFired,
    VoiceHeard,
)
from ivr.flow import Flow

_log = logging.getLogger(__name__)

CONNECT_SECONDS = 2.5
"""Asterisk itself gives up connecting after 2 s (MAX_CONNECT_TIMEOUT_MSEC)."""

LEAST_PROMPT_SECONDS = 0.5
"""No question is shorter; the dialplan thinks the same of the goodbye."""

_ENDED: dict[Outcome | None, str] = {Outcome.KEY: "key", Outcome.VOICE: "voice"}


class Listening(Ear):
    """One call's ear; `outcome` waits for the flow's end."""

    def __init__(
        self,
        flow: Flow,
        prompt: Callable[[str], Prompt],
        needs_human: Callable[[Listening], bool] = lambda _: False,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._engine = Engine(flow)
        self._prompt = prompt
        self._needs_human = needs_human
        self._detector = Detector()
        self._line: AudioLine | None = None
        self._connected_at: float | None = None
        self._finished_at: float | None = None
        self._outcome: asyncio.Future[Outcome] = self._loop.create_future()
        self._is_person = False
        self._playing: tuple[str, int, int] | None = None
        self._frames = 0
        self._timer = self._loop.call_later(CONNECT_SECONDS, self.audio_ended)
        self.prompts: list[PromptHeard] = []
        self.keys: list[KeyPressed] = []
        self.error: str | None = None
        self.tape = Tape()

    async def outcome(self, deadline_seconds: float) -> Outcome:
        """How the flow ended; after the deadline, as if the audio were lost."""
        try:
            async with asyncio.timeout(deadline_seconds):
                return await asyncio.shield(self._outcome)
        except TimeoutError:
            self.error = f"undecided after {deadline_seconds:g} s"
            self._handle(AudioLost())
            return Outcome.AUDIO_LOST
        finally:
            self._timer.cancel()

    @property
    def key(self) -> str | None:
        """The first key whose event came; one heard as a tone is in the evidence."""
        return next((k.digit for k in self.keys if k.source == "event"), None)

    @property
    def evidence(self) -> Evidence:
        """What was heard. Who was there once, is: the filter's word of it stands."""
        evidence = self._detector.evidence()
        if self._is_person and evidence.person < SURE:
            return replace(evidence, person=SURE)
        return evidence

    @property
    def asked(self) -> int:
        """How many prompts the caller was asked by.

        One that is missing, or too short to say anything, asks nobody; nor does one
        that never came to its end, because Asterisk did not take it.
        """
        playing = [] if self._playing is None else [self._playing[0]]
        ended = [prompt.name for prompt in self.prompts if prompt.ended == "end"]
        lengths = [self._prompt(name).seconds for name in (*ended, *playing)]
        return sum(seconds >= LEAST_PROMPT_SECONDS for seconds in lengths)

    @property
    def lasted_ms(self) -> int:
        """How long we listened, until the flow's end."""
        return self._ms(self._finished_at or self._loop.time())

    @property
    def expected_frames(self) -> int:
        """How many frames a caller with media would have sent."""
        return int(self.lasted_ms / 1000 / FRAME_SECONDS)

    def connect(self, line: AudioLine) -> None:
        """The caller's audio is here: begin."""
        self._line = line
        self._connected_at = self._loop.time()
        self._log("audio connected")
        self._loop.call_soon(self._handle, Started())

    def end_audio(self) -> None:
        """Give the call back to the dialplan."""
        if self._line is not None:
            self._line.end()

    def close(self) -> None:
        """Let go of everything: no timer, no audio connection stays behind."""
        self._timer.cancel()
        self._outcome.cancel()
        if self._line is not None:
            self._line.abort()

    def caller_left(self) -> None:
        """Asterisk says the caller has hung up, or was taken elsewhere."""
        self._handle(CallerHungUp())

    # -- Ear

    def hear(self, frame: bytes) -> None:
        """20 ms of the caller."""
        if self._finished_at is not None:
            return
        self._frames += 1
        self.tape.hear(frame)
        try:
            heard = self._detector.push(frame)
        except Exception as error:  # noqa: BLE001 - per call: logged, and to a human
            self._filter_failed(error)
            return
        if heard is not None:
            self._noticed(heard)

    def press(self, key: str) -> None:
        """Any key; the first also when the flow has just ended: nobody judged yet."""
        if self._finished_at is None or not self.keys:
            self.keys.append(KeyPressed(key, self._ms(self._loop.time())))
            self._handle(Digit(key))

    def prompt_ended(self) -> None:
        """The prompt was played."""
        if self._playing is not None:
            name, _, _ = self._playing
            self._note_prompt("end")
            self._tell_filter(None)
            self._handle(PromptEnded(name))

    def audio_ended(self) -> None:
        """The audio connection is gone, or never came."""
        if self._finished_at is None:
            self.error = "audio lost" if self._line else "audio not connected"
        self._line = None
        self._handle(AudioLost())

    def _noticed(self, heard: Heard) -> None:
        """Somebody is there."""
        self._is_person = True
        if heard.sound is Sound.KEY_TONE and heard.detail:
            at_ms = self._ms(self._loop.time())
            self.keys.append(KeyPressed(heard.detail, at_ms, source="audio"))
            self._handle(Digit(heard.detail))
        else:
            self._handle(VoiceHeard())

    def _tell_filter(self, sent: bytes | None) -> None:
        """What is sent to the caller from now on, so that its echo is no voice."""
        try:
            if sent is None:
                self._detector.prompt_stopped()
            else:
                self._detector.prompt_started(sent)
        except Exception as error:  # noqa: BLE001 - per call: logged, and to a human
            self._filter_failed(error)

    def _filter_failed(self, error: Exception) -> None:
        """Called in an except clause: logged, and to a human."""
        _log.exception("the ghost filter failed")
        self.error = f"{type(error).__name__} in the ghost filter"
        self._handle(AudioLost())

    # -- the flow's commands

    def _handle(self, event: Event) -> None:
        for command in self._engine.handle(event):
            match command:
                case Play(name):
                    self._play(name)
                case StopPrompt():
                    self._stop()
                case StartTimer(name, seconds):
                    self._timer.cancel()
                    fired = TimerFired(name)
                    self._timer = self._loop.call_later(seconds, self._time_up, fired)
                case Finish(outcome):
                    self._finish(outcome)
                case _:
                    assert_never(command)

    def _time_up(self, fired: TimerFired) -> None:
        """The flow would go on; the filter may think that a human should look now."""
        try:
            is_advised = self._needs_human(self)
        except Exception as error:  # noqa: BLE001 - per call: logged, and to a human
            self._filter_failed(error)
            return
        self._handle(Advised() if is_advised else fired)

    def _play(self, name: str) -> None:
        self._playing = (name, self._ms(self._loop.time()), self._frames)
        if self._line is not None:
            prompt = self._prompt(name)
            self._line.play(prompt.wire)
            self._tell_filter(prompt.pcm)

    def _stop(self) -> None:
        if self._playing is not None:
            self._note_prompt(_ENDED.get(self._engine.outcome, "caller"))
            if self._engine.outcome is None:
                self._tell_filter(None)
        if self._line is not None:
            self._line.stop()

    def _finish(self, outcome: Outcome) -> None:
        self._timer.cancel()
        self._finished_at = self._loop.time()
        if outcome is Outcome.NO_INPUT and self.asked < ASKED_ENOUGH:
            self.error = f"asked {self.asked} of {ASKED_ENOUGH} times"
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    def _note_prompt(self, ended: str) -> None:
        assert self._playing is not None  # noqa: S101 - looked at by both callers
        name, at_ms, from_frame = self._playing
        self._playing = None
        length_ms = int(self._prompt(name).seconds * 1000)
        heard_ms = min(self._ms(self._loop.time()) - at_ms, length_ms)
        self.prompts.append(
            PromptHeard(name, at_ms, heard_ms, ended, from_frame, self._frames)
        )
        self._log("prompt %s heard_ms=%d ended=%s", name, heard_ms, ended)

    def _log(self, message: str, *values: object) -> None:
        """Log under the call's id: the loop's callbacks know nothing of the call."""
        self._context.run(_log.info, message, *values)

    def _ms(self, at: float) -> int:
        return (
            0 if self._connected_at is None else int((at - self._connected_at) * 1000)
        )
