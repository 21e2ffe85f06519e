"""One intake worker: its two doors, its clock, its calls; drains on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator

from agi import in_force
from agi.audiosocket import AudioLine
from agi.doorkeeper import Doorkeeper
from agi.figures import Figures
from agi.intake import Intake
from agi.kept_audio import Shelf
from agi.pacer import Pacer
from agi.protocol import Request
from agi.session import Session
from ghostfilter.net import shipped_weights
from pbx import heartbeat
from pbx.model.policy import Mode
from pbx.settings import Settings
from pbx.status import Status

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
"""An AGI peer may run any program on the machine: never bound to anything else."""
BACKLOG = 1024
MAX_CALLS = 400
"""More at once than this in one worker are left to the dialplan."""
SWEEP_SECONDS = 0.25
STATUS_SECONDS = 1.0
DRAIN_SECONDS = 45.0
"""Longer than the longest flow a city may declare usually takes."""
KEEP_SECONDS = 5.0
"""At the end, for the audio that still waits to be written."""


_SWITCHED = {
    Mode.OFF: "The ghost filter is switched off: every call rings operators' phones; "
    "`gerbang ghostfilter on` switches it on again",
    Mode.SHADOW: "The ghost filter only watches and releases nobody; "
    "`gerbang ghostfilter on` lets it act again",
}


class PortTakenError(Exception):
    """A port cannot be listened on; the text says which, and the cure."""


class Worker:
    """The parts of one intake process, wired."""

    def __init__(self, settings: Settings, worker: int) -> None:
        """Raises OSError without the ghost filter's weights: one who cannot listen
        must not take calls; the dialplan greets without him."""
        loop = asyncio.get_running_loop()
        shipped_weights()
        self._keeper = in_force.Keeper(settings)
        network = self._keeper.current.city.network
        self.agi_port = network.agi_port
        self.audio_port = network.audiosocket_port + worker
        self.figures = Figures()
        self.status = Status(settings.run, f"intake-{worker}")
        self._pacer = Pacer()
        self._agi_door = Doorkeeper(loop.time)
        self._audio_door = Doorkeeper(loop.time)
        self._shelf = Shelf(settings.kept)
        self._intake = Intake(
            worker,
            self.audio_port,
            lambda: self._keeper.current,
            self.figures,
            self._shelf,
        )
        self._calls: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup | None = None
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()

    async def serve(self, *, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Take calls until `stop`; then let the running ones end.

        Raises PortTakenError.
        """
        async with contextlib.AsyncExitStack() as stack:
            audio = await self._listen(self._new_line, self.audio_port, shared=False)
            stack.callback(audio.close)
            agi = await self._listen(self._new_session, self.agi_port, shared=True)
            stack.callback(agi.close)
            self._shelf.start()
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                running = [
                    tasks.create_task(heartbeat.beat()),
                    tasks.create_task(self._pacer.run()),
                    tasks.create_task(self._sweep()),
                    tasks.create_task(self._report()),
                ]
                _log.info("taking calls on port %d", self.agi_port)
                await self._stop.wait()
                agi.close()
                await self._drain(drain_seconds)
                await asyncio.to_thread(self._shelf.close, KEEP_SECONDS)
                for task in running:
                    task.cancel()
        self._write_figures()
        self.status.write()

    def stop(self) -> None:
        """Begin to drain: take no new call."""
        self._stop.set()

    def reload(self) -> None:
        """Read city and prompts again, soon."""
        self._reload.set()

    async def _listen(
        self, protocol: type | object, port: int, *, shared: bool
    ) -> asyncio.Server:
        try:
            return await asyncio.get_running_loop().create_server(
                protocol,  # type: ignore[arg-type]
                LOOPBACK,
                port,
                backlog=BACKLOG,
                reuse_port=shared,
            )
        except OSError as error:
            raise PortTakenError(
                f"cannot listen on {LOOPBACK}:{port} ({error.strerror}); is another "
                "intake running? Stop it, or give the city other ports"
            ) from error

    def _new_session(self) -> Session:
        return Session(self._agi_door, self._take, self._agi_violated)

    def _new_line(self) -> AudioLine:
        return AudioLine(
            self._audio_door, self._pacer, self._intake.expected, self._audio_violated
        )

    def _take(self, session: Session, request: Request) -> None:
        if self._tasks is None or self._stop.is_set() or len(self._calls) >= MAX_CALLS:
            self.figures.refused_full += 1
            session.close()
            return
        call = self._tasks.create_task(self._intake.take(session, request))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    def _agi_violated(self, what: str) -> None:
        self.figures.agi_violations += 1
        _log.debug("AGI: %s", what)

    def _audio_violated(self, what: str) -> None:
        self.figures.audio_violations += 1
        _log.debug("AudioSocket: %s", what)

    async def _drain(self, seconds: float) -> None:
        _log.info("draining: %d calls", len(self._calls))
        if self._calls:
            await asyncio.wait(self._calls, timeout=seconds)
        for call in self._calls:
            call.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._agi_door.sweep()
            self._audio_door.sweep()

    async def _report(self) -> None:
        """Figures and alarms to the status file; files read again when changed.

        In a thread: a disk that hangs must not hold the loop.
        """
        while True:
            self._write_figures()
            await asyncio.to_thread(self._at_the_disk)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STATUS_SECONDS):
                    await self._reload.wait()

    def _at_the_disk(self) -> None:
        if self._reload.is_set() or self._keeper.has_changed():
            self._reload.clear()
            self._keeper.reload()
        missing = self._keeper.current.missing
        if missing:
            self.status.raise_alarm("prompt-missing", "; ".join(missing))
        else:
            self.status.clear_alarm("prompt-missing")
        self._watch_switch()
        self._watch_budget()
        self._watch_shelf()
        self.status.write()

    def _watch_switch(self) -> None:
        switch = self._keeper.current.switch
        for mode, sentence in _SWITCHED.items():
            if mode is switch:
                self.status.raise_alarm(f"filter-{mode}", sentence)
            else:
                self.status.clear_alarm(f"filter-{mode}")

    def _watch_budget(self) -> None:
        left = self.figures.releases_left
        if left is None or left > 0:
            self.status.clear_alarm("drop-budget")
            return
        self.status.raise_alarm(
            "drop-budget",
            "As many callers were released within this clock hour as the city allows; "
            "nobody more is, and ghosts ring phones at low priority. Is it a flood of "
            "ghosts or a filter gone wrong? Listen: `gerbang ghostfilter review`",
        )

    def _watch_shelf(self) -> None:
        trouble = self._shelf.trouble
        if trouble is None:
            self.status.clear_alarm("audio-not-kept")
            return
        self.status.raise_alarm(
            "audio-not-kept",
            "What the filter hears cannot be kept, so releases cannot be reviewed: "
            f"{trouble}. Calls go on. Make room on the disk, or give the folder of "
            "kept audio to the user who runs us",
        )

    def _write_figures(self) -> None:
        doors = (self._agi_door.turned, self._audio_door.turned)
        self.figures.turned_away = sum(door.late + door.crowded for door in doors)
        worst = round(self._pacer.worst_lateness_seconds * 1000, 1)
        self.status.figures = self.figures.shown() | {
            "worst_lateness_ms": worst,
            "audio_kept": self._shelf.kept,
            "audio_lost": self._shelf.lost,
        }


@contextlib.contextmanager
def obeying_signals(worker: Worker) -> Iterator[None]:
    """SIGTERM and SIGINT drain, SIGHUP reads city and prompts again."""
    loop = asyncio.get_running_loop()
    ours = {
        signal.SIGTERM: worker.stop,
        signal.SIGINT: worker.stop,
        signal.SIGHUP: worker.reload,
    }
    for number, action in ours.items():
        loop.add_signal_handler(number, action)
    try:
        yield
    finally:
        for number in ours:
            loop.remove_signal_handler(number)


async def run(settings: Settings, worker: int) -> None:
    """Serve until told to stop. Raises OSError, CityError, PortTakenError."""
    parts = Worker(settings, worker)
    with obeying_signals(parts):
        await parts.serve()
