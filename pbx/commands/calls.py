"""`gerbang calls`: the records, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from pbx.commands import LOOK

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from rich.table import Table

    from pbx.records.queries import Wanted
    from pbx.settings import Settings

FOLLOW_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add `gerbang calls`."""

    @app.command(rich_help_panel=LOOK)
    def calls(
        last: int = typer.Option(20, "--last", "-n", min=1, help="How many, at most."),
        since: str = typer.Option(
            "",
            help="Only calls that began since then: 2026-11-21, 2026-11-21T20:15, "
            "20:15 (today), or 30m, 6h, 2d ago. City time.",
        ),
        is_open: bool = typer.Option(
            False, "--open", help="Also calls still going on."
        ),
        as_json: bool = typer.Option(
            False, "--json", help="One JSON object a line: the whole record."
        ),
        numbers: bool = typer.Option(
            False, "--numbers", help="Show callers' numbers whole. Personal data!"
        ),
        follow: bool = typer.Option(
            False, "--follow", "-f", help="Go on: show each call as it closes."
        ),
    ) -> None:
        """Show the records of calls, newest last.

        Verdict is the filter's word and its reason; wait is from the first queue to
        the operator; talk is in conversation. Results: connected, abandoned (left
        while waiting), left (hung up before the queue), released (a ghost), lost (we
        failed: look into it!). A "?" marks a record known to be incomplete.

        [bold]gerbang calls --since 6h[/bold]        the last six hours
        [bold]gerbang calls --follow[/bold]          each call as it closes
        [bold]gerbang calls --json -n 1[/bold]       the last record, whole

        Exit status 0: shown. 1: there is no record store, or it cannot be read.
        """
        import asyncio
        from contextlib import suppress

        from pbx.records.queries import Wanted
        from pbx.settings import Settings

        settings = Settings()
        zone = _zone(settings)
        wanted = Wanted(last, _since(since, zone), is_open)
        with suppress(KeyboardInterrupt, BrokenPipeError):
            asyncio.run(_show(settings, zone, wanted, as_json, numbers, follow))


async def _show(
    settings: Settings,
    zone: ZoneInfo,
    wanted: Wanted,
    as_json: bool,
    numbers: bool,
    follow: bool,
) -> None:
    import asyncio

    from sqlalchemy.exc import SQLAlchemyError

    from pbx.records.database import is_missing, open_engine
    from pbx.records.queries import changed_calls, last_calls, newest_cursor

    engine = None
    try:
        engine = open_engine(settings.database_url, writes=False)
        cursor = await newest_cursor(engine)
        _tell(await last_calls(engine, wanted), zone, as_json, numbers)
        while follow:
            await asyncio.sleep(FOLLOW_SECONDS)
            cursor, news = await changed_calls(engine, cursor, wanted)
            if news:
                _tell(news, zone, as_json, numbers)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        if is_missing(error):
            typer.echo(
                "There are no records yet: no recorder has run here. Start one with "
                "`gerbang run`.",
                err=True,
            )
        else:
            typer.echo(
                f"The record store cannot be read: {str(error).splitlines()[0]}. "
                "Check GERBANG_DATABASE_URL and `gerbang doctor`.",
                err=True,
            )
        raise typer.Exit(1) from error
    finally:
        if engine is not None:
            await engine.dispose()


def _tell(records: Any, zone: ZoneInfo, as_json: bool, numbers: bool) -> None:
    if as_json:
        import json

        for record in records:
            print(json.dumps(record, ensure_ascii=False), flush=True)
        return
    from rich.console import Console

    Console().print(_table(records, zone, numbers))


def _table(records: Any, zone: ZoneInfo, numbers: bool) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from pbx.log import masked

    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in ("began", "caller", "dialled", "verdict", "queue", "operator"):
        table.add_column(head)
    for head in ("wait", "talk"):
        table.add_column(head, justify="right")
    for head in ("result", "call id"):
        table.add_column(head)
    for record in records:
        ani = record["ani"] or ""
        cells = (
            _local(record["started_at"], zone),
            (ani if numbers else masked(ani)) or "withheld",
            record["number"] or "",
            _verdict(record),
            record["queued"][-1]["queue"] if record["queued"] else "",
            record["operator"] or "",
            _seconds(record["wait_seconds"]),
            _seconds(record["talk_seconds"]),
            _result(record),
            record["call_id"],
        )
        table.add_row(*map(escape, cells), style=_style(record))
    return table


def _verdict(record: dict[str, Any]) -> str:
    if record["verdict"]:
        return f"{record['verdict']['verdict']} ({record['verdict']['reason']})"
    if record["rescued"]:
        return f"rescued ({record['rescued']})"
    return f"degraded ({record['degraded']})" if record["degraded"] else ""


def _result(record: dict[str, Any]) -> str:
    result = str(record["disposition"])
    if record["state"] == "open":
        result += " …"
    if record["truncated"]:
        result += " (Asterisk died)"
    return result + (" ?" if record["incomplete"] else "")


def _style(record: dict[str, Any]) -> str:
    if record["disposition"] == "lost":
        return "bold red"
    if record["disposition"] == "abandoned" or record["incomplete"]:
        return "yellow"
    return "dim" if record["disposition"] == "released" else ""


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _local(text: str, zone: ZoneInfo) -> str:
    from datetime import datetime

    at = datetime.fromisoformat(text).astimezone(zone)
    return at.strftime("%d %b %H:%M:%S")


def _zone(settings: Settings) -> ZoneInfo:
    """The city's time zone; a city file that cannot be read must not hide records."""
    from zoneinfo import ZoneInfo

    from pbx.model.city import CityError, read_city

    try:
        city = read_city(settings.city_file.read_text(), source=str(settings.city_file))
    except (OSError, CityError):
        return ZoneInfo("Asia/Jakarta")
    return ZoneInfo(city.city.timezone)


def _since(text: str, zone: ZoneInfo) -> datetime | None:
    import re
    from datetime import datetime, timedelta

    if not text:
        return None
    today = datetime.now(zone)
    if ago := re.fullmatch(r"(\d+)([mhd])", text):
        unit = {"m": "minutes", "h": "hours", "d": "days"}[ago[2]]
        return today - timedelta(**{unit: int(ago[1])})
    if clock := re.fullmatch(r"(\d\d?):(\d\d)", text):
        hour, minute = int(clock[1]), int(clock[2])
        if hour < 24 and minute < 60:
            return today.replace(hour=hour, minute=minute, second=0, microsecond=0)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write 2026-11-21, 2026-11-21T20:15, 20:15 or 30m",
            param_hint="--since",
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=zone)
