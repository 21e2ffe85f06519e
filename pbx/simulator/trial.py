"""A whole city of its own, for trials: other addresses, other ports, another state.

Many can run on one machine beside the real one. What is tried is the real thing:
`gerbang run` in a process of its own, a carrier, softphones. Every way to harm it that
a trial needs is a method here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from pbx import sounds, status
from pbx.asterisk import run
from pbx.asterisk.releases import Releases
from pbx.asterisk.render import render_city
from pbx.asterisk.secrets import keep_secrets, read_secrets
from pbx.asterisk.tls import ensure_certificate
from pbx.model.city import City, read_city
from pbx.records.journal import whole_records
from pbx.settings import PROJECT, Settings
from pbx.simulator.carrier import Carrier, Line, OutgoingCall
from pbx.simulator.cel import CallResult
from pbx.simulator.declaration import Declaration, Neighbourhood, moved, toml
from pbx.simulator.operator import IncomingCall, Operator, phone_settings
from pbx.simulator.script import Script

READY = "ready, dial 112"
_POLL_SECONDS = 0.02
_END_SECONDS = 30.0


class TrialError(Exception):
    """The city under trial did not do what it must; the text says what."""


@dataclass(frozen=True, slots=True)
class TrialCall:
    """A call placed in a trial, with what operators saw of it."""

    placed: OutgoingCall
    city: TrialCity
    calls_before: dict[str, int]

    async def ringing(
        self, *, deadline_seconds: float = 20.0
    ) -> tuple[Operator, IncomingCall]:
        """The operator's phone that rings first for it. Raises TrialError if none."""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                while True:
                    rung = self.rung()
                    if rung:
                        return min(rung, key=lambda pair: pair[1].ringing_at)
                    await asyncio.sleep(_POLL_SECONDS)
        raise TrialError(
            f"no operator rang within {deadline_seconds:g} s; "
            f"the caller saw {self.placed.so_far()}\n{self.city.last_words()}"
        )

    def rung(self) -> list[tuple[Operator, IncomingCall]]:
        """Every phone that has rung since the call was placed."""
        return [
            (operator, call)
            for number, operator in self.city.operators.items()
            for call in operator.calls[self.calls_before.get(number, 0) :]
        ]

    async def ringing_after_seconds(self, *, deadline_seconds: float = 20.0) -> float:
        """From the INVITE to the first operator's phone ringing."""
        _, call = await self.ringing(deadline_seconds=deadline_seconds)
        return (call.ringing_at - self.invited_at()).total_seconds()

    def invited_at(self) -> datetime:
        """When the carrier sent the INVITE. Raises TrialError before that."""
        invited = self.placed.so_far().invited_at
        if invited is None:
            raise TrialError("the INVITE is not on its way yet")
        return invited

    async def answered(self, *, deadline_seconds: float = 10.0) -> CallResult:
        """Wait until the city has answered the caller."""
        return await self.placed.answered(deadline_seconds=deadline_seconds)

    async def finished(self, *, deadline_seconds: float = 150.0) -> CallResult:
        """Wait until the call is over."""
        return await self.placed.finished(deadline_seconds=deadline_seconds)

    async def hang_up(self) -> CallResult:
        """The caller hangs up; returns when the carrier is done with the call."""
        await self.placed.hang_up()
        return await self.finished(deadline_seconds=10)


