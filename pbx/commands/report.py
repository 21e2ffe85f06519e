"""`gerbang report`: the figures of a day, a month, a year."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pbx.commands import LOOK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.model.city import Identity
    from pbx.model.period import Period
    from pbx.model.report import Report
    from pbx.reports.contents import Letterhead
    from pbx.settings import Settings

_BAR_FROM = 5000
"""Calls; fewer are read before anybody has seen a bar."""


def register(app: typer.Typer) -> None:
    """Add `gerbang report`."""

    @app.command(rich_help_panel=LOOK)
    def report(
        period: str = typer.Argument(
            metavar="PERIOD",
            help="2025-10, 2025-10-03, 2025, or two with dots: 2025-04..2025-10.",
        ),
        as_json: bool = typer.Option(False, "--json", help="One JSON object instead."),
        as_csv: bool = typer.Option(
            False, "--csv", help="A CSV row a part instead, and one for the whole."
        ),
        html: Path | None = typer.Option(None, help="Write a page with plots there."),
        pdf: Path | None = typer.Option(None, help="Write it on A4 with plots there."),
        out: Path | None = typer.Option(
            None, metavar="DIR", help="Write all of it there, also a CSV of quarters."
        ),
        language: str = typer.Option(
            "", metavar="id|en", help="Else: the city's on paper, English in text."
        ),
    ) -> None:
        """The monthly evaluation, answer times, ghosts and busy hours of some time.

        Days are the city's. Calls by class with shares, kinds of report, the rating;
        the yardsticks of NENA, Ofcom and the European Union; ghosts kept from
        operators, and how sure we are that no person was dropped. Nobody's number
        is in it. What each figure counts: docs/reports.md

        [bold]gerbang report 2025-10[/bold]                     a month, day by day
        [bold]gerbang report 2025-04..2025-10 --json[/bold]     seven, for programs
        [bold]gerbang report 2025-10 --out october[/bold]       HTML, PDF, CSV, JSON

        Exit status 0: shown, or there was no call. 1: there is no record store, it
        cannot be read, or a file cannot be written. 2: mistyped, and the cure.
        """
        import json
        from datetime import UTC, datetime

        from pbx.commands.ghostfilter.store import with_store
        from pbx.commands.places import must_take_a_file
        from pbx.reports import files
        from pbx.reports.contents import Letterhead
        from pbx.settings import Settings

        settings = Settings()
        city, zone = _city(settings)
        asked = _period(period, zone)
        tongue = _language(language)
        if as_json and as_csv:
            raise typer.BadParameter("take one of both", param_hint="--json, --csv")
        wanted: dict[Path, str] = {}
        if out is not None:
            wanted |= {out / name: name for name in files.NAMES}
        if html is not None:
            wanted[html] = "report.html"
        if pdf is not None:
            wanted[pdf] = "report.pdf"
        for path in wanted:
            must_take_a_file(path, makes_folders=True)
        told = with_store(settings, lambda engine: _read(engine, asked), writes=False)
        head = Letterhead(city.name if city else "", datetime.now(UTC))
        paper = tongue or (city.language if city else "id")
        paper = paper if paper in ("id", "en") else "en"
        _write(wanted, told, head, paper)
        if as_json:
            print(json.dumps(files.plain(told, head), ensure_ascii=False, indent=1))
        elif as_csv:
            print(files.tables.parts(told), end="")
        elif not wanted:
            for line in files.text(told, head, tongue or "en"):
                typer.echo(line)


def _city(settings: Settings) -> tuple[Identity | None, ZoneInfo]:
    """Whose figures these are: a fault elsewhere in the city's file must not hide them.

    The city in force, else the one being edited.
    """
    import tomllib
    from zoneinfo import ZoneInfo

    from pbx.model.city import Identity
    from pbx.settings import active_city_file

    for path in (active_city_file(settings), settings.city_file):
        try:
            city = Identity.model_validate(tomllib.loads(path.read_text())["city"])
        except (OSError, ValueError, KeyError):
            continue
        return city, ZoneInfo(city.timezone)
    typer.echo(
        f"{settings.city_file}: [city] cannot be read, so days are Asia/Jakarta's; "
        "`gerbang check` says what is wrong with it",
        err=True,
    )
    return None, ZoneInfo("Asia/Jakarta")


def _period(text: str, zone: ZoneInfo) -> Period:
    from pbx.model.period import PeriodError, read_period

    try:
        return read_period(text, zone)
    except PeriodError as error:
        raise typer.BadParameter(str(error), param_hint="PERIOD") from None


def _language(text: str) -> str:
    from pbx.reports.language import LANGUAGES

    if text and text not in LANGUAGES:
        raise typer.BadParameter(
            f"{text!r} is no language of reports; write id or en",
            param_hint="--language",
        )
    return text


async def _read(engine: AsyncEngine, period: Period) -> Report:
    """With a bar on stderr where it takes a while."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from pbx.reports.gather import gather

    columns = (TextColumn("reading calls"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading calls", visible=False)

        def tell(read: int, every: int) -> None:
            shown = every >= _BAR_FROM
            bar.update(task, completed=read, total=every, visible=shown)

        return await gather(engine, period, tell)


def _write(
    wanted: Mapping[Path, str], told: Report, head: Letterhead, language: str
) -> None:
    from pbx.commands.places import writing
    from pbx.reports.files import write

    for path, name in wanted.items():
        with writing(path):
            write(path, name, told, head, language)
        typer.echo(f"written: {path}", err=True)
