"""The plots of a report, drawn from its sums."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from pbx.model.category import Category
from pbx.model.report import Part, Report
from pbx.model.waits import AnswerTimes
from pbx.reports.drawing import FAINT, INK, QUIET, Box, Drawing, Shape, Stroke, Words
from pbx.reports.language import Language

WIDTH = 520.0
COLOURS: Mapping[Category, str] = {
    Category.VALID: "#0b7a75",
    Category.INFORMATION: "#3f88c5",
    Category.PRANK: "#e9a23b",
    Category.GHOST: "#b4bcc4",
    Category.UNCLASSIFIED: "#8d6a9f",
}
"""Told apart by the colour-blind, and in grey by their order."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 8.0, 24.0, 22.0
CURVE_SECONDS = 60


def calls_by_part(
    parts: Sequence[Part], labels: Sequence[str], lang: Language
) -> Drawing:
    """A column a part, stacked by class."""
    counts = [part.evaluation.categories for part in parts]
    stacks = {category: [c[category] for c in counts] for category in COLOURS}
    return _stacked(lang.say("calls-by-part"), labels, stacks, lang)


def calls_by_hour(report: Report, lang: Language) -> Drawing:
    """A column for each hour of the day, stacked by class."""
    labels = [f"{hour:02}" for hour in range(24)]
    stacks = {category: report.workload.by_hour[category] for category in COLOURS}
    return _stacked(lang.say("by-hour"), labels, stacks, lang)


def _stacked(
    title: str,
    labels: Sequence[str],
    stacks: Mapping[Category, Sequence[int]],
    lang: Language,
) -> Drawing:
    height = 190.0
    sums = [sum(column) for column in zip(*stacks.values(), strict=True)]
    ticks = _ticks(max(sums, default=0))
    tall = height - _TOP - _BOTTOM
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    shapes: list[Shape] = [*_legend([c for c in stacks if any(stacks[c])], lang)]
    shapes += _grid([lang.count(tick) for tick in ticks], tall, height)
    every = math.ceil(len(labels) * 26 / (WIDTH - _LEFT - _RIGHT))
    for i, label in enumerate(labels):
        x, y = _LEFT + step * i, height - _BOTTOM
        for category, counts in stacks.items():
            rise = tall * counts[i] / ticks[-1]
            if counts[i]:
                y -= rise
                tip = f"{label}: {lang.say(category.value)} {lang.count(counts[i])}"
                fill = COLOURS[category]
                shapes.append(Box(x + step * 0.12, y, step * 0.76, rise, fill, tip))
        if i % every == 0:
            at = x + step / 2
            shapes.append(Words(at, height - 9, label, 7, "middle", QUIET))
    return Drawing(title, title, WIDTH, height, shapes)


def week(report: Report, lang: Language) -> Drawing:
    """Weekday by hour: the darker, the more calls."""
    left, top, cell, tall = 34.0, 16.0, (WIDTH - 42) / 24, 17.0
    most = max(map(max, report.workload.week)) or 1
    shapes: list[Shape] = []
    for hour in range(24):
        x = left + cell * (hour + 0.5)
        shapes.append(Words(x, top - 5, f"{hour:02}", 7, "middle", QUIET))
    for day, counts in enumerate(report.workload.week):
        y = top + tall * day
        name = lang.weekday(day)
        shapes.append(Words(left - 6, y + tall * 0.7, name, 7.5, "end"))
        for hour, n in enumerate(counts):
            share = n / most
            tip = f"{name} {hour:02}:00: {lang.count(n)}"
            x = left + cell * hour
            fill = _shade(share)
            shapes.append(Box(x + 0.5, y + 0.5, cell - 1, tall - 1, fill, tip))
            ink = "#ffffff" if share > 0.55 else INK
            if n and (size := _fitting(lang.count(n), cell)):
                text = lang.count(n)
                place = y + tall * 0.66
                shapes.append(Words(x + cell / 2, place, text, size, "middle", ink))
    title = lang.say("week")
    return Drawing(title, title, WIDTH, top + tall * 7 + 4, shapes)


