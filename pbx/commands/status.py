"""`gerbang status`: what runs, who calls, who waits, what is wrong."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from pbx.commands import LOOK

if TYPE_CHECKING:
    from pbx.settings import Settings

NOT_RUNNING = "not running; start it with `make run`"
_PAGE_SECONDS = 1.5


@dataclass(slots=True)
class Overview:
    """All that is known, gathered from files and, if it answers, the status page."""

    files: list[dict[str, Any]]
    page: dict[str, Any] | None
    is_running: bool = field(init=False)

    def __post_init__(self) -> None:
        """Look which of those who wrote files live."""
        self.is_running = any(_lives(file) for file in self.files)

    @property
    def processes(self) -> dict[str, dict[str, Any]]:
        """Name → pid, state, since, restarts: the supervisor's word, else their own."""
        own = {file["process"]: file for file in self.files}
        keeper = own.pop("supervisor", None)
        if keeper and _lives(keeper):
            kept: dict[str, dict[str, Any]] = keeper["figures"].get("processes", {})
            return kept
        return {
            name: {
                "pid": file["pid"],
                "state": "ready" if _lives(file) else "gone",
                "since": None,
                "restarts": None,
            }
            for name, file in own.items()
        }

    @property
    def alarms(self) -> list[dict[str, str]]:
        """Every alarm that stands, the oldest first."""
        if not self.is_running:
            return []
        told = [
            {"process": file["process"], "alarm": name, **alarm}
            for file in self.files
            for name, alarm in file.get("alarms", {}).items()
        ]
        down = [
            {
                "process": name,
                "alarm": f"{name}-{process['state']}",
                "raised_at": process.get("since") or "",
                "sentence": f"{name} is not ready ({process['state']}); if it stays "
                "so, read its log lines, or run `gerbang doctor`",
            }
            for name, process in self.processes.items()
            if process["state"] != "ready"
        ]
        return sorted(told + down, key=lambda alarm: alarm["raised_at"])

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "running": self.is_running,
            "processes": self.processes,
            "alarms": self.alarms,
            "control": self.page,
        }


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(rich_help_panel=LOOK)
    def status(
        as_json: bool = typer.Option(False, "--json", help="One JSON object instead."),
    ) -> None:
        """Show processes, calls now, who waits, operators, and alarms with their cure.

        For a glance while 112 runs; [bold]gerbang doctor[/bold] looks for causes, and
        docs/runbook.md has a line for every alarm.

        [bold]gerbang status[/bold]
        [bold]gerbang status --json[/bold]      for programs

        Exit status 0: all is well. 1: nothing runs, or an alarm stands.
        """
        from rich.console import Console

        from pbx.settings import Settings

        overview = gather(Settings())
        if as_json:
            typer.echo(json.dumps(overview.as_json(), ensure_ascii=False, indent=1))
        else:
            console = Console(highlight=False, soft_wrap=True)
            for line in lines(overview, datetime.now(UTC)):
                console.print(line)
        if not overview.is_running or overview.alarms:
            raise typer.Exit(1)


def gather(settings: Settings) -> Overview:
    """Read every process's last word, and ask the control room's page."""
    from pbx.status import read_all

    written: Iterator[Any] = read_all(settings.run)
    files = [
        file
        for file in written
        if isinstance(file, dict) and "process" in file and "pid" in file
    ]
    return Overview(files, _ask_page(settings))


def _ask_page(settings: Settings) -> dict[str, Any] | None:
    from pbx.control.active import ActiveCity
    from pbx.model.city import CityError

    try:
        port = ActiveCity(settings).read().network.status_port
        connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=_PAGE_SECONDS
        )
        try:
            connection.request("GET", "/status")
            told = json.loads(connection.getresponse().read())
        finally:
            connection.close()
    except (OSError, ValueError, CityError, http.client.HTTPException):
        return None
    return told if isinstance(told, dict) and "queues" in told else None


def _lives(file: dict[str, Any]) -> bool:
    """Whether its writer lives; a process younger than the file has only its pid."""
    import psutil

    try:
        started = psutil.Process(int(file["pid"])).create_time()
        written = datetime.fromisoformat(file["written_at"]).timestamp()
    except (psutil.Error, ValueError, KeyError, TypeError):
        return False
    return started <= written + 1


