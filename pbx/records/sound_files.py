"""Where a call's sound lies: what the filter heard, and the conversation.

What is under a legal hold has a second name in a folder of its own, out of the reach of
everything that deletes by days: a hard link, no copy.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from pbx.model.kept import places
from pbx.settings import Settings


@dataclass(frozen=True, slots=True)
class SoundFolders:
    """The folders, as the settings name them."""

    kept: Path
    recordings: Path
    held: Path

    @classmethod
    def of(cls, settings: Settings) -> SoundFolders:
        """Those of this machine."""
        held = settings.state / "held"
        return cls(settings.kept, settings.recordings, held)

    def files_of(self, record: Mapping[str, Any]) -> list[Path]:
        """What there is of a call: sound first, the filter's story last."""
        call_id = str(record["call_id"])
        at = datetime.fromisoformat(str(record["started_at"]))
        heard = [self.kept / place for place in places(call_id, at)]
        stories = [path.with_suffix(".json") for path in heard]
        talks = [self.recordings / n for n in _names(record)]
        return [path for path in (*talks, *heard, *stories) if path.is_file()]

    def name_of(self, path: Path) -> str:
        """What a file is called outside its folder: both kinds may share a name."""
        is_heard = path.is_relative_to(self.kept)
        return f"{'filter' if is_heard else 'conversation'}-{path.name}"

    def held_of(self, call_id: str) -> Path:
        """The folder of what is held of a call."""
        return self.held / quote(call_id, safe="")

    def hold(self, record: Mapping[str, Any]) -> int:
        """Give a call's files their second name; how many there are. Raises OSError."""
        folder = self.held_of(str(record["call_id"]))
        for path in self.files_of(record):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.link(path, folder / self.name_of(path))
        return len(list(folder.iterdir())) if folder.is_dir() else 0

    def let_go(self, call_id: str) -> None:
        """Take the second names away. Raises OSError."""
        folder = self.held_of(call_id)
        if folder.is_dir():
            shutil.rmtree(folder)

    def delete(self, record: Mapping[str, Any]) -> list[str]:
        """Delete a call's files; what could not be deleted, and why."""
        problems = []
        for path in self.files_of(record):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                problems.append(str(error))
        return problems


def _names(record: Mapping[str, Any]) -> list[str]:
    """File names of conversations; one that names another place is none."""
    names = [
        str(one.get("name", ""))
        for one in record.get("recordings") or []
        if isinstance(one, Mapping)
    ]
    return [n for n in names if n and PurePath(n).name == n]
