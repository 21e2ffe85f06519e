"""`gerbang records synthesize`: months of journal, made from recorded calls."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from pbx.commands.records import MAKE


def register(group: typer.Typer) -> None:
    """Add `gerbang records synthesize`."""

    @group.command(rich_help_panel=MAKE)
    def synthesize(
        out: Annotated[Path, typer.Option(help="Where the journals are written.")],
        mix: Annotated[str, typer.Option(help="Whose calls: kediri.")] = "kediri",
        seed: Annotated[
            int, typer.Option(help="The same seed makes the same bytes.")
        ] = 112,
        first: Annotated[
            str, typer.Option("--from", help="The first month, YYYY-MM.")
        ] = "2025-04",
        last: Annotated[
            str, typer.Option("--to", help="The last month, YYYY-MM.")
        ] = "2025-10",
    ) -> None:
        """Write months of journal as a city's 112 would have written them.

        From shapes of calls recorded on a real Asterisk, with new times, ids
        and numbers. The mix [bold]kediri[/bold] is the city's own count of April to
        October 2025: 86,161 calls, 65,024 of them ghosts, 18,557 pranks,
        2,084 for information, 496 valid; 1,185 answers to the survey. Other
        months get as many in proportion.

        [bold]gerbang records synthesize --out /tmp/kediri[/bold]
        [bold]gerbang records rebuild --journal /tmp/kediri \\
            --database sqlite:////tmp/kediri.sqlite3[/bold]

        Exit status 0: written; 1: it cannot be, and why.
        """
        from pbx.commands.places import must_take_files, refuse
        from pbx.commands.records.progress import bar
        from pbx.laboratory.journals.mix import MIXES
        from pbx.laboratory.journals.months import synthesize as write

        months = _months(first, last)
        if mix not in MIXES:
            raise typer.BadParameter(
                f"there is no mix {mix!r}; known: {', '.join(MIXES)}"
            )
        wanted = MIXES[mix].scaled(len(months))
        must_take_files(out)
        try:
            with bar() as tell:
                written = write(
                    wanted,
                    months,
                    out,
                    seed=seed,
                    tell=lambda done, total: tell("calls", done, total),
                )
        except OSError as error:
            refuse(out, error)
        for category, count in written.calls.items():
            typer.echo(f"{count:>9,} {category}")
        typer.echo(f"{sum(written.calls.values()):>9,} calls")
        typer.echo(f"{written.lines:,} lines in {len(written.files)} files in {out}")


def _months(first: str, last: str) -> list[date]:
    from pbx.laboratory.journals.plan import following

    try:
        month, end = (date.fromisoformat(f"{text}-01") for text in (first, last))
    except ValueError as error:
        raise typer.BadParameter(f"{error}; a month is written 2025-04") from error
    if end < month:
        raise typer.BadParameter(f"{last} is before {first}")
    months = []
    while month <= end:
        months.append(month)
        month = following(month)
    return months
