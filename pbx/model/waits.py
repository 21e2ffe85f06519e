"""Waits, summed up so that millions take no more room than a hundred."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Yardstick:
    """So many of the calls within so many seconds."""

    name: str
    within_seconds: int
    share: float
    """0…1."""


@dataclass(frozen=True, slots=True)
class Level:
    """How many waits kept a limit."""

    met: int
    missed: int
    neutral: int
    """Gave up within the limit."""

    @property
    def counted(self) -> int:
        """Waits that count one way or the other."""
        return self.met + self.missed

    @property
    def share(self) -> float | None:
        """0…1; None where nothing counts."""
        return self.met / self.counted if self.counted else None

    @property
    def strict_share(self) -> float | None:
        """The same, with everybody who gave up a miss."""
        every = self.counted + self.neutral
        return self.met / every if every else None

    def keeps(self, yardstick: Yardstick) -> bool | None:
        """Whether that is enough; None where nothing counts."""
        return None if self.share is None else self.share >= yardstick.share


_BIN_MS = 100


@dataclass(slots=True)
class Waits:
    """Lengths of waits, in bins of 0.1 s rounded up; the sum is exact to 1 ms.

    Limits are whole tenths, so `within` is exact as well.
    """

    n: int = 0
    total_ms: int = 0
    longest_ms: int = 0
    bins: Counter[int] = field(default_factory=Counter)
    """Tenth of a second, rounded up → waits."""
    bin_ms: Counter[int] = field(default_factory=Counter)
    """The same tenth → their milliseconds together."""

    def add(self, seconds: float) -> None:
        """Count one wait."""
        ms = round(seconds * 1000)
        tenth = -(-ms // _BIN_MS)
        self.n += 1
        self.total_ms += ms
        self.longest_ms = max(self.longest_ms, ms)
        self.bins[tenth] += 1
        self.bin_ms[tenth] += ms

    def merge(self, other: Waits) -> None:
        """Add what another one counted."""
        self.n += other.n
        self.total_ms += other.total_ms
        self.longest_ms = max(self.longest_ms, other.longest_ms)
        self.bins.update(other.bins)
        self.bin_ms.update(other.bin_ms)

    def within(self, seconds: int) -> int:
        """Waits no longer than that."""
        limit = seconds * 1000 // _BIN_MS
        return sum(n for tenth, n in self.bins.items() if tenth <= limit)

    @property
    def mean_seconds(self) -> float | None:
        """None without a wait."""
        return self.total_ms / self.n / 1000 if self.n else None

    def mean_of_longest(self, one_in: int = 10) -> float | None:
        """Mean of the longest tenth, seconds: a tenth of the waits, rounded up.

        Where the tenth ends inside a bin, that bin's mean stands for its waits: at
        most 0.1 s of error, at one end. None without a wait.
        """
        wanted = left = -(-self.n // one_in)
        total = 0.0
        for tenth in sorted(self.bins, reverse=True):
            here = min(left, self.bins[tenth])
            total += self.bin_ms[tenth] * here / self.bins[tenth]
            left -= here
            if left == 0:
                break
        return total / wanted / 1000 if wanted else None

    def quantile(self, share: float) -> float | None:
        """The wait that `share` of all do not exceed, seconds, up to the next 0.1 s."""
        left = share * self.n
        for tenth in sorted(self.bins):
            left -= self.bins[tenth]
            if left <= 0:
                return tenth * _BIN_MS / 1000
        return None


@dataclass(slots=True)
class AnswerTimes:
    """The waits of those who were put through, by one clock."""

    answered: Waits = field(default_factory=Waits)
    gave_up: Waits = field(default_factory=Waits)
    lost: int = 0

    def merge(self, other: AnswerTimes) -> None:
        """Add what another one counted."""
        self.answered.merge(other.answered)
        self.gave_up.merge(other.gave_up)
        self.lost += other.lost

    @property
    def n(self) -> int:
        """Everybody who wanted an operator."""
        return self.answered.n + self.gave_up.n + self.lost

    def level(self, within_seconds: int) -> Level:
        """How many kept that limit."""
        met = self.answered.within(within_seconds)
        neutral = self.gave_up.within(within_seconds)
        return Level(met, self.n - met - neutral, neutral)
