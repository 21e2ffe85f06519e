"""Whole calls through one intake worker, by real AGI and AudioSocket connections."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agi import intake, server
from agi.server import LOOPBACK, PortTakenError, Worker
from ghostfilter.detector import Detector
from pbx.asterisk import run
from pbx.model.city import read_city
from pbx.settings import PROJECT, Settings, switch_files
from pbx.simulator.declaration import free_ports, free_run
from tests.fakes.asterisk import FRAME, Caller, CallResult, headers, place_call
from tests.patience import until

SPOKEN = {"voice", "whisper", "cry"}
"""How somebody spoke is told, too, but a synthetic voice is none of them for sure."""

GREETING_SECONDS = 1.0
SECOND_SECONDS = 0.6

RNG = np.random.default_rng(112)
COMFORT_NOISE = RNG.normal(0, 12, 160).astype("<i2").tobytes()
"""One frame at about −69 dBFS, the same each time: the quietest line there is."""


def tone(seconds: float, level: int = 8000) -> bytes:
    t = np.arange(int(8000 * seconds))
    return (level * np.sin(2 * np.pi * 440 * t / 8000)).astype("<i2").tobytes()


def write_prompt(settings: Settings, name: str, seconds: float) -> None:
    path = settings.sounds / "id" / f"{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(tone(seconds))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    text = (PROJECT / "asterisk-config" / "city.toml").read_text()
    text = text.replace("agi_port = 4573", f"agi_port = {free_ports(1)[0]}")
    text = text.replace("audiosocket_port = 4580", f"audiosocket_port = {free_run(2)}")
    text = text.replace("wait_seconds = 3.0", "wait_seconds = 1.0")
    text = text.replace("second_wait_seconds = 5.0", "second_wait_seconds = 1.0")
    text = text.replace("holdout_percent = 2.0", "holdout_percent = 0")
    city = tmp_path / "city.toml"
    city.write_text(text)
    made = Settings(state=tmp_path / "var", city_file=city, cache=tmp_path / "cache")
    write_prompt(made, "greeting", GREETING_SECONDS)
    write_prompt(made, "second-chance", SECOND_SECONDS)
    return made


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    async with serving(settings) as made:
        yield made


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Worker]:
    """A worker on its own ports, drained at the end."""
    made = Worker(settings, 0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(made.serve(drain_seconds=1.0))
        await until(lambda: can_connect(made.agi_port))
        yield made
        made.stop()
    assert made.figures.active == 0


def can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def voice(asterisk_root: run.Root) -> bytes:
    """A woman's recorded voice from Debian's prompts: "activated"."""
    folder = asterisk_root.base / "usr/share/asterisk/sounds/en_US_f_Allison"
    with wave.open(str(folder / "activated.wav"), "rb") as file:
        return file.readframes(file.getnframes())


async def test_a_key_during_the_greeting_passes_at_once(worker: Worker) -> None:
    result = await place_call(worker.agi_port, Caller(key="0", key_at_seconds=0.4))
    assert result.variables == {
        "INTAKE": "done",
        "INTAKE_WORKER": "0",
        "INTAKE_ROUTE": "queue",
        "INTAKE_QUEUE": "darurat",
        "INTAKE_PRIORITY": "10",
    }
    assert result.exec_result == 0
    verdict = result.fact("VERDICT")
    assert (verdict["verdict"], verdict["reason"]) == ("pass", "key")
    assert 380 <= int(verdict["at_ms"]) <= 700
    assert result.fact("KEY")["digit"] == "0"
    prompt = result.fact("PROMPT")
    assert (prompt["name"], prompt["ended"]) == ("greeting", "key")


async def test_any_key_counts(worker: Worker) -> None:
    result = await place_call(worker.agi_port, Caller(key="#", key_at_seconds=0.1))
    assert result.fact("KEY")["digit"] == "#"
    assert result.variables["INTAKE_ROUTE"] == "queue"


async def test_a_word_during_the_greeting_passes_at_once(
    worker: Worker, voice: bytes
) -> None:
    caller = Caller(audio=voice, audio_from_seconds=0.2)
    result = await place_call(worker.agi_port, caller)
    verdict = result.fact("VERDICT")
    assert verdict["verdict"] == "pass"
    assert verdict["reason"] in SPOKEN
    assert int(verdict["at_ms"]) < 1200
    assert verdict["evidence"].startswith("voice 0.")
    assert result.fact("PROMPT")["ended"] == "voice"
    assert result.variables["INTAKE"] == "done"


async def test_a_word_after_the_second_prompt_passes(
    worker: Worker, voice: bytes
) -> None:
    at = GREETING_SECONDS + 1.0 + SECOND_SECONDS + 0.1
    caller = Caller(audio=voice, audio_from_seconds=at)
    result = await place_call(worker.agi_port, caller)
    assert result.fact("VERDICT")["reason"] in SPOKEN
    assert [fact[1]["ended"] for fact in result.facts[:2]] == ["end", "end"]


@pytest.mark.parametrize("frame_bytes", [160, 480])
async def test_trunks_that_pack_audio_otherwise_are_heard_too(
    worker: Worker, voice: bytes, frame_bytes: int
) -> None:
    caller = Caller(audio=voice, audio_from_seconds=0.2, frame_bytes=frame_bytes)
    result = await place_call(worker.agi_port, caller)
    assert result.fact("VERDICT")["reason"] in SPOKEN


async def test_silence_to_the_end_follows_the_policy(worker: Worker) -> None:
    length = GREETING_SECONDS + 1.0 + SECOND_SECONDS + 1.0
    for result in await asyncio.gather(
        *(
            place_call(worker.agi_port, Caller(background=line))
            for line in (bytes(FRAME), COMFORT_NOISE)
        )
    ):
        assert result.variables["INTAKE"] == "done"
        assert result.variables["INTAKE_ROUTE"] == "release"
        verdict = result.fact("VERDICT")
        assert (verdict["verdict"], verdict["reason"]) == ("release", "silent")
        assert verdict["evidence"].startswith("silence, floor ")
        assert length * 1000 - 200 <= int(verdict["at_ms"]) <= length * 1000 + 500
        assert [name for name, _ in result.facts] == ["PROMPT", "PROMPT", "VERDICT"]


async def test_a_would_be_release_goes_by_lot_budget_and_switch(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silent callers side by side, and the same worker in the shadow a moment later."""
    _however_starved_the_machine(monkeypatch)
    text = settings.city_file.read_text()
    text = text.replace("holdout_percent = 0", "holdout_percent = 100")
    settings.city_file.write_text(text)
    shadow = switch_files(settings.asterisk_home)["shadow"]
    shadow.parent.mkdir(parents=True)
    async with serving(settings) as worker, asyncio.TaskGroup() as calls:
        drawn = calls.create_task(place_call(worker.agi_port))
        spent = calls.create_task(place_call(worker.agi_port, agi_arg_5="0"))
        older = calls.create_task(
            place_call(worker.agi_port, agi_arg_5=None, agi_arg_6=None)
        )
        await until(lambda: worker.figures.active == 3)
        worker.figures.releases_left = 0  # as if that caller had come last
        await until(lambda: "drop-budget" in worker.status.alarms)
        shadow.touch()
        await until(lambda: "filter-shadow" in worker.status.alarms)
        watched = calls.create_task(place_call(worker.agi_port))
        await until(lambda: worker.figures.active == 4)
        shadow.unlink()
        await until(lambda: "drop-budget" not in worker.status.alarms)
        await until(lambda: "filter-shadow" not in worker.status.alarms)
        for result in (await drawn, await older):
            verdict = result.fact("VERDICT")
            assert verdict["verdict"] == "low-priority", verdict
            assert verdict["reason"] == "silent"
            assert verdict["holdout"] == "1"
            assert result.variables["INTAKE_ROUTE"] == "queue"
            assert result.variables["INTAKE_PRIORITY"] == "0"
        verdict = (await spent).fact("VERDICT")
        assert (verdict["reason"], verdict.get("holdout")) == ("budget", None)
        assert (await spent).variables["INTAKE_ROUTE"] == "queue"
        verdict = (await watched).fact("VERDICT")
        assert (verdict["verdict"], verdict["shadow"]) == ("pass", "1")
        assert (await watched).variables["INTAKE_PRIORITY"] == "10"


