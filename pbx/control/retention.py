"""Deleting kept audio when its days are over. Files only: it needs no database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pbx.model.kept import days_kept, expires_at
from pbx.model.retention import Retention


@dataclass(frozen=True, slots=True)
class Tidied:
    """What one round did."""

    deleted: int
    """Calls whose audio was deleted."""
    problems: tuple[str, ...]
    """What could not be deleted, and why."""
    names: tuple[str, ...] = ()
    """The calls, or the files."""


def tidy(kept: Path, retention: Retention, now: datetime) -> Tidied:
    """Delete the audio whose days are over at `now` (aware). Raises nothing.

    Audio goes before its story, so that a round cut short is finished by the next.
    """
    names, problems = [], []
    for folder, day in _days(kept):
        for path in _files(folder):
            until = expires_at(day, _days_of(path, retention))
            if until > now:
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                problems.append(str(error))
            else:
                if path.suffix == ".wav":
                    names.append(unquote(path.stem))
        if expires_at(day, 1) <= now:
            _remove_if_empty(folder)
    return Tidied(len(names), tuple(problems), tuple(names))


def tidy_files(
    folders: Iterable[tuple[Path, str]],
    until: datetime,
    why_not: Callable[[Path], str | None] = lambda _: None,
) -> Tidied:
    """Delete files last written before `until`: in each folder those whose name fits,
    but for those of which `why_not` says why they must stay.

    Raises nothing.
    """
    names, problems = [], []
    for folder, fits in folders:
        for path in sorted(folder.glob(fits)):
            try:
                if not path.is_file() or path.stat().st_mtime >= until.timestamp():
                    continue
                if why := why_not(path):
                    problems.append(why)
                else:
                    path.unlink()
                    names.append(path.name)
            except FileNotFoundError:
                continue  # somebody else was faster
            except OSError as error:
                problems.append(str(error))
    return Tidied(len(names), tuple(problems), tuple(names))


def _days(kept: Path) -> Iterator[tuple[Path, date]]:
    """The folders of kept audio, oldest first; what is no day is not ours."""
    try:
        folders = sorted(kept.iterdir())
    except OSError:
        return
    for folder in folders:
        try:
            yield folder, date.fromisoformat(folder.name)
        except ValueError:
            continue


def _files(folder: Path) -> list[Path]:
    """Audio first, stories last."""
    try:
        return sorted(folder.iterdir(), key=lambda path: path.suffix == ".json")
    except OSError:
        return []


def _days_of(path: Path, retention: Retention) -> int:
    if path.suffix not in {".wav", ".json"}:
        return 1  # left half written by one who was killed
    return days_kept(_story(path.with_suffix(".json")), retention)


def _story(path: Path) -> Mapping[str, Any] | None:
    try:
        story = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return story if isinstance(story, dict) else None


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # something is kept in it still
