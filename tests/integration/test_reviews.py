"""A release from the journal's lines to a mark and its alarm, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
import json
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
import sqlalchemy as sa
from aiohttp import ClientError, web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.ext.asyncio import AsyncEngine

from pbx.control.alarms import Pulse, conditions
from pbx.control.archive import Archive, find_audio
from pbx.control.picture import Moment, describe, figures
from pbx.control.review_page import ReviewPage
from pbx.control.room import Room
from pbx.model.call import Call, Disposition, State
from pbx.model.events import Judged
from pbx.model.figures import count
from pbx.model.review import Kind, Review
from pbx.records import audit, reviews
from pbx.records.audit import WantedEntries
from pbx.records.database import migrate, open_engine
from pbx.records.field import field_calls, genuine_per_day
from pbx.records.reviews import UnknownCallError, WantedReviews
from pbx.records.store import RecordStore
from pbx.status import Status
from tests.fakes.control_room import reference_city
from tests.patience import until

pytestmark = pytest.mark.postgres

AT = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
ID = "kediri-1-1795293895.10"
CALL = Call(
    call_id=ID,
    state=State.CLOSED,
    disposition=Disposition.RELEASED,
    ani="081234567890",
    started_at=AT,
    answered_at=AT,
    ended_at=AT,
    last_event_at=AT,
    verdict=Judged("release", "silent", 9350, "silence <b>; no key", 0.97),
)
PCM = bytes(range(250)) * 64


async def write(store: RecordStore, call: Call) -> None:
    """As the recorder writes it."""
    async with store.engine.begin() as connection:
        rows = await connection.execute(
            sa.text("SELECT * FROM calls WHERE call_id = :i"), {"i": call.call_id}
        )
        assert rows.first() is None
        await store.write(connection, call, None)


def lay(kept: Path, call_id: str = ID, at: datetime = AT) -> None:
    """As the intake lays it."""
    path = kept / f"{at:%F}" / f"{call_id}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(PCM)
    story = {"call_id": call_id, "verdict": {"ruling": "release"}, "shadowed": False}
    path.with_suffix(".json").write_text(json.dumps(story))


@pytest_asyncio.fixture
async def archive(
    store: RecordStore, url: str, tmp_path: Path
) -> AsyncIterator[Archive]:
    made = Archive(
        tmp_path / "kept",
        url,
        reference_city,
        Status(tmp_path / "run", "control"),
        now=lambda: AT + timedelta(minutes=5),
    )
    yield made
    if made.store is not None:
        await made.store.close()


# ---- the list -------------------------------------------------------------------


async def test_a_release_is_on_the_list_and_written_again_keeps_its_mark(
    store: RecordStore,
) -> None:
    await write(store, CALL)
    await write(store, replace(CALL, call_id="k-2.1", disposition=Disposition.LEFT))
    await write(store, replace(CALL, call_id="k-3.1", verdict=None))
    await write(store, replace(CALL, call_id="k-4.1", state=State.OPEN))
    rows = await reviews.listed(store.engine, WantedReviews())
    assert {row.call_id: row.kind for row in rows} == {
        ID: Kind.RELEASED,
        "k-2.1": Kind.LEFT,
    }
    assert rows[0].review is Review.UNREVIEWED
    await reviews.mark(store.engine, ID, Review.PERSON, by="Sari", note=None, at=AT)
    async with store.engine.begin() as connection:
        known = (
            await connection.execute(
                sa.text("SELECT * FROM calls WHERE call_id = :i"), {"i": ID}
            )
        ).one()
        changed = replace(CALL, hangup_cause=16)
        assert await store.write(connection, changed, replace_record(known, CALL))
    row = await reviews.find(store.engine, ID)
    assert (row.review, row.because, row.confidence) == (
        Review.PERSON,
        "silence <b>; no key",
        0.97,
    )


def replace_record(row: Any, _: Call) -> Any:
    class Known:
        record: dict[str, Any] = {}
        revision = row.revision

    return Known()


async def test_marks_are_all_kept_and_the_last_counts(store: RecordStore) -> None:
    await write(store, CALL)
    await reviews.mark(store.engine, ID, Review.PERSON, by="Sari", note="hm", at=AT)
    await reviews.acknowledge(store.engine, ID, by="Budi", at=AT)
    row = await reviews.find(store.engine, ID)
    assert (row.acknowledged_by, row.stands_as_alarm) == ("Budi", False)
    row = await reviews.mark(
        store.engine, ID, Review.NOBODY, by="Tono", note=None, at=AT
    )
    assert (row.review, row.acknowledged_by) == (Review.NOBODY, None)
    said = await reviews.marks_of(store.engine, ID)
    assert [(s["review"], s["reviewer"]) for s in said] == [
        ("was-a-person", "Sari"),
        ("nobody", "Tono"),
    ]
    with pytest.raises(UnknownCallError, match="not on the review list"):
        await reviews.mark(store.engine, "k-9", Review.NOBODY, by="x", note=None, at=AT)
    with pytest.raises(UnknownCallError):
        await reviews.acknowledge(store.engine, "k-9", by="x", at=AT)


async def test_a_person_heard_stands_against_others_until_acknowledged(
    store: RecordStore, archive: Archive
) -> None:
    """Two reviewers at once: an alarm that nobody has seen is not talked away."""
    await write(store, CALL)

    async def say(review: Review, by: str) -> reviews.ReviewRow:
        return await reviews.mark(store.engine, ID, review, by=by, note=None, at=AT)

    said = (Review.NOBODY, Review.PERSON, Review.UNSURE, Review.NOBODY)
    await asyncio.gather(*(say(review, f"r{n}") for n, review in enumerate(said)))
    row = await reviews.find(store.engine, ID)
    assert (row.review, row.reviewer, row.stands_as_alarm) == (
        Review.PERSON,
        "r1",
        True,
    )
    assert await alarms(archive) == ["person-released"]
    assert len(await reviews.marks_of(store.engine, ID)) == len(said)
    await reviews.acknowledge(store.engine, ID, by="Budi", at=AT)
    assert (await say(Review.NOBODY, "r9")).review is Review.NOBODY
    assert await alarms(archive) == []


async def test_filters_of_the_list(store: RecordStore) -> None:
    for i in range(5):
        at = AT + timedelta(minutes=i)
        await write(store, replace(CALL, call_id=f"k-{i}", started_at=at))
    engine = store.engine
    await reviews.attach(engine, "k-3", audio="d/k-3.wav", sha256="0", seconds=1.0)
    ids = [r.call_id for r in await reviews.listed(engine, WantedReviews(most=2))]
    assert ids == ["k-4", "k-3"]
    since = WantedReviews(since=AT + timedelta(minutes=4), kinds=[Kind.RELEASED])
    assert [r.call_id for r in await reviews.listed(engine, since)] == ["k-4"]
    people = WantedReviews(reviews=[Review.PERSON])
    assert await reviews.listed(engine, people) == []
    sample = WantedReviews(at_random=True, with_audio=True)
    assert [r.call_id for r in await reviews.listed(engine, sample)] == ["k-3"]


async def test_releases_from_before_the_list_are_listed(url: str) -> None:
    engine = open_engine(url)
    await migrate(engine, "0001")
    insert = (
        "INSERT INTO calls (call_id, revision, state, disposition, direction, "
        "incomplete, truncated, started_at, last_event_at, reason, written_at, record) "
        "VALUES ('old', 1, 'closed', 'released', 'incoming', false, false, "
        "'2026-11-01 00:00:00+00', '2026-11-01 00:00:00+00', 'silent', "
        "'2026-11-01 00:00:00+00', '{}')"
    )
    if engine.dialect.name == "sqlite":
        insert = insert.replace("+00'", ".000000'")
    async with engine.begin() as connection:
        await connection.execute(sa.text(insert))
    await migrate(engine)
    (row,) = await reviews.listed(engine, WantedReviews())
    assert (row.call_id, row.kind, row.reason) == ("old", Kind.RELEASED, "silent")
    await engine.dispose()


# ---- audio and retention ---------------------------------------------------------


async def test_the_archive_finds_audio_and_lets_it_go_in_time(
    store: RecordStore, archive: Archive
) -> None:
    await write(store, CALL)
    await archive.look(is_thorough=False)
    assert (await reviews.find(store.engine, ID)).audio is None
    lay(archive.kept)
    await archive.look(is_thorough=False)
    row = await reviews.find(store.engine, ID)
    assert row.audio == f"2026-11-21/{ID}.wav"
    assert (row.seconds, len(row.sha256 or "")) == (1.0, 64)
    assert row.expires_at == datetime(2026, 12, 22, tzinfo=UTC)
    archive.now = lambda: datetime(2026, 12, 21, 23, 59, tzinfo=UTC)
    await archive.tidy()
    await archive.look(is_thorough=True)
    assert (await reviews.find(store.engine, ID)).audio is not None
    archive.now = lambda: datetime(2026, 12, 22, tzinfo=UTC)
    await archive.tidy()
    await archive.look(is_thorough=True)
    row = await reviews.find(store.engine, ID)
    assert (row.audio, row.deleted_at) == (None, archive.now())
    assert row.review is Review.UNREVIEWED
    await archive.look(is_thorough=True)
    assert list(archive.kept.rglob("*")) == []


async def test_a_city_that_changes_its_mind_is_obeyed(
    store: RecordStore, archive: Archive
) -> None:
    await write(store, CALL)
    lay(archive.kept)
    await archive.look(is_thorough=True)
    city = reference_city()
    shorter = city.retention.model_copy(update={"released_audio_days": 7})
    archive.city = lambda: city.model_copy(update={"retention": shorter})
    await archive.look(is_thorough=True)
    row = await reviews.find(store.engine, ID)
    assert row.expires_at == datetime(2026, 11, 29, tzinfo=UTC)


def test_half_audio_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lay(tmp_path)
    path = tmp_path / "2026-11-21" / f"{ID}.wav"
    path.write_bytes(b"RIFF")
    assert find_audio(tmp_path, ID, AT) is None
    assert "kept audio cannot be read" in caplog.text


async def test_a_store_that_is_away_is_an_alarm_and_audio_still_goes(
    tmp_path: Path,
) -> None:
    lay(tmp_path / "kept")
    archive = Archive(
        tmp_path / "kept",
        "postgresql+asyncpg://nobody@127.0.0.1:1/none",
        reference_city,
        Status(tmp_path / "run", "control"),
        now=lambda: AT + timedelta(days=40),
    )
    await archive._look()
    assert "reviews-not-kept" in archive.status.alarms
    assert list((tmp_path / "kept").rglob("*.wav")) == []


async def test_audio_that_cannot_be_deleted_is_an_alarm(archive: Archive) -> None:
    (archive.kept / "2026-01-01" / "x.wav").mkdir(parents=True)
    await archive.tidy()
    assert "audio-not-deleted" in archive.status.alarms
    (archive.kept / "2026-01-01" / "x.wav").rmdir()
    await archive._look()
    assert archive.status.alarms == {}


# ---- figures and alarms ----------------------------------------------------------


async def test_a_person_released_raises_the_alarm_until_acknowledged(
    store: RecordStore, archive: Archive
) -> None:
    await write(store, CALL)
    holdout = replace(CALL.verdict, verdict="low-priority", holdout=True)  # type: ignore[type-var]
    await write(store, replace(CALL, call_id="k-h", verdict=holdout))
    await reviews.mark(store.engine, "k-h", Review.PERSON, by="S", note=None, at=AT)
    assert await alarms(archive) == []
    await reviews.mark(store.engine, ID, Review.PERSON, by="S", note=None, at=AT)
    assert await alarms(archive) == ["person-released"]
    told = moment(archive)
    assert describe(told)["filter"] == {
        "released_last_hour": 1,
        "verdicts_last_hour": {"release/silent": 1, "low-priority/silent": 1},
        "drops_by_review": {"was-a-person": 1},
        "people_dropped": [ID],
    }
    metrics = {m.name: m for m in figures(told)}
    assert metrics["gerbang_filter_released_last_hour"].samples[0].value == 1
    marks = metrics["gerbang_filter_drops"].samples
    assert {s.labels["review"]: s.value for s in marks}["was-a-person"] == 1
    await reviews.acknowledge(store.engine, ID, by="Budi", at=AT)
    assert await alarms(archive) == []


async def alarms(archive: Archive) -> list[str]:
    await archive.look(is_thorough=False)
    pulse = Pulse(
        now=0.0,
        wall=AT,
        people_dropped=archive.picture.people_dropped,
        fall=archive.fall,
    )
    return [
        c.alarm
        for c in conditions(Room(), reference_city(), pulse)
        if c.alarm != "manager-link"
    ]


def moment(archive: Archive) -> Moment:
    return Moment(
        room=Room(),
        city=reference_city(),
        now=0.0,
        wall=AT,
        counters={},
        gauges={},
        alarms={},
        filter=archive.picture,
    )


async def test_a_fall_of_genuine_calls_is_an_alarm(
    store: RecordStore, archive: Archive
) -> None:
    begin = AT - timedelta(days=84)
    async with store.engine.begin() as connection:
        for day in range(84):
            for i in range(5 if day < 63 else 2):
                at = begin + timedelta(days=day, minutes=i)
                call = replace(
                    CALL,
                    call_id=f"g-{day}-{i}",
                    started_at=at,
                    disposition=Disposition.CONNECTED,
                    verdict=None,
                    talk_seconds=40.0,
                )
                await store.write(connection, call, None)
    days = await genuine_per_day(store.engine, AT, "Asia/Jakarta")
    assert (len(days), sum(days)) == (84, 63 * 5 + 21 * 2)
    await archive.look(is_thorough=True)
    assert await alarms(archive) == ["genuine-calls-fell"]
    every = count(await field_calls(store.engine, None))
    assert (every.calls, every.genuine) == (357, 357)
    assert await field_calls(store.engine, AT) == []


async def test_without_records_there_is_no_trend(store: RecordStore) -> None:
    assert await genuine_per_day(store.engine, AT, "Asia/Jakarta") == []


# ---- the page --------------------------------------------------------------------


@pytest_asyncio.fixture
async def page(
    store: RecordStore, archive: Archive, tmp_path: Path
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    await write(store, CALL)
    lay(archive.kept)
    await archive.look(is_thorough=True)

    async def engine() -> AsyncEngine:
        return store.engine

    app = web.Application()
    secrets = tmp_path / "secrets"
    ReviewPage(engine, archive.kept, lambda: "Asia/Jakarta", secrets).add_to(app)
    async with TestClient(TestServer(app)) as client:
        yield client


Page = TestClient[web.Request, web.Application]


def ours(page: Page) -> dict[str, str]:
    return {"Origin": f"http://{page.host}:{page.port}"}


async def test_the_page_shows_and_escapes(page: Page) -> None:
    answer = await page.get("/review?mark=unreviewed&kind=released&random=1")
    text = await answer.text()
    assert answer.status == 200
    assert "silence &lt;b&gt;; no key" in text
    assert "2026-11-21 20:00:00" in text, "the city's time"
    assert "081234567890" not in text
    assert "Say who you are to listen" in text
    assert "<audio" not in text
    await listen(page)
    text = await (await page.get("/review")).text()
    assert f'src="/review/{ID}/audio"' in text
    assert "You listen as <b>Sari</b>: letter 12" in text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert (await page.get("/review?kind=nonsense")).status == 400


async def listen(page: Page, by: str = "Sari", why: str = "letter 12") -> int:
    """Say who listens; the status of the answer."""
    answer = await page.post(
        "/review/listener",
        data={"by": by, "why": why},
        headers=ours(page),
        allow_redirects=False,
    )
    return answer.status


async def heard(
    store: RecordStore, count: int = 0
) -> list[tuple[str, str, float | None]]:
    """The audit's entries, once there are so many: the last byte comes first."""
    async with asyncio.timeout(20):
        while True:
            entries = await audit.listed(store.engine, WantedEntries(call_id=ID))
            if len(entries) >= count:
                break
            await asyncio.sleep(0.01)
    assert {entry.reason for entry in entries} <= {"letter 12"}
    return [(entry.actor, entry.action, entry.seconds) for entry in entries]


