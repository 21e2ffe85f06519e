"""Keeping what a caller sent, so that somebody can listen to a release afterwards.

Audio gathers in memory while the filter listens and is written by a thread of its own
once the caller has been handed over: no disk can delay a call. A disk that is full,
slow or gone costs audio, and an alarm, never a caller; and audio gives way before the
disk is so full that the journal next to it would suffer.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import threading
import wave
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from queue import Full, Queue
from typing import Any, BinaryIO

from agi.facts import KeyPressed, PromptHeard
from agi.frames import AUDIO_BYTES, FRAME_SECONDS
from ghostfilter.verdict import Context, Verdict
from ivr.prompts import BYTES_PER_SAMPLE, SAMPLE_RATE
from pbx.model.kept import place
from pbx.model.retention import Keep
from pbx.model.verdict import Ruling

_log = logging.getLogger(__name__)

MOST_SECONDS = 45.0
"""More than any flow listens; a call of this length takes 0.7 MB."""
MOST_WAITING = 64
"""Calls that wait in memory for a slow disk, at most: 45 MB."""
LEAST_FREE_BYTES = 256 * 1024 * 1024
"""Below this the disk belongs to journal and records."""
RETRY_SECONDS = 2.0

_MOST_BYTES = int(MOST_SECONDS / FRAME_SECONDS) * AUDIO_BYTES


@dataclass(slots=True)
class Tape:
    """One caller's audio as it came: 8 kHz, 16 bit, 20 ms frames in order."""

    pcm: bytearray = field(default_factory=bytearray, repr=False)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When we began to listen, by the wall clock."""

    def hear(self, frame: bytes) -> None:
        """20 ms more; what comes after `MOST_SECONDS` is not kept."""
        if len(self.pcm) < _MOST_BYTES:
            self.pcm += frame


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCall:
    """One call's audio with its story; no caller's number: the record has that."""

    call_id: str
    at: datetime
    """When we began to listen, aware: some milliseconds before its audio came."""
    number: str
    """The number dialled."""
    flow: str
    prompts: Sequence[PromptHeard]
    keys: Sequence[KeyPressed]
    verdict: Verdict
    context: Context
    pcm: bytes | bytearray = field(repr=False)

    @property
    def story(self) -> dict[str, Any]:
        """What lies beside the audio, as JSON."""
        return {
            "call_id": self.call_id,
            "at": self.at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "number": self.number,
            "flow": self.flow,
            "prompts": [asdict(prompt) for prompt in self.prompts],
            "keys": [asdict(key) for key in self.keys],
            "verdict": asdict(self.verdict),
            "shadowed": self.verdict.is_shadow,
            "context": asdict(self.context),
        }

    def is_wanted(self, keep: Keep) -> bool:
        """Whether the city keeps it. Releases, real or would-be, are always kept."""
        ruling = self.verdict.ruling
        if (
            ruling is Ruling.RELEASE
            or self.verdict.is_holdout
            or self.verdict.is_shadow
        ):
            return True
        match keep:
            case Keep.RELEASED:
                return False
            case Keep.FILTERED:
                return ruling is not Ruling.PASS or len(self.prompts) > 1
            case Keep.ALL:
                return True


class Shelf:
    """Takes calls from the loop at once, and writes them in a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._waiting: Queue[KeptCall | None] = Queue(MOST_WAITING)
        self._is_closing = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="kept-audio", daemon=True
        )
        self.kept = 0
        self.lost = 0
        """Calls whose audio was given up."""
        self.trouble: str | None = None
        """Why the last call could not be written; None: it could."""

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, call: KeptCall) -> None:
        """Keep this call. Never waits, never raises."""
        try:
            self._waiting.put_nowait(call)
        except Full:
            self.trouble = "the disk is too slow"
            self._lose(call)

    def close(self, deadline_seconds: float) -> None:
        """Write what waits, then end; what a hung disk does not take by then is lost.

        Waits: not for the loop.
        """
        self._is_closing.set()
        try:
            self._waiting.put(None, timeout=deadline_seconds)
        except Full:
            waiting = self._waiting.qsize() + 1
            _log.error("audio of %d calls not kept: the disk hangs", waiting)  # noqa: TRY400
            return
        self._thread.join(deadline_seconds)
        if self._thread.is_alive():
            waiting = self._waiting.qsize()  # one in hand, and our last word
            _log.error("audio of up to %d calls not kept: the disk hangs", waiting)

    def _run(self) -> None:
        while (call := self._waiting.get()) is not None:
            self._keep(call)

    def _keep(self, call: KeptCall) -> None:
        """Write one call, again and again while others need not wait for it."""
        while True:
            try:
                write(self._directory, call)
            except OSError as error:
                if self.trouble is None:
                    _log.warning("audio not kept, trying again: %s", error)
                self.trouble = str(error)
            except Exception as error:  # noqa: BLE001 - this thread serves all calls
                _log.exception("audio not kept")
                self.trouble = f"{type(error).__name__}: {error}"
                self._lose(call)
                return
            else:
                self.kept += 1
                self.trouble = None
                return
            if self._waiting.full() or self._is_closing.wait(RETRY_SECONDS):
                self._lose(call)
                return

    def _lose(self, call: KeptCall) -> None:
        self.lost += 1
        _log.error(
            "audio of a call lost: %s", self.trouble, extra={"call_id": call.call_id}
        )


def write(directory: Path, call: KeptCall) -> Path:
    """Write audio and story, each whole or not at all. Raises OSError.

    Readable by our own user only. The story comes last: where it lies, all is there.
    """
    path = directory / place(call.call_id, call.at)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if shutil.disk_usage(path.parent).free < LEAST_FREE_BYTES:
        raise OSError(
            errno.ENOSPC,
            f"less than {LEAST_FREE_BYTES >> 20} MB are free, which journal and "
            "records need",
            str(directory),
        )
    _replace(path, _wav(call.pcm))
    story = json.dumps(call.story, ensure_ascii=False, indent=1)
    _replace(path.with_suffix(".json"), story.encode())
    return path


def _replace(path: Path, content: bytes) -> None:
    scratch = path.with_name(path.name + ".tmp")
    try:
        with _private(scratch) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


def _private(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    return os.fdopen(descriptor, "wb")


def _wav(pcm: bytes | bytearray) -> bytes:
    content = BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)
    return content.getvalue()
