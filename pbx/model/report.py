"""A report: every sum, for each part of its period and for the whole. Pure.

`add` takes calls in any order; memory goes with the length of the period, not with
the number of calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from pbx.model.evaluation import Evaluation
from pbx.model.period import Period, Span
from pbx.model.reported import ReportedCall
from pbx.model.service_level import ServiceLevel
from pbx.model.spared import Spared
from pbx.model.workload import Workload


@dataclass(slots=True)
class Part:
    """The sums of one part of the period."""

    span: Span
    evaluation: Evaluation = field(default_factory=Evaluation)
    service: ServiceLevel = field(default_factory=ServiceLevel)
    spared: Spared = field(default_factory=Spared)

    def add(self, call: ReportedCall) -> None:
        """Count one call."""
        self.evaluation.add(call)
        self.service.add(call)
        self.spared.add(call)

    def merge(self, other: Part) -> None:
        """Add what another part counted."""
        self.evaluation.merge(other.evaluation)
        self.service.merge(other.service)
        self.spared.merge(other.spared)


@dataclass(slots=True)
class Report:
    """The sums of a period."""

    period: Period
    parts: list[Part]
    workload: Workload

    @classmethod
    def of(cls, period: Period) -> Self:
        """One without any call yet."""
        return cls(period, [Part(span) for span in period.parts], Workload(period.zone))

    def add(self, call: ReportedCall) -> None:
        """Count one call of the period. Raises PeriodError for another's."""
        self.parts[self.period.part_of(call.started_at)].add(call)
        self.workload.add(call)

    def merge(self, other: Report) -> None:
        """Add a report over other calls of the same period."""
        for part, others in zip(self.parts, other.parts, strict=True):
            part.merge(others)
        self.workload.merge(other.workload)

    def total(self) -> Part:
        """All parts together."""
        whole = Part(Span(self.period.name, self.period.begin, self.period.end))
        for part in self.parts:
            whole.merge(part)
        return whole
