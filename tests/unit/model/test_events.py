"""Journal lines in, events out: what Asterisk writes, also when it is not JSON."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.model.events import (
    AttendedTransferred,
    BlindTransferred,
    BridgeEntered,
    CallEnded,
    ChannelAnswered,
    ChannelEnded,
    ChannelStarted,
    Degraded,
    FactTold,
    HungUp,
    JournalEvent,
    Judged,
    Offered,
    Queued,
    QueueLeft,
    Released,
    Rescued,
    UnreadableLineError,
    read_event,
    read_time,
)
from pbx.model.facts import (
    CallerTold,
    ClassTold,
    Held,
    RecordingBegan,
    Surveyed,
    Unheld,
    WrappedUp,
)
from tests.fakes.journal_lines import OFFERED, TRUNK, bridge, hangup, line


def test_a_channel_starts() -> None:
    event = read_event(line("CHAN_START", at=0.57))
    assert event == ChannelStarted(
        at=datetime(2026, 11, 21, 13, 0, 0, 570_000, tzinfo=UTC),
        channel=TRUNK,
        linkedid=TRUNK,
        channel_name="PJSIP/carrier-00000000",
        caller="081234567890",
        dialled="112",
        context="from-trunk",
    )


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (line("ANSWER"), ChannelAnswered),
        (line("CHAN_END"), ChannelEnded),
        (line("LINKEDID_END"), CallEnded),
        (line("APP_START"), JournalEvent),
        (line("SOMETHING_NEW"), JournalEvent),
        (line("OTHERS_FACT", fact="a=b"), JournalEvent),
    ],
)
def test_kinds(raw: bytes, kind: type[JournalEvent]) -> None:
    assert type(read_event(raw)) is kind


def test_bridge_and_hangup_tell_their_extra() -> None:
    entered = read_event(bridge("ENTER", 1.0))
    assert isinstance(entered, BridgeEntered)
    assert entered.bridge == "b1"
    dead = read_event(hangup(2.0, cause=17, source="PJSIP/101-00000002")[0])
    assert isinstance(dead, HungUp)
    assert (dead.cause, dead.source) == (17, "PJSIP/101-00000002")


@pytest.mark.parametrize(
    ("name", "extra", "fact"),
    [
        (
            "OFFERED",
            OFFERED,
            Offered("112", "carrier", "081234567890", "allowed", "filter0"),
        ),
        (
            "VERDICT",
            "verdict=release&reason=silent&at_ms=9350&evidence=floor%3D-68%2Cpeak%3D-60",
            Judged("release", "silent", 9350, "floor=-68,peak=-60"),
        ),
        ("VERDICT", "verdict=pass", Judged("pass", "", 0, "")),
        (
            "VERDICT",
            "verdict=pass&reason=silent&at_ms=9&evidence=&confidence=0.93&holdout=1",
            Judged("pass", "silent", 9, "", 0.93, holdout=True),
        ),
        (
            "VERDICT",
            "verdict=pass&reason=noise&at_ms=9&evidence=&confidence=nan&shadow=1",
            Judged("pass", "noise", 9, "", None, shadow=True),
        ),
        ("RESCUED", "reason=intake-lost", Rescued("intake-lost")),
        ("DEGRADED", "heard=key", Degraded("key")),
        ("QUEUED", "queue=darurat&priority=&rung=2", Queued("darurat", 0, 2)),
        (
            "QUEUE_LEFT",
            "queue=darurat&status=TIMEOUT&rung=1",
            QueueLeft("darurat", "TIMEOUT", 1),
        ),
        ("RELEASED", "prompt=goodbye", Released("goodbye")),
        (
            "CALLER",
            "header=asserted&part=1&value=%22A%20B%22%20%3Csip%3A%2B62%40x%3E",
            CallerTold("asserted", 1, '"A B" <sip:+62@x>'),
        ),
        (
            "CALLER",
            "header=asserted&part=1&value=%22%01)%22%20%3Csip%01%2B62%40x%3E",
            CallerTold("asserted", 1, '":)" <sip:+62@x>'),
        ),
        ("RECORDING", "name=a-1.2.wav", RecordingBegan("a-1.2.wav")),
        ("HELD", "by=101", Held("101")),
        ("UNHELD", "", Unheld("")),
        ("WRAPPED_UP", "operator=101", WrappedUp("101")),
        (
            "CLASSIFIED",
            "category=valid&type=Ular&operator=101&note=a+b%26c",
            ClassTold("valid", "Ular", "101", "a b&c"),
        ),
        ("SURVEYED", "score=5", Surveyed(5)),
    ],
)
def test_facts(name: str, extra: str, fact: object) -> None:
    event = read_event(line(name, fact=extra or "x"))
    assert isinstance(event, FactTold)
    assert event.fact == fact


def test_transfers() -> None:
    extra = {"extension": "102", "transferee_channel_uniqueid": "a-1.1"}
    blind = read_event(line("BLINDTRANSFER", extra=extra))
    assert isinstance(blind, BlindTransferred)
    assert (blind.extension, blind.transferee) == ("102", "a-1.1")
    extra = {"channel2_uniqueid": "a-1.2", "transfer_target_channel_uniqueid": "N/A"}
    attended = read_event(line("ATTENDEDTRANSFER", extra=extra))
    assert isinstance(attended, AttendedTransferred)
    assert (attended.second, attended.target) == ("a-1.2", "N/A")
    assert attended.transferee == ""


def test_an_extra_without_its_wrapping_is_read_too() -> None:
    event = read_event(line("RELEASED", fact="x", eventextra="prompt=goodbye"))
    assert isinstance(event, FactTold)
    assert event.fact == Released("goodbye")


def test_dirt_behind_a_record_costs_its_last_field_only() -> None:
    event = read_event(line("RELEASED", fact="prompt=goodbye").strip() + b"{}")
    assert isinstance(event, FactTold)
    assert (event.channel, event.fact) == (TRUNK, Released(""))


def test_the_quote_bug_of_user_events() -> None:
    """Asterisk writes `\\\\"` for a quote in a user event's extra: not JSON."""
    raw = (
        b'{"eventtype":"VERDICT","eventtime":"2026-11-21 20:41:05.070+0000",'
        b'"usereventname":"VERDICT","name":"Ibu","num":"0812","ani":"","dnid":"112",'
        b'"exten":"112","context":"from-trunk","channame":"PJSIP/carrier-00000000",'
        b'"appname":"CELGenUserEvent","appdata":"VERDICT,he said \\"hi\\"",'
        b'"uniqueid":"kediri-1-1.0","linkedid":"kediri-1-1.0","peer":"","userfield":"",'
        b'"eventextra":"{\\"extra\\":\\"'
        b'verdict=pass&evidence=he said \\\\"hi\\\\"\\"}"}\n'
    )
    event = read_event(raw)
    assert isinstance(event, FactTold)
    assert event.fact == Judged("pass", "", 0, 'he said \\"hi\\"')


