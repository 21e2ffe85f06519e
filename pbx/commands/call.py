"""`gerbang call`: place one real call into the running system and tell its story."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pbx.commands import LOOK

if TYPE_CHECKING:
    from rich.console import Console

    from pbx.model.city import City
    from pbx.settings import Settings
    from pbx.simulator.rehearsal import Outcome, Plan, Told

FAILED, NOT_PLACED, INTERRUPTED = 1, 2, 130


def register(app: typer.Typer) -> None:
    """Add `gerbang call`."""

    @app.command(rich_help_panel=LOOK)
    def call(
        say: str = typer.Option(
            "",
            metavar="FILE",
            help='Speak this WAV; "voice" is a recorded human voice. The default.',
        ),
        press: str = typer.Option("", metavar="KEYS", help="Press keys, such as 0."),
        silent: bool = typer.Option(
            False, "--silent", help="Be on the line and make no sound."
        ),
        no_media: bool = typer.Option(
            False, "--no-media", help="Send no audio at all, as a broken trunk does."
        ),
        number: str | None = typer.Option(
            None, help="Number presented; default: one that never called. '' is none."
        ),
        withheld: bool = typer.Option(
            False, "--withheld", help="Ask for the number not to be shown."
        ),
        after: float = typer.Option(
            1.0, min=0.0, max=60.0, help="Seconds before speaking or pressing."
        ),
        hangup_after: float | None = typer.Option(
            None,
            min=0.1,
            max=90.0,
            help="Hang up so many seconds after the answer; default: all is shown.",
        ),
        answer: bool = typer.Option(
            True, help="Whether the stand-in operator answers, or lets it ring."
        ),
        dial: str = typer.Option("112", help="The number dialled."),
        as_json: bool = typer.Option(
            False, "--json", help="Print the story as one JSON object at the end."
        ),
    ) -> None:
        """Place one real call into the running system and tell its story, step by step.

        A second Asterisk plays the carrier: real SIP, real RTP, real keys. If no
        operator's phone is registered, a stand-in softphone answers, and the two
        recordings prove the audio both ways. Ctrl-C hangs up and cleans up.

        [bold]gerbang call --press 0[/bold]          a key, straight to an operator
        [bold]gerbang call --say fire.wav[/bold]     a voice
        [bold]gerbang call --silent[/bold]           what the city does with silence

        Exit status 0: the caller met what he must. 1: something was missing; the line
        marked ✗ says what. 2: the call could not be placed.
        """
        from pbx.simulator.rehearsal import Manner, Plan

        chosen = [bool(say), bool(press), silent, no_media]
        if sum(chosen) > 1:
            raise typer.BadParameter("choose one of --say --press --silent --no-media")
        manner = (
            Manner.PRESS
            if press
            else Manner.SILENT
            if silent
            else Manner.NO_MEDIA
            if no_media
            else Manner.SAY
        )
        voice = None if say in ("", "voice") else Path(say)
        plan = Plan(
            manner,
            voice,
            press,
            number,
            withheld,
            after,
            hangup_after,
            answer,
            dial,
        )
        raise typer.Exit(_place(plan, as_json))


def _place(plan: Plan, as_json: bool) -> int:
    import asyncio

    from rich.console import Console

    from pbx.asterisk.run import AsteriskError, NotInstalled
    from pbx.model.city import CityError, read_city
    from pbx.settings import Settings
    from pbx.simulator.carrier import CarrierError
    from pbx.simulator.operator import OperatorError
    from pbx.simulator.rehearsal import RehearsalError
    from pbx.simulator.voices import VoiceError

    settings = Settings()
    console = Console(stderr=as_json)
    try:
        city = read_city(_text_of(settings.city_file), source=str(settings.city_file))
        outcome = asyncio.run(_rehearse(settings, city, plan, as_json))
    except KeyboardInterrupt:
        console.print("hung up; everything that was started has ended")
        return INTERRUPTED
    except (
        OSError,
        AsteriskError,
        CarrierError,
        CityError,
        NotInstalled,
        OperatorError,
        RehearsalError,
        VoiceError,
        ValueError,
    ) as error:
        console.print(
            f"gerbang call: {error}", style="red", markup=False, soft_wrap=True
        )
        return NOT_PLACED
    if as_json:
        _print_json(outcome)
    return 0 if outcome.is_as_expected else FAILED


def _text_of(city_file: Path) -> str:
    try:
        return city_file.read_text()
    except (OSError, ValueError) as error:
        raise ValueError(f"{error}; GERBANG_CITY names the city file") from error


async def _rehearse(
    settings: Settings, city: City, plan: Plan, as_json: bool
) -> Outcome:
    from rich.console import Console

    from pbx.simulator.rehearsal import Rehearsal

    console = Console(stderr=as_json, highlight=False)

    def tell(told: Told) -> None:
        style = "bold red" if told.is_fault else None
        mark = "✗" if told.is_fault else "·"
        text = f"{told.seconds:7.2f} s  {mark} {told.text}"
        console.print(text, style=style, markup=False)

    if not as_json:
        console.print(f"calling {plan.dialled} in {city.city.name}", markup=False)
    outcome = await Rehearsal(settings, city, plan, tell).run()
    if not as_json and outcome.record is not None:
        _show_record(console, outcome)
    return outcome


def _show_record(console: Console, outcome: Outcome) -> None:
    record = outcome.record or {}
    verdict = record.get("verdict") or {}
    told = {
        "call": record["call_id"],
        "result": record["disposition"],
        "verdict": " because ".join(
            filter(None, (verdict.get("verdict"), verdict.get("reason")))
        ),
        "operator": record.get("operator"),
        "wait": _seconds(record.get("wait_seconds")),
        "talk": _seconds(record.get("talk_seconds")),
        "hung up by": record.get("hung_up_by"),
    }
    row = "  ".join(f"{name} {value}" for name, value in told.items() if value)
    console.print(f"            {row}", markup=False)
    good = outcome.is_as_expected
    console.print(
        "as it must be" if good else "NOT as it must be: see the lines marked ✗",
        style="green" if good else "bold red",
    )


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f} s"


def _print_json(outcome: Outcome) -> None:
    import json
    from dataclasses import asdict

    told = asdict(outcome) | {"is_as_expected": outcome.is_as_expected}
    print(json.dumps(told, ensure_ascii=False))
