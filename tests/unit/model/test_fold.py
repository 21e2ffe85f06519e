"""Journal events → a record: what happened is told, what is missing is marked."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.model.call import (
    Call,
    Direction,
    Disposition,
    HungUpBy,
    RingOutcome,
    State,
)
from pbx.model.channels import birth, endpoint_of, group, oldest, read_channels
from pbx.model.conversation import talks_of
from pbx.model.events import JournalEvent, UnreadableLineError, read_event
from pbx.model.fold import fold
from pbx.records.journal import cut
from tests.fakes.journal_lines import (
    CALLER,
    OFFERED,
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


def events(lines: list[bytes]) -> list[JournalEvent]:
    return [read_event(raw) for raw in lines]


def told(*parts: bytes | list[bytes]) -> Call:
    return fold(events(story(*parts)))


# ---- whole calls --------------------------------------------------------------------


def test_a_connected_call() -> None:
    call = fold(events(connected(end=30.0)))
    assert call.call_id == TRUNK
    assert (call.state, call.disposition) == (State.CLOSED, Disposition.CONNECTED)
    assert not call.incomplete
    assert (call.number, call.ani, call.trunk) == ("112", "081234567890", "carrier")
    assert (call.presentation, call.flow) == ("allowed", "filter0")
    assert call.operator == "101"
    assert [r.outcome for r in call.rings] == [
        RingOutcome.NO_ANSWER,
        RingOutcome.ANSWERED,
    ]
    assert [r.queue for r in call.rings] == ["darurat", "darurat"]
    assert call.wait_seconds == 6.1
    assert call.ring_seconds == 2.5
    assert call.talk_seconds == 22.4
    assert call.hung_up_by is HungUpBy.CALLER
    assert call.hangup_cause == 16
    assert call.verdict is not None
    assert call.verdict.evidence == "digit=0 at 1340"
    assert [p.name for p in call.prompts] == ["greeting"]
    assert [k.digit for k in call.keys] == ["0"]
    assert [leg.endpoint for leg in call.legs] == ["carrier", "102", "101"]


def test_an_open_call_tells_how_far_it_is() -> None:
    call = told(greeted())
    assert (call.state, call.disposition) == (State.OPEN, Disposition.QUEUED)
    assert call.ended_at is None
    assert call.wait_seconds is None
    assert told(greeted()[:1]).disposition is Disposition.OFFERED
    assert told(greeted()[:3]).disposition is Disposition.ANSWERED
    assert told(greeted()[:6]).disposition is Disposition.PASSED


def test_a_ringing_phone_and_a_conversation_that_goes_on() -> None:
    first, second = phone("102", 1), phone("101", 2)
    ringing = told(greeted(), line("CHAN_START", at=1.6, **first))
    assert [r.outcome for r in ringing.rings] == [RingOutcome.RINGING]
    assert ringing.rings[0].ring_seconds is None
    talking = told(
        greeted(),
        line("CHAN_START", at=2, **second),
        line("ANSWER", at=3, **second),
        bridge("ENTER", 3, **second),
        bridge("ENTER", 3),
    )
    assert talking.disposition is Disposition.CONNECTED
    assert talking.talk_seconds is None


def test_abandoned_while_a_phone_rings() -> None:
    ringing = phone("102", 1)
    call = told(
        greeted(),
        line("CHAN_START", at=1.6, **ringing),
        hangup(9.0, cause=0, **ringing),
        hangup(9.001, source=CALLER),
    )
    assert call.disposition is Disposition.ABANDONED
    assert call.abandoned
    assert call.wait_seconds == 7.501
    assert call.rings[0].outcome is RingOutcome.CANCELLED


def test_left_inside_the_filter_and_before_any_answer() -> None:
    assert told(greeted()[:4], hangup(2, source=CALLER)).disposition is Disposition.LEFT
    at_once = told(line("CHAN_START"), hangup(0.1, source=CALLER))
    assert at_once.disposition is Disposition.LEFT
    assert not at_once.incomplete
    assert (at_once.number, at_once.ani) == ("112", "081234567890")


def test_released() -> None:
    call = told(
        greeted()[:4],
        line("VERDICT", fact="verdict=release&reason=silent&at_ms=9000", at=9),
        line("RELEASED", fact="prompt=goodbye", at=9.1),
        hangup(12, source="dialplan/builtin"),
    )
    assert call.disposition is Disposition.RELEASED
    assert call.release_prompt == "goodbye"
    assert call.released_at == START + timedelta(seconds=9.1)
    assert call.hung_up_by is HungUpBy.SYSTEM


def test_a_verdict_of_release_is_no_release_until_it_happened() -> None:
    call = told(
        greeted()[:4],
        line("VERDICT", fact="verdict=release&reason=silent&at_ms=9000", at=9),
        line("RESCUED", fact="reason=watchdog", at=9.1),
        line("QUEUED", fact="queue=darurat&priority=10&rung=1", at=9.2),
        hangup(20, source=CALLER),
    )
    assert call.disposition is Disposition.ABANDONED
    assert call.rescued == "watchdog"
    assert not call.incomplete


def test_lost_when_we_ended_it() -> None:
    call = told(greeted(), hangup(30, source="dialplan/builtin"))
    assert call.disposition is Disposition.LOST


def test_degraded() -> None:
    call = told(
        greeted()[:3],
        line("DEGRADED", fact="heard=voice", at=4),
        line("QUEUED", fact="queue=darurat&priority=10&rung=1", at=4.1),
    )
    assert (call.degraded, call.disposition) == ("voice", Disposition.QUEUED)


def test_the_overflow_ladder_rung_by_rung() -> None:
    call = told(
        greeted(),
        line("QUEUE_LEFT", fact="queue=darurat&status=TIMEOUT&rung=1", at=61.5),
        line("QUEUED", fact="queue=cadangan&priority=10&rung=2", at=61.5),
        line("QUEUE_LEFT", fact="queue=cadangan&status=&rung=2", at=70),
        line("QUEUE_LEFT", fact="queue=unheard&status=FULL&rung=3", at=70),
        line("QUEUED", fact="queue=darurat&priority=10&rung=3", at=70),
    )
    assert [(r.queue, r.rung, r.status) for r in call.queued] == [
        ("darurat", 1, "TIMEOUT"),
        ("cadangan", 2, None),
        ("darurat", 3, None),
    ]
    assert [r.left_at is None for r in call.queued] == [False, False, True]


@pytest.mark.parametrize(
    ("cause", "outcome"),
    [
        (17, RingOutcome.BUSY),
        (21, RingOutcome.REFUSED),
        (26, RingOutcome.CANCELLED),
        (19, RingOutcome.NO_ANSWER),
        (20, RingOutcome.UNREACHABLE),
    ],
)
def test_why_a_phone_did_not_answer(cause: int, outcome: RingOutcome) -> None:
    ringing = phone("102", 1)
    call = told(
        greeted(),
        line("CHAN_START", at=2, **ringing),
        hangup(4, cause=cause, **ringing),
    )
    assert call.rings[0].outcome is outcome
    assert call.rings[0].cause == cause


def test_who_hung_up() -> None:
    second = phone("101", 2)
    by_operator = told(connected()[:-6], bridge("EXIT", 9, **second), bridge("EXIT", 9))
    assert by_operator.hung_up_by is None
    call = told(
        greeted(),
        line("CHAN_START", at=2, **second),
        hangup(9, source=second["name"], **second),
        hangup(9, source=second["name"]),
    )
    assert call.hung_up_by is HungUpBy.OPERATOR
    agency = phone("101", 2) | {"name": "PJSIP/carrier-00000009"}
    call = told(
        greeted(),
        line("CHAN_START", at=2, **agency),
        hangup(9, source=agency["name"], **agency),
        hangup(9, source=agency["name"]),
    )
    assert call.hung_up_by is HungUpBy.OTHER


def test_a_transfer_to_an_agency_is_talk_but_no_operator() -> None:
    agency = phone("101", 2) | {"name": "PJSIP/carrier-00000009"}
    call = told(
        greeted(),
        line("CHAN_START", at=2, **agency),
        line("ANSWER", at=3, **agency),
        bridge("ENTER", 3, **agency),
        bridge("ENTER", 3.5),
        bridge("EXIT", 5),
        hangup(6, **agency),
        hangup(7, source=CALLER),
    )
    assert (call.disposition, call.operator) == (Disposition.CONNECTED, None)
    assert call.talk_seconds == 1.5
    assert call.rings == ()


def test_two_people_at_once_are_not_counted_twice() -> None:
    first, second = phone("101", 1), phone("103", 2)
    call = told(
        greeted(),
        *(
            story(
                line("CHAN_START", at=2, **p),
                line("ANSWER", at=2, **p),
                bridge("ENTER", at, **p),
            )
            for p, at in ((first, 3), (second, 4))
        ),
        bridge("ENTER", 3),
        bridge("EXIT", 10),
        bridge("EXIT", 12, **first),
        hangup(12, source=CALLER),
        hangup(12, **first),
        hangup(12, **second),
    )
    assert call.talk_seconds == 7.0
    assert call.operator == "101"


def test_a_phone_in_the_same_bridge_at_another_time_is_no_talk() -> None:
    second = phone("101", 2)
    call = told(
        greeted(),
        line("CHAN_START", at=2, **second),
        line("ANSWER", at=2, **second),
        bridge("ENTER", 3, **second),
        bridge("EXIT", 4, **second),
        bridge("ENTER", 5),
        bridge("EXIT", 6),
    )
    assert call.connected_at is None


def test_a_second_chance_after_a_release() -> None:
    call = told(
        greeted()[:4],
        line("VERDICT", fact="verdict=release&reason=silent&at_ms=9000", at=9),
        line("RELEASED", fact="prompt=goodbye", at=9.1),
        line("QUEUED", fact="queue=darurat&priority=10&rung=1", at=9.2),
        line("KEY", fact="digit=5&at_ms=9300", at=9.3),
    )
    assert (call.disposition, call.incomplete) == (Disposition.QUEUED, False)


def test_what_is_told_after_the_conversation_began_changes_nothing() -> None:
    late = line("QUEUED", fact="queue=cadangan&priority=1&rung=2", at=20)
    call = told(connected()[:-7], late)
    assert call.disposition is Disposition.CONNECTED
    assert len(call.queued) == 2


def test_an_operators_own_call() -> None:
    own = {"channel": TRUNK, "name": "PJSIP/101-00000001", "context": "operators"}
    agency = phone("1", 2) | {"name": "PJSIP/carrier-00000002"}
    unanswered = told(
        line("CHAN_START", exten="119", **own),
        line("CHAN_START", at=1, **agency),
        hangup(9, cause=17, **agency),
        hangup(9, cause=17, source="dialplan/builtin", **own),
    )
    assert unanswered.direction is Direction.OUTGOING
    assert unanswered.disposition is Disposition.UNANSWERED
    assert (unanswered.number, unanswered.trunk) == ("119", None)
    assert not unanswered.incomplete


# ---- what is missing is marked ------------------------------------------------------


def test_the_first_line_is_missing() -> None:
    call = told(greeted()[1:], hangup(9, source=CALLER))
    assert call.incomplete
    bare = told(line("ANSWER"))
    assert (bare.number, bare.ani, bare.incomplete) == (None, None, True)


def test_the_trunks_channel_is_missing() -> None:
    second = phone("101", 2)
    call = told(line("CHAN_START", at=2, **second), hangup(9, **second))
    assert call.call_id == TRUNK
    assert call.incomplete


@pytest.mark.parametrize("missing", range(len(connected())))
def test_any_one_line_missing_leaves_one_record(missing: int) -> None:
    lines = connected()
    whole = fold(events(lines))
    del lines[missing]
    call = fold(events(lines))
    assert call.call_id == whole.call_id
    assert call.state is State.CLOSED
    kind = connected()[missing].split(b'"')[3].decode()
    if kind in {"CHAN_START", "OFFERED", "HANGUP"}:
        assert call.incomplete


def test_a_step_the_table_does_not_allow_is_a_gap() -> None:
    lines = [raw for raw in connected() if b'"QUEUED"' not in raw]
    call = fold(events(lines))
    assert (call.disposition, call.incomplete) == (Disposition.CONNECTED, True)


def test_a_bridge_left_that_was_never_entered() -> None:
    assert told(greeted(), bridge("EXIT", 3)).incomplete


def test_the_end_of_a_channel_is_missing() -> None:
    lines = [raw for raw in connected() if b'"HANGUP"' not in raw]
    assert fold(events(lines)).incomplete
    gone = [raw for raw in lines if b'"CHAN_END"' not in raw]
    call = fold(events(gone))
    assert (call.state, call.incomplete) == (State.CLOSED, True)
    assert call.ended_at == call.last_event_at


def test_unreadable_lines_are_counted_against_the_record() -> None:
    assert fold(events(connected()), unreadable=1).incomplete


def test_no_lines_no_call() -> None:
    with pytest.raises(ValueError, match="no events"):
        fold([])


def test_asterisk_died_under_it() -> None:
    open_call = events(greeted())
    boot = START + timedelta(seconds=60)
    call = fold(open_call, rebooted_at=boot)
    assert (call.state, call.truncated) == (State.CLOSED, True)
    assert call.disposition is Disposition.LOST
    assert not call.incomplete
    assert fold(open_call, rebooted_at=START).state is State.OPEN
    assert fold(events(connected()), rebooted_at=boot) == fold(events(connected()))


def test_the_boots_second_may_lie_before_the_last_line() -> None:
    """Asterisk tells its start in whole seconds: `13:00:01` may be 13:00:01.9."""
    call = fold(events(greeted()), rebooted_at=START + timedelta(seconds=1))
    assert call.last_event_at > START + timedelta(seconds=1)
    assert call.truncated


def test_a_phone_rung_by_a_transfer_rang_for_no_queue() -> None:
    third = phone("103", 9)
    call = told(connected()[:-7], line("CHAN_START", at=20, **third))
    assert [r.queue for r in call.rings] == ["darurat", "darurat", None]


def test_died_in_conversation_is_still_connected() -> None:
    call = fold(events(connected()[:-7]), rebooted_at=START + timedelta(days=1))
    assert (call.truncated, call.disposition) == (True, Disposition.CONNECTED)


def test_the_second_witness_closes_what_the_journal_never_will() -> None:
    gone = START + timedelta(seconds=40)
    call = fold(events(greeted()), gone_at=gone)
    assert (call.state, call.incomplete, call.ended_at) == (State.CLOSED, True, gone)
    assert fold(events(connected()), gone_at=gone) == fold(events(connected()))


def test_the_witness_does_not_end_a_call_others_carry_on() -> None:
    second, third = phone("101", 2), phone("103", 3)
    lines = story(
        greeted(),
        line("CHAN_START", at=2, **second),
        line("CHAN_START", at=3, **third),
        bridge("ENTER", 4, "b2", **second),
        bridge("ENTER", 4, "b2", **third),
        hangup(9, source=CALLER),
    )
    assert fold(events(lines), gone_at=START).state is State.OPEN
    assert fold(events(lines)).state is State.OPEN


def test_the_witness_ends_a_call_of_which_only_the_last_lines_are_lost() -> None:
    """The disk was full from the caller's own end on."""
    told = connected(end=30.0)[:-3]
    assert fold(events(told)).state is State.OPEN
    call = fold(events(told), gone_at=START + timedelta(seconds=30.4))
    assert (call.state, call.incomplete) == (State.CLOSED, True)
    assert call.disposition is Disposition.CONNECTED
    assert call.ended_at == START + timedelta(seconds=30)


