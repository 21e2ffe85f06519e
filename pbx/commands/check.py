"""`gerbang check`: would this city work? Tried on a throw-away Asterisk."""

from __future__ import annotations

from pathlib import Path

import typer

from pbx.commands import SET_UP


def register(app: typer.Typer) -> None:
    """Add `gerbang check`."""

    @app.command(rich_help_panel=SET_UP)
    def check(
        file: Path | None = typer.Argument(
            None,
            help="City file; without it GERBANG_CITY or asterisk-config/city.toml.",
        ),
        boot: bool = typer.Option(
            True, help="Boot a throw-away Asterisk on it (about two seconds)."
        ),
    ) -> None:
        """Check a city file; changes nothing and disturbs no call.

        Every fault is told with file, line and cure: misspelt, missing, or what
        could lose a caller. Every way through a flow must end at a human, in time,
        with the prompts as long as they are. Then a throw-away Asterisk boots on
        exactly what [bold]gerbang render[/bold] would write, on free ports, and must
        not say one WARNING or ERROR.

        [bold]gerbang check[/bold]              after every change of the city file
        [bold]gerbang check draft.toml[/bold]   of another file

        Exit status 0: good. 1: at least one fault.
        """
        from pbx.commands.city_file import (
            hasty_goodbyes,
            lint,
            load_city,
            load_text,
            try_out,
            unmade_prompts,
        )
        from pbx.settings import Settings

        settings = Settings()
        path = file or settings.city_file
        text = load_text(path)
        city = load_city(path, text)
        lint(path, text, city, settings)
        how = "read only"
        if boot:
            how = f"booted without a warning in {try_out(path, city, settings):.1f} s"
        print(
            f"{path}: good. {city.city.name}: {len(city.numbers)} number(s), "
            f"{len(city.flows)} flow(s), {len(city.queues)} queue(s), "
            f"{len(city.operators)} operator(s), {len(city.trunks)} trunk(s); {how}"
        )
        if unmade := unmade_prompts(city, settings):
            print(f"prompts not made yet: {', '.join(unmade)}; run `gerbang sounds`")
        if hasty := hasty_goodbyes(city, settings):
            manifest = f"sounds/{city.city.language}/prompts.toml"
            print(
                f"nobody listens after the last word of {', '.join(hasty)}, "
                f"said before a release; set listen_seconds = 2 in {manifest}, "
                "then run `gerbang sounds`"
            )
