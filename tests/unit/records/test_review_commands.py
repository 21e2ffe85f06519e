"""`gerbang ghostfilter review` and `figures` on a store with real calls in it."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pbx.commands import ghostfilter
from pbx.model.call import Call, Disposition, State
from pbx.records import reviews
from pbx.records.journal import Journal
from pbx.records.store import RecordStore

REPLAY = Path(__file__).parents[2] / "replay"
ID = "kediri-1-1795293895.10"
AUDIO = b"RIFF and so on"

app = typer.Typer()
ghostfilter.register(app)


@app.callback()
def _main() -> None:
    """With one group alone, too, it goes by its name."""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path))
    monkeypatch.delenv("GERBANG_DATABASE_URL", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "records.sqlite3"
    asyncio.run(fill(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
def full(state: Path, filled: Path) -> Path:
    shutil.copy(filled, state / "records.sqlite3")
    audio = state / "kept" / "2026-11-21" / f"{ID}.wav"
    audio.parent.mkdir(parents=True)
    audio.write_bytes(AUDIO)
    return state


async def fill(url: str) -> None:
    store = await RecordStore.open(url)
    journal = Journal(REPLAY / "released" / "journal.jsonl", {})
    while (batch := journal.read()) is not None:
        await store.record(batch)
        journal.advance(batch)
    journal.close()
    engine = store.engine
    audio = f"2026-11-21/{ID}.wav"
    await reviews.attach(engine, ID, audio=audio, sha256="00", seconds=9.4)
    until = datetime(2026, 12, 22, tzinfo=UTC)
    await reviews.expires(engine, {ID: until})
    now = datetime.now(UTC)
    async with engine.begin() as connection:
        for days in range(1, 60):
            for i in range(6 if days > 14 else 1):
                call = Call(
                    call_id=f"g-{days}-{i}",
                    state=State.CLOSED,
                    disposition=Disposition.CONNECTED,
                    started_at=now - timedelta(days=days, minutes=i),
                    last_event_at=now,
                    answered_at=now,
                    talk_seconds=33.0,
                )
                await store.write(connection, call, None)
    await store.close()


def say(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["ghostfilter", *words])
    assert done.exit_code == status, done.output
    return done.output


def test_the_list_and_one_call(full: Path) -> None:
    assert f"{ID}" in say("review")
    assert "silent      9.4 s  unreviewed" in say("review", "--only", "unreviewed")
    assert "Nothing to review" in say("review", "--kind", "holdout")
    assert "Nothing to review" in say("review", "--since", "2030-01-01")
    assert ID in say("review", "--sample", "-n", "1")
    whole = say("review", ID)
    assert "because: quiet" in whole
    assert f"{ID}.wav (kept until 2026-12-22 07:00:00)" in whole


def test_a_mark_with_a_name_and_its_end(full: Path) -> None:
    word = ("review", ID, "--mark", "was-a-person")
    assert "a mark has a name" in say(*word, status=2)
    assert "no mark" in say(
        "review", ID, "--mark", "unreviewed", "--by", "Sari", status=2
    )
    early = say("review", ID, "--acknowledge", "--by", "Budi", status=1)
    assert "nothing to acknowledge" in early
    told = say(*word, "--by", "Sari", "--note", "a child")
    assert "was-a-person (Sari): a child" in told
    assert "the alarm person-released stands" in told
    told = say("review", ID, "--mark", "nobody", "--by", "Tono")
    assert "Sari heard a person there" in told
    assert "nobody (Tono)" in told
    told = say("review", ID, "--acknowledge", "--by", "Budi")
    assert "acknowledged by Budi" in told
    row = json.loads(say("review", ID, "--json"))
    assert (row["review"], row["acknowledged_by"]) == ("was-a-person", "Budi")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["--mark", "nobody", "--by", "Sari"], "of which call"),
        (["--acknowledge", "--by", "Sari"], "of which call"),
        (["--export", "x.wav"], "of which call"),
        ([ID, "--note", "a child", "--by", "Sari"], "goes with --mark"),
    ],
)
def test_a_word_that_would_be_lost_is_refused(
    full: Path, line: list[str], told: str
) -> None:
    """Who marks believes that it is marked."""
    result = CliRunner().invoke(app, ["ghostfilter", "review", *line])
    assert result.exit_code == 2
    assert told in result.output


def test_the_audio_can_be_taken_along(full: Path, tmp_path: Path) -> None:
    say("review", ID, "--export", str(tmp_path / "copy.wav"))
    assert (tmp_path / "copy.wav").read_bytes() == AUDIO
    assert "not written" in say(
        "review", ID, "--export", str(tmp_path / "no" / "x"), status=1
    )
    kept = full / "kept" / "2026-11-21" / f"{ID}.wav"
    kept.unlink()
    gone = say("review", ID, "--export", str(tmp_path / "again.wav"), status=1)
    assert f"{kept} is gone from the disk" in gone
    url = f"sqlite+aiosqlite:///{full / 'records.sqlite3'}"

    async def forget() -> None:
        store = await RecordStore.open(url)
        await reviews.forget_audio(store.engine, [ID], datetime.now(UTC))
        await store.close()

    asyncio.run(forget())
    assert "deleted" in say("review", ID)
    assert "no audio" in say("review")
    assert "has no audio" in say("review", ID, "--export", "x.wav", status=1)


def test_what_is_not_there(state: Path) -> None:
    for word in (["review"], ["figures"], ["review", ID, "--mark", "nobody"]):
        by = ["--by", "S"] if "--mark" in word else []
        assert "no recorder has run here" in say(*word, *by, status=1)
    assert list(state.iterdir()) == [], "nothing made"


def test_a_call_that_is_not_listed(full: Path) -> None:
    assert "not on the review list" in say("review", "k-9", status=1)


def test_a_damaged_store(state: Path) -> None:
    (state / "records.sqlite3").write_bytes(b"no database" * 1000)
    assert "the file is damaged" in say("review", status=1)


def test_figures_for_people_and_programs(full: Path) -> None:
    told = say("figures")
    assert "dropped 1 (released 1" in told
    assert "people among would-be releases (holdout 0, shadow 0): none" in told
    assert "in the last 7 days" in told or "in the last 21 days" in told
    plain = json.loads(say("figures", "--json"))
    assert plain["drops"] == 1
    assert plain["reviewed"] == {"k": 0, "n": 0, "low": 0.0, "high": 1.0}
    assert plain["false_drop_rate"] is None
    assert plain["fall"]["chance"] < 0.001
    recent = json.loads(say("figures", "--since", "20d", "--json"))
    assert recent["calls"] < plain["calls"]


def test_figures_before_and_after_a_change(full: Path) -> None:
    day = (datetime.now(UTC) - timedelta(days=14)).date()
    told = say("figures", "--change", str(day))
    assert f"since {day}: " in told
    assert "no days to compare" in say("figures", "--change", "2030-01-01")
    assert "is no day" in say("figures", "--change", "soon", status=2)


def test_a_holdout_gives_a_rate(full: Path) -> None:
    url = f"sqlite+aiosqlite:///{full / 'records.sqlite3'}"

    async def add() -> None:
        store = await RecordStore.open(url)
        from pbx.model.events import Judged

        now = datetime.now(UTC)
        call = Call(
            call_id="h-1",
            state=State.CLOSED,
            disposition=Disposition.CONNECTED,
            started_at=now,
            last_event_at=now,
            talk_seconds=2.0,
            verdict=Judged("low-priority", "silent", 9, "", 0.9, holdout=True),
        )
        async with store.engine.begin() as connection:
            await store.write(connection, call, None)
        await store.close()

    asyncio.run(add())
    told = say("figures")
    assert "0 of 1 = 0.00% (0.00% … 97.50%)" in told
    assert "false-drop rate 0.00%" in told


def test_a_store_without_days(state: Path) -> None:
    async def make() -> None:
        url = f"sqlite+aiosqlite:///{state / 'records.sqlite3'}"
        await (await RecordStore.open(url)).close()

    asyncio.run(make())
    assert "calls 0, of them genuine 0" in say("figures")
