"""`gerbang ghostfilter evaluate`: how well the filter judges recorded callers."""

from __future__ import annotations

from pathlib import Path

import typer

from pbx.commands.ghostfilter import MEASURE


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=MEASURE)
    def evaluate(
        folder: Path = typer.Argument(
            ..., metavar="DIR", help="A folder with manifest.csv and its clips."
        ),
    ) -> None:
        """Judge every recorded caller of a folder as a call would.

        [bold]gerbang ghostfilter evaluate DIR[/bold]    tables in this terminal

        Exit status 0: judged. 1: the folder cannot be read.
        """
        from ghostfilter.evaluate import clips, judge_clip, report

        typer.echo(report([judge_clip(row, pcm) for row, pcm in clips(folder)]))