def test_a_display_name_with_a_backslash_at_its_end() -> None:
    """The writer escapes quotes and nothing else; `"name":"a\\",` ends no value."""
    raw = line("CHAN_START").replace(b'"name":"Ibu"', b'"name":"a\\"')
    event = read_event(raw)
    assert isinstance(event, ChannelStarted)
    assert (event.caller, event.channel) == ("081234567890", TRUNK)


def test_a_number_with_a_line_feed_and_a_quote() -> None:
    raw = line("CHAN_START").replace(b'"num":"081234567890"', b'"num":"08\n\\\\""')
    event = read_event(raw)
    assert isinstance(event, ChannelStarted)
    assert event.caller == '08\n\\"'


def test_a_caller_cannot_forge_a_field() -> None:
    forged = 'x","uniqueid":"stolen","linkedid":"stolen","eventextra":"'
    written = forged.replace('"', '\\"')
    for name in (written, "\\" + written, written + "\\"):
        raw = line("CHAN_START").replace(b'"name":"Ibu"', f'"name":"{name}"'.encode())
        assert read_event(raw).channel == TRUNK


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "names no channel"),
        (b"[]\n", "names no channel"),
        (b"garbage\n", "names no channel"),
        (b"\x00\x00\x00", "names no channel"),
        (line("ANSWER", channel="x" * 152), "names no channel"),
        (line("ANSWER", channel="a\x01b"), "names no channel"),
        (line("ANSWER", eventtime=""), "ANSWER: ValueError"),
        (line("ANSWER", eventtime="2026-11-21 20:41:05"), "names no zone"),
        (line("BRIDGE_ENTER"), "BRIDGE_ENTER: JSONDecodeError"),
        (line("HANGUP", eventextra="[]"), "eventextra is no object"),
        (line("HANGUP", eventextra="[" * 9999), "HANGUP: RecursionError"),
        (line("KEY", fact="at_ms=3"), "KEY: KeyError"),
        (line("KEY", fact="digit=1&at_ms=soon"), "KEY: ValueError"),
        (line("CLASSIFIED", fact="category=joke"), "no class 'joke'"),
        (line("SURVEYED", fact="score=6"), "1 to 5, not 6"),
    ],
)
def test_what_cannot_be_understood_says_why(raw: bytes, why: str) -> None:
    with pytest.raises(UnreadableLineError, match=why):
        read_event(raw)


