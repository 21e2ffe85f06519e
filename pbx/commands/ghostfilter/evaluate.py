"""`gerbang ghostfilter evaluate`: how well the filter judges recorded callers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pbx.commands.ghostfilter import MEASURE
from pbx.commands.ghostfilter.dialogue import CALLS, SEED, Wanted, run_dialogue

if TYPE_CHECKING:
    from pbx.laboratory.corpus import Corpus
    from pbx.laboratory.figures import Figures
    from pbx.laboratory.measure import Outcome

UNREADABLE = 3
INTERRUPTED = 130
WIDTH = 120
"""Of tables in a file or a pipe: nothing is cut there."""


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=MEASURE)
    def evaluate(
        folder: Path = typer.Argument(
            ..., metavar="DIR", help="A folder with manifest.csv and its clips."
        ),
        as_json: bool = typer.Option(False, "--json", help="One JSON object."),
        page: Path | None = typer.Option(
            None, metavar="FILE.html", help="Also write a page: plots, and failures."
        ),
        jobs: int = typer.Option(
            0, "--jobs", "-j", min=0, help="Processes at once; 0: one per core."
        ),
        shipped: bool = typer.Option(
            False,
            "--shipped",
            help="Judge by the weights that ship even what they learned from.",
        ),
        dialogue: bool = typer.Option(
            False,
            "--dialogue",
            help="Make whole calls of the clips, with our prompts and their echo.",
        ),
        calls: int = typer.Option(
            CALLS, min=1, help="With --dialogue: how many; three of four are people."
        ),
        seed: int = typer.Option(SEED, min=0, help="With --dialogue: other calls."),
        only: int | None = typer.Option(
            None, min=0, metavar="N", help="With --dialogue: play call N alone."
        ),
        write: Path | None = typer.Option(
            None, metavar="OUT", help="With --dialogue: WAVs of the lost, or of --only."
        ),
    ) -> None:
        """Judge recorded callers as a call would: who is lost, who is kept away?

        manifest.csv has at least the columns path, label (speech, ghost, distant,
        ambiguous) and class. Each clip goes through the path of a call: G.711,
        frames of 20 ms, verdict; it is all that we ever hear of that caller.

        [bold]gerbang ghostfilter evaluate DIR[/bold]                   tables, here
        [bold]gerbang ghostfilter evaluate DIR --json[/bold]            for programs
        [bold]gerbang ghostfilter evaluate DIR --page FILE.html[/bold]  plots, sound
        [bold]gerbang ghostfilter evaluate DIR --dialogue[/bold]        whole calls

        Recordings and speakers the net learned from are known again by their group,
        and judged by weights that heard nothing of them.

        Ctrl-C shows the figures of what was judged by then.

        Exit status 0: every clip was judged. 1: DIR cannot be judged, and why.
        3: some clips could not be read; they are named. 4: --dialogue lost somebody.
        130: interrupted.
        """
        if page is not None and dialogue:
            raise typer.BadParameter("not with --dialogue", param_hint="--page")
        if not dialogue and (only is not None or write is not None):
            raise typer.BadParameter("needs --dialogue", param_hint="--only, --write")
        if dialogue:
            run_dialogue(
                Wanted(folder, calls, seed, jobs, as_json, write, only, shipped)
            )
            return
        from pbx.laboratory.figures import figures

        _check(page)
        corpus = _read(folder)
        outcomes, is_whole = _judge(corpus, jobs, shipped=shipped)
        found = figures(outcomes)
        _tell(found, as_json, is_whole=is_whole, of=len(corpus.rows))
        if page is not None and not found.judged:
            typer.echo(f"{page}: not written, for no clip was judged", err=True)
        elif page is not None:
            from pbx.commands.places import writing
            from pbx.laboratory.page import write_page

            with writing(page):
                write_page(page, corpus, outcomes)
            typer.echo(f"page: {page}", err=True)
        if not is_whole:
            raise typer.Exit(INTERRUPTED)
        if found.unreadable:
            raise typer.Exit(UNREADABLE)


def _read(folder: Path) -> Corpus:
    from pbx.laboratory.audio import AudioError, need_soundfile
    from pbx.laboratory.corpus import CorpusError, read_corpus

    try:
        need_soundfile()
        return read_corpus(folder)
    except (AudioError, CorpusError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _check(page: Path | None) -> None:
    """Whether a page can be made at all; asked before the long work, not after."""
    if page is None:
        return
    from pbx.commands.places import must_take_a_file
    from pbx.laboratory.picture import PictureError, need_matplotlib

    try:
        need_matplotlib()
    except PictureError as error:
        typer.echo(f"--page {page}: {error}", err=True)
        raise typer.Exit(1) from error
    must_take_a_file(page)


def _judge(corpus: Corpus, jobs: int, *, shipped: bool) -> tuple[list[Outcome], bool]:
    """What was judged, and whether that was everything."""
    from pbx.commands.ghostfilter.progress import counted
    from pbx.laboratory.measure import measure
    from pbx.laboratory.unheard import FOLDS, clips_heard, detectors_for
    from pbx.laboratory.workers import WorkersError

    if heard := clips_heard(corpus):
        by = "what ships, which did" if shipped else f"one of {FOLDS} nets that did not"
        typer.echo(
            f"{heard} of {len(corpus.rows)} clips are of recordings the net may have "
            f"learned from; each of these is judged by {by} hear its group",
            err=True,
        )
    outcomes: list[Outcome] = []
    work = measure(corpus, detectors_for(corpus, shipped=shipped), jobs=jobs)
    try:
        for outcome in counted(work, len(corpus.rows), "clips"):
            outcomes.append(outcome)  # noqa: PERF402 - Ctrl-C keeps what is there
    except KeyboardInterrupt:
        return outcomes, False
    except WorkersError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    return outcomes, True


def _tell(found: Figures, as_json: bool, *, is_whole: bool, of: int) -> None:
    from pbx.laboratory import report

    if not is_whole:
        typer.echo(f"interrupted: {found.judged} of {of} clips were judged", err=True)
    if as_json:
        import json

        print(json.dumps({"is_whole": is_whole} | report.as_json(found), indent=1))
        return
    from rich.console import Console

    if not found.judged:
        for line in ["No clip was judged.", *report.unreadable(found)]:
            typer.echo(line, err=True)
        return
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    console.print(report.as_text(found))
    for line in report.remarks(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
