"""`gerbang ghostfilter explain`: one call, drawn and told."""

from __future__ import annotations

from pathlib import Path

import typer

from pbx.commands.ghostfilter import MEASURE


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=MEASURE)
    def explain(
        file: Path = typer.Argument(
            ..., metavar="FILE", help="A recorded caller: WAV or FLAC, 8 kHz mono."
        ),
        picture: Path | None = typer.Option(
            None,
            "--out",
            "-o",
            metavar="FILE.png",
            help="Also draw it: .png or .svg.",
        ),
        prompt: Path | None = typer.Option(
            None,
            metavar="FILE",
            help="What we played meanwhile, from the first sample on.",
        ),
    ) -> None:
        """Tell why the filter decided as it did about one recorded caller.

        The verdict and its reasons, every sound it named and when; the picture has
        waveform, spectrogram, level and floor, webrtcvad, beliefs, sounds. Judged as
        if this were all we ever heard, with silence and noise released.

        [bold]gerbang ghostfilter explain FILE[/bold]             in words
        [bold]gerbang ghostfilter explain FILE -o call.png[/bold] and drawn

        Exit status 0: explained. 1: the file cannot be read, or not drawn; why.
        """
        from pbx.commands.places import must_take_a_file, writing
        from pbx.laboratory import explain as tools
        from pbx.laboratory.audio import AudioError
        from pbx.laboratory.clips import open_clip
        from pbx.laboratory.picture import PictureError, check_name, draw

        try:
            if picture is not None:
                check_name(picture)
                must_take_a_file(picture)
            story = tools.explain(open_clip(file, prompt))
            for line in tools.lines(story):
                typer.echo(line)
            if picture is not None:
                with writing(picture):
                    draw(story, picture, title=file.name)
                typer.echo(f"drawn: {picture}", err=True)
        except (AudioError, PictureError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
