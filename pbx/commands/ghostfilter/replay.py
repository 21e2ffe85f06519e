"""`gerbang ghostfilter replay`: a changed policy over stored calls."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pbx.commands.ghostfilter import MEASURE
from pbx.commands.since import SINCE, city_zone, read_since

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pbx.laboratory.replay import Rules, Tally, Truth
    from pbx.model.city import City
    from pbx.settings import Settings

DAMAGED, LOST, INTERRUPTED = 3, 4, 130
MOST_REVIEWS = 10_000_000
LONGEST_BEFORE_AUDIO = timedelta(minutes=1)
"""A call begins before its audio does."""


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=MEASURE)
    def replay(
        city: Path | None = typer.Option(
            None, metavar="FILE", help="The city to try; without: the one in force."
        ),
        since: str = typer.Option("", help=SINCE),
        as_json: bool = typer.Option(False, "--json", help="One JSON object."),
        folder: Path | None = typer.Option(
            None, "--kept", metavar="DIR", help="Stored calls from elsewhere."
        ),
    ) -> None:
        """Play stored calls again: what would be decided otherwise, and about whom?

        Each call whose audio is kept goes through today's detector and the policy of
        its flow in FILE. Told are the calls decided otherwise, and first of all the
        valid ones among them that would be released now: the operator said so or
        talked long, a reviewer heard a person, or an operator took the call and
        nobody said what it was. Luck does not count: who was spared then by lot,
        budget or shadow mode is judged by the rule, then and now.

        What it cannot know: a caller who had heard another prompt, or had been asked
        once more, might have answered. And what is not stored is not played: see
        [bold]retention.keep[/bold] in city.toml.

        [bold]gerbang ghostfilter replay[/bold]                    today's detector
        [bold]gerbang ghostfilter replay --city new.toml[/bold]    a changed policy
        [bold]gerbang ghostfilter replay --since 7d --json[/bold]  for programs

        Exit status 0: no valid call would be lost. 1: the city or the records cannot
        be read. 3: some stored calls are damaged; they are named and left out. 4:
        valid calls would be released. 130: interrupted.
        """
        from pbx.settings import Settings

        settings = Settings()
        if folder is not None and not folder.is_dir():
            typer.echo(
                f"{folder}: there is no such folder; name one with YYYY-MM-DD/CALL.wav "
                "and .json in it",
                err=True,
            )
            raise typer.Exit(1)
        begin = read_since(since, city_zone(settings))
        tried = _city(settings, city)
        rules = _rules(settings, tried, begin)
        tally, is_whole = _play(folder or settings.kept, rules)
        _tell(tally, as_json, is_whole=is_whole)
        if not is_whole:
            raise typer.Exit(INTERRUPTED)
        if tally.lost or tally.again:
            raise typer.Exit(LOST)
        if tally.damaged:
            raise typer.Exit(DAMAGED)


def _city(settings: Settings, file: Path | None) -> City:
    from pbx.model.city import CityError, read_city
    from pbx.settings import active_city_file

    path = file or active_city_file(settings)
    try:
        return read_city(path.read_text(encoding="utf-8"), source=str(path))
    except (CityError, UnicodeDecodeError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        typer.echo(f"{path}: {error.strerror}; name a city file", err=True)
        raise typer.Exit(1) from error


def _rules(settings: Settings, city: City, since: datetime | None) -> Rules:
    from pbx.laboratory.replay import Rules

    return Rules(
        policies={name: flow.filter for name, flow in city.flows.items()},
        prompts=_prompts(settings.sounds / city.city.language),
        truths=_truths(settings, since),
        since=since,
    )


def _prompts(folder: Path) -> Callable[[str], bytes | None]:
    """Prompts as they lie ready now; read once each."""
    import wave
    from functools import cache

    from pbx.laboratory.dialogue.house import read_prompt

    @cache
    def prompt(name: str) -> bytes | None:
        try:
            return read_prompt(folder / f"{name}.wav")
        except (OSError, EOFError, wave.Error, RuntimeError):
            return None

    return prompt


def _truths(settings: Settings, since: datetime | None) -> dict[str, Truth]:
    """What the records know of who called. Without a store: nothing, and it is said."""
    import asyncio

    from sqlalchemy.exc import SQLAlchemyError

    from pbx.records.database import explain, is_missing

    try:
        return asyncio.run(_read_truths(settings, since))
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        if not is_missing(error):
            typer.echo(f"The records cannot be read: {explain(error)}", err=True)
            raise typer.Exit(1) from error
        typer.echo("No records here: which calls were valid is not known.", err=True)
        return {}


async def _read_truths(settings: Settings, since: datetime | None) -> dict[str, Truth]:
    from pbx.laboratory.replay import Truth, truth_of
    from pbx.model.review import Review
    from pbx.records.database import open_engine
    from pbx.records.field import field_calls
    from pbx.records.reviews import WantedReviews, listed

    begin = None if since is None else since - LONGEST_BEFORE_AUDIO
    heard = WantedReviews(reviews=(Review.PERSON,), since=begin, most=MOST_REVIEWS)
    engine = open_engine(settings.database_url, writes=False)
    try:
        known = await field_calls(engine, begin)
        people = await listed(engine, heard)
    finally:
        await engine.dispose()
    truths = {call.call_id: truth for call in known if (truth := truth_of(call))}
    return {row.call_id: Truth.PERSON for row in people} | truths


def _play(folder: Path, rules: Rules) -> tuple[Tally, bool]:
    """What was played, and whether that was everything."""
    from pbx.commands.ghostfilter.progress import counted
    from pbx.laboratory.kept import stored
    from pbx.laboratory.replay import Tally, replay_files

    files = stored(folder, rules.since)
    tally = Tally()
    try:
        for _ in counted(replay_files(files, rules, tally), len(files), "stored calls"):
            pass
    except KeyboardInterrupt:
        return tally, False
    return tally, True


def _tell(tally: Tally, as_json: bool, *, is_whole: bool) -> None:
    from pbx.laboratory.replay_report import as_data, as_lines

    if as_json:
        import json

        print(json.dumps({"is_whole": is_whole} | as_data(tally), indent=1))
        return
    if not is_whole:
        typer.echo(f"interrupted after {tally.calls} calls", err=True)
    for line in as_lines(tally):
        print(line)
