"""`gerbang records ledger`: INVITEs = records, hour by hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pbx.commands.records import PROVE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.records.ledger import Hour


def register(group: typer.Typer) -> None:
    """Add `gerbang records ledger`."""

    @group.command(rich_help_panel=PROVE)
    def ledger(
        period: Annotated[
            str | None,
            typer.Argument(help="2025-10-03, 2025-10, 2025-04..2025-10; else today."),
        ] = None,
        as_json: Annotated[
            bool, typer.Option("--json", help="One JSON object an hour instead.")
        ] = False,
    ) -> None:
        """Compare INVITEs on the trunks with records, hour by hour.

        INVITEs are counted without any fold: those the journal tells of, and
        those the manager link saw. Each must have a record, and each incoming
        record must be one of them. The recorder looks each minute and raises
        [bold]ledger-difference[/bold]; this shows the book.

        [bold]gerbang records ledger[/bold]               today, so far
        [bold]gerbang records ledger 2025-10-03[/bold]    a day of the city
        [bold]gerbang records ledger 2025-10 --json[/bold]

        Exit status 0: all hours even; 1: not so, or the store cannot be used.
        """
        from datetime import UTC, datetime

        from pbx.commands.records.store import with_store
        from pbx.model.period import PeriodError, read_period
        from pbx.records.ledger import ledger_of
        from pbx.settings import Settings, zone_of

        settings = Settings()
        zone = zone_of(settings)()
        now = datetime.now(UTC)
        try:
            asked = read_period(period or f"{now.astimezone(zone):%Y-%m-%d}", zone)
        except PeriodError as error:
            raise typer.BadParameter(str(error)) from error

        async def work(engine: AsyncEngine) -> list[Hour]:
            return await ledger_of(engine, asked.begin, asked.end, now)

        hours = with_store(settings.database_url, work, writes=False)
        if as_json:
            _print_json(hours)
        else:
            _print(hours, zone)
        if not all(hour.is_even for hour in hours):
            raise typer.Exit(1)


def _print_json(hours: list[Hour]) -> None:
    import json
    from dataclasses import asdict

    for hour in hours:
        told = asdict(hour) | {"hour": hour.hour.isoformat().replace("+00:00", "Z")}
        typer.echo(json.dumps(told))


def _print(hours: list[Hour], zone: object) -> None:
    from rich.console import Console
    from rich.table import Table

    if not hours:
        typer.echo("No call in that time.")
        return
    table = Table("hour", box=None)
    for name in ("journal", "witness", "INVITEs", "records"):
        table.add_column(name, justify="right")
    table.add_column("without a record, or of nobody")
    for hour in hours:
        local = hour.hour.astimezone(zone)  # type: ignore[arg-type]
        counts = (hour.journal, hour.witness, hour.invites, hour.records)
        odd = [*hour.missing, *(f"{c} (nobody's)" for c in hour.unseen)]
        table.add_row(
            f"{local:%Y-%m-%d %H:%M}", *(str(n) for n in counts), ", ".join(odd[:3])
        )
    totals = [
        sum(values)
        for values in zip(
            *((h.journal, h.witness, h.invites, h.records) for h in hours), strict=True
        )
    ]
    table.add_row("", *(f"[bold]{n}[/bold]" for n in totals), "")
    Console().print(table)