def _however_starved_the_machine(
    monkeypatch: pytest.MonkeyPatch, **evidence: float
) -> None:
    """Neither a matter of media (it may not bring 2 s by then), nor of a prompt's end
    that we are late for: then nobody was asked, and a human it is."""
    heard = Detector.evidence
    monkeypatch.setattr(
        Detector, "evidence", lambda d: replace(heard(d), frames=2000, **evidence)
    )
    monkeypatch.setattr("ivr.engine.PROMPT_GRACE_SECONDS", 20.0)


async def test_an_idle_operator_takes_what_is_not_clear(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once if one is idle when the call comes, else at the end if one is then."""
    _however_starved_the_machine(monkeypatch, person=0.6)
    now, later, never = await asyncio.gather(
        place_call(worker.agi_port, agi_arg_6="1"),
        place_call(worker.agi_port, Caller(idle_operators="1")),
        place_call(worker.agi_port, Caller(idle_operators="")),
    )
    assert now.fact("VERDICT")["reason"] == "idle-operator"
    assert now.fact("PROMPT")["name"] == "greeting", "and is asked no further"
    assert later.fact("VERDICT")["reason"] == "idle-operator"
    assert len([name for name, _ in later.facts if name == "PROMPT"]) == 2
    assert never.fact("VERDICT")["reason"] == "doubt"


async def test_a_tap_is_not_silence(settings: Settings) -> None:
    """Silence is released by the reference city, a machine's tone is not."""
    assert 'noise = "low-priority"' in settings.city_file.read_text()
    caller = Caller(audio=tone(0.04), audio_from_seconds=1.5)
    async with serving(settings) as worker:
        result = await place_call(worker.agi_port, caller)
    assert result.fact("VERDICT")["reason"] == "noise"
    assert result.variables["INTAKE_ROUTE"] == "queue"
    assert result.variables["INTAKE_PRIORITY"] == "0"


async def test_who_called_a_moment_ago_waits_instead_of_being_released(
    worker: Worker,
) -> None:
    result = await place_call(worker.agi_port, Caller(), agi_arg_4="2")
    verdict = result.fact("VERDICT")
    assert (verdict["verdict"], verdict["reason"]) == ("low-priority", "repeat-caller")
    assert verdict["evidence"].endswith("called a moment ago")
    assert result.variables["INTAKE_ROUTE"] == "queue"


async def test_who_was_not_asked_because_we_stood_still_passes(worker: Worker) -> None:
    """In the second prompt, for three seconds: half a question, half the media."""
    asyncio.get_running_loop().call_later(2.2, time.sleep, 3.0)
    result = await place_call(worker.agi_port, Caller())
    verdict = result.fact("VERDICT")
    assert verdict["verdict"] == "pass", "asking again is never the last word"
    assert verdict["reason"] in {"no-media", "error"}
    assert result.variables["INTAKE_ROUTE"] == "queue"


async def test_repeat_callers_and_who_sends_no_media_are_never_released(
    worker: Worker,
) -> None:
    again, mute = await asyncio.gather(
        place_call(worker.agi_port, agi_arg_4="1"),
        place_call(worker.agi_port, Caller(has_media=False)),
    )
    assert again.fact("VERDICT")["reason"] == "repeat-caller"
    assert mute.fact("VERDICT")["reason"] == "no-media"
    for result in (again, mute):
        assert result.variables["INTAKE_ROUTE"] == "queue"
        assert result.variables["INTAKE_PRIORITY"] == "10"
    assert len(mute.audio) > 100 * FRAME, (
        "the caller must hear the prompts all the same"
    )


@pytest.mark.parametrize("at", [0.0, 0.5, 1.4, 2.2, 3.0])
async def test_hanging_up_in_any_state_is_an_outcome(
    worker: Worker, at: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    result = await place_call(worker.agi_port, Caller(hangs_up_at_seconds=at))
    assert result.variables["INTAKE"] == "started"
    await until(lambda: worker.figures.outcomes["caller-left"] == 1)
    assert worker.figures.errors == 0
    assert "verdict" not in caplog.text, "nobody is judged who has left"


async def test_hangup_said_while_the_audio_stays_is_believed(worker: Worker) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, worker.agi_port)
    writer.write(headers())
    for _ in range(2):
        await reader.readline()
        writer.write(b"200 result=1\n")
    assert (await reader.readline()).startswith(b'EXEC "AudioSocket"')
    writer.write(b"HANGUP\n")
    await until(lambda: worker.figures.outcomes["caller-left"] == 1)
    writer.close()


async def test_a_reset_audio_connection_ends_at_a_human_at_once(worker: Worker) -> None:
    began = time.monotonic()
    result = await place_call(worker.agi_port, Caller(resets_at_seconds=0.3))
    assert time.monotonic() - began < 1.0
    assert result.variables["INTAKE"] == "done"
    assert result.variables["INTAKE_ROUTE"] == "queue"
    assert result.fact("VERDICT")["reason"] == "error"


async def test_no_audio_connection_ends_at_a_human(worker: Worker) -> None:
    def refuse(command: str) -> str | None:
        return "200 result=-1" if "AudioSocket" in command else None

    began = time.monotonic()
    result = await place_call(worker.agi_port, on_command=refuse)
    assert time.monotonic() - began < 1.5, "not after our own deadline for connecting"
    assert result.variables["INTAKE_ROUTE"] == "queue"
    assert "audio not connected" in result.fact("VERDICT")["evidence"]


async def test_a_fact_that_is_refused_does_not_cost_the_call(worker: Worker) -> None:
    def refuse(command: str) -> str | None:
        return "200 result=-2" if "CELGenUserEvent" in command else None

    caller = Caller(key="5", key_at_seconds=0.1)
    result = await place_call(worker.agi_port, caller, on_command=refuse)
    assert result.variables["INTAKE"] == "done"


@pytest.mark.parametrize(
    "changed",
    [
        {"agi_arg_2": "no-such-flow"},
        {"agi_network_script": "other"},
        {"agi_uniqueid": ""},
    ],
)
async def test_what_we_do_not_know_goes_back_to_the_dialplan(
    worker: Worker, changed: dict[str, str]
) -> None:
    result = await place_call(worker.agi_port, **changed)
    assert result.variables.get("INTAKE") != "done"
    await until(lambda: worker.figures.errors == 1)


async def test_frames_come_without_pause_and_never_far_ahead(worker: Worker) -> None:
    result = await place_call(worker.agi_port, Caller(key="1", key_at_seconds=0.9))
    times = result.audio_times
    # Counted from the caller's first byte: a late reader or a late first frame can only
    # make this smaller, so the bound holds on a machine of any speed.
    ahead = [result.audio_began + (i + 1) * 0.02 - at for i, at in enumerate(times)]
    assert len(times) >= 40
    assert max(ahead) <= 3 * 0.02 + 0.001, "prompt and hang-up are heard late"
    assert min(ahead) > -2.0, "frames were lost or held back"


async def test_the_prompt_is_heard_whole_and_then_silence(worker: Worker) -> None:
    result = await place_call(worker.agi_port, Caller(key="1", key_at_seconds=1.5))
    sent = np.frombuffer(bytes(result.audio), "<i2")
    prompt = np.frombuffer(tone(GREETING_SECONDS), "<i2")
    start = int(np.argmax(np.abs(sent) > 0)) - 1
    assert start < 5 * 160
    assert (sent[start : start + len(prompt)] == prompt).all()
    assert not sent[start + len(prompt) :].any()


async def test_a_key_stops_the_prompt_within_three_frames(worker: Worker) -> None:
    result = await place_call(worker.agi_port, Caller(key="1", key_at_seconds=0.4))
    assert len(result.audio) / FRAME * 0.02 < 0.4 + 0.2


async def test_sixty_calls_at_once_do_not_meet(worker: Worker) -> None:
    """Keys, silence and hang-ups side by side; each gets its own answer."""
    callers = [
        Caller(key=str(i % 10), key_at_seconds=0.2 + i / 100)
        if i % 3
        else Caller(hangs_up_at_seconds=0.5)
        for i in range(60)
    ]
    results: list[CallResult] = await asyncio.gather(
        *(place_call(worker.agi_port, caller) for caller in callers)
    )
    for caller, result in zip(callers, results, strict=True):
        if caller.key is None:
            assert result.variables["INTAKE"] == "started"
        else:
            assert result.variables["INTAKE"] == "done"
            assert result.fact("KEY")["digit"] == caller.key


async def test_scans_of_both_ports_cost_no_call(worker: Worker) -> None:
    """Open connections that say nothing, say garbage, say it slowly; calls go on."""
    call = asyncio.create_task(
        place_call(worker.agi_port, Caller(key="7", key_at_seconds=1.2))
    )
    await asyncio.sleep(0.1)
    scan = []
    for port in (worker.agi_port, worker.audio_port):
        for i in range(200):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write([b"", b"GET / HTTP/1.1\r\n\r\n", b"a", b"\x01\x00\x10"][i % 4])
            scan.append(writer)
            if i == 150:  # in the middle of it, a citizen
                second = asyncio.create_task(
                    place_call(worker.agi_port, Caller(key="8", key_at_seconds=0.2))
                )
    assert (await call).variables["INTAKE"] == "done"
    assert (await second).variables["INTAKE"] == "done"
    assert worker.figures.agi_violations > 0
    assert worker.figures.audio_violations > 0
    for writer in scan:
        writer.close()


async def test_who_does_not_identify_himself_is_turned_away(worker: Worker) -> None:
    for port, slowly in ((worker.agi_port, b"agi_"), (worker.audio_port, b"\x01")):
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(slowly)
        async with asyncio.timeout(30):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await reader.readexactly(1)
        writer.close()


async def test_an_unknown_uuid_is_closed_and_counted(worker: Worker) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, worker.audio_port)
    writer.write(b"\x01\x00\x10" + bytes(16))
    async with asyncio.timeout(30):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(1)
    writer.close()
    assert worker.figures.audio_violations == 1


