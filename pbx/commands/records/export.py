"""`gerbang records export`: a table of calls for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pbx.commands.records import TAKE

if TYPE_CHECKING:
    from datetime import datetime

    from pbx.records.export.run import Export, Purpose


def register(group: typer.Typer) -> None:
    """Add `gerbang records export`."""
    group.command(rich_help_panel=TAKE)(export)


def export(
    out: Annotated[Path, typer.Option(help="The file; .csv or .parquet.")],
    since: Annotated[
        str, typer.Option("--from", help="Calls that began from then on; city time.")
    ],
    until: Annotated[
        str, typer.Option("--to", help="… until before then (default: now).")
    ] = "",
    format_: Annotated[
        str, typer.Option("--format", help="csv or parquet (default: by the name).")
    ] = "",
    personal: Annotated[
        bool, typer.Option("--personal", help="Callers' numbers and places whole.")
    ] = False,
    reason: Annotated[
        str, typer.Option(help="Why personal data is taken out; into the audit.")
    ] = "",
) -> None:
    """Write calls as a table, one row a call: CSV or Parquet.

    Flat columns, and lists such as rings as JSON; docs/feed.md describes each.
    Callers are masked without --personal. The file is there whole or not at
    all. In CSV, what a spreadsheet would run as a formula gets an apostrophe.
    Parquet needs pyarrow: pip install 'gerbang112\\[export]'.

    [bold]gerbang records export --from 2026-11-01 --to 2026-12-01 --out nov.csv[/bold]
    [bold]gerbang records export --from 30d --out last.parquet[/bold]

    Exit status 0: written. 1: not, and why. 2: a mistyped line.
    """
    from pbx.commands.places import must_take_a_file
    from pbx.commands.since import city_zone, read_since
    from pbx.records.base import now
    from pbx.records.export.run import Export, Format
    from pbx.settings import Settings

    words = format_ or out.suffix.removeprefix(".")
    if words not in set(Format):
        raise typer.BadParameter(
            f"{words!r} is neither csv nor parquet", param_hint="--format"
        )
    zone = city_zone(Settings())
    begin, end = read_since(since, zone), read_since(until, zone)
    if begin is None:
        raise typer.BadParameter("say from when on", param_hint="--from")
    end = end or now()
    if end <= begin:
        raise typer.BadParameter(
            f"{until or 'now'} is not after {since}", param_hint="--to"
        )
    purpose = _purpose(personal, reason)
    must_take_a_file(out)
    _write(Export(out, Format(words), begin, end, purpose))


def _purpose(personal: bool, reason: str) -> Purpose | None:
    from pbx.commands.who import actor
    from pbx.records.export.run import Purpose

    if not personal:
        return None
    if not reason.strip():
        raise typer.BadParameter(
            "say why with --reason; the audit keeps it", param_hint="--personal"
        )
    return Purpose(actor(), reason.strip())


def _write(export: Export) -> None:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from pbx.commands.ghostfilter.store import with_store
    from pbx.commands.records.progress import bar
    from pbx.records.audit import AuditKeyError
    from pbx.records.export.run import ExportError, count, write
    from pbx.settings import Settings

    async def work(engine: AsyncEngine) -> int:
        total = await count(engine, export)
        with bar() as tell:
            return await write(engine, export, lambda done: tell("calls", done, total))

    try:
        written = with_store(Settings(), work, writes=export.personal is not None)
    except (ExportError, AuditKeyError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{export.path}: {written} calls, {_span(export.since, export.until)}")


def _span(since: datetime, until: datetime) -> str:
    return f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