@dataclass(slots=True)
class TrialCity:
    """One running city. `async with TrialCity()` starts and cleanly ends everything.

    `change` may alter the declaration; `python` False starts Asterisk alone: the
    degraded mode, with no process of ours.
    """

    change: Callable[[Declaration], None] = lambda declared: None
    python: bool = True
    place: Neighbourhood = field(default_factory=Neighbourhood.own)
    environment: dict[str, str] = field(default_factory=dict)
    """Added for the city's processes, such as GERBANG_DATABASE_URL."""
    state: Path | None = None
    """Kept if given; None is a temporary one, removed at the end."""
    operators: dict[str, Operator] = field(default_factory=dict)
    _directory: Path | None = None
    _city: City | None = None
    _carrier: Carrier | None = None
    _keeper: asyncio.subprocess.Process | None = None
    _asterisk: run.Asterisk | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # ---- what there is ---------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """Everything of this trial lies below it."""
        if self._directory is None:
            raise TrialError("the city is not running")
        return self._directory

    @property
    def settings(self) -> Settings:
        """Where its files are, as its own processes see it."""
        return replace(
            Settings(),
            state=self.state or self.directory / "state",
            city_file=self.directory / "city.toml",
        )

    @property
    def city(self) -> City:
        """What was declared."""
        if self._city is None:
            raise TrialError("the city is not running")
        return self._city

    @property
    def carrier(self) -> Carrier:
        """Who places the calls."""
        if self._carrier is None:
            raise TrialError("the carrier is not running")
        return self._carrier

    @property
    def output(self) -> Path:
        """What `gerbang run` printed."""
        return self.directory / "output"

    # ---- start and end ---------------------------------------------------------------

    async def start(self) -> None:
        """Bring up the city and its carrier; operators come by `operator()`."""
        self._directory = Path(tempfile.mkdtemp(prefix="gerbang-trial-"))
        declared = tomllib.loads(
            (PROJECT / "asterisk-config" / "city.toml").read_text()
        )
        declared = moved(declared, self.place)
        for flow in declared["flows"].values():  # no chance, and no hour's memory
            flow["filter"] |= {"holdout_percent": 0, "releases_per_hour": 10_000}
        self.change(declared)
        text = toml(declared)
        self._city = read_city(text, source="city.toml")
        self.settings.city_file.write_text(text)
        await self.start_city()
        line = Line(
            self.place.carrier,
            self.city.network.sip_address,
            self.city.network.sip_port,
            codecs=[str(codec) for codec in self.city.trunks[0].codecs],
        )
        self._carrier = Carrier(run.find_root(self.settings), line)
        await self._carrier.start()

    async def stop(self) -> None:
        """End all of it, calls and all; nothing is left behind."""
        for operator in self.operators.values():
            await operator.stop()
        self.operators.clear()
        if self._carrier:
            await self._carrier.stop()
            self._carrier = None
        await self.stop_city()
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    async def start_city(self, *, deadline_seconds: float = 60.0) -> None:
        """Start the city's processes, again if need be, and wait until it is ready."""
        if self.python:
            await self._start_keeper(deadline_seconds)
        else:
            await self._start_asterisk()

    async def stop_city(self) -> None:
        """End the city's processes as Ctrl-C twice does: at once, but in order."""
        if self._asterisk:
            await self._asterisk.stop()
            self._asterisk = None
        if self._keeper is None:
            return
        # The second Ctrl-C ends at once, and yet in order: that takes a few seconds.
        for number, patience in (
            (signal.SIGINT, 0.5),
            (signal.SIGINT, _END_SECONDS),
            (signal.SIGKILL, 5.0),
        ):
            with suppress(ProcessLookupError):
                self._keeper.send_signal(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._keeper.wait(), patience)
                break
        self._keeper = None

    async def _start_keeper(self, deadline_seconds: float) -> None:
        environment = os.environ | {
            "GERBANG_STATE": str(self.settings.state),
            "GERBANG_CITY": str(self.settings.city_file),
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            **self.environment,
        }
        with self.output.open("ab") as output:
            start = output.tell()
            self._keeper = await asyncio.create_subprocess_exec(
                # Whoever starts a trial and dies must not leave a city behind.
                *("setpriv", "--pdeathsig", "TERM"),
                *(sys.executable, "-m", "pbx", "run"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                while self._keeper.returncode is None:
                    if READY.encode() in self.output.read_bytes()[start:]:
                        return
                    await asyncio.sleep(_POLL_SECONDS * 2)
        raise TrialError(f"`gerbang run` did not get ready:\n{self.last_words()}")

    async def _start_asterisk(self) -> None:
        settings, user = self.settings, run.service_user()
        home = settings.asterisk_home
        await asyncio.to_thread(sounds.make, self.city.city.language, settings.sounds)
        run.prepare_home(home, user)
        ensure_certificate(home / "tls", [self.city.network.sip_address])
        secrets = keep_secrets(settings.secrets_file, self.city)
        releases = Releases(home)
        releases.use(releases.add(render_city(self.city, secrets)))
        for part in ("releases", "tls"):
            run.hand_over(home / part, user)
        self._asterisk = run.Asterisk(
            run.find_root(settings),
            home,
            settings.sounds,
            user=user,
            die_with_parent=True,
        )
        await self._asterisk.start()
        await self._asterisk.wait_booted()

    # ---- people ----------------------------------------------------------------------

    async def operator(
        self,
        number: str,
        *,
        voice: Path | None = None,
        answer_after_seconds: float | None = 0.5,
    ) -> Operator:
        """A registered softphone for a declared operator, kept until the end."""
        secrets = read_secrets(self.settings.secrets_file)
        settings = phone_settings(
            self.city, secrets.operators, number, address=self.place.phone(number)
        )
        if number in self.operators:
            await self.operators.pop(number).stop()
        operator = Operator(settings, voice, answer_after_seconds)
        await operator.start()
        self.operators[number] = operator
        return operator

    async def place_call(self, script: Script) -> TrialCall:
        """Dial 112 (or what the script says); returns once the INVITE is on its way."""
        before = {number: len(o.calls) for number, o in self.operators.items()}
        call = TrialCall(await self.carrier.place(script), self, before)
        await call.placed.invited()
        return call

    # ---- what it says of itself ------------------------------------------------------

    def last_words(self) -> str:
        """The end of what `gerbang run`, or Asterisk, printed."""
        if self._asterisk:
            return "\n".join(self._asterisk.last_lines)
        with suppress(OSError):
            return self.output.read_bytes()[-4000:].decode(errors="replace")
        return "(nothing)"

    async def console(self, line: str) -> str:
        """One line on the city's Asterisk console."""
        return await run.console(self.settings.asterisk_home, line)

    async def channels(self) -> int:
        """Channels the city's Asterisk holds now."""
        answer = await self.console("core show channels count")
        return int(answer.split()[0])

    async def wait_idle(self, *, deadline_seconds: float = 10.0) -> None:
        """Wait until no channel is left. Raises TrialError with those that are."""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                while True:
                    if await self.channels() == 0:
                        return
                    await asyncio.sleep(0.05)
        raise TrialError(
            "channels left over:\n" + await self.console("core show channels concise")
        )

    def journal_lines(self) -> list[bytes]:
        """The journal's complete records so far."""
        with suppress(OSError):
            return whole_records(self.settings.journal.read_bytes())
        return []

    # ---- harm ------------------------------------------------------------------------

    def processes(self) -> dict[str, int]:
        """Name → pid: `supervisor`, what it keeps, and Asterisk's own pid."""
        pids: dict[str, int] = {}
        for said in status.read_all(self.settings.run):
            if said["process"] == "supervisor":
                pids["supervisor"] = said["pid"]
                known: dict[str, Any] = said["figures"].get("processes", {})
                pids |= {name: p["pid"] for name, p in known.items() if p["pid"]}
        if asterisk := run.running_pid(self.settings.asterisk_home):
            pids["asterisk"] = asterisk
        return pids

    def signal(self, name: str, number: signal.Signals) -> list[int]:
        """Send a signal to every process whose name begins so (`intake` is them all).

        Returns the pids; raises TrialError if there is none.
        """
        hit = [pid for n, pid in self.processes().items() if n.startswith(name)]
        if not hit:
            raise TrialError(f"no process {name!r}; there are {self.processes()}")
        for pid in hit:
            os.kill(pid, number)
        return hit

    def kill(self, name: str) -> list[int]:
        """kill -9."""
        return self.signal(name, signal.SIGKILL)

    def freeze(self, name: str) -> list[int]:
        """SIGSTOP: there, but hung. The supervisor will kill it; see `thaw`."""
        return self.signal(name, signal.SIGSTOP)

    def thaw(self, pids: list[int]) -> None:
        """SIGCONT to those that are still there."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
