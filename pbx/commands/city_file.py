"""What `check` and `render` share: reading a city file, trying it, telling people."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from pbx.model.city import City
    from pbx.model.faults import Fault
    from pbx.settings import Settings

_T = TypeVar("_T")


def fail(*lines: str) -> NoReturn:
    """Say what is wrong, on stderr, and end with 1."""
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(1)


def lint(path: Path, text: str, city: City, settings: Settings) -> None:
    """What can be found without an Asterisk; ends the command on any fault."""
    from pbx.asterisk.check import static_faults
    from pbx.model.city import CityError

    wrong = CityError(str(path), list(flow_faults(text, city, settings)))
    faults = [f"{path}: {fault}" for fault in static_faults(city)] + wrong.lines()
    if faults:
        fail(*faults, f"{len(faults)} fault(s); nothing was changed")


def load_text(path: Path) -> str:
    """What the file says; ends the command if it cannot be read."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path}: cannot be read: {error}")


def load_city(path: Path, text: str | None = None) -> City:
    """The city of this file, its prompts looked up; ends the command on any fault.

    `text` is what the file said a moment ago, where it must not be read twice.
    """
    from pbx.model.city import CityError, read_city
    from pbx.sounds import SoundError, known_prompts

    text = load_text(path) if text is None else text
    try:
        city = read_city(text, source=str(path))
        prompts = known_prompts(city.city.language)
        return read_city(text, source=str(path), prompts=prompts)
    except CityError as error:
        fail(*error.lines(), f"{len(error.faults)} fault(s); nothing was changed")
    except SoundError as error:
        fail(str(error))


def try_out(path: Path, city: City, settings: Settings) -> float:
    """Boot a throw-away Asterisk on it; seconds taken. Ends the command on faults."""
    from rich.console import Console

    from pbx.asterisk.check import try_city
    from pbx.asterisk.releases import ReleaseError
    from pbx.asterisk.run import NotInstalled, find_root, service_user

    try:
        root, user = find_root(settings), service_user()
        with Console(stderr=True).status("checking") as shown:
            trial = asyncio.run(
                _ended_by_sigterm(
                    try_city(
                        city, root, settings.sounds, user=user, on_step=shown.update
                    )
                )
            )
    except NotInstalled as error:
        fail(str(error))
    except (ReleaseError, OSError) as error:  # such as a full disk under TMPDIR
        fail(f"{path}: cannot be tried on a throw-away Asterisk: {error}")
    if trial.faults:
        fail(
            *(f"{path}: {fault}" for fault in trial.faults),
            f"{len(trial.faults)} fault(s); nothing was changed",
        )
    return trial.seconds


async def _ended_by_sigterm(trial: Awaitable[_T]) -> _T:
    """SIGTERM ends it as Ctrl-C does: no Asterisk and no scratch is left behind."""
    task = asyncio.ensure_future(trial)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt from error


def flow_faults(text: str, city: City, settings: Settings) -> Iterator[Fault]:
    """Flows that could keep a caller from an operator.

    `text` is what the city was read from. Flows are walked through with the prompts as
    they lie ready; one not made yet counts 0 s, one that cannot be played is a fault.
    """
    from agi.in_force import PromptError, read_prompt
    from ivr.check import problems
    from ivr.flow import filter_0
    from pbx.model.faults import Fault, line_of

    def prompt(name: str) -> tuple[str, float]:
        return name, _seconds_of(_prompt_file(city, settings, name))

    for name, flow in city.flows.items():
        steps = filter_0(
            prompt(flow.greeting),
            prompt(flow.second_prompt),
            flow.wait_seconds,
            flow.second_wait_seconds,
        )
        for step in ("greeting", "second_prompt"):
            path = _prompt_file(city, settings, getattr(flow, step))
            try:
                if path.exists():
                    read_prompt(path)
            except PromptError as error:
                line = line_of(text, ["flows", name, step])
                yield Fault(f"flows.{name}.{step}", str(error), line)
        line = line_of(text, ["flows", name, "deadline_seconds"])
        for problem in problems(steps, flow.deadline_seconds):
            yield Fault(f"flows.{name}", problem, line)


def _prompt_file(city: City, settings: Settings, name: str) -> Path:
    return settings.sounds / city.city.language / f"{name}.wav"


def _seconds_of(path: Path) -> float:
    import wave

    try:
        with wave.open(str(path), "rb") as file:
            return file.getnframes() / file.getframerate()
    except (OSError, EOFError, wave.Error):
        return 0.0


def unmade_prompts(city: City, settings: Settings) -> list[str]:
    """Prompts the city names whose recordings are not there yet."""
    directory = settings.sounds / city.city.language
    return sorted(
        name for name in city.prompts() if not (directory / f"{name}.wav").exists()
    )


def hasty_goodbyes(city: City, settings: Settings) -> list[str]:
    """Prompts said before a release that end with their last word, so that nobody
    listens for a key in the second after it (`listen_seconds` of `pbx.sounds`)."""
    directory = settings.sounds / city.city.language
    flows = [flow for flow in city.flows.values() if flow.filter.releases]
    names = sorted({flow.release_prompt for flow in flows})
    return [name for name in names if _is_hasty(directory / f"{name}.wav")]


def _is_hasty(prompt: Path) -> bool:
    import wave

    try:
        with wave.open(str(prompt), "rb") as file:
            seconds = file.getnframes() / file.getframerate()
            file.setpos(max(0, file.getnframes() - file.getframerate()))
            return seconds < 1 or any(file.readframes(file.getframerate()))
    except (OSError, EOFError, wave.Error):
        return False  # not made yet, and said so