async def test_asterisk_gone_in_the_middle_is_a_caller_who_left(worker: Worker) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, worker.agi_port)
    writer.write(headers())
    assert await reader.readline() == b'SET VARIABLE "INTAKE" "started"\n'
    writer.transport.abort()
    await until(lambda: worker.figures.outcomes["caller-left"] == 1)


async def test_an_asterisk_that_does_not_answer_is_let_go(worker: Worker) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, worker.agi_port)
    writer.write(headers())
    async with asyncio.timeout(30):
        assert await reader.readline() == b'SET VARIABLE "INTAKE" "started"\n'
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(1)
    writer.close()
    await until(lambda: worker.figures.errors == 1)


async def test_draining_takes_no_new_call_and_ends_the_running_one(
    settings: Settings,
) -> None:
    worker = Worker(settings, 0)
    serving = asyncio.create_task(worker.serve(drain_seconds=5.0))
    await until(lambda: can_connect(worker.agi_port))
    call = asyncio.create_task(
        place_call(worker.agi_port, Caller(key="3", key_at_seconds=0.8))
    )
    await until(lambda: worker.figures.active == 1)
    worker.stop()
    await until(lambda: not can_connect(worker.agi_port))
    assert not call.done()
    assert (await call).variables["INTAKE"] == "done"
    async with asyncio.timeout(4):
        await serving


