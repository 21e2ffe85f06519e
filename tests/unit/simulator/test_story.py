"""A call's journal, told in words that a person at the console understands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pbx.model.events import read_event
from pbx.simulator.follow import JournalFollower
from pbx.simulator.story import Story

CALL = "kediri-1-1.0"
TRUNK, PHONE = "PJSIP/carrier-01", "PJSIP/101-02"
BRIDGE = {"bridge_id": "b"}


def line(kind: str, channel: str, extra: object = "", **more: str) -> bytes:
    fields = {
        "eventtype": kind,
        "eventtime": "2026-11-21 20:41:04.570+0000",
        "usereventname": more.get("name", ""),
        "num": "0812",
        "exten": "112",
        "context": "from-trunk",
        "channame": channel,
        "uniqueid": more.get("uniqueid", CALL),
        "linkedid": more.get("linkedid", CALL),
        "eventextra": extra if isinstance(extra, str) else json.dumps(extra),
    }
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def fact(name: str, extra: str) -> bytes:
    return line("USER_DEFINED", TRUNK, f'{{"extra":"{extra}"}}', name=name)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (line("CHAN_START", TRUNK), "INVITE arrived"),
        (fact("OFFERED", "number=112&flow=f&presentation=allowed"), "112 was dialled;"),
        (fact("OFFERED", "number=112&flow=f&presentation=prohib"), "number withheld"),
        (
            fact("OFFERED", "number=1&flow=f&presentation=unavailable"),
            "without a number",
        ),
        (line("ANSWER", TRUNK), "answered by the system"),
        (
            fact("PROMPT", "name=greeting&at_ms=0&heard_ms=1340&ended=key"),
            "1.3 s heard, cut short by a key",
        ),
        (fact("KEY", "digit=0&at_ms=812"), "key 0 heard, 812 ms"),
        (fact("VERDICT", "verdict=pass&reason=voice&at_ms=9"), "a voice was heard"),
        (fact("VERDICT", "verdict=release&reason=silent&at_ms=9"), "release, because"),
        (fact("RESCUED", "reason=watchdog"), "watchdog found the filter hung"),
        (fact("DEGRADED", "heard=key"), "Asterisk alone greeted"),
        (fact("QUEUED", "queue=darurat&priority=10&rung=1"), "queue darurat"),
        (fact("RECORDING", "name=x.wav"), "kept as x.wav"),
        (fact("QUEUE_LEFT", "queue=darurat&status=TIMEOUT&rung=1"), "TIMEOUT"),
        (fact("RELEASED", "prompt=goodbye"), "taken for a ghost"),
        (line("CHAN_START", PHONE, uniqueid="k.1"), "operator 101's phone rings"),
        (line("ANSWER", PHONE, uniqueid="k.1"), "operator 101 answers"),
        (line("BRIDGE_ENTER", TRUNK, BRIDGE), "connected"),
        (
            line("HANGUP", TRUNK, {"hangupcause": 16, "hangupsource": TRUNK}),
            "hung up by the caller (cause 16)",
        ),
        (
            line("HANGUP", TRUNK, {"hangupcause": 16, "hangupsource": "dialplan/x"}),
            "hung up by the city",
        ),
    ],
)
def test_each_event_has_its_sentence(raw: bytes, words: str) -> None:
    told = Story(CALL, "carrier").tell(read_event(raw))
    assert told
    assert words in told


def test_what_says_nothing_to_people_is_left_out() -> None:
    story = Story(CALL, "carrier")
    assert story.tell(read_event(line("APP_START", TRUNK))) is None
    assert story.tell(read_event(fact("CALLER", "header=asserted&part=1"))) is None
    assert story.tell(read_event(line("CHAN_START", TRUNK, linkedid="x"))) is None
    story.tell(read_event(line("BRIDGE_ENTER", TRUNK, BRIDGE)))
    assert story.tell(read_event(line("BRIDGE_ENTER", TRUNK, BRIDGE))) is None
    assert story.is_connected


def test_a_journal_is_followed_from_now_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(line("CHAN_START", TRUNK))
    journal = JournalFollower(path)
    assert journal.news() == []
    whole = line("ANSWER", TRUNK)
    with path.open("ab") as file:
        file.write(b"rubbish\n" + whole[:40])
    assert journal.news() == []
    with path.open("ab") as file:
        file.write(whole[40:])
    assert [event.channel for event in journal.news()] == [CALL]


def test_a_journal_rotated_or_not_yet_there_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = JournalFollower(path)
    assert journal.news() == []
    path.write_bytes(line("CHAN_START", TRUNK))
    assert len(journal.news()) == 1
    path.rename(tmp_path / "old")
    path.write_bytes(line("ANSWER", TRUNK))
    assert len(journal.news()) == 1
