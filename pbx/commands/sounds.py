"""`gerbang sounds`: make the prompts callers hear, and list them."""

from __future__ import annotations

import typer

from pbx.commands import SET_UP


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(rich_help_panel=SET_UP)
    def sounds(
        language: str = typer.Option(
            "id", help="Folder of sounds/ with prompts.toml and recordings."
        ),
    ) -> None:
        """Make the prompts: texts by espeak-ng, studio recordings where you have them.

        Texts stand in [bold]sounds/<language>/prompts.toml[/bold]. A recording
        [bold]sounds/<language>/<name>.wav[/bold] wins over its text. Both come out as
        8 kHz mono at one loudness. What has not changed is not made again. Running
        intakes take a new prompt by themselves.

        [bold]gerbang sounds[/bold]       after a change in sounds/; lists every prompt

        Exit status 0: all are made. 1: one could not be; the one before stays.
        """
        from rich.console import Console
        from rich.table import Table

        from pbx.settings import Settings
        from pbx.sounds import Made, SoundError, known_prompts, make

        console = Console()
        try:
            total = len(known_prompts(language))
            with console.status("making prompts") as shown:
                count = 0

                def tell(made: Made) -> None:
                    nonlocal count
                    count += 1
                    shown.update(f"making prompts: {count} of {total}, {made.name}")

                prompts = make(language, Settings().sounds, progress=tell)
        except SoundError as error:
            typer.echo(f"gerbang sounds: {error}", err=True)
            raise typer.Exit(1) from error
        table = Table("prompt", "seconds", "level", "source", "")
        for made in prompts:
            table.add_row(
                made.name,
                f"{made.seconds:.1f}",
                f"{made.level_dbfs:.1f} dBFS",
                made.source,
                "made" if made.fresh else "unchanged",
            )
        console.print(table)
        if prompts:
            console.print(f"in {prompts[0].path.parent}", soft_wrap=True)