# ---- grouping -----------------------------------------------------------------------


def test_linkedids_are_joined_transitively() -> None:
    a, b, c = "k-100.1", "k-100.2", "k-100.3"
    lines = [
        line("CHAN_START", channel=a, linkedid=a),
        line("CHAN_START", channel=b, linkedid=b),
        line("CHAN_START", channel=c, linkedid=c),
        line("CHAN_START", channel="k-100.9", linkedid="k-100.9"),
        line("BRIDGE_ENTER", channel=c, linkedid=b, extra={"bridge_id": "x"}),
        line("BRIDGE_ENTER", channel=b, linkedid=a, extra={"bridge_id": "x"}),
    ]
    groups = group(events(lines))
    assert sorted(len(g) for g in groups) == [1, 5]
    call = fold(max(groups, key=len))
    assert (call.call_id, call.joined) == (a, (b, c))


def test_ids_sort_by_age() -> None:
    assert oldest(["k-100.10", "k-100.9", "strange"]) == "k-100.9"
    assert birth("k-99.12") < birth("k-100.1") < birth("strange")
    assert endpoint_of("PJSIP/kediri-trunk-0000002a") == "kediri-trunk"
    assert endpoint_of("nonsense") == ""


# ---- any order, any damage ----------------------------------------------------------