def test_an_unreadable_line_still_names_its_call() -> None:
    with pytest.raises(UnreadableLineError) as caught:
        read_event(line("ANSWER", eventtime="yesterday"))
    assert (caught.value.channel, caught.value.linkedid) == (TRUNK, TRUNK)


def test_text_no_database_takes_is_cleaned() -> None:
    raw = line("CHAN_START", num="08\x0012\ud800")
    event = read_event(raw)
    assert isinstance(event, ChannelStarted)
    assert event.caller == "0812?"


def test_text_no_database_takes_is_cleaned_of_facts_as_well() -> None:
    event = read_event(line("OFFERED", fact="number=1%0012&ani=%00%ff"))
    assert isinstance(event, FactTold)
    assert isinstance(event.fact, Offered)
    assert (event.fact.number, event.fact.ani) == ("112", "\ufffd")


def test_a_bridge_named_by_no_text_can_be_folded() -> None:
    event = read_event(line("BRIDGE_ENTER", extra={"bridge_id": {}}))
    assert len({event}) == 1


def test_numbers_where_text_belongs_are_taken_as_text() -> None:
    raw = line("CHAN_START").replace(b'"num":"081234567890"', b'"num":812')
    event = read_event(raw)
    assert isinstance(event, ChannelStarted)
    assert event.caller == "812"


@pytest.mark.parametrize(
    "text", ["2026-11-21 20:41:04.570 +0700", "2026-11-21T13:41:04.570+0000"]
)
def test_times_are_utc(text: str) -> None:
    at = datetime(2026, 11, 21, 13, 41, 4, 570_000, tzinfo=UTC)
    assert read_time(text) == at


@given(st.integers(0, len(line("OFFERED", fact=OFFERED))), st.binary(max_size=30))
def test_any_damage_is_either_understood_or_unreadable(at: int, dirt: bytes) -> None:
    raw = line("OFFERED", fact=OFFERED)
    try:
        read_event(raw[:at] + dirt + raw[at:])
        read_event(raw[:at] + dirt)
    except UnreadableLineError:
        return


@given(st.text(max_size=40))
def test_any_text_a_caller_sends_is_read_as_asterisk_writes_it(text: str) -> None:
    text = text.replace("\x00", "")
    written = text.replace('"', '\\"').encode("utf-8", "surrogatepass")
    raw = line("CHAN_START").replace(b'"name":"Ibu"', b'"name":"' + written + b'"')
    event = read_event(raw)
    assert isinstance(event, ChannelStarted)
    assert (event.channel, event.linkedid) == (TRUNK, TRUNK)
    assert event.caller == "081234567890"