async def test_audio_plays_and_can_be_sought(
    page: Page, store: RecordStore, archive: Archive, tmp_path: Path
) -> None:
    assert await listen(page) == 303
    whole = await (await page.get(f"/review/{ID}/audio")).read()
    assert whole.endswith(PCM)
    await heard(store, 2)
    part = await page.get(f"/review/{ID}/audio", headers={"Range": "bytes=44-143"})
    assert part.status == 206
    assert part.headers["Content-Range"] == f"bytes 44-143/{len(whole)}"
    assert await part.read() == PCM[:100]
    assert await heard(store, 4) == [
        ("Sari", "playing", None),
        ("Sari", "played", 1.0),
        ("Sari", "playing", None),
        ("Sari", "played", 0.006),
    ]
    for asked in ("bytes=99999999-", "bytes=3-2", "seconds=1-"):
        answer = await page.get(f"/review/{ID}/audio", headers={"Range": asked})
        assert answer.status == 416, asked
    assert (await page.head(f"/review/{ID}/audio")).content_length == len(whole)
    assert len(await heard(store)) == 4
    assert (await audit.verify(store.engine, secrets=tmp_path / "secrets")).faults == ()
    (archive.kept / "2026-11-21" / f"{ID}.wav").unlink()
    assert (await page.get(f"/review/{ID}/audio")).status == 404
    assert (await page.get("/review/k-9/audio")).status == 404