def lines(overview: Overview, now: datetime) -> Iterator[str]:
    """The page for people, line by line (rich markup)."""
    if not overview.is_running:
        yield f"Gerbang112 is {NOT_RUNNING}"
        return
    yield "[bold]Processes[/bold]"
    for name, process in overview.processes.items():
        restarts = process.get("restarts")
        yield (
            f"  {name:<12} {process['state']:<10} {_up(process.get('since'), now):<18}"
            + ("" if restarts is None else f" restarts {restarts}")
        )
    if overview.page is None:
        yield "\nThe control room does not answer: calls, queues and operators unknown."
    else:
        yield from _page_lines(overview.page)
    yield from _alarm_lines(overview.alarms)


def _page_lines(page: dict[str, Any]) -> Iterator[str]:
    if not page["link"]["up"]:
        yield "\nWithout its link to Asterisk the room is blind; this is the last seen:"
    stages: dict[str, int] = {}
    for call in page["calls"]:
        stages[call["stage"]] = stages.get(call["stage"], 0) + 1
    told = ", ".join(f"{count} {stage}" for stage, count in stages.items())
    kinds = f"  ({told})" if told else ""
    yield f"\n[bold]Calls now[/bold]  {len(page['calls'])}{kinds}"
    yield from _filter_lines(page.get("filter"))
    yield "\n[bold]Queues[/bold]"
    for queue in page["queues"]:
        longest = queue["longest_wait_seconds"]
        wait = f", the first for {longest:.0f} s" if queue["waiting"] else ""
        moods = ", ".join(f"{n} {m}" for m, n in queue["operators"].items())
        yield (
            f"  {queue['name']:<14} {queue['waiting']} waiting{wait}; "
            f"operators: {moods or 'none'}"
        )
    yield "\n[bold]Operators[/bold]"
    for operator in page["operators"]:
        yield (
            f"  {operator['number']:<6} {operator['name']:<20} {operator['state']:<15} "
            f"{', '.join(operator['queues'])}"
        )


def _filter_lines(told: dict[str, Any] | None) -> Iterator[str]:
    if told is None:
        return  # a control room of an older version
    verdicts = sorted(told["verdicts_last_hour"].items(), key=lambda v: -v[1])
    reviews = told["drops_by_review"]
    yield "\n[bold]Filter, last hour[/bold]"
    yield f"  released {told['released_last_hour']}" + "".join(
        f", {verdict} {count}" for verdict, count in verdicts
    )
    yield (
        f"  drops to review {reviews.get('unreviewed', 0)}; "
        f"marked as people {reviews.get('was-a-person', 0)}, as nobody "
        f"{reviews.get('nobody', 0)}, unsure {reviews.get('unsure', 0)}"
    )


def _alarm_lines(alarms: list[dict[str, str]]) -> Iterator[str]:
    from rich.markup import escape

    if not alarms:
        yield "\nNo alarms."
        return
    yield f"\n[bold red]Alarms: {len(alarms)}[/bold red]"
    for alarm in alarms:
        yield (
            f"  [bold]{escape(alarm['alarm'])}[/bold]  ({alarm['process']}, "
            f"since {_clock(alarm['raised_at'])})"
        )
        yield f"    {escape(alarm['sentence'])}"


def _clock(at: str) -> str:
    """An ISO time as this machine's clock shows it."""
    try:
        return f"{datetime.fromisoformat(at).astimezone():%F %T}"
    except ValueError:
        return "?"


def _up(since: str | None, now: datetime) -> str:
    """`up 3 h 12 min`, from an ISO time."""
    try:
        seconds = int((now - datetime.fromisoformat(since or "")).total_seconds())
    except (ValueError, TypeError):
        return ""
    minutes, hours = seconds // 60 % 60, seconds // 3600
    if hours:
        return f"up {hours} h {minutes} min"
    return f"up {minutes} min" if minutes else f"up {max(seconds, 0)} s"
