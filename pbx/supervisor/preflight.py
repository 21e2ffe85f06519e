"""What must be true before the first process starts, and is made true if it can be.

Each step is a `gerbang` command of its own, run as a process: two of them at a time,
and nothing they import stays in the supervisor.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pbx.asterisk.releases import Releases
from pbx.asterisk.root import NotInstalled, Root, find_root
from pbx.asterisk.run import AsteriskError, console, running_pid, stop
from pbx.asterisk.sandbox import User, service_user
from pbx.model.city import City, CityError, read_city
from pbx.settings import Settings, active_city_file
from pbx.supervisor import ports, strays

_log = logging.getLogger(__name__)

STEP_SECONDS = 120.0
STAND_IN_SECONDS = 30.0
"""The same where an older result can stand in: 112 does not wait for a prompt."""
INSTALL_SECONDS = 1800.0
"""A slow mirror may need long for 100 MB."""
STRAYS_SECONDS = 5.0
END_SECONDS = 3.0


class CannotStart(Exception):  # noqa: N818 - reads as what it says
    """112 cannot be started; the text says why and the cure."""


@dataclass(frozen=True, slots=True)
class Ready:
    """All that the processes need."""

    city: City
    root: Root
    user: User | None
    alarms: dict[str, str] = field(default_factory=dict)
    """What is wrong and yet no reason to leave the city without 112."""


async def prepare(settings: Settings, tell: Callable[[str], None]) -> Ready:
    """Check everything, make what is missing. Raises CannotStart.

    What a last good configuration or an older prompt can stand in for is an alarm.
    """
    alarms: dict[str, str] = {}
    city = read_city_or_last_good(settings)
    root, user = await _installed(settings, tell)
    await _end_strays(settings)
    settings.sounds.mkdir(parents=True, exist_ok=True)  # the trial binds it
    has_prompts = not _prompts_missing(settings, city)
    has_release = Releases(settings.asterisk_home).current() is not None
    sounds, render = await asyncio.gather(
        _step(settings, tell, has_prompts, "sounds", "--language", city.city.language),
        _step(settings, tell, has_release, "render"),
    )
    if sounds and (lacking := _prompts_missing(settings, city)):
        raise CannotStart(f"prompts are missing ({', '.join(lacking)}): {sounds}")
    if sounds:
        alarms["sounds"] = (
            f"prompts are not up to date: {sounds}. Older ones are played"
        )
    if render and Releases(settings.asterisk_home).current() is None:
        raise CannotStart(render)
    if render:
        alarms["city"] = (
            f"the city file was not taken over: {render}. The last good configuration "
            "is in force; correct the file, then `gerbang render`"
        )
    city = read_city_or_last_good(settings, rendered_first=True)
    # An Asterisk that outlived its supervisor holds its ports rightly: it is adopted.
    if taken := ports.problems(
        city.network, allowed=running_pid(settings.asterisk_home)
    ):
        raise CannotStart("\n".join(taken))
    return Ready(city, root, user, alarms)


def read_city_or_last_good(settings: Settings, *, rendered_first: bool = False) -> City:
    """The declared city or, if that is wrong, the one in force; or the other way round.

    Raises CannotStart with each fault of the declared one, its line and cure.
    """
    declared, rendered = settings.city_file, active_city_file(settings)
    faults: dict[Path, str] = {}
    for path in (rendered, declared) if rendered_first else (declared, rendered):
        try:
            return read_city(path.read_text(), source=str(path))
        except (OSError, UnicodeDecodeError) as error:
            faults[path] = f"{path}: {error}; GERBANG_CITY names the city file"
        except CityError as error:
            faults[path] = "\n".join(error.lines())
    raise CannotStart(faults[declared])


def gerbang(*arguments: str) -> tuple[str, ...]:
    """The argv of one of our own commands."""
    return (sys.executable, "-m", "pbx", *arguments)


def environment(settings: Settings) -> dict[str, str]:
    """What every process of ours gets, so that all look at the same places."""
    project = Path(__file__).resolve().parents[2]
    return {
        "GERBANG_STATE": str(settings.state),
        "GERBANG_CITY": str(settings.city_file),
        "GERBANG_CACHE": str(settings.cache),
        "PYTHONPATH": str(project),
        "PYTHONUNBUFFERED": "1",
    }


async def _installed(
    settings: Settings, tell: Callable[[str], None]
) -> tuple[Root, User | None]:
    """Asterisk and its user; installed first if they are missing."""
    try:
        return find_root(settings), service_user()
    except NotInstalled as missing:
        tell(f"{missing}; doing that now")
    process = await asyncio.create_subprocess_exec(
        *gerbang("install"), env=os.environ | environment(settings)
    )
    await _finished(process, INSTALL_SECONDS, "install")
    try:
        return find_root(settings), service_user()
    except NotInstalled as missing:
        raise CannotStart(str(missing)) from missing


async def _step(
    settings: Settings, tell: Callable[[str], None], has_stand_in: bool, *arguments: str
) -> str | None:
    """Run one of our commands; None if it went well, else what it said."""
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *gerbang(*arguments),
        env=os.environ | environment(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    deadline = STAND_IN_SECONDS if has_stand_in else STEP_SECONDS
    try:
        said = await _finished(process, deadline, arguments[0])
    except CannotStart as error:
        return str(error)
    tell(f"gerbang {arguments[0]}: {time.monotonic() - started:.1f} s")
    if process.returncode == 0:
        return None
    return said or f"gerbang {arguments[0]} ended with status {process.returncode}"


async def _finished(
    process: asyncio.subprocess.Process, deadline_seconds: float, name: str
) -> str:
    """What it said, once it has ended; it is ended with us, and at the deadline."""
    try:
        said, _ = await asyncio.wait_for(process.communicate(), deadline_seconds)
    except TimeoutError as error:
        raise CannotStart(
            f"`gerbang {name}` has not ended in {deadline_seconds:.0f} s; run it alone "
            "to see where it hangs"
        ) from error
    finally:
        await _end(process)
    return (said or b"").decode(errors="replace").strip()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End one of our commands; it has a moment to clear its scratch away."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_SECONDS)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _prompts_missing(settings: Settings, city: City) -> list[str]:
    folder = settings.sounds / city.city.language
    return [name for name in city.prompts() if not (folder / f"{name}.wav").exists()]


async def _end_strays(settings: Settings) -> None:
    """End what a killed supervisor left, except an Asterisk we can go on with."""
    found = strays.strays_in(settings.run / "supervisor.status.json")
    found.pop("asterisk", None)  # that is only its wrapper; Asterisk itself: below
    if found:
        names = ", ".join(f"{name} ({who.pid})" for name, who in found.items())
        _log.warning("a former supervisor was killed; ending what it left: %s", names)
        killed = await strays.end(found, STRAYS_SECONDS)
        if killed:
            _log.warning("these did not drain in time: %s", ", ".join(killed))
    home = settings.asterisk_home
    if (pid := running_pid(home)) is None:
        return
    try:
        await console(home, "core show uptime", deadline_seconds=5.0)
    except AsteriskError as error:
        _log.warning("asterisk %d of a former run does not answer; ending it", pid)
        try:
            await stop(home)
        except AsteriskError:
            raise CannotStart(str(error)) from error
