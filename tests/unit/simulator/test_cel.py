"""The carrier's journal of one call, pasted from a real one, becomes its result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pbx.simulator.cel import Side, fold_result, read_result

NAME = "call-7c0b1dd67b92"
CITY = "PJSIP/city-00000000"


def line(second: float, kind: str, channel: str, app: str = "", **more: str) -> str:
    """One line as cel_custom writes it; the fields that matter here."""
    return json.dumps(
        {
            "eventtype": kind,
            "eventtime": f"2026-11-21T20:45:{second:06.3f}+0000",
            "channame": channel,
            "appname": app,
            "accountcode": more.get("accountcode", NAME),
            "linkedid": more.get("linkedid", "carrier-1.0"),
            "eventextra": more.get("eventextra", ""),
        }
    )


def hangup(source: str, cause: int = 16) -> str:
    return json.dumps({"hangupcause": cause, "hangupsource": source})


WHOLE = [
    line(45.655, "CHAN_START", "Local/hold@caller-00000000;1", accountcode=""),
    line(45.655, "ANSWER", "Local/hold@caller-00000000;1"),
    line(45.659, "CHAN_START", CITY, accountcode=""),
    line(45.663, "ANSWER", CITY),
    line(45.666, "APP_START", CITY, "SendDTMF"),
    line(45.670, "CHAN_END", "Local/hold@caller-00000000;1"),
    line(46.000, "APP_START", CITY, "Playback"),
    line(49.670, "HANGUP", CITY, eventextra=hangup("dialplan/builtin")),
    line(49.670, "CHAN_END", CITY),
    line(50.000, "CHAN_START", "PJSIP/city-1", accountcode="", linkedid="carrier-2.0"),
]


def test_a_whole_call(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_text("\n".join(WHOLE) + '\n{"eventtype":"CHAN')
    result = read_result(journal, NAME, tmp_path)
    assert result.channel == CITY
    assert result.answer_seconds == pytest.approx(0.004)
    assert result.talk_seconds == pytest.approx(4.007)
    assert (result.hung_up_by, result.cause) == (Side.CALLER, 16)
    assert len(result.pressed_at) == 1
    assert result.heard == tmp_path / f"{NAME}-heard.wav"
    assert result.is_over


def test_the_city_hung_up() -> None:
    events = [json.loads(text) for text in WHOLE]
    events[7]["eventextra"] = hangup(CITY)
    assert fold_result(events, NAME, Path()).hung_up_by is Side.CITY


def test_a_call_under_way_is_not_over() -> None:
    events = [json.loads(text) for text in WHOLE[:4]]
    result = fold_result(events, NAME, Path())
    assert result.answered_at
    assert not result.is_over
    assert result.talk_seconds is None


def test_a_refused_call_is_over_without_answer() -> None:
    events = [json.loads(text) for text in WHOLE[:3]]
    events.append(
        json.loads(line(46.0, "HANGUP", CITY, eventextra=hangup(CITY, cause=21)))
    )
    events.append(json.loads(line(46.0, "CHAN_END", CITY)))
    result = fold_result(events, NAME, Path())
    assert (result.cause, result.answered_at, result.is_over) == (21, None, True)
    assert result.first_audio_seconds() is None


def test_a_call_that_never_left_is_over() -> None:
    events = [json.loads(text) for text in (*WHOLE[:2], WHOLE[5])]
    assert fold_result(events, NAME, Path()).is_over


def test_before_the_first_line_nothing_is_known(tmp_path: Path) -> None:
    result = read_result(tmp_path / "none", NAME, tmp_path)
    assert (result.channel, result.is_over) == (None, False)
