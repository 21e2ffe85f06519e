"""One person: his access package and his erasure, by command, on both databases."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import wave
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from click.testing import Result
from typer.testing import CliRunner

from pbx.commands import audit, privacy
from pbx.commands.who import actor
from pbx.model.call import (
    Call,
    CallerFacts,
    Classified,
    Direction,
    Disposition,
    Recording,
    State,
    Transfer,
    TransferKind,
)
from pbx.model.events import Judged
from pbx.model.masking import ERASED
from pbx.model.numbers import mentions_anywhere
from pbx.model.review import Review
from pbx.records import erased_calls, reviews
from pbx.records import person as persons
from pbx.records.privacy_tables import erasures
from pbx.records.store import RecordStore
from pbx.records.tables import (
    calls,
    journal_lines,
    review_marks,
    witnessed_calls,
)
from pbx.settings import Settings

pytestmark = pytest.mark.postgres

app = typer.Typer()
privacy.register(app)
audit.register(app)

SARI = "6281234567890"
AT = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
A, B, C, D, OTHER = (f"kediri-1-179529380{n}.{n}" for n in range(5))


def call(call_id: str, **more: Any) -> Call:
    values: dict[str, Any] = {
        "state": State.CLOSED,
        "disposition": Disposition.CONNECTED,
        "number": "112",
        "started_at": AT,
        "ended_at": AT + timedelta(seconds=60),
        "last_event_at": AT + timedelta(seconds=60),
    }
    return Call(call_id=call_id, **(values | more))


CALLS = (
    call(
        A,
        ani="081234567890",
        presentation="prohib_passed_screen",
        caller=CallerFacts(asserted="<tel:+6281234567890>", cell_id="51010"),
        recordings=(Recording(f"{A}.wav", AT),),
        disposition=Disposition.RELEASED,
        verdict=Judged("release", "silent", 9350, "silence; no key", 0.97),
    ),
    call(
        B,
        direction=Direction.OUTGOING,
        ani="101",
        number="+6281234567890",
        classified=Classified("valid", "Ambulans", "101", "mother of Sari", AT),
    ),
    call(
        C,
        ani="085700001111",
        transfers=(Transfer(TransferKind.BLIND, "101", "6281234567890", AT, True),),
        classified=Classified("information", None, "101", "sister 0812-3456-7890", AT),
    ),
    call(D, ani="085700002222", disposition=Disposition.LEFT),
    call(OTHER, ani="0812345678901"),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def state(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A state directory with five calls, a review, sound, lines and a witness."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'state' / 'records.sqlite3'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        plain = url.replace("+asyncpg", "")
        monkeypatch.setenv("GERBANG_DATABASE_URL", plain)
    monkeypatch.setenv("GERBANG_STATE", str(tmp_path / "state"))
    asyncio.run(lay(url))
    for path in (
        tmp_path / "state" / "kept" / f"{AT:%Y-%m-%d}" / f"{A}.wav",
        tmp_path / "state" / "asterisk" / "spool" / "monitor" / f"{A}.wav",
    ):
        path.parent.mkdir(parents=True)
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(bytes(16000))
    story = tmp_path / "state" / "kept" / f"{AT:%Y-%m-%d}" / f"{A}.json"
    story.write_text(json.dumps({"verdict": {"ruling": "release"}}))
    return tmp_path / "state"


async def lay(url: str) -> None:
    store = await RecordStore.open(url)
    async with store.engine.begin() as connection:
        for one in CALLS:
            await store.write(connection, one, None)
        for n, call_id in enumerate((A, B, C, D, OTHER)):
            line = sa.insert(journal_lines).values(
                journal="j", offset=n, raw=b"0812", call_id=call_id
            )
            await connection.execute(line)
        await connection.execute(
            sa.insert(witnessed_calls).values(
                call_id=D, channel="x", trunk="carrier", number="112",
                ani="+6281234567890", seen_at=AT,
            )
        )  # fmt: skip
    await reviews.attach(
        store.engine, A, audio=f"{AT:%Y-%m-%d}/{A}.wav", sha256="0", seconds=1.0
    )
    await reviews.mark(store.engine, A, Review.PERSON, by="Budi", note="weeps", at=AT)
    await store.close()


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def rows(state: Path, query: Any) -> list[Any]:
    from pbx.records.database import open_engine

    async def read() -> list[Any]:
        engine = open_engine(Settings().database_url)
        async with engine.connect() as connection:
            found = list((await connection.execute(query)).all())
        await engine.dispose()
        return found

    assert Settings().state == state
    return asyncio.run(read())


def record(state: Path, call_id: str) -> dict[str, Any]:
    (row,) = rows(state, sa.select(calls.c.record).where(calls.c.call_id == call_id))
    told: dict[str, Any] = row.record
    return told


def sounds(state: Path) -> list[str]:
    return sorted(path.name for path in state.rglob("*.wav"))


ERASE = ("privacy", "erase", "0812-3456-7890", "--reason", "letter 12", "--by", "Ayu")


# ---- erasure -------------------------------------------------------------------------


def test_without_yes_nothing_is_changed(state: Path) -> None:
    before = rows(state, sa.select(calls).order_by(calls.c.call_id))
    shown = run(*ERASE)
    assert shown.exit_code == 0
    assert (
        "3 call(s) of this person, 1 that mention him; 4 to be erased" in shown.stdout
    )
    assert "--yes does it" in shown.stdout
    assert OTHER not in shown.stdout
    assert rows(state, sa.select(calls).order_by(calls.c.call_id)) == before
    assert len(sounds(state)) == 2
    assert not (state / "secrets").exists()


def test_nothing_of_the_person_is_left(state: Path) -> None:
    done = run(*ERASE, "--yes")
    assert done.exit_code == 0, done.output
    assert "certificate: audit entry 1" in done.stdout
    assert "AstDB" in done.stdout
    for call_id in (A, B, C, D):
        told = record(state, call_id)
        assert told["revision"] == 2
        assert told["erased_at"] is not None
        assert not mentions_anywhere(told, SARI)
    own = record(state, A)
    assert (own["ani"], own["caller"]["cell_id"]) == (ERASED, ERASED)
    assert own["disposition"] == "released"
    called = record(state, B)
    assert called["number"] == called["classified"]["note"] == ERASED
    other = record(state, C)
    assert (other["ani"], other["transfers"][0]["to"]) == ("085700001111", ERASED)
    assert record(state, OTHER)["revision"] == 1
    columns = rows(state, sa.select(calls.c.ani, calls.c.number))
    assert not [row for row in columns if mentions_anywhere(list(row), SARI)]
    assert sounds(state) == []
    assert [r.call_id for r in rows(state, sa.select(journal_lines))] == [OTHER]
    assert [w.ani for w in rows(state, sa.select(witnessed_calls))] == [""]
    (mark,) = rows(state, sa.select(review_marks))
    assert mark.note is None
    (row,) = rows(state, sa.select(reviews.reviews))
    assert (row.audio, row.note, row.review) == (None, None, "was-a-person")
    assert row.deleted_at is not None


def test_erased_again_there_is_nothing(state: Path) -> None:
    run(*ERASE, "--yes")
    again = run(*ERASE, "--yes")
    assert (again.exit_code, again.stdout) == (0, "Nothing is kept of this number.\n")


def test_the_certificate_is_in_the_chain_without_the_number(state: Path) -> None:
    run(*ERASE, "--yes")
    listed = run("audit", "list", "--actor", "Ayu", "--json")
    entries = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [e["action"] for e in entries] == ["erased", "erased"]
    assert "1234567890" not in listed.stdout
    assert entries[0]["reason"] == "letter 12"
    shown = run("privacy", "certificates", "--json").stdout.splitlines()
    told = [json.loads(line) for line in shown]
    assert [(t["what"], t["count"], t["by"]) for t in told] == [
        ("a person's calls", 3, "Ayu"),
        ("mentions of a person", 1, "Ayu"),
    ]
    assert "a person's calls" in run("privacy", "certificates").stdout
    verified = run("audit", "verify")
    assert (verified.exit_code, "the audit is whole" in verified.stdout) == (0, True)


def test_the_list_of_the_erased_stands_before_the_commit(state: Path) -> None:
    """Root runs the command; the recorder, another user, must read the list."""
    if os.geteuid() == 0:
        os.chown(state, 12345, 12345)
    assert run(*ERASE, "--yes").exit_code == 0
    path = erased_calls.file_of(state / "secrets")
    assert erased_calls.remembered(state / "secrets") >= {A, B, C, D}
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_uid == state.stat().st_uid


def test_what_cannot_be_listed_is_not_erased(state: Path) -> None:
    erased_calls.file_of(state / "secrets").mkdir(parents=True)
    done = run(*ERASE, "--yes")
    assert done.exit_code == 1, done.output
    assert record(state, A)["ani"] == "081234567890"
    assert rows(state, sa.select(erasures)) == []


def test_no_page_of_the_file_has_the_number(
    request: pytest.FixtureRequest, state: Path
) -> None:
    if "sqlite" not in request.node.name:
        return
    holder = sqlite3.connect(state / "records.sqlite3")  # else the last one checkpoints
    holder.execute("PRAGMA journal_mode").fetchall()
    assert run(*ERASE, "--yes").exit_code == 0
    stored = [p.read_bytes() for p in state.glob("records.sqlite3*")]
    holder.close()
    number = b"81234567890"
    left = b"".join(stored).replace(b"0812345678901", b"")  # another's
    assert number not in left


def test_open_cases_may_stay(state: Path) -> None:
    done = run(*ERASE, "--keep-open-cases", "--yes")
    assert "KEPT: open case: a dropped person nobody has called back" in done.stdout
    assert "KEPT: open case: a valid report" in done.stdout
    assert record(state, A)["ani"] == "081234567890"
    assert record(state, B)["number"] == "+6281234567890"
    assert len(sounds(state)) == 2


def test_a_legal_hold_stays_until_it_is_let_go(state: Path) -> None:
    assert run("privacy", "hold").stderr == "Nothing is held.\n"
    held = run("privacy", "hold", A, "--reason", "court", "--by", "Ayu")
    assert f"{A} is held, with 3 file(s)" in held.stdout
    assert "Ayu: court" in run("privacy", "hold").stdout
    done = run(*ERASE, "--yes")
    assert "KEPT: legal hold" in done.stdout
    assert record(state, A)["ani"] == "081234567890"
    free = run("privacy", "hold", A, "--let-go", "--reason", "closed")
    assert "held no more" in free.stdout
    assert not (state / "held" / A).exists()
    run(*ERASE, "--yes")
    assert record(state, A)["ani"] == ERASED
    assert sounds(state) == []
    assert run("privacy", "hold", A, "--let-go", "--reason", "x").exit_code == 1
    assert run("privacy", "hold", "none", "--reason", "x").exit_code == 1


def test_a_call_that_goes_on_is_left(state: Path) -> None:
    async def still_going_on() -> None:
        from pbx.records.database import open_engine

        engine = open_engine(Settings().database_url)
        async with engine.begin() as connection:
            told = record_of_b | {"state": "open"}
            await connection.execute(
                sa.update(calls)
                .where(calls.c.call_id == B)
                .values(record=told, started_at=datetime.now(UTC))
            )
        await engine.dispose()

    record_of_b = record(state, B)
    asyncio.run(still_going_on())
    done = run(*ERASE, "--yes")
    assert "KEPT: the call goes on" in done.stdout
    assert record(state, B)["number"] == "+6281234567890"


def test_sound_that_cannot_be_deleted_is_told(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".wav":
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    done = run(*ERASE, "--yes")
    assert done.exit_code == 1
    assert "NOT deleted" in done.stderr


def test_without_a_usable_key_nothing_is_erased(state: Path) -> None:
    (state / "secrets").mkdir(mode=0o700)
    (state / "secrets" / "audit.key").write_text("spoilt")
    refused = run(*ERASE, "--yes")
    assert refused.exit_code == 1
    assert "Nothing is done that is not audited" in refused.stderr
    assert record(state, A)["ani"] == "081234567890"
    assert len(sounds(state)) == 2


# ---- access --------------------------------------------------------------------------


def test_the_package_holds_all_and_nothing_of_others(state: Path) -> None:
    out = state / "sari.zip"
    made = run(
        "privacy", "access", "+6281234567890", "--out", str(out), "--reason", "letter"
    )
    assert made.exit_code == 0, made.output
    assert "3 call(s), 2 sound file(s), 1 audit entries" in made.stdout
    assert out.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(out) as archive:
        names = archive.namelist()
        told = json.loads(archive.read("data.json"))
        page = archive.read("index.html").decode()
        assert archive.read(f"{A}/filter-{A}.wav")[:4] == b"RIFF"
        assert f"{A}/conversation-{A}.wav" in names
    assert len(names) == len(set(names))
    own = {c["record"]["call_id"]: c for c in told["calls"] if c["is_own"]}
    assert set(own) == {A, B, D}
    assert own[A]["record"]["ani"] == "081234567890"
    assert own[A]["review_marks"][0]["note"] == "weeps"
    (other,) = (c for c in told["calls"] if not c["is_own"])
    assert other["record"]["ani"] == "hidden"
    assert "085700001111" not in json.dumps(told) + page
    assert told["audit"][0]["action"] == "access-package"
    assert "mother of Sari" in page
    assert "<audio" in page


def test_a_package_of_nothing(state: Path) -> None:
    out = state / "none.zip"
    made = run(
        "privacy", "access", "0899-9999-9999", "--out", str(out), "--reason", "letter"
    )
    assert "0 call(s), 0 sound file(s), 1 audit entries" in made.stdout
    refused = run(
        "privacy", "access", "0899", "--out", str(state / "no" / "x.zip"),
        "--reason", "letter",
    )  # fmt: skip
    assert refused.exit_code == 1
    assert "not written" in refused.stderr


# ---- the rest ------------------------------------------------------------------------


def test_a_broken_chain_is_told(state: Path) -> None:
    run(*ERASE, "--yes")
    anchor = state / "secrets" / "audit.anchor"
    anchor.write_text(anchor.read_text() + f"9 {'0' * 64} x\n")
    broken = run("audit", "verify")
    assert broken.exit_code == 1
    assert "at the end: anchored, and gone" in broken.stderr
    assert run("audit", "list", "--since", "1h").stdout.count("erased") == 2
    assert run("audit", "list", "--call", "none").stderr == "No entries.\n"


def test_mistyped(state: Path) -> None:
    assert run("privacy", "erase", "Sari", "--reason", "x").exit_code == 2
    assert run("privacy", "erase", "0812", "--reason", " ").exit_code == 2
    assert run("privacy", "certificates").stderr.startswith("No certificates yet")


@pytest.mark.parametrize("asked", ["081234567890", "+62 812 3456 7890"])
def test_a_number_is_found_however_the_network_or_an_operator_wrote_it(
    state: Path, asked: str
) -> None:
    """RFC 3966, 3: a tel: URI may have dashes, dots and brackets in its number, and
    Asterisk makes the caller's number of it as it stands."""
    said = Classified("valid", "Ibu Sri 0812.3456.7890", "101", None, AT)
    written = {
        "k.1": {"ani": "", "caller": CallerFacts(asserted="<tel:+62-812-3456-7890>")},
        "k.2": {"ani": "+62-812-3456-7890"},
        "k.3": {"ani": "", "caller": CallerFacts(asserted="<tel:(0812)34567890>")},
        "k.4": {"ani": "0857", "caller": CallerFacts(geolocation="0812 3456 7890")},
        "k.5": {"ani": "0857", "classified": said},
        "k.6": {"ani": "0857"},
    }

    async def lay_more() -> None:
        store = await RecordStore.open(Settings().database_url)
        async with store.engine.begin() as connection:
            for call_id, more in written.items():
                await store.write(connection, call(call_id, **more), None)
            await connection.execute(
                sa.insert(witnessed_calls).values(
                    call_id="k.6", channel="x", trunk="carrier", number="112",
                    ani="+62-812-3456-7890", seen_at=AT,
                )
            )  # fmt: skip
        await store.close()

    asyncio.run(lay_more())
    reason = ("--reason", "letter", "--yes")
    told = run("privacy", "erase", asked, *reason).output
    for call_id in ("k.1", "k.2", "k.3", "k.6"):
        assert re.search(rf"{re.escape(call_id)} +his call", told), call_id
    for call_id in ("k.4", "k.5"):
        assert re.search(rf"{re.escape(call_id)} +mentions him", told), call_id
    for call_id in written:
        assert not mentions_anywhere(record(state, call_id), SARI), call_id
    assert "Nothing is kept" in run("privacy", "erase", asked, *reason).output


def test_more_than_a_page(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persons, "PAGE", 2)
    monkeypatch.setattr(persons, "AT_ONCE", 1)
    assert "4 to be erased" in run(*ERASE, "--yes").stdout
    assert run(*ERASE).stdout == "Nothing is kept of this number.\n"


def test_who_came_by_sudo_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "sari")
    assert actor("") == "sari (command line)"
    assert actor(" Ayu ") == "Ayu"