@settings(max_examples=60)
@given(st.data())
def test_any_interleaving_of_channels_and_doubles_make_the_same_record(
    data: st.DataObject,
) -> None:
    whole = events(connected())
    by_channel: dict[str, list[JournalEvent]] = {}
    for event in whole:
        by_channel.setdefault(event.channel, []).append(event)
    queues = [list(reversed(q)) for q in by_channel.values()]
    mixed: list[JournalEvent] = []
    while any(queues):
        queue = data.draw(st.sampled_from([q for q in queues if q]))
        event = queue.pop()
        mixed.extend(itertools.repeat(event, data.draw(st.integers(1, 2))))
    assert fold(mixed) == fold(whole)


@settings(max_examples=150)
@given(st.data())
def test_truncation_at_any_byte_never_makes_none_or_two(data: st.DataObject) -> None:
    lines = connected()
    text = b"".join(lines)
    at = data.draw(st.integers(len(lines[0]), len(text)))
    whole = fold(events(lines))
    kept, unreadable = [], 0
    for raw in cut(text[:at], 0, is_end=True):
        try:
            kept.append(read_event(raw.raw))
        except UnreadableLineError:
            unreadable += 1
    groups = group(kept)
    assert len(groups) == 1
    call = fold(groups[0], unreadable=unreadable)
    assert call.call_id == whole.call_id
    is_marked = call.incomplete or call.state is State.OPEN
    assert is_marked or replace(call, last_event_at=whole.last_event_at) == whole


