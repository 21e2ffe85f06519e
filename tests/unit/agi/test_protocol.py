"""The AGI core: bytes in, events out; what Asterisk says, and what it never would."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agi.protocol import (
    MAX_COMMAND_BYTES,
    MAX_HEADERS,
    MAX_LINE_BYTES,
    MAX_USAGE_LINES,
    Closed,
    Connection,
    Event,
    HungUp,
    MisuseError,
    Reply,
    Request,
    State,
    Violation,
    command_line,
    quoted,
)
from tests.fakes.asterisk import headers, parse_args


def opened() -> Connection:
    connection = Connection()
    (request,) = connection.receive(headers())
    assert isinstance(request, Request)
    return connection


def waiting() -> Connection:
    connection = opened()
    connection.send("NOOP")
    return connection


def test_the_request_tells_who_calls() -> None:
    (request,) = Connection().receive(headers(agi_network_script="intake?x=1"))
    assert isinstance(request, Request)
    assert request.script == "intake"
    assert request.uniqueid == "kediri-1-1763756000.12"
    assert request.caller == "081234567678"
    assert request.arguments == ("112", "filter0", "carrier", "0", "60", "0")


def test_an_unknown_caller_has_no_number() -> None:
    (request,) = Connection().receive(headers(agi_callerid="unknown"))
    assert isinstance(request, Request)
    assert request.caller == ""


def test_headers_may_come_byte_by_byte() -> None:
    connection = Connection()
    events: list[Event] = []
    for byte in headers():
        events += connection.receive(bytes([byte]))
    assert len(events) == 1
    assert connection.state is State.IDLE


_ODD_LINES = st.sampled_from(
    [b"", b"HANGUP", b"agi_dnid: 110", b"agi_x:y", b"agi_x:  \r\r", b"x", b"\xc3", b":"]
)


@given(
    st.lists(st.tuples(st.integers(0, 10), _ODD_LINES), max_size=3),
    st.lists(st.integers(0, 400), max_size=5),
)
def test_how_the_bytes_are_cut_does_not_matter(
    inserted: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    """Asterisk sends the opening line by line; TCP joins and cuts as it likes."""
    lines = headers().split(b"\n")
    for at, line in inserted:
        lines.insert(at, line)
    data = b"\n".join(lines)
    whole, pieces = Connection(), Connection()
    edges = [0, *sorted(cuts), len(data)]
    events: list[Event] = []
    for begin, end in pairwise(edges):
        events += pieces.receive(data[begin:end])
    assert events == whole.receive(data)
    assert pieces.state is whole.state


def test_a_hangup_may_come_with_the_opening() -> None:
    connection = Connection()
    request, hung_up = connection.receive(headers() + b"HANGUP\n")
    assert isinstance(request, Request)
    assert hung_up == HungUp()
    assert connection.send("NOOP") == b"NOOP\n"


def test_bad_utf_8_is_replaced() -> None:
    data = headers().replace(
        b"agi_calleridname: unknown", b"agi_calleridname: \xff\xfe"
    )
    (request,) = Connection().receive(data)
    assert isinstance(request, Request)
    assert request.variables["agi_calleridname"] == "\ufffd\ufffd"


def test_carriage_returns_are_tolerated() -> None:
    (event,) = Connection().receive(headers().replace(b"\n", b"\r\n"))
    assert isinstance(event, Request)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\n",
        b"\x16\x03\x01\x02\x00\x01\n",
        b"agi_network: yes\nagi_network: yes\n",
        b"agi_x: 1\n\n",
        b"agi_" + b"x" * (MAX_LINE_BYTES + 1),
        b"agi_" + b"x" * MAX_LINE_BYTES + b": 1\n",
        b"".join(b"agi_%d: 1\n" % i for i in range(MAX_HEADERS + 1)),
        b"".join(b"agi_%d: %s\n" % (i, b"x" * 4000) for i in range(9)),
        headers()[:-1] + b"agi_" + b"x" * MAX_LINE_BYTES + b": 1\n\n",
        headers()[:-1] + b"agi_x: " + b"\xc3\xa9" * (MAX_LINE_BYTES // 2) + b"\n\n",
        headers()[:-1] + b"agi_dnid: 110\n\n",
        headers()[:-1] + b"".join(b"agi_%d: 1\n" % i for i in range(MAX_HEADERS)),
        headers()[:-1] + b"agi_x: %s\n" % (b"x" * 4000) * 9 + b"\n",
        headers()[:-1] + b"Host: x\n\n",
    ],
)
def test_what_is_no_agi_request_is_a_violation(data: bytes) -> None:
    connection = Connection()
    (event,) = connection.receive(data)
    assert isinstance(event, Violation)
    assert connection.receive(b"more\n") == []
    assert connection.receive_eof() == []


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("200 result=1", Reply(200, "1")),
        ("200 result=0 (timeout)", Reply(200, "0", "timeout")),
        ("200 result=1 (a (b) c)", Reply(200, "1", "a (b) c")),
        ("200 result=-1 endpos=1200", Reply(200, "-1")),
        ("200 result= (timeout)", Reply(200, "", "timeout")),
        (
            "510 Invalid or unknown command",
            Reply(510, "", "Invalid or unknown command"),
        ),
        (
            "511 Command Not Permitted on a dead channel or intercept routine",
            Reply(
                511, "", "Command Not Permitted on a dead channel or intercept routine"
            ),
        ),
        (
            "520 Invalid command syntax.  Proper usage not available.",
            Reply(520, "", "Invalid command syntax.  Proper usage not available."),
        ),
    ],
)
def test_replies(line: str, reply: Reply) -> None:
    connection = waiting()
    assert connection.receive(line.encode() + b"\n") == [reply]
    assert connection.state is State.IDLE
    assert reply.is_ok is (reply.code == 200)


def test_a_520_reply_has_many_lines() -> None:
    connection = waiting()
    assert (
        connection.receive(b"520-Invalid command syntax.  Proper usage follows:\n")
        == []
    )
    assert connection.state is State.USAGE
    (reply,) = connection.receive(b" Usage: NOOP\n\nHANGUP\n520 End of proper usage.\n")
    assert reply == Reply(
        520,
        "",
        "Invalid command syntax.  Proper usage follows:",
        (" Usage: NOOP", "", "HANGUP"),
    )
    assert connection.state is State.IDLE


def test_usage_without_end_is_a_violation() -> None:
    connection = waiting()
    connection.receive(b"520-Invalid command syntax.\n")
    (event,) = connection.receive(b"x\n" * (MAX_USAGE_LINES + 1))
    assert isinstance(event, Violation)


@pytest.mark.parametrize("line", ["nonsense", "200 ok", "20", "2000 result=1"])
def test_what_is_no_reply_is_a_violation(line: str) -> None:
    (event,) = waiting().receive(line.encode() + b"\n")
    assert isinstance(event, Violation)


def test_a_reply_to_nothing_is_a_violation() -> None:
    (event,) = opened().receive(b"200 result=1\n")
    assert isinstance(event, Violation)


@pytest.mark.parametrize("at", range(len(b"200 result=1\n")))
def test_a_reply_may_come_in_two_pieces(at: int) -> None:
    connection, data = waiting(), b"200 result=1\n"
    events = connection.receive(data[:at]) + connection.receive(data[at:])
    assert events == [Reply(200, "1")]
    assert connection.state is State.IDLE


def test_an_ordinary_reply_to_nothing_is_a_violation_too() -> None:
    connection = waiting()
    assert connection.receive(b"200 result=0\n") == [Reply(200, "0")]
    (event,) = connection.receive(b"200 result=0\n")
    assert isinstance(event, Violation)


def test_a_second_reply_is_a_violation() -> None:
    events = waiting().receive(b"200 result=1\n200 result=1\n")
    assert isinstance(events[0], Reply)
    assert isinstance(events[1], Violation)


def test_hangup_at_any_moment() -> None:
    connection = opened()
    assert connection.receive(b"HANGUP\n") == [HungUp()]
    connection.send("NOOP")
    assert connection.receive(b"HANGUP\n200 result=0\n") == [HungUp(), Reply(200, "0")]


def test_the_end_is_said_once() -> None:
    connection = waiting()
    assert connection.receive_eof() == [Closed()]
    assert connection.receive_eof() == []
    assert connection.receive(b"200 result=1\n") == []


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_can_make_it_raise(pieces: list[bytes]) -> None:
    for connection in (Connection(), opened(), waiting()):
        for piece in pieces:
            for event in connection.receive(piece):
                assert isinstance(event, Request | Reply | HungUp | Violation)
        connection.receive_eof()
        assert connection.state is State.OVER


# -- commands


def test_only_one_command_at_a_time() -> None:
    connection = waiting()
    with pytest.raises(MisuseError, match="WAITING"):
        connection.send("NOOP")
    with pytest.raises(MisuseError, match="HEADERS"):
        Connection().send("NOOP")


@pytest.mark.parametrize("code", [*range(32), 127])
def test_control_characters_are_refused(code: int) -> None:
    for bad in (f"a{chr(code)}b", chr(code), f"\u00a0{chr(code)}"):
        with pytest.raises(MisuseError, match="control character"):
            command_line("SET VARIABLE", "NAME", bad)
        with pytest.raises(MisuseError, match="control character"):
            command_line(bad)


def test_a_refused_command_leaves_the_connection_usable() -> None:
    connection = opened()
    with pytest.raises(MisuseError):
        connection.send("SET VARIABLE", "A", "x\ny")
    assert connection.send("NOOP") == b"NOOP\n"


def test_a_command_too_long_is_refused() -> None:
    with pytest.raises(MisuseError, match="bytes"):
        command_line("SET VARIABLE", "A", "x" * MAX_COMMAND_BYTES)


@given(st.text(st.characters(min_codepoint=32, exclude_characters="\x7f"), max_size=99))
def test_asterisk_reads_back_what_we_quote(argument: str) -> None:
    assert parse_args(f"SET VARIABLE {quoted(argument)} end") == [
        "SET",
        "VARIABLE",
        argument,
        "end",
    ]
