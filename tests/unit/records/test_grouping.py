"""Lines into calls with only so many held: whatever comes, nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.records.folding import read_line
from pbx.records.grouping import Group, Groups, Placed, members_of
from tests.fakes.journal_lines import connected, line
from tests.fakes.journal_writer import interleaved

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ['","uniqueid":"x', '\\","linkedid":"y', '"', "\\", "08\n9", 'a","peer":"b', "a b"]
)


@given(TEXTS, TEXTS, TEXTS, st.integers(0, 400), st.integers(0, 400))
def test_the_fast_way_says_what_the_slow_one_says(
    name: str, channel: str, linkedid: str, begin: int, end: int
) -> None:
    """Also of half lines and of ids nobody would make."""
    raw = line("KEY", fact="digit=1", name=name, channel=channel, linkedid=linkedid)
    for some in (raw, raw[begin:], raw[:end], raw[:end] + raw, raw.replace(b"\\", b"")):
        assert members_of(some) == read_line(some).members


def groups_of(raws: list[bytes], most_lines: int) -> tuple[list[Group], Groups]:
    groups = Groups(most_lines)
    out: list[Group] = []
    for n, raw in enumerate(raws):
        groups.add(Placed("j.0", n, raw))
        out += groups.overflow()
        assert groups.held <= most_lines
    return out + list(groups.rest()), groups


@pytest.mark.parametrize("most_lines", [0, 1, 7, 40, 10_000])
def test_every_line_comes_out_once_and_in_order(most_lines: int) -> None:
    raws = [*interleaved(0, 30), b"nameless\n"]
    out, groups = groups_of(raws, most_lines)
    told = [line for group in out for line in group.placed()]
    assert sorted(line.offset for line in told) == list(range(len(raws) - 1))
    assert [line.raw for line in groups.nameless] == [b"nameless\n"]
    for group in out:
        offsets = [line.offset for line in group.placed()]
        assert offsets == sorted(offsets)
    if most_lines == 10_000:
        assert len(out) == 30


def test_calls_joined_by_a_line_come_out_as_one() -> None:
    def start(channel: str) -> bytes:
        return line("CHAN_START", channel=channel, linkedid=channel)

    raws = [
        start("k-100.2"),
        start("k-100.1"),
        line("ANSWER", channel="k-100.2", linkedid="k-100.1"),
        line("CHAN_END", channel="k-100.2", linkedid="k-100.2"),
    ]
    for order in ([0, 1, 2, 3], [2, 1, 3, 0]):
        (group,), _ = groups_of([raws[n] for n in order], 100)
        assert group.call_id == "k-100.1"
        assert group.members == {"k-100.1", "k-100.2"}
        assert [p.offset for p in group.placed()] == [0, 1, 2, 3]


def test_our_own_lines_come_after_asterisks() -> None:
    groups = Groups()
    raws = connected()
    for n, raw in enumerate(raws):
        groups.add(Placed("notes.a.0" if n % 2 else "b.0", n, raw))
    (group,) = groups.rest()
    journals = [p.journal for p in group.placed()]
    assert journals == sorted(journals)  # b.0 before notes.a.0
