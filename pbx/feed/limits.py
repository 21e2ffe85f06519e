"""How much one token may ask: a bucket that fills by itself. Pure; the clock comes in.

What stands here lives in the process: a restart fills every bucket, and that is fine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """`burst` requests at once, then `per_second`."""

    per_second: float
    burst: float
    _left: float = field(init=False)
    _at: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Full at first."""
        self._left = self.burst

    def take(self, now: float) -> float:
        """Take one request; 0, or the seconds until one may be taken.

        `now` is the monotonic clock, seconds.
        """
        if self._at is not None:
            gained = max(0.0, now - self._at) * self.per_second
            self._left = min(self.burst, self._left + gained)
        self._at = now
        if self._left >= 1.0:
            self._left -= 1.0
            return 0.0
        return (1.0 - self._left) / self.per_second


@dataclass(slots=True)
class Buckets:
    """A bucket each, made when first asked for. Only for names of ours: it forgets
    none."""

    per_second: float
    burst: float
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    def take(self, name: str, now: float) -> float:
        """See `Bucket.take`."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = Bucket(self.per_second, self.burst)
        return bucket.take(now)


class TooManyError(Exception):
    """No room for another one that waits."""


@dataclass(slots=True)
class Room:
    """How many may wait or listen at the same time: in all, and of one token."""

    most: int
    most_each: int
    _inside: Counter[str] = field(default_factory=Counter)

    @property
    def taken(self) -> int:
        """How many there are."""
        return self._inside.total()

    @contextmanager
    def entered(self, name: str) -> Iterator[None]:
        """Stay as long as the block runs. Raises TooManyError."""
        if self.taken >= self.most or self._inside[name] >= self.most_each:
            raise TooManyError
        self._inside[name] += 1
        try:
            yield
        finally:
            self._inside[name] -= 1
