"""`gerbang ghostfilter figures`: what the filter did to real callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from pbx.commands.ghostfilter import FIELD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    from pbx.model.figures import FieldCall, FieldFigures, Share
    from pbx.model.trend import Fall


def register(group: typer.Typer) -> None:
    """Add the command."""

    @group.command(rich_help_panel=FIELD)
    def figures(
        since: str = typer.Option("", help="2026-11-21, or 6h, 30d ago; else all."),
        change: str = typer.Option(
            "", metavar="DATE", help="Compare genuine calls before and after that day."
        ),
        as_json: bool = typer.Option(False, "--json", help="One JSON object instead."),
    ) -> None:
        """Count what the filter did in the field, and how sure that is.

        Shares carry their 95 % interval (Clopper-Pearson). Genuine: talked with an
        operator for 20 s or longer. Holdout: of the callers put through by lot (or
        in shadow mode) who were connected or reviewed, those who were genuine or
        marked as people; it says how many of the dropped were people.

        [bold]gerbang ghostfilter figures --since 30d[/bold]
        [bold]gerbang ghostfilter figures --change 2026-11-01[/bold]   a new prompt

        Exit status 0: shown. 1: there is no record store, and why. 2: mistyped.
        """
        from datetime import date, datetime

        from pbx.commands.ghostfilter.store import with_store
        from pbx.commands.since import city_zone, read_since
        from pbx.model.figures import count
        from pbx.records.field import field_calls
        from pbx.settings import Settings

        settings = Settings()
        zone = city_zone(settings)
        begin = read_since(since, zone)
        try:
            changed = date.fromisoformat(change) if change else None
        except ValueError:
            raise typer.BadParameter(
                f"{change!r} is no day; write 2026-11-01", param_hint="--change"
            ) from None
        every = with_store(settings, lambda e: field_calls(e, None), writes=False)
        told = count(c for c in every if begin is None or c.at >= begin)
        today = datetime.now(zone).date()
        days, fall = _trend(every, zone, today, changed)
        if as_json:
            import json

            print(json.dumps(_plain(told, days, fall), ensure_ascii=False))
            return
        for line in lines(told, days, fall, changed):
            typer.echo(line)


def _trend(
    every: Sequence[FieldCall], zone: ZoneInfo, today: date, changed: date | None
) -> tuple[list[int], Fall | None]:
    """Genuine calls of each whole day, and the fall: at the change, or the clearest."""
    from datetime import timedelta

    from pbx.model.trend import BASELINE_DAYS, LIMITS, compare, find_fall
    from pbx.records.field import per_day

    if not every:
        return [], None
    first = every[0].at.astimezone(zone).date()
    if changed is not None:
        first = max(first, changed - timedelta(days=BASELINE_DAYS))
        days = per_day(every, zone, first, today)
        cut = (changed - first).days
        return days, (compare(days[:cut], days[cut:]) if 0 < cut < len(days) else None)
    first = max(first, today - timedelta(days=BASELINE_DAYS + max(LIMITS)))
    days = per_day(every, zone, first, today)
    return days, find_fall(days)


def lines(
    told: FieldFigures, days: Sequence[int], fall: Fall | None, changed: date | None
) -> Iterator[str]:
    """The figures for people."""
    kinds = told.kinds
    yield f"calls {told.calls}, of them genuine {told.genuine}"
    yield f"passed: {_each(told.passes)}"
    yield f"low priority: {_each(told.low_priority)}"
    yield (
        f"dropped {told.drops} (released {kinds.get('released', 0)}, hung up in the "
        f"goodbye {kinds.get('left', 0)}); saved by the goodbye {kinds.get('saved', 0)}"
    )
    yield f"hung up while greeted: {_share(told.left_in_prompt)}"
    yield (
        f"people among would-be releases (holdout {kinds.get('holdout', 0)}, shadow "
        f"{kinds.get('shadow', 0)}): {_share(told.tried)}; unknown {told.untried}"
    )
    if (rate := told.false_drop_rate) is not None:
        yield (
            f"  so at most {told.people_dropped_at_most:.1f} of the dropped were "
            f"people; false-drop rate {rate[0]:.2%} ({rate[1]:.2%} … {rate[2]:.2%})"
        )
    yield (
        f"people among reviewed drops: {_share(told.reviewed)}; "
        f"unsure {told.unsure}, unreviewed {told.unreviewed}"
    )
    yield (
        f"called again within 10 min of a drop: {_share(told.called_again)}; "
        f"then genuine {told.called_again_genuine}"
    )
    if days:
        yield (
            f"genuine calls a day, {len(days)} days: {sum(days) / len(days):.1f}; "
            f"last week {', '.join(map(str, days[-7:]))}"
        )
    if fall is not None:
        at = f"since {changed}" if changed else f"in the last {fall.days} days"
        yield (
            f"  {at}: {fall.per_week:.1f} a week against {fall.per_week_before:.1f} in "
            f"the {fall.days_before} days before (ratio {fall.ratio_low:.2f} … "
            f"{fall.ratio_high:.2f}, chance of so few {fall.chance:.2g})"
        )
    elif changed:
        yield f"  no days to compare before and after {changed}"


def _each(counts: Any) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items()) or "none"


def _share(share: Share) -> str:
    if share.n == 0:
        return "none to judge by"
    low, high = share.interval
    return f"{share.k} of {share.n} = {share.k / share.n:.2%} ({low:.2%} … {high:.2%})"


def _plain(
    told: FieldFigures, days: Sequence[int], fall: Fall | None
) -> dict[str, Any]:
    """The figures as JSON."""
    from dataclasses import asdict

    plain = asdict(told)
    for name in ("left_in_prompt", "tried", "reviewed", "called_again"):
        share: Share = getattr(told, name)
        plain[name] |= {"low": share.interval[0], "high": share.interval[1]}
    rate = told.false_drop_rate
    return plain | {
        "drops": told.drops,
        "people_dropped_at_most": told.people_dropped_at_most,
        "false_drop_rate": rate
        and {"estimate": rate[0], "low": rate[1], "high": rate[2]},
        "genuine_per_day": list(days),
        "fall": fall and asdict(fall),
    }