@settings(max_examples=100)
@given(st.sets(st.integers(0, len(connected()) - 1), max_size=len(connected()) - 1))
def test_any_lines_missing_never_raise_and_never_make_two(missing: set[int]) -> None:
    kept = [raw for i, raw in enumerate(connected()) if i not in missing]
    groups = group(events(kept))
    assert len(groups) == 1
    assert fold(groups[0]).call_id == TRUNK


def test_a_clock_set_back_makes_no_negative_time() -> None:
    call = told(
        line("CHAN_START"),
        line("OFFERED", fact=OFFERED),
        line("ANSWER"),
        line("QUEUED", fact="queue=darurat&priority=1&rung=1", at=10),
        hangup(5, source=CALLER),
    )
    assert call.wait_seconds == 0.0


# ---- a clock that is set back -------------------------------------------------------


def set_back(since: int, hours: float = 7) -> Call:
    """The whole call; the clock is set back just before its event `since`."""
    told = events(connected(end=30.0))
    later = [replace(e, at=e.at - timedelta(hours=hours)) for e in told[since:]]
    return fold([*told[:since], *later])


@pytest.mark.parametrize("since", range(1, 21))
def test_the_clock_is_set_back_at_any_moment(since: int) -> None:
    """A conversation stays one (it became `abandoned`); its times are not trusted."""
    call = set_back(since)
    assert (call.state, call.disposition) == (State.CLOSED, Disposition.CONNECTED)
    assert call.operator == "101"
    assert [ring.outcome for ring in call.rings][1:] == [RingOutcome.ANSWERED]
    assert call.incomplete
    seconds = (call.wait_seconds, call.ring_seconds, call.talk_seconds)
    assert all(0.0 <= value <= 22.4 for value in seconds if value is not None)


