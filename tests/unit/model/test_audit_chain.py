"""The bytes an audit entry is signed over: documented, so that anybody can check."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

from pbx.model.audit import FIRST, Entry, canonical, key_id, mac_of, spans, subject_of

KEY = bytes(range(32))
ENTRY = Entry(
    seq=7,
    at=datetime(2026, 11, 21, 20, 0, 1, 5, tzinfo=timezone(timedelta(hours=7))),
    actor="Sari",
    action="played",
    call_id="kediri-1-1795293895.10",
    subject=None,
    reason='a "child"?',
    seconds=4.04,
    details='{"bytes": 64648}',
    key_id=key_id(KEY),
    previous=FIRST,
    mac="",
)


def test_the_bytes_as_documented() -> None:
    told = canonical(ENTRY)
    assert (
        told
        == (
            '[7,"2026-11-21T13:00:01.000005Z","Sari","played","kediri-1-1795293895.10",null,'
            '"a \\"child\\"?","4.040","{\\"bytes\\": 64648}",'
            f'"{key_id(KEY)}","{FIRST}"]'
        ).encode()
    )
    assert mac_of(ENTRY, KEY) == hmac.new(KEY, told, hashlib.sha256).hexdigest()


def test_no_seconds_is_null() -> None:
    bare = Entry(
        seq=1,
        at=datetime(2026, 11, 21, tzinfo=UTC),
        actor="x",
        action="y",
        call_id=None,
        subject=None,
        reason=None,
        seconds=None,
        details=None,
        key_id="k",
        previous=FIRST,
        mac="",
    )
    assert canonical(bare).decode().count("null") == 5


def test_a_subject_is_no_number_and_always_the_same() -> None:
    one = subject_of("6281234567890", KEY)
    assert one == subject_of("6281234567890", KEY)
    assert one != subject_of("6281234567891", KEY)
    assert one != subject_of("6281234567890", KEY[::-1])
    assert "81234567890" not in one


def test_numbers_in_words() -> None:
    assert spans([1, 2, 3, 7]) == "entries 1 to 3, entry 7"