def _fitting(text: str, room: float) -> float:
    """The size at which this text fits, 0 if it would be unreadable."""
    size = min(7.0, (room - 2) / (0.56 * len(text)))
    return size if size >= 4.5 else 0.0


def _shade(share: float) -> str:
    """From nearly white to the colour of valid calls."""
    low, high = (240, 244, 245), (11, 90, 99)
    mixed = (round(a + (b - a) * share**0.8) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def curve(total: Part, lang: Language) -> Drawing:
    """Share answered within so many seconds, by both clocks, and what is asked for."""
    height = 200.0
    tall, wide = height - _TOP - _BOTTOM, WIDTH - _LEFT - _RIGHT
    shapes: list[Shape] = []
    shapes += _grid([f"{p} %" for p in range(0, 101, 20)], tall, height)

    def place(seconds: float, share: float) -> tuple[float, float]:
        return (
            _LEFT + wide * seconds / CURVE_SECONDS,
            height - _BOTTOM - tall * share,
        )

    for seconds in range(0, CURVE_SECONDS + 1, 5):
        x, y = place(seconds, 0)
        shapes.append(Words(x, y + 12, str(seconds), 7, "middle", QUIET))
    for seconds, share, name in (
        (5, 0.95, "Ofcom"),
        (15, 0.90, "NENA"),
        (20, 0.95, "NENA"),
    ):
        x, y = place(seconds, share)
        shapes.append(Stroke([(x, y), place(seconds, 0)], QUIET, 0.7, is_dashed=True))
        shapes.append(Box(x - 2.5, y - 2.5, 5, 5, "#c8553d", f"{seconds} s"))
        shapes.append(Words(x + 5, y - 3, name, 7, "start", "#c8553d"))
    clocks = (
        ("curve-queued", total.service.queued, "#3f88c5"),
        ("curve-offered", total.service.offered, "#0b7a75"),
    )
    x = _LEFT
    for key, times, colour in clocks:
        shapes.append(Stroke([place(s, v) for s, v in _steps(times)], colour, 1.8))
        shapes.append(Stroke([(x, 9), (x + 14, 9)], colour, 1.8))
        shapes.append(Words(x + 18, 11.5, lang.say(key), 7.5))
        x += 120
    title = lang.say("curve")
    return Drawing(title, title, WIDTH, height, shapes)


def _steps(times: AnswerTimes) -> Iterator[tuple[float, float]]:
    """Seconds → share of all who wanted an operator, answered by then."""
    if not times.n:
        return
    met, bins = 0, times.answered.bins
    for tenth in range(CURVE_SECONDS * 10 + 1):
        met += bins.get(tenth, 0)
        if tenth % 5 == 0:
            yield tenth / 10, met / times.n


def _legend(categories: Sequence[Category], lang: Language) -> Iterator[Shape]:
    x = _LEFT
    for category in categories:
        name = lang.say(category.value)
        yield Box(x, 4, 8, 8, COLOURS[category])
        yield Words(x + 11, 11, name, 7.5)
        x += 26 + 4.2 * len(name)


def _grid(labels: Sequence[str], tall: float, height: float) -> Iterator[Shape]:
    """A faint line for each label, the first at the bottom."""
    for i, label in enumerate(labels):
        y = height - _BOTTOM - tall * i / max(1, len(labels) - 1)
        line = [(_LEFT, y), (WIDTH - _RIGHT, y)]
        yield Stroke(line, FAINT if i else QUIET, 0.6)
        yield Words(_LEFT - 5, y + 2.5, label, 7, "end", QUIET)


def _ticks(most: int) -> list[int]:
    """Round numbers from 0 to at least `most`, about five."""
    raw = max(1.0, most / 5)
    power = 10 ** math.floor(math.log10(raw))
    step = next(int(f * power) for f in (1, 2, 5, 10) if f * power >= raw)
    return [step * i for i in range(max(1, math.ceil(most / step)) + 1)]
