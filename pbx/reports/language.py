"""A report's two languages: their words, and how each writes numbers and dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pbx.reports.words import TEXTS

LANGUAGES = ("id", "en")

_MONTHS = (
    ("Januari", "January"), ("Februari", "February"), ("Maret", "March"),
    ("April", "April"), ("Mei", "May"), ("Juni", "June"), ("Juli", "July"),
    ("Agustus", "August"), ("September", "September"), ("Oktober", "October"),
    ("November", "November"), ("Desember", "December"),
)  # fmt: skip
_WEEKDAYS = (
    ("Sen", "Mon"), ("Sel", "Tue"), ("Rab", "Wed"), ("Kam", "Thu"), ("Jum", "Fri"),
    ("Sab", "Sat"), ("Min", "Sun"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Language:
    """One language's words and numbers."""

    code: str

    @property
    def _at(self) -> int:
        return LANGUAGES.index(self.code)

    def say(self, key: str, **values: Any) -> str:
        """The text of that key."""
        return TEXTS[key][self._at].format(**values)

    def count(self, n: float) -> str:
        """86,161 or 86.161."""
        return self._local(f"{n:,.0f}")

    def decimal(self, value: float | None, digits: int = 2) -> str:
        """4.86 or 4,86; a dash where there is nothing."""
        return "–" if value is None else self._local(f"{value:,.{digits}f}")

    def percent(self, share: float | None, digits: int = 2) -> str:
        """75.47 % or 75,47 %; a dash where there is nothing."""
        if share is None:
            return "–"
        return self._local(f"{100 * share:.{digits}f}") + "\u00a0%"  # never broken

    def seconds(self, value: float | None) -> str:
        """6.3 s or 6,3 dtk; a dash where there is nothing."""
        if value is None:
            return "–"
        return self.say("seconds", n=self.decimal(value, 1))

    def duration(self, seconds: float) -> str:
        """3:05:09 (hours, minutes, seconds)."""
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{self.count(hours)}:{minutes:02}:{rest:02}"

    def month(self, at: datetime) -> str:
        """October 2025."""
        return f"{_MONTHS[at.month - 1][self._at]} {at.year}"

    def date(self, at: datetime) -> str:
        """3 October 2025."""
        return f"{at.day} {self.month(at)}"

    def short_month(self, at: datetime) -> str:
        """Oct."""
        return _MONTHS[at.month - 1][self._at][:3]

    def day(self, at: datetime) -> str:
        """Fri 3 Oct."""
        return f"{self.weekday(at.weekday())} {at.day} {self.short_month(at)}"

    def weekday(self, day: int) -> str:
        """0 is Monday."""
        return _WEEKDAYS[day][self._at]

    def moment(self, at: datetime) -> str:
        """3 Oct 2025 14:00."""
        return f"{at.day} {self.short_month(at)} {at.year} {at:%H:%M}"

    def _local(self, text: str) -> str:
        if self.code == "en":
            return text
        return text.translate(str.maketrans(",.", ".,"))
