"""Keeping a caller's audio: whose, where, and what a bad disk costs."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import wave
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agi import kept_audio
from agi.facts import KeyPressed, PromptHeard
from agi.kept_audio import KeptCall, Shelf, Tape, write
from ghostfilter.verdict import Context, Verdict
from pbx.model.retention import Keep
from pbx.model.verdict import Reason, Ruling

FRAME = bytes(range(160)) * 2
RELEASE = Verdict(Ruling.RELEASE, Reason.SILENT, "silence; no key")
PASS = Verdict(Ruling.PASS, Reason.VOICE, "voice")
LOW = Verdict(Ruling.LOW_PRIORITY, Reason.NOISE, "noise")
GREETED = [PromptHeard("greeting", 20, 1340, "end")]
ASKED_TWICE = [*GREETED, PromptHeard("second-chance", 4340, 2000, "end")]

CALL = KeptCall(
    call_id="kediri-1-1763756000.12",
    at=datetime(2026, 11, 21, 23, 50, tzinfo=UTC),
    number="112",
    flow="filter0",
    prompts=ASKED_TWICE,
    keys=[KeyPressed("5", 900)],
    verdict=RELEASE,
    context=Context(expected_frames=2),
    pcm=FRAME * 2,
)


def test_a_tape_holds_what_came_and_not_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_audio, "_MOST_BYTES", 3 * len(FRAME))
    tape = Tape()
    for _ in range(5):
        tape.hear(FRAME)
    assert bytes(tape.pcm) == FRAME * 3
    assert abs((datetime.now(UTC) - tape.at).total_seconds()) < 5


@pytest.mark.parametrize(
    ("verdict", "prompts", "kept_by"),
    [
        (RELEASE, ASKED_TWICE, {Keep.RELEASED, Keep.FILTERED, Keep.ALL}),
        (LOW, ASKED_TWICE, {Keep.FILTERED, Keep.ALL}),
        (PASS, ASKED_TWICE, {Keep.FILTERED, Keep.ALL}),
        (PASS, GREETED, {Keep.ALL}),
    ],
)
def test_whose_audio_is_kept(
    verdict: Verdict, prompts: list[PromptHeard], kept_by: set[Keep]
) -> None:
    call = replace(CALL, verdict=verdict, prompts=prompts)
    assert {keep for keep in Keep if call.is_wanted(keep)} == kept_by


def test_audio_and_story_lie_side_by_side_for_our_eyes_only(tmp_path: Path) -> None:
    path = write(tmp_path / "kept", CALL)
    assert path == tmp_path / "kept/2026-11-21/kediri-1-1763756000.12.wav"
    with wave.open(str(path), "rb") as file:
        assert file.getparams()[:4] == (1, 2, 8000, 320)
        assert file.readframes(320) == FRAME * 2
    story = json.loads(path.with_suffix(".json").read_text())
    assert story["at"] == "2026-11-21T23:50:00.000+00:00"
    assert story["prompts"][1]["name"] == "second-chance"
    assert story["keys"][0]["digit"] == "5"
    assert story["verdict"]["ruling"] == "release"
    assert story["verdict"]["because"] == "silence; no key"
    assert story["shadowed"] is False
    assert story["context"]["expected_frames"] == 2
    modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "kept").rglob("*")}
    assert modes == {
        "2026-11-21": 0o700,
        "kediri-1-1763756000.12.wav": 0o600,
        "kediri-1-1763756000.12.json": 0o600,
    }


def test_no_number_of_the_caller_s(tmp_path: Path) -> None:
    assert "caller" not in CALL.story
    assert "ani" not in CALL.story


def test_the_thread_writes_and_close_waits_for_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.start()
    for i in range(20):
        shelf.put(replace(CALL, call_id=f"k-{i}"))
    shelf.close(5)
    assert len(list(tmp_path.rglob("*.wav"))) == 20
    assert (shelf.kept, shelf.lost, shelf.trouble) == (20, 0, None)


def test_a_full_disk_leaves_room_for_the_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1000)
    )
    with pytest.raises(OSError, match="256 MB are free"):
        write(tmp_path, CALL)
    assert list(tmp_path.rglob("*.*")) == []


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    (tmp_path / "2026-11-21" / f"{CALL.call_id}.wav").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write(tmp_path, CALL)
    assert list(tmp_path.rglob("*.tmp")) == []


def test_what_could_not_be_written_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_audio, "RETRY_SECONDS", 0.01)
    failures, has_failed = 3, threading.Event()
    right = write

    def fails_at_first(directory: Path, call: KeptCall) -> Path:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            has_failed.set()
            raise OSError(28, "No space left on device")
        return right(directory, call)

    monkeypatch.setattr(kept_audio, "write", fails_at_first)
    shelf = Shelf(tmp_path)
    shelf.start()
    shelf.put(CALL)
    assert has_failed.wait(5)
    assert "No space left" in (shelf.trouble or "No space left")
    while not shelf.kept:
        threading.Event().wait(0.005)
    shelf.close(5)
    assert (shelf.kept, shelf.lost, shelf.trouble) == (1, 0, None)


def test_a_disk_that_stays_full_costs_the_oldest_audio_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text("in the way")
    monkeypatch.setattr(kept_audio, "MOST_WAITING", 2)
    shelf = Shelf(tmp_path / "kept")
    for i in range(3):
        shelf.put(replace(CALL, call_id=f"k-{i}"))
    assert (shelf.lost, shelf.trouble) == (1, "the disk is too slow")
    with caplog.at_level(logging.WARNING):
        shelf.start()
        shelf.close(5)
    assert (shelf.kept, shelf.lost) == (0, 3)
    assert "audio of a call lost" in caplog.text


def test_a_fault_of_ours_costs_one_call_s_audio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = write

    def fails_once(directory: Path, call: KeptCall) -> Path:
        if call.call_id == "k-0":
            raise ZeroDivisionError
        return right(directory, call)

    monkeypatch.setattr(kept_audio, "write", fails_once)
    shelf = Shelf(tmp_path)
    shelf.start()
    shelf.put(replace(CALL, call_id="k-0"))
    shelf.put(replace(CALL, call_id="k-1"))
    shelf.close(5)
    assert (shelf.kept, shelf.lost) == (1, 1)


def test_a_hung_disk_does_not_hold_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hangs = threading.Event()
    monkeypatch.setattr(kept_audio, "MOST_WAITING", 1)

    def hang(*_: Any) -> Path:
        hangs.wait(10)
        raise OSError

    monkeypatch.setattr(kept_audio, "write", hang)
    for waiting in (1, 2):
        shelf = Shelf(tmp_path)
        shelf.start()
        shelf.put(CALL)
        while not shelf._waiting.empty():
            threading.Event().wait(0.005)
        if waiting == 2:
            shelf.put(CALL)
        shelf.close(0.05)
    hangs.set()
    assert "audio of up to 1 calls not kept" in caplog.text
    assert "audio of 2 calls not kept" in caplog.text
