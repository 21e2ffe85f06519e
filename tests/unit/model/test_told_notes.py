"""Notes, folded: holds, wrap-up, the operator's word, the score; and transfers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pbx.model.call import Call, Hold, State, Survey, Transfer, TransferKind
from pbx.model.events import JournalEvent, read_event
from pbx.model.fold import fold
from pbx.model.spans import common, seconds_between, seconds_within
from tests.fakes.journal_lines import (
    CALLER,
    START,
    TRUNK,
    bridge,
    connected,
    greeted,
    hangup,
    line,
    phone,
    story,
)

FIRST = phone("101", 2)
"""The operator of `connected()`: talks from 7.6 to 30."""


def note(name: str, at: float, fact: str, channel: str = TRUNK) -> bytes:
    return line(name, fact=fact, at=at, channel=channel, name="", context="")


def on_hold(at: float, *, held: bool = True, channel: str = FIRST["channel"]) -> bytes:
    return note("HELD" if held else "UNHELD", at, "by=101", channel)


def told(*parts: bytes | list[bytes], **more: Any) -> Call:
    return fold([read_event(raw) for raw in story(*parts)], **more)


def after(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def test_a_hold_is_told_with_its_beginning_and_end() -> None:
    call = told(connected(), on_hold(10), on_hold(14, held=False))
    assert call.holds == (Hold("101", after(10), after(14)),)
    assert call.hold_seconds == 4.0
    assert call.talk_seconds == 22.4
    assert call.last_event_at == after(30)


def test_a_hold_nobody_ended_ends_with_its_phone() -> None:
    assert told(connected(), on_hold(10)).holds == (Hold("101", after(10), after(30)),)


def test_a_hold_goes_on_while_the_call_does() -> None:
    call = told(connected()[:14], on_hold(10))
    assert call.state is State.OPEN
    assert call.holds == (Hold("101", after(10), None),)
    assert call.hold_seconds is None


def test_holds_said_twice_or_not_begun_are_one_or_none() -> None:
    assert not told(connected(), on_hold(9, held=False)).holds
    call = told(connected(), on_hold(12), on_hold(10), on_hold(13, held=False))
    assert call.holds == (Hold("101", after(10), after(13)),)


def test_a_hold_told_after_the_end_lasts_no_time() -> None:
    call = told(connected(), on_hold(31))
    assert call.holds == (Hold("101", after(31), after(31)),)
    assert call.hold_seconds == 0.0


def test_two_holds_at_once_count_once() -> None:
    both = [on_hold(10), on_hold(12, channel=TRUNK)]
    ends = [on_hold(14, held=False), on_hold(20, held=False, channel=TRUNK)]
    assert told(connected(), both, ends).hold_seconds == 10.0


def test_who_held_is_read_off_the_channel_where_it_is_not_said() -> None:
    raw = line("HELD", fact="by=", at=10, channel="x-1.9", name="PJSIP/102-00000009")
    assert told(connected(), raw).holds[0].by == "102"


@pytest.mark.parametrize(
    ("notes", "seconds"),
    [
        ([note("WRAPPED_UP", 35, "operator=101")], 5.0),
        ([note("WRAPPED_UP", 29, "operator=101")], 0.0),  # another thread's clock
        ([note("WRAPPED_UP", 20, "operator=101")], None),  # of an earlier call
        ([note("WRAPPED_UP", 35, "operator=102")], None),
        ([], None),
    ],
)
def test_wrap_up(notes: list[bytes], seconds: float | None) -> None:
    assert told(connected(), notes).wrap_up_seconds == seconds


def test_no_wrap_up_before_the_talk_is_over() -> None:
    early = note("WRAPPED_UP", 29, "operator=101")
    assert told(connected()[:14], early).wrap_up_seconds is None


def test_the_last_word_and_the_last_score_count() -> None:
    call = told(
        connected(),
        note("SURVEYED", 50, "score=2"),
        note("CLASSIFIED", 40, "category=ghost&operator=101"),
        note("SURVEYED", 45, "score=5"),
        note("CLASSIFIED", 41, "category=valid&type=Ular%2C%20besar&note=a%0Ab"),
    )
    assert call.classified is not None
    assert (call.classified.category, call.classified.type) == ("valid", "Ular, besar")
    assert (call.classified.operator, call.classified.note) == (None, "a\nb")
    assert call.survey == Survey(2, after(50))


def test_notes_alone_make_a_record_that_says_so() -> None:
    notes = [note("CLASSIFIED", 9, "category=prank"), note("HELD", 4, "by=101")]
    call = told(notes)
    assert (call.call_id, call.state, call.incomplete) == (TRUNK, State.OPEN, True)
    assert (call.started_at, call.last_event_at) == (after(4), after(9))
    assert call.classified is not None
    gone = told(notes, gone_at=after(20))
    assert (gone.state, gone.truncated) == (State.CLOSED, False)
    dead = told(notes, rebooted_at=after(20))
    assert (dead.state, dead.truncated) == (State.CLOSED, True)


def test_a_note_before_its_call_leaves_no_gap() -> None:
    early = note("CLASSIFIED", 40, "category=valid")
    assert told(early, connected()) == told(connected(), early)
    assert not told(early, connected()).incomplete


# ---- transfers ----------------------------------------------------------------------


def blind(at: float, to: str, transferee: str = TRUNK, **more: Any) -> bytes:
    extra = {"extension": to, "transferee_channel_uniqueid": transferee}
    return line("BLINDTRANSFER", at=at, extra=extra, **(FIRST | more))


def third(begin: float, end: float, **more: Any) -> list[bytes]:
    """102 is rung for the caller, talks with him in bridge b2, and ends the call."""
    other = phone("102", 3) | more
    return story(
        line("CHAN_START", at=begin - 2, **other),
        line("ANSWER", at=begin, **other),
        bridge("ENTER", begin, "b2", **other),
        bridge("ENTER", begin, "b2"),
        bridge("EXIT", end, "b2", **other),
        bridge("EXIT", end, "b2"),
        hangup(end, **other),
    )


def passed_on(*more: bytes | list[bytes]) -> Call:
    """As `connected`, but 101 leaves at 20 and the call goes on."""
    talk = [raw for raw in connected() if b"LINKEDID_END" not in raw][:14]
    leaves = [bridge("EXIT", 20), bridge("EXIT", 20, **FIRST), *hangup(20, **FIRST)]
    return told(talk, leaves, *more, hangup(40, source=CALLER))


def test_a_blind_transfer_that_is_taken() -> None:
    call = passed_on(blind(19.9, "102"), third(23, 39))
    kind = TransferKind.BLIND
    assert call.transfers == (Transfer(kind, "101", "102", after(19.9), True),)
    assert call.rings[-1].queue is None


def test_one_that_a_queue_took_back_is_not_completed() -> None:
    again = line("QUEUED", fact="queue=cadangan&priority=100&rung=1", at=20.5)
    call = passed_on(blind(19.9, "199"), again, third(23, 39))
    assert [t.completed for t in call.transfers] == [False]
    assert call.rings[-1].queue == "cadangan"


def test_one_that_nobody_has_taken_yet_is_not_completed() -> None:
    assert [t.completed for t in passed_on(blind(19.9, "102")).transfers] == [False]


def test_whoever_asterisk_does_not_name_is_the_caller() -> None:
    call = passed_on(blind(19.9, "102", "N/A"), third(23, 39))
    assert [t.completed for t in call.transfers] == [True]


def attended(at: float, second: str, target: str) -> bytes:
    extra = {
        "channel2_uniqueid": second,
        "transferee_channel_uniqueid": TRUNK,
        "transfer_target_channel_uniqueid": target,
    }
    return line("ATTENDEDTRANSFER", at=at, extra=extra, **FIRST)


@pytest.mark.parametrize(
    ("second", "target", "to"),
    [
        ("unknown", phone("102", 3)["channel"], "102"),
        ("unknown", "N/A", ""),
        (TRUNK, "N/A", "112"),  # what the second channel dialled
    ],
)
def test_an_attended_transfer_goes_where_it_was_dialled(
    second: str, target: str, to: str
) -> None:
    call = passed_on(attended(19.9, second, target), third(23, 39))
    assert [(t.kind, t.to, t.completed) for t in call.transfers] == [
        (TransferKind.ATTENDED, to, True)
    ]


def joined_by(linkedid: str, end: float = 20.0) -> Call:
    """103 comes into the bridge of the two at 12."""
    other = phone("103", 4)
    raws = story(
        line("CHAN_START", at=11, **other),
        bridge("ENTER", 12, **other),
        bridge("EXIT", end, **other),
        hangup(end, **other),
    )
    events: list[JournalEvent] = [read_event(raw) for raw in story(connected(), raws)]
    return fold(
        replace(e, linkedid=linkedid) if e.channel == other["channel"] else e
        for e in events
    )


@pytest.mark.parametrize(
    ("linkedid", "by"),
    [
        (phone("103", 4)["channel"], "103"),  # dialled himself
        (FIRST["channel"], "101"),
        (TRUNK, "101"),  # the trunk asks nobody: whoever was there did
    ],
)
def test_a_conference(linkedid: str, by: str) -> None:
    conference = Transfer(TransferKind.CONFERENCE, by, "103", after(12), True)
    assert joined_by(linkedid).transfers == (conference,)


def test_three_for_a_moment_are_no_conference() -> None:
    assert not joined_by(TRUNK, end=12.5).transfers


def test_a_call_without_a_talk_has_no_recording() -> None:
    begun = line("RECORDING", fact="name=x.wav", at=1.5)
    assert told(greeted(), begun).recordings == ()
    assert [r.name for r in told(connected(), begun).recordings] == ["x.wav"]


# ---- spans --------------------------------------------------------------------------


def test_spans() -> None:
    spans = [(after(5), after(9)), (after(0), after(2)), (after(1), after(6))]
    assert seconds_within(spans) == 9.0
    assert seconds_within([]) == 0.0
    assert seconds_within([(after(3), after(2))]) == 0.0
    assert common(spans[:1], [(after(8), after(20)), (after(9), after(10))]) == [
        (after(8), after(9))
    ]
    assert seconds_between(after(2), after(1)) == 0.0
    assert seconds_between(None, after(1)) is None
