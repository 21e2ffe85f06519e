"""Lines in, calls out, with only so much held at a time.

A journal of any length is cut into groups of lines that share a channel or a linkedid.
The group that was silent longest is given out first; what comes later for a group that
is gone begins a new one, and the store, which knows both, joins them.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from pbx.model.channels import oldest
from pbx.model.events import LONGEST_ID, RECORD_END, RECORD_START
from pbx.records.folding import read_line
from pbx.records.journal import is_notes

MOST_LINES = 40_000
"""Some 25 MB; in Kediri the lines of a week, at 100 calls a minute of half an hour."""

_MARK = b'","uniqueid":"'
_IDS = re.compile(
    rb'","uniqueid":"([!#-[\]-~]{1,%d})","linkedid":"([!#-[\]-~]{1,%d})","'
    % (LONGEST_ID, LONGEST_ID)
)


def members_of(raw: bytes) -> list[str]:
    """The ids in a line, the linkedid first: as `read_line` says, ten times as fast.

    A whole record in which Asterisk's own marks stand once cannot be read otherwise;
    anything else is read in full.
    """
    if (
        raw.startswith(RECORD_START)
        and raw.endswith(RECORD_END)
        and raw.count(_MARK) == 1
    ):
        found = _IDS.search(raw)
        if found:
            return [found[2].decode(), found[1].decode()]
    return read_line(raw).members


@dataclass(frozen=True, slots=True)
class Placed:
    """A line and where it stands."""

    journal: str
    offset: int
    raw: bytes


@dataclass(slots=True)
class Group:
    """The lines of one call, as far as they are known here."""

    lines: list[tuple[int, Placed]] = field(default_factory=list)
    """With the order in which they were read."""
    members: set[str] = field(default_factory=set)
    heads: set[str] = field(default_factory=set)
    """Those of the members that may give the call its name."""

    @property
    def call_id(self) -> str:
        """The oldest linkedid, as the recorder names the call."""
        return oldest(self.heads)

    def placed(self) -> list[Placed]:
        """Asterisk's lines in their order, then our own processes'."""
        ordered = sorted(self.lines, key=lambda line: line[0])
        mine = [line for _, line in ordered if not is_notes(line.journal)]
        return mine + [line for _, line in ordered if is_notes(line.journal)]


class Groups:
    """Groups being gathered; those silent longest come first."""

    def __init__(self, most_lines: int = MOST_LINES) -> None:
        self._most_lines = most_lines
        self.held = 0
        """Lines held now."""
        self._read = 0
        self._of: dict[str, Group] = {}
        self._silent: OrderedDict[int, Group] = OrderedDict()
        self.nameless: list[Placed] = []
        """Lines that name no call; whoever reads them empties the list."""

    def add(self, line: Placed) -> None:
        """Put the line where it belongs; it may show two groups to be one."""
        members = members_of(line.raw)
        self._read += 1
        if not members:
            self.nameless.append(line)
            return
        group = self._of.get(members[0])
        if group is None:
            group = self._of.get(members[-1])
            if group is None:
                group = Group()
                self._silent[id(group)] = group
        elif (other := self._of.get(members[-1], group)) is not group:
            self._merge(other, group)
        for member in members:
            self._of[member] = group
        group.members.update(members)
        group.heads.add(members[0])
        group.lines.append((self._read, line))
        self.held += 1
        self._silent.move_to_end(id(group))

    def _merge(self, other: Group, into: Group) -> None:
        into.lines += other.lines
        into.members |= other.members
        into.heads |= other.heads
        self._of |= dict.fromkeys(other.members, into)
        del self._silent[id(other)]

    def overflow(self) -> Iterator[Group]:
        """Those silent longest, until few enough lines are held."""
        while self.held > self._most_lines:
            yield self._take()

    def rest(self) -> Iterator[Group]:
        """All that are left."""
        while self._silent:
            yield self._take()

    def _take(self) -> Group:
        _, group = self._silent.popitem(last=False)
        self.held -= len(group.lines)
        for member in group.members:
            del self._of[member]
        return group
