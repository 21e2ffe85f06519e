"""`gerbang ghostfilter evaluate DIR --dialogue`: whole calls made from the clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pbx.laboratory.dialogue.house import House
    from pbx.laboratory.dialogue.report import Run
    from pbx.laboratory.dialogue.run import Part, Result, Theatre

CALLS, SEED = 5000, 112
"""3,750 of them people: nobody of so many lost means below 0.1 %, 95 % sure."""
LOST, INTERRUPTED = 4, 130


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options."""

    folder: Path
    calls: int = CALLS
    seed: int = SEED
    jobs: int = 0
    as_json: bool = False
    write: Path | None = None
    """Where the WAVs of lost people, or of `only`, go."""
    only: int | None = None
    """One call, played alone."""
    shipped: bool = False
    """By the weights that ship, even if they heard these clips."""


def run_dialogue(wanted: Wanted) -> None:
    """Play the calls and tell what came of them.

    Raises typer.Exit: 1 what is needed cannot be read; 4 somebody was lost; 130
    interrupted.
    """
    from pbx.commands.places import must_take_files
    from pbx.laboratory.audio import AudioError
    from pbx.laboratory.corpus import CorpusError
    from pbx.laboratory.dialogue.house import usual_house
    from pbx.laboratory.workers import WorkersError
    from pbx.model.city import CityError
    from pbx.settings import Settings
    from pbx.sounds import SoundError

    if wanted.write is not None:
        must_take_files(wanted.write)
    try:
        house = usual_house(Settings())
        if wanted.only is not None:
            _one(wanted, house, wanted.only)
        else:
            _all(wanted, house)
    except (AudioError, CityError, CorpusError, SoundError, WorkersError) as error:
        typer.echo(f"gerbang ghostfilter evaluate --dialogue: {error}", err=True)
        raise typer.Exit(1) from error


def _all(wanted: Wanted, house: House) -> None:
    import os

    from pbx.laboratory.dialogue.figures import figures
    from pbx.laboratory.dialogue.report import as_data, as_markdown
    from pbx.laboratory.dialogue.run import Theatre, play_all
    from pbx.laboratory.dialogue.takes import read_stock

    jobs = wanted.jobs or os.cpu_count() or 1
    parts = play_all(
        house,
        wanted.folder,
        wanted.seed,
        wanted.calls,
        jobs=jobs,
        shipped=wanted.shipped,
    )
    results, seconds, is_whole = _gathered(parts, wanted.calls)
    taken = read_stock(wanted.folder)
    found, run = figures(results), _run(wanted, taken.left_out, seconds)
    if wanted.as_json:
        import json

        print(json.dumps({"is_whole": is_whole} | as_data(run, found), indent=1))
    else:
        print(as_markdown(run, found))
    if wanted.write is not None:
        theatre = Theatre(house, taken, wanted.seed, shipped=wanted.shipped)
        for lost in found.lost:
            _write(wanted.write, theatre, wanted.seed, lost.index)
    if not is_whole:
        typer.echo(f"interrupted after {len(results)} of {wanted.calls}", err=True)
        raise typer.Exit(INTERRUPTED)
    if not found.is_safe:
        raise typer.Exit(LOST)


def _gathered(parts: Iterator[Part], calls: int) -> tuple[list[Result], float, bool]:
    """Everything played; on Ctrl-C, what was played by then."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    results: list[Result] = []
    seconds = 0.0
    columns = (TextColumn("calls"), BarColumn(), MofNCompleteColumn())
    bar = Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    try:
        with bar:
            task = bar.add_task("calls", total=calls)
            for part in parts:
                results += part.results
                seconds += part.cpu_seconds
                bar.update(task, completed=len(results))
    except KeyboardInterrupt:
        return results, seconds, False
    return results, seconds, True


def _one(wanted: Wanted, house: House, index: int) -> None:
    """One call alone, told in a few lines."""
    from pbx.laboratory.dialogue.run import Theatre
    from pbx.laboratory.dialogue.takes import read_stock

    taken = read_stock(wanted.folder)
    theatre = Theatre(house, taken, wanted.seed, shipped=wanted.shipped)
    result = theatre.play(index).result
    sign = result.sign_seconds
    print(f"call {index} of seed {wanted.seed}: {result.behaviour} ({result.kind})")
    print(f"clips: {', '.join(result.clips) or 'none, a made sound'}")
    print(f"line: {result.line}")
    print(f"first sign of life: {'none' if sign is None else f'{sign:.2f} s'}")
    print(f"{result.ruling} at {result.ended_seconds:.2f} s, {result.reason}")
    print(result.because)
    if wanted.write is not None:
        _write(wanted.write, theatre, wanted.seed, index)


def _write(folder: Path, theatre: Theatre, seed: int, index: int) -> None:
    from pbx.commands.places import writing
    from pbx.laboratory.dialogue.recording import write_call

    path = folder / f"call-{seed}-{index}.wav"
    with writing(path):
        write_call(path, theatre.play(index))
    typer.echo(f"written: {path}", err=True)


def _run(wanted: Wanted, left_out: int, seconds: float) -> Run:
    from datetime import UTC, datetime

    from pbx.laboratory.dialogue.line import missing_codecs
    from pbx.laboratory.dialogue.report import Run

    date = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return Run(wanted.seed, left_out, missing_codecs(), seconds, date)
