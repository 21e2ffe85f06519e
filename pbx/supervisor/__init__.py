"""`gerbang run`: one supervisor in the foreground for Asterisk and our processes.

It starts, hears, restarts and drains; it carries no call itself. When it is killed,
Asterisk goes on with its calls and the next supervisor takes it over.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from zoneinfo import ZoneInfo

from pbx.asterisk.sandbox import command
from pbx.model.city import City
from pbx.settings import Settings
from pbx.supervisor.child import Child, Spec
from pbx.supervisor.engine import Engine
from pbx.supervisor.house import House
from pbx.supervisor.lines import Style
from pbx.supervisor.output import Output
from pbx.supervisor.preflight import (
    CannotStart,
    Ready,
    environment,
    gerbang,
    prepare,
    read_city_or_last_good,
)
from pbx.supervisor.printer import Printer
from pbx.supervisor.strays import AlreadyRunning, only_supervisor

__all__ = ["AlreadyRunning", "CannotStart", "run"]

_log = logging.getLogger(__name__)

DRAIN_SECONDS = 600.0
"""How long calls may take to end; an emergency call lasts minutes, not seconds."""


async def run(
    settings: Settings, *, as_json: bool = False, drain_seconds: float = DRAIN_SECONDS
) -> None:
    """Serve the city until SIGTERM or Ctrl-C.

    Raises CannotStart or AlreadyRunning with a sentence for people; CancelledError
    where SIGTERM came before there was anything to drain.
    """
    started = time.monotonic()
    if task := asyncio.current_task():  # until `serve` takes the signal over
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with only_supervisor(settings.run):
        city = read_city_or_last_good(settings)
        printer = Printer()
        output = Output(printer, _style(city, as_json=as_json))
        logging.basicConfig(level=logging.INFO, handlers=[output], force=True)
        try:
            ready = await prepare(settings, _log.info)
            await asyncio.sleep(0)  # a Ctrl-C while ports were looked at ends us here
            house = House(settings.run, output)
            for name, sentence in ready.alarms.items():
                house.status.raise_alarm(name, sentence)
            await house.serve(
                hire_python(settings, ready.city, house),
                hire_asterisk(settings, ready, house),
                announce=lambda late: output.banner(
                    banner(ready.city, late, time.monotonic() - started)
                ),
                drain_seconds=drain_seconds,
            )
        finally:
            printer.close()


def hire_asterisk(settings: Settings, ready: Ready, house: House) -> Engine:
    """The city's Asterisk as a child."""
    argv = command(ready.root, settings.asterisk_home, settings.sounds, user=ready.user)
    return Engine(tuple(argv), settings.asterisk_home, ready.user, house.listener)


def hire_python(settings: Settings, city: City, house: House) -> list[Child]:
    """Intake workers, control, feed; the recorder last: it writes the last record."""
    extra = environment(settings) | {"NOTIFY_SOCKET": house.notify.address}
    specs = [
        Spec(
            f"intake-{worker}",
            gerbang("intake", "--worker", str(worker)),
            extra,
            stop_seconds=60.0,  # the longest deadline a flow may declare
        )
        for worker in range(city.network.intake_workers)
    ]
    specs.append(Spec("control", gerbang("control"), extra))
    specs.append(Spec("feed", gerbang("feed"), extra))
    specs.append(Spec("recorder", gerbang("recorder"), extra))
    return [Child(spec, house.listener) for spec in specs]


def banner(city: City, late: list[str], seconds: float) -> str:
    """What stands on the screen once 112 can be called."""
    us = _how_we_are_called()
    number = city.numbers[0].number
    operator = city.operators[0].number
    missing = f" (not up yet: {', '.join(late)}; see above)" if late else ""
    return f"""
  {city.city.name}: ready, dial {number}{missing}     ({seconds:.1f} s)

  place a call         {us} call --press 0  |  --say FILE.wav  |  --silent
  register a phone     {us} render --phone {operator}
  the records          {us} calls
  how we are           {us} status
  end                  Ctrl-C; calls may finish, twice: at once
"""


def _how_we_are_called() -> str:
    ours = Path(sys.executable).with_name("gerbang")
    if shutil.which("gerbang") or not ours.exists():
        return "gerbang"
    try:
        return os.path.relpath(ours)
    except OSError:  # the directory we were started in is gone
        return str(ours)


def _style(city: City, *, as_json: bool) -> Style:
    return Style(
        zone=ZoneInfo(city.city.timezone),
        colour=os.isatty(1) and "NO_COLOR" not in os.environ,
        as_json=as_json,
    )