async def test_draining_ends_calls_that_take_too_long(settings: Settings) -> None:
    worker = Worker(settings, 0)
    serving = asyncio.create_task(worker.serve(drain_seconds=0.2))
    await until(lambda: can_connect(worker.agi_port))
    call = asyncio.create_task(place_call(worker.agi_port))
    await until(lambda: worker.figures.active == 1)
    worker.stop()
    assert (await call).variables["INTAKE"] == "started"
    await serving


async def test_a_missing_prompt_is_an_alarm_and_no_crash(settings: Settings) -> None:
    (settings.sounds / "id" / "greeting.wav").unlink()
    worker = Worker(settings, 0)
    serving = asyncio.create_task(worker.serve(drain_seconds=1.0))
    await until(lambda: can_connect(worker.agi_port))
    result = await place_call(worker.agi_port, Caller(key="1", key_at_seconds=0.3))
    assert result.variables["INTAKE"] == "done"
    await until(lambda: "prompt-missing" in worker.status.alarms)
    write_prompt(settings, "greeting", 0.5)
    worker.reload()
    await until(lambda: "prompt-missing" not in worker.status.alarms)
    worker.stop()
    await serving


async def test_a_taken_port_is_said_with_its_cure(
    worker: Worker, settings: Settings
) -> None:
    with pytest.raises(PortTakenError, match="is another intake running"):
        await Worker(settings, 0).serve()