@pytest.mark.parametrize("cookie", [None, "x", "%7B%7D", "[]", '{"by":"","why":"x"}'])
async def test_nobody_listens_unnamed(
    page: Page, store: RecordStore, cookie: str | None
) -> None:
    headers = {} if cookie is None else {"Cookie": f"gerbang-listener={quote(cookie)}"}
    answer = await page.get(f"/review/{ID}/audio", headers=headers)
    assert answer.status == 403
    assert "Say who you are" in await answer.text()
    assert await listen(page, by=" ") == await listen(page, why="") == 400
    assert await heard(store) == []


async def test_nothing_is_played_that_is_not_written_down(
    page: Page, tmp_path: Path
) -> None:
    await listen(page)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "audit.key").write_text("spoilt")
    answer = await page.get(f"/review/{ID}/audio")
    assert answer.status == 503
    assert "audit.key" in await answer.text()


async def test_one_who_stops_has_heard_so_much(
    page: Page, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listen(page)
    monkeypatch.setattr("pbx.control.listening.CHUNK_BYTES", 8044)
    write, sent = web.StreamResponse.write, []

    async def stop_after_one(response: web.StreamResponse, data: bytes) -> None:
        if sent:
            writer: Any = response._payload_writer
            writer.transport.abort()
            raise ConnectionResetError
        sent.append(data)
        await write(response, data)

    monkeypatch.setattr(web.StreamResponse, "write", stop_after_one)
    with contextlib.suppress(ClientError):
        await (await page.get(f"/review/{ID}/audio")).read()
    assert (await heard(store, 2))[-1] == ("Sari", "played", 0.5)


async def test_a_playback_whose_end_is_not_written_is_told(
    page: Page, tmp_path: Path, store: RecordStore, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await listen(page)
    append = audit.append

    async def not_twice(*args: Any, **kwargs: Any) -> Any:
        if kwargs["action"] == "played":
            raise OSError("no space left")
        return await append(*args, **kwargs)

    monkeypatch.setattr("pbx.records.audit.append", not_twice)
    await (await page.get(f"/review/{ID}/audio")).read()
    await until(lambda: "Sari heard 1.0 s and it is not written down" in caplog.text)
    assert await heard(store) == [("Sari", "playing", None)]


async def test_a_row_that_lies_about_its_audio_opens_no_other_file(
    page: Page, store: RecordStore
) -> None:
    await reviews.attach(
        store.engine, ID, audio="../records.sqlite3", sha256="", seconds=1.0
    )
    await listen(page)
    assert (await page.get(f"/review/{ID}/audio")).status == 404
    await reviews.forget_audio(store.engine, [ID], AT)
    assert (await page.get(f"/review/{ID}/audio")).status == 404
    assert "audio deleted 2026-11-21" in await (await page.get("/review")).text()


async def test_a_mark_and_its_acknowledgement(page: Page, store: RecordStore) -> None:
    form = {"by": " Sari\n", "review": "was-a-person", "note": "a child?"}
    answer = await page.post(
        f"/review/{ID}/mark", data=form, headers=ours(page), allow_redirects=False
    )
    assert (answer.status, answer.headers["Location"]) == (303, "/review")
    row = await reviews.find(store.engine, ID)
    assert (row.review, row.reviewer, row.note) == (Review.PERSON, "Sari", "a child?")
    assert "acknowledge: I see to it" in await (await page.get("/review")).text()
    other = {"by": "Tono", "review": "nobody"}  # his page is from before
    answer = await page.post(f"/review/{ID}/mark", data=other, headers=ours(page))
    assert answer.status == 409
    assert "Sari heard a person there" in await answer.text()
    await page.post(
        f"/review/{ID}/acknowledge", data={"by": "Budi"}, headers=ours(page)
    )
    assert (await reviews.find(store.engine, ID)).acknowledged_by == "Budi"


@pytest.mark.parametrize(
    ("form", "status"),
    [({"by": "", "review": "nobody"}, 400), ({"by": "S", "review": "ghost"}, 400)],
)
async def test_a_mark_needs_a_name_and_a_word(
    page: Page, form: dict[str, str], status: int
) -> None:
    answer = await page.post(f"/review/{ID}/mark", data=form, headers=ours(page))
    assert answer.status == status
    answer = await page.post(
        f"/review/{ID}/acknowledge", data={"by": " "}, headers=ours(page)
    )
    assert answer.status == 400
    answer = await page.post(
        "/review/k-9/mark", data={"by": "S", "review": "nobody"}, headers=ours(page)
    )
    assert answer.status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example:8112", "Origin": "http://evil.example:8112"},
    ],
)
async def test_no_other_page_may_mark(
    page: Page, store: RecordStore, headers: dict[str, str]
) -> None:
    answer = await page.post(
        f"/review/{ID}/mark", data={"by": "E", "review": "nobody"}, headers=headers
    )
    assert answer.status == 403
    assert (await reviews.find(store.engine, ID)).review is Review.UNREVIEWED


async def test_a_foreign_name_may_not_even_look(page: Page) -> None:
    for path in ("/review", f"/review/{ID}/audio"):
        answer = await page.get(path, headers={"Host": "evil.example"})
        assert answer.status == 403
    assert (await page.get("/review", headers={"Host": "[::1]:1"})).status == 200


async def test_a_store_that_is_away_is_said(tmp_path: Path) -> None:
    async def engine() -> AsyncEngine:
        raise ConnectionRefusedError

    app = web.Application()
    ReviewPage(engine, tmp_path, lambda: "UTC").add_to(app)
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/review")
        assert answer.status == 503
        assert "start the database" in await answer.text()
