"""The access package: JSON for programs, a page for people, the sound itself."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.resources import files as resources
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined

from pbx.model.audit import Entry
from pbx.model.masking import masked
from pbx.records.person import Found, Person
from pbx.records.sound_files import SoundFolders


@dataclass(frozen=True, slots=True)
class Package:
    """What goes into it."""

    person: Person
    entries: list[Entry]
    folders: SoundFolders
    zone: ZoneInfo
    made_at: datetime


def write_package(package: Package, out: Path) -> int:
    """Write the ZIP, whole or not at all, mode 0600; the number of sound files.

    Raises OSError.
    """
    draft = out.with_name(f".{out.name}.part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with (
            os.fdopen(descriptor, "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            count = _fill(package, archive)
        draft.replace(out)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return count


def _fill(package: Package, archive: zipfile.ZipFile) -> int:
    sounds: dict[str, list[str]] = {}
    for call in package.person.own:
        for path in package.folders.files_of(call.record):
            folder = quote(call.call_id, safe="")
            name = f"{folder}/{package.folders.name_of(path)}"
            archive.write(path, name)
            sounds.setdefault(call.call_id, []).append(name)
    told = {
        "number": package.person.number,
        "made_at": package.made_at.isoformat(),
        "calls": [_call(call) for call in package.person.found],
        "audit": [_entry(entry) for entry in package.entries],
        "sounds": sounds,
    }
    archive.writestr("data.json", json.dumps(told, ensure_ascii=False, indent=1))
    archive.writestr("index.html", _page(package, sounds))
    return sum(n.endswith(".wav") for names in sounds.values() for n in names)


def _call(call: Found) -> dict[str, Any]:
    """His call as it is; another's only as any stranger would see it."""
    if not call.is_own:
        return {"record": masked(call.record), "is_own": False}
    return {
        "record": dict(call.record),
        "is_own": True,
        "raw_lines": call.lines,
        "review": _plain(call.review),
        "review_marks": [_plain(mark) for mark in call.marks],
    }


def _plain(row: Any) -> Any:
    return None if row is None else json.loads(json.dumps(dict(row), default=str))


def _entry(entry: Entry) -> dict[str, Any]:
    """Who, when, why; the chain's own words mean nothing outside."""
    told = asdict(entry)
    for name in ("mac", "previous", "key_id", "subject"):
        del told[name]
    return told | {"at": entry.at.isoformat()}


def _page(package: Package, sounds: dict[str, list[str]]) -> str:
    source = resources("pbx.commands.privacy").joinpath("access.html.j2")
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True
    ).from_string(source.read_text("utf-8"))
    return template.render(
        number=package.person.number,
        made_at=package.made_at,
        own=package.person.own,
        others=[call for call in package.person.found if not call.is_own],
        entries=package.entries,
        sounds=sounds,
        clock=lambda at: f"{at.astimezone(package.zone):%F %T}",
        shown=lambda value: json.dumps(value, ensure_ascii=False, indent=1),
    )