async def test_a_full_worker_leaves_the_call_to_the_dialplan(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_CALLS", 0)
    result = await place_call(worker.agi_port)
    assert result.variables == {}
    assert worker.figures.refused_full == 1


@pytest.mark.parametrize("commands", range(8))
async def test_cancelled_anywhere_the_caller_goes_on(
    worker: Worker, commands: int
) -> None:
    """A drain whose time is up cancels calls in the middle of any command."""
    seen = 0

    def cancel(command: str) -> str | None:
        nonlocal seen
        if seen == commands:
            for call in worker._calls:
                call.cancel()
        seen += 1
        return None

    caller = Caller(key="0", key_at_seconds=0.1)
    result = await place_call(worker.agi_port, caller, on_command=cancel)
    assert result.variables.get("INTAKE") != "done"
    await until(lambda: worker.figures.active == 0)
    assert not worker._intake._expected


@pytest.mark.parametrize(
    "answer",
    ["garbage", "510 Invalid or unknown command", "200 result=1\n200 result=1"],
)
@pytest.mark.parametrize("at", [0, 2, 3, 6])
async def test_wrong_answers_anywhere_let_the_caller_go(
    worker: Worker, answer: str, at: int
) -> None:
    seen = 0

    def spoil(command: str) -> str | None:
        nonlocal seen
        seen += 1
        return answer if seen == at + 1 else None

    caller = Caller(key="0", key_at_seconds=0.1)
    async with asyncio.timeout(8):
        result = await place_call(worker.agi_port, caller, on_command=spoil)
    assert result.variables.get("INTAKE_ROUTE", "queue") == "queue"
    await until(lambda: worker.figures.active == 0)


async def test_nothing_holds_the_loop(worker: Worker, voice: bytes) -> None:
    """No callback of ours takes longer than half of an audio frame, mostly less."""
    loop = asyncio.get_running_loop()
    slow: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: slow.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("asyncio").addHandler(handler)
    loop.set_debug(True)
    loop.slow_callback_duration = 0.1
    try:
        caller = Caller(audio=voice, audio_from_seconds=0.3)
        await asyncio.gather(*(place_call(worker.agi_port, caller) for _ in range(10)))
    finally:
        loop.set_debug(False)
        logging.getLogger("asyncio").removeHandler(handler)
    assert [text for text in slow if "took" in text and "agi/" in text] == []


async def test_each_call_is_told_in_a_few_lines_and_one_last(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="agi"):
        await place_call(worker.agi_port, Caller(key="0", key_at_seconds=0.2))
        await until(lambda: "call done" in caplog.text)
    lines = [r.getMessage() for r in caplog.records if r.name != "agi.server"]
    assert [line.split()[0] for line in lines] == [
        "call",
        "audio",
        "prompt",
        "verdict",
        "call",
    ]
    assert "caller=0812…678" in lines[0]
    assert "081234567678" not in caplog.text
    assert lines[-1].startswith(
        "call done outcome=handed-over verdict=pass reason=key route=queue "
        "queue=darurat priority=10 seconds=0."
    )


@asynccontextmanager
async def intake_process(
    settings: Settings, worker: int = 0
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`gerbang intake` as `gerbang run` starts it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pbx",
        "intake",
        "--worker",
        str(worker),
        cwd=PROJECT,
        env=os.environ
        | {
            "GERBANG_STATE": str(settings.state),
            "GERBANG_CITY": str(settings.city_file),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def ports_of(settings: Settings) -> tuple[int, int]:
    network = read_city(settings.city_file.read_text(), source="city").network
    return network.agi_port, network.audiosocket_port


async def test_the_command_serves_drains_and_says_goodbye(settings: Settings) -> None:
    agi_port, _ = ports_of(settings)
    async with intake_process(settings) as process:
        await until(lambda: can_connect(agi_port))
        call = asyncio.create_task(
            place_call(agi_port, Caller(key="0", key_at_seconds=0.8))
        )
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGHUP)
        process.terminate()
        assert (await call).variables["INTAKE"] == "done"
        output, _ = await process.communicate()
    assert process.returncode == 0
    lines = [json.loads(line) for line in output.decode().splitlines()]
    done = next(line for line in lines if line["message"].startswith("call done"))
    assert done["call_id"] == "kediri-1-1763756000.12"
    assert done["process"] == "intake-0"
    status = json.loads((settings.run / "intake-0.status.json").read_text())
    assert status["figures"]["calls"] == 1
    assert status["figures"]["active"] == 0
    assert status["figures"]["verdicts"] == {"pass/key": 1}


async def test_two_workers_share_the_calls_and_one_is_enough(
    settings: Settings,
) -> None:
    agi_port, audio_port = ports_of(settings)
    async with intake_process(settings, 0) as first, intake_process(settings, 1):
        await until(lambda: can_connect(audio_port))
        await until(lambda: can_connect(audio_port + 1))
        caller = Caller(key="0", key_at_seconds=0.1)
        results = await asyncio.gather(
            *(place_call(agi_port, caller) for _ in range(30))
        )
        assert {r.variables["INTAKE_WORKER"] for r in results} == {"0", "1"}
        first.kill()
        await first.wait()
        results = await asyncio.gather(
            *(place_call(agi_port, caller) for _ in range(9))
        )
        assert {r.variables["INTAKE_WORKER"] for r in results} == {"1"}
        assert {r.variables["INTAKE"] for r in results} == {"done"}


async def test_a_worker_killed_in_the_middle_leaves_intake_started(
    settings: Settings,
) -> None:
    agi_port, _ = ports_of(settings)
    async with intake_process(settings) as process:
        await until(lambda: can_connect(agi_port))
        heard: list[str] = []
        call = asyncio.create_task(place_call(agi_port, on_command=heard.append))
        await until(lambda: "AudioSocket" in str(heard))
        process.kill()
        assert (await call).variables["INTAKE"] == "started"


async def test_a_bad_city_is_told_and_ends_the_command(settings: Settings) -> None:
    settings.city_file.write_text("nonsense")
    async with intake_process(settings) as process:
        output, _ = await process.communicate()
    assert process.returncode == 1
    assert "city.toml:1: not TOML" in output.decode()


async def test_nobody_listens_longer_than_twenty_seconds_whatever_a_prompt_is(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt may have been replaced by a longer one since the city was checked."""
    assert intake.LONGEST_SECONDS < 25, "20 s, and what connecting and late ends take"
    monkeypatch.setattr(intake, "LONGEST_SECONDS", 0.5)
    result = await place_call(worker.agi_port, Caller(audio=COMFORT_NOISE * 20))
    verdict = result.fact("VERDICT")
    assert (verdict["verdict"], verdict["reason"]) == ("pass", "error")
    assert result.variables["INTAKE_ROUTE"] == "queue"