def test_a_clock_corrected_by_less_than_a_second_spoils_nothing() -> None:
    assert not any(set_back(n, hours=0.9 / 3600).incomplete for n in range(13, 20))


def in_the_bridge(enters: float, leaves: float | None) -> set[str]:
    """Whom the caller hears; the clock is set back by an hour while he talks with 101,
    and 102 is in that bridge for a while, by the one clock or the other."""
    first, third = phone("101", 1), phone("102", 2)
    lines = story(
        bridge("ENTER", 2),
        bridge("ENTER", 2, **first),
        bridge("ENTER", enters, **third),
        bridge("EXIT", leaves, **third) if leaves is not None else [],
        bridge("EXIT", 40 - 3600),
        bridge("EXIT", 40 - 3600, **first),
    )
    channels = read_channels(events(lines))
    return {talk.other.endpoint for talk in talks_of(channels[0], channels)}


@pytest.mark.parametrize(
    ("enters", "leaves", "is_heard"),
    [
        (5, 9, True),
        (25 - 3600, 35 - 3600, True),
        (5, 35 - 3600, True),
        (25 - 3600, None, True),
        (5, None, True),
        (0, 1, False),
        (50 - 3600, 60 - 3600, False),
    ],
)
def test_who_was_there_while_the_clock_was_set_back(
    enters: float, leaves: float | None, is_heard: bool
) -> None:
    assert in_the_bridge(enters, leaves) == ({"101", "102"} if is_heard else {"101"})
