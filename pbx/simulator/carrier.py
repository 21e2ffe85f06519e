"""The test carrier: a second Asterisk that calls the city as a real carrier would.

It is driven by call files (dropped by rename into its spool, picked up at once) and
tells what happened in its own CEL journal: no control connection that could fail apart
from the call. See `templates/` for its configuration, `script.py` for what callers do.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import socket
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pbx.asterisk import run
from pbx.simulator.cel import CallResult, read_result
from pbx.simulator.script import Say, Script, Silence, dialplan_steps
from pbx.simulator.voices import (
    human_voice,
    read_voice,
    soft_noise,
    write_voice,
)

_log = logging.getLogger(__name__)

_TEMPLATES = Path(__file__).parent / "templates"
_TONES = """[general]
country = id
[id]
description = Indonesia
ringcadence = 1000,4000
""" + "".join(
    f"{tone} = 425\n" for tone in ("dial", "busy", "ring", "congestion", "info")
)

_UNUSED = {
    "acl": "",
    "ccss": "[general]\n",
    "cdr": "[general]\nenable = no\n",
    "features": "[general]\n",
    "indications": _TONES,
    "manager": "[general]\nenabled = no\n",
    "pjproject": "",
    "stasis": "",
    "udptl": "[general]\n",
}
"""Files Asterisk complains about when they are missing; a carrier needs none."""

ANSWER_WITHIN_SECONDS = 30
_POLL_SECONDS = 0.02


class CarrierError(Exception):
    """The carrier could not do its part; the text says why and the cure."""


@dataclass(frozen=True, slots=True)
class Line:
    """Between whom calls go: the trunk as the city declares it."""

    address: str = "127.0.0.2"
    """Where the carrier is; the city knows its trunk by this address alone."""
    city_address: str = "127.0.0.1"
    city_port: int = 5060
    port: int = 5060
    """Preferred; taken by another carrier, a free one is used for outgoing calls."""
    codecs: Sequence[str] = ("alaw", "ulaw")


@dataclass(slots=True)
class Carrier:
    """One running carrier. `async with Carrier(...)` starts and cleanly stops it."""

    root: run.Root
    line: Line = field(default_factory=Line)
    home: Path | None = None
    """Its own world; None makes a temporary one, removed at the end."""
    _asterisk: run.Asterisk | None = None
    _temporary: Path | None = None

    async def __aenter__(self) -> Carrier:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, *, deadline_seconds: float = 15.0) -> None:
        """Render, start and wait until calls can be placed.

        Raises CarrierError if the trunk's address cannot be had or Asterisk fails.
        """
        if self.home is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="gerbang-carrier-"))
            self.home = self._temporary / "home"
        user = run.service_user()
        await asyncio.to_thread(self._lay_out, self.home, user)
        self._asterisk = run.Asterisk(
            self.root, self.home, self.voices, user=user, die_with_parent=True
        )
        try:
            await self._asterisk.start()
            await self._asterisk.wait_booted(deadline_seconds)
            # Loaded at boot, pbx_spool sleeps a whole second before it looks first.
            answer = await self.console("module load pbx_spool.so")
            if "Loaded" not in answer:
                raise CarrierError(
                    f"the carrier's Asterisk did not come up: {answer or 'no answer'}; "
                    f"see {self.home / 'log' / 'messages'}"
                )
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End every call and the carrier itself; nothing is left behind."""
        if self._asterisk is not None:
            await self._asterisk.stop()
            self._asterisk = None
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = self.home = None

    @property
    def voices(self) -> Path:
        """Sounds the carrier can play, made as scripts need them."""
        return self._where() / "voices"

    @property
    def recordings(self) -> Path:
        """What callers (and agencies) heard and said."""
        return self._where() / "spool" / "recordings"

    @property
    def journal(self) -> Path:
        """The carrier's own events, one JSON object a line."""
        return self._where() / "log" / "cel-custom" / "journal.jsonl"

    async def place(self, script: Script) -> OutgoingCall:
        """Dial; returns as soon as the call file is dropped. See `OutgoingCall`."""
        name = f"call-{uuid.uuid4().hex[:12]}"
        text = await asyncio.to_thread(self._call_file, name, script)
        spool = self._where() / "spool"
        scratch = spool / "tmp" / name
        scratch.write_text(text)
        scratch.chmod(0o640)
        run.hand_over(scratch, run.service_user())
        scratch.rename(spool / "outgoing" / name)
        return OutgoingCall(name, self, script)

    async def call(self, script: Script) -> CallResult:
        """Dial, live the whole call, and tell what happened."""
        placed = await self.place(script)
        return await placed.finished()

    async def console(self, line: str) -> str:
        """One line on the carrier's own console."""
        return await run.console(self._where(), line)

    def _where(self) -> Path:
        if self.home is None:
            raise CarrierError("the carrier is not running; start it first")
        return self.home

    def _lay_out(self, home: Path, user: run.User | None) -> None:
        run.prepare_home(home, user)
        self.voices.mkdir(exist_ok=True)
        for place in ("spool/outgoing", "spool/tmp", "spool/recordings", "db/keys"):
            (home / place).mkdir(exist_ok=True)
        self._render(home / "current")
        for part in ("spool", "db", "current"):
            run.hand_over(home / part, user)

    def _render(self, target: Path) -> None:
        target.mkdir(exist_ok=True)
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701 - Asterisk's files, not HTML
            trim_blocks=True,
        )
        modules = sorted(self.root.base.glob("usr/lib*/**/asterisk/modules"))
        if not modules:
            raise CarrierError(f"{self.root.base} has no Asterisk modules")
        first = _free_media_port(self.line.address)
        values = {
            "module_directory": f"/{modules[0].relative_to(self.root.base)}",
            "address": self.line.address,
            "port": _sip_port(self.line),
            "city_address": self.line.city_address,
            "city_port": self.line.city_port,
            "codecs": list(self.line.codecs),
            "rtp_first_port": first,
            "rtp_last_port": first + 999,
            "answer_within_seconds": ANSWER_WITHIN_SECONDS,
            "recordings": "/gerbang/spool/recordings",
            "agency_voice": self._voice(Say(human_voice(self.root.base, which=1))),
        }
        for template in sorted(_TEMPLATES.glob("*.conf.j2")):
            text = environment.get_template(template.name).render(values)
            (target / template.stem).write_text(text)
        for name, text in _UNUSED.items():
            (target / f"{name}.conf").write_text(text)

    def _voice(self, sound: Say | Silence) -> str:
        """Put a sound among the voices; its name as `Playback` takes it."""
        if isinstance(sound, Silence):
            name = f"silence-{round(sound.seconds * 1000)}"
            path = self.voices / f"{name}.wav"
            if not path.exists():
                write_voice(path, soft_noise(sound.seconds))
        else:
            samples = read_voice(sound.file)
            name = f"voice-{hashlib.sha256(samples.tobytes()).hexdigest()[:16]}"
            path = self.voices / f"{name}.wav"
            if not path.exists():
                write_voice(path, samples)
        return f"/gerbang-sounds/{name}"

    def _call_file(self, name: str, script: Script) -> str:
        steps, tail = dialplan_steps(script, self._voice)
        variables = {
            "CALL": name,
            "DIALLED": script.dialled,
            "NUMBER": script.number,
            "NAME": script.name,
            "PRESENTATION": "prohib" if script.withheld else "allowed",
            "LASTS": f"{script.hang_up_after_seconds:.3f}",
            "TAIL": tail,
        }
        variables |= {f"STEP_{i}": step for i, step in enumerate(steps, 1)}
        for i, (header, value) in enumerate(script.headers, 1):
            variables |= {f"HEADER_{i}": header, f"HEADER_VALUE_{i}": value}
        lines = [
            "Channel: Local/hold@caller/n",
            f"Account: {name}",
            "Context: caller",
            "Extension: dial",
            "WaitTime: 5",
            "MaxRetries: 0",
        ]
        for key, value in variables.items():
            if "\n" in value or ";" in value or len(value) > 900:
                raise CarrierError(
                    f"{key}={value[:40]!r} does not fit into a call file; use SIPp"
                )
            lines.append(f"Setvar: __{key}={value}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """A call that was placed: watch it, end it, wait for its result."""

    name: str
    carrier: Carrier
    script: Script

    def so_far(self) -> CallResult:
        """What is known of it now."""
        return read_result(self.carrier.journal, self.name, self.carrier.recordings)

    async def invited(self, *, deadline_seconds: float = 5.0) -> CallResult:
        """Wait until the INVITE is on its way."""
        return await self._until("invited", deadline_seconds)

    async def answered(self, *, deadline_seconds: float = 10.0) -> CallResult:
        """Wait until the city has answered. Raises CarrierError when it does not."""
        return await self._until("answered", deadline_seconds)

    async def finished(self, *, deadline_seconds: float = 150.0) -> CallResult:
        """Wait until the call is over. Raises CarrierError past the deadline."""
        return await self._until("over", deadline_seconds)

    async def hang_up(self) -> None:
        """The caller puts the receiver down now."""
        channel = self.so_far().channel
        if channel:
            await self.carrier.console(f"channel request hangup {channel}")

    async def _until(self, what: str, deadline_seconds: float) -> CallResult:
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                while True:
                    result = self.so_far()
                    if result.is_over or _is_reached(result, what):
                        return result
                    await asyncio.sleep(_POLL_SECONDS)
        raise CarrierError(
            f"the call to {self.carrier.line.city_address} was not {what} within "
            f"{deadline_seconds:g} s; is the city running? start it with `make run`"
        )


def _is_reached(result: CallResult, what: str) -> bool:
    """Whether the call has come as far as `invited` or `answered`."""
    return (what == "invited" and result.invited_at is not None) or (
        what == "answered" and result.answered_at is not None
    )


def _sip_port(line: Line) -> int:
    """The trunk's port, or any free one while another carrier holds it."""
    for port in (line.port, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((line.address, port))
            except OSError as error:
                if port:
                    continue
                raise CarrierError(
                    f"the trunk's address {line.address} is not on this machine "
                    f"({error.strerror}); the simulated carrier needs an address of "
                    "127.0.0.0/8 in [[trunks]]"
                ) from error
            return int(probe.getsockname()[1])
    raise AssertionError("unreachable")


def _free_media_port(address: str) -> int:
    """A place for a thousand RTP ports, away from other carriers' as luck has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return 30000 + int(probe.getsockname()[1]) % 30 * 1000
